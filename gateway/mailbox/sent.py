"""Files what an author sent in the author's own folder of sent mail, as it went out: signed (RFC 9051 6.3.12).

A follow-up to an answer that was given already: it never delays mail, never changes a reply, and what waits here is in
memory only. A copy can be lost by a crash, or be there twice where an answer was lost; the mail itself cannot.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.address import Mailbox
from gateway.core.envelope import Direction
from gateway.core.errors import InputError, ServiceError
from gateway.core.queue import Kind
from gateway.mailbox.imap import Imap
from gateway.mime.fields import author_of, read_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config.mailbox import MailboxSettings, SentSettings
    from gateway.core.message import Message
    from gateway.core.queue import Consignment
    from gateway.mailbox.imap import Server

PAUSES: Final = (5.0, 60.0, 600.0)
"""Seconds before each further try; then the copy is given up, and the log says so."""
MOST_WAITING: Final = 1000
MOST_OCTETS: Final = 256 * 1024 * 1024
"""Copies, and octets of them, that may wait at one time: while the mail store is away no more are taken."""
_SIGNED: Final = (b"multipart/signed", b"application/pkcs7-mime", b"application/x-pkcs7-mime")


@dataclass(frozen=True, slots=True)
class _Copy:
    messages: tuple[Message, ...]
    """As they went to different recipients."""
    trace_id: str

    def __len__(self) -> int:
        return sum(map(len, self.messages))


class SentCopies:
    """Implements `ports.Copies`; `close` gives up what still waits."""

    def __init__(
        self,
        settings: MailboxSettings,
        sent: SentSettings,
        *,
        server: Server,
        password: str,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        """Keep where copies go; nothing connects before the first one."""
        self._settings, self._sent = settings, sent
        self._server, self._password = server, password
        self._pauses = pauses
        self._turn = asyncio.Semaphore(settings.at_once)
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._log = structlog.get_logger("gateway.sent")

    def file(self, consignments: Sequence[Consignment]) -> None:
        """Take what was accepted; returns at once (see `ports.Copies`)."""
        messages = tuple(
            each.message
            for each in consignments
            if each.kind is Kind.DELIVER and each.direction is Direction.OUTBOUND and len(each.message)
        )
        if not messages:
            return
        copy = _Copy(messages, consignments[0].trace_id)
        waiting = sum(self._tasks.values())
        if len(self._tasks) >= MOST_WAITING or waiting + len(copy) > MOST_OCTETS:
            self._log.error("no copy of sent mail: too many wait", trace_id=copy.trace_id, waiting=len(self._tasks))
            return
        task = asyncio.get_running_loop().create_task(self._see_to(copy))
        self._tasks[task] = len(copy)
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def close(self) -> None:
        """Give up what still waits, and say how much that is."""
        left = tuple(self._tasks)
        if left:
            self._log.warning("copies of sent mail given up at the end", copies=len(left))
        for each in left:
            each.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _see_to(self, copy: _Copy) -> None:
        """File one copy, trying again a few times; never raises but when canceled."""
        try:
            message = signed_one(copy.messages)
            author = self._author(message)
            if author is None:
                return
            for pause in (*self._pauses, None):
                if await self._try(author, message, copy.trace_id, last=pause is None) or pause is None:
                    return
                await asyncio.sleep(pause)
        except Exception:  # noqa: BLE001 - the seam: mail was answered for, and a copy is no reason for anything else
            self._log.exception("fault while filing a copy", trace_id=copy.trace_id)

    def _author(self, message: Message) -> Mailbox | None:
        """Return whose copy it is, None where nobody asked for one."""
        with contextlib.suppress(InputError):
            found = author_of(read_header(message))
            if isinstance(found, Mailbox) and {found.key, f"@{found.key.rpartition('@')[2]}"} & set(self._sent.authors):
                if len(message) <= self._sent.max_octets:
                    return found
                self._log.warning("no copy of sent mail: too large", mailbox=str(found), octets=len(message))
        return None

    async def _try(self, author: Mailbox, message: Message, trace_id: str, *, last: bool) -> bool:
        try:
            async with self._turn:
                await self._append(author, message)
        except ServiceError as error:
            say = self._log.error if last else self._log.info
            event = "copy of sent mail given up" if last else "copy of sent mail not filed yet"
            say(event, trace_id=trace_id, mailbox=str(author), error=str(error))
            return False
        self._log.info("copy of sent mail filed", trace_id=trace_id, mailbox=str(author))
        return True

    async def _append(self, author: Mailbox, message: Message) -> None:
        imap = await Imap.connect(self._server)
        try:
            await imap.login(self._settings.login_for(author), self._password)
            await imap.append(self._sent.folder, message.octets(), "\\Seen")
            await imap.close()
        finally:
            imap.abort()


def signed_one(messages: Sequence[Message]) -> Message:
    """Return the first message that is signed as it stands, else the first."""
    return next((each for each in messages if _is_signed(each)), messages[0])


def _is_signed(message: Message) -> bool:
    with contextlib.suppress(InputError):
        return any(each.value.strip().lower().startswith(_SIGNED) for each in read_header(message).all("content-type"))
    return False

"""The Maildir next hop: final delivery into DIRECTORY/DOMAIN/LOCAL-PART/{tmp,new,cur} (RFC 5321 4.4).

A file must never be seen in `new` before it is whole and on the disk, and no forward-path may name a place outside
the directory. Files keep the octets as they travel, CRLF included: a signature is checked on those.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import re
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from gateway.core.reply import Reply
from gateway.durable import sync_directory
from gateway.ports import HopError, HopTrouble
from gateway.relay.replies import Offers

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from gateway.core.address import Mailbox
    from gateway.core.envelope import Envelope
    from gateway.core.message import Message
    from gateway.core.queue import Origin

MOST_NAME: Final = 200
"""Octets of a directory's name; a longer one is cut and told apart by its digest. File systems take 255."""
WRITERS: Final = 4
"""Threads that write for one hop."""

_SAFE: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789+-=_.")
_DELIVERED: Final = Reply.of(250, "2.0.0", "delivered")
_ACCEPTED: Final = Reply.of(250, "2.1.5", "ok")
_REFUSALS: Final = {
    errno.ENOSPC: Reply.of(452, "4.3.1", "out of storage"),
    errno.EDQUOT: Reply.of(452, "4.2.2", "mailbox full"),
    errno.EFBIG: Reply.of(552, "5.3.4", "message too big for this mailbox"),
}
_TROUBLE: Final = Reply.of(451, "4.3.0", "the mailbox cannot be written now")


def place_of(directory: Path, mailbox: Mailbox) -> Path:
    """Return the Maildir of a mailbox: two parts below the directory, whatever the mailbox looks like."""
    local, _, domain = mailbox.key.rpartition("@")
    return directory / _encoded(domain) / _encoded(local)


def _encoded(text: str) -> str:
    """Return a file name for the text, a different one for each: never empty, hidden, or with a slash."""
    octets = text.encode()
    name = "".join(
        chr(octet) if octet in _SAFE and not (octet == ord(".") and index == 0) else f"%{octet:02X}"
        for index, octet in enumerate(octets)
    )
    if len(name) > MOST_NAME:
        return f"{name[:100]}%~{hashlib.sha256(octets).hexdigest()}"
    return name or "%"


class MaildirHop:
    """Implements `ports.NextHop` on a directory."""

    per_recipient: Final = True
    usable: Final = True

    def __init__(self, name: str, directory: Path, *, hostname: str) -> None:
        """Take the directory; it must exist when mail comes, so that nothing is written below an empty mount point."""
        self.name = name
        self._directory = directory
        self._host = re.sub(r"[^A-Za-z0-9.-]", "_", hostname)
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix=f"maildir-{name}")

    async def begin(self, client: Origin | None = None) -> MaildirTransaction:  # noqa: ARG002 - a mailbox asks nothing
        """Return a transaction; raises `HopError(SITE)` if the directory is not there."""
        if not self._directory.is_dir():
            raise HopError(HopTrouble.SITE, f"{self._directory}: is not a directory")
        return MaildirTransaction(self._directory, self._host, self._writers)

    async def known_limits(self) -> Offers | None:
        """Return that a Maildir takes everything, and is no DSN-aware relay; None if its directory is not there."""
        return _LIMITS if self._directory.is_dir() else None

    async def close(self) -> None:
        """Let running deliveries finish, and start none of those that wait."""
        await asyncio.to_thread(self._writers.shutdown, cancel_futures=True)


_LIMITS: Final = Offers(eight_bit=True, smtputf8=True)


class MaildirTransaction:
    """Implements `ports.Transaction`: every forward-path is accepted, each has its own outcome."""

    def __init__(self, directory: Path, host: str, writers: ThreadPoolExecutor) -> None:
        """Begin."""
        self._directory = directory
        self._host = host
        self._writers = writers
        self._envelope: Envelope | None = None
        self._delivery: Future[tuple[Reply, ...]] | None = None
        self._news = asyncio.Event()
        self._lock = threading.Lock()
        self._given_up = False
        self._dot_sent = False
        self._outcomes: list[Reply] = []

    @property
    def limits(self) -> Offers:
        """What a Maildir takes."""
        return _LIMITS

    @property
    def dot_sent(self) -> bool:
        """True from the moment the first file is about to appear in its `new`."""
        return self._dot_sent

    async def envelope(self, envelope: Envelope, *, size: int | None = None) -> tuple[Reply, ...]:
        """Accept every recipient; no size is too large before the disk says so."""
        del size
        if self._envelope is not None or self._given_up:
            raise RuntimeError("a transaction has one envelope")
        self._envelope = envelope
        return (_ACCEPTED,) * len(envelope.recipients)

    async def content(self, message: Message) -> tuple[Reply, ...] | None:
        """Deliver to each recipient, in a thread; return its reply for each.

        Cancelling stops it before the next file appears in a `new`.
        """
        if self._delivery is None:
            envelope, self._envelope = self._envelope, None
            if envelope is None or self._given_up:
                raise RuntimeError("content goes to recipients that were accepted, once")
            try:
                self._delivery = self._writers.submit(self._deliver_all, envelope, message)
            except RuntimeError as error:
                raise HopError(HopTrouble.SITE, "the gateway is stopping") from error
            loop = asyncio.get_running_loop()
            self._delivery.add_done_callback(lambda _: loop.call_soon_threadsafe(self._news.set))
        try:
            await self._news.wait()
        except asyncio.CancelledError:
            self._delivery.cancel()
            self._give_up()
            raise
        if self._delivery.cancelled():
            raise HopError(HopTrouble.SITE, "the gateway is stopping")
        if self._delivery.done():
            return self._delivery.result()
        self._news.clear()
        return None

    def pause(self) -> bool:
        """Let `content` return without waiting for the thread."""
        if self._dot_sent:
            self._news.set()
        return self._dot_sent

    def give_up(self) -> tuple[Reply, ...]:
        """Let no more files appear; return what is known of those that did."""
        self._give_up()
        return tuple(self._outcomes)

    async def abandon(self) -> None:
        """Leave without a trace; never raises."""
        self._give_up()

    def _give_up(self) -> None:
        with self._lock:
            self._given_up = True

    def _deliver_all(self, envelope: Envelope, message: Message) -> tuple[Reply, ...]:
        for each in envelope.recipients:
            outcome = self._deliver(each.mailbox, f"Return-Path: <{envelope.reverse_path}>\r\n", message)
            self._outcomes.append(outcome)
        return tuple(self._outcomes)

    def _deliver(self, mailbox: Mailbox, return_path: str, message: Message) -> Reply:
        """Write one file and let it appear; what goes wrong is this recipient's reply."""
        maildir = place_of(self._directory, mailbox)
        name = f"{int(time.time())}.P{os.getpid()}R{secrets.token_hex(8)}.{self._host}"
        draft = maildir / "tmp" / name
        try:
            _make(self._directory, maildir)
            try:
                _write(draft, f"{return_path}Delivered-To: {mailbox}\r\n".encode(), message)
                return self._appear(draft, maildir / "new")
            except BaseException:
                with contextlib.suppress(OSError):
                    draft.unlink()
                raise
        except OSError as error:
            return _REFUSALS.get(error.errno or 0, _TROUBLE)

    def _appear(self, draft: Path, new: Path) -> Reply:
        with self._lock:
            if self._given_up:
                raise OSError(errno.ECANCELED, "given up")
            self._dot_sent = True
        draft.rename(new / draft.name)
        sync_directory(new)
        return _DELIVERED


def _make(directory: Path, maildir: Path) -> None:
    """Make what is missing of a Maildir, durably; the directory itself must exist."""
    if (maildir / "new").is_dir() and (maildir / "tmp").is_dir():
        return
    for parent, child in (
        (directory, maildir.parent),
        (maildir.parent, maildir),
        *((maildir, maildir / each) for each in ("tmp", "cur", "new")),
    ):
        with contextlib.suppress(FileExistsError):
            child.mkdir(mode=0o700)
        sync_directory(parent)


def _write(path: Path, head: bytes, message: Message) -> None:
    """Write a new file and bring it to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(head)
        for window in message.windows():
            file.write(window)
        file.flush()
        os.fsync(descriptor)

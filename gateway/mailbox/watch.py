"""Watches mailboxes for mail that passed the gateway by, and gives it the tags it deserves (RFC 2177, RFC 4314).

Changes keywords of ours and nothing else: no message is deleted, moved or marked as read. One task and one connection
a mailbox; every one of them outlives faults of the server, of the judge and of its own.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.errors import ServiceError
from gateway.mailbox.finding import UNREAD
from gateway.mailbox.imap import AT_A_TIME, Imap, RefusedError
from gateway.mailbox.keywords import present
from gateway.mailbox.progress import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config.mailbox import MailboxSettings
    from gateway.core.address import Mailbox
    from gateway.mailbox.finding import Finder, Finding
    from gateway.mailbox.imap import Listed, Selected, Server
    from gateway.mailbox.progress import Progress
    from gateway.ports import Clock

INBOX: Final = "INBOX"
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 300.0
"""Seconds between two tries to connect, doubling, with jitter: a server that comes up again is not overrun."""
TRIES: Final = 3
"""Failures over one message, after which it is tagged as unknown, unread: it must not stop those behind it."""
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MAY_DELETE: Final = "\\Deleted"


class Watch:
    """Keeps one task per mailbox; `run` ends only when it is canceled."""

    def __init__(
        self,
        settings: MailboxSettings,
        *,
        server: Server,
        password: str,
        finder: Finder,
        progress: Progress,
        clock: Clock,
        pauses: tuple[float, float] = (FIRST_PAUSE, LONGEST_PAUSE),
    ) -> None:
        """Keep the rooms; nothing connects before `run`. `pauses` are the first and the longest between two tries."""
        self._first_pause, self._longest_pause = pauses
        self._settings = settings
        self._server = server
        self._password = password
        self._finder = finder
        self._progress = progress
        self._clock = clock
        self._turn = asyncio.Semaphore(settings.at_once)
        self._connecting = asyncio.Semaphore(settings.at_once)
        self._trouble: dict[str, tuple[int, int]] = {}
        """Mailbox -> the UID under work when a connection failed, and how often in a row."""
        self._log = structlog.get_logger("gateway.mailbox")
        self.connected = 0
        """Mailboxes that are being watched now."""

    async def run(self, mailboxes: Sequence[Mailbox]) -> None:
        """Watch all of them until canceled."""
        async with asyncio.TaskGroup() as group:
            for each in mailboxes:
                group.create_task(self._keep(each))

    async def _keep(self, mailbox: Mailbox) -> None:
        """Connect again and again, at growing intervals while that fails."""
        pause = self._first_pause
        while True:
            started = asyncio.get_running_loop().time()
            try:
                await self._session(mailbox)
            except ServiceError as error:
                self._log.warning("mailbox not watched for a while", mailbox=str(mailbox), error=str(error))
            except OSError as error:
                self._log.error("progress cannot be kept", mailbox=str(mailbox), error=error.strerror)
            except Exception:  # noqa: BLE001 - the seam: a mailbox outlives our bugs, and so do the others
                self._log.exception("fault while watching a mailbox", mailbox=str(mailbox))
            lasted = asyncio.get_running_loop().time() - started
            pause = self._first_pause if lasted > self._longest_pause / 10 else min(pause * 2, self._longest_pause)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads load, hides nothing

    async def _session(self, mailbox: Mailbox) -> None:
        """Use one connection for as long as it is good."""
        async with self._connecting:
            imap = await Imap.connect(self._server)
            try:
                await imap.login(self._settings.login_for(mailbox), self._password)
                selected = await imap.select(INBOX)
            except BaseException:
                imap.abort()
                raise
        self.connected += 1
        try:
            await self._stay(imap, mailbox, selected)
        finally:
            self.connected -= 1
            imap.abort()

    async def _stay(self, imap: Imap, mailbox: Mailbox, selected: Selected) -> None:
        key = mailbox.key
        if _MAY_DELETE in selected.permanent:
            self._log.warning("this login may delete mail: its rights should be l, r and w", mailbox=str(mailbox))
        place = self._progress.load(key)
        if place is None or place.validity != selected.validity:
            place = await self._first(imap, key, selected.validity)
        while True:
            imap.forget_arrivals()
            found = [each for each in await imap.search("UID", f"{place.last + 1}:*") if each > place.last]
            for start in range(0, len(found), AT_A_TIME):
                some = found[start : start + AT_A_TIME]
                for listed in await imap.list(some):
                    await self._look(imap, mailbox, listed)
                    place = self._note(key, place, listed.uid)
                place = self._note(key, place, some[-1])  # those in between are gone
            if not found:
                await imap.idle(self._settings.liveness)

    async def _first(self, imap: Imap, key: str, validity: int) -> Place:
        """Return where to begin in a mailbox that was never read: so many days and messages back, not all of it."""
        since = self._clock.now() - dt.timedelta(days=self._settings.first_days)
        recent = await imap.search("SINCE", _date(since))
        recent = recent[-self._settings.first_most :] if self._settings.first_most else ()
        everything = () if recent else await imap.search("UID", "1:*")
        last = recent[0] - 1 if recent else max(everything, default=0)
        place = Place(validity, last)
        self._progress.save(key, place)
        return place

    def _note(self, key: str, place: Place, uid: int) -> Place:
        if uid <= place.last:
            return place
        fresh = Place(place.validity, uid)
        self._progress.save(key, fresh)
        self._trouble.pop(key, None)
        return fresh

    async def _look(self, imap: Imap, mailbox: Mailbox, listed: Listed) -> None:
        """Give one message its keywords."""
        async with self._turn:
            try:
                finding = await self._finding(imap, mailbox, listed)
                if finding is not None:
                    await self._mark(imap, mailbox, listed, finding)
            except RefusedError as error:
                self._log.warning("refused", mailbox=str(mailbox), uid=listed.uid, error=str(error))
            except Exception:
                uid, times = self._trouble.get(mailbox.key, (0, 0))
                self._trouble[mailbox.key] = (listed.uid, times + 1 if uid == listed.uid else 1)
                raise

    async def _finding(self, imap: Imap, mailbox: Mailbox, listed: Listed) -> Finding | None:
        """Return what a message deserves, None if it is gone."""
        uid, failures = self._trouble.get(mailbox.key, (0, 0))
        if listed.size > self._settings.max_octets or (uid == listed.uid and failures >= TRIES):
            return UNREAD
        octets = await imap.octets(listed.uid, self._settings.max_octets)
        if octets is None:
            return None
        return await self._finder.find(octets, recipient=mailbox, at=self._clock.now())

    async def _mark(self, imap: Imap, mailbox: Mailbox, listed: Listed, finding: Finding) -> None:
        """Set what is missing and take off what does not fit; what stood there wrongly goes first."""
        wrong = present(listed.flags) - finding.keywords
        missing = finding.keywords - present(listed.flags)
        after: frozenset[str] | None = None
        if wrong:
            after = await imap.remove(listed.uid, wrong)
        if missing:
            after = await imap.add(listed.uid, missing)
        done = not (wrong or missing) or (after is not None and present(after) == finding.keywords)
        say = self._log.info if done and not wrong else self._log.warning
        say(
            "tagged" if done else "the server did not keep the keywords",
            mailbox=str(mailbox),
            uid=listed.uid,
            verdict=finding.verdict,
            why=finding.why,
            set=sorted(missing),
            removed=sorted(wrong),
        )


def _date(day: dt.datetime) -> str:
    """Return a day as SEARCH takes it, whatever the locale."""
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year}"

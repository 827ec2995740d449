"""Builds what watches mailboxes: a process of its own beside the gateway, from the same settings.

It has the keys of seals and reads everybody's mail, but no signing key: nothing here may load one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from gateway.app.application import SystemClock
from gateway.app.copies import access_to
from gateway.app.seals import seal_keys
from gateway.app.world import leniences, read_registry
from gateway.config.base import MEBI
from gateway.core.address import Mailbox
from gateway.core.errors import InputError, Mistakes, SetupError
from gateway.judging.judges import Judges
from gateway.judging.terms import Terms
from gateway.mailbox.finding import Finder
from gateway.mailbox.progress import Progress
from gateway.mailbox.watch import Watch
from gateway.pki.path import Revocation
from gateway.revocation.fetching import Revocation as RevocationData
from gateway.service.arrivals import open_arrival
from gateway.service.verdicts import known
from gateway.smime.identity import Who
from gateway.spool.sightings import SqliteSightings
from gateway.tagging.forged import stripped
from gateway.trust.anchors import read_trust

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from gateway.config.mailbox import MailboxSettings
    from gateway.config.model import Settings
    from gateway.core.message import Message
    from gateway.core.verdict import Judgment
    from gateway.mime.entity import Entity
    from gateway.ports import Judge, Sightings

MOST_MAILBOXES: Final = 500
"""Of one process: more are shared among several, each with a list of its own."""
_MAX_LIST: Final = MEBI


class FullJudge:
    """A `ports.Judge` that goes as far as the gateway with mail that comes in: identified, recognized, suspected."""

    def __init__(self, judge: Judge, *, who: Who, sightings: Sightings, authserv_id: str) -> None:
        """Go on from this judge's word."""
        self._judge, self._who, self._sightings, self._authserv_id = judge, who, sightings, authserv_id

    async def judge(self, message: Message, *, at: dt.datetime, source: str, entity: Entity | None = None) -> Judgment:
        """Return the judgment (see `ports.Judge`); a replay is one here as well."""
        judgment = await self._judge.judge(message, at=at, source=source, entity=entity)
        try:
            opened = open_arrival(stripped(message, authserv_id=self._authserv_id).message)
        except InputError:  # over the limits: the judgment says so already
            return judgment
        # our own tag on mail that was passed on inside, or delivered without a seal, is no imitation
        return await known(judgment, opened.message, opened, self._who, at=at, sightings=self._sightings)


class MailboxWatch:
    """Everything of one process that watches mailboxes."""

    def __init__(self, settings: Settings) -> None:
        """Build it; raises one `SetupError` with all mistakes. Nothing connects before `run`."""
        if settings.mailbox is None:
            raise SetupError("mailbox: is not configured")
        watched, mistakes, clock = settings.mailbox, Mistakes(), SystemClock()
        directory = watched.state or settings.spool.directory / "mailbox"
        trust = mistakes.read(lambda: read_trust(settings.trust, settings.trust_directory))
        registry = mistakes.read(lambda: read_registry(settings.agencies))
        keys = mistakes.read(lambda: seal_keys(settings.tags))
        access = mistakes.read(lambda: access_to(watched))
        mailboxes = mistakes.read(lambda: mailboxes_of(watched))
        progress = mistakes.read(lambda: _progress(directory))
        mistakes.finish()
        assert trust is not None  # noqa: S101 - no mistakes, so nothing is missing
        assert registry is not None  # noqa: S101 - as above
        assert access is not None  # noqa: S101 - as above
        assert mailboxes is not None  # noqa: S101 - as above
        assert progress is not None  # noqa: S101 - as above
        self.mailboxes = mailboxes
        self._settings = settings
        self._log = structlog.get_logger("gateway.mailbox")
        self._sightings = SqliteSightings(settings.spool, settings.verify)
        self._data = RevocationData(settings.trust.fetch, directory / "revocation", clock.now)
        self._judges = Judges(settings.verify, Terms(trust, Revocation(settings.trust.revocation)), self._data)
        authserv_id, who = settings.tags.authserv_id, Who(registry, leniences(settings.verify))
        judge = FullJudge(self._judges, who=who, sightings=self._sightings, authserv_id=authserv_id)
        self.watch = Watch(
            watched,
            server=access[0],
            password=access[1],
            finder=Finder(judge=judge, keys=keys, authserv_id=authserv_id),
            progress=progress,
            clock=clock,
        )

    def reload(self) -> None:
        """Read anchors and revocation lists again; where that fails the old ones stand, and the log says so."""
        settings = self._settings.trust
        try:
            trust = read_trust(settings, self._settings.trust_directory)
        except SetupError as error:
            self._log.error("reload refused, the old trust stands", mistakes=error.mistakes)
            return
        self._judges.use(Terms(trust, Revocation(settings.revocation)))
        self._log.info("reloaded")

    async def run(self) -> None:
        """Watch until canceled; raises `ServiceError` where no judge becomes ready."""
        await self._data.start()
        try:
            await self._judges.start()
            await self.watch.run(self.mailboxes)
        finally:
            await self._judges.close()
            await self._data.close()
            await asyncio.to_thread(self._sightings.close)


def mailboxes_of(settings: MailboxSettings) -> tuple[Mailbox, ...]:
    """Return who is watched, each once; raises `SetupError` with every line that is no mailbox."""
    found = {Mailbox.parse(each).key: Mailbox.parse(each) for each in settings.watch}
    mistakes: list[str] = []
    for number, line in enumerate(_lines(settings.watch_file), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            mailbox = Mailbox.parse(text)
        except ValueError:
            mistakes.append(f"{settings.watch_file}:{number}:1: not a mailbox")
        else:
            found[mailbox.key] = mailbox
    if not found and not mistakes:
        mistakes.append("mailbox.watch: names no mailbox, and neither does a watch_file")
    if len(found) > MOST_MAILBOXES:
        mistakes.append(f"mailbox.watch: {len(found)} mailboxes, {MOST_MAILBOXES} at most in one process")
    if mistakes:
        raise SetupError(*mistakes)
    return tuple(found.values())


def _lines(file: Path | None) -> list[str]:
    if file is None:
        return []
    try:
        with file.open(encoding="utf-8") as stream:
            return stream.read(_MAX_LIST).splitlines()
    except OSError as error:
        raise SetupError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise SetupError(f"{file}: not UTF-8") from None


def _progress(directory: Path) -> Progress:
    try:
        return Progress(directory)
    except OSError as error:
        raise SetupError(f"{directory}: cannot be made: {error.strerror}") from error

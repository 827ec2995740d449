"""Builds what watches mailboxes: a process of its own beside the gateway, from the same settings.

It has the keys of seals and reads everybody's mail, but no signing key: nothing here may load one.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from gateway.app.application import SystemClock
from gateway.app.copies import access_to
from gateway.app.seals import seal_keys
from gateway.app.world import leniences, read_registry
from gateway.config.base import MEBI
from gateway.core.address import Mailbox
from gateway.core.errors import InputError, Mistakes, SetupError
from gateway.core.octets import WINDOW
from gateway.mailbox.finding import Finder
from gateway.mailbox.progress import Progress
from gateway.mailbox.watch import Watch
from gateway.mime.fields import read_header
from gateway.pki.path import Revocation
from gateway.smime.identity import Who, identified
from gateway.smime.verify import verify
from gateway.trust.anchors import read_trust

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from gateway.config.mailbox import MailboxSettings
    from gateway.config.model import Settings
    from gateway.core.message import Message
    from gateway.core.verdict import Judgment
    from gateway.pki.path import TrustAnchors

MOST_MAILBOXES: Final = 500
"""Of one process: more are shared among several, each with a list of its own."""
_MAX_LIST: Final = MEBI


class OwnJudge:
    """A `ports.Judge` in this process, which holds no mail and no keys that sign."""

    def __init__(self, trust: TrustAnchors, revocation: Revocation, who: Who) -> None:
        """Judge by this trust until the process ends."""
        self._trust, self._revocation, self._who = trust, revocation, who

    async def judge(self, message: Message, *, at: dt.datetime, source: str) -> Judgment:
        """Return the judgment (see `ports.Judge`); large messages in a thread, so that others are not held up."""
        del source  # the callers take turns
        work = partial(verify, message, trust=self._trust, revocation=self._revocation, at=at, untrusted=(), crls=())
        judgment = await asyncio.to_thread(work) if len(message) > WINDOW else work()
        try:
            return identified(judgment, read_header(message), self._who)
        except InputError:  # a header over the limits: the judgment says so already
            return judgment


def watch_of(settings: Settings) -> tuple[Watch, tuple[Mailbox, ...]]:
    """Return the watch and the mailboxes to give it; raises one `SetupError` with all mistakes."""
    if settings.mailbox is None:
        raise SetupError("mailbox: is not configured")
    mistakes = Mistakes()
    trust = mistakes.read(lambda: read_trust(settings.trust, settings.trust_directory))
    registry = mistakes.read(lambda: read_registry(settings.agencies))
    keys = mistakes.read(lambda: seal_keys(settings.tags))
    watched = settings.mailbox
    access = mistakes.read(lambda: access_to(watched))
    mailboxes = mistakes.read(lambda: mailboxes_of(watched))
    progress = mistakes.read(lambda: _progress(watched, settings.spool.directory))
    mistakes.finish()
    assert trust is not None  # noqa: S101 - no mistakes, so nothing is missing
    assert registry is not None  # noqa: S101 - as above
    assert access is not None  # noqa: S101 - as above
    assert mailboxes is not None  # noqa: S101 - as above
    assert progress is not None  # noqa: S101 - as above
    judge = OwnJudge(trust, Revocation(settings.trust.revocation), Who(registry, leniences(settings.verify)))
    server, password = access
    watch = Watch(
        watched,
        server=server,
        password=password,
        finder=Finder(judge=judge, keys=keys, authserv_id=settings.tags.authserv_id),
        progress=progress,
        clock=SystemClock(),
    )
    return watch, mailboxes


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


def _progress(settings: MailboxSettings, spool: Path) -> Progress:
    directory = settings.state or spool / "mailbox"
    try:
        return Progress(directory)
    except OSError as error:
        raise SetupError(f"{directory}: cannot be made: {error.strerror}") from error

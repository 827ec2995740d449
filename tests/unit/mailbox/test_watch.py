"""The watch: one mailbox's trouble is its own, and no message stops those behind it."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from structlog.testing import capture_logs

from gateway.config.mailbox import MailboxSettings
from gateway.core.address import Mailbox
from gateway.mailbox.finding import Finding
from gateway.mailbox.imap import Server
from gateway.mailbox.keywords import UNKNOWN, VERIFIED
from gateway.mailbox.progress import Place, Progress
from gateway.mailbox.watch import TRIES, Watch
from support.odd_imap import HANG_UP, odd_imap
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.odd_imap import OddServer, Said

LAN: Final = Mailbox.parse("lan@tinh.example")
NOON: Final = dt.datetime(2026, 11, 25, 5, 0, tzinfo=dt.UTC)


class Fixed:
    """A finder that says one thing of every message, or raises."""

    def __init__(self, *keywords: str, error: Exception | None = None) -> None:
        self.finding, self.error, self.seen = Finding(frozenset(keywords), "judged", "x"), error, 0

    async def find(self, octets: bytes, *, recipient: Mailbox, at: dt.datetime) -> Finding:
        self.seen += 1
        if self.error is not None:
            raise self.error
        return self.finding


class Noon:
    """A clock that stands."""

    def now(self) -> dt.datetime:
        return NOON


def listed(text: str, *, size: int = 10, flags: bytes = b"") -> bytes:
    """Answer a FETCH: a list of sizes and flags, or a message."""
    uids = [int(each) for each in text.split()[2].split(",")]
    if "BODY" in text:
        return b"* 1 FETCH (UID %d BODY[]<0> {3}\r\nab\n)\r\n" % uids[0] + b"%s OK done\r\n"
    rows = (b"* %d FETCH (UID %d RFC822.SIZE %d FLAGS (%s))\r\n" % (uid, uid, size, flags) for uid in uids)
    return b"".join(rows) + b"%s OK done\r\n"


def searched(*uids: int) -> Any:
    """Answer a SEARCH with those UIDs that it asks for."""

    def said(text: str) -> Said:
        first = int(text.split()[3].partition(":")[0]) if " UID " in text else 1
        found = [each for each in uids if each >= first] or list(uids[-1:])
        return b"* SEARCH " + b" ".join(b"%d" % each for each in found) + b"\r\n%s OK done\r\n"

    return said


def stored(text: str) -> bytes:
    """Answer a STORE as a server that obeys."""
    _, _, uid, sign, keywords = text.split(maxsplit=4)
    flags = keywords.strip("()").encode() if sign.startswith("+") else b""
    return b"* 1 FETCH (UID %s FLAGS (%s))\r\n" % (uid.encode(), flags) + b"%s OK done\r\n"


@asynccontextmanager
async def watched(
    script: dict[str, Any], finder: Fixed, tmp_path: Path, **more: Any
) -> AsyncIterator[tuple[OddServer, Progress, Watch]]:
    async with odd_imap(script) as server:
        settings = MailboxSettings(
            imap=f"127.0.0.1:{server.port}", tls="none", login="gateway", password="file:/x", liveness=1, **more
        )
        progress = Progress(tmp_path)
        watch = Watch(
            settings,
            server=Server("127.0.0.1", server.port, None, 0.5),
            password="x",
            finder=finder,  # type: ignore[arg-type]
            progress=progress,
            clock=Noon(),
            pauses=(0.01, 0.02),
        )
        task = asyncio.create_task(watch.run((LAN,)))
        try:
            with capture_logs():
                yield server, progress, watch
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert watch.connected == 0


async def test_a_new_mailbox_begins_some_days_back(tmp_path: Path) -> None:
    """The date is written in English, whatever the locale, and counts back from the clock."""
    script = {"UID SEARCH": searched(3, 4), "UID FETCH": listed, "UID STORE": stored}
    async with watched(script, Fixed(), tmp_path, first_days=30) as (server, progress, _):
        await until(lambda: progress.load(LAN.key) == Place(7, 4))
        assert "UID SEARCH SINCE 26-Oct-2026" in server.heard


async def test_only_new_messages_are_looked_at(tmp_path: Path) -> None:
    """A server answers 8:* with message 7 where there is no newer one (RFC 9051 6.4.4): it is not new."""
    Progress(tmp_path).save(LAN.key, Place(7, 7))
    finder = Fixed(VERIFIED)
    script = {"UID SEARCH": searched(5, 6, 7), "UID FETCH": listed, "UID STORE": stored}
    async with watched(script, finder, tmp_path) as (server, _, _):
        await until(lambda: "IDLE" in server.heard)
        assert finder.seen == 0


async def test_another_validity_begins_anew(tmp_path: Path) -> None:
    """UIDs of a mailbox that was made anew are others (RFC 9051 2.3.1.1)."""
    Progress(tmp_path).save(LAN.key, Place(6, 900))
    finder = Fixed(VERIFIED)
    script = {"UID SEARCH": searched(1, 2), "UID FETCH": listed, "UID STORE": stored}
    async with watched(script, finder, tmp_path) as (_, progress, _):
        await until(lambda: progress.load(LAN.key) == Place(7, 2))
        assert finder.seen == 2


@pytest.mark.parametrize("kind", ["connection", "bug"])
async def test_one_message_does_not_stop_those_behind_it(kind: str, tmp_path: Path) -> None:
    """A message over which the connection, or our code, fails each time is tagged as unknown and left behind."""

    def fetch(text: str) -> Said:
        return HANG_UP if kind == "connection" and "BODY" in text and " 4 " in text else listed(text)

    finder = Fixed(VERIFIED, error=RuntimeError("bug") if kind == "bug" else None)
    script = {"UID SEARCH": searched(4, 5), "UID FETCH": fetch, "UID STORE": stored}
    async with watched(script, finder, tmp_path) as (server, progress, _):
        await until(lambda: progress.load(LAN.key) == Place(7, 5))
        assert f"UID STORE 4 +FLAGS ({UNKNOWN})" in server.heard
        assert sum(each.startswith("UID FETCH 4 (UID BODY") for each in server.heard) == TRIES


async def test_a_green_keyword_goes_before_another_comes(tmp_path: Path) -> None:
    """What stands there wrongly is taken off first, in whatever case; a user's own flags are never named."""
    flags = b"\\Seen $Label1 $VERIFIEDAGENCY"
    script = {
        "UID SEARCH": searched(4),
        "UID FETCH": lambda text: listed(text, flags=flags),
        "UID STORE": stored,
    }
    async with watched(script, Fixed(UNKNOWN), tmp_path) as (server, progress, _):
        await until(lambda: progress.load(LAN.key) == Place(7, 4))
        changes = [each for each in server.heard if "STORE" in each]
        assert changes == [f"UID STORE 4 -FLAGS ({VERIFIED})", f"UID STORE 4 +FLAGS ({UNKNOWN})"]


async def test_a_refused_change_is_not_tried_for_ever(tmp_path: Path) -> None:
    """Without the right to set flags the watch goes on, and loads the server no more than once a message."""
    script = {"UID SEARCH": searched(4, 5), "UID FETCH": listed, "UID STORE": b"%s NO [NOPERM] no\r\n"}
    async with watched(script, Fixed(VERIFIED), tmp_path) as (server, progress, _):
        await until(lambda: progress.load(LAN.key) == Place(7, 5))
        assert [each for each in server.heard if "STORE" in each] == [
            f"UID STORE 4 +FLAGS ({VERIFIED})",
            f"UID STORE 5 +FLAGS ({VERIFIED})",
        ]


async def test_large_messages_are_not_fetched(tmp_path: Path) -> None:
    """The size is asked for first: a message over the limit costs no memory, and is never green."""
    script = {
        "UID SEARCH": searched(4),
        "UID FETCH": lambda text: listed(text, size=65537, flags=VERIFIED.encode()),
        "UID STORE": stored,
    }
    async with watched(script, Fixed(VERIFIED), tmp_path, max_octets=65536) as (server, progress, _):
        await until(lambda: progress.load(LAN.key) == Place(7, 4))
        assert [each for each in server.heard if "BODY" in each] == []
        assert f"UID STORE 4 -FLAGS ({VERIFIED})" in server.heard


async def test_a_refused_login_is_tried_again_later(tmp_path: Path) -> None:
    """A wrong password neither ends the watch nor hammers at the server."""
    async with watched({"LOGIN": b"%s NO no\r\n"}, Fixed(), tmp_path) as (server, _, _):
        await until(lambda: sum("LOGIN" in each for each in server.heard) >= 3)

"""One connection: whatever a server does or leaves undone, a wait ends, and in a fault of ours."""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import pytest

from gateway.core.errors import ServiceError
from gateway.mailbox.imap import Imap, Listed, RefusedError, Server
from support.hops import tls_identity
from support.odd_imap import HANG_UP, SILENCE, odd_imap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from support.odd_imap import OddServer, Said

PATIENCE: Final = 0.5
LATEST: Final = 8.0
"""Seconds in which every wait ends, on a machine that is busy: the library's own patience is ten, or none."""


@asynccontextmanager
async def session(
    script: Mapping[str, Said | Callable[[str], Said]] | None = None,
) -> AsyncIterator[tuple[Imap, OddServer]]:
    async with odd_imap(script) as server:
        imap = await Imap.connect(Server("127.0.0.1", server.port, None, PATIENCE))
        try:
            await imap.login("lan@tinh.example*gateway", 'mat "khau" \\')
            await imap.select("INBOX")
            yield imap, server
        finally:
            imap.abort()


async def test_arguments_are_quoted() -> None:
    """A mailbox, password or folder can hold what IMAP gives a meaning to."""
    async with session() as (_, server):
        assert server.heard[1:] == [
            'LOGIN "lan@tinh.example*gateway" "mat \\"khau\\" \\\\"',
            'SELECT "INBOX"',
        ]


@pytest.mark.parametrize("user", ["lan\r\nA1 DELETE INBOX", "lan\0"])
async def test_no_argument_adds_a_command(user: str) -> None:
    """A line end in a login ends the attempt, before anything is sent."""
    async with odd_imap() as server:
        imap = await Imap.connect(Server("127.0.0.1", server.port, None, PATIENCE))
        with pytest.raises(ServiceError):
            await imap.login(user, "x")
        imap.abort()
        assert [each for each in server.heard if "DELETE" in each] == []


@pytest.mark.parametrize(
    "script",
    [
        {"GREETING": SILENCE},
        {"GREETING": HANG_UP},
        {"GREETING": b"* BYE not now\r\n"},
        {"GREETING": b"\xff\xfe\x00\r\n"},
        {"CAPABILITY": SILENCE},
        {"CAPABILITY": b"%s OK done\r\n"},
        {"CAPABILITY": HANG_UP},
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_connecting_ends(script: Mapping[str, Said]) -> None:
    """A server that greets oddly, or not at all, is a fault within the time given."""
    async with odd_imap(script) as server:
        async with asyncio.timeout(LATEST):
            with pytest.raises(ServiceError):
                await Imap.connect(Server("127.0.0.1", server.port, None, PATIENCE))


async def test_nobody_there() -> None:
    """A refused connection is a fault of the service."""
    with pytest.raises(ServiceError, match="no connection"):
        await Imap.connect(Server("127.0.0.1", 1, None, PATIENCE))


@pytest.mark.parametrize("said", [SILENCE, HANG_UP, b"* SEARCH 1\r\n", b"%s", b"\x00\r\n", b"* " + b"x" * 100_000])
async def test_a_command_without_an_answer_ends(said: Said) -> None:
    """Silence, a lost connection and half an answer end in time; the connection is let go."""
    async with session({"UID SEARCH": said}) as (imap, _):
        with pytest.raises(ServiceError):
            await imap.search("UID", "1:*")
        with pytest.raises(ServiceError):
            await imap.search("UID", "1:*")


@pytest.mark.parametrize("said", [b"%s NO [AUTHENTICATIONFAILED] no\r\n", b"%s BAD no\r\n"])
async def test_a_refusal_leaves_the_connection(said: bytes) -> None:
    """NO and BAD are answers: the next command gets its own."""
    async with session({"UID STORE": said}) as (imap, _):
        with pytest.raises(RefusedError):
            await imap.add(1, {"$Impersonation"})
        assert await imap.search("UID", "1:*") == ()


async def test_a_flood_of_lines_ends_one_connection_only() -> None:
    """The library reads lines recursively: thousands at once break it, and nothing else."""
    flood = b"".join(b"* %d EXPUNGE\r\n" % number for number in range(3000, 0, -1))
    async with session({"UID SEARCH": flood + b"%s OK done\r\n"}) as (imap, _):
        with pytest.raises(ServiceError):
            await imap.search("UID", "1:*")


async def test_a_message_is_read_as_it_is() -> None:
    """Whatever stands in a message: parentheses, what looks like answers, and announcements."""
    octets = b")( * 1 FETCH (UID 9 FLAGS ())\r\n* 5 EXISTS\r\nA1 OK done\r\n{99}\r\n"
    answer = b"* 3 FETCH (FLAGS (\\Seen) UID 4 BODY[]<0> {%d}\r\n" % len(octets) + octets + b")\r\n%s OK done\r\n"
    async with session({"UID FETCH": answer}) as (imap, server):
        assert await imap.octets(4, 1000) == octets
        assert await imap.octets(5, 1000) is None
        assert server.heard[-2:] == ["UID FETCH 4 (UID BODY.PEEK[]<0.1000>)", "UID FETCH 5 (UID BODY.PEEK[]<0.1000>)"]


async def test_sizes_and_flags_are_listed() -> None:
    """In whatever order they come; an answer about another message, or without a UID, is left out."""
    answer = (
        b"* 1 FETCH (UID 4 RFC822.SIZE 10 FLAGS ($Label1 \\Seen))\r\n"
        b"* 9 FETCH (FLAGS (\\Answered))\r\n"
        b"* 2 FETCH (FLAGS () RFC822.SIZE 20 UID 5)\r\n"
        b"* 3 FETCH (FLAGS () RFC822.SIZE 30 UID 77)\r\n%s OK done\r\n"
    )
    async with session({"UID FETCH": answer}) as (imap, _):
        found = await imap.list([4, 5, 6])
        assert found == (Listed(4, 10, frozenset({"$Label1", "\\Seen"})), Listed(5, 20, frozenset()))


async def test_mail_announced_in_any_answer_is_noticed() -> None:
    """What arrives between a search and IDLE is announced only once: in the answer before."""
    async with session({"UID SEARCH": b"* SEARCH\r\n* 4 EXISTS\r\n%s OK done\r\n"}) as (imap, server):
        imap.forget_arrivals()
        await imap.search("UID", "1:*")
        async with asyncio.timeout(LATEST):
            await imap.idle(1000)
        imap.forget_arrivals()
        await imap.idle(0.05)
        assert server.heard[-1] == "DONE", "silence: the connection proved that it lives"


@pytest.mark.parametrize("said", [HANG_UP, SILENCE, b"%s NO not now\r\n", b"%s BAD\r\n"])
async def test_idle_that_is_not_taken_up_ends(said: Said) -> None:
    """The library waits for ever where a server closes instead of idling."""
    async with session({"IDLE": said}) as (imap, _):
        async with asyncio.timeout(LATEST):
            with pytest.raises(ServiceError):
                await imap.idle(1000)


async def test_a_connection_that_went_silent_is_noticed() -> None:
    """After the time of silence the server has to answer: one that does not is given up."""
    async with session({"DONE": SILENCE}) as (imap, _):
        with pytest.raises(ServiceError, match="no answer in time"):
            await imap.idle(0.05)


async def test_canceling_leaves_nothing_behind() -> None:
    """A watch that is stopped while it idles leaves no task."""
    async with session() as (imap, _):
        imap.forget_arrivals()
        before = asyncio.all_tasks()
        task = asyncio.create_task(imap.idle(20))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert asyncio.all_tasks() <= before


async def test_appending() -> None:
    """A folder's name is quoted, the octets follow when the server asks for them; NO is a refusal."""
    async with session({"APPEND": b"+ go\r\n"}) as (imap, server):
        await imap.append("Thu da gui", b"From: a\r\n\r\nx\r\n", "\\Seen")
        assert server.heard[-1] == 'APPEND "Thu da gui" (\\Seen) {14}'
    async with session({"APPEND": b"+ go\r\n", "LITERAL": b"%s NO [TRYCREATE] no\r\n"}) as (imap, _):
        with pytest.raises(RefusedError):
            await imap.append("Sent", b"x", "\\Seen")


async def test_mail_and_passwords_are_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The library's debug lines hold both: they are off, whatever the level of the log."""
    answer = b"* 3 FETCH (UID 4 BODY[]<0> {3}\r\nbi!)\r\n%s OK done\r\n"
    with caplog.at_level(logging.DEBUG):
        async with session({"UID FETCH": answer}) as (imap, _):
            await imap.octets(4, 10)
    assert "bi!" not in caplog.text
    assert "khau" not in caplog.text


async def test_tls_is_checked(tmp_path: Path) -> None:
    """Nothing is said to a server whose certificate is another's, or of nobody we trust."""
    _, certificate = tls_identity(tmp_path, "localhost")
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(certificate, certificate.with_suffix(".key"))
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with odd_imap(tls=served) as server:
        imap = await Imap.connect(Server("localhost", server.port, trusting, 2.0))
        await imap.login("lan@tinh.example*gateway", "x")
        imap.abort()
        heard = len(server.heard)
        for host, context in (("127.0.0.1", trusting), ("localhost", ssl.create_default_context())):
            with pytest.raises(ServiceError, match="no connection"):
                await Imap.connect(Server(host, server.port, context, 2.0))
        assert len(server.heard) == heard

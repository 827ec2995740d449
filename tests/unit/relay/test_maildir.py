"""Final delivery: whole files only, in the recipient's own place, and each recipient has its own outcome."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import Mailbox
from gateway.core.message import Message
from gateway.ports import HopError, HopTrouble
from gateway.relay.maildir import MaildirHop, place_of
from support.way_out import LETTER, carry, path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def hop(tmp_path: Path) -> AsyncIterator[MaildirHop]:
    """Return a hop into an empty directory."""
    hop = MaildirHop("store", tmp_path, hostname="mail/../x:1.example")
    yield hop
    await hop.close()


def files(root: Path) -> list[str]:
    """Return all files below a directory, each by the directories it stands in."""
    return sorted(str(each.parent.relative_to(root)) for each in root.rglob("*") if each.is_file())


async def test_each_recipient_gets_a_file(hop: MaildirHop, tmp_path: Path) -> None:
    """Return-Path and Delivered-To on top (RFC 5321 4.4), the octets below unchanged, private, whole."""
    transaction = await hop.begin()
    assert transaction.limits.smtputf8
    replies = await transaction.envelope(path("Lan@SoYTe.example", "mai.nguyen@hopthu.example", sender="a@x.example"))
    assert [each.code for each in replies] == [250, 250]
    assert not transaction.dot_sent
    assert [each.code for each in await transaction.content(LETTER)] == [250, 250]
    assert transaction.dot_sent
    assert files(tmp_path) == ["hopthu.example/mai.nguyen/new", "soyte.example/lan/new"]
    (file,) = (tmp_path / "soyte.example/lan/new").iterdir()
    head = b"Return-Path: <a@x.example>\r\nDelivered-To: Lan@SoYTe.example\r\n"
    assert file.read_bytes() == head + LETTER.octets()
    assert file.stat().st_mode & 0o777 == 0o600
    assert {each.name for each in file.parent.parent.iterdir()} == {"tmp", "new", "cur"}
    assert "/" not in file.name
    assert ":" not in file.name


async def test_the_null_reverse_path_is_kept(hop: MaildirHop, tmp_path: Path) -> None:
    """A notification must be seen to be one."""
    transaction = await hop.begin()
    await transaction.envelope(path("lan@soyte.example", sender=""))
    await transaction.content(LETTER)
    (file,) = (tmp_path / "soyte.example/lan/new").iterdir()
    assert file.read_bytes().startswith(b"Return-Path: <>\r\n")


@pytest.mark.parametrize(
    "mailbox",
    [
        '"../../../etc/passwd"@x.example',
        '".."@x.example',
        '"."@x.example',
        '""@x.example',
        '"a/b"@x.example',
        '"\\/"@x.example',
        "a@[../..]",
        "a@[/etc]",
        "%2e%2e@x.example",
        "a/b@x.example",
        "đức@đồng.example",
        f"{'đ' * 32}@{'.'.join(['đ' * 30] * 4)}",
    ],
)
async def test_no_mailbox_leads_out(hop: MaildirHop, tmp_path: Path, mailbox: str) -> None:
    """Whatever a local part or a domain looks like, mail lands three levels below the directory."""
    transaction = await hop.begin()
    await transaction.envelope(path(mailbox))
    assert [each.code for each in await transaction.content(LETTER)] == [250]
    (where,) = files(tmp_path)
    assert len(where.split("/")) == 3
    assert where.endswith("/new")


@given(st.text(max_size=64), st.text(max_size=255), st.text(max_size=64), st.text(max_size=255))
def test_names_are_safe_and_told_apart(one: str, domain: str, other: str, elsewhere: str) -> None:
    """Even for values no parser would let in: one name for each, no slash, not hidden, no longer than disks take."""
    from pathlib import Path  # noqa: PLC0415 - only here

    try:
        a, b = Mailbox(one, domain), Mailbox(other, elsewhere)
        places = [place_of(Path("/d"), each) for each in (a, b)]
    except UnicodeEncodeError:  # a lone surrogate is no text
        return
    for each in places:
        assert each.parent.parent == Path("/d")
        for name in each.parts[-2:]:
            assert name
            assert not name.startswith(".")
            assert len(name.encode()) <= 255
    assert (places[0] == places[1]) == (a.key == b.key)


async def test_a_directory_that_is_not_there_is_the_sites_trouble(tmp_path: Path) -> None:
    """Nothing is made below a mount point whose disk is missing: the message is spooled."""
    hop = MaildirHop("store", tmp_path / "gone", hostname="mail.example")
    with pytest.raises(HopError) as caught:
        await hop.begin()
    assert caught.value.trouble is HopTrouble.SITE
    assert await hop.known_limits() is None
    assert files(tmp_path) == []


async def test_a_full_disk_is_each_recipients_answer(hop: MaildirHop, tmp_path: Path) -> None:
    """No half file stays behind, and those before it have theirs."""
    # a limit on the size of files stands in for the disk: write() fails half-way as it would there
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        transaction = await hop.begin()
        await transaction.envelope(path("a@x.example", "b@x.example"))
        big = Message.of(b"x" * 300_000)
        assert [str(each)[:9] for each in await transaction.content(big)] == ["552 5.3.4"] * 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert files(tmp_path) == []
    assert not transaction.dot_sent


class Failing:
    """A source that cannot be read."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __len__(self) -> int:
        return 10

    def read(self, _start: int, _stop: int) -> bytes:
        """Fail as the system would."""
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize(
    ("number", "status"), [(errno.ENOSPC, "452 4.3.1"), (errno.EDQUOT, "452 4.2.2"), (errno.EIO, "451 4.3.0")]
)
async def test_trouble_of_the_disk_is_transient(hop: MaildirHop, tmp_path: Path, number: int, status: str) -> None:
    """Out of space, over quota, broken: try again later, and nothing is left behind."""
    transaction = await hop.begin()
    (reply,) = await carry(transaction, Message.from_source(Failing(number)))
    assert str(reply).startswith(status)
    assert files(tmp_path) == []


async def test_one_recipients_trouble_is_not_anothers(hop: MaildirHop, tmp_path: Path) -> None:
    """Each reply stands at its recipient's place."""
    (tmp_path / "x.example").mkdir()
    (tmp_path / "x.example/b").write_text("a file where a Maildir should be")
    transaction = await hop.begin()
    await transaction.envelope(path("a@x.example", "b@x.example", "c@x.example"))
    assert [each.code for each in await transaction.content(LETTER)] == [250, 451, 250]


class Waiting:
    """A source that is read only when it is let."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.let = threading.Event()

    def __len__(self) -> int:
        return 4

    def read(self, _start: int, _stop: int) -> bytes:
        """Wait, then give four octets."""
        self.asked.set()
        assert self.let.wait(60)
        return b"a\r\n\n"


async def test_cancelled_while_writing_nothing_appears(hop: MaildirHop, tmp_path: Path) -> None:
    """The thread that writes cannot be stopped, but what it wrote is never shown; the loop was free all the time."""
    source = Waiting()
    transaction = await hop.begin()
    await transaction.envelope(path())
    task = asyncio.create_task(transaction.content(Message.from_source(source)))
    assert await asyncio.to_thread(source.asked.wait, 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not transaction.dot_sent
    source.let.set()
    await hop.close()
    assert files(tmp_path) == []
    assert not transaction.dot_sent


async def test_abandoned_mail_leaves_no_trace(hop: MaildirHop, tmp_path: Path) -> None:
    """And a step is taken once."""
    transaction = await hop.begin()
    with pytest.raises(RuntimeError):
        await transaction.content(LETTER)
    await transaction.envelope(path())
    await transaction.abandon()
    with pytest.raises(RuntimeError):
        await transaction.content(LETTER)
    assert files(tmp_path) == []

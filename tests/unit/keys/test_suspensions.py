"""The switch that stops a key: append-only, durable, honored within a second, and closed where it cannot be read."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import structlog

from gateway.core.errors import SetupError
from gateway.keys import suspensions
from gateway.keys.suspensions import Suspension, Suspensions, append, read_suspensions
from support.letters import NOW
from support.pace import soon

if TYPE_CHECKING:
    from collections.abc import Callable

LINE: Final = b'{"at": "2026-11-24T08:00:00+00:00", "who": "lan", "action": "suspend", "label": "a", "reason": "r"}\n'


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what moves the clock that says when to look again."""
    begin, ahead = time.monotonic(), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: begin + ahead[0])

    def pass_by(seconds: float) -> None:
        ahead[0] += seconds

    return pass_by


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file will be."""
    return tmp_path / "keys-state.jsonl"


def stop(path: Path, label: str, reason: str = "mất thẻ") -> None:
    """Suspend a key."""
    append(path, "suspend", label, who="lan", reason=reason, now=NOW)


def test_nothing_is_suspended_before_anybody_said_so(path: Path) -> None:
    """The first start of a gateway has no file, and makes none."""
    assert not Suspensions(path).suspended("a")
    assert not path.exists()


def test_a_running_gateway_honors_it_within_a_second(path: Path, clock: Callable[[float], None]) -> None:
    """Suspended and resumed without a restart; nobody looks at the disk more than once a second."""
    found = Suspensions(path)
    stop(path, "a")
    clock(0.9)
    assert not found.suspended("a")
    clock(0.2)
    assert found.suspended("a")
    assert not found.suspended("b")
    append(path, "resume", "a", who="root", reason="tìm thấy", now=NOW)
    clock(1.1)
    assert not found.suspended("a")


def test_it_survives_a_restart_with_who_when_and_why(path: Path) -> None:
    """What stands in the file is what the next process finds."""
    stop(path, "a")
    assert Suspensions(path).of("a") == Suspension("a", "2026-11-24T01:30:00+00:00", "lan", "mất thẻ")


def test_every_line_stays(path: Path) -> None:
    """The history is never rewritten: who stopped a key last year can be read next year."""
    stop(path, "a")
    before = path.read_bytes()
    append(path, "resume", "a", who="root", reason="xong", now=NOW)
    stop(path, "a", "lại mất")
    assert path.read_bytes().startswith(before)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [each["action"] for each in lines] == ["suspend", "resume", "suspend"]
    assert read_suspensions(path)["a"].reason == "lại mất"


def test_the_line_is_on_disk_before_the_command_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File first, then the directory that names it: a power failure right after loses nothing."""
    synced: list[str] = []
    real = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    stop(path, "a")
    assert synced == [str(path), str(path.parent)]


def test_the_file_is_closed_to_others(path: Path) -> None:
    """Mode 0600 from its first moment, whatever the umask."""
    before = os.umask(0)
    try:
        stop(path, "a")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_root_writes_the_gateway_can_read(path: Path) -> None:
    """An administrator may be root, the gateway never is: the file belongs to whom the directory belongs."""
    if os.geteuid() == 0:
        os.chown(path.parent, 12345, 12345)
    stop(path, "a")
    stop(path, "b")
    assert (path.stat().st_uid, path.stat().st_gid) == (path.parent.stat().st_uid, path.parent.stat().st_gid)
    assert Suspensions(path).suspended("b")


@pytest.mark.parametrize(
    "damage",
    [
        b"not json\n",
        b"[]\n",
        LINE[:-20],  # cut off by a power failure
        LINE[:-1],  # the same, where only the line end is missing
        LINE.replace(b"suspend", b"suspnd"),
        LINE.replace(b'"who": "lan", ', b""),
        LINE.replace(b'"lan"', b"7"),
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
        b"\n",
    ],
)
def test_a_line_nobody_can_read_suspends_every_key(damage: bytes, path: Path, clock: Callable[[float], None]) -> None:
    """It may have named any key. It is said once, as an error; mended, the others sign again."""
    stop(path, "a")
    good = path.read_bytes()
    found = Suspensions(path)
    path.write_bytes(good + damage)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            clock(1.1)
            assert found.suspended("khac")
    assert [each["log_level"] for each in logs] == ["error"]
    assert found.fault is not None
    assert Suspensions(path).suspended("khac")
    path.write_bytes(good)
    clock(1.1)
    assert not found.suspended("khac")
    assert found.suspended("a")


def test_a_file_that_is_gone_suspends_every_key(path: Path, clock: Callable[[float], None]) -> None:
    """Whoever can remove a file must not be able to let a key sign again."""
    stop(path, "a")
    found = Suspensions(path)
    path.unlink()
    clock(1.1)
    assert found.suspended("khac")


def test_a_reload_does_not_forget_that_there_was_a_file(path: Path, clock: Callable[[float], None]) -> None:
    """The first thing an administrator tries on a closed switch must not open it."""
    stop(path, "a")
    before = Suspensions.at(path)
    path.unlink()
    clock(1.1)
    after = Suspensions.at(path)
    assert before.suspended("khac")
    assert after.suspended("khac")


@pytest.mark.parametrize("how", ["mode", "link", "directory", "fifo", "second name"])
def test_what_others_could_have_put_there_suspends_every_key(how: str, path: Path) -> None:
    """Open to others, a link, or no file at all: it says nothing that can be believed, and leads nobody anywhere."""
    stop(path, "a")
    if how == "mode":
        path.chmod(0o620)
    elif how == "link":
        path.symlink_to(path.rename(path.with_name("other")))
    elif how == "second name":
        path.with_name("other").hardlink_to(path)
    else:
        path.unlink()
        path.mkdir() if how == "directory" else os.mkfifo(path)
    assert Suspensions(path).suspended("khac")
    with pytest.raises(SetupError):
        stop(path, "a")


def test_a_writer_in_between_is_waited_for_but_not_for_ever(path: Path, clock: Callable[[float], None]) -> None:
    """While a line is being written the state before it holds; a lock that nobody lets go of closes the switch."""
    stop(path, "a")
    found = Suspensions(path)
    stop(path, "b")
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        clock(1.1)
        assert not found.suspended("b")
        clock(11)
        assert found.suspended("khac")
    clock(1.1)
    assert not found.suspended("khac")
    assert found.suspended("b")


def test_nothing_is_added_to_what_nobody_can_read(path: Path) -> None:
    """The one who mends the file must see where it broke."""
    path.write_bytes(LINE[:-9])
    path.chmod(0o600)
    with pytest.raises(SetupError, match="cut off"):
        stop(path, "a")
    assert path.read_bytes() == LINE[:-9]


@pytest.mark.parametrize("reason", ["", "  ", "a\nb", "x" * 501, "a\x1b[31m"])
def test_the_reason_is_one_line_for_people(reason: str, path: Path) -> None:
    """No line of ours can be forged by a reason, and no terminal obeys it."""
    with pytest.raises(SetupError, match="reason"):
        stop(path, "a", reason)
    assert not path.exists()


def test_half_a_line_is_told_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the command fails loudly; half a line, which would stop every key until mended, is taken back."""
    stop(path, "a")
    whole = path.read_bytes()
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, octets: real(descriptor, octets[:10]))
    with pytest.raises(SetupError, match="the disk is full, nothing was noted"):
        stop(path, "b")
    assert path.read_bytes() == whole
    assert not Suspensions(path).suspended("khac")


def test_two_writers_do_not_mix_their_lines(path: Path) -> None:
    """Two administrators at once: both lines are whole."""
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            for turn in range(20):
                append(path, "suspend", f"k{number}-{turn}", who="lan", reason="thử", now=dt.datetime.now(dt.UTC))
            os._exit(0)
        children.append(child)
    assert [os.waitpid(each, 0)[1] for each in children] == [0] * 4
    assert len(read_suspensions(path)) == 80


def test_a_writer_waits_for_a_reader(path: Path) -> None:
    """Nobody reads half a line: writing begins when reading has ended."""
    stop(path, "a")
    with path.open("rb") as reading:
        fcntl.flock(reading, fcntl.LOCK_SH)
        writer = threading.Thread(target=stop, args=(path, "b"))
        writer.start()
        writer.join(0.2)
        assert reading.read().count(b"\n") == 1
    writer.join()
    assert read_suspensions(path).keys() == {"a", "b"}


def test_a_look_costs_next_to_nothing(path: Path) -> None:
    """The switch is asked before every signature."""
    stop(path, "a")
    found = Suspensions(path)
    with soon(0.2):
        for _ in range(10_000):
            found.suspended("b")
    assert suspensions.LOOK_EVERY == 1.0

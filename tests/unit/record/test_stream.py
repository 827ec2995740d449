"""Lines on their way out: one write for a turn of the loop, in order, and none waits for long or is lost at the end."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
import threading
from select import PIPE_BUF
from typing import TYPE_CHECKING

import pytest
import structlog

from gateway.core.events import Event, Stage
from gateway.record.events import LogRecorder
from gateway.record.logs import configure
from gateway.record.stream import STREAM, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator


class Writes(io.BytesIO):
    """Remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.each: list[bytes] = []

    def write(self, octets: object) -> int:
        self.each.append(bytes(octets))  # type: ignore[call-overload]
        return super().write(octets)  # type: ignore[arg-type]


def standard_error(monkeypatch: pytest.MonkeyPatch) -> Writes:
    """Stand in for it, from now to the end of the test."""
    written = Writes()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written))
    return written


@pytest.fixture
def _as_before() -> Iterator[None]:
    """Leave logging as it was: it belongs to the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    STREAM.least = logging.INFO
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)


async def test_lines_of_one_turn_leave_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """The turn after has them out, whoever said them; those of the next turn follow by themselves."""
    writes = standard_error(monkeypatch)
    stream = Stream()
    for turn in (b"1", b"2"):
        stream.say(turn + b"a\n", logging.INFO)
        stream.say(turn + b"b\n", logging.WARNING)
        await asyncio.sleep(0)
    assert writes.each == [b"1a\n1b\n", b"2a\n2b\n"]


async def test_an_error_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes out at once, and what was said before it goes first."""
    writes = standard_error(monkeypatch)
    stream = Stream()
    stream.say(b"before\n", logging.INFO)
    stream.say(b"fault\n", logging.ERROR)
    assert writes.each == [b"before\nfault\n"]
    stream.say(b"after\n", logging.INFO)
    await asyncio.sleep(0)
    assert writes.each == [b"before\nfault\n", b"after\n"]


async def test_what_is_held_back_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One turn that says very much does not keep it all."""
    writes = standard_error(monkeypatch)
    stream = Stream()
    for _ in range(1000):
        stream.say(b"x\n", logging.INFO)
    assert len(writes.getvalue()) >= 2 * 700


@pytest.mark.parametrize("length", [1, 300, PIPE_BUF - 1, PIPE_BUF, PIPE_BUF + 1, 3 * PIPE_BUF])
async def test_a_pipe_takes_each_write_as_one(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """Workers share it: what is longer than it takes at once is divided between lines, so that no line is torn."""
    writes = standard_error(monkeypatch)
    stream = Stream()
    lines = [b"%03d" % number + b"x" * (size - 4) + b"\n" for number, size in enumerate([300, length + 4, 70] * 80)]
    for line in lines:
        stream.say(line, logging.INFO)
    await asyncio.sleep(0)
    assert b"".join(writes.each) == b"".join(lines)
    assert all(each.endswith(b"\n") for each in writes.each)
    assert all(len(each) <= PIPE_BUF or each.count(b"\n") == 1 for each in writes.each)


def test_without_a_loop_a_line_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and threads beside the loop hold nothing back."""
    writes = standard_error(monkeypatch)
    stream = Stream()
    stream.say(b"command\n", logging.INFO)
    beside = threading.Thread(target=stream.say, args=(b"thread\n", logging.INFO))
    beside.start()
    beside.join()
    assert writes.each == [b"command\n", b"thread\n"]


def test_a_loop_that_ended_leaves_its_lines_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that is closed before its flush does not hold back what others say after it."""
    writes = standard_error(monkeypatch)
    stream = Stream()

    for text in (b"one\n", b"two\n"):
        loop = asyncio.new_event_loop()
        asyncio._set_running_loop(loop)
        stream.say(text, logging.INFO)
        asyncio._set_running_loop(None)
        loop.close()
    assert writes.each == []

    async def living() -> None:
        stream.say(b"three\n", logging.INFO)
        await asyncio.sleep(0)

    asyncio.run(living())
    assert writes.getvalue() == b"one\ntwo\nthree\n"


_ENDING = """
import asyncio
from gateway.core.events import Event, Stage
from gateway.record.events import LogRecorder
from gateway.record.logs import configure

async def main():
    LogRecorder().record(Event(Stage.ANSWERED, "t", {"code": 250}))
    raise SystemExit(3)

configure("info")
asyncio.run(main())
"""


def test_the_end_of_the_process_loses_no_line() -> None:
    """What was said in the very turn that ended the process is written."""
    ended = subprocess.run((sys.executable, "-c", _ENDING), capture_output=True, check=False, env=dict(os.environ))
    assert ended.returncode == 3
    assert [json.loads(line)["event"] for line in ended.stderr.splitlines()] == ["answered"]


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize(("level", "heard"), [("debug", 2), ("info", 2), ("warning", 1), ("error", 0)])
def test_steps_are_heard_from_the_level_that_was_asked_for(
    level: str, heard: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that somebody may have to act on is a warning, the others are for information; the last call counts."""
    writes = standard_error(monkeypatch)
    configure("error" if level == "debug" else "debug")
    configure(level)
    for stage in (Stage.RECEIVED, Stage.FAILED):
        LogRecorder().record(Event(stage, "t", {}))
    assert len(writes.each) == heard


@pytest.mark.usefixtures("_as_before")
async def test_steps_and_other_lines_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads a message's lines reads them as they came, a fault between them too."""
    writes = standard_error(monkeypatch)
    configure("info")
    recorder, log = LogRecorder(), structlog.get_logger("gateway.x")
    recorder.record(Event(Stage.RECEIVED, "t", {}))
    log.warning("odd")
    log.error("fault")
    recorder.record(Event(Stage.ANSWERED, "t", {}))
    await asyncio.sleep(0)
    assert [json.loads(line)["event"] for line in writes.getvalue().splitlines()] == [
        "received",
        "odd",
        "fault",
        "answered",
    ]

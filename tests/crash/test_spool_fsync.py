"""What was acknowledged was on the disk before: kill -9 cannot show that (the page cache survives), strace can."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.programs import command, environment
from support.traced import Durability, calls, durability, strace

if TYPE_CHECKING:
    from pathlib import Path

MESSAGES = 24


def traced(directory: Path, way: str) -> Durability:
    """Watch a program that stores messages."""
    trace = directory / "trace"
    program = command("spool_writer.py", directory / "spool", "traced", MESSAGES, way)
    done = subprocess.run(
        [*strace(trace), *program], env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    all_calls = calls(trace.read_text(encoding="utf-8", errors="replace"))
    acknowledgments = {
        match[1]: call
        for call in all_calls
        if call.name == "write" and (match := re.match(r'1<[^>]*>, "kept ([^"\\]+)', call.arguments))
    }
    return durability(all_calls, acknowledgments, {each: each for each in acknowledgments})


def test_an_acknowledged_message_is_on_the_disk(tmp_path: Path) -> None:
    """Body synced, then named, the name synced, then the row, the log synced; only then the acknowledgment."""
    found = traced(tmp_path, "sound")
    assert (found.acknowledged, found.named) == (MESSAGES, 4)
    assert found.wrong == []


@pytest.mark.parametrize("way", ["OFF", "NORMAL"])
def test_a_log_that_is_not_synced_is_noticed(tmp_path: Path, way: str) -> None:
    """The check itself can fail: with a lesser `synchronous` rows are acknowledged too early."""
    found = traced(tmp_path, way)
    assert found.acknowledged == MESSAGES
    assert len([each for each in found.wrong if each.endswith("row")]) > MESSAGES // 2


def test_a_body_that_is_not_synced_is_noticed(tmp_path: Path) -> None:
    """The same for bodies and their names."""
    found = traced(tmp_path, "no_fsync")
    assert len([each for each in found.wrong if each.endswith(": body")]) == found.named == 4
    assert len([each for each in found.wrong if each.endswith("name of the body")]) == found.named

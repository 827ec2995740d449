"""Whole gateways that are the machines of one database, and what their logs say of mail that may have come twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from support.gateway_process import House, house_towards

if TYPE_CHECKING:
    from pathlib import Path

TO: Final = "tai@hopthu.example"
"""To whom mail goes through the hop that is not ours."""
_TRACE: Final = re.compile(rb"\tid (\w+)")


def node(directory: Path, conninfo: str, port: int) -> House:
    """Make one of the machines."""
    directory.mkdir(mode=0o700)
    secret = directory / "database"
    secret.touch(mode=0o600)
    secret.write_text(conninfo)
    return house_towards(
        directory,
        port,
        spool={"database": f"file:{secret}", "retry_first": 0.2, "retry_most": 0.5, "answer_within": 1.0},
    )


def trace_of(octets: bytes) -> str:
    """Return the trace id of a letter that arrived."""
    match = _TRACE.search(octets)
    assert match is not None
    return match[1].decode()


def traces(lines: list[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """Return the trace ids of messages that were said to be doubled maybe, and of those whose end was said."""
    doubled = {each["trace_id"] for each in lines if each.get("possible_duplicate") or each.get("after_unanswered_dot")}
    return doubled, {each["trace_id"] for each in lines if each.get("event") in {"delivered", "handed_over"}}

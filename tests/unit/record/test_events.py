"""The recorder: one line per step of the journey, and never a fault."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core.events import Event, Stage
from gateway.record.events import LogRecorder
from gateway.record.logs import configure

if TYPE_CHECKING:
    from gateway.ports import Recorder


def recorded(capsys: pytest.CaptureFixture[str], *events: Event) -> list[dict[str, Any]]:
    """Return the lines that events leave."""
    configure("info")
    recorder: Recorder = LogRecorder()
    for event in events:
        recorder.record(event)
    return [json.loads(line) for line in capsys.readouterr().err.split("\n")[:-1]]


def test_every_stage_is_one_line_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    """Evidence, metrics and traces are read from these: each names stage, message and facts."""
    found = recorded(capsys, *(Event(stage, f"t{stage}", {"code": 250, "to": ("a@b.example",)}) for stage in Stage))
    assert [each["event"] for each in found] == [str(stage) for stage in Stage]
    assert all(each["trace_id"] == f"t{each['event']}" for each in found)
    assert all(
        (each["code"], each["to"], each["logger"]) == (250, ["a@b.example"], "gateway.journey") for each in found
    )


def test_facts_cannot_replace_what_a_line_says_of_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """A fact that is named like a part of the line stands beside it."""
    facts = {"event": "forged", "trace_id": "forged", "level": "forged", "timestamp": "forged", "logger": "forged"}
    (found,) = recorded(capsys, Event(Stage.SIGNED, "real", facts))
    assert (found["event"], found["trace_id"], found["level"], found["logger"]) == (
        "signed",
        "real",
        "info",
        "gateway.journey",
    )
    assert all(found[f"fact_{name}"] == "forged" for name in facts)
    assert found["timestamp"] != "forged"


def test_personal_numbers_are_masked_in_events(capsys: pytest.CaptureFixture[str]) -> None:
    """A mailbox made of a citizen's number is not written out."""
    (found,) = recorded(capsys, Event(Stage.RECEIVED, "t", {"recipients": ("001099012345@congdan.example",)}))
    assert found["recipients"] == ["*********345@congdan.example"]


class Broken(dict[str, Any]):
    """Facts that raise when they are read."""

    def items(self) -> Any:
        """Fail."""
        raise RuntimeError("no facts")


@pytest.mark.parametrize("facts", [Broken(), None, {1: "not a name"}, {"self": 1, "event": 2}])
def test_recording_never_raises(facts: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """What happened to a message does not depend on a line about it."""
    recorded(capsys, Event(Stage.FAILED, "t", facts))

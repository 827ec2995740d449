"""Logs: one sound JSON object per line, whatever a stranger wrote into it, and nothing in it that must not be."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.core.errors import SetupError
from gateway.record.logs import configure
from support.pace import soon


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return what was logged, each line read as JSON; nothing may be on standard output."""
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.split("\n")[:-1]]


def one(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the only line."""
    (line,) = lines(capsys)
    return line


def test_a_record_is_one_json_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Event, level, room and a UTC time are always there; Vietnamese stays readable."""
    configure("info")
    structlog.get_logger("gateway.smtp").info("session", agency="Sở Y tế", count=3, tls=None, ok=True)
    text = capsys.readouterr().err
    assert "Sở Y tế" in text
    found = json.loads(text)
    stamp = found.pop("timestamp")
    assert stamp.endswith("Z")
    assert found == {
        "event": "session",
        "level": "info",
        "logger": "gateway.smtp",
        "agency": "Sở Y tế",
        "count": 3,
        "tls": None,
        "ok": True,
    }


def test_the_trace_id_of_the_task_is_on_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever logs inside the journey carries its trace id, libraries included."""
    configure("info")
    with structlog.contextvars.bound_contextvars(trace_id="1234567890"):
        structlog.get_logger("gateway.relay").info("sent")
        logging.getLogger("some.library").warning("slow")
    assert [each["trace_id"] for each in lines(capsys)] == ["1234567890", "1234567890"]


@pytest.mark.parametrize(
    "hostile",
    [
        "a\nb",
        "a\r\nb",
        "\x1b[31mred",
        "a\x7fb",
        "a\x85b",
        "a\u2028b",
        "a\u202eb",
        "\ud800",
        "\U000e0041",
        "\x00",
        "\ufeff",
    ],
)
def test_no_text_ends_a_line_or_reaches_a_terminal(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Control, direction and lone surrogate characters are escaped everywhere; JSON reads them back."""
    configure("info")
    structlog.get_logger("x").info(hostile, **{f"n{hostile}": hostile}, many=(hostile,))
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert all(char.isprintable() for char in text[:-1])
    found = json.loads(text)
    assert (found["event"], found[f"n{hostile}"], found["many"]) == (hostile, hostile, [hostile])


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("UID=CCCD:001099012345, CN=x", "UID=CCCD:*********345, CN=x"),
        ("UID=MST:0100109106", "UID=MST:*******106"),
        ("MST0100109106-001", "MST**********-001"),
        ("mã số thuế 0100109106-001.", "mã số thuế **********-001."),
        ("CMND 123456789", "CMND ******789"),
        ("001 099 012 345", "*** *** *** 345"),
        ("<0912345678@hopthu.example>", "<*******678@hopthu.example>"),
        ("001099012345@a.example,001099012346@a.example", "*********345@a.example,*********346@a.example"),
        ("port 2525, 20261124 083000, 12345678", "port 2525, 20261124 083000, 12345678"),
        ("192.168.100.200", "192.168.100.200"),
        ("f00d1234567890beef", "f00d1234567890beef"),
        ("12345678901234567890", "12345678901234567890"),
    ],
)
def test_personal_numbers_are_masked(text: str, masked: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers of persons and tax payers are no business of a log; digits of other lengths stay."""
    configure("info")
    structlog.get_logger("x").info(text, value=text, many=[text], inside={"a": text})
    found = one(capsys)
    assert (found["event"], found["value"], found["many"], found["inside"]) == (masked, masked, [masked], {"a": masked})


def test_identifiers_of_ours_keep_their_digits(capsys: pytest.CaptureFixture[str]) -> None:
    """A trace id or serial number that happens to be all digits must stay findable."""
    configure("info")
    structlog.get_logger("x").info("x", trace_id="123456789012", serial="0100109106", note="0100109106")
    found = one(capsys)
    assert (found["trace_id"], found["serial"], found["note"]) == ("123456789012", "0100109106", "*******106")


def test_secrets_and_octets_are_never_written(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever passes a password or a body by mistake finds its place, not its value."""
    configure("info")
    structlog.get_logger("x").info(
        "x",
        password="hunter2",
        passphrase=b"hunter2",
        inside={"auth_token": "hunter2"},
        data=b"hunter2",
        body="hunter2",
    )
    text = capsys.readouterr().err
    assert "hunter2" not in text
    assert json.loads(text)["data"] == "<7 octets>"


def test_values_are_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    """What a peer sends cannot fill the disk by one line."""
    configure("info")
    structlog.get_logger("x").info("x", text="a" * 1_000_000, many=["a"] * 10_000, deep=[[[[[["a" * 9000]]]]]])
    text = capsys.readouterr().err
    assert len(text) < 10_000
    found = json.loads(text)
    assert found["text"].endswith(" ... and 997952 characters")
    assert found["many"][-1] == "and 9800 more"


class Unspeakable:
    """A value whose text raises."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@pytest.mark.parametrize("value", [Unspeakable(), float("nan"), float("inf"), {1: 2}, object(), 10**5000], ids=range(6))
def test_no_value_makes_logging_raise(value: object, capsys: pytest.CaptureFixture[str]) -> None:
    """A fault in a log line must not become a fault of the mail; the line stays JSON."""
    configure("info")
    structlog.get_logger("x").info("x", value=value)
    one(capsys)


def test_exceptions_say_where_and_why_without_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """Types, places and causes, but no variable and no line of source: they hold bodies and secrets."""
    configure("info")

    def inner() -> None:
        secret_local = "hunter2"  # noqa: F841 - what must not be shown
        raise KeyError("inner 0100109106")

    try:
        try:
            inner()
        except KeyError as error:
            raise ValueError("first line\n[parameters: 'the body']") from error
    except ValueError:
        structlog.get_logger("x").exception("broken")
    found = one(capsys)
    assert (found["event"], found["level"]) == ("broken", "error")
    assert [each["type"] for each in found["exception"]] == ["builtins.ValueError", "builtins.KeyError"]
    assert [each["reason"] for each in found["exception"]] == ["first line", "'inner *******106'"]
    assert found["exception"][1]["frames"][-1].endswith(" inner")
    text = json.dumps(found)
    assert "hunter2" not in text
    assert "the body" not in text


def test_faults_of_ours_are_told_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """An administrator needs every mistake of a set-up, also after a reload."""
    configure("info")
    structlog.get_logger("x").warning("reload", exc_info=SetupError("a:1: one", "b:2: two"))
    assert one(capsys)["exception"][0]["reason"] == "a:1: one\nb:2: two"


def test_exceptions_that_cause_themselves_end(capsys: pytest.CaptureFixture[str]) -> None:
    """A circle of causes, or an exception whose text raises, is written once."""
    configure("info")

    class Silent(Exception):  # noqa: N818 - a name of this test
        def __str__(self) -> str:
            raise RuntimeError

    first, second = Silent(), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    structlog.get_logger("x").error("circle", exc_info=first)
    assert [each["reason"] for each in one(capsys)["exception"]] == ["?", "second"]


def test_the_level_filters_and_the_last_call_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """A reload that changes the level reaches loggers that were made before."""
    log = structlog.get_logger("x")
    for level, expected in (("error", 1), ("debug", 4), ("warning", 2), ("info", 3)):
        configure(level)
        for method in (log.debug, log.info, log.warning, log.error):
            method("x")
        assert len(lines(capsys)) == expected


def test_a_filtered_record_is_cheap() -> None:
    """Debug lines stand in loops over messages: filtered, they cost microseconds."""
    configure("info")
    log = structlog.get_logger("x")
    with soon(2000 * 50e-6):
        for _ in range(2000):
            log.debug("x", value="a")


def test_libraries_are_heard_from_warning_up_on_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    """Aiosmtpd logs each line of each session at "info": not here; what it warns of is JSON like the rest."""
    configure("debug")
    library = logging.getLogger("mail.log")
    library.info("%s", "C: AUTH PLAIN AGEAYg==")
    library.warning("%s said %s", "peer", "0100109106\n")
    ours = logging.getLogger().handlers[-1]  # the test runner's own handler would raise
    ours.handle(logging.LogRecord("a", logging.ERROR, __file__, 1, "bad %s %s", ("arguments",), None))
    found = lines(capsys)
    assert [(each["logger"], each["level"], each["event"]) for each in found] == [
        ("mail.log", "warning", "peer said *******106\n"),
        ("a", "error", "bad %s %s"),
    ]


def test_exceptions_of_libraries_are_told_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback of the standard library's logging would print lines that are no JSON."""
    configure("info")
    logging.getLogger("asyncio").error("task failed", exc_info=OSError("gone"))
    assert one(capsys)["exception"][0]["type"] == "builtins.OSError"


def test_configuring_twice_writes_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A second call replaces the first."""
    configure("info")
    configure("info")
    logging.getLogger("some.library").warning("x")
    assert len(lines(capsys)) == 1


def test_a_closed_or_full_standard_error_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mail goes on when nobody can be told of it."""
    configure("info")
    closed = io.TextIOWrapper(io.BytesIO())
    closed.close()
    with Path("/dev/full").open("wb", buffering=0) as device:
        full = io.TextIOWrapper(device, write_through=True)
        for stream in (closed, full, None):
            monkeypatch.setattr(sys, "stderr", stream)
            structlog.get_logger("x").info("x", value="y")

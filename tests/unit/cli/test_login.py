"""`gateway passwd` writes only lines that the gateway reads; `gateway --version`, and Ctrl-C at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.smtp.auth.table import LoginTable

GATEWAY = str(Path(sys.executable).with_name("gateway"))


def passwd(*arguments: str, given: bytes = b"mat-khau\n") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([GATEWAY, "passwd", *arguments], input=given, capture_output=True, check=False, timeout=60)


def test_the_line_can_be_read(tmp_path: Path) -> None:
    """What is printed is a line of the logins file, for exactly these authors; the password is not in it."""
    done = passwd("lan", "Lan.Hoang@songlam.example", "@xa.example")
    assert done.returncode == 0
    assert b"mat-khau" not in done.stdout + done.stderr
    file = tmp_path / "logins"
    file.touch(mode=0o600)
    file.write_bytes(done.stdout)
    assert len(LoginTable.load(file).authors("lan")) == 2


@pytest.mark.parametrize(
    "arguments",
    [("a:b", "x@y.example"), ("#a", "x@y.example"), ("a", "y.example"), ("a", "*@y.example"), ("a", "x@y.example,"),
     ("a", "x@y.example\nroot:"), ("", "x@y.example"), ("a", "")],
)  # fmt: skip
def test_what_no_line_can_say(arguments: tuple[str, ...]) -> None:
    """A line that would be refused later, with every other login of the file, is never printed; exit code 2."""
    done = passwd(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Traceback" not in done.stderr


def test_an_empty_password() -> None:
    """It would never fit; exit code 2."""
    done = passwd("lan", "x@y.example", given=b"\n")
    assert (done.returncode, done.stdout) == (2, b"")


def test_version() -> None:
    """One line, for bug reports."""
    done = subprocess.run([GATEWAY, "--version"], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0
    assert done.stdout.startswith(b"gateway 0.")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stage", ["importing", "playing"])
def test_interrupted(tmp_path: Path, number: signal.Signals, stage: str) -> None:
    """Ctrl-C while modules are imported or the play is on ends without a traceback; what was made is taken away."""
    with subprocess.Popen(
        [GATEWAY, "demo", "--once"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        while "_pydantic_core" not in maps.read_text():  # loaded in the midst of our imports
            time.sleep(0.005)
        time.sleep(0.02 if stage == "importing" else 1.5)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    assert b"Traceback" not in said
    assert list(tmp_path.iterdir()) == []

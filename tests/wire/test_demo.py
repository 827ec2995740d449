"""`gateway demo`: five messages through the real listeners, judged again by OpenSSL on the delivered files."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from support.splitter import cut
from support.verifiers import openssl_verify

COMMAND = str(Path(sys.executable).with_name("gateway"))
SABOTAGE = """\
import gateway.smime.signers
gateway.smime.signers.check_signer = lambda *_, **__: None
from gateway.cli import main
main()
"""
"""A gateway whose verifier believes every signature value."""


class Played(NamedTuple):
    """What one run of the demonstration left behind."""

    code: int
    output: str
    seconds: float
    """Of processor time."""
    directory: Path


def play(directory: Path, *program: str, columns: int = 200) -> Played:
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*program, "demo", "--once", "--keep", str(directory)],
        capture_output=True,
        check=False,
        timeout=120,
        env={"COLUMNS": str(columns), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
    )
    output = (done.stdout + done.stderr).decode()
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime
    return Played(done.returncode, output, taken, directory)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """One run that all tests here read."""
    return play(tmp_path_factory.mktemp("demo") / "tinh", COMMAND)


def delivered(played: Played, box: str) -> list[bytes]:
    """Return the messages of a mailbox in the order they came."""
    files = sorted((played.directory / box / "new").iterdir(), key=lambda each: each.stat().st_mtime_ns)
    return [each.read_bytes() for each in files]


def believed(played: Played, message: bytes, tmp_path: Path) -> bool:
    """Ask OpenSSL about a delivered file."""
    pieces = cut(message)
    return openssl_verify(pieces.part, pieces.cms, (played.directory / "trust/root.pem").read_bytes(), tmp_path)


def test_every_row_is_as_it_must_be(played: Played) -> None:
    """Exit code 0, five rows, no row marked wrong."""
    assert played.code == 0, played.output
    assert played.output.count("✓") == 5, played.output
    assert "✗" not in played.output
    assert "SAI / WRONG" not in played.output


def test_it_is_quick(played: Played) -> None:
    """The whole play takes less than 15 s of processor time, keys and certificates included."""
    assert played.seconds < 15


def test_openssl_believes_what_went_out(played: Played, tmp_path: Path) -> None:
    """The citizen's copy verifies without anything of ours."""
    (message,) = delivered(played, "outside/congdan.example/nguyen.thi.mai")
    assert believed(played, message, tmp_path)


def test_openssl_agrees_on_what_came_in(played: Played, tmp_path: Path) -> None:
    """OpenSSL says the same of each delivered file, as far as it looks: it does not ask who the author is."""
    genuine, tampered, stranger, unsigned = delivered(played, "mailboxes/songlam.example/soyte")
    assert b"X-Gateway-Verdict: verified" in genuine
    assert believed(played, genuine, tmp_path)
    assert b"X-Gateway-Verdict: invalid" in tampered
    assert not believed(played, tampered, tmp_path)
    assert b"X-Gateway-Verdict: signer_mismatch" in stranger
    assert believed(played, stranger, tmp_path)
    assert b"X-Gateway-Verdict: unsigned" in unsigned
    assert b"multipart/signed" not in unsigned


def test_only_the_genuine_one_looks_verified(played: Played) -> None:
    """Neither the forged field nor the forged subject tag of the impostor survives."""
    for number, message in enumerate(delivered(played, "mailboxes/songlam.example/soyte")):
        assert (b"X-Verified-Sender:" in message) is (number == 0)
        assert (b"smime=pass" in message) is (number == 0)


def test_a_broken_verifier_makes_it_fail(tmp_path: Path) -> None:
    """The demonstration is no show: where every signature is believed, it exits 1 and says which row is wrong."""
    played = play(tmp_path / "tinh", sys.executable, "-c", SABOTAGE)
    assert played.code == 1, played.output
    assert "SAI / WRONG" in played.output
    assert "expected invalid" in played.output


def test_a_directory_that_is_in_use_is_refused(tmp_path: Path) -> None:
    """Nothing is overwritten; exit code 2."""
    (tmp_path / "x").touch()
    played = play(tmp_path, COMMAND)
    assert played.code == 2
    assert "not empty" in played.output


def test_it_fits_a_terminal(tmp_path: Path) -> None:
    """In 80 columns nothing is cut off, and the table is no longer than two screens of 30 lines."""
    played = play(tmp_path / "tinh", COMMAND, columns=80)
    lines = played.output.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 60
    assert "Subject: [Chữ ký KHÔNG hợp lệ] Giấy mời họp giao ban" in played.output
    assert "…" not in played.output


def test_it_stays_up_until_ctrl_c(tmp_path: Path) -> None:
    """Without `--once` it says how to connect, in lines that fit 80 columns, and ends on SIGINT with exit code 0."""
    with subprocess.Popen(
        [COMMAND, "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"COLUMNS": "80", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TMPDIR": str(tmp_path)},
        text=True,
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line.rstrip("\n"))
            if "Ctrl-C" in line:
                process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, "\n".join(said)
    assert [each for each in said if len(each) > 80 and str(tmp_path) not in each] == []
    assert list(tmp_path.iterdir()) == []

"""Secrets by reference: where they may come from, and who else may read them (nobody)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.config.secrets import read_private, read_public, read_secret
from gateway.core.errors import SetupError

SECRET = "mật-khẩu-7"


def written(path: Path, octets: bytes = SECRET.encode(), mode: int = 0o600) -> Path:
    """Write a file of a mode."""
    path.write_bytes(octets)
    path.chmod(mode)
    return path


def refusal(reference: str) -> str:
    """Return why a secret cannot be had."""
    with pytest.raises(SetupError) as caught:
        read_secret(reference)
    assert SECRET not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [(b"x", b"x"), (b"x\n", b"x"), (b"x\r\n", b"x"), (b"x\n\n", b"x\n"), (b" x ", b" x "), (b"\x00\xff", b"\x00\xff")],
)
def test_one_line_end_is_dropped(tmp_path: Path, octets: bytes, expected: bytes) -> None:
    """An editor's final line end is no part of a secret; anything else is."""
    assert read_secret(f"file:{written(tmp_path / 's', octets)}") == expected


@pytest.mark.parametrize("octets", [b"", b"\n", b"\r\n"])
def test_an_empty_secret_is_refused(tmp_path: Path, octets: bytes) -> None:
    """An empty passphrase protects nothing."""
    assert refusal(f"file:{written(tmp_path / 's', octets)}").endswith("is empty")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o660, 0o777, 0o610, 0o601])
def test_a_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    """Any right of the group or of others is too much, and the command that mends it is told."""
    file = written(tmp_path / "s", mode=mode)
    assert f"run: chmod 600 {file}" in refusal(f"file:{file}")
    assert read_public(file) == SECRET.encode()


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_the_owner_may_have_any_rights(tmp_path: Path, mode: int) -> None:
    """What only the owner can read is private."""
    assert read_private(written(tmp_path / "s", mode=mode)) == SECRET.encode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Its owner could change it, or read it."""
    file = written(tmp_path / "s")
    os.chown(file, 12345, 12345)
    assert "belongs to user 12345" in refusal(f"file:{file}")


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """A directory, a device or a FIFO put in the file's place stops neither the start nor anything else."""
    os.mkfifo(tmp_path / "fifo", 0o600)
    for path in (tmp_path / "fifo", Path("/dev/zero")):
        assert "is not a regular file" in refusal(f"file:{path}")
    assert "cannot be read: Is a directory" in refusal(f"file:{tmp_path}")
    assert "cannot be read" in refusal(f"file:{tmp_path}/nothing")
    assert "cannot be read" in refusal("file:/x\0y")


def test_size_is_bounded(tmp_path: Path) -> None:
    """A secret is no larger than a mebi of octets."""
    assert read_public(written(tmp_path / "s", bytes(1024 * 1024))) == bytes(1024 * 1024)
    assert "is larger than" in refusal(f"file:{written(tmp_path / 's', bytes(1024 * 1024 + 1))}")


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable's octets, whatever their encoding; one that is not set is named."""
    monkeypatch.setenv("GATEWAY_TEST", SECRET)
    assert read_secret("env:GATEWAY_TEST") == SECRET.encode()
    monkeypatch.delenv("GATEWAY_TEST")
    assert "env:GATEWAY_TEST: this environment variable is not set" in refusal("env:GATEWAY_TEST")


def test_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A systemd credential is read from its directory, mode 0440 allowed, world-readable not; no way out of it."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert "LoadCredential=" in refusal("credential:key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    (tmp_path / "credentials").mkdir()
    written(tmp_path / "outside")
    written(tmp_path / "credentials/key", mode=0o440)
    assert read_secret("credential:key") == SECRET.encode()
    for name in ("../outside", ".", "..", "", "a/b"):
        assert "not the name of a credential" in refusal(f"credential:{name}")
    written(tmp_path / "credentials/open", mode=0o444)
    assert "others can read" in refusal("credential:open")


@pytest.mark.parametrize("reference", [SECRET, "", "plain:x", "FILE:/x"])
def test_a_secret_itself_is_no_reference(reference: str) -> None:
    """Who writes the secret where its reference belongs is told so, without repeating it."""
    assert refusal(reference).startswith("a secret is given by reference")

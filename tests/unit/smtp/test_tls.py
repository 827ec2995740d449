"""The server side of TLS: what is refused at the start, what is spoken, and what a reload changes."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from gateway.config.model import ServerTls, TlsMode
from gateway.core.errors import SetupError
from gateway.smtp.tls import ServerContext
from support.smtp_side import tls_files

if TYPE_CHECKING:
    from pathlib import Path


def mistake(settings: ServerTls) -> str:
    """Return what is wrong with the files."""
    with pytest.raises(SetupError) as caught:
        ServerContext(settings)
    return str(caught.value)


def test_the_least_we_speak(tmp_path: Path) -> None:
    """Nothing below TLS 1.2, no renegotiation (RFC 9325 3.1.1)."""
    context = ServerContext(tls_files(tmp_path, "starttls")).current
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o601])
def test_a_key_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    """Whoever holds the key is the gateway; the group may read it (ssl-cert), others may not."""
    settings = tls_files(tmp_path, "starttls")
    (tmp_path / "server.key").chmod(mode)
    assert f"{tmp_path}/server.key: open to others" in mistake(settings)
    (tmp_path / "server.key").chmod(0o640)
    ServerContext(settings)


@pytest.mark.parametrize("name", ["server.pem", "server.key"])
@pytest.mark.parametrize("octets", [b"", b"garbage", None])
def test_unusable_files_are_named(tmp_path: Path, name: str, octets: bytes | None) -> None:
    """Missing, empty or damaged files stop the start with their name, not the first handshake."""
    settings = tls_files(tmp_path, "starttls")
    if octets is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(octets)
    assert str(tmp_path / name) in mistake(settings)


def test_a_key_with_a_passphrase_is_refused_without_asking(tmp_path: Path) -> None:
    """OpenSSL would ask on the terminal and hang the start."""
    settings = tls_files(tmp_path, "starttls")
    key = serialization.load_pem_private_key((tmp_path / "server.key").read_bytes(), None)
    (tmp_path / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
    )
    assert "cannot be used for TLS" in mistake(settings)


def test_files_are_needed() -> None:
    """A context without a certificate is no context."""
    assert "certificate and key are needed" in mistake(ServerTls(mode=TlsMode.NONE))


def test_a_reload_replaces_or_keeps(tmp_path: Path) -> None:
    """New files count for new handshakes; unfit ones leave the old context standing."""
    settings = tls_files(tmp_path, "starttls")
    context = ServerContext(settings)
    first = context.current
    context.reload()
    assert context.current is not first
    second = context.current
    (tmp_path / "server.pem").write_bytes(b"garbage")
    with pytest.raises(SetupError):
        context.reload()
    assert context.current is second

"""Who a TLS client proves to be: handshakes in memory, OpenSSL on both sides (RFC 8446 4.4.2, RFC 5280 4.2.1.6)."""

from __future__ import annotations

import datetime as dt
import hashlib
import ssl
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.core.errors import SetupError
from gateway.demo.authority import Authority, pem, shared_key
from gateway.smtp.tls import ServerContext, client_certificate
from support.smtp_side import tls_files

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.core.received import ClientCertificate
    from gateway.demo.authority import Credential

PROGRAM: Final = "QLVB@Songlam.example"
VERSIONS: Final = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


@lru_cache(maxsize=2)
def authority(family: int = 0) -> Authority:
    return Authority(dt.datetime.now(dt.UTC), ca_shape="p256", family=family)


def program(**given: object) -> Credential:
    """Return the credential of a program."""
    return authority().issue("Phần mềm", PROGRAM, key=shared_key("p256", 70), **given)  # type: ignore[arg-type]


def asking(directory: Path) -> ServerContext:
    """Return the context of a listener that asks for certificates of the authority."""
    (directory / "ca.pem").write_bytes(pem(authority().root))
    return ServerContext(tls_files(directory, "starttls").model_copy(update={"client_ca": directory / "ca.pem"}))


def showing(directory: Path, credential: Credential | None, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Return the context of a client that shows a credential with its chain."""
    context = ssl.create_default_context(cafile=str(directory / "server.pem"))
    context.minimum_version = context.maximum_version = version
    if credential is not None:
        (directory / "client.pem").write_bytes(credential.chain_pem())
        (directory / "client.key").write_bytes(credential.key_pem())
        context.load_cert_chain(directory / "client.pem", directory / "client.key")
    return context


class Ends:
    """Both ends of a connection in memory, after the handshake; raises `ssl.SSLError` where it fails."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None) -> None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = server.wrap_bio(to_server, to_client, server_side=True)
        self.client = client.wrap_bio(to_client, to_server, server_hostname="localhost", session=session)
        left = [self.client.do_handshake, self.server.do_handshake]
        for _ in range(20):
            for step in tuple(left):
                try:
                    step()
                    left.remove(step)
                except ssl.SSLWantReadError:
                    continue
        assert not left
        self.server.write(b"220 ready\r\n")  # carries the session tickets of TLS 1.3
        assert self.client.read(100) == b"220 ready\r\n"

    @property
    def seen(self) -> ClientCertificate | None:
        """Who the server sees."""
        return client_certificate(self.server)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_certificate_of_the_authority_is_seen(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Fingerprint and names, in the form in which they are listed."""
    context, shown = asking(tmp_path).current, program()
    seen = Ends(context, showing(tmp_path, shown, version)).seen
    assert seen is not None
    assert seen.fingerprint == hashlib.sha256(shown.certificate).hexdigest()
    assert seen.names == ("email:qlvb@songlam.example",)
    assert f"sha256:{seen.fingerprint}" in seen.every_name


@pytest.mark.parametrize("version", VERSIONS)
def test_nobody_needs_to_show_one(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Others send by their network: they shake hands as before, and are seen as nobody."""
    context = asking(tmp_path).current
    assert Ends(context, showing(tmp_path, None, version)).seen is None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_certificate_is_not_looked_at_where_none_is_asked_for(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Without `client_ca` nothing a client has makes it anybody."""
    context = ServerContext(tls_files(tmp_path, "starttls")).current
    assert Ends(context, showing(tmp_path, program(), version)).seen is None


def unfit() -> dict[str, Credential]:
    """Return credentials that must not be believed."""
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    stranger = authority(1).issue("Kẻ lạ", PROGRAM, key=shared_key("p256", 71))
    return {
        "another authority": stranger,
        "expired": program(not_after=past, not_before=past - dt.timedelta(days=9)),
        "not yet valid": program(not_before=dt.datetime.now(dt.UTC) + dt.timedelta(days=1)),
        "not for clients": program(usages=(ExtendedKeyUsageOID.EMAIL_PROTECTION,)),
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["another authority", "expired", "not yet valid", "not for clients"])
def test_an_unfit_certificate_ends_the_handshake(tmp_path: Path, name: str, version: ssl.TLSVersion) -> None:
    """It is never taken for one that is listed, nor for none."""
    context = asking(tmp_path).current
    client = showing(tmp_path, unfit()[name], version)
    with pytest.raises(ssl.SSLError):
        Ends(context, client)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_resumed_session_is_still_the_same_client(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Resuming sends no certificate again: it is the one of the first handshake, or the session is not resumed."""
    context = asking(tmp_path).current
    client = showing(tmp_path, program(), version)
    first = Ends(context, client)
    again = Ends(context, client, first.client.session)
    assert again.client.session_reused
    assert again.seen == first.seen is not None


@pytest.mark.parametrize("octets", [b"", b"garbage", None])
def test_an_unusable_authority_file_is_named(tmp_path: Path, octets: bytes | None) -> None:
    """It stops the start with its name; a reload keeps the old context."""
    context = asking(tmp_path)
    before = context.current
    if octets is None:
        (tmp_path / "ca.pem").unlink()
    else:
        (tmp_path / "ca.pem").write_bytes(octets)
    with pytest.raises(SetupError, match=str(tmp_path / "ca.pem")):
        context.reload()
    assert context.current is before

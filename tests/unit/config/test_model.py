"""Settings that can be written down, and those that cannot."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.config.base import AuthorPattern, Destination, Domain, Endpoint, Name, Network, SecretReference, Socket
from gateway.config.hops import Hop
from gateway.config.keys import KeyFile
from gateway.config.listeners import Listener, ServerTls
from gateway.config.model import LocalDomain


def accepts(kind: Any, value: str) -> str | None:
    """Return what a type makes of a value, None if it refuses it."""
    try:
        return TypeAdapter[str](kind).validate_python(value)
    except ValidationError:
        return None


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Name, "so-y-te_2", "so-y-te_2"),
        (Name, "a" * 63, "a" * 63),
        (Name, "a" * 64, None),
        (Name, "So", None),
        (Name, "-a", None),
        (Name, "", None),
        (Name, "a\n", None),
        (Name, "sở", None),
        (Domain, "Mail.So.Example", "mail.so.example"),
        (Domain, "Bücher.example", "xn--bcher-kva.example"),
        (Domain, "a b", None),
        (Domain, "*", None),
        (Domain, "a..b", None),
        (Destination, "*", "*"),
        (Destination, "So.Example", "so.example"),
        (Destination, "*.so.example", None),
        (AuthorPattern, "Lan@So.Example", "lan@so.example"),
        (AuthorPattern, "@So.Example", "@so.example"),
        (AuthorPattern, "*@so.example", None),
        (AuthorPattern, "lan", None),
        (AuthorPattern, "@", None),
        (Network, "10.0.0.5", "10.0.0.5/32"),
        (Network, "10.0.8.0/24", "10.0.8.0/24"),
        (Network, "fd00::/8", "fd00::/8"),
        (Network, "10.0.8.1/24", None),
        (Network, "10.0.8", None),
        (Network, "host.example", None),
        (Socket, "0.0.0.0:25", "0.0.0.0:25"),
        (Socket, "[::1]:65535", "[::1]:65535"),
        (Socket, "localhost:0", "localhost:0"),
        (Socket, "127.0.0.1:65536", None),
        (Socket, "127.0.0.1", None),
        (Socket, "::1:25", None),
        (Socket, ":25", None),
        (Socket, "unix:/run/x", None),
        (Socket, "127.0.0.1:२५", None),
        (Endpoint, "unix:/run/dovecot/lmtp", "unix:/run/dovecot/lmtp"),
        (Endpoint, "relay.example:587", "relay.example:587"),
        (Endpoint, "unix:run/x", None),
        (Endpoint, "relay.example:99999", None),
        (Endpoint, "smtp://relay.example:25", None),
        (SecretReference, "file:/etc/x", "file:/etc/x"),
        (SecretReference, "env:GATEWAY_X", "env:GATEWAY_X"),
        (SecretReference, "credential:so-y-te", "credential:so-y-te"),
        (SecretReference, "file:relative", None),
        (SecretReference, "credential:a/b", None),
        (SecretReference, "hunter2", None),
    ],
)
def test_values(kind: Any, value: str, expected: str | None) -> None:
    """Each kind of value takes what it is for, in the form it is compared in, and nothing else."""
    assert accepts(kind, value) == expected


def refused(model: type[Any], **values: Any) -> bool:
    """Return whether a section cannot be written down."""
    try:
        model.model_validate(values)
    except ValidationError:
        return True
    return False


def test_tls_needs_its_files() -> None:
    """A listener without certificate must not fall back to the clear."""
    assert refused(ServerTls, mode="starttls")
    assert refused(ServerTls, mode="implicit", certificate="c")
    assert not refused(ServerTls, mode="implicit", certificate="c", key="k")
    assert not refused(ServerTls, mode="none")


def test_sources_belong_to_internal_listeners() -> None:
    """Listed hosts on any other listener would be listed in vain, or let in without a login."""
    given = {"name": "x", "address": "127.0.0.1:25"}
    source = {"name": "a", "networks": ["10.0.0.1"], "authors": ["@x.example"]}
    assert refused(Listener, **given, kind="internal")
    assert not refused(Listener, **given, kind="internal", sources=[source])
    assert refused(Listener, **given, kind="submission", sources=[source])
    assert refused(Listener, **given, kind="inbound", sources=[source])
    assert refused(Listener, **given, kind="inbound", max_recipients=0)
    assert refused(Listener, **given, kind="inbound", command_timeout=0)


@pytest.mark.parametrize("tls", ["none", "may"])
def test_a_password_never_travels_in_the_clear(tls: str) -> None:
    """A login at a next hop needs TLS that is not optional."""
    login = {"user": "u", "password": "env:X"}
    assert refused(Hop, name="x", protocol="smtp", addresses=["h:25"], tls=tls, login=login)
    for good in ("encrypt", "verify"):
        assert not refused(Hop, name="x", protocol="smtp", addresses=["h:25"], tls=good, login=login)


def test_a_key_has_one_form() -> None:
    """PKCS#12, or key and certificate: anything between would leave open which is meant."""
    given = {"label": "x", "kind": "personal", "passphrase": "env:X"}
    assert not refused(KeyFile, **given, pkcs12="p")
    assert not refused(KeyFile, **given, key="k", certificate="c")
    for wrong in (
        {},
        {"key": "k"},
        {"certificate": "c"},
        {"pkcs12": "p", "key": "k"},
        {"pkcs12": "p", "certificate": "c"},
    ):
        assert refused(KeyFile, **given, **wrong)


def test_how_recipients_are_checked_has_no_default() -> None:
    """A choice of security is written down, never assumed."""
    assert refused(LocalDomain, domain="x.example", hop="h")
    assert not refused(LocalDomain, domain="x.example", hop="h", recipients="probe")


def test_secrets_are_no_part_of_settings() -> None:
    """Only the reference is in the model, so that printing settings prints no secret."""
    key = KeyFile.model_validate({"label": "x", "kind": "personal", "pkcs12": "p", "passphrase": "env:X"})
    assert "env:X" in repr(key)

"""The section `senders`, and sources that are known by certificates: what fits together, and what is told where."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.config.base import ClientName, MailboxKey
from gateway.config.load import parse_settings
from gateway.config.senders import Reaction, SenderSettings
from gateway.core.errors import SetupError

HOUSE = """\
hostname: mail.so.example
listeners:
  - {name: in, kind: LISTENER}
hops:
  - {name: box, protocol: maildir, directory: mail}
local_domains:
  - {domain: so.example, hop: box, recipients: any}
outbound:
  - {domain: "*", hop: box}
spool: {directory: /var/spool}
policies: policies
tags: {authserv_id: mail.so.example}
"""
INBOUND = HOUSE.replace("LISTENER", 'inbound, address: "127.0.0.1:25"')
TLS = "{mode: starttls, certificate: a.pem, key: a.key, client_ca: ca.pem}"


def mistakes(text: str) -> list[str]:
    """Return the mistakes in a text, without the file's name."""
    try:
        parse_settings("g.yaml", text, directory=Path("/etc/gateway"))
    except SetupError as error:
        return [each.removeprefix("g.yaml:") for each in error.mistakes]
    return []


def test_without_the_section_everything_is_refused_and_nothing_derived() -> None:
    """The defaults are the strict ones."""
    settings = parse_settings("g.yaml", INBOUND, directory=Path("/")).senders
    assert settings == SenderSettings()
    assert set(settings.reactions.model_dump().values()) == {Reaction.REFUSE}
    assert settings.plus_addresses is False
    assert settings.aliases == settings.successors == settings.delegates == ()


def test_addresses_have_one_form() -> None:
    """What is compared later is written down in one way: case, IDN."""
    text = """\
senders:
  aliases: [{address: Giam-Doc@Sở.example, stands_for: Hung@SO.example}]
  successors: [{old: Cũ.example, new: SO.example, not_for: [Lan@cũ.example]}]
"""
    settings = parse_settings("g.yaml", INBOUND + text, directory=Path("/")).senders
    assert settings.aliases[0].address == "giam-doc@xn--s-lym.example"
    assert settings.aliases[0].stands_for == "hung@so.example"
    assert settings.successors[0].not_for == (f"lan@{settings.successors[0].old}",)


@pytest.mark.parametrize(
    ("section", "wanted"),
    [
        ("{reactions: {not_allowed: send_unsigned}}", "'not_allowed' must be one of: refuse, hold"),
        ("{reactions: {unauthenticated: pass}}", "'unauthenticated' must be one of: refuse, hold"),
        ("{plus_address: true}", "unknown key 'plus_address', did you mean 'plus_addresses'?"),
        ("{plus_addresses: 1}", "'plus_addresses' must be true or false"),
        ("{aliases: [{address: '@so.example', stands_for: a@so.example}]}", "'address': not a mailbox"),
        ("{aliases: [{address: a@so.example}]}", "key 'stands_for' is missing"),
        (
            "{aliases: [{address: a@b.vn, stands_for: b@b.vn}, {address: A@b.vn, stands_for: c@b.vn}]}",
            "alias 'a@b.vn' is defined twice",
        ),
        (
            "{aliases: [{address: a@b.vn, stands_for: b@b.vn}, {address: b@b.vn, stands_for: c@b.vn}]}",
            "alias 'a@b.vn' stands for another alias: name the mailbox itself",
        ),
        ("{aliases: [{address: a@so.example, stands_for: A@so.example}]}", "stands for another alias"),
        (
            "{successors: [{old: a.example, new: b.example}, {old: a.example, new: c.example}]}",
            "old domain 'a.example' is defined twice",
        ),
        (
            "{successors: [{old: a.example, new: b.example}, {old: b.example, new: c.example}]}",
            "went to 'b.example', which is an old domain itself: name the last one",
        ),
        ("{successors: [{old: a.example, new: A.example}]}", "which is an old domain itself"),
        (
            "{successors: [{old: a.example, new: b.example, may_send_as: new}]}",
            "'may_send_as' must be one of: old, both",
        ),
        (
            "{successors: [{old: a.example, new: b.example, not_for: [x@b.example]}]}",
            "not_for of the old domain 'a.example' names 'x@b.example' of another domain",
        ),
        ("{delegates: [{author: a@so.example, delegate: A@so.example}]}", "delegate 'a@so.example' is the author"),
        (
            "{delegates: [{author: a@b.vn, delegate: b@b.vn}, {author: a@b.vn, delegate: b@b.vn}]}",
            "delegate 'b@b.vn for a@b.vn' is defined twice",
        ),
    ],
)
def test_what_cannot_be_meant_is_told(section: str, wanted: str) -> None:
    """Each mistake with its place, in words; there is no reaction that lets mail through."""
    (found,) = mistakes(f"{INBOUND}senders: {section}\n")
    assert wanted in found
    assert found.startswith("13:")


@pytest.mark.parametrize(
    ("listener", "wanted"),
    [
        (f"tls: {TLS}, sources: [{{name: a, certificates: ['dns:a.example'], authors: [a@so.example]}}]", None),
        (
            f"tls: {TLS}, sources: [{{name: a, networks: [10.0.0.1], certificates: ['dns:a.example'], authors: []}}]",
            None,
        ),
        (f"tls: {TLS}, sources: [{{name: a, authors: [a@so.example]}}]", "a source is known by its networks, certif"),
        (
            "sources: [{name: a, certificates: ['dns:a.example'], authors: []}]",
            "sources with certificates need client_ca",
        ),
        (
            "tls: {mode: none, client_ca: ca.pem}, sources: [{name: a, networks: [10.0.0.1], authors: []}]",
            "client_ca needs TLS",
        ),
        (f"tls: {TLS}, sources: [{{name: a, certificates: [a.example], authors: []}}]", "write sha256:FINGERPRINT"),
    ],
)
def test_a_listener_that_asks_for_certificates(listener: str, wanted: str | None) -> None:
    """Certificates need an authority to check them by, and that needs TLS."""
    found = mistakes(HOUSE.replace("LISTENER", f'internal, address: "127.0.0.1:25", {listener}'))
    assert len(found) == (wanted is not None)
    assert wanted is None or wanted in found[0]


@pytest.mark.parametrize("kind", ["submission", "inbound"])
def test_only_internal_listeners_ask(kind: str) -> None:
    """On the open Internet a certificate would stand in for a login, or for nothing."""
    text = HOUSE.replace("LISTENER", f'{kind}, address: "127.0.0.1:25", tls: {TLS}') + "auth: {file: logins}\n"
    (found,) = mistakes(text)
    assert "client_ca belongs to a listener of kind internal" in found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("dns:QLVB.Sở.example", "dns:qlvb.xn--s-lym.example"),
        ("email:QLVB@So.example", "email:qlvb@so.example"),
        (f"sha256:{'AB' * 32}", f"sha256:{'ab' * 32}"),
        ("sha256:" + ":".join(["AB"] * 32), f"sha256:{'ab' * 32}"),
        ("sha256:ab", None),
        ("sha1:" + "ab" * 20, None),
        ("dns:", None),
        ("dns:*.so.example", None),
        ("email:@so.example", None),
        ("cn:qlvb", None),
        ("qlvb.so.example", None),
    ],
)
def test_names_of_certificates(text: str, wanted: str | None) -> None:
    """A fingerprint, a host or a mailbox, said which; never a common name, which anybody may bear."""
    try:
        assert TypeAdapter[str](ClientName).validate_python(text) == wanted
    except ValidationError:
        assert wanted is None


def test_a_mailbox_is_no_pattern() -> None:
    """Tables of single addresses take no whole domains."""
    assert TypeAdapter[str](MailboxKey).validate_python("Lan@So.Example") == "lan@so.example"
    for text in ("@so.example", "*@so.example", "lan", ""):
        with pytest.raises(ValidationError):
            TypeAdapter[str](MailboxKey).validate_python(text)

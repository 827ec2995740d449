"""Forged authors: a good signature, and another name for at least one reader (conditions 12 to 15)."""

from __future__ import annotations

from functools import lru_cache

import pytest
from cryptography import x509

from gateway.core.verdict import Note, SignatureState, row_of
from gateway.demo.authority import Credential, shared_key
from gateway.pki.path import TrustAnchors
from support.letters import (
    ASCII,
    HEAD,
    LAN,
    authority,
    binh,
    clear,
    clear_entity,
    detached,
    judged,
    lan,
    signed,
    text_part,
)
from support.tree import Node, root, utf8_mailbox

PART = text_part("Chuyen 5 trieu dong.")
THIEF = "ke.trom@hopthu.example"


def verdict(message: bytes, **world: object) -> str:
    """Return the verdict's name; green is claimed only together with all that it rests on."""
    found = judged(message, **world)  # type: ignore[arg-type]
    shown = row_of(found.verdict).name
    if shown == "verified":
        assert found.covers_everything_shown
        assert found.signature is SignatureState.VALID
    return shown


@lru_cache(maxsize=1)
def thief() -> Credential:
    """Return the thief's own honest certificate."""
    return authority().issue("Kẻ Trộm", THIEF, key=shared_key("p256", 60))


@lru_cache(maxsize=1)
def honest() -> bytes:
    """Return what the thief has of Lan: a verified message."""
    message = clear(PART, lan())
    assert verdict(message) == "verified"
    return message


AUTHORS = [
    b"From: sep@songlam.example",
    b"From: Hoang Thi Lan <sep@songlam.example>",
    b'From: "hoang.lan@soyte.songlam.example" <sep@songlam.example>',
    b"From: =?utf-8?Q?hoang=2Elan=40soyte=2Esonglam=2Eexample=3E=00?= <sep@songlam.example>",
    b"From: hoang.lan@soyte.songlam.example\r\nFrom: sep@songlam.example",
    b"From: sep@songlam.example\r\nFrom: hoang.lan@soyte.songlam.example",
    b"From : sep@songlam.example\r\nFrom: hoang.lan@soyte.songlam.example",
    b"From\t: hoang.lan@soyte.songlam.example",
    b"From\0: sep@songlam.example\r\nFrom: hoang.lan@soyte.songlam.example",
    b"From\xc2\xa0: sep@songlam.example\r\nFrom: hoang.lan@soyte.songlam.example",
    b" From: sep@songlam.example\r\nFrom: hoang.lan@soyte.songlam.example",
    b"From: <hoang.lan@soyte.songlam.example>, <sep@songlam.example>",
    b"From: <hoang.lan@soyte.songlam.example> <sep@songlam.example>",
    b"From: hoang.lan@soyte.songlam.example <sep@songlam.example>",
    b"From: <@songlam.example,@x.example:hoang.lan@soyte.songlam.example>",
    b"From: <hoang.lan@soyte.songlam.example\0@songlam.example>",
    b"From: hoang.lan@soyte.songlam.example\r\n\t,sep@songlam.example",
    b"From: Lanh dao: hoang.lan@soyte.songlam.example;",
    b"From: hoang.lan(@songlam.example)@soyte.songlam.example",
    b"From: =?utf-8?Q?hoang=2Elan?=@soyte.songlam.example",
    b"From: hoang.lan@soyte.songlam.example.",
    b"From: hoang.lan@[soyte.songlam.example]",
    b'From: "hoang.lan@soyte.songlam.example"@songlam.example',
    b"Sender: hoang.lan@soyte.songlam.example",
    "From: hoàng.lan@soyte.songlam.example".encode(),
    "From: hoang.lan@soyt\u0435.songlam.example".encode(),
    "From: hoang.lan@\u0455oyte.songlam.example".encode(),
    "From: hoang.lan@\uff53oyte.songlam.example".encode(),
    "From: hoang.lan@soyte\uff0esonglam.example".encode(),
    "From: hoang.lan@so\u00adyte.songlam.example".encode(),
    "From: hoang.lan\u200b@soyte.songlam.example".encode(),
]


@pytest.mark.parametrize("field", AUTHORS)
def test_forged_author(field: bytes) -> None:
    """Lan's good signature, and another author for at least one reader (the last ones look like hers)."""
    own = HEAD.split(b"\r\n", maxsplit=1)[0]
    assert verdict(honest().replace(own, field, 1)) in {"signer_mismatch", "unreadable"}


OWN_FORGERIES = [
    b"From: =?utf-8?Q?hoang=2Elan=40soyte=2Esonglam=2Eexample=00?= <ke.trom@hopthu.example>",
    b"From: =?utf-8?B?aG9hbmcubGFuQHNveXRlLnNvbmdsYW0uZXhhbXBsZQo=?= <ke.trom@hopthu.example>",
    b'From: "=?utf-8?Q?hoang=2Elan=40soyte=2Esonglam=2Eexample=0D=0A?=" <ke.trom@hopthu.example>',
    b"From: ke.trom@hopthu.example (=?utf-8?Q?hoang=2Elan=40soyte=2Esonglam=2Eexample=00?=)",
    b"From: <hoang.lan@soyte.songlam.example:ke.trom@hopthu.example>",
    b"From: <@soyte.songlam.example:ke.trom@hopthu.example>",
    b"From: hoang.lan@soyte.songlam.example\r\n\t<ke.trom@hopthu.example>",
    b"From: hoang.lan@soyte.songlam.example,ke.trom@hopthu.example",
    b"From: hoang.lan@soyte.songlam.example:ke.trom@hopthu.example;",
    b"FROM: ke.trom@hopthu.example\r\nfROM: hoang.lan@soyte.songlam.example",
    b"FROM: ke.trom@hopthu.example\r\nFROM\t : hoang.lan@soyte.songlam.example",
    b"From: ke.trom@hopthu.example\r\nFrom\xe2\x80\x8b: hoang.lan@soyte.songlam.example",
]


@pytest.mark.parametrize("field", OWN_FORGERIES)
def test_own_signature_under_a_name_that_ends_early(field: bytes) -> None:
    """The thief signs as himself, and some readers show Lan's mailbox as the author's (Mailsploit)."""
    head = HEAD[HEAD.index(b"\r\n") :]
    assert verdict(clear(PART, thief(), head=b"From: " + THIEF.encode() + head)) == "verified"
    assert verdict(clear(PART, thief(), head=field + head)) in {"signer_mismatch", "unreadable"}


@pytest.mark.parametrize(
    "address",
    [
        "=?utf-8?Q?hoang.lan=40soyte.songlam.example=00?=@hopthu.example",
        '"hoang.lan@soyte.songlam.example"@hopthu.example',
        '"hoang.lan@soyte.songlam.example,"@hopthu.example',
        '"<hoang.lan>"@hopthu.example',
    ],
)
def test_mailbox_that_reads_as_another_though_it_is_certified(address: str) -> None:
    """A careless authority certifies what some readers take for Lan's mailbox: nobody is the author then."""
    own = authority().issue("x", address, key=shared_key("p256", 60))
    found = judged(clear(PART, own, head=b"From: " + address.encode() + HEAD[HEAD.index(b"\r\n") :]))
    assert (row_of(found.verdict).name, found.verdict.reason) == ("signer_mismatch", "malformed_from")


@pytest.mark.parametrize(
    "field",
    [
        b'From: "hoang.lan@soyte.songlam.example" <ke.trom@hopthu.example>',
        b'From: "hoang.lan@soyte.songlam.example"\r\n <ke.trom@hopthu.example>',
        b"From: =?utf-8?Q?hoang=2Elan=40soyte=2Esonglam=2Eexample?= <ke.trom@hopthu.example>",
        b"From: =?utf-8?B?aG9hbmcubGFuQHNveXRlLnNvbmdsYW0uZXhhbXBsZQ==?= <ke.trom@hopthu.example>",
        b'From: "Lan <hoang.lan@soyte.songlam.example>" <ke.trom@hopthu.example>',
        b"From: ke.trom@hopthu.example (hoang.lan@soyte.songlam.example)",
        "From: hoang.lan\uff20soyte.songlam.example <ke.trom@hopthu.example>".encode(),
    ],
)
def test_display_name_that_is_another_mailbox_is_told(field: bytes) -> None:
    """Who signs as himself is verified as himself; that his display name is Lan's mailbox is noted."""
    found = judged(clear(PART, thief(), head=field + HEAD[HEAD.index(b"\r\n") :]))
    assert row_of(found.verdict).name == "verified"
    assert str(found.author) == THIEF
    assert Note("impersonation", LAN) in found.notes
    own = field.replace(b"ke.trom@hopthu.example", LAN.encode())
    assert not judged(clear(PART, lan(), head=own + HEAD[HEAD.index(b"\r\n") :])).noted("impersonation")


@pytest.mark.parametrize(
    ("certified", "author"),
    [
        ("lan@strasse.example", "lan@straße.example"),
        ("lan@xn--strae-oqa.example", "lan@strasse.example"),
        ("lan@a-b.example", "lan@a\u200d-b.example"),
        ("lan@songlam.example", "lan@SONGLAM.example.vn"),
        ("lan@songlam.example", "lan@x.songlam.example"),
        ("lan@songlam.example", '"lan "@songlam.example'),
        ("lan+x@songlam.example", "lan@songlam.example"),
        ("l.an@songlam.example", "lan@songlam.example"),
    ],
)
def test_mailboxes_that_only_look_the_same(certified: str, author: str) -> None:
    """Comparing is never looser than mail systems are: IDNA 2008 knows domains that IDNA 2003 folds into others."""
    credential = authority().issue("Lan", certified, key=shared_key("p256", 62))
    head = b"From: " + author.encode() + HEAD[HEAD.index(b"\r\n") :]
    assert verdict(clear(PART, credential, head=head)) in {"signer_mismatch", "indeterminate", "not_trusted"}


def test_bound_authority_names_no_mailbox_elsewhere() -> None:
    """A subordinate authority for one domain cannot make Lan's certificate, by no kind of name."""
    top = root("Gốc")
    bound = x509.NameConstraints([x509.RFC822Name("hopthu.example")], None)
    sub = top.issue("Riêng", ca=True, extensions=[bound])
    trust = TrustAnchors((top.certificate,), (sub.certificate,), ())

    def told(node: Node, author: str) -> str:
        head = b"From: " + author.encode() + HEAD[HEAD.index(b"\r\n") :]
        credential = Credential(node.key, node.certificate.der, ())
        return verdict(clear(PART, credential, head=head), trust=trust)

    def names(*found: x509.GeneralName) -> list[x509.ExtensionType]:
        return [x509.SubjectAlternativeName(found)]

    assert told(sub.issue("x", extensions=names(x509.RFC822Name(THIEF))), THIEF) == "verified"
    assert told(sub.issue("x", extensions=names(x509.RFC822Name(LAN))), LAN) == "not_trusted"
    assert told(sub.issue("x", email=LAN), LAN) == "not_trusted"
    assert told(sub.issue("x", email=LAN, extensions=names(x509.DNSName("hopthu.example"))), LAN) == "not_trusted"
    foreign = "sếp@soyte.songlam.example"
    assert told(sub.issue("x", extensions=names(utf8_mailbox(foreign))), foreign) == "not_trusted"
    assert told(sub.issue("x", extensions=names(utf8_mailbox(LAN))), LAN) == "signer_mismatch"


def test_inner_author_of_somebody_else() -> None:
    """The thief's own good signature around Lan's words, for readers that show the inner header."""
    own = b"From: " + THIEF.encode() + HEAD[HEAD.index(b"\r\n") :]
    assert verdict(clear(PART, thief(), head=own)) == "verified"
    for inner in (
        b"From: " + LAN.encode() + b'\r\nContent-Type: text/plain; hp="clear"\r\n\r\nx\r\n',
        b"From: " + LAN.encode() + b"\r\nContent-Type: text/plain\r\n\r\nx\r\n",
        b"From : " + LAN.encode() + b'\r\nContent-Type: text/plain; hp="clear"\r\n\r\nx\r\n',
        b"Content-Type: message/rfc822\r\n\r\n" + ASCII,
        clear_entity(b"Content-Type: message/rfc822\r\n\r\n" + ASCII, detached(PART, lan()), boundary="in"),
    ):
        assert verdict(clear(inner, thief(), head=own)) == "signer_mismatch"


def test_our_own_signature_is_no_better() -> None:
    """What the gateway signs is judged like anything else."""
    message = signed(ASCII, lan())
    assert verdict(message) == "verified"
    assert verdict(message.replace(b"Da co", b"Chua co")) == "invalid"
    assert verdict(signed(ASCII, binh())) == "signer_mismatch"

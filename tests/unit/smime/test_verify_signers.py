"""Who signed, and who is the author: conditions 9 to 15 of the argument."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

import pytest
from asn1crypto import algos, cms
from asn1crypto.cms import ContentInfo
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.message import Message
from gateway.core.verdict import (
    VERDICTS,
    ChainState,
    Encrypted,
    Indeterminate,
    Invalid,
    NotTrusted,
    Partial,
    SignatureState,
    SignerMismatch,
    Unreadable,
    Unsigned,
    row_of,
)
from gateway.demo.authority import Authority, Credential, shared_key
from gateway.mime.fields import read_header
from gateway.pki.certificate import Certificate
from gateway.pki.path import Revocation, TrustAnchors
from gateway.smime.argument import ARGUMENT, Finding, gravest
from gateway.smime.identity import Who, identified
from support.letters import (
    ASCII,
    BINH,
    HEAD,
    LAN,
    NOW,
    authority,
    binh,
    clear,
    clear_entity,
    detached,
    judged,
    lan,
    mail,
    signed,
    text_part,
)
from support.rooms import REGISTRY

PART = text_part("Chuyen 5 trieu dong.")
GOOD = ("verified", "verified")
FROM = HEAD.split(b"\r\n", maxsplit=1)[0]


def told(message: bytes, **world: object) -> tuple[str, str]:
    found = judged(message, **world)  # type: ignore[arg-type]
    return row_of(found.verdict).name, found.verdict.reason


def issue(mailbox: str | None, **parts: object) -> Credential:
    """Return a credential with a key of its own, other than Lan's."""
    return authority().issue("Người Ký", mailbox, key=shared_key("p256", 3), **parts)  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def good() -> bytes:
    message = clear(PART, lan())
    assert told(message) == GOOD
    return message


# --- the CMS and its signers ---


def edited(change: object, *, of: bytes = b"") -> bytes:
    """Return the good message with its SignedData changed."""
    info = ContentInfo.load(of or detached(PART, lan()))
    change(info["content"])  # type: ignore[operator]
    return mail(clear_entity(PART, info.dump(force=True)))


def test_no_signers() -> None:
    """Condition 9: a SignedData without signers is never good."""
    good()
    assert told(edited(lambda data: data.__setitem__("signer_infos", [])))[0] == "invalid"


def test_limits_of_the_cms_are_no_forgeries() -> None:
    """Condition 7: what is over a limit, or encoded in an unknown way, is unreadable; what is broken is invalid."""
    five = edited(lambda data: data.__setitem__("signer_infos", [*data["signer_infos"]] * 5))
    assert told(five) == ("unreadable", "too_many_signers")
    many = edited(lambda data: data.__setitem__("certificates", [*data["certificates"]] * 11))
    assert told(many) == ("unreadable", "too_many_certificates")
    odd = good().replace(b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: x-uuencode")
    assert told(odd) == ("unreadable", "unknown_encoding")


def test_signer_certificate_missing() -> None:
    """Condition 10: without the certificate nothing can be said; given from elsewhere it completes the message."""
    good()
    message = edited(lambda data: data.__setitem__("certificates", []))
    found = judged(message)
    assert (row_of(found.verdict).name, found.verdict.reason) == ("indeterminate", "no_signer_certificate")
    assert (found.chain, found.signature) == (ChainState.INDETERMINATE, SignatureState.NONE)
    assert told(message, untrusted=[lan().certificate, *lan().chain]) == GOOD


def test_leaf_only_is_completed_from_pinned_intermediates() -> None:
    """Government tokens embed only the leaf: pinned intermediates complete the path, their absence is no proof."""
    leaf_only = Credential(lan().key, lan().certificate, ())
    message = clear(PART, leaf_only)
    assert told(message)[0] == "indeterminate"
    root = (Certificate.load(authority().root),)
    pinned = TrustAnchors(root, (Certificate.load(authority().intermediate),), ())
    assert told(message, trust=pinned) == GOOD


def both(first: Credential, second: Credential, *, second_part: bytes = PART) -> bytes:
    """Return a message with two signers; the second one may have signed something else."""
    other = ContentInfo.load(detached(second_part, second))["content"]

    def add(data: cms.SignedData) -> None:
        data["signer_infos"] = [*data["signer_infos"], *other["signer_infos"]]
        data["certificates"] = [*data["certificates"], *other["certificates"]]
        data["digest_algorithms"] = cms.DigestAlgorithms([algos.DigestAlgorithm({"algorithm": "sha256"})])

    return edited(add, of=detached(PART, first))


def test_every_signer_must_be_good() -> None:
    """Condition 11: an appended signer that is broken, or is somebody else, turns green off (no any-of)."""
    twin = issue(LAN)
    assert told(both(lan(), twin)) == GOOD
    assert told(both(lan(), twin, second_part=b"else"))[0] == "invalid"
    assert told(both(lan(), binh())) == ("signer_mismatch", "cosigner_is_not_author")
    stranger = Authority(NOW, family=1).issue("Người Lạ", LAN, key=shared_key("p256", 4))
    assert told(both(lan(), stranger))[0] in {"not_trusted", "indeterminate"}


@pytest.mark.parametrize("position", [5, 40, 60])
def test_changed_content(position: int) -> None:
    """Condition 11: one changed octet of the signed part is enough, in its header or its text."""
    message = good()
    at = message.index(b"Content-Type: text/plain") + position
    assert told(message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]) == ("invalid", "digest_mismatch")


def test_changed_signature_value() -> None:
    """Condition 11: the content may be intact, and the signature not the signer's."""

    def change(data: cms.SignedData) -> None:
        value = data["signer_infos"][0]["signature"].native
        data["signer_infos"][0]["signature"] = value[:-1] + bytes([value[-1] ^ 1])

    found = judged(edited(change))
    assert (row_of(found.verdict).name, found.verdict.reason) == ("invalid", "bad_signature")
    assert found.signature is SignatureState.INVALID
    assert found.chain is ChainState.VALID


# --- the path ---


def test_without_anchors_nothing_is_verified() -> None:
    """Condition 12: no trust store, nothing green (R27)."""
    found = judged(good(), trust=TrustAnchors((), (), ()))
    assert (row_of(found.verdict).name, found.verdict.reason) == ("indeterminate", "no_trust_anchors")
    assert found.signature is SignatureState.VALID


def test_path_states_are_told_apart() -> None:
    """Condition 12: another root under the same name, expiry, another purpose, revocation, missing data."""
    good()
    stranger = Authority(NOW, family=1)
    credential = stranger.issue("Hoàng Thị Lan", LAN, key=shared_key("p256", 5))
    rooted = Credential(credential.key, credential.certificate, (*credential.chain, stranger.root))
    assert told(clear(PART, rooted))[0] in {"not_trusted", "indeterminate"}
    late = NOW + dt.timedelta(days=5 * 365)
    assert told(good(), at=late)[0] == "not_trusted"
    assert told(good(), at=NOW - dt.timedelta(days=60))[0] == "not_trusted"
    server = issue(LAN, usages=[ExtendedKeyUsageOID.SERVER_AUTH])
    assert told(clear(PART, server))[0] == "not_trusted"
    assert told(good(), revocation=Revocation.HARD)[0] == "indeterminate"
    assert told(good(), revocation=Revocation.HARD, crls=authority().revocation_lists()) == GOOD
    revoked = authority().revocation_lists((lan().certificate,))
    assert told(good(), revocation=Revocation.HARD, crls=revoked)[0] == "not_trusted"
    assert told(good(), revocation=Revocation.SOFT, crls=revoked)[0] == "not_trusted"
    assert told(good(), revocation=Revocation.SOFT) == GOOD


def test_chain_and_signature_ignore_the_author() -> None:
    """Chain and signature are facts beside the verdict: a stranger's good signature is good."""
    found = judged(clear(PART, binh()))
    assert (row_of(found.verdict).name, found.verdict.reason) == ("signer_mismatch", "signer_is_not_author")
    assert (found.chain, found.signature) == (ChainState.VALID, SignatureState.VALID)
    assert found.verdict.signers[0].addresses == (BINH,)


def test_signer_is_described() -> None:
    """What a reader is shown of the signer comes from the certificate, the agency from the registry."""
    message = Message.of(good())
    found = identified(judged(message), read_header(message), Who(REGISTRY, frozenset()))
    (signer,) = found.verdict.signers
    assert "Hoàng Thị Lan" in signer.subject
    assert "CA phục vụ các cơ quan Nhà nước G2" in signer.issuer
    assert signer.addresses == (LAN,)
    assert signer.agency == "Sở Y tế"
    assert signer.claimed_signing_time == NOW
    assert signer.fingerprint == Certificate.load(lan().certificate).fingerprint


# --- the author ---


@pytest.mark.parametrize(
    "field",
    [
        b"From: hoang.lan@soyte.songlam.example",
        b"From: <HOANG.LAN@SoYTe.SONGLAM.example>",
        b'From: "Hoang \\"Lan\\"" (So Y te) <hoang.lan@soyte.songlam.example>',
        b"From: Ho\xc3\xa0ng Th\xe1\xbb\x8b Lan <hoang.lan@soyte.songlam.example>",
        b'From: "boss@songlam.example" <hoang.lan@soyte.songlam.example>',
        b"from:\r\n hoang.lan@soyte.songlam.example",
    ],
)
def test_author_is_named(field: bytes) -> None:
    """Condition 14: the mailbox counts, however it is written; a display name never does."""
    assert told(good().replace(FROM, field)) == GOOD


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (b"From: boss@songlam.example", "signer_is_not_author"),
        (b'From: "hoang.lan@soyte.songlam.example" <boss@songlam.example>', "signer_is_not_author"),
        (b"From: hoang.lan@soyte.songlam.example <boss@songlam.example>", None),
        (b"From: boss@songlam.example\r\nFrom: hoang.lan@soyte.songlam.example", "several_from"),
        (b"From: hoang.lan@soyte.songlam.example\r\nfrom : boss@songlam.example", "several_from"),
        (b"From: hoang.lan@soyte.songlam.example, boss@songlam.example", "several_from_mailboxes"),
        (b"From: Nhom: hoang.lan@soyte.songlam.example;", "malformed_from"),
        (b"From: <@x.example:hoang.lan@soyte.songlam.example>", None),
        (b"From: hoang.lan@soyte.songlam.example\x00boss", None),
        (b"From: =?utf-8?q?hoang.lan=40soyte.songlam.example?= <boss@songlam.example>", "signer_is_not_author"),
        (b"From: <hoang.lan@soyte.songlam.example> <boss@songlam.example>", "malformed_from"),
        (b"From: hoang.lan@soyte.songlam.example.boss.example", "signer_is_not_author"),
        (b"From: hoang.lan@so\xd1\x83te.songlam.example", "signer_is_not_author"),
        (b"From:", None),
        (b"Sender: hoang.lan@soyte.songlam.example", "no_from"),
    ],
)
def test_author_is_not_named(field: bytes, reason: str | None) -> None:
    """Conditions 13 and 14: a From that names somebody else, nobody, or several is never green."""
    verdict, found = told(good().replace(FROM, field))
    assert verdict in {"signer_mismatch", "unreadable"}
    assert reason is None or found == reason


def test_legacy_address_only_without_alternative_name() -> None:
    """Condition 14: the subject's E counts where the certificate has no other address (RFC 8550 3)."""
    assert told(clear(PART, issue(None, subject_mailbox=LAN))) == GOOD
    assert told(clear(PART, issue(BINH, subject_mailbox=LAN))) == ("signer_mismatch", "signer_is_not_author")
    assert told(clear(PART, issue(None))) == ("signer_mismatch", "certificate_without_address")
    assert told(clear(PART, issue(BINH, more_mailboxes=[LAN]))) == GOOD


def test_international_domain() -> None:
    """Condition 14: a domain is the same as A-label and as U-label, in any case; another domain is another."""
    head = HEAD.replace(FROM, "From: lan@sông.example".encode())
    credential = issue("lan@XN--sng-kna.example")  # RFC 3492 of "sông"
    assert told(clear(PART, credential, head=head)) == GOOD
    spelled = HEAD.replace(FROM, b"From: lan@xn--sng-kna.example")
    assert told(clear(PART, credential, head=spelled)) == GOOD
    other = HEAD.replace(FROM, "From: lan@sống.example".encode())
    assert told(clear(PART, credential, head=other)) == ("signer_mismatch", "signer_is_not_author")


def test_label_that_is_no_international_domain() -> None:
    """Condition 12: a certificate whose A-label decodes to nothing cannot be judged, and is not green."""
    head = HEAD.replace(FROM, b"From: lan@xn--st-lla.example")
    assert told(clear(PART, issue("lan@xn--st-lla.example"), head=head))[0] == "indeterminate"


# --- the argument itself ---


def test_conditions_are_numbered_without_gaps() -> None:
    """The argument is a list that can be quoted by number."""
    assert [each.number for each in ARGUMENT] == list(range(1, len(ARGUMENT) + 1))


KINDS = [Invalid, Unreadable, Encrypted, NotTrusted, Indeterminate, Partial, SignerMismatch, Unsigned]


@given(st.lists(st.sampled_from(KINDS), min_size=1))
def test_gravest_follows_the_table(kinds: list[type]) -> None:
    """The verdict that takes precedence in the table wins, in whatever order conditions failed."""
    findings = [Finding(1, kind, "x") for kind in kinds]
    order = [row.kind for row in VERDICTS]
    found = gravest(findings)
    assert found is not None
    assert order.index(found.kind) == min(order.index(kind) for kind in kinds)
    assert gravest([]) is None


def test_our_signature_of_a_pss_or_ec_key_is_described() -> None:
    """The algorithm is named for people."""
    for shape in ("rsa2048", "p256", "p384"):
        found = judged(signed(ASCII, lan(shape)))
        assert row_of(found.verdict).name == "verified", found.verdict.reason
        assert found.verdict.signers[0].algorithm

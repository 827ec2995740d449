"""What has to be fetched before a message can be judged: for good signatures only, and bounded."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from gateway.core.message import Message
from gateway.demo.authority import Credential
from gateway.pki.path import Revocation, TrustAnchors
from gateway.smime.verify import Trust, judge, needs_of, open_message
from support.forger import Forger, signed_data
from support.letters import ASCII, LAN, NOW, clear, clear_entity, mail, text_part
from support.tree import Node, root

if TYPE_CHECKING:
    from gateway.pki.needs import Needs

PART = text_part("Chuyen 5 trieu dong.")
TOP = root()


def leaf(host: str, issuer: Node = TOP) -> Node:
    """Return a certificate of Lan's that names where to ask about it."""
    uri = x509.UniformResourceIdentifier(f"http://{host}/ocsp")
    points = [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, uri)]
    names = x509.SubjectAlternativeName([x509.RFC822Name(LAN)])
    return issuer.issue("Lan", extensions=[names, x509.AuthorityInformationAccess(points)])


def credential(node: Node) -> Credential:
    return Credential(node.key, node.certificate.der, ())


def needs(message: bytes, *, crls: tuple[bytes, ...] = (), revocation: Revocation = Revocation.HARD) -> Needs:
    return needs_of(open_message(Message.of(message)), trust(crls, revocation))


def trust(crls: tuple[bytes, ...] = (), revocation: Revocation = Revocation.HARD) -> Trust:
    return Trust(TrustAnchors((TOP.certificate,), (), ()), (), crls, NOW, revocation)


def test_state_of_the_signer_is_asked_for_once() -> None:
    """A good signature needs the state of its certificate; with a fresh list at hand nothing is needed."""
    signer = leaf("a.example")
    message = clear(PART, credential(signer))
    (asked,) = needs(message).statuses
    assert (asked.certificate, asked.ocsp) == (signer.certificate.der, ("http://a.example/ocsp",))
    assert not needs(message, revocation=Revocation.OFF)
    fresh = (TOP.revocation_list(),)
    assert not needs(message, crls=fresh)
    assert judge(open_message(Message.of(message)), trust(fresh)).broken == ()


def test_nothing_is_fetched_for_what_is_no_good_signature() -> None:
    """Whoever sends broken signatures, or none, makes nobody fetch anything."""
    message = clear(PART, credential(leaf("a.example")))
    assert needs(message).statuses
    assert not needs(message.replace(b"5 trieu", b"9 trieu"))
    assert not needs(ASCII)
    anchorless = Trust(TrustAnchors((), (), ()), (), (), NOW, Revocation.HARD)
    assert not needs_of(open_message(Message.of(message)), anchorless)


def test_needs_of_all_signers_are_joined_and_bounded() -> None:
    """Each signer's certificate is asked about, the same one once."""
    signers = [leaf(f"host{number}.example") for number in range(3)]
    forgers = [Forger(credential(each)) for each in (*signers, signers[0])]
    cms = signed_data([each.info(PART) for each in forgers], certificates=[each.certificate.der for each in signers])
    found = needs(mail(clear_entity(PART, cms)))
    assert [each.ocsp for each in found.statuses] == [(f"http://host{number}.example/ocsp",) for number in range(3)]


def test_lists_that_came_along_are_no_reason_not_to_ask() -> None:
    """A revoked signer sends a list from before, still in date: fresh data are asked for all the same, and win."""
    signer = leaf("a.example")
    before, now = TOP.revocation_list(), TOP.revocation_list(signer.certificate)
    cms = Forger(credential(signer)).cms(PART, crls=(before,))
    message = mail(clear_entity(PART, cms))
    assert judge(open_message(Message.of(message)), trust()).broken == ()
    assert needs(message).statuses
    assert [each.reason for each in judge(open_message(Message.of(message)), trust((now,))).broken] == ["revoked"]


@pytest.mark.parametrize(("hours", "reason"), [(3, None), (5, "no_revocation_data")])
def test_a_list_that_came_along_clears_nobody_for_long(hours: int, reason: str | None) -> None:
    """A signer whose key was stolen yesterday sends the list of the day before, in date for a week, and keeps all
    responders from answering: it counts no longer than one that we fetched ourselves.
    """  # noqa: D205 - the rule needs two lines
    signer = leaf("a.example")
    before = TOP.revocation_list(start=NOW - dt.timedelta(hours=hours))
    message = mail(clear_entity(PART, Forger(credential(signer)).cms(PART, crls=(before,))))
    anchors = TrustAnchors((TOP.certificate,), (), (), attached_age=dt.timedelta(hours=4))
    found = judge(open_message(Message.of(message)), Trust(anchors, (), (), NOW, Revocation.HARD))
    assert [each.reason for each in found.broken] == ([] if reason is None else [reason])


def test_an_old_list_that_came_along_still_revokes() -> None:
    """What it says against somebody does not wear off, and no fresher one from elsewhere is needed to hear it."""
    signer = leaf("a.example")
    before = TOP.revocation_list(signer.certificate, start=NOW - dt.timedelta(days=3))
    message = mail(clear_entity(PART, Forger(credential(signer)).cms(PART, crls=(before,))))
    anchors = TrustAnchors((TOP.certificate,), (), (), attached_age=dt.timedelta(hours=4))
    for revocation in (Revocation.HARD, Revocation.SOFT):
        found = judge(open_message(Message.of(message)), Trust(anchors, (), (), NOW, revocation))
        assert [each.reason for each in found.broken] == ["revoked"]

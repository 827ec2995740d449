"""What would have to be fetched: asked of nobody when it is not needed, and of few when it is (RFC 5280 4.2.2.1)."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from gateway.pki.certificate import Certificate
from gateway.pki.needs import MAX_ISSUERS, MAX_STATUSES, Asked, Needs, joined, needs_of
from gateway.pki.path import Revocation, TrustAnchors
from support.answers import ocsp_answer
from support.letters import NOW
from support.tree import DAY, Node, root


def access(*ocsp: str, issuers: tuple[str, ...] = ()) -> x509.AuthorityInformationAccess:
    methods = [(AuthorityInformationAccessOID.OCSP, each) for each in ocsp]
    methods += [(AuthorityInformationAccessOID.CA_ISSUERS, each) for each in issuers]
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for method, url in methods]
    )


def points(*urls: str | x509.GeneralName) -> x509.CRLDistributionPoints:
    named = [each if isinstance(each, x509.GeneralName) else x509.UniformResourceIdentifier(each) for each in urls]
    return x509.CRLDistributionPoints([x509.DistributionPoint([each], None, None, None) for each in named])


TOP = root("Gốc")
SUB = TOP.issue("Cấp hai", ca=True, extensions=[points("http://ca.example/root.crl")])
LEAF = SUB.issue(
    "lan",
    extensions=[
        access("http://ocsp.ca.example/", issuers=("http://ca.example/sub.crt",)),
        points("http://ca.example/sub.crl", "http://pub.ca.example/sub.crl"),
    ],
).certificate
OF_SUB = Asked(SUB.certificate.der, TOP.certificate.der, (), ("http://ca.example/root.crl",))
OF_LEAF = Asked(
    LEAF.der,
    SUB.certificate.der,
    ("http://ocsp.ca.example/",),
    ("http://ca.example/sub.crl", "http://pub.ca.example/sub.crl"),
)


def needs(leaf: Certificate = LEAF, *untrusted: Certificate, **world: Any) -> Needs:
    trust = TrustAnchors(world.get("anchors", (TOP.certificate,)), world.get("pinned", (SUB.certificate,)), ())
    return needs_of(
        leaf,
        trust=trust,
        untrusted=untrusted,
        crls=world.get("crls", ()),
        ocsps=world.get("ocsps", ()),
        at=world.get("at", NOW),
        revocation=world.get("mode", Revocation.HARD),
    )


@pytest.mark.parametrize("mode", [Revocation.HARD, Revocation.SOFT])
def test_every_certificate_below_the_anchor(mode: Revocation) -> None:
    """Both modes want to know; every distribution point is named, for some hosts are reached from inside only."""
    assert needs(mode=mode) == Needs(statuses=(OF_SUB, OF_LEAF))
    assert needs(LEAF, SUB.certificate, pinned=(), mode=mode) == Needs(statuses=(OF_SUB, OF_LEAF))


def test_only_what_is_not_known() -> None:
    """Fresh good data at hand need not be fetched; stale data does, and so does what a stranger says."""
    top, sub = TOP.revocation_list(), SUB.revocation_list()
    good = ocsp_answer(LEAF, issuer=SUB)
    assert not needs(crls=(top, sub))
    assert not needs(crls=(top,), ocsps=(good,))
    assert needs(crls=(top,)) == Needs(statuses=(OF_LEAF,))
    assert needs(ocsps=(good,)) == Needs(statuses=(OF_SUB,))
    assert needs(crls=(top, SUB.revocation_list(start=NOW - 9 * DAY, end=NOW - DAY))) == Needs(statuses=(OF_LEAF,))
    assert needs(crls=(top,), ocsps=(ocsp_answer(LEAF, issuer=SUB, by=TOP),)) == Needs(statuses=(OF_LEAF,))


def test_nobody_is_asked_in_vain() -> None:
    """What is settled needs nothing: revocation off, revoked, expired, pinned, or a path that does not hold."""
    assert not needs(mode=Revocation.OFF)
    assert not needs(crls=(SUB.revocation_list(LEAF),))
    assert not needs(at=NOW + 400 * DAY)
    assert not needs(anchors=(LEAF,))
    person = SUB.issue("Người", extensions=[points("http://x.example/")])
    assert not needs(person.issue("x", extensions=[points("http://x.example/")]).certificate, person.certificate)


def test_missing_issuers() -> None:
    """Where the search ended, the authority's certificate may be fetched, even if nobody asks for revocation."""
    for mode in Revocation:
        assert needs(pinned=(), mode=mode) == Needs(issuers=("http://ca.example/sub.crt",))
    assert not needs(SUB.issue("x").certificate, pinned=())
    stranger = root("Lạ")
    assert not needs(
        stranger.issue("x", extensions=[access(issuers=("http://x.example/a",))]).certificate, stranger.certificate
    )


def test_missing_issuers_of_those_where_the_search_ended() -> None:
    """Of the uppermost, not of those below it whose issuer is there."""
    middle = TOP.issue("Giữa", ca=True, extensions=[access(issuers=("http://ca.example/top.crt",))])
    below = middle.issue("x", extensions=[access(issuers=("http://ca.example/middle.crt",))]).certificate
    assert needs(below, middle.certificate, anchors=(root("Khác").certificate,)).issuers == (
        "http://ca.example/top.crt",
    )


def test_only_plain_http() -> None:
    """Directories, files, TLS and what is no URL are left out: what is fetched proves itself."""
    odd = (
        "ldap://ca.example/x", "file:///etc/passwd", "https://ca.example/x", "ftp://ca.example/x", "http://a b/",
        "http://ca.example/\n", "http://ca.example/" + "x" * 2000, "HTTP://ca.example/good",
    )  # fmt: skip
    directory = x509.DirectoryName(TOP.certificate.parsed.subject)
    leaf = SUB.issue("x", extensions=[access(*odd, issuers=odd), points(directory, *odd)]).certificate
    (asked,) = needs(leaf, crls=(TOP.revocation_list(),)).statuses
    assert asked.ocsp == asked.lists == ("HTTP://ca.example/good",)
    assert needs(leaf, pinned=()).issuers == ("HTTP://ca.example/good",)


def test_bounds() -> None:
    """However many are named, few are asked: four of each kind, eight certificates, four issuers."""
    many = tuple(f"http://h{number}.example/" for number in range(50))
    node: Node = TOP
    bag = []
    for number in range(10):
        node = node.issue(f"Bậc {number}", ca=True, extensions=[access(*many, issuers=many), points(*many)])
        bag.append(node.certificate)
    leaf = node.issue("x", extensions=[access(*many, issuers=many), points(*many[:30])]).certificate
    found = needs(leaf, *bag, anchors=(TOP.certificate,))
    assert len(found.statuses) <= MAX_STATUSES
    assert all(len(each.ocsp) <= 4 and len(each.lists) <= 4 for each in found.statuses)
    assert needs(leaf).issuers == many[:MAX_ISSUERS]
    assert joined([found, needs(), found]).statuses == (*found.statuses, OF_SUB, OF_LEAF)[:MAX_STATUSES]
    assert joined([needs(leaf), needs(pinned=()), Needs()]).issuers == many[:MAX_ISSUERS]


def test_damage_is_no_question() -> None:
    """Whatever stands in the bag, nothing is raised; what cannot be judged is not asked about."""
    for position in range(0, len(SUB.certificate.der), 9):
        octets = bytearray(SUB.certificate.der)
        octets[position] ^= 0x15
        try:
            damaged = Certificate.load(bytes(octets))
        except Exception:  # noqa: BLE001, S112 - what cannot be loaded never gets here
            continue
        assert not needs(LEAF, damaged, pinned=()).statuses

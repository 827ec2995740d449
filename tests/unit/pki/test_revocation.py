"""Revocation along a path: each certificate by itself, OCSP then lists, revoked before good (RFC 5280 6.3)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.core.verdict import ChainState
from gateway.pki.path import PathAnswer, Purpose, Revocation, TrustAnchors, validate
from support.answers import ocsp_answer
from support.letters import NOW
from support.tree import DAY, Node, root, usage

VALID, INVALID, INDETERMINATE = ChainState.VALID, ChainState.INVALID, ChainState.INDETERMINATE
HARD, SOFT, OFF = Revocation.HARD, Revocation.SOFT, Revocation.OFF
TOP = root("Gốc")
SUB = TOP.issue("Cấp hai", ca=True)
LEAF = SUB.issue("lan").certificate
RESPONDER = SUB.issue(
    "Trả lời",
    extensions=[
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), usage("digital_signature"), x509.OCSPNoCheck(),
    ],
)  # fmt: skip
GOOD_SUB = ocsp_answer(SUB.certificate, issuer=TOP)
GOOD_LEAF = ocsp_answer(LEAF, issuer=SUB)
REVOKED = ocsp.OCSPCertStatus.REVOKED


def ask(*ocsps: bytes, crls: tuple[bytes, ...] = (), mode: Revocation = HARD, **world: Any) -> PathAnswer:
    trust = TrustAnchors(world.get("anchors", (TOP.certificate,)), (SUB.certificate,), ())
    return validate(
        LEAF,
        trust=trust,
        untrusted=world.get("untrusted", ()),
        crls=crls,
        ocsps=ocsps,
        at=world.get("at", NOW),
        purpose=Purpose.EMAIL,
        revocation=mode,
    )


def told(*ocsps: bytes, **world: Any) -> tuple[ChainState, str]:
    answer = ask(*ocsps, **world)
    return answer.state, answer.reason


def test_every_certificate_needs_an_answer() -> None:
    """HARD: OCSP or a list for each below the anchor, in any mixture; for one of them is for none."""
    missing = (INDETERMINATE, "no_revocation_data")
    assert told() == told(GOOD_LEAF) == told(GOOD_SUB) == told(GOOD_LEAF, crls=(SUB.revocation_list(),)) == missing
    assert told(GOOD_SUB, GOOD_LEAF) == (VALID, "valid")
    assert told(GOOD_LEAF, crls=(TOP.revocation_list(),)) == (VALID, "valid")
    assert told(GOOD_SUB, crls=(SUB.revocation_list(),)) == (VALID, "valid")
    assert told(b"", b"x", LEAF.der, GOOD_LEAF[:-1], GOOD_SUB, GOOD_LEAF) == (VALID, "valid")


@pytest.mark.parametrize("mode", [HARD, SOFT])
def test_revoked_wins(mode: Revocation) -> None:
    """Whoever says "revoked" is believed over whoever says "good", in either order and by either kind of data."""
    bad = ocsp_answer(LEAF, issuer=SUB, status=REVOKED)
    clear, named = (TOP.revocation_list(), SUB.revocation_list()), (TOP.revocation_list(), SUB.revocation_list(LEAF))
    for ocsps in ((bad,), (GOOD_SUB, bad), (GOOD_LEAF, bad), (bad, GOOD_LEAF, GOOD_SUB)):
        assert told(*ocsps, mode=mode) == told(*ocsps, crls=clear, mode=mode) == (INVALID, "revoked")
    assert told(GOOD_SUB, GOOD_LEAF, crls=named, mode=mode) == (INVALID, "revoked")
    above = ocsp_answer(SUB.certificate, issuer=TOP, status=REVOKED)
    assert told(GOOD_SUB, above, GOOD_LEAF, crls=clear, mode=mode) == (INVALID, "issuer_revoked")
    assert told(above, bad, mode=mode) == (INVALID, "revoked")


def test_off_asks_nobody() -> None:
    """What nobody asks for is not even read."""
    assert told(ocsp_answer(LEAF, issuer=SUB, status=REVOKED), mode=OFF) == (VALID, "valid")


def test_soft_believes_what_it_has() -> None:
    """Missing and unusable answers are no obstacle; "revoked" by a stranger or of another one says nothing."""
    for each in (
        b"x",
        ocsp_answer(LEAF, issuer=SUB, until=NOW - DAY),
        ocsp_answer(LEAF, issuer=SUB, status=ocsp.OCSPCertStatus.UNKNOWN),
        ocsp_answer(LEAF, issuer=SUB, by=TOP, status=REVOKED),
        ocsp_answer(RESPONDER.certificate, issuer=SUB, status=REVOKED),
    ):
        assert told(each, mode=SOFT) == (VALID, "valid")
        assert told(each, GOOD_SUB)[0] is INDETERMINATE


def test_stale_is_told_apart_from_missing() -> None:
    """The administrator learns whether to look for data or for newer data."""
    old = ocsp_answer(LEAF, issuer=SUB, until=NOW - DAY)
    assert told(GOOD_SUB, old) == (INDETERMINATE, "stale_revocation_data")
    assert told(GOOD_SUB, old, GOOD_LEAF) == (VALID, "valid")
    assert told(GOOD_SUB, ocsp_answer(LEAF, issuer=SUB, until=None)) == (INDETERMINATE, "no_revocation_data")


def test_delegate_who_was_revoked_answers_nothing() -> None:
    """A list at hand that names the responder ends its answers, though its certificate says "nocheck"."""
    by = ocsp_answer(LEAF, issuer=SUB, by=RESPONDER)
    assert told(GOOD_SUB, by) == (VALID, "valid")
    named = SUB.revocation_list(RESPONDER.certificate, end=NOW - DAY, start=NOW - 9 * DAY)
    assert told(GOOD_SUB, by, crls=(named,)) == (INDETERMINATE, "stale_revocation_data")
    bad = ocsp_answer(LEAF, issuer=SUB, by=RESPONDER, status=REVOKED)
    assert told(GOOD_SUB, bad, crls=(SUB.revocation_list(RESPONDER.certificate),)) == (VALID, "valid")


def test_answers_speak_for_the_issuer_of_the_path_only() -> None:
    """Two authorities with one name: what one says of its number 5 says nothing about the other's."""
    twin = TOP.issue("Cấp hai", ca=True)
    assert told(GOOD_SUB, ocsp_answer(LEAF, issuer=twin)) == (INDETERMINATE, "no_revocation_data")
    assert told(ocsp_answer(LEAF, issuer=twin, status=REVOKED), mode=SOFT) == (VALID, "valid")


def test_answers_under_an_anchor_that_is_no_root() -> None:
    """Whoever pins an issuing authority itself needs its answers only."""
    assert told(GOOD_LEAF, anchors=(SUB.certificate,)) == (VALID, "valid")
    assert told(GOOD_SUB, anchors=(SUB.certificate,)) == (INDETERMINATE, "no_revocation_data")


# --- lists with a scope ---


def scoped(node: Node, *revoked: Any, critical: bool = True, **scope: Any) -> bytes:
    """Return a list with an issuing distribution point."""
    point = x509.IssuingDistributionPoint(
        full_name=scope.get("full_name"),
        relative_name=None,
        only_contains_user_certs=scope.get("users", False),
        only_contains_ca_certs=scope.get("authorities", False),
        only_some_reasons=scope.get("reasons"),
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    builder = x509.CertificateRevocationListBuilder().issuer_name(node.certificate.parsed.subject)
    builder = builder.last_update(NOW - DAY).next_update(NOW + DAY).add_extension(point, critical=critical)
    builder = builder.add_extension(x509.CRLNumber(1), critical=False)
    for each in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(each.serial_number).revocation_date(NOW - DAY)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(node.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)  # type: ignore[arg-type]


def test_lists_with_a_scope() -> None:
    """A list for users clears users, one for authorities clears no user, one for some reasons clears nobody."""
    top = TOP.revocation_list()
    some = frozenset({x509.ReasonFlags.key_compromise})
    assert told(crls=(top, scoped(SUB, users=True))) == (VALID, "valid")
    assert told(crls=(top, scoped(SUB, LEAF, users=True))) == (INVALID, "revoked")
    for unfit in (
        scoped(SUB, authorities=True),
        scoped(SUB, reasons=some),
        scoped(SUB, authorities=True, critical=False),
    ):
        assert told(crls=(top, unfit)) == (INDETERMINATE, "no_revocation_data")
        assert told(crls=(top, unfit, SUB.revocation_list())) == (VALID, "valid")
        assert told(GOOD_LEAF, crls=(top, unfit)) == (VALID, "valid")
        assert told(crls=(top, unfit), mode=SOFT) == (VALID, "valid")
    assert told(crls=(top, SUB.revocation_list(), scoped(SUB, LEAF, users=True))) == (INVALID, "revoked")


def test_lists_with_a_scope_under_an_anchor_that_is_no_root() -> None:
    """Nobody can read them there: data is missing, nothing is green."""
    world: dict[str, Any] = {"anchors": (SUB.certificate,)}
    assert told(crls=(scoped(SUB, users=True),), **world) == (INDETERMINATE, "no_revocation_data")
    assert told(crls=(SUB.revocation_list(),), **world) == (VALID, "valid")


# --- until when ---


def test_until_the_first_thing_ends() -> None:
    """An answer may be remembered until the first of what it rests on ends: data or certificates."""
    hour = dt.timedelta(hours=1)
    soon = ocsp_answer(SUB.certificate, issuer=TOP, until=NOW + hour)
    assert ask(GOOD_SUB, GOOD_LEAF).until == NOW + DAY
    assert ask(soon, GOOD_LEAF).until == NOW + hour
    assert ask(soon, GOOD_SUB, GOOD_LEAF).until == NOW + DAY  # the better of two answers
    assert ask(crls=(TOP.revocation_list(), SUB.revocation_list(end=NOW + 2 * hour))).until == NOW + 2 * hour
    last = NOW + 9000 * DAY
    wide = (ocsp_answer(SUB.certificate, issuer=TOP, until=last), ocsp_answer(LEAF, issuer=SUB, until=last))
    assert ask(*wide).until == LEAF.not_after
    assert ask(mode=OFF).until == LEAF.not_after


def test_what_must_not_be_remembered() -> None:
    """No answer but VALID, and none that lacks data which may come at any moment."""
    assert ask().until is None
    assert ask(mode=SOFT).until is None
    assert ask(GOOD_LEAF, mode=SOFT).until is None
    assert ask(GOOD_LEAF, GOOD_SUB, mode=SOFT).until == NOW + DAY
    assert ask(ocsp_answer(LEAF, issuer=SUB, status=REVOKED), mode=SOFT).until is None


@pytest.mark.parametrize("parser", ["crl", "ocsp"])
def test_what_memory_does_not_suffice_for_is_not_absent(parser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes a message large enough must not make the one thing fall out that says "revoked"."""
    named = (TOP.revocation_list(), SUB.revocation_list(LEAF))
    bad = ocsp_answer(LEAF, issuer=SUB, status=REVOKED)
    library, name = (x509, "load_der_x509_crl") if parser == "crl" else (ocsp, "load_der_ocsp_response")
    known = getattr(library, name)

    def poor(octets: bytes) -> object:
        if octets in {named[1], bad}:
            raise MemoryError
        return known(octets)

    monkeypatch.setattr(library, name, poor)
    found = ask(GOOD_SUB, GOOD_LEAF, crls=named) if parser == "crl" else ask(GOOD_SUB, GOOD_LEAF, bad)
    assert (found.state, found.reason) == (INDETERMINATE, "path_fault")

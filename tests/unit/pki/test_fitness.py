"""What a leaf may lack, and what families of anchors are believed for (RFC 8550 4.4, RFC 3161 2.3)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.core.verdict import NOTES, ChainState
from gateway.pki.certificate import Certificate
from gateway.pki.family import ANY_FAMILY, Allowance, Family, Use
from gateway.pki.path import PathAnswer, Purpose, Revocation, TrustAnchors, validate
from support.forger import raw
from support.letters import NOW
from support.tree import Node, root, usage

VALID, INVALID = ChainState.VALID, ChainState.INVALID
TOP = root("Gốc")
SUB = TOP.issue("Cấp hai", ca=True)
MAIL = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
STAMPS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])


def san(*mailboxes: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.RFC822Name(each) for each in mailboxes])


def leaf(*extensions: x509.ExtensionType, email: str | None = None) -> Certificate:
    return SUB.issue("lan", extensions=extensions, email=email).certificate


def without_extensions(email: str | None = None) -> Certificate:
    """Return a certificate of SUB without any extension."""
    made = asn1_x509.Certificate.load(SUB.issue("lan", email=email).certificate.der)
    tbs = made["tbs_certificate"]
    del tbs["extensions"]
    tbs["version"] = "v1"
    made["signature_value"] = asn1_x509.OctetBitString(raw(SUB.key, tbs.dump(force=True)))
    return Certificate.load(made.dump(force=True))


def family(**parts: Any) -> Family:
    whole: dict[str, Any] = {
        "name": "g2",
        "vietnamese": "công vụ",
        "english": "official",
        "anchors": frozenset({TOP.certificate.fingerprint}),
        "uses": frozenset(Use),
        "allowances": frozenset(),
    }
    return Family(**{**whole, **parts})


def ask(certificate: Certificate, *families: Family, purpose: Purpose = Purpose.EMAIL, **world: Any) -> PathAnswer:
    trust = TrustAnchors(world.get("anchors", (TOP.certificate,)), (SUB.certificate,), (), families)
    return validate(certificate, trust=trust, untrusted=(), crls=(), at=NOW, purpose=purpose, revocation=Revocation.OFF)


GOOD = leaf(MAIL, san("lan@tinh.example"))
BARE = leaf(san("lan@tinh.example"))
LEGACY = leaf(MAIL, email="lan@tinh.example")


def test_the_answer_names_the_family_of_its_anchor() -> None:
    """That of the anchor that the path leads to, whichever else there are; none is a family too."""
    other = family(name="other", anchors=frozenset({root("Khác").certificate.fingerprint}))
    assert ask(GOOD, other, family()).family == family()
    assert ask(GOOD, other).family == ANY_FAMILY
    assert (ask(GOOD, family()).reason, ask(GOOD, family()).notes) == ("valid", ())


@pytest.mark.parametrize(
    ("certificate", "lacks"),
    [
        (BARE, (Allowance.NO_EXTENDED_KEY_USAGE,)),
        (LEGACY, (Allowance.ADDRESS_IN_SUBJECT,)),
        (leaf(email="lan@tinh.example"), (Allowance.NO_EXTENDED_KEY_USAGE, Allowance.ADDRESS_IN_SUBJECT)),
        (without_extensions(), (Allowance.NO_EXTENSIONS,)),
        (without_extensions("lan@tinh.example"), (Allowance.NO_EXTENSIONS, Allowance.ADDRESS_IN_SUBJECT)),
        (leaf(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])), ()),
        (leaf(MAIL, san("lan@tinh.example"), email="lan@tinh.example"), ()),
    ],
    ids=["no EKU", "legacy address", "both", "no extensions", "none and legacy", "any EKU", "both addresses"],
)
def test_allowances(certificate: Certificate, lacks: tuple[Allowance, ...]) -> None:
    """Each thing that a leaf lacks needs its own allowance, and is noted when it was allowed."""
    allowed = ask(certificate, family(allowances=frozenset(lacks)))
    assert (allowed.state, allowed.notes) == (VALID, tuple(map(str, lacks)))
    assert set(allowed.notes) <= set(NOTES)
    for each in lacks:
        rest = frozenset(Allowance) - {each}
        assert (ask(certificate, family(allowances=rest)).state, ask(certificate, family(allowances=rest)).reason) == (
            INVALID,
            str(each),
        )


def test_anchors_in_no_family() -> None:
    """They let a leaf lack a usage or have its address in the subject, but not have no extensions at all."""
    assert ask(BARE).notes == ("no_extended_key_usage",)
    assert ask(LEGACY).state is VALID
    assert ask(without_extensions()).reason == "no_extensions"


def test_allowances_make_nothing_else_good() -> None:
    """A usage for something else is no missing usage; a family with every allowance forgives no fault."""
    all_of_them = family(allowances=frozenset(Allowance))
    server = leaf(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]))
    assert ask(server, all_of_them).reason == "not_for_email"
    assert ask(leaf(usage("key_encipherment")), all_of_them).reason == "not_for_signatures"


def test_an_authority_writes_no_mail() -> None:
    """Its own certificate is no signer's, whatever usages and names it has; for a question about nothing else it is."""
    below = TOP.issue("Cơ quan", ca=True, extensions=[MAIL, san("lan@tinh.example")]).certificate
    assert below.ca
    assert ask(below).reason == "signer_is_a_ca"
    assert ask(below, purpose=Purpose.OWN_KEY).reason == "signer_is_a_ca"
    assert ask(below, purpose=Purpose.ANY).state is VALID


@pytest.mark.parametrize(
    ("uses", "purpose", "reason"),
    [
        ({Use.MAIL}, Purpose.EMAIL, "valid"),
        ({Use.OWN_KEYS, Use.TIMESTAMPS}, Purpose.EMAIL, "family_use"),
        ({Use.OWN_KEYS}, Purpose.OWN_KEY, "valid"),
        ({Use.MAIL}, Purpose.OWN_KEY, "valid"),
        ({Use.TIMESTAMPS}, Purpose.OWN_KEY, "family_use"),
        (set(), Purpose.EMAIL, "family_use"),
        (set(), Purpose.ANY, "valid"),
    ],
)
def test_uses(uses: set[Use], purpose: Purpose, reason: str) -> None:
    """A family is believed for what it was set up for, and for nothing else."""
    for anchors in ((TOP.certificate,), (GOOD,)):  # the leaf itself pinned: no way round
        mine = family(uses=frozenset(uses), anchors=frozenset({anchors[0].fingerprint}))
        assert ask(GOOD, mine, purpose=purpose, anchors=anchors).reason == reason


@pytest.mark.parametrize(
    ("domains", "mailboxes", "reason"),
    [
        (("tinh.example",), ("lan@tinh.example",), "valid"),
        (("tinh.example",), ("lan@TINH.Example",), "valid"),
        (("tinh.example",), ("lan@so.tinh.example",), "family_domain"),
        (("*.tinh.example",), ("lan@so.tinh.example",), "valid"),
        (("*.tinh.example",), ("lan@tinh.example",), "family_domain"),
        (("*.tinh.example",), ("lan@xtinh.example",), "family_domain"),
        (("tinh.example",), ("lan@tinh.example", "sep@khac.example"), "family_domain"),
        ((), ("lan@khac.example",), "valid"),
    ],
)
def test_domains(domains: tuple[str, ...], mailboxes: tuple[str, ...], reason: str) -> None:
    """A family with domains names mailboxes there only: one mailbox elsewhere spoils the certificate."""
    assert ask(leaf(MAIL, san(*mailboxes)), family(domains=domains)).reason == reason


def test_domains_hold_for_every_spelling_of_an_address() -> None:
    """The address in the subject counts as well, whatever the subjectAltName says."""
    mixed = leaf(MAIL, san("lan@tinh.example"), email="sep@khac.example")
    assert ask(mixed, family(domains=("tinh.example",))).reason == "family_domain"


def stamping(*extensions: x509.ExtensionType, critical: bool = True) -> Node:
    return SUB.issue("TSA", extensions=extensions, critical=critical)


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        (stamping(STAMPS).certificate, "valid"),
        (stamping(STAMPS, critical=False).certificate, "not_for_timestamps"),
        (
            stamping(x509.ExtendedKeyUsage([*STAMPS, ExtendedKeyUsageOID.EMAIL_PROTECTION])).certificate,
            "not_for_timestamps",
        ),
        (leaf(), "not_for_timestamps"),
        (leaf(MAIL), "not_for_timestamps"),
        (stamping(STAMPS, usage("key_encipherment")).certificate, "not_for_signatures"),
    ],
    ids=["good", "not critical", "mail too", "no usage", "mail", "cannot sign"],
)
def test_timestamps(certificate: Certificate, reason: str) -> None:
    """RFC 3161 2.3: the usage is the only one, and critical; the family must be one for timestamps."""
    assert ask(certificate, family(), purpose=Purpose.TIMESTAMPS).reason == reason
    mail_only = ask(certificate, family(uses=frozenset({Use.MAIL})), purpose=Purpose.TIMESTAMPS)
    assert mail_only.reason == ("family_use" if reason == "valid" else reason)


def test_another_path_may_lead_to_a_better_family() -> None:
    """A cross-certificate from a partner's root does not take a certificate away from its own family."""
    partner = root("Đối tác")
    cross = partner.issue("Cấp hai", ca=True, key=SUB.key).certificate
    narrow = family(name="partner", anchors=frozenset({partner.certificate.fingerprint}), domains=("doitac.example",))
    trust = TrustAnchors((partner.certificate, TOP.certificate), (cross, SUB.certificate), (), (narrow, family()))
    for at in (NOW, NOW + dt.timedelta(days=1)):
        found = validate(
            GOOD, trust=trust, untrusted=(), crls=(), at=at, purpose=Purpose.EMAIL, revocation=Revocation.OFF
        )
        assert (found.state, found.family.name) == (VALID, "g2")

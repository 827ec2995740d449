"""Certificates that look like the author's and are worth nothing (Müller et al. 2019, CMS class; RFC 8550)."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.demo.authority import Authority, Credential, name, shared_key
from support.attacks import AUTHOR, REVOKED, STRANGER, Honest, head, letter, part, signer
from support.forger import Forger, signed_data
from support.gateway_process import authority
from support.letters import clear_entity
from support.stamping import stamp_over, stamped, stamper, value_of
from support.tree import root, usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.demo.authority import PrivateKey
    from support.attacks import Field

NOW: Final = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY: Final = dt.timedelta(days=1)


def made(
    key: PrivateKey,
    *,
    by: PrivateKey,
    issuer: x509.Name,
    extensions: Sequence[x509.ExtensionType],
    subject: x509.Name | None = None,
    chain: tuple[bytes, ...] = (),
) -> Credential:
    """Return a certificate of any shape that names the author."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject or name(CN="Người ký"))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 90 * DAY)
    )
    for each in extensions:
        builder = builder.add_extension(each, critical=isinstance(each, x509.KeyUsage | x509.UnrecognizedExtension))
    certificate = builder.sign(by, hashes.SHA256())  # type: ignore[arg-type]
    return Credential(key, certificate.public_bytes(serialization.Encoding.DER), chain)


def issued(*extensions: x509.ExtensionType, key: PrivateKey | None = None) -> Credential:
    """Return a certificate that the real authority issued, with these extensions only."""
    issuer = x509.load_der_x509_certificate(authority().intermediate)
    return made(
        key or shared_key("p256", 70),
        by=authority()._issuer_key,
        issuer=issuer.subject,
        extensions=extensions,
        chain=(authority().intermediate,),
    )


def names(*mailboxes: str) -> x509.SubjectAlternativeName:
    """Return alternative names."""
    return x509.SubjectAlternativeName([x509.RFC822Name(each) for each in mailboxes])


def parsed(mailbox: str = AUTHOR) -> x509.Certificate:
    """Return somebody's certificate."""
    return x509.load_der_x509_certificate(signer(mailbox).certificate)


def copied() -> Credential:
    """Return the author's names and key identifiers around a thief's key, signed by that key."""
    real, key = parsed(), shared_key("p256", 71)
    extensions = [each.value for each in real.extensions]
    return made(key, by=key, issuer=real.issuer, subject=real.subject, extensions=extensions)


def self_signed() -> Credential:
    """Return a certificate of the author's name that is its own issuer."""
    real, key = parsed(), shared_key("p256", 71)
    return made(key, by=key, issuer=real.subject, subject=real.subject, extensions=[names(AUTHOR), MAIL, SIGNING])


def other_authority(*, whole: bool) -> Credential:
    """Return a leaf below another root of the same names, which comes along or not."""
    other = Authority(NOW, family=7)
    found = other.issue("Người ký", AUTHOR, shape="p256")
    return replace(found, chain=(*found.chain, other.root)) if whole else found


def below_a_leaf() -> Credential:
    """Return a leaf that a leaf issued, who is no authority."""
    thief = signer(STRANGER)
    chain = (thief.certificate, *thief.chain)
    extensions = [names(AUTHOR), usage("digital_signature")]
    return made(
        shared_key("p256", 72), by=thief.key, issuer=parsed(STRANGER).subject, extensions=extensions, chain=chain
    )


def copied_issuer() -> Credential:
    """Return a leaf under the real authority's name, signed by a thief's key, with the real chain sent along."""
    issuer = x509.load_der_x509_certificate(authority().intermediate)
    return made(
        shared_key("p256", 73),
        by=shared_key("rsa2048", 74),
        issuer=issuer.subject,
        extensions=[names(AUTHOR), usage("digital_signature")],
        chain=(authority().intermediate, authority().root),
    )


MAIL: Final = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
SIGNING: Final = usage("digital_signature")
AUTHORITY: Final = x509.BasicConstraints(ca=True, path_length=None)

UNTRUSTED: dict[str, tuple[Callable[[], Credential], tuple[str, str]]] = {
    "signed by itself": (self_signed, ("not_trusted", "unknown_root")),
    "signed by itself under the real issuer's name": (copied, ("not_trusted", "bad_certificate_signature")),
    "another root of the same names": (lambda: other_authority(whole=True), ("not_trusted", "unknown_root")),
    "another issuer of the same names": (lambda: other_authority(whole=False), ("indeterminate", "no_path")),
    "issued by somebody's leaf": (below_a_leaf, ("not_trusted", "not_a_ca")),
    "issuer's name copied": (copied_issuer, ("not_trusted", "bad_certificate_signature")),
    "expired": (
        lambda: authority().issue("Cũ", AUTHOR, shape="p256", not_after=NOW - DAY),
        ("not_trusted", "expired"),
    ),
    "not valid yet": (
        lambda: authority().issue("Mới", AUTHOR, shape="p256", not_before=NOW + DAY),
        ("not_trusted", "not_yet_valid"),
    ),
    "for servers": (
        lambda: authority().issue("Máy", AUTHOR, shape="p256", usages=[ExtendedKeyUsageOID.SERVER_AUTH]),
        ("not_trusted", "not_for_email"),
    ),
    "for encryption only": (
        lambda: issued(names(AUTHOR), MAIL, usage("key_encipherment")),
        ("not_trusted", "not_for_signatures"),
    ),
    "an authority's own": (
        lambda: issued(names(AUTHOR), MAIL, usage("digital_signature", "key_cert_sign"), AUTHORITY),
        ("not_trusted", "signer_is_a_ca"),
    ),
    "RSA of 1024 bits": (
        lambda: issued(names(AUTHOR), MAIL, SIGNING, key=rsa.generate_private_key(65537, 1024)),  # noqa: S505
        ("not_trusted", "weak_key"),
    ),
    "with a condition that nobody knows": (
        lambda: issued(
            names(AUTHOR),
            SIGNING,
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"),
        ),
        ("not_trusted", "unknown_critical_extension"),
    ),
}


@pytest.mark.parametrize("idea", sorted(UNTRUSTED))
def test_certificates_that_lead_nowhere(field: Field, idea: str) -> None:
    """C4: names can be copied, keys cannot; what an authority did not mean for mail is not for mail."""
    forge, why = UNTRUSTED[idea]
    honest = Honest()
    credential = forge()
    forged = honest.under(clear_entity(honest.part, Forger(credential).cms(honest.part)))
    assert field.attack(honest.message, forged).why == why


def test_a_revoked_certificate(field: Field) -> None:
    """It is on the list of its issuer: the same words are good under the author's, and not under it."""
    fields = head(author=REVOKED)
    assert field.harmless(letter(fields=fields, by=signer(REVOKED))).why == ("not_trusted", "revoked")


def test_a_revoked_certificate_with_a_list_from_before(field: Field) -> None:
    """A list that still calls it good comes along, real and in date: what the gateway knows counts."""
    content = part()
    earlier = authority().revocation_lists(this_update=NOW - 2 * DAY)
    thief = signer(REVOKED)
    certificates = [thief.certificate, *thief.chain]
    cms = signed_data([Forger(thief).info(content)], certificates=certificates, crls=earlier)
    forged = head(author=REVOKED) + b"MIME-Version: 1.0\r\n" + clear_entity(content, cms)
    assert field.attack(letter(), forged).why == ("not_trusted", "revoked")


def test_an_expired_certificate_with_a_timestamp_by_nobody(field: Field) -> None:
    """A thief stamps himself: what nobody believes excuses no expiry; on a good letter it does no harm."""
    clock = stamper(root("Gốc của kẻ trộm", start=NOW - DAY, end=NOW + 90 * DAY), start=NOW - DAY, end=NOW + 9 * DAY)
    old = authority().issue("Cũ", AUTHOR, key=shared_key("rsa2048", 76), not_after=NOW - DAY)
    for credential, verdict in ((old, "not_trusted"), (signer(), "verified")):
        honest, made_by = Honest(), Forger(credential)
        token = stamp_over(clock, value_of(made_by.cms(honest.part)), NOW - 2 * DAY)
        found = field.deliver(honest.under(clear_entity(honest.part, stamped(made_by, honest.part, token))))
        assert found.verdict == verdict
        assert bool(found.greens) == (verdict == "verified")
        assert "timestamp_unusable" in found.notes


def test_false_certificates_beside_the_real_ones(field: Field) -> None:
    """A bag of look-alikes, in front of the real chain or behind it, neither helps a thief nor harms the author."""
    false = [copied().certificate, copied_issuer().certificate, self_signed().certificate, false_issuer()]
    for certificates in (
        [*false, signer().certificate, *signer().chain],
        [signer().certificate, *signer().chain, *false],
    ):
        honest = Honest()
        cms = signed_data([Forger(signer()).info(honest.part)], certificates=certificates)
        field.honest(honest.under(clear_entity(honest.part, cms)))


def false_issuer() -> bytes:
    """Return an authority of the real issuer's name and key identifier around a thief's key."""
    real, key = x509.load_der_x509_certificate(authority().intermediate), shared_key("p256", 77)
    extensions = [each.value for each in real.extensions]
    return made(key, by=key, issuer=real.issuer, subject=real.subject, extensions=extensions).certificate


ELSEWHERE: dict[str, tuple[x509.Name | None, tuple[x509.GeneralName, ...], tuple[str, str]]] = {
    "another mailbox": (None, (x509.RFC822Name(STRANGER),), ("signer_mismatch", "signer_is_not_author")),
    "the domain, as a server's name": (
        None,
        (x509.DNSName("thanhha.example"),),
        ("signer_mismatch", "certificate_without_address"),
    ),
    "the domain alone": (
        None,
        (x509.RFC822Name("thanhha.example"),),
        ("signer_mismatch", "certificate_without_address"),
    ),
    "the address as a web page": (
        None,
        (x509.UniformResourceIdentifier(f"mailto:{AUTHOR}"),),
        ("signer_mismatch", "certificate_without_address"),
    ),
    "the author's address in the common name": (
        name(CN=AUTHOR),
        (x509.RFC822Name(STRANGER),),
        ("signer_mismatch", "signer_is_not_author"),
    ),
    "the author's in the subject, another in the alternative name": (
        name(CN="Người ký", E=AUTHOR),
        (x509.RFC822Name(STRANGER),),
        ("signer_mismatch", "signer_is_not_author"),
    ),
    "NUL behind the address": (
        None,
        (x509.RFC822Name(f"{AUTHOR}\0.congty.example"),),
        ("signer_mismatch", "certificate_without_address"),
    ),
    "the address as the beginning of another": (
        None,
        (x509.RFC822Name(f"{AUTHOR}.congty.example"),),
        ("signer_mismatch", "signer_is_not_author"),
    ),
    "the address behind another local part": (
        None,
        (x509.RFC822Name(f'"{AUTHOR} "@congty.example'),),
        ("signer_mismatch", "signer_is_not_author"),
    ),
    "in a wildcard, which is a mailbox like any other of the agency": (
        None,
        (x509.RFC822Name("*@thanhha.example"),),
        ("verified_lesser", "same_agency"),
    ),
    "in a wildcard of everybody": (None, (x509.RFC822Name("*"),), ("signer_mismatch", "certificate_without_address")),
}


@pytest.mark.parametrize("idea", sorted(ELSEWHERE))
def test_certificates_of_somebody_else(field: Field, idea: str) -> None:
    """A real certificate of the same authority: only an address in the place for addresses is one (RFC 8550 3)."""
    subject, others, why = ELSEWHERE[idea]
    issuer = x509.load_der_x509_certificate(authority().intermediate)
    credential = made(
        shared_key("p256", 75),
        by=authority()._issuer_key,
        issuer=issuer.subject,
        subject=subject,
        extensions=[x509.SubjectAlternativeName(others), MAIL, SIGNING],
        chain=(authority().intermediate,),
    )
    honest = Honest()
    forged = honest.under(clear_entity(honest.part, Forger(credential).cms(honest.part)))
    assert field.attack(honest.message, forged).why == why

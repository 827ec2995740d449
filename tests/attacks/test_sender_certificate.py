"""Certificates of the trusted authority that nearly name the author: which mailbox a signer may speak for.

An authority that is asked for one name and signs another, odd one must not thereby let somebody speak for an agency.
Each letter differs from one that was verified just before in nothing but the names of its certificate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.cms.asn1 import tlv
from gateway.demo.authority import Credential
from support.attacks import AUTHOR, STRANGER, head, letter
from support.bombs import trusted
from support.gateway_process import authority
from support.tree import DAY, usage, utf8_mailbox

if TYPE_CHECKING:
    from support.attacks import Delivered, Field

LOCAL, DOMAIN = AUTHOR.split("@")


def names(*found: x509.GeneralName) -> x509.ExtensionType:
    """Return a subjectAltName."""
    return x509.SubjectAlternativeName(found)


def raw(*octets: bytes, tag: int = 0x81) -> x509.ExtensionType:
    """Return a subjectAltName of rfc822Names with any octets in them."""
    der = tlv(0x30, b"".join(tlv(tag, each) for each in octets))
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), der)


def signed_by(extensions: list[x509.ExtensionType], *, name: str = "Người ký", email: str | None = None) -> bytes:
    """Return a letter of the author's From, signed with a certificate of these names."""
    leaf = trusted().issue(
        name,
        email=email,
        extensions=[
            usage("digital_signature"),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]),
            *extensions,
        ],
        start=authority().now - DAY,
        end=authority().now + 90 * DAY,
    )
    by = Credential(leaf.key, leaf.certificate.der, (authority().intermediate,))
    return letter(fields=head(), by=by)


def attack(field: Field, extensions: list[x509.ExtensionType], **how: str) -> Delivered:
    """Deliver a letter whose certificate names the author, and then one whose certificate does so."""
    field.honest(signed_by([names(x509.RFC822Name(AUTHOR))]))
    return field.harmless(signed_by(extensions, **how))


OTHER: Final = x509.RFC822Name(STRANGER)
NAMES: Final[dict[str, list[x509.ExtensionType]]] = {
    "somebody else": [names(OTHER)],
    "a web page": [names(OTHER, x509.UniformResourceIdentifier(f"mailto:{AUTHOR}"))],
    "a host": [names(OTHER, x509.DNSName(DOMAIN))],
    "a directory name": [
        names(OTHER, x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, AUTHOR)])))
    ],
    "another domain's mailbox": [names(x509.RFC822Name(f"{LOCAL}@congty.example"))],
    "a domain below": [names(x509.RFC822Name(f"{LOCAL}@x.{DOMAIN}"))],
    "Cyrillic, as UTF-8 mailbox": [names(utf8_mailbox(AUTHOR.replace("a", "\u0430")))],
    "full-width, as UTF-8 mailbox": [names(utf8_mailbox(AUTHOR.replace("v", "\uff56")))],
    "full-width domain, as UTF-8 mailbox": [names(utf8_mailbox(f"{LOCAL}@\uff54hanhha.example"))],
    "soft hyphen, as UTF-8 mailbox": [names(utf8_mailbox(f"{LOCAL}@thanh\u00adha.example"))],
    "another other name": [names(x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x03a@b"))],
}
OCTETS: Final[dict[str, bytes]] = {
    "NUL at the end": f"{AUTHOR}\0".encode(),
    "NUL and another domain": f"{AUTHOR}\0.congty.example".encode(),
    "NUL in front": f"\0{AUTHOR}".encode(),
    "line end": f"{AUTHOR}\n{STRANGER}".encode(),
    "blank at the end": f"{AUTHOR} ".encode(),
    "blank in front": f" {AUTHOR}".encode(),
    "angles": f"<{AUTHOR}>".encode(),
    "display name": f"Van phong <{AUTHOR}>".encode(),
    "comment": f"{AUTHOR} (Van phong)".encode(),
    "list": f"{STRANGER},{AUTHOR}".encode(),
    "list, blanks": f"{STRANGER} {AUTHOR}".encode(),
    "scheme": f"mailto:{AUTHOR}".encode(),
    "route": f"@a.example:{AUTHOR}".encode(),
    "everybody of the domain": f"*@{DOMAIN}".encode(),
    "the domain": DOMAIN.encode(),
    "all below": f".{DOMAIN}".encode(),
    "only the domain part": f"@{DOMAIN}".encode(),
    "dot at the end": f"{AUTHOR}.".encode(),
    "two ats": f"{AUTHOR}@congty.example".encode(),
    "quoted mailbox": f'"{AUTHOR}"@congty.example'.encode(),
    "encoded word": b"=?utf-8?Q?vanphong?=@thanhha.example",
    "UTF-16": AUTHOR.encode("utf-16-be"),
    "empty": b"",
}
SUBJECTS: Final[dict[str, dict[str, str]]] = {
    "as common name": {"name": AUTHOR},
    "in the common name": {"name": f"Van phong <{AUTHOR}>"},
    "legacy attribute beside another name": {"email": AUTHOR},
}


@pytest.mark.parametrize("name", NAMES)
def test_other_kinds_of_names(field: Field, name: str) -> None:
    """Only rfc822Name and SmtpUTF8Mailbox are mailboxes (RFC 8550 3, RFC 9598)."""
    found = attack(field, NAMES[name])
    assert found.verdict in {"signer_mismatch", "verified_lesser"}


@pytest.mark.parametrize("name", OCTETS)
def test_octets_in_a_mailbox(field: Field, name: str) -> None:
    """What is no mailbox, letter for letter, is nobody's; what stands beside it does not help."""
    for extension in (raw(OCTETS[name]), raw(OCTETS[name], STRANGER.encode())):
        found = attack(field, [extension])
        assert found.verdict in {"signer_mismatch", "not_trusted", "indeterminate", "unreadable", "verified_lesser"}


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_subject_where_there_are_other_names(field: Field, name: str) -> None:
    """A subjectAltName with a mailbox outdates what the subject says; a common name is never a mailbox."""
    found = attack(field, [names(OTHER)], **SUBJECTS[name])
    assert found.verdict in {"signer_mismatch", "verified_lesser"}


def test_a_common_name_alone(field: Field) -> None:
    """Without any mailbox a certificate speaks for none."""
    found = attack(field, [], name=AUTHOR)
    assert found.why == ("signer_mismatch", "certificate_without_address")


@pytest.mark.parametrize("extra", [b"\0", b"\n", b" ", b","])
def test_octets_in_the_legacy_attribute(field: Field, extra: bytes) -> None:
    """Old certificates have their mailbox in the subject: the same letters, or it is none."""
    field.honest(signed_by([], email=AUTHOR))
    found = field.harmless(signed_by([], email=AUTHOR + extra.decode() + "congty.example"))
    assert found.verdict in {"signer_mismatch", "invalid", "not_trusted", "unreadable"}


def test_many_names_and_one_of_them_the_authors(field: Field) -> None:
    """A functional mailbox with several addresses is the author's own certificate."""
    found = field.honest(signed_by([names(OTHER, x509.RFC822Name(AUTHOR))]))
    assert found.verdict == "verified"

"""Naming agencies: by fingerprint, mailbox, domain and subject, and every mistake of the file with its place."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gateway.agencies.registry import Registry
from gateway.core.address import Mailbox
from gateway.core.errors import SetupError
from gateway.demo.authority import shared_key
from gateway.pki.certificate import Certificate
from support.letters import authority

TEXT = """\
agencies:
  - id: soyte
    name: Sở Y tế
    english: Department of Health
    mailboxes: [soyte@songlam.example, "YTE.Van-Thu@songlam.example"]
    domains: ["@soyte.songlam.example", "@ytế.example"]
    subjects:
      - {organization: SỞ Y TẾ, domain: "@songlam.example"}
      - {organization: TỈNH SÔNG LAM, unit: Phòng "A", domain: songlam.example}
  - id: vanphong
    name: Văn phòng
    mailboxes: vanphong@soyte.songlam.example
    fingerprints: ["AB:%s"]
""" % ":".join(["AB"] * 31)  # noqa: UP031 - braces stand in the text
NAMES = Registry.load("agencies.yaml", TEXT)


@dataclass(frozen=True)
class Claims:
    """A certificate's names without a certificate."""

    san_addresses: tuple[str, ...] = ()
    legacy_addresses: tuple[str, ...] = ()
    subject: str = ""
    fingerprint: str = "00" * 32


@pytest.mark.parametrize(
    ("certificate", "name"),
    [
        (Claims(("soyte@songlam.example",)), "Sở Y tế"),
        (Claims(("SoYTe@SongLam.Example",)), "Sở Y tế"),
        (Claims(("yte.van-thu@songlam.example",)), "Sở Y tế"),
        (Claims(("anybody@soyte.songlam.example",)), "Sở Y tế"),
        (Claims(("a@xn--yt-zlz.example".replace("xn--yt-zlz", "ytế".encode("idna").decode()),)), "Sở Y tế"),
        (Claims(("vanphong@soyte.songlam.example",)), "Văn phòng"),
        (Claims((), ("soyte@songlam.example",)), "Sở Y tế"),
        (Claims(("x@other.example",), ("soyte@songlam.example",)), None),
        (Claims(("x@other.example", "soyte@songlam.example")), "Sở Y tế"),
        (Claims(("soyte@songlam.example", "vanphong@soyte.songlam.example")), None),
        (Claims(("soyte@songlam.example",), fingerprint="ab" * 32), "Văn phòng"),
        (Claims(subject="C=VN, CN=Sở Y tế"), None),
        (Claims(("x@other.example",), subject="C=VN, O=SỞ Y TẾ, CN=Sở Y tế"), None),
        (Claims(subject="C=VN, O=SỞ Y TẾ, CN=x"), None),
        (Claims(("lan@songlam.example",), subject="C=VN, O=sở y tế, CN=x"), "Sở Y tế"),
        (Claims(("lan@songlam.example",), subject="C=VN, O=SỞ Y TẾ TỈNH, CN=x"), None),
        (Claims(("lan@songlam.example",), subject="C=VN, CN=x\\, O\\=SỞ Y TẾ"), None),
        (Claims(("lan@songlam.example",), subject='O=Tỉnh Sông Lam, OU=Phòng \\"A\\", CN=x'), "Sở Y tế"),
        (Claims(("lan@songlam.example",), subject="O=TỈNH SÔNG LAM, CN=x"), None),
        (Claims(("lan@sub.songlam.example",), subject="O=SỞ Y TẾ"), None),
        (Claims(("lan@songlam.example",), subject="C=VN, 1.2.3.XO=SỞ Y TẾ"), None),
        (Claims(("not a mailbox",)), None),
        (Claims(), None),
    ],
)
def test_agency_of_certificate(certificate: Claims, name: str | None) -> None:
    """Fingerprint, then addresses (the subject's only without a SAN), then O and OU at their domain; never CN."""
    assert NAMES.agency_name(certificate) == name


def test_agency_of_real_certificate() -> None:
    """What a certificate really says, diacritics and quotes included, is what is compared."""
    issued = authority().issue("Sở Y tế", "lan@songlam.example", organization="SỞ Y TẾ", key=shared_key("p256", 3))
    certificate = Certificate.load(issued.certificate)
    assert NAMES.agency_name(certificate) == "Sở Y tế"
    text = f"agencies: [{{id: a, name: Khác, fingerprints: {certificate.fingerprint}}}]"
    assert Registry.load("a.yaml", text).agency_name(certificate) == "Khác"


def test_agency_of_mailbox() -> None:
    """A mailbox of its own goes before the domain it is in."""
    found = NAMES.agency_of_mailbox(Mailbox("x", "SOYTE.songlam.example"))
    assert found is not None
    assert (found.id, found.name, found.english) == ("soyte", "Sở Y tế", "Department of Health")
    office = NAMES.agency_of_mailbox(Mailbox("vanphong", "soyte.songlam.example"))
    assert office is not None
    assert office.id == "vanphong"
    assert NAMES.agency_of_mailbox(Mailbox("x", "songlam.example")) is None


def test_empty() -> None:
    """Without a file nobody is named."""
    assert Registry.empty().agency_name(Claims(("soyte@songlam.example",))) is None


def mistakes(text: str) -> tuple[str, ...]:
    with pytest.raises(SetupError) as raised:
        Registry.load("a.yaml", text)
    return raised.value.mistakes


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "a.yaml:1:1: must be a section with keys (agencies, successors, protected, official)"),
        ("agencies: []", "a.yaml:1:11: must be a list with at least one item"),
        ("agencies: [{id: a, name: A}]", "a.yaml:1:12: nothing can be found by it: needs one of mailboxes"),
        ("agencies: [{name: A, mailboxes: a@b.example}]", "a.yaml:1:12: key 'id' is missing"),
        ("agencies: [{id: A b, name: A, mailboxes: a@b.example}]", "a.yaml:1:17: an id has lower-case"),
        ("agencies: [{id: a, name: A, mailbox: a@b.example}]", "unknown key 'mailbox', did you mean 'mailboxes'?"),
        ("agencies: [{id: a, name: A, mailboxes: [a]}]", "a.yaml:1:41: not a mailbox: 'a'"),
        ("agencies: [{id: a, name: A, domains: b.example}]", 'a domain is written with its at sign: "@b.example"'),
        ("agencies: [{id: a, name: A, domains: '@b..example'}]", "not a mail domain: 'b..example'"),
        ("agencies: [{id: a, name: A, fingerprints: abc}]", "must be a SHA-256 fingerprint"),
        ("agencies: [{id: a, name: A, subjects: [{domain: b.example}]}]", "needs organization (O) or unit (OU)"),
        ("agencies: [{id: a, name: A, subjects: [{unit: U}]}]", "key 'domain' is missing"),
        ('agencies: [{id: a, name: "A]", mailboxes: a@b.example}]', "a name has no square brackets"),
        ('agencies: [{id: a, name: "A\u200b", mailboxes: a@b.example}]', "none of them invisible"),
        (f"agencies: [{{id: a, name: {'A' * 101}, mailboxes: a@b.example}}]", "at most 100 characters"),
    ],
)
def test_mistakes(text: str, mistake: str) -> None:
    """Each mistake is named with its place, and nothing is guessed."""
    assert any(mistake in each for each in mistakes(text))


def test_two_claims_are_a_mistake_with_both_places() -> None:
    """One mailbox, domain, subject or certificate belongs to one agency; all mistakes come at once."""
    text = """\
agencies:
  - {id: a, name: A, mailboxes: [a@b.example], domains: ["@d.example"]}
  - {id: b, name: B, mailboxes: [x@y.example, A@B.example], domains: ["@D.example"]}
  - {id: c, name: C, fingerprints: ["%s"], subjects: [{unit: U, domain: d.example}]}
  - {id: c, name: D, fingerprints: ["%s"], subjects: [{unit: u, domain: d.example}]}
  - {id: e, name: E, mailboxes: [e@e.example, e@e.example]}
""" % ("ab" * 32, "AB" * 32)  # noqa: UP031 - braces stand in the text
    assert mistakes(text) == (
        "a.yaml:3:47: mailbox a@b.example is already claimed by agency 'a' at a.yaml:2:34",
        "a.yaml:3:71: domain @d.example is already claimed by agency 'a' at a.yaml:2:58",
        "a.yaml:5:10: an agency with the id 'c' is already at a.yaml:4:10",
        f"a.yaml:5:37: certificate {'ab' * 8}... is already claimed by agency 'c' at a.yaml:4:37",
        "a.yaml:5:117: subject OU=u at @d.example is already claimed by agency 'c' at a.yaml:4:117",
        "a.yaml:6:47: mailbox e@e.example is already claimed by this agency at a.yaml:6:34",
    )

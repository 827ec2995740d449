"""Naming agencies: by fingerprint, mailbox, domain and subject, and every mistake of the file with its place."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gateway.agencies.reading import read_roll
from gateway.agencies.registry import Registry
from gateway.agencies.table import read_table
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
AGENCY = "agencies: [{id: a, name: A, mailboxes: a@b.example}]\n"


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


MERGED = Registry.load(
    "agencies.yaml",
    """\
agencies:
  - {id: lien, name: Trung tâm Liên, mailboxes: [lien@songlam.example], former: [TRUNG TÂM A, TRUNG TÂM CHUNG]}
  - {id: dong, name: Trung tâm Đông, mailboxes: [dong@songlam.example], former: [Trung tâm chung]}
  - {id: xa, name: Xã Bến Thoi, kind: xa, parent: huyen, domains: ["@benthoi.songlam.example"]}
  - {id: huyen, name: Huyện Lam Khuê, kind: huyen, mailboxes: [lamkhue@songlam.example]}
  - {id: phong, name: Phòng Một cửa, kind: don_vi, parent: xa, mailboxes: [motcua@songlam.example]}
successors:
  - {old: vinhsong.example, new: songlam.example, not_for: [dong@vinhsong.example]}
  - {old: hathoi.example, new: benthoi.songlam.example}
""",
)


@pytest.mark.parametrize(
    ("certificate", "found"),
    [
        (Claims(("lien@vinhsong.example",)), ("lien", "successor")),
        (Claims(("dong@vinhsong.example",)), None),
        (Claims(("ai@vinhsong.example",)), None),
        (Claims(("ai@hathoi.example",)), ("xa", "successor")),
        (Claims(("ai@vinhsong.example",), subject="C=VN, O=Trung tâm A, CN=x"), ("lien", "former_name")),
        (Claims(("ai@songlam.example",), subject="OU=TRUNG TÂM A"), ("lien", "former_name")),
        (Claims(("ai@songlam.example",), subject="O=Trung tâm chung"), None),
        (Claims(("ai@noi-khac.example",), subject="O=Trung tâm A"), None),
        (Claims(subject="O=Trung tâm A, CN=Trung tâm Liên"), None),
        (Claims(("dong@songlam.example",), subject="O=TRUNG TÂM A"), ("dong", "mailbox")),
        (Claims(("lien@songlam.example",), subject="CN=TRUNG TÂM"), ("lien", "mailbox")),
        (Claims(("dong@songlam.example",), subject="CN=TRUNG TÂM"), ("dong", "mailbox")),
        (Claims(subject="CN=TRUNG TÂM"), None),
    ],
)
def test_merged_moved_and_of_one_name(certificate: Claims, found: tuple[str, str] | None) -> None:
    """Moved to a successor, under a former name, two of one CN, without an address: each found right or not at all."""
    hit = MERGED.found_by_certificate(certificate)
    assert (hit and (hit.agency.id, hit.by)) == found


@pytest.mark.parametrize(
    ("address", "author", "expected"),
    [
        ("lan@vinhsong.example", "lan@songlam.example", True),
        ("lan@songlam.example", "Lan@VinhSong.example", True),
        ("dong@vinhsong.example", "dong@songlam.example", False),
        ("dong@songlam.example", "dong@vinhsong.example", False),
        ("lan@vinhsong.example", "minh@songlam.example", False),
        ("lan@songlam.example", "lan@songlam.example", False),
        ("lan@hathoi.example", "lan@songlam.example", False),
        ("lan@vinhsong.example", "lan@hathoi.example", False),
        ("lan@x.vinhsong.example", "lan@x.songlam.example", False),
    ],
)
def test_succeeds(address: str, author: str, *, expected: bool) -> None:
    """One mailbox before and after its domain was taken over; never two old domains, never a name in `not_for`."""
    assert MERGED.succeeds(Mailbox.parse(address), Mailbox.parse(author)) is expected


@pytest.mark.parametrize(
    ("certificate", "author", "agency"),
    [
        (Claims(("lien@songlam.example",)), "lien@vinhsong.example", "lien"),
        (Claims(("a@benthoi.songlam.example",)), "b@benthoi.songlam.example", "xa"),
        (Claims(("lien@songlam.example",)), "dong@songlam.example", None),
        (Claims(("lamkhue@songlam.example",)), "b@benthoi.songlam.example", None),
        (Claims(("motcua@songlam.example",)), "b@benthoi.songlam.example", None),
        (Claims(("ai@noi-khac.example",)), "ai@noi-khac.example", None),
        (Claims(), "lien@songlam.example", None),
    ],
)
def test_same_agency(certificate: Claims, author: str, agency: str | None) -> None:
    """Only one and the same agency: not a parent, not a unit, not nobody twice."""
    found = MERGED.same_agency(certificate, Mailbox.parse(author))
    assert (found and found.id) == agency


def test_kin() -> None:
    """A unit is kin to what it is inside of, and a commune is none of its district's units."""
    by = MERGED.by_id
    assert MERGED.kin(by["phong"], by["xa"])
    assert MERGED.kin(by["xa"], by["phong"])
    assert not MERGED.kin(by["xa"], by["huyen"])
    assert not MERGED.kin(by["phong"], by["huyen"])


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("agencies: [{id: a, name: A, mailboxes: a@b.example, kind: sở}]", "must be one of: tinh, so,"),
        ("agencies: [{id: a, name: A, mailboxes: a@b.example, parent: c}]", "a.yaml:1:61: no agency has the id 'c'"),
        ("agencies: [{id: a, name: A, mailboxes: a@b.example, parent: a}]", "agency 'a' would be its own parent"),
        ("agencies: [{id: a, name: A, mailboxes: a@b.example, short: ['A|B']}]", "stands between names in a table"),
        ("successors: [{old: a.example, new: b.example}]", "key 'agencies' is missing"),
        (f"{AGENCY}successors: [{{old: a.example}}]", "key 'new' is missing"),
        (f"{AGENCY}successors: [{{old: a.example, new: a.example}}]", "'a.example' is an old domain itself"),
        (f"{AGENCY}successors: [{{old: a.example, new: c.example, not_for: [x@b.example]}}]", "'x@b.example' is none"),
        (
            f"{AGENCY}successors: [{{old: a.example, new: c.example}}, {{old: A.example, new: d.example}}]",
            "old domain 'a.example' is already at a.yaml:2:14",
        ),
        (f"{AGENCY}protected: [{{name: T, domains: t.example}}]", "needs names or words"),
        (f"{AGENCY}protected: [{{name: T, words: [T]}}]", "key 'domains' is missing"),
        (f"{AGENCY}official: ['*.']", "not a mail domain"),
    ],
)
def test_mistakes_of_the_other_sections(text: str, mistake: str) -> None:
    """Kinds, parents, successors, protected and official are looked at as strictly as the agencies."""
    assert any(mistake in each for each in mistakes(text))


def test_five_thousand() -> None:
    """As many as there may be, and one more is a mistake."""
    lines = [f'{{"id": "a{n}", "name": "Xã {n}", "mailboxes": ["a{n}@songlam.example"]}}' for n in range(5001)]
    registry = Registry.load("a.yaml", f"agencies: [{', '.join(lines[:5000])}]")
    found = registry.agency_of_mailbox(Mailbox("a4999", "songlam.example"))
    assert found is not None
    assert found.name == "Xã 4999"
    table = "id,name,mailboxes\n" + "".join(f"a{n},Xã {n},a{n}@songlam.example\n" for n in range(5001))
    with pytest.raises(SetupError, match="more than 5000 agencies"):
        read_roll(read_table("a.csv", table))

"""Lesser states: each excuses one condition by registry and settings, and nothing else gets better by it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.agencies.registry import Registry
from gateway.core.message import Message
from gateway.core.verdict import ChainState, Judgment, SignatureState, SignerMismatch, VerifiedLesser, row_of
from gateway.demo.authority import Authority, Credential, shared_key
from gateway.mime.fields import read_header
from gateway.smime.identity import Lenience, Who, identified
from support.forger import Forger, signed_data
from support.letters import HEAD, LAN, NOW, authority, clear, clear_entity, judged, lan, mail, text_part
from support.pace import soon

REGISTRY = Registry.load(
    "agencies.yaml",
    """
agencies:
  - id: so-y-te
    name: Sở Y tế
    domains: ["@soyte.songlam.example"]
  - id: so-tai-chinh
    name: Sở Tài chính
    domains: ["@sotaichinh.songlam.example"]
successors:
  - {old: soyte.cu.example, new: soyte.songlam.example, not_for: ["van.thu@soyte.cu.example"]}
""",
)
ALL = frozenset(Lenience)
PART = text_part("Chuyen 5 trieu dong.")
OFFICE = "van.thu@soyte.songlam.example"
OLD = "hoang.lan@soyte.cu.example"
BINH = "tran.binh@sotaichinh.songlam.example"
STRANGER = "ai.do@hopthu.example"


def issue(mailbox: str | None, number: int = 3) -> Credential:
    """Return a credential from the shared authority."""
    return authority().issue("Người Ký", mailbox, key=shared_key("p256", number))


def told(message: bytes, leniences: frozenset[Lenience] = ALL) -> tuple[str, str]:
    found = see(message, leniences)
    return row_of(found.verdict).name, found.verdict.reason


def see(message: bytes, leniences: frozenset[Lenience] = ALL) -> Judgment:
    return identified(judged(message), read_header(Message.of(message)), Who(REGISTRY, leniences))


def letter(mailbox: str | None, *, author: str = LAN, more: str = "") -> bytes:
    """Return a letter by an author, signed with a certificate that names the mailbox."""
    head = f"From: {author}\r\n{more}".encode() + HEAD[HEAD.index(b"\r\n") + 2 :]
    return clear(PART, issue(mailbox), head=head)


MISMATCH = ("signer_mismatch", "signer_is_not_author")


@pytest.mark.parametrize(("mailbox", "name"), [(LAN, "Sở Y tế"), (STRANGER, None)])
@pytest.mark.parametrize("claimed", ["Sở Tài chính", None])
def test_only_the_registry_names_an_agency(mailbox: str, name: str | None, claimed: str | None) -> None:
    """Whatever a judge's process says that it is: it reads strangers' octets, and must not name anybody."""
    message = letter(mailbox, author=mailbox)
    judgment = judged(message)
    signers = tuple(replace(each, agency=claimed) for each in judgment.verdict.signers)
    said = replace(judgment, verdict=replace(judgment.verdict, signers=signers))
    found = identified(said, read_header(Message.of(message)), Who(REGISTRY, ALL))
    assert [each.agency for each in found.verdict.signers] == [name]


@pytest.mark.parametrize(
    ("message", "lenience", "reason"),
    [
        (letter(OFFICE), Lenience.SAME_AGENCY, "same_agency"),
        (letter(OLD), Lenience.SUCCESSOR, "successor_domain"),
        (letter(LAN, author=OLD), Lenience.SUCCESSOR, "successor_domain"),
        (letter(BINH, more=f"Sender: {BINH}\r\n"), Lenience.DELEGATE, "delegate"),
        (letter(OFFICE, more=f"Sender: Van thu <{OFFICE}>\r\n"), Lenience.DELEGATE, "delegate"),
    ],
)
def test_lesser_state(message: bytes, lenience: Lenience, reason: str) -> None:
    """With its lenience it is a lesser state under its own reason; without it, it stays a mismatch."""
    found = see(message, frozenset({lenience}))
    assert isinstance(found.verdict, VerifiedLesser)
    assert (found.verdict.reason, found.verdict.author) == (reason, found.author)
    assert told(message, frozenset()) == MISMATCH
    if reason != "successor_domain":
        assert told(message, ALL - {lenience, Lenience.SAME_AGENCY}) == MISMATCH


@pytest.mark.parametrize(
    "message",
    [
        letter(BINH),
        letter(STRANGER),
        letter("van.thu@soyte.cu.example", author=OFFICE),
        letter("khac@soyte.cu.example", author="ke.khac@soyte.moi.example"),
        letter(BINH, more="Sender: ai.do@hopthu.example\r\n"),
        letter(STRANGER, more=f"Sender: {STRANGER}\r\n"),
        letter(BINH, more=f"Sender: {BINH}\r\nSender: {BINH}\r\n"),
        letter(BINH, more=f"Sender: {BINH}, {LAN}\r\n"),
        letter(BINH, more=f"Sender : {BINH}\r\n"),
        letter(BINH, more=f"Sender: Nhom: {BINH}, {LAN};\r\n"),
        letter(BINH, more=f"Sender: Nhom: {BINH};\r\n"),
        letter(BINH, more=f"Sender: <@x.example:{BINH}>\r\n"),
        letter(BINH, more=f"X-Sender: {BINH}\r\n"),
        letter(BINH, more=f'Sender: "{BINH}" <{LAN}>\r\n'),
        letter("ke.khac@gmail.com", author="giam.doc@gmail.com", more="Sender: ke.khac@gmail.com\r\n"),
    ],
)
def test_no_excuse(message: bytes) -> None:
    """Another agency, a stranger, a name kept back at the hand-over, a Sender that is nobody known."""
    assert told(message)[0] == "signer_mismatch"


def test_exactly_one_condition_is_excused() -> None:
    """Whatever else is broken, there is no lesser state: content, coverage, path, inner author, header copies."""
    good = letter(OFFICE)
    assert told(good)[0] == "verified_lesser"
    assert told(good.replace(b"5 trieu", b"9 trieu"))[0] == "invalid"
    assert told(good + b"Chan thu.\r\n")[0] == "partial"
    other = Authority(NOW, family=1).issue("Người Lạ", OFFICE, key=shared_key("p256", 4))
    assert told(clear(PART, other))[0] in {"not_trusted", "indeterminate"}
    head = b"From: " + LAN.encode() + b"\r\nSubject: x\r\n"
    inner = b'From: %s\r\nSubject: %s\r\nContent-Type: text/plain; hp="clear"\r\n\r\nx\r\n'
    assert told(clear(inner % (LAN.encode(), b"x"), issue(OFFICE), head=head)) == ("verified_lesser", "same_agency")
    assert told(clear(inner % (LAN.encode(), b"y"), issue(OFFICE), head=head)) == MISMATCH
    assert told(clear(inner % (BINH.encode(), b"x"), issue(OFFICE), head=head))[0] == "signer_mismatch"


def test_every_signer_needs_an_excuse() -> None:
    """An agency's second signer does not lend its excuse to a stranger beside it."""

    def signed_by(*credentials: Credential) -> bytes:
        infos = [Forger(each).info(PART) for each in credentials]
        certificates = [each.certificate for each in credentials]
        return mail(clear_entity(PART, signed_data(infos, certificates=[*certificates, *lan().chain])))

    assert told(signed_by(lan(), issue(OFFICE))) == ("verified_lesser", "same_agency")
    assert told(signed_by(issue(OLD, 5), issue(OFFICE))) == ("verified_lesser", "same_agency")
    assert told(signed_by(lan(), issue(STRANGER))) == ("signer_mismatch", "cosigner_is_not_author")
    assert told(signed_by(issue(OFFICE), issue(STRANGER, 5))) == MISMATCH


def sha1(credential: Credential, *, digest: str = "sha1") -> bytes:
    return mail(clear_entity(PART, Forger(credential, digest=digest).cms(PART)))


def test_old_digest() -> None:
    """SHA-1 is not trusted, and said to be SHA-1; by a setting the rest of it is believed, under its own name."""
    found = see(sha1(lan()), frozenset())
    assert (row_of(found.verdict).name, found.verdict.reason) == ("not_trusted", "weak_digest")
    assert found.noted("sha1")
    lesser = see(sha1(lan()))
    assert told(sha1(lan())) == ("verified_lesser", "sha1")
    assert (lesser.signature, lesser.covers, lesser.headers_signed) == (SignatureState.VALID, "all", False)
    other = authority().issue("Văn thư", OFFICE, key=shared_key("rsa2048", 2))
    assert told(sha1(other)) == ("not_trusted", "weak_digest")
    assert told(sha1(lan()).replace(b"5 trieu", b"9 trieu"))[0] == "invalid"
    assert told(sha1(lan()) + b"Chan thu.\r\n")[0] == "not_trusted"


def test_still_older_digest_is_never_excused() -> None:
    """MD5 is forged at will: no setting believes it, and no note calls it SHA-1."""
    found = see(sha1(lan(), digest="md5"))
    assert (row_of(found.verdict).name, found.verdict.reason) == ("not_trusted", "weak_digest")
    assert not found.noted("sha1")


def test_certificate_without_a_good_path_names_no_agency() -> None:
    """Anybody can write the agency's mailbox into a certificate of his own."""
    assert [each.agency for each in see(letter(OFFICE)).verdict.signers] == ["Sở Y tế"]
    other = Authority(NOW, family=1).issue("Người Lạ", LAN, key=shared_key("p256", 4))
    found = see(clear(PART, other))
    assert found.chain is not ChainState.VALID
    assert [each.agency for each in found.verdict.signers] == [None]


@pytest.mark.parametrize(
    ("field", "detail"),
    [
        (f"Reply-To: {OFFICE}", None),
        (f"Reply-To: <{LAN.upper()}>", None),
        (f"Reply-To: {BINH}", BINH),
        (f"Reply-To: {LAN}, {STRANGER}", STRANGER),
        (f"Reply-To: {LAN}\r\nReply-To: {STRANGER}", STRANGER),
        (f"Reply-To: So Y te: {STRANGER};", STRANGER),
        (f'Reply-To: "{LAN}" <{STRANGER}>', STRANGER),
        ("Reply-To: <@x.example:a@x.example>", ""),
        ("Reply-To: " + ", ".join([LAN] * 30), ""),
        ("Reply-To: " + ", ".join(["a"] * 80_000), ""),
    ],
)
def test_reply_elsewhere(field: str, detail: str | None) -> None:
    """An answer that would leave the author's domain and the signer's agency is noted, with the first such mailbox."""
    message = field.encode() + b"\r\n" + clear(PART, lan())
    judgment, header = judged(message), read_header(Message.of(message))
    with soon(0.15):
        found = identified(judgment, header, Who(REGISTRY, ALL))
    twice = len(header.all("reply-to")) > 1
    assert row_of(found.verdict).name == ("verified_lesser" if twice else "verified")
    notes = [each.detail for each in found.notes if each.code == "reply_to_elsewhere"]
    assert notes == ([] if detail is None else [detail])


def test_lesser_states_cannot_be_made_of_nothing() -> None:
    """No author, no signer, or a reason without words: there is no such verdict."""
    signers = see(letter(OFFICE)).verdict.signers
    author = see(letter(OFFICE)).author
    assert VerifiedLesser("delegate", signers, author).author == author
    with pytest.raises(ValueError, match="an author and a signer"):
        VerifiedLesser("delegate", (), author)
    with pytest.raises(ValueError, match="an author and a signer"):
        VerifiedLesser("delegate", signers, None)
    with pytest.raises(ValueError, match="no lesser state"):
        VerifiedLesser("verified", signers, author)
    assert isinstance(see(letter(STRANGER)).verdict, SignerMismatch)

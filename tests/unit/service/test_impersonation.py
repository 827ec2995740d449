"""Imitations in whole messages: whatever part of one a reader is shown, and only where nobody vouches for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.agencies.registry import Registry
from gateway.core.address import Mailbox
from gateway.core.message import Message
from gateway.core.verdict import NOTES, Judgment, Note, SignerMismatch, Verified, VerifiedLesser
from gateway.mime.entity import parse
from gateway.service.impersonation import header_as_it_came, suspected
from support.letters import LAN, PLAIN, judged, lan, signed
from support.pace import soon

REGISTRY = Registry.load(
    "agencies.yaml",
    """\
agencies:
  - {id: so-y-te, name: Sở Y tế, kind: so, domains: ["@soyte.songlam.example"]}
  - {id: noi-vu, name: Sở Nội vụ, kind: so, domains: ["@noivu.songlam.example"]}
""",
)
FROM = PLAIN.partition(b"\r\n")[0]


def looked_at(message: bytes, judgment: Judgment | None = None) -> dict[str, str]:
    whole = Message.of(message)
    judgment = judgment or judged(message)
    found = suspected(judgment, header_as_it_came(whole, parse(whole).header), parse(whole), REGISTRY)
    assert found.verdict == judgment.verdict
    assert [NOTES.index(each.code) for each in found.notes] == sorted(NOTES.index(each.code) for each in found.notes)
    return {each.code: each.detail for each in found.notes if each not in judgment.notes}


def sent_as(*fields: str | bytes) -> bytes:
    lines = (each if isinstance(each, bytes) else each.encode() for each in fields)
    return PLAIN.replace(FROM, b"\r\n".join(lines))


@pytest.mark.parametrize(
    "fields",
    [
        ('From: "Sở Y tế" <a@noi-khac.example>',),
        ("From: Sở Y tế <a@noi-khac.example>",),
        ("From: =?utf-8?B?U+G7nyBZIHThur8=?= <a@noi-khac.example>",),
        ("From: =?utf-8?Q?S=E1=BB=9F_Y?=\r\n =?utf-8?Q?_t=E1=BA=BF?= <a@noi-khac.example>",),
        ("From: So\r\n Y\r\n te <a@noi-khac.example>",),
        ("From: a@noi-khac.example (Sở Y tế)",),
        ("From: (Sở Y tế) a@noi-khac.example",),
        ("From: Sở Y tế <a@noi-khac.example>, Lan <lan@noi-khac.example>",),
        ("From: Lan <lan@noi-khac.example>", "From: Sở Y tế <a@noi-khac.example>"),
        ("From: Sở Y tế",),
        ("From : Sở Y tế <a@noi-khac.example>",),
        ("From: lan@soyte.songlam.example <a@noi-khac.example>",),
        (b"From: S\xf5\xd2 Y t\xea\xec <a@noi-khac.example>",),
    ],
)
def test_every_way_to_write_it(fields: tuple[str | bytes, ...]) -> None:
    """Quoted, bare, encoded, folded, in a comment, one of two, without an address, in an old charset."""
    assert looked_at(sent_as(*fields)).get("impersonation") == "Sở Y tế"


@pytest.mark.parametrize(
    ("sender", "notes"),
    [
        ("Sở Y tế <a@noi-khac.example>", {"impersonation": "Sở Y tế"}),
        ("Sở Y tế", {"impersonation": "Sở Y tế"}),
        ("a@soyte-songlam.example", {"lookalike_domain": "soyte.songlam.example"}),
        (f"Sở Y tế <{LAN}>", {}),
        ("Danh sách <ds@noi-khac.example>", {}),
        ("Lan <LAN@noi-khac.example>", {}),
        ("Sở Y tế <lan@noi-khac.example>", {"impersonation": "Sở Y tế"}),
    ],
)
def test_who_sends_on_behalf_of_the_author(sender: str, notes: dict[str, str]) -> None:
    """Some readers show Sender in front of From: it may imitate as little as From may."""
    message = sent_as("From: Lan <lan@noi-khac.example>", f"Sender: {sender}")
    assert looked_at(message) == notes


def test_its_own_address_is_no_imitation() -> None:
    """An agency that writes from its own domain, signed or not, with its address for a name."""
    assert looked_at(PLAIN) == {}
    assert looked_at(sent_as(f"From: Sở Y tế <{LAN}>")) == {}
    assert looked_at(sent_as(f'From: "{LAN}" <{LAN}>')) == {}


def test_only_a_good_signature_vouches() -> None:
    """The same name and address: verified it passes, mismatched or vouched for by another agency it does not."""
    message = sent_as("From: Sở Y tế <a@noi-khac.example>")
    author = Mailbox.parse("a@noi-khac.example")
    good = replace(judged(signed(PLAIN, lan())), author=author)
    assert isinstance(good.verdict, Verified)
    lesser = replace(good, verdict=VerifiedLesser("same_agency", good.verdict.signers, good.author))
    mismatch = replace(good, verdict=SignerMismatch("signer_mismatch", good.verdict.signers))
    assert looked_at(message, good) == {}
    assert looked_at(message, lesser) == {}
    assert looked_at(message, mismatch) == {"impersonation": "Sở Y tế"}
    other = message.replace("Sở Y tế".encode(), "Sở Nội vụ".encode())
    assert looked_at(other, good) == {"impersonation": "Sở Nội vụ"}


def test_subject_replies_and_what_is_inside() -> None:
    """A subject that speaks for an agency, answers that go to a look-alike, marks in a message inside or in a part."""
    inner = PLAIN.replace(b"Subject: ", "Subject: [Đã xác thực: Sở Y tế] ".encode())
    assert looked_at(PLAIN + b"\r\n") == {}
    assert looked_at(
        b"From: Lan <lan@noi-khac.example>\r\nReply-To: b@soyte-songlam.example\r\n"
        + "Subject: [Sở Y tế] Kết quả\r\n".encode()
        + b"Content-Type: message/rfc822\r\n\r\n"
        + inner
    ) == {"impersonation": "Sở Y tế", "lookalike_domain": "soyte.songlam.example", "tag_words": "nested"}
    part = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX-Verified-Sender: Lan\r\n\r\nx\r\n--b--\r\n"
    assert looked_at(b"From: Lan <lan@noi-khac.example>\r\n" + part) == {"tag_words": "nested"}


def test_notes_of_others_stay() -> None:
    """What was noted before is kept, in the order in which people are told."""
    judgment = replace(judged(PLAIN), author=None, notes=(Note("headers_changed"), Note("revocation_from_cache")))
    message = Message.of(sent_as("From: Sở Y tế <a@noi-khac.example>"))
    found = suspected(judgment, parse(message).header, parse(message), REGISTRY)
    assert [each.code for each in found.notes] == ["headers_changed", "impersonation", "revocation_from_cache"]


def test_hostile_sizes() -> None:
    """A thousand parts, a long From and many Reply-To fields are looked at as far as people read, and no further."""
    parts = b"".join(b"--b\r\nSubject: \xe2\x9c\x93\r\n\r\nx\r\n" for _ in range(900)) + b"--b--\r\n"
    message = (
        b"From: " + "Sở Nội vụ ".encode() * 5000 + b"<a@noi-khac.example>\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n" + b"Reply-To: a@b.example\r\n" * 500 + b"\r\n" + parts
    )
    assert looked_at(message) == {"impersonation": "Sở Nội vụ", "tag_words": "nested"}


def test_the_first_of_many_who_are_answered_are_looked_at() -> None:
    """A long list behind a look-alike does not hide it, and four of them cost nobody's time."""
    many = b"Reply-To: b@soyte-songlam.example" + b", a@b.example" * 5000
    message = Message.of(b"\r\n".join([b"From: lan@noi-khac.example", *[many] * 4]) + b"\r\n\r\nx\r\n")
    judgment, entity = judged(PLAIN), parse(message)
    with soon(0.3):
        found = suspected(judgment, entity.header, entity, REGISTRY)
    assert found.noted("lookalike_domain")

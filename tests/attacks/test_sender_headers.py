"""Header fields that the signer protected inside the signature, against those that stand outside (RFC 9788).

Each attack changes one outer field of a letter that was verified, its header signed, just before. The memory of
signatures would tell most of them as replays: so a second forged letter comes alone, the first of its signature.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from support.attacks import AUTHOR, COLLEAGUE, STRANGER, head, letter, part, signer
from support.gateway_process import OURS
from support.letters import clear_entity, detached

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.attacks import Field


def protected(fields: bytes, mark: str = 'hp="clear"') -> bytes:
    """Return a part that repeats the fields and says so."""
    kind, rest = part().split(b"\r\n", 1)
    return fields + kind + b"; " + mark.encode() + b"\r\n" + rest


def wrapped(fields: bytes, mark: str = "") -> bytes:
    """Return the fields and a text as a message inside, which stands for the whole (RFC 8551 3.1)."""
    return b"Content-Type: message/rfc822" + mark.encode() + b"\r\n\r\n" + fields + b"MIME-Version: 1.0\r\n" + part()


FORMS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "hp": protected,
    "hp cipher": lambda fields: protected(fields, 'hp="cipher"'),
    "draft": lambda fields: protected(fields, 'protected-headers="v1"'),
    "rfc822": wrapped,
    "rfc822, not forwarded": lambda fields: wrapped(fields, "; forwarded=no"),
}
CHANGES: Final[dict[str, tuple[bytes, bytes]]] = {
    "subject": (rb"Subject: [^\r]*", b"Subject: Chuyen tien gap"),
    "no subject": (rb"Subject: [^\r]*\r\n", b""),
    "second subject": (rb"(Subject: [^\r]*)", rb"Subject: Gap\r\n\1"),
    "subject prefix": (rb"Subject: ", b"Subject: Re: "),
    "list prefix": (rb"Subject: ", b"Subject: [van-thu] "),
    "to": (rb"To: [^\r]*", f"To: Ke toan <ke-toan@{OURS}>".encode()),
    "to, name only": (rb"To: Doc", b"To: Ke toan"),
    "no to": (rb"To: [^\r]*\r\n", b""),
    "second to": (rb"(To: [^\r]*)", f"\\1\r\nTo: ke-toan@{OURS}".encode()),
    "date": (rb"24 Nov 2026", b"25 Nov 2026"),
    "hour": (rb"08:29:00", b"09:29:00"),
    "second date": (rb"(Date: [^\r]*)", rb"\1\r\nDate: Wed, 25 Nov 2026 08:29:00 +0700"),
    "reply-to": (rb"Reply-To: [^\r]*", f"Reply-To: {STRANGER}".encode()),
    "second reply-to": (rb"(Reply-To: [^\r]*)", f"\\1\r\nReply-To: {STRANGER}".encode()),
    "no reply-to": (rb"Reply-To: [^\r]*\r\n", b""),
    "cc": (rb"Cc: [^\r]*", f"Cc: {STRANGER}".encode()),
    "cc more": (rb"Cc: ([^\r]*)", f"Cc: \\1, {STRANGER}".encode()),
    "from, name only": (rb"From: Van phong", b"From: Giam doc"),
}
ADDED: Final = {
    "sender": f"Sender: {STRANGER}\r\n".encode(),
    "sender of the agency": f"Sender: {COLLEAGUE}\r\n".encode(),
}


def fields_with_all() -> bytes:
    """Return the header of a letter with every field that a reader goes by."""
    return head() + f"Reply-To: {AUTHOR}\r\nCc: {COLLEAGUE}\r\n".encode()


def changed(fields: bytes, name: str) -> bytes:
    """Return the fields with one changed."""
    pattern, text = CHANGES[name]
    found = re.sub(pattern, text, fields, count=1)
    assert found != fields
    return found


@pytest.mark.parametrize("form", FORMS)
def test_where_all_are_the_same_the_header_is_signed(field: Field, form: str) -> None:
    """Only then is the reader told that it is, and Sender, Reply-To and Cc are among them."""
    fields = fields_with_all()
    found = field.honest(letter(FORMS[form](fields), fields=fields))
    assert found.facts["headers"] == "signed"
    plain = field.honest(letter(fields=fields_with_all()))
    assert plain.facts["headers"] == "unsigned"


@pytest.mark.parametrize("form", ["hp", "draft", "rfc822"])
@pytest.mark.parametrize("name", CHANGES)
def test_one_outer_field_changed(field: Field, form: str, name: str) -> None:
    """As it comes after the true letter, and as it comes alone: never verified, and the reason is told."""
    fields = fields_with_all()
    good = letter(FORMS[form](fields), fields=fields)
    field.attack(good, good.replace(fields, changed(fields, name), 1))
    fresh = fields_with_all()
    signed = letter(FORMS[form](fresh), fields=fresh)
    alone = field.harmless(signed.replace(fresh, changed(fresh, name), 1))
    assert alone.why in {("verified_lesser", "headers_changed"), ("signer_mismatch", "inner_from_differs")}
    assert "headers_changed" in alone.notes
    assert alone.facts["headers"] == "unsigned"


@pytest.mark.parametrize("name", ADDED)
def test_a_field_that_was_not_protected_is_added(field: Field, name: str) -> None:
    """What the signer did not write at all, and said that this is all there is (RFC 9788 `hp`)."""
    fields = head()
    good = letter(protected(fields), fields=fields)
    found = field.attack(good, ADDED[name] + good)
    assert found.why == ("verified_lesser", "headers_changed")


@pytest.mark.parametrize("form", FORMS)
def test_another_author_outside(field: Field, form: str) -> None:
    """A stranger's letter under the author's From, and the author's under a stranger's: nobody's, whoever signed."""
    for inner, outer, by in ((STRANGER, AUTHOR, STRANGER), (AUTHOR, STRANGER, AUTHOR), (STRANGER, AUTHOR, AUTHOR)):
        fields = head(author=inner)
        entity = clear_entity(content := FORMS[form](fields), detached(content, signer(by)))
        good = fields + b"MIME-Version: 1.0\r\n" + entity
        if inner == by:
            field.honest(good, sender=inner)
        found = field.harmless(good.replace(inner.encode(), outer.encode(), 1), sender=outer)
        assert found.verdict == "signer_mismatch"


@pytest.mark.parametrize(
    "extra",
    [
        f"From: <{STRANGER}>\r\n",
        f"FROM: <{STRANGER}>\r\n",
        f"From : <{STRANGER}>\r\n",
        f"From: <{AUTHOR}>, <{STRANGER}>\r\n",
        f"From: <{AUTHOR}>\r\nFrom: <{STRANGER}>\r\n",
        f"From: <{STRANGER}> (\r\n",
        "From:\r\n",
    ],
)
@pytest.mark.parametrize("marked", ["", '; hp="clear"', '; protected-headers="v1"'])
def test_from_in_the_header_of_a_signed_part(field: Field, extra: str, marked: str) -> None:
    """A part's header is no place for an author: whether or not it says so, another one there is shown by some."""
    content = part()
    good = letter(content)
    field.honest(good)
    kind, rest = part().split(b"\r\n", 1)
    found = field.harmless(letter(extra.encode() + kind + marked.encode() + b"\r\n" + rest))
    assert found.verdict in {"signer_mismatch", "unreadable"}


def test_forwarded_message_as_the_whole_of_what_is_signed(field: Field) -> None:
    """Somebody else's message, signed as one thing and said to be forwarded, never passes for its author's."""
    theirs = head(author=STRANGER)
    content = wrapped(theirs, "; forwarded=yes")
    found = field.deliver(letter(content))
    assert found.verdict in {"verified", "verified_lesser", "signer_mismatch"}
    for mark in (*found.all("x-verified-sender"), found.subject):
        assert STRANGER not in mark
    outer = letter(content, fields=head(author=STRANGER), by=signer())
    assert field.harmless(outer).why == ("signer_mismatch", "signer_is_not_author")


@pytest.mark.parametrize("name", ["Content-Base", "Content-Location"])
def test_a_base_for_relative_links_outside(field: Field, name: str) -> None:
    """Pictures and links of the signed page would come from wherever this field says (RFC 2557 5)."""
    good = letter(part(f'<p>Bang luong</p><img src="bang.png" alt="{name}">', subtype="html"))
    found = field.attack(good, f"{name}: http://ke-trom.example/\r\n".encode() + good)
    assert found.why == ("partial", "content_elsewhere")

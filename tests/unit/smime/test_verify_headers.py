"""Header fields inside a signature against those outside: conditions 15 and 16 of the argument (RFC 9788)."""

from __future__ import annotations

import pytest

from gateway.core.verdict import Broken, row_of
from support.letters import ASCII, HEAD, LAN, binh, clear, clear_entity, detached, judged, lan, text_part

PART = text_part("Chuyen 5 trieu dong.")
GOOD = ("verified", "verified")


def told(message: bytes) -> tuple[str, str]:
    """Return verdict and reason."""
    found = judged(message)
    return row_of(found.verdict).name, found.verdict.reason


def inside(*fields: bytes, hp: bytes = b'; hp="clear"') -> bytes:
    """Return a part whose header repeats fields of the message (RFC 9788)."""
    return b"".join(each + b"\r\n" for each in fields) + b"Content-Type: text/plain" + hp + b"\r\n\r\nChao chi.\r\n"


FIELDS = HEAD.rstrip(b"\r\n").split(b"\r\n")


def test_protected_header_that_matches() -> None:
    """`headers_signed` is true where every shown field has an equal copy inside, and says nothing else."""
    found = judged(clear(inside(*FIELDS), lan()))
    assert row_of(found.verdict).name == "verified"
    assert found.headers_signed
    folded = [each.replace(b" <", b"\r\n <") for each in FIELDS]
    assert judged(clear(inside(*folded), lan())).headers_signed


REWRITTEN = {
    "a name in quotes": lambda message: message.replace(b"To: Nguyen Thi Mai <", b'To: "Nguyen Thi Mai" <', 1),
    "a name in another encoding": lambda message: message.replace(
        b"=?UTF-8?Q?Ho=C3=A0ng_Th=E1=BB=8B_Lan?=", "Hoàng Thị Lan".encode(), 1
    ),
    "a domain in capitals": lambda message: message.replace(b"@hopthu.example", b"@HOPTHU.example", 1),
    "a date in another zone": lambda message: message.replace(b"08:29:00 +0700", b"01:29:00 +0000", 1),
    "a date with its zone's name": lambda message: message.replace(b"08:29:00 +0700", b"08:29:00 +0700 (ICT)", 1),
}


@pytest.mark.parametrize("name", sorted(REWRITTEN))
def test_outer_header_was_written_anew(name: str) -> None:
    """Exchange and others write names, lists and dates in their own way: what readers see is what was signed."""
    message = clear(inside(*FIELDS), lan())
    rewritten = REWRITTEN[name](message)  # type: ignore[no-untyped-call]
    assert rewritten != message
    found = judged(rewritten)
    assert row_of(found.verdict).name == "verified"
    assert found.headers_signed


CHANGES = {
    "to a comment": lambda message: message.replace(b"@hopthu.example>", b"@hopthu.example> (Chu tich)", 1),
    "to a group": lambda message: message.replace(b"To: Nguyen Thi Mai <", b"To: Lanh dao: <", 1).replace(
        b"@hopthu.example>", b"@hopthu.example>;", 1
    ),
    "to one more": lambda message: message.replace(b"@hopthu.example>", b"@hopthu.example>, b@x.example", 1),
    "to one whose name holds two": lambda message: message.replace(
        b"To: Nguyen Thi Mai <", b'To: "Nguyen Thi Mai <a@x.example>, B" <', 1
    ),
    "date elsewhere": lambda message: message.replace(b"08:29:00 +0700", b"08:29:00 +0730", 1),
    "subject": lambda message: message.replace(b"Subject: =?", b"Subject: [x] =?", 1),
    "subject taken away": lambda message: message.replace(b"Subject: ", b"X-Subject: ", 1),
    "to": lambda message: message.replace(b"To: Nguyen", b"To: Tran", 1),
    "reply-to": lambda message: b"Reply-To: thief@x.example\r\n" + message,
    "cc": lambda message: b"Cc: thief@x.example\r\n" + message,
    "sender": lambda message: b"Sender: thief@x.example\r\n" + message,
    "date": lambda message: message.replace(b"08:29:00", b"08:59:00", 1),
    "from": lambda message: message.replace(b"From: =?UTF-8?Q?Ho=C3=A0ng", b"From: =?UTF-8?Q?S=E1=BA=BFp", 1),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_outer_header_was_changed(change: str) -> None:
    """Condition 16: a shown field that is not what the signer protected is told, and what it says is not signed."""
    message = clear(inside(*FIELDS), lan())
    assert judged(message).headers_signed
    changed = CHANGES[change](message)  # type: ignore[no-untyped-call]
    found = judged(changed)
    assert changed != message
    assert (row_of(found.verdict).name, found.verdict.reason) == ("verified_lesser", "headers_changed")
    assert not found.headers_signed
    assert found.broken == (Broken(16, "headers_changed"),)
    (note,) = found.notes
    assert (note.code, note.detail) == ("headers_changed", change.partition(" ")[0])


def test_list_of_200_was_written_anew() -> None:
    """A letter to all communes is one whose names a mail system quotes, too."""
    communes = [f"UBND xa {number} <xa{number}@xa.songlam.example>" for number in range(200)]
    message = clear(inside(*FIELDS, ("Cc: " + ", ".join(communes)).encode()), lan())
    quoted = ",\r\n\t".join(f'"{each}'.replace(" <", '" <') for each in communes)
    outside = message.replace(b"MIME-Version: 1.0\r\n", f"Cc: {quoted}\r\nMIME-Version: 1.0\r\n".encode(), 1)
    found = judged(outside)
    assert row_of(found.verdict).name == "verified"
    assert found.headers_signed
    assert told(outside.replace(b"<xa7@", b"<xa8@", 1)) == ("verified_lesser", "headers_changed")


def test_other_message_id_than_the_protected_one() -> None:
    """Nobody sees a Message-ID, and servers replace it: the header is not signed, but nothing shown is changed."""
    message = clear(inside(*FIELDS), lan()).replace(b"<2026.17@", b"<2026.18@", 1)
    found = judged(message)
    assert row_of(found.verdict).name == "verified"
    assert not found.headers_signed


def test_drafts_of_protected_headers_protect_what_they_repeat() -> None:
    """Condition 16: before RFC 9788 programs repeated the Subject only; what they left out was not taken back."""
    subject = [each for each in FIELDS if each.startswith(b"Subject")]
    message = clear(inside(*subject, hp=b'; protected-headers="v1"'), lan())
    assert told(message) == GOOD
    assert told(b"Cc: a@x.example\r\n" + message) == GOOD
    assert told(message.replace(b"Subject: =?", b"Subject: [x] =?", 1)) == ("verified_lesser", "headers_changed")


def test_changed_header_of_somebody_else_stays_a_mismatch() -> None:
    """The graver verdict wins: copies inside a stranger's good signature prove nothing of the author."""
    message = b"Cc: a@x.example\r\n" + clear(inside(*FIELDS), binh())
    assert told(message)[0] == "signer_mismatch"


@pytest.mark.parametrize("hp", [b'; hp="clear"', b'; protected-headers="v1"', b""])
def test_other_author_inside(hp: bytes) -> None:
    """Condition 15: readers that show the inner From must not be shown somebody else's."""
    assert told(clear(inside(*FIELDS, hp=hp), lan()))[0] == "verified"
    other = [b"From: boss@songlam.example", *FIELDS[1:]]
    assert told(clear(inside(*other, hp=hp), lan())) == ("signer_mismatch", "inner_from_differs")
    two = [b"From: boss@songlam.example", *FIELDS]
    assert told(clear(inside(*two, hp=hp), lan())) == ("signer_mismatch", "inner_from_differs")
    nested = clear_entity(inside(*other, hp=hp), detached(PART, lan()), boundary="in")
    assert told(clear(nested, lan())) == ("signer_mismatch", "inner_from_differs")


def test_wrapped_message() -> None:
    """RFC 8551 3.1: one message/rfc822 as the whole content stands for the message, unless it says forwarded=yes."""
    part = b"Content-Type: message/rfc822%s\r\n\r\n"
    found = judged(clear(part % b"; forwarded=no" + ASCII, lan()))
    assert row_of(found.verdict).name == "verified"
    assert found.headers_signed
    stranger = ASCII.replace(LAN.encode(), b"boss@songlam.example")
    assert told(clear(part % b"" + stranger, lan())) == ("signer_mismatch", "inner_from_differs")
    forwarded = judged(clear(part % b"; forwarded=yes" + stranger, lan()))
    assert row_of(forwarded.verdict).name == "verified"
    assert not forwarded.headers_signed


def test_headers_are_not_signed_where_the_signature_is_bad() -> None:
    """Equal copies inside a broken signature prove nothing."""
    message = clear(inside(*FIELDS), lan()).replace(b"Chao chi.", b"Chao anh.")
    found = judged(message)
    assert row_of(found.verdict).name == "invalid"
    assert not found.headers_signed
    assert not found.covers_everything_shown


@pytest.mark.parametrize("mark", ["hp=clear", 'protected-headers="v1"', "hp=cipher; forwarded=no"])
def test_wrapped_message_with_a_mark_beside(mark: str) -> None:
    """A thief protects his own fields by one rule, and wraps another author's letter by the other: readers know one."""
    stranger = ASCII.replace(LAN.encode(), b"boss@songlam.example")
    wrapped = inside(*FIELDS).partition(b"Content-Type")[0] + f"Content-Type: message/rfc822; {mark}\r\n\r\n".encode()
    assert told(clear(wrapped + stranger, lan())) == ("signer_mismatch", "inner_from_differs")
    other = ASCII.replace(b"Subject: ", b"Subject: Chuyen tien, ")
    assert told(clear(wrapped + other, lan())) == ("verified_lesser", "headers_changed")
    assert judged(clear(wrapped + ASCII, lan())).headers_signed


TWICE = {
    "subject": b"Subject: Chuyen tien",
    "date": b"Date: Mon, 23 Nov 2026 08:29:00 +0700",
    "to": b"To: ai@khac.example",
    "cc": b"Cc: ai@khac.example\r\nCc: ba@khac.example",
    "sender": b"Sender: a@khac.example\r\nSender: b@khac.example",
    "reply-to": b"Reply-To: a@khac.example\r\nReply-To: b@khac.example",
}


@pytest.mark.parametrize("name", sorted(TWICE))
@pytest.mark.parametrize("place", ["above", "below"])
def test_a_shown_field_that_is_there_in_two_ways(name: str, place: str) -> None:
    """Condition 16: of two of a kind each reader shows another (RFC 5322 3.6 allows one)."""
    good = clear(PART, lan())
    assert told(good) == GOOD
    more = TWICE[name] + b"\r\n"
    twice = more + good if place == "above" else good.replace(b"MIME-Version", more + b"MIME-Version", 1)
    found = judged(twice)
    assert (row_of(found.verdict).name, found.verdict.reason) == ("verified_lesser", "headers_changed")
    assert [each.detail for each in found.notes if each.code == "headers_changed"] == [name]


def test_a_field_that_is_there_twice_in_one_way() -> None:
    """Careless scripts write a recipient or a subject twice: what is shown is the same, whichever it is."""
    good = clear(PART, lan())
    again = b"\r\n".join(each for each in FIELDS if each.startswith((b"To", b"Subject"))) + b"\r\n"
    assert told(again + good) == GOOD

"""A signed part under other fields: the signature is good, and good for one message only (RFC 8551 5).

The forms of `tests/wire/test_replays_live.py` are not repeated: here the signature is carried over in other clothes.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pytest
from asn1crypto import cms as asn1_cms

from gateway.cms.asn1 import tlv
from support.attacks import AUTHOR, GREEN, STRANGER, ground, head, letter, part, signer
from support.forger import Forger, attribute, signed_data
from support.gateway_process import OURS
from support.letters import base64_lines, clear_entity, mail, multipart, opaque_entity, text_part

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.attacks import Field

OTHER_FIELDS: Final[dict[str, tuple[bytes, bytes]]] = {
    "subject": (rb"Subject: [^\r]*", b"Subject: Chuyen tien gap"),
    "one letter": (rb"Subject: Moi", b"Subject: Mai"),
    "subject in other letters": (rb"Subject: Moi", "Subject: M\u043ei".encode()),
    "subject longer": (rb"(Subject: [^\r]*)", rb"\1 - gap"),
    "subject folded on": (rb"(Subject: [^\r]*)", rb"\1\r\n va chuyen 5 trieu"),
    "no subject": (rb"Subject: [^\r]*\r\n", b""),
    "empty subject": (rb"Subject: [^\r]*", b"Subject:"),
    "second subject": (rb"(Subject: [^\r]*)", rb"\1\r\nSubject: Gap"),
    "subject cut in two": (rb"Subject: Moi hop ", b"Subject: Moi hop\r\nSubject: "),
    "an empty subject more": (rb"(Subject: [^\r]*)", rb"\1\r\nSubject:"),
    "second subject in front": (rb"(Subject: [^\r]*)", rb"Subject: Gap\r\n\1"),
    "reply prefix": (rb"Subject: ", b"Subject: Re: "),
    "forward prefix": (rb"Subject: ", b"Subject: Fwd: "),
    "two prefixes": (rb"Subject: ", b"Subject: [a] [b] "),
    "a sentence as prefix": (rb"Subject: ", b"Subject: [Chuyen 5 trieu ngay hom nay cho tai khoan so 0123456789] "),
    "prefix and date": (rb"Subject: (.*)24 Nov", rb"Subject: [van-thu] \g<1>25 Nov"),
    "date": (rb"24 Nov 2026", b"25 Nov 2026"),
    "hour": (rb"08:29", b"09:29"),
    "no date": (rb"Date: [^\r]*\r\n", b""),
    "second date": (rb"(Date: [^\r]*)", rb"\1\r\nDate: Wed, 25 Nov 2026 08:29:00 +0700"),
    "message-id": (rb"Message-ID: <", b"Message-ID: <0"),
    "no message-id": (rb"Message-ID: [^\r]*\r\n", b""),
    "second message-id": (rb"(Message-ID: [^\r]*)", rb"\1\r\nMessage-ID: <a@b.example>"),
    "all": (rb"Subject: [^\r]*(.*)24 Nov(.*)Message-ID: <", rb"Subject: Gap\g<1>25 Nov\g<2>Message-ID: <9"),
}


def other(message: bytes, name: str) -> bytes:
    """Return the message with one of its fields changed."""
    pattern, text = OTHER_FIELDS[name]
    fields, blank, body = message.partition(b"\r\n\r\n")
    return re.sub(pattern, text, fields, count=1, flags=re.DOTALL) + blank + body


@pytest.mark.parametrize("name", OTHER_FIELDS)
def test_under_another_field_it_is_a_replay(field: Field, name: str) -> None:
    """Signed part and signature are the same octets; what a reader goes by is not."""
    good = letter()
    found = field.attack(good, other(good, name))
    assert found.why == ("replayed", "replayed")
    assert "smime=policy" in found.results


@pytest.mark.parametrize("name", ["Subject", "Reply-To", "Date", "Message-ID", "To", "Content-Type"])
@pytest.mark.parametrize("end", ["\v", "\f", "\x1c", "\u0085", "\u2028"])
def test_another_field_hidden_behind_an_odd_line_end(field: Field, name: str, end: str) -> None:
    """Some readers show the hidden one: with it the letter is no longer the one that was signed."""
    good = letter()
    found = field.attack(good, f"X-Mailer: a{end}{name}: {STRANGER}\r\n".encode() + good)
    assert found.verdict == "unreadable"


def test_the_true_one_stays_good(field: Field) -> None:
    """Whoever replays a letter does not spoil it: it is good again, for others too."""
    good = letter()
    field.attack(good, other(good, "subject"))
    assert "seen_before" in field.honest(good).notes
    assert "seen_before" in field.honest(good, to=f"ban-khac@{OURS}").notes


def test_to_two_recipients_and_twice_it_is_no_replay(field: Field) -> None:
    """A server that was not sure sends again; two recipients of one domain may get two transactions."""
    good = letter()
    for to in (f"mot@{OURS}", f"hai@{OURS}", f"mot@{OURS}"):
        assert field.honest(good, to=to).greens == GREEN


def test_trace_fields_and_white_space_make_no_other_message(field: Field) -> None:
    """What servers add and fold on the way says nothing about the author."""
    good = letter()
    field.honest(good)
    added = b"Received: from a.example by b.example; Tue, 24 Nov 2026 08:30:00 +0700\r\nX-Spam: no\r\n" + good
    field.honest(added.replace(b"Subject: Moi hop", b"Subject: Moi\r\n hop"))
    encoded = re.sub(rb"Subject: ([^\r]*)", rb"Subject: =?us-ascii?Q?\1?=", good)
    field.honest(encoded.replace(b"Moi hop so ", b"Moi_hop_so_"))


def test_another_recipient_in_the_header_is_no_replay(field: Field) -> None:
    """To is rewritten on many a way, and nothing that is signed says to whom: the reader is told that it is not."""
    good = letter()
    field.honest(good)
    found = field.honest(good.replace(f"<doc@{OURS}>".encode(), f"<ke-toan@{OURS}>".encode()))
    assert "seen_before" in found.notes
    assert found.facts["headers"] == "unsigned"


def test_a_list_copy_is_a_lesser_state(field: Field) -> None:
    """A list may put one short prefix in front; all the rest is the same."""
    good = letter()
    found = field.attack(good, good.replace(b"Subject: ", b"Subject: [van-thu] "))
    assert found.why == ("verified_lesser", "list_copy")


def test_a_list_copy_with_its_footer_is_partly_signed(field: Field) -> None:
    """The footer is outside of what was signed: told apart from a forgery, and not green."""
    content = part()
    good = letter(content)
    fields = good[: good.index(b"MIME-Version")].replace(b"Subject: ", b"Subject: [van-thu] ")
    inner = good.partition(b"MIME-Version: 1.0\r\n")[2]
    field.honest(good)
    found = field.harmless(mail(multipart("mixed", inner, text_part("-- \r\nDanh sach van-thu")), head=fields))
    assert found.verdict == "partial"


def _info(cms: bytes) -> asn1_cms.ContentInfo:
    return asn1_cms.ContentInfo.load(cms)


def _as_opaque(content: bytes, cms: bytes) -> bytes:
    info = _info(cms)
    info["content"]["encap_content_info"] = {"content_type": "data", "content": content}
    return opaque_entity(info.dump(force=True))


def _no_certificates(content: bytes, cms: bytes) -> bytes:
    info = _info(cms)
    keep = [each for each in info["content"]["certificates"] if each.chosen.dump() == signer().certificate]
    info["content"]["certificates"] = keep
    return clear_entity(content, info.dump(force=True))


def _unsigned_attribute(content: bytes, cms: bytes) -> bytes:
    data = _info(cms)["content"]
    info = data["signer_infos"][0]
    more = tlv(0xA1, attribute("1.2.840.113549.1.9.16.2.99", tlv(0x02, b"\x05")))
    certificates = [each.chosen.dump() for each in data["certificates"]]
    return clear_entity(content, signed_data([tlv(0x30, info.contents, more)], certificates=certificates))


def _other_boundary(content: bytes, cms: bytes) -> bytes:
    return clear_entity(content, cms, boundary="khac")


def _twice(content: bytes, cms: bytes) -> bytes:
    data = _info(cms)["content"]
    certificates = [each.chosen.dump() for each in data["certificates"]]
    return clear_entity(content, signed_data([data["signer_infos"][0].dump()] * 2, certificates=certificates))


def _wrapped(content: bytes, cms: bytes) -> bytes:
    """Return the same signature with preamble and base64 in other lines."""
    entity = clear_entity(content, cms)
    return entity.replace(base64_lines(cms), base64_lines(cms).replace(b"\r\n", b"") + b"\r\n")


CLOTHES: Final[dict[str, Callable[[bytes, bytes], bytes]]] = {
    "opaque": _as_opaque,
    "leaf only": _no_certificates,
    "unsigned attribute": _unsigned_attribute,
    "other boundary": _other_boundary,
    "twice": _twice,
    "one line": _wrapped,
}


@pytest.mark.parametrize("name", CLOTHES)
def test_a_signature_is_known_again_in_other_clothes(field: Field, name: str) -> None:
    """What a stranger can change around a signature does not make it another one."""
    content = part()
    cms = Forger(signer()).cms(content)
    fields = head()
    good = mail(clear_entity(content, cms), head=fields)
    dressed = mail(CLOTHES[name](content, cms), head=fields)
    field.honest(good)
    assert "seen_before" in field.honest(dressed).notes
    assert field.harmless(other(dressed, "subject")).why == ("replayed", "replayed")


def test_the_first_one_counts_even_if_it_is_the_copy(field: Field) -> None:
    """Where the true letter was held back, its copy is the first that is seen: fields are told to be unsigned.

    No gateway can know better; the true one, when it comes, shows that there are two.
    """
    good = letter()
    first = field.honest(other(good, "subject"))
    assert first.facts["headers"] == "unsigned"
    assert field.harmless(good).why == ("replayed", "replayed")


def test_one_of_many_at_once_is_green(field: Field) -> None:
    """Copies that come in one instant are told apart: one of them is verified."""
    good = letter()
    copies = [re.sub(rb"Subject: [^\r]*", b"Subject: So %d" % number, good) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(field.deliver, copies))
    assert sorted(each.verdict for each in found) == ["replayed"] * 5 + ["verified"]
    assert sum(bool(each.greens) for each in found) == 1


def test_it_is_known_after_a_stop_and_after_a_kill() -> None:
    """What was seen is on the disk: a restart makes nothing new of it."""
    with ground() as field:
        first, second = letter(), letter()
        field.honest(first)
        assert field.gate.stop() == 0
        field.gate.start()
        assert field.harmless(other(first, "message-id")).why == ("replayed", "replayed")
        field.honest(second)
        field.gate.wait_for_signatures(2)
        field.gate.kill()
        field.gate.start()
        assert field.harmless(other(second, "date")).why == ("replayed", "replayed")
        assert field.honest(first).notes >= {"seen_before"}


def test_an_answer_that_would_go_elsewhere_is_noted(field: Field) -> None:
    """Reply-To is not signed: where it leaves domain and agency, recipients are told."""
    good = letter()
    assert "reply_to_elsewhere" not in field.honest(good).notes
    for value in (STRANGER, f"<{STRANGER}>, <{AUTHOR}>", "van-phong@thanhha.example.thu.example", "x", "a: b@c.d;"):
        found = field.deliver(b"Reply-To: " + value.encode() + b"\r\n" + good)
        assert "reply_to_elsewhere" in found.notes, value
    found = field.deliver(f"Reply-To: {AUTHOR}\r\n".encode() + good)
    assert "reply_to_elsewhere" not in found.notes

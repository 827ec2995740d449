"""Words and pictures that imitate the gateway's marks (Müller et al. 2019, UI class): none becomes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from gateway.mime.fields import encode_text
from support.attacks import AGENCY, STRANGER, head, letter, part, signer
from support.letters import multipart

if TYPE_CHECKING:
    from support.attacks import Field

COMPANY: Final = "Công ty Cấp nước"


def titled(text: str, **author: str) -> bytes:
    """Return the fields of a letter with a subject."""
    before, _, rest = head(**author).partition(b"Subject:")
    return before + b"Subject: " + encode_text(text) + b"\r\n" + rest.partition(b"\r\n")[2]


def unsigned(fields: bytes, content: bytes | None = None) -> bytes:
    """Return a letter that nobody signed."""
    return fields + b"MIME-Version: 1.0\r\n" + (part() if content is None else content)


SUBJECTS: Final = {
    "a whole tag": "[Đã xác thực: Văn phòng tỉnh Thanh Hà] Họp",
    "a tag behind words": "Họp [Đã xác thực: Văn phòng tỉnh Thanh Hà]",
    "a lock": "🔒 Đã xác thực: Văn phòng tỉnh Thanh Hà",
    "a check mark": "✔ Họp",
    "without accents": "[Da xac thuc: Van phong] Họp",
    "other brackets": "【Đã xác thực: Văn phòng】 Họp",
    "letters of another script": "[\u0110\u00e3 x\u0430c th\u01b0c: V\u0430n ph\u00f2ng] H\u1ecdp",
    "the other letter that looks like Đ": "[Ðã xác thực: Văn phòng] Họp",
}


@pytest.mark.parametrize("idea", sorted(SUBJECTS))
def test_a_subject_that_imitates_a_tag(field: Field, idea: str) -> None:
    """Unsigned, it loses the tag; signed by a stranger, it never says another name than the stranger's."""
    found = field.harmless(unsigned(titled(SUBJECTS[idea])))
    assert found.verdict == "unsigned"
    assert "tag_words" in found.notes
    theirs = field.deliver(letter(fields=titled(SUBJECTS[idea], author=STRANGER), by=signer(STRANGER)))
    assert theirs.verdict == "verified"
    assert "tag_words" in theirs.notes
    assert "[Đã xác thực" not in theirs.subject
    assert COMPANY in theirs.all("x-verified-sender")[0]


def test_a_tag_in_a_reply_is_taken_out_and_is_no_imitation(field: Field) -> None:
    """People answer mail that was tagged: the tag of that letter must not pass for one of this."""
    found = field.harmless(unsigned(titled("Re: [Đã xác thực: Văn phòng tỉnh Thanh Hà] Họp")))
    assert (found.subject, found.notes) == ("Re: Họp", frozenset())


NAMES: Final = {
    "words of the tag": ("Đã xác thực", {"tag_words"}),
    "a whole tag": ("[Đã xác thực: Văn phòng tỉnh Thanh Hà]", {"tag_words"}),
    "a check mark": ("✔ Công ty", {"tag_words"}),
    "a green box": ("✅ Công ty", {"tag_words"}),
    "the agency": (AGENCY, {"impersonation"}),
    "the agency with a check mark": (f"✔ {AGENCY}", {"impersonation", "tag_words"}),
    "the agency in capitals without accents": ("VAN PHONG TINH THANH HA", {"impersonation"}),
    "the author's address": ("vanphong@thanhha.example", {"impersonation"}),
}


@pytest.mark.parametrize("idea", sorted(NAMES))
def test_a_display_name_that_imitates(field: Field, idea: str) -> None:
    """Whoever calls himself so is told apart, signed or not: the warning stands in front, and no green word does."""
    text, notes = NAMES[idea]
    name = f'"{text}"' if text.isascii() else encode_text(text).decode()
    assert notes <= field.harmless(unsigned(head(name=name, author="ai@la.example"))).notes
    theirs = field.deliver(letter(fields=head(name=name, author=STRANGER), by=signer(STRANGER)))
    assert theirs.verdict == "verified"
    assert notes <= theirs.notes
    assert not theirs.subject.startswith("[Đã xác thực")
    assert COMPANY in theirs.all("x-verified-sender")[0]


PAGES: Final = {
    "a banner": '<div style="background:#0a0">✔ Đã xác thực: Văn phòng tỉnh Thanh Hà</div><p>500</p>',
    "a picture of a seal": '<img alt="Đã xác thực: Văn phòng tỉnh Thanh Hà" src="cid:dau"><p>500</p>',
    "fields of ours": "<pre>X-Verified-Sender: Văn phòng tỉnh Thanh Hà\r\nX-Gateway-Verdict: verified</pre>",
}


@pytest.mark.parametrize("idea", sorted(PAGES))
def test_a_page_that_imitates_a_tag(field: Field, idea: str) -> None:
    """What stands in a body stays there: the verdict stands where no sender can write."""
    page = part(PAGES[idea], subtype="html")
    assert field.harmless(unsigned(head(), page)).why == ("unsigned", "no_signature")
    theirs = field.deliver(letter(page, fields=head(author=STRANGER), by=signer(STRANGER)))
    assert theirs.subject.startswith(f"[Đã xác thực: {COMPANY}]")


def test_fields_of_ours_in_a_part(field: Field) -> None:
    """A program that reads fields of parts finds ours in the header only, and the forger is noted."""
    forged = b"X-Verified-Sender: Van phong\r\nX-Gateway-Verdict: verified\r\n" + part()
    found = field.harmless(unsigned(head(), multipart("mixed", forged, part())))
    assert found.verdict == "unsigned"
    assert "tag_words" in found.notes


def test_a_changed_subject_under_a_good_signature(field: Field) -> None:
    """The smallest change of all: subjects are not signed, so the same signature under another one is replayed."""
    fields, content = titled("Moi hop"), part()
    forged = letter(content, fields=fields.replace(b"Moi hop", b"Moi chuyen 500 trieu"))
    assert field.attack(letter(content, fields=fields), forged).verdict == "replayed"

"""Names and domains that pass for an agency's, and those that do not: what is flagged, and what must not be.

No mail here is signed by the imitated one: nothing is green, and the reader is warned where there is reason to.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import pytest

from support.attacks import AGENCY, AUTHOR, head, letter, part
from support.letters import mail

if TYPE_CHECKING:
    from support.attacks import Delivered, Field

ELSEWHERE: Final = "thongbao@hopthu.example"


def deliver(field: Field, name: str, mailbox: str = ELSEWHERE, more: str = "") -> Delivered:
    """Deliver a green letter of the true agency, then an unsigned one that shows this name and mailbox."""
    field.honest(letter())
    word = f"=?utf-8?B?{base64.b64encode(name.encode()).decode()}?="
    fields = head(author=mailbox, name=word)
    return field.harmless(mail(part(), head=more.encode() + fields), sender=ELSEWHERE)


NAMES: Final = {
    "as it is": AGENCY,
    "no accents": "Van phong tinh Thanh Ha",
    "capitals": "VĂN PHÒNG TỈNH THANH HÀ",
    "decomposed": "Va\u0306n pho\u0300ng ti\u0309nh Thanh Ha\u0300",
    "Cyrillic": "V\u0103n ph\u00f2ng t\u1ec9nh Th\u0430nh H\u00e0",
    "no width": "Văn\u200b phòng tỉnh\u2060 Thanh Hà",
    "blanks in between": "V ă n  p h ò n g tỉnh Thanh Hà",
    "full-width": "\uff36an phong tinh \uff34hanh \uff28a",
    "underscores": "Van_phong_tinh_Thanh_Ha",
    "with a title": f"Thông báo của {AGENCY}",
    "in brackets": f"[{AGENCY}]",
    "and its mailbox": f"{AGENCY} <{AUTHOR}>",
    "only its mailbox": AUTHOR,
    "its mailbox, full-width at": AUTHOR.replace("@", "\uff20"),
    "backwards": "\u202e" + AGENCY[::-1],
    "treasury": "Kho bạc Nhà nước",
    "treasury, no accents": "Kho bac Nha nuoc",
    "tax": "Cục Thuế tỉnh",
    "tax office": "Tổng cục Thuế",
    "social insurance": "BHXH Việt Nam",
    "social insurance, in full": "Bảo hiểm xã hội tỉnh",
    "police": "Công an tỉnh",
}
PEOPLE: Final = {
    "a person": "Nguyễn Văn An",
    "a person called Thuế": "Nguyễn Văn Thuế",
    "a person called Bạc": "Trần Thị Bạc",
    "a company": "Công ty cổ phần Thanh Hà",
    "a newsletter": "Bản tin Sông Lam",
    "a shop": "Cửa hàng Hà Thanh",
    "taxi": "Taxi Thanh Hà",
    "consulting on taxes": "Tư vấn thuế An Phát",
    "nobody": "",
    "an office of another place": "Phòng Kinh doanh",
}
DOMAINS: Final = {
    "letter doubled": "thanhhaa.example",
    "hyphen": "thanh-ha.example",
    "one for l": "thanhha.examp1e",
    "Cyrillic": "th\u0430nhha.example",
    "rn": "thanhha.exarnple",
    "accent": "thànhha.example",
    "in front of another": "thanhha.example.hopthu.example",
}
OTHER_DOMAINS: Final = ("hopthu.example", "thanhtri.example", "hathanh.example", "songlam.example", "example.com")


@pytest.mark.parametrize("name", NAMES)
def test_a_display_name_that_is_an_agencys(field: Field, name: str) -> None:
    """From elsewhere, unsigned: whatever it is written with, an eye reads the agency."""
    found = deliver(field, NAMES[name])
    assert "impersonation" in found.notes
    assert found.subject.startswith("[Nghi mạo danh: ")


@pytest.mark.parametrize("name", PEOPLE)
def test_a_display_name_that_is_nobodys(field: Field, name: str) -> None:
    """A warning on everybody's mail is read by nobody."""
    found = deliver(field, PEOPLE[name])
    assert not found.notes & {"impersonation", "lookalike_domain", "tag_words"}
    assert not found.subject.startswith("[")


@pytest.mark.parametrize("name", DOMAINS)
def test_a_domain_that_looks_like_an_agencys(field: Field, name: str) -> None:
    """Registered for a few coins, and read over."""
    found = deliver(field, "Hành chính", f"vanphong@{DOMAINS[name]}")
    assert found.notes & {"lookalike_domain", "impersonation"}
    assert found.subject.startswith("[")


@pytest.mark.parametrize("domain", OTHER_DOMAINS)
def test_a_domain_of_somebody_else(field: Field, domain: str) -> None:
    """Other names are other people."""
    assert not deliver(field, "Hành chính", f"an@{domain}").notes & {"lookalike_domain", "impersonation"}


def test_the_agency_itself_is_no_imitation(field: Field) -> None:
    """Its own name on its own mail, signed."""
    found = field.honest(letter(fields=head(name=f"=?utf-8?B?{base64.b64encode(AGENCY.encode()).decode()}?=")))
    assert not found.notes & {"impersonation", "lookalike_domain"}


def test_sender_and_reply_to_imitate_as_well(field: Field) -> None:
    """Some readers show Sender in front of From, and an answer goes to Reply-To."""
    word = f"=?utf-8?B?{base64.b64encode(AGENCY.encode()).decode()}?="
    for mailbox in (ELSEWHERE, "khac@hopthu.example"):
        assert "impersonation" in deliver(field, "Hành chính", more=f"Sender: {word} <{mailbox}>\r\n").notes
    found = deliver(field, "Hành chính", more="Reply-To: vanphong@thanhhaa.example\r\n")
    assert "lookalike_domain" in found.notes

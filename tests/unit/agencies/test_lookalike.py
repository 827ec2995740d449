"""Who claims to be whom: each way to imitate an agency is noted, and no honest sender is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.agencies.lookalike import Shown, claims
from gateway.agencies.registry import Registry
from gateway.core.address import Mailbox

TEXT = """\
agencies:
  - {id: tinh, name: Ủy ban nhân dân tỉnh Sông Lam, kind: tinh, mailboxes: [ubnd@songlam.example]}
  - id: so-y-te
    name: Sở Y tế Sông Lam
    kind: so
    parent: tinh
    short: [SYT]
    mailboxes: [soyte@songlam.example]
    domains: ["@soyte.songlam.example"]
  - {id: so-tai-chinh, name: Sở Tài chính, kind: so, parent: tinh, mailboxes: [sotaichinh@songlam.example]}
  - id: ben-thoi
    name: Ủy ban nhân dân xã Bến Thoi
    kind: xa
    parent: tinh
    former: [UBND xã Hạ Thoi]
    mailboxes: [benthoi@songlam.example]
  - {id: ke-hoach, name: Phòng Kế hoạch, kind: don_vi, parent: so-y-te, mailboxes: [kehoach@songlam.example]}
  - {id: tram, name: Trạm Y tế Bến Thoi, kind: benh_vien, mailboxes: [tramyte.benthoi@gmail.com]}
  - {id: so-noi-vu, name: Sở Nội vụ tỉnh Sông Lam, kind: so, mailboxes: [sonoivu@songlam.example]}
successors:
  - {old: vinhsong.example, new: songlam.example, not_for: [soyte@vinhsong.example]}
protected:
  - {name: Kho bạc Nhà nước, names: [Kho bạc Nhà nước, Kho bạc], domains: [khobac.example, "*.khobac.example"]}
  - {name: Cơ quan Thuế, words: [Thuế], domains: [thue.example]}
  - {name: Bảo hiểm xã hội, names: [Bảo hiểm xã hội], domains: [bhxh.example]}
  - {name: Công an, words: [Công an], domains: [congan.example]}
  - {name: VNeID, names: [VNeID], domains: [vneid.example]}
official: ["*.gov.vn"]
"""
REGISTRY = Registry.load("agencies.yaml", TEXT)
STRANGER = "x@noi-khac.example"
HEALTH, TAX, TREASURY, INSURANCE = "Sở Y tế Sông Lam", "Cơ quan Thuế", "Kho bạc Nhà nước", "Bảo hiểm xã hội"


def notes(
    name: str = "",
    address: str | None = STRANGER,
    subject: str = "",
    *,
    vouched: frozenset[str] = frozenset(),
    replies_to: tuple[str, ...] = (),
    nested: tuple[str, ...] = (),
) -> dict[str, str]:
    """Return code -> detail."""
    shown = Shown(
        display_name=name,
        author=Mailbox.parse(address) if address is not None else None,
        subject=subject,
        replies_to=tuple(map(Mailbox.parse, replies_to)),
        nested=nested,
    )
    return {each.code: each.detail for each in claims(shown, REGISTRY, vouched=lambda: vouched)}


@pytest.mark.parametrize(
    ("name", "agency"),
    [
        ("Sở Y tế", HEALTH),
        ("Sở Y tế Sông Lam", HEALTH),
        ("SỞ Y TẾ TỈNH SÔNG LAM", HEALTH),
        ("So Y te", HEALTH),
        ("So\u031b\u0309 Y te\u0302\u0301", HEALTH),
        ("S ở  Y-t_ế", HEALTH),
        ("S.Ở.Y.T.Ế", HEALTH),
        ("SởYtế", HEALTH),
        ("SYT", HEALTH),
        ("S.Y.T", HEALTH),
        ("SYT Sông Lam", HEALTH),
        ("\u0405\u1edf Y t\u1ebf", HEALTH),
        ("S\u03bf \u03a5 t\u0435", HEALTH),
        ("\U0001d412\U0001d428 \U0001d418 \U0001d42d\U0001d41e", HEALTH),
        ("\uff33\uff4f \uff39 \uff54\uff45", HEALTH),
        ("\u24c8\u24de \u24ce \u24e3\u24d4", HEALTH),
        ("S0 Y te", HEALTH),
        ("So\u200b Y\u2060 t\u00ade", HEALTH),
        ("\u202eet Y oS", HEALTH),
        ("Sở\u3164Y\u2800tế", HEALTH),
        (" \u200b" * 3000 + "Sở Y tế", HEALTH),
        ("Lan Anh (Sở Y tế)", HEALTH),
        ("Văn thư - Sở Y tế", HEALTH),
        ("Sở Tài chính", "Sở Tài chính"),
        ("STC", "Sở Tài chính"),
        ("Sở Nội vụ", "Sở Nội vụ tỉnh Sông Lam"),
        ("UBND xã Bến Thoi", "Ủy ban nhân dân xã Bến Thoi"),
        ("Ủy ban nhân dân xã Hạ Thoi", "Ủy ban nhân dân xã Bến Thoi"),
        ("Kho bạc", TREASURY),
        ("KBNN", TREASURY),
        ("Kho bac Nha nuoc TP", TREASURY),
        ("Thuế", TAX),
        ("Cục Thuế", TAX),
        ("Chi cục Thuế khu vực 3", TAX),
        ("THUẾ VIỆT NAM", TAX),
        ("Thông báo Thuế đặc khu", TAX),
        ("Thông báo - Thuế điện tử", TAX),
        ("Trần Văn A - Cục Thuế", TAX),
        ("BHXH", INSURANCE),
        ("BHXH Việt Nam", INSURANCE),
        ("BHXHVN", INSURANCE),
        ("soytevn", HEALTH),
        ("5ở Y tế", HEALTH),
        ("Cán bộ Công an", "Công an"),
        ("Bảo hiểm xã hội tỉnh", INSURANCE),
        ("Công an tỉnh Sông Lam", "Công an"),
        ("VNelD", "VNeID"),
        ("VNe\u0406D", "VNeID"),
    ],
)  # fmt: skip
def test_a_name_from_elsewhere(name: str, agency: str) -> None:
    """A display name that an eye takes for an agency's, from another place, is an impersonation of that agency."""
    assert notes(name).get("impersonation") == agency
    assert notes(name, None).get("impersonation") == agency


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("Nguyễn Thị Thuế", STRANGER),
        ("Thuế Nguyễn", STRANGER),
        ("Lê Thuế", STRANGER),
        ("Trần Công An", STRANGER),
        ("Nguyễn Công An (Phòng Kinh doanh)", STRANGER),
        ("Phần mềm kê khai thuế", STRANGER),
        ("Thuế và Đời sống", STRANGER),
        ("Mai Lan", STRANGER),
        ("STC Logistics", STRANGER),
        ("Syt Loan", STRANGER),
        ("Công ty SYT", STRANGER),
        ("Báo Sức khỏe và Đời sống", STRANGER),
        ("Nhà xuất bản Sự thật", STRANGER),
        ("John Smith", STRANGER),
        ("", "thue@cong-ty.example"),
        ("", "ke.toan.thue@cong-ty.example"),
        ("", "congan.nguyen@gmail.com"),
        ("Sở Y tế", "soyte@songlam.example"),
        ("Sở Y tế Sông Lam", "bat.ky@soyte.songlam.example"),
        ("Lan Anh (Sở Y tế)", "lan.anh@songlam.example"),
        ("Sở Y tế - Phòng Kế hoạch", "kehoach@songlam.example"),
        ("Phòng Kế hoạch", "soyte@songlam.example"),
        ("Sở Tài chính", "sotaichinh@vinhsong.example"),
        ("Sở Tài chính", "lan@vinhsong.example"),
        ("Trạm Y tế Bến Thoi", "tramyte.benthoi@gmail.com"),
        ("Kho bạc Nhà nước", "tin@khobac.example"),
        ("Kho bạc Nhà nước", "tin@kv3.khobac.example"),
        ("Sở Y tế", "soyte@thanhha.gov.vn"),
        ("\u200b" * 20000, STRANGER),
    ],
)
def test_no_false_alarm(name: str, address: str) -> None:
    """People who are called so, topics, and agencies that write from where they live, are nobody's imitation."""
    assert notes(name, address) == {}


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("Sở Y tế", "sotaichinh@songlam.example"),
        ("Sở Y tế", "benthoi@songlam.example"),
        ("Trạm Y tế Bến Thoi", "khac@gmail.com"),
        ("Sở Y tế", "soyte@vinhsong.example.noi-khac.example"),
        ("Kho bạc Nhà nước", "tin@khobac.example.noi-khac.example"),
        ("Cục Thuế", "soyte@songlam.example"),
        ("soyte@songlam.example", STRANGER),
        ("soyte\uff20songlam.example", STRANGER),
        ("", "soyte@noi-khac.example"),
        ("", "so-y-te.songlam@noi-khac.example"),
        ("", "bhxhvietnam@noi-khac.example"),
    ],
)
def test_another_agency_and_a_shared_provider_are_elsewhere(name: str, address: str) -> None:
    """Another agency's mailbox, a neighbor at a public provider, an address in the name or in the local part."""
    assert "impersonation" in notes(name, address)


def test_only_the_agency_that_signed_is_vouched_for() -> None:
    """A good signature lets its own agency bear its name from anywhere, and nobody else's."""
    assert notes("Sở Y tế", vouched=frozenset({"so-y-te"})) == {}
    assert notes("Phòng Kế hoạch", vouched=frozenset({"so-y-te"})) == {}
    assert notes("soyte@songlam.example", vouched=frozenset({"so-y-te"})) == {}
    assert "impersonation" in notes("Sở Y tế", vouched=frozenset({"so-tai-chinh"}))
    assert "impersonation" in notes("Sở Y tế", vouched=frozenset({"tinh"})), "a province's own key speaks for itself"
    assert "impersonation" in notes("Cục Thuế", vouched=frozenset({"so-y-te"}))


@pytest.mark.parametrize(
    "subject",
    [
        "[Sở Y tế] Kết quả hồ sơ",
        "\u3010Sở Y tế\u3011 Kết quả",
        "Sở Y tế thông báo",
        "Thông báo của Cục Thuế",
        "BHXH yêu cầu đóng tiền",
        "Thuế điện tử yêu cầu nộp",
    ],
)
def test_a_subject_that_speaks_for_an_agency(subject: str) -> None:
    """In brackets, after "thông báo của", or before "yêu cầu", a subject says who speaks."""
    if subject.startswith("Thuế"):
        assert notes("Lan", subject=subject) == {}, "an everyday word with more behind it is a topic"
    else:
        assert "impersonation" in notes("Lan", subject=subject)


@pytest.mark.parametrize(
    "subject",
    [
        "Kính gửi Sở Y tế",
        "Sở Y tế cho hỏi thủ tục",
        "Re: [Sở Y tế] Kết quả hồ sơ",
        "Trả lời: [Sở Y tế] Kết quả",
        "Fwd: Thông báo của Cục Thuế",
        "Hỏi về thuế thu nhập",
        "Thông báo",
        "",
    ],
)
def test_citizens_write_to_agencies(subject: str) -> None:
    """Who writes to an agency, or answers it, names it without claiming to be it."""
    assert notes("Lan", subject=subject) == {}


@pytest.mark.parametrize(
    ("name", "subject", "nested", "where"),
    [
        ("Sở Y tế \u2713", "", (), "from"),
        ("\U0001f512 Lan", "", (), "from"),
        ("Lan [Verified]", "", (), "from"),
        ("Đã xác thực: Lan", "", (), "from"),
        ("Lan - Da Xac Thuc", "", (), "from"),
        ("Chữ ký hợp lệ", "", (), "from"),
        ("Lan (trusted sender)", "", (), "from"),
        ("Lan", "[Đã được xác thực: Sở Nội vụ] Giấy mời", (), "subject"),
        ("Lan", "[Đã ký số hợp lệ] Giấy mời", (), "subject"),
        ("\u0110\u00e3 x\u0430\u0301c th\u1ef1c", "", (), "from"),
        ("Lan", "[Đã xác thực: Sở Nội vụ] Giấy mời", (), "subject"),
        ("Lan", "(VERIFIED) invoice", (), "subject"),
        ("Lan", "Đã xác thực: Sở Nội vụ", (), "subject"),
        ("Lan", "\u2714 Giấy mời", (), "subject"),
        ("Lan", "", ("[Đã xác thực: Sở Nội vụ] Giấy mời",), "nested"),
        ("Lan", "", ("a", "Sở Nội vụ \u2611"), "nested"),
    ],
)
def test_marks_of_ours(name: str, subject: str, nested: tuple[str, ...], where: str) -> None:
    """Our words, and check marks, where a reader could take them for ours."""
    found = notes(name, "soyte@songlam.example", subject, nested=nested)
    assert found == {"tag_words": where}


@pytest.mark.parametrize(
    "subject",
    [
        "Re: [Đã xác thực: Sở Y tế] Kết quả",
        "Đã xác thực tài khoản của bạn",
        "Verified accounts are now available",
        "\u2705 Đơn hàng đã giao",
        "Hướng dẫn kiểm tra chữ ký hợp lệ",
        "Xác thực thành công",
        "Đã được xác thực tài khoản",
    ],
)
def test_newsletters_and_answers_have_no_mark(subject: str) -> None:
    """An answer to tagged mail repeats its tag, and newsletters like green boxes."""
    assert notes("Cửa hàng", subject=subject) == {}


def test_an_answer_with_a_protected_subject_has_no_mark() -> None:
    """Thunderbird repeats the subject inside (RFC 9788), and with it the tag of what is answered."""
    assert notes("Lan", nested=("Re: [Đã xác thực: Sở Y tế] Kết quả",)) == {}
    assert notes("Lan", nested=("[Đã xác thực: Sở Y tế] Kết quả",)) == {"tag_words": "nested"}


def test_answers_to_a_look_alike() -> None:
    """A Reply-To at a domain that passes for a true one is worth a note, whatever From says."""
    found = notes("Lan", "lan@songlam.example", replies_to=("lan@sonlam.example",))
    assert found == {"lookalike_domain": "songlam.example"}


def test_it_costs_little() -> None:
    """A usual message costs less than a tenth of a millisecond, the worst name there is a few."""
    registry = Registry.load("province.yaml", PROVINCE.read_text(encoding="utf-8"))
    usual = Shown(
        display_name="Nguyễn Thị Lan Anh",
        author=Mailbox.parse("lan.anh@noi-khac.example"),
        subject="Hỏi về thủ tục cấp lại giấy phép kinh doanh",
    )
    worst = Shown(display_name="Ủ y b a n " * 5000, author=None, subject="[U y b a n " * 5000)
    assert _seconds(usual, registry) < 0.000_4, "measured: 0.00005 on a quiet machine"
    assert _seconds(worst, registry) < 0.02


PROVINCE = Path(__file__).parents[3] / "config/agencies/province.yaml"


def _seconds(shown: Shown, registry: Registry) -> float:
    begin = time.process_time()
    for _ in range(50):
        claims(shown, registry, vouched=frozenset)
    return (time.process_time() - begin) / 50

"""Marks of state secrecy: real-looking subjects, lines and file names that bear one, and such as only look like it."""

from __future__ import annotations

import unicodedata

import pytest

from gateway.core.contents import Marking
from gateway.mime.markings import markings_in, markings_in_name
from support.pace import soon

MAT, TOI, TUYET = Marking.MAT, Marking.TOI_MAT, Marking.TUYET_MAT

MARKED = [
    # rule A, the higher degrees, anywhere
    ("TUYỆT MẬT: Kế hoạch diễn tập khu vực phòng thủ", TUYET),
    ("Kế hoạch A2 (tuyệt mật) gửi các đồng chí", TUYET),
    ("Tuyệt Mật - báo cáo quân số quý IV", TUYET),
    ("TUYET MAT - phuong an bao ve dai hoi", TUYET),
    ("phuong an tuyet mat gui anh Binh", TUYET),
    ("TUYỆT-MẬT/ Sơ đồ bố trí lực lượng", TUYET),
    ("T U Y Ệ T  M Ậ T", TUYET),
    ("T U Y Ệ T M Ậ T", TUYET),
    ("T.U.Y.Ệ.T M.Ậ.T: danh sách", TUYET),
    ("K H Ẩ N  T U Y Ệ T  M Ậ T", TUYET),
    ("tuy\u200bệt m\u00adật", TUYET),
    ("\u0422U\u0423Ệ\u0422 \u041cẬ\u0422 phương án", TUYET),  # Cyrillic
    ("\u03a4UYỆ\u03a4 \u039cẬ\u03a4", TUYET),  # Greek
    ("ＴＵＹỆＴ　ＭẬＴ", TUYET),
    ("T̶U̶Y̶Ệ̶T̶ ̶M̶Ậ̶T̶", TUYET),
    ("TUYÊT MÂT (lỗi phông) kế hoạch", TUYET),
    ("Tuỵêt mật: danh sách cán bộ nguồn", TUYET),
    ("TUYỆT\nMẬT", TUYET),
    ("Tài liệu tuyệt_mật kèm theo", TUYET),
    ("Tối mật: danh sách nhân sự quy hoạch", TOI),
    ("Về việc bàn giao hồ sơ tối mật năm 2026", TOI),
    ("TỐI MẬT", TOI),
    ("Re: Fwd: báo cáo TỐI MẬT của Ban Chỉ đạo", TOI),
    ("Văn bản độ Tối mật do Bộ ban hành", TOI),
    ("Fw: [TOI MAT] bao cao", TOI),
    ("TOI MAT: ke hoach", TOI),
    ("gui anh van ban toi mat cua tinh uy", TOI),
    ("Kế hoạch TOI MAT của tỉnh", TOI),
    ("T Ố I  M Ậ T - biên bản họp", TOI),
    # rule B1, alone
    ("MẬT", MAT),
    ("★ Mật ★", MAT),
    ("--- MẬT ---", MAT),
    ("M Ậ T", MAT),
    ("Kính gửi: Văn phòng\nMAT\nBáo cáo", MAT),
    ("MÂT", MAT),
    # rule B2, brackets
    ("[MẬT] Báo cáo tình hình an ninh quý III", MAT),
    ("Báo cáo tình hình (Mật)", MAT),
    ("Re: [mat] bao cao", MAT),
    ("v/v [Mật] y", MAT),
    ("**MẬT** phương án phòng cháy", MAT),
    ("[MẬT - HỎA TỐC] Công điện số 3", MAT),
    ("(Khẩn, Mật) Giấy mời họp", MAT),
    ("【Mật】 Thông báo kết luận", MAT),
    ("（Mật）", MAT),  # noqa: RUF001 - the point
    # rule B3, labels
    ("Độ mật: Mật", MAT),
    ("Độ mật: Tối mật", TOI),
    ("Mức độ: MẬT", MAT),
    ("Do mat: Mat", MAT),
    ("Độ mật : mật. Độ khẩn: thường", MAT),
    ("Đ Ộ  M Ậ T: M Ậ T", MAT),
    ("\u00d0ộ mật: Mật", MAT),
    ("Phân loại: Mật", MAT),
    # rule B4, at the begin
    ("MẬT: kế hoạch bảo vệ bầu cử", MAT),
    ("Mật - danh sách cán bộ luân chuyển", MAT),
    ("MAT - ke hoach bao ve", MAT),
    ("Re: MẬT: kế hoạch bảo vệ bầu cử", MAT),
    ("Trả lời: MẬT – phương án", MAT),  # noqa: RUF001 - a dash that people write
    ("[Khẩn] MẬT: công điện", MAT),
    # rule B5, at the end
    ("Công văn số 12/BC - MẬT", MAT),
    ("Báo cáo quân số | Mật", MAT),
    ("Bao cao quan so - MAT", MAT),
    # rule B6, capitals among words
    ("Gửi kế hoạch MẬT của tỉnh", MAT),
    ("MẬT Báo cáo tháng 10", MAT),
    ("Giấy mời họp MẬT ngày 12/11", MAT),
    # rule B7, behind a document's name
    ("V/v trả lại CÔNG VĂN MẬT SỐ 15", MAT),
    ("Tiêu hủy tài liệu Mật theo Quyết định 12", MAT),
    ("Văn bản có độ Mật, đề nghị xử lý", MAT),
]

PLAIN = [
    "",
    "Đổi mật khẩu hộp thư công vụ trước ngày 30/11",
    "ĐỔI MẬT KHẨU HỘP THƯ CÔNG VỤ",
    "Cấp lại mật khẩu: hướng dẫn",
    "Mật khẩu: hướng dẫn đặt mật khẩu mạnh",
    "MẬT KHẨU - hướng dẫn",
    "Cap lai mat khau cho toi",
    "CHO TOI MAT KHAU",
    "cho toi mat khau wifi voi",
    "Cho tôi mật khẩu wifi phòng họp",
    "Buổi tối mật độ giao thông cao",
    "Bảo mật thông tin cá nhân của người dân",
    "TẬP HUẤN AN TOÀN, BẢO MẬT THÔNG TIN",
    "Hội nghị về bảo vệ bí mật nhà nước năm 2026",
    "HỘI NGHỊ BẢO VỆ BÍ MẬT NHÀ NƯỚC",
    "Luật Bảo vệ bí mật nhà nước số 29/2018/QH14",
    "Cam kết BẢO MẬT - mẫu số 3",
    "Thỏa thuận bảo mật (NDA)",
    "Bí mật kinh doanh và sở hữu trí tuệ",
    "Hội chợ mật ong và nông sản Hà Giang",
    "MẬT ONG RỪNG U MINH",
    "Mật ong: giá tháng 11",
    "Phẫu thuật túi mật nội soi: lịch mổ tuần 48",
    "SỎI MẬT và cách phòng ngừa",
    "Tuần trăng mật tại Đà Lạt",
    "Mật độ dân số các xã sau sáp nhập",
    "MẬT ĐỘ XÂY DỰNG khu đô thị mới",
    "Quan hệ mật thiết giữa hai địa phương",
    "Lớp mật mã học nâng cao",
    "Ban Cơ yếu: khóa mật mã dân sự",
    "Thân mật chào đón các cháu thiếu nhi",
    "Gặp mặt đầu xuân - Mặt trận Tổ quốc",
    "MẶT TRẬN TỔ QUỐC VIỆT NAM TỈNH SÔNG LAM",
    "MAT TRAN TO QUOC VIET NAM",
    "Mat bang nha lam viec khu B",
    "Tiền mặt tồn quỹ cuối tháng",
    "Tien mat - phieu chi so 5",
    "Khám mắt miễn phí cho học sinh",
    "Thông báo mất thẻ cán bộ",
    "Tôi mất ví ở trụ sở",
    "toi mat the ra vao co quan",
    "TOI MAT VI ROI",
    "Chi Tuyet mat dien thoai",
    "Bao tin: ba Tuyet mat sang nay",
    "Cô Tuyết mất tích",
    "Nước mát, trời mát",
    "Tới mặt bằng công trình kiểm tra",
    "Xác định độ mật của tài liệu theo Thông tư 24",
    "XÁC ĐỊNH ĐỘ MẬT CỦA TÀI LIỆU",
    "Độ mật: Không",
    "Độ Mật: thường",
    "Mức độ bảo mật: cao",
    "Mức độ: mật khẩu yếu",
    "Quản lý tài liệu mật: lịch tập huấn",
    "[mật: hỏi đáp về luật",
    "Danh sách học viên lớp văn thư, tài liệu mật",
    "Automat và format lại ổ đĩa",
    "Format: PDF/A",
    "Toán - Mat hoc - Vat ly",
    "Ông Mạt Văn Mạt",
    "Mật vụ, mật thám trong văn học 1930-1945",
    "Điểm thi môn Ngữ văn: thí sinh vắng mặt",
    "Sinh hoạt chi bộ tháng 11, vắng mat 2",
    "Báo cáo tháng 10/2026 của Sở Y tế",
    "a b c d e f g h",
    "M. A. Trần gửi hồ sơ",
]

NAMES = [
    ("MAT_BC_2026.docx", MAT),
    ("MAT-12-BCA.pdf", MAT),
    ("MAT.pdf", MAT),
    ("Mật.docx", MAT),
    ("MẬT_kế hoạch.docx", MAT),
    ("mật - kế hoạch.docx", MAT),
    ("CV12_MAT.pdf", MAT),
    ("BC MAT.doc", MAT),
    ("Công văn MẬT số 5.pdf", MAT),
    ("[Mật] ke hoach.docx", MAT),
    ("(mat).pdf", MAT),
    ("tuyet_mat.pdf", TUYET),
    ("KH.TUYETMAT.2026.pdf", TUYET),
    ("phương án tuyệt mật.docx", TUYET),
    ("TOI_MAT_ke_hoach.docx", TOI),
    ("toi-mat.pdf", TOI),
    ("bao cao toi mat.pdf", TOI),
    ("tối mật.zip", TOI),
]

PLAIN_NAMES = [
    "",
    "mat khau.xlsx",
    "mật_khẩu_wifi.txt",
    "MAT KHAU.txt",
    "toi_mat_khau.txt",
    "Mat_bang_tang_1.dwg",
    "MAT BANG TONG THE.dwg",
    "MAT CAT A-A.dwg",
    "MAT TRAN TO QUOC.docx",
    "mat.jpg",
    "mat-ong.jpg",
    "bao_mat.pdf",
    "BAO_MAT.pdf",
    "BI_MAT.docx",
    "Luật bảo vệ bí mật nhà nước.pdf",
    "PHIEU CHI TIEN MAT.xlsx",
    "format.mat",
    "Tuyet mat the.docx",
    "automat_2026.pdf",
    "matlab.pdf",
]


@pytest.mark.parametrize(("text", "marking"), MARKED)
def test_a_mark_is_found(text: str, marking: Marking) -> None:
    """What an eye reads as a mark is one, composed or not, in the subject or a line among others."""
    assert markings_in(text) == {marking}
    assert markings_in(unicodedata.normalize("NFD", text)) == {marking}
    assert markings_in(f"Kính gửi bà Mai,\n{text}\nTrân trọng.") == {marking}


@pytest.mark.parametrize("text", PLAIN)
def test_an_ordinary_text_bears_none(text: str) -> None:
    """Words that only contain "mật", or look like it without diacritics, stop no mail."""
    assert markings_in(text) == frozenset()
    assert markings_in(unicodedata.normalize("NFD", text)) == frozenset()
    assert markings_in(f"Kính gửi bà Mai,\n{text}\nTrân trọng.") == frozenset()


@pytest.mark.parametrize(("name", "marking"), NAMES)
def test_a_mark_in_a_name_is_found(name: str, marking: Marking) -> None:
    """Names of files are marked by their first word, by brackets, or by a higher degree anywhere."""
    assert markings_in_name(name) == {marking}
    assert markings_in_name(unicodedata.normalize("NFD", name)) == {marking}


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_an_ordinary_name_bears_none(name: str) -> None:
    """Drawings (mặt bằng), cash (tiền mặt), the Fatherland Front (Mặt trận) and passwords are no secrets."""
    assert markings_in_name(name) == frozenset()


KNOWN_TO_STOP = [
    # rule A stops whatever names a higher degree: a course, a regulation, a denial
    ("Tập huấn quản lý văn bản tuyệt mật, tối mật", {TUYET, TOI}),
    ("Danh mục bí mật nhà nước độ Tuyệt mật lĩnh vực y tế", {TUYET}),
    ("Tài liệu này không phải tối mật", {TOI}),
    # rule B7 in capitals cannot tell a course about such papers from one of them
    ("TẬP HUẤN QUẢN LÝ TÀI LIỆU MẬT", {MAT}),
    ("BAO TIN BA TUYET MAT", {TUYET}),
    ("Mật: 2 lọ, sữa: 3 hộp", {MAT}),
]

KNOWN_TO_PASS = [
    "gửi anh tài liệu mật của huyện",
    "ĐÓNG DẤU MẬT",
    "Số: 15/MẬT-BCA",
    "tai lieu mat cua tinh",
    "MA^.T: viết kiểu VIQR",
    "M\nẬ\nT",
]


@pytest.mark.parametrize(("text", "markings"), KNOWN_TO_STOP)
def test_what_the_rule_stops_too_much(text: str, markings: set[Marking]) -> None:
    """Known false alarms stay known: whoever changes the rule sees what becomes of them."""
    assert markings_in(text) == markings


@pytest.mark.parametrize("text", KNOWN_TO_PASS)
def test_what_the_rule_lets_pass(text: str) -> None:
    """Known gaps stay known: running words, and ways of writing that no eye takes for a mark at once."""
    assert markings_in(text) == frozenset()


@pytest.mark.parametrize(
    "hostile",
    [
        "a " * 60_000,
        "[ " * 60_000,
        "re: " * 30_000,
        "[a]" * 40_000,
        "tuyệt " * 20_000,
        "(" + " " * 120_000,
        "\n" * 120_000,
        "- " * 60_000,
        "> " * 60_000,
        "độ mật: " * 15_000,
        "MẬT " * 30_000,
        "m a t " * 20_000,
        "*" * 120_000,
    ],
    ids=lambda text: repr(text[:8]),
)
def test_hostile_text_takes_no_time(hostile: str) -> None:
    """No text takes more than time in proportion to its length."""
    with soon(3):
        markings_in(hostile + " mat")
        markings_in_name(hostile + " mat")

"""The agencies of an invented province, as they are since 1 July 2025: 29 provincial ones, 148 communes, no district.

Departments are those of decree 45/2025/ND-CP; as many communes as Phu Tho has. Old districts, departments and communes
live on as former names and old domains only. `config/agencies/province.yaml` and the table beside it are this, written
out. Names of places are put together from words at random, and stand for nobody.
"""

from __future__ import annotations

import json
import re
import unicodedata
from itertools import islice, product
from typing import TYPE_CHECKING, Final

from gateway.agencies.registry import read_agencies
from gateway.agencies.writing import write_yaml
from gateway.demo.province import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.yamltext import Document

PLACE: Final = "Sông Lam"
HEADING: Final = """\
# Danh bạ cơ quan của một tỉnh hư cấu: mọi tên đều bịa. Chép tệp này rồi thay bằng cơ quan của tỉnh mình.
# The agencies of an invented province: every name is made up. Copy the file and put your own agencies in.
#
#   gateway agencies check FILE            gateway agencies show soyte@songlam.example --agencies FILE
#   gateway agencies export FILE > danh-ba.csv (Excel)      gateway agencies import danh-ba.csv > agencies.yaml
#
# id: mã, dùng trong quy định / used in policies.   name: tên hiện trong nhãn / shown in tags, at most 100 characters.
# kind: tinh so ban nganh xa phuong dac_khu truong benh_vien don_vi doan_the khac (default: khac).
# parent: cơ quan cấp trên / the agency above.   former: tên cũ còn trên chứng thư / names still on certificates.
# short: tên tắt để nhận ra kẻ mạo danh / short names by which imitations are known.
# mailboxes, domains ("@..."), subjects (O, OU + domain), fingerprints (SHA-256): của riêng cơ quan / nobody else's.
# Cuối tệp / at the end: successors (tên miền cũ), protected (cơ quan hay bị mạo danh), official (đuôi miền nhà nước).
#
# Từ 1/7/2025 không còn cấp huyện. Cơ quan đã thôi hoạt động không đứng ở đây: tên cũ ghi ở former, tên miền cũ ghi ở
# successors của nơi tiếp nhận. not_for: hộp thư chức danh không chuyển theo (chủ tịch huyện không là chủ tịch phường).
# Since 1 July 2025 there are no districts. What is no more has no entry: its name is a former one of whoever took its
# work over, its domain an old one. not_for: titles do not pass on (a district's chairman is not the ward's).
"""
_TAIL: Final = """\
protected:
  - {name: "Kho bạc Nhà nước", names: ["Kho bạc Nhà nước", "Kho bạc"], domains: ["*.gov.vn"]}
  - {name: "Cơ quan Thuế", names: ["Tổng cục Thuế", "Cục Thuế", "Chi cục Thuế"], words: ["Thuế"], domains: ["*.gov.vn"]}
  - {name: "Bảo hiểm xã hội Việt Nam", names: ["Bảo hiểm xã hội", "BHXH"], domains: ["*.gov.vn"]}
  - {name: "Công an", names: ["Bộ Công an", "Công an tỉnh"], words: ["Công an"], domains: ["*.gov.vn"]}
  - {name: "Ngân hàng Nhà nước", names: ["Ngân hàng Nhà nước"], domains: ["*.gov.vn"]}
  - {name: "VNeID", names: ["VNeID", "Định danh điện tử"], domains: ["*.gov.vn"]}
official: ["*.gov.vn"]
"""
_PROVINCIAL: Final = (
    ("tinh", "Hội đồng nhân dân tỉnh", "People's Council", "hdnd"),
    ("tinh", "Ủy ban nhân dân tỉnh", "People's Committee", "ubnd"),
    ("ban", "Văn phòng Đoàn đại biểu Quốc hội và Hội đồng nhân dân tỉnh", "Office of the Deputies", "vpdbqh"),
    ("ban", "Văn phòng Ủy ban nhân dân tỉnh", "Office of the People's Committee", "vpub"),
    ("so", "Sở Nội vụ", "Department of Home Affairs", "sonoivu"),
    ("so", "Sở Tư pháp", "Department of Justice", "sotuphap"),
    ("so", "Sở Tài chính", "Department of Finance", "sotaichinh"),
    ("so", "Sở Công Thương", "Department of Industry and Trade", "socongthuong"),
    ("so", "Sở Nông nghiệp và Môi trường", "Department of Agriculture and Environment", "sonnmt"),
    ("so", "Sở Xây dựng", "Department of Construction", "soxaydung"),
    ("so", "Sở Khoa học và Công nghệ", "Department of Science and Technology", "sokhcn"),
    ("so", "Sở Văn hóa, Thể thao và Du lịch", "Department of Culture, Sports and Tourism", "sovhttdl"),
    ("so", "Sở Giáo dục và Đào tạo", "Department of Education and Training", "sogddt"),
    ("so", "Sở Y tế", "Department of Health", "soyte"),
    ("so", "Sở Ngoại vụ", "Department of Foreign Affairs", "songoaivu"),
    ("so", "Sở Dân tộc và Tôn giáo", "Department of Ethnic and Religious Affairs", "sodttg"),
    ("so", "Thanh tra tỉnh", "Inspectorate", "thanhtra"),
    ("ban", "Ban Quản lý các khu công nghiệp", "Board of Industrial Zones", "bqlkcn"),
    ("ban", "Ban Quản lý dự án giao thông", "Board of Road Projects", "bqlgt"),
    ("ban", "Ban An toàn giao thông", "Board of Traffic Safety", "banatgt"),
    ("nganh", "Thống kê tỉnh", "Statistics Office", "thongke"),
    ("don_vi", "Chi cục Quản lý thị trường", "Market Surveillance", "qltt"),
    ("don_vi", "Trung tâm Phục vụ hành chính công", "One-Stop Service Center", "hanhchinhcong"),
    ("doan_the", "Ủy ban Mặt trận Tổ quốc Việt Nam tỉnh", "Fatherland Front", "mttq"),
    ("doan_the", "Hội Chữ thập đỏ", "Red Cross", "chuthapdo"),
    ("doan_the", "Liên minh Hợp tác xã", "Cooperative Alliance", "lienminhhtx"),
    ("khac", "Báo và Phát thanh, Truyền hình", "Newspaper, Radio and Television", "baoptth"),
    ("truong", "Trường Chính trị tỉnh", "School of Politics", "truongchinhtri"),
    ("benh_vien", "Bệnh viện Đa khoa tỉnh", "General Hospital", "benhviendakhoa"),
)
_ROOT: Final = "uy-ban-nhan-dan-tinh"
_UNDER: Final[Mapping[str, str | None]] = {
    "hdnd": None,
    "ubnd": None,
    "vpdbqh": "hoi-dong-nhan-dan-tinh",
    "thongke": None,
    "qltt": "so-cong-thuong",
    "hanhchinhcong": "van-phong-uy-ban-nhan-dan-tinh",
    "mttq": None,
    "chuthapdo": "uy-ban-mat-tran-to-quoc-viet-nam-tinh",
    "baoptth": None,
    "truongchinhtri": None,
    "benhviendakhoa": "so-y-te",
}
"""Parents that are not the people's committee: councils, central and party bodies are not below it."""
_BEFORE: Final = (
    ("Sở Lao động, Thương binh và Xã hội", "soldtbxh", "sonoivu"),
    ("Sở Kế hoạch và Đầu tư", "sokhdt", "sotaichinh"),
    ("Sở Nông nghiệp và Phát triển nông thôn", "sonnptnt", "sonnmt"),
    ("Sở Tài nguyên và Môi trường", "sotnmt", "sonnmt"),
    ("Sở Giao thông vận tải", "sogtvt", "soxaydung"),
    ("Sở Thông tin và Truyền thông", "sotttt", "sokhcn"),
    ("Ban Dân tộc", "bandantoc", "sodttg"),
    ("Cục Thống kê", "cucthongke", "thongke"),
    ("Cục Quản lý thị trường", "qltt", "qltt"),
    ("Đài Phát thanh và Truyền hình", "daiptth", "baoptth"),
)
"""What is no more, its local part, and that of who took its work over."""
_DISTRICTS: Final = (
    "Lam Khuê", "Vân Ghềnh", "Thạch Lụa", "Trà Sếu", "Ngàn Mơ", "Đồi Sim", "Thác Ngà", "Suối Lược", "Gò Trám",
    "Bãi Sậy Hồng", "Cồn Yến", "Nương Chè", "Bến Thoi",
)  # fmt: skip
"""Abolished; each one's communes begin with one word of `_FIRST`."""
_FIRST: Final = ("Thác", "Gò", "Đồi", "Suối", "Vườn", "Bãi", "Cồn", "Ghềnh", "Nương", "Bến", "Ngòi", "Truông", "Dốc")
_SECOND: Final = ("Sếu", "Nhãn", "Quế Chi", "Ngà Voi", "Mận", "Hồi", "Thông Reo", "Sáo", "Lụa", "Gạo", "Chè Xanh", "Mơ",
                  "Cọ")  # fmt: skip
_ISLANDS: Final = "Cồn Yến"
"""An island district: a special zone of the same name took over all of it, and its domain."""
_COMMUNES: Final = 147
_WARDS: Final = 15
_MERGED: Final = 10
"""Every so many communes one took over a neighbor as well."""


def province() -> str:
    """Return the province as YAML."""
    return HEADING + write_yaml(_document())


def _document() -> Document:
    agencies = [*_provincial(), *_communes(), _islands()]
    lines = ["agencies:\n", *map(_line, agencies), "successors:\n", *map(_line, _successors()), _TAIL]
    return read_agencies("province.yaml", "".join(lines))


def _provincial() -> Iterator[dict[str, object]]:
    for kind, name, english, local in _PROVINCIAL:
        parent = _UNDER.get(local, _ROOT)
        before = [(was, old) for was, old, new in _BEFORE if new == local]
        yield {
            "id": _code(name, "-"),
            "name": f"{name} {PLACE}",
            "english": f"{english} of Song Lam",
            "kind": kind,
            **({"parent": parent} if parent is not None else {}),
            **({"former": [was for was, _ in before]} if before else {}),
            **({"short": ["SYT", "Sở Y tế"]} if local == "soyte" else {}),
            "mailboxes": [f"{each}@{DOMAIN}" for each in dict.fromkeys((local, *(old for _, old in before)))],
            "domains": [f"@{local}.{DOMAIN}"],
            "subjects": [{"organization": name.upper(), "domain": DOMAIN}],
        }


def _places() -> Iterator[tuple[str, str]]:
    """Yield the names of communes, wards first, each with the district that it was in."""
    pairs = product(_SECOND, zip(_FIRST, _DISTRICTS, strict=True))
    return islice(((f"{first} {word}", where) for word, (first, where) in pairs if where != _ISLANDS), _COMMUNES)


def _communes() -> Iterator[dict[str, object]]:
    for number, (name, _) in enumerate(_places()):
        kind, word, before = ("phuong", "phường", "thị trấn") if number < _WARDS else ("xa", "xã", "xã")
        former = [f"Ủy ban nhân dân {before} {name}"] if before != word else []
        former += [f"Ủy ban nhân dân xã {name} Thượng"] if number % _MERGED == 0 else []
        yield _local(kind, word, name, former, [])


def _islands() -> dict[str, object]:
    name = _ISLANDS
    return _local("dac_khu", "đặc khu", name, [f"Ủy ban nhân dân huyện {name}"], [f"huyen.{_code(name)}@{DOMAIN}"])


def _local(kind: str, word: str, name: str, former: list[str], old_mailboxes: list[str]) -> dict[str, object]:
    code, plain = _code(name), kind.replace("_", "")
    return {
        "id": f"{plain}-{code}",
        "name": f"Ủy ban nhân dân {word} {name}",
        "kind": kind,
        "parent": _ROOT,
        **({"former": former} if former else {}),
        "mailboxes": [f"{plain}.{code}@{DOMAIN}", *old_mailboxes],
        "domains": [f"@{code}.{DOMAIN}"],
    }


def _successors() -> Iterator[dict[str, object]]:
    """Yield old domains: a merged province's, departments', districts' (now of the ward at their seat), communes'."""
    yield {"old": "vinhsong.example", "new": DOMAIN, "not_for": ["vanphong@vinhsong.example"]}
    for _, old, new in _BEFORE:
        if old != new:
            yield _succession(old, new, "giam-doc")
    seats: dict[str, str] = {}
    for name, district in _places():
        seats.setdefault(district, name)
    for district, ward in seats.items():
        yield _succession(_code(district), _code(ward), "chu-tich")
    for number, (name, district) in enumerate(_places()):
        yield _succession(f"{_code(name)}.{_code(district)}", _code(name))
        if number % _MERGED == 0:
            yield _succession(f"{_code(name)}thuong.{_code(district)}", _code(name), "chu-tich")


def _succession(old: str, new: str, title: str | None = None) -> dict[str, object]:
    """Return an old domain below the province's and its new one; the mailbox of a title does not pass on."""
    names = {"old": f"{old}.{DOMAIN}", "new": f"{new}.{DOMAIN}"}
    return {**names, **({"not_for": [f"{title}@{old}.{DOMAIN}"]} if title is not None else {})}


def _line(entries: Mapping[str, object]) -> str:
    return f"  - {json.dumps(entries, ensure_ascii=False)}\n"


def _code(name: str, between: str = "") -> str:
    """Return a name in lower-case ASCII letters, as addresses have it."""
    plain = unicodedata.normalize("NFKD", name.lower().replace("đ", "d"))
    return between.join(re.findall(r"[a-z]+", "".join(each for each in plain if not unicodedata.combining(each))))

"""The agencies of an invented province, as many as a real one had in 2019: 33 provincial, 13 districts, 158 communes.

`config/agencies/province.yaml` and the table beside it are this, written out. Names of places are put together from
words at random, and stand for nobody.
"""

from __future__ import annotations

import json
import re
import unicodedata
from itertools import product
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
# kind: tinh so ban nganh huyen xa phuong truong benh_vien don_vi doan_the khac (default: khac).
# parent: cơ quan cấp trên / the agency above.   former: tên cũ còn trên chứng thư / names still on certificates.
# short: tên tắt để nhận ra kẻ mạo danh / short names by which imitations are known.
# mailboxes, domains ("@..."), subjects (O, OU + domain), fingerprints (SHA-256): của riêng cơ quan / nobody else's.
# Cuối tệp / at the end: successors (tên miền cũ), protected (cơ quan hay bị mạo danh), official (đuôi miền nhà nước).
"""
_TAIL: Final = """\
successors:
  - {old: vinhsong.example, new: songlam.example, not_for: ["vanphong@vinhsong.example"]}
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
    ("tinh", "Ủy ban nhân dân tỉnh", "People's Committee", "ubnd"),
    ("tinh", "Hội đồng nhân dân tỉnh", "People's Council", "hdnd"),
    ("ban", "Văn phòng Ủy ban nhân dân tỉnh", "Office of the People's Committee", "vpub"),
    ("ban", "Văn phòng Đoàn đại biểu Quốc hội và Hội đồng nhân dân tỉnh", "Office of the Deputies", "vpdbqh"),
    ("so", "Sở Nội vụ", "Department of Home Affairs", "sonoivu"),
    ("so", "Sở Tài chính", "Department of Finance", "sotaichinh"),
    ("so", "Sở Kế hoạch và Đầu tư", "Department of Planning", "sokhdt"),
    ("so", "Sở Y tế", "Department of Health", "soyte"),
    ("so", "Sở Giáo dục và Đào tạo", "Department of Education", "sogddt"),
    ("so", "Sở Tư pháp", "Department of Justice", "sotuphap"),
    ("so", "Sở Công Thương", "Department of Industry and Trade", "socongthuong"),
    ("so", "Sở Xây dựng", "Department of Construction", "soxaydung"),
    ("so", "Sở Giao thông vận tải", "Department of Transport", "sogtvt"),
    ("so", "Sở Nông nghiệp và Phát triển nông thôn", "Department of Agriculture", "sonnptnt"),
    ("so", "Sở Tài nguyên và Môi trường", "Department of Natural Resources", "sotnmt"),
    ("so", "Sở Khoa học và Công nghệ", "Department of Science", "sokhcn"),
    ("so", "Sở Thông tin và Truyền thông", "Department of Information", "sotttt"),
    ("so", "Sở Văn hóa, Thể thao và Du lịch", "Department of Culture", "sovhttdl"),
    ("so", "Sở Lao động, Thương binh và Xã hội", "Department of Labor", "soldtbxh"),
    ("so", "Sở Ngoại vụ", "Department of Foreign Affairs", "songoaivu"),
    ("so", "Thanh tra tỉnh", "Inspectorate", "thanhtra"),
    ("ban", "Ban Dân tộc", "Board of Ethnic Affairs", "bandantoc"),
    ("ban", "Ban Quản lý các khu công nghiệp", "Board of Industrial Zones", "bqlkcn"),
    ("ban", "Ban Quản lý dự án giao thông", "Board of Road Projects", "bqlgt"),
    ("ban", "Ban An toàn giao thông", "Board of Traffic Safety", "banatgt"),
    ("nganh", "Cục Thống kê", "Statistics Office", "cucthongke"),
    ("nganh", "Cục Quản lý thị trường", "Market Surveillance", "qltt"),
    ("nganh", "Đài Phát thanh và Truyền hình", "Radio and Television", "daiptth"),
    ("doan_the", "Hội Chữ thập đỏ", "Red Cross", "chuthapdo"),
    ("doan_the", "Liên minh Hợp tác xã", "Cooperative Alliance", "lienminhhtx"),
    ("truong", "Trường Chính trị tỉnh", "School of Politics", "truongchinhtri"),
    ("benh_vien", "Bệnh viện Đa khoa tỉnh", "General Hospital", "benhviendakhoa"),
    ("don_vi", "Trung tâm Phục vụ hành chính công", "One-Stop Service Center", "hanhchinhcong"),
)
_DISTRICTS: Final = (
    "Lam Khuê", "Vân Ghềnh", "Thạch Lụa", "Trà Sếu", "Ngàn Mơ", "Đồi Sim", "Thác Ngà", "Suối Lược", "Gò Trám",
    "Bãi Sậy Hồng", "Cồn Nhạn", "Nương Chè", "Bến Thoi",
)  # fmt: skip
_FIRST: Final = ("Thác", "Gò", "Đồi", "Suối", "Vườn", "Bãi", "Cồn", "Ghềnh", "Nương", "Bến", "Ngòi", "Truông", "Dốc")
_SECOND: Final = ("Sếu", "Nhãn", "Quế Chi", "Ngà Voi", "Mận", "Hồi", "Thông Reo", "Sáo", "Lụa", "Gạo", "Chè Xanh", "Mơ",
                  "Trám")  # fmt: skip
_ROOT: Final = "uy-ban-nhan-dan-tinh"
_COMMUNES: Final = 158
_WARDS: Final = 25
_MERGED: Final = 10
"""Every so many communes one bears the name of a merged one as well."""


def province() -> str:
    """Return the province as YAML."""
    return HEADING + write_yaml(_document())


def _document() -> Document:
    return read_agencies("province.yaml", "agencies:\n" + "".join(_lines()) + _TAIL)


def _lines() -> Iterator[str]:
    for kind, name, english, local in _PROVINCIAL:
        parent = {"ubnd": None, "hanhchinhcong": "van-phong-uy-ban-nhan-dan-tinh"}.get(local, _ROOT)
        entries: dict[str, object] = {
            "id": _code(name, "-"),
            "name": f"{name} {PLACE}",
            "english": f"{english} of Song Lam",
            "kind": kind,
            **({"parent": parent} if parent is not None else {}),
            **({"short": ["SYT", "Sở Y tế"]} if local == "soyte" else {}),
            "mailboxes": [f"{local}@{DOMAIN}"],
            "domains": [f"@{local}.{DOMAIN}"],
            "subjects": [{"organization": name.upper(), "domain": DOMAIN}],
        }
        yield _line(entries)
    for district in _DISTRICTS:
        code = _code(district)
        yield _line(_local("huyen", code, f"huyện {district}", _ROOT, f"{code}.{DOMAIN}"))
    names = [f"{first} {second}" for second, first in product(_SECOND, _FIRST)]
    for number, name in enumerate(names[:_COMMUNES]):
        kind, word = ("phuong", "phường") if number < _WARDS else ("xa", "xã")
        district = _code(_DISTRICTS[number % len(_DISTRICTS)])
        borne = _local(kind, _code(name), f"{word} {name}", f"huyen-{district}", f"{_code(name)}.{district}.{DOMAIN}")
        former: dict[str, object] = (
            {"former": [f"Ủy ban nhân dân {word} {name} Thượng"]} if number % _MERGED == 0 else {}
        )
        yield _line(borne | former)


def _local(kind: str, code: str, name: str, parent: str, domain: str) -> dict[str, object]:
    return {
        "id": f"{kind}-{code}",
        "name": f"Ủy ban nhân dân {name}",
        "kind": kind,
        "parent": parent,
        "mailboxes": [f"{kind}.{code}@{DOMAIN}"],
        "domains": [f"@{domain}"],
    }


def _line(entries: Mapping[str, object]) -> str:
    return f"  - {json.dumps(entries, ensure_ascii=False)}\n"


def _code(name: str, between: str = "") -> str:
    """Return a name in lower-case ASCII letters, as addresses have it."""
    plain = unicodedata.normalize("NFKD", name.lower().replace("đ", "d"))
    return between.join(re.findall(r"[a-z]+", "".join(each for each in plain if not unicodedata.combining(each))))

"""A judgment for programs (JSON) and for people: Vietnamese first, times with their offset (ISO 8601).

Everything in a certificate or a message is hostile text: no control or direction character may reach a terminal.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from gateway.core.verdict import row_of
from gateway.tagging import words

if TYPE_CHECKING:
    from gateway.core.verdict import Judgment, Signer

_VIETNAM: Final = dt.timezone(dt.timedelta(hours=7))
_COLORS: Final = {"verified": "bold green", "unsigned": "bold yellow", "indeterminate": "bold yellow"}
_LABEL: Final = 26
_STATES: Final = {
    "valid": "hợp lệ / valid",
    "invalid": "không hợp lệ / invalid",
    "indeterminate": "chưa xác định được / indeterminate",
    "none": "không có / none",
}


def as_object(name: str, judgment: Judgment) -> dict[str, object]:
    """Return the JSON object for one file."""
    vietnamese, english = words(judgment)
    return {
        "file": name,
        "verdict": row_of(judgment.verdict).name,
        "chain": str(judgment.chain),
        "signature": str(judgment.signature),
        "reason": judgment.verdict.reason,
        "text": {"vi": vietnamese, "en": english},
        "signers": [_signer_object(each) for each in judgment.verdict.signers],
        "covers_everything_shown": judgment.covers_everything_shown,
        "headers_signed": judgment.headers_signed,
        "author": str(judgment.author) if judgment.author is not None else None,
    }


def _signer_object(signer: Signer) -> dict[str, object]:
    claimed = signer.claimed_signing_time
    return {
        "subject": signer.subject,
        "issuer": signer.issuer,
        "serial": signer.serial,
        "addresses": list(signer.addresses),
        "agency": signer.agency,
        "claimed_signing_time": claimed.isoformat() if claimed is not None else None,
        "algorithm": signer.algorithm,
        "fingerprint": signer.fingerprint,
    }


def printable(text: str) -> str:
    """Return text that can do nothing to a terminal: control, format and surrogate characters become visible."""
    return "".join(
        char if unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} else f"\\u{ord(char):04x}"
        for char in text
    )


def print_report(name: str, judgment: Judgment) -> None:
    """Print one judgment for people on standard output."""
    verdict = row_of(judgment.verdict).name
    vietnamese, english = words(judgment)
    report = Text()
    report.append(f"{printable(name)}\n", "bold")
    report.append(f"  {printable(vietnamese)}\n", _COLORS.get(verdict, "bold red"))
    report.append(f"  {printable(english)}\n")
    covers = "toàn bộ thư / everything shown" if judgment.covers_everything_shown else "không / no"
    headers = "được ký / signed" if judgment.headers_signed else "không được ký / not signed"
    lines = [
        ("Kết luận / verdict", f"{verdict} ({judgment.verdict.reason})"),
        ("Người gửi / author", str(judgment.author) if judgment.author is not None else "-"),
        ("Chữ ký / signature", _STATES[judgment.signature]),
        ("Chứng thư / chain", _STATES[judgment.chain]),
        ("Chữ ký phủ / it covers", covers),
        ("Tiêu đề / header fields", headers),
    ]
    for signer in judgment.verdict.signers:
        lines += _signer_lines(signer)
    for label, value in lines:
        report.append(f"  {label:<{_LABEL}}{printable(value)}\n")
    Console(highlight=False, soft_wrap=True).print(report, end="")


def _signer_lines(signer: Signer) -> list[tuple[str, str]]:
    claimed = signer.claimed_signing_time
    return [
        ("Người ký / signer", signer.subject),
        ("  Cơ quan / agency", signer.agency or "-"),
        ("  Địa chỉ / addresses", ", ".join(signer.addresses) or "-"),
        ("  Nơi cấp / issuer", signer.issuer),
        ("  Số / serial", signer.serial),
        ("  Khai ký lúc / claims", claimed.astimezone(_VIETNAM).isoformat() if claimed is not None else "-"),
        ("  Thuật toán / algorithm", signer.algorithm),
        ("  SHA-256", signer.fingerprint),
    ]

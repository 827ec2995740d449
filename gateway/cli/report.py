"""A judgment for programs (JSON) and for people: Vietnamese first, times with their offset (ISO 8601)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.cli.screen import STATES, show
from gateway.core.local import VIETNAM
from gateway.core.verdict import row_of
from gateway.tagging import words
from gateway.tagging.attachments import attachment_words
from gateway.tagging.sentences import note_words

if TYPE_CHECKING:
    import datetime as dt

    from gateway.core.verdict import AttachmentSignature, Judgment, Note, Signer

_COLORS: Final = dict.fromkeys(("verified_lesser", "unsigned", "indeterminate"), "bold yellow") | {
    "verified": "bold green"
}
_COVERS: Final = {
    "all": "toàn bộ thư / everything shown",
    "part": "một phần / a part",
    "none": "không / nothing",
}
_NO_REVOCATION_DATA: Final = frozenset({"no_revocation_data", "stale_revocation_data"})
_HINT_VI: Final = "Cần dữ liệu thu hồi còn hạn cho mọi chứng thư: --crls hoặc --ocsp TỆP, hoặc chọn --revocation soft."
_HINT_EN: Final = "Every certificate needs fresh revocation data: --crls or --ocsp FILE, or choose --revocation soft."


def texts(judgment: Judgment) -> tuple[str, str]:
    """Return what a reader is told, Vietnamese and English; where only the call lacks something, what to add to it."""
    vietnamese, english = words(judgment)
    if judgment.verdict.reason in _NO_REVOCATION_DATA:
        return f"{vietnamese} {_HINT_VI}", f"{english} {_HINT_EN}"
    return vietnamese, english


def as_object(name: str, judgment: Judgment) -> dict[str, object]:
    """Return the JSON object for one file."""
    vietnamese, english = texts(judgment)
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
        "covers": judgment.covers,
        "broken": [{"condition": each.condition, "reason": each.reason} for each in judgment.broken],
        "notes": [_note_object(each) for each in judgment.notes],
        "attachments": [_attachment_object(each) for each in judgment.attachments],
    }


def _attachment_object(each: AttachmentSignature) -> dict[str, object]:
    vietnamese, english = attachment_words(each)
    return {
        "name": each.name,
        "kind": each.kind,
        "state": str(each.state),
        "reason": each.reason,
        "signer": _signer_object(each.signer) if each.signer is not None else None,
        "text": {"vi": vietnamese, "en": english},
    }


def _note_object(note: Note) -> dict[str, object]:
    vietnamese, english = note_words(note)
    return {"code": note.code, "detail": note.detail, "text": {"vi": vietnamese, "en": english}}


def _signer_object(signer: Signer) -> dict[str, object]:
    claimed, stamped = signer.claimed_signing_time, signer.timestamped_at
    return {
        "subject": signer.subject,
        "issuer": signer.issuer,
        "serial": signer.serial,
        "addresses": list(signer.addresses),
        "agency": signer.agency,
        "claimed_signing_time": claimed.isoformat() if claimed is not None else None,
        "algorithm": signer.algorithm,
        "fingerprint": signer.fingerprint,
        "family": signer.family,
        "timestamped_at": stamped.isoformat() if stamped is not None else None,
    }


def print_report(name: str, judgment: Judgment) -> None:
    """Print one judgment for people on standard output."""
    verdict = row_of(judgment.verdict).name
    vietnamese, english = texts(judgment)
    headers = "được ký / signed" if judgment.headers_signed else "không được ký / not signed"
    lines = [
        ("Kết luận / verdict", f"{verdict} ({judgment.verdict.reason})"),
        ("Người gửi / author", str(judgment.author) if judgment.author is not None else "-"),
        ("Chữ ký / signature", STATES[judgment.signature]),
        ("Chứng thư / chain", STATES[judgment.chain]),
        ("Chữ ký phủ / it covers", _COVERS[judgment.covers]),
        ("Tiêu đề / header fields", headers),
    ]
    if judgment.broken:
        text = ", ".join(f"{each.condition} {each.reason}" for each in judgment.broken)
        lines.append(("Không đạt / broken", text))
    for signer in judgment.verdict.signers:
        lines += signer_lines(signer)
    lines += [("Ghi chú / note", " / ".join(note_words(each))) for each in judgment.notes]
    lines += [("Tệp đính kèm / file", " / ".join(attachment_words(each))) for each in judgment.attachments]
    show(name, vietnamese=vietnamese, english=english, color=_COLORS.get(verdict, "bold red"), lines=lines)


def signer_lines(signer: Signer) -> list[tuple[str, str]]:
    """Return label and value of everything that is shown of a signer; every value is a claim of its certificate."""
    return [
        ("Người ký / signer", signer.subject),
        ("  Cơ quan / agency", signer.agency or "-"),
        ("  Địa chỉ / addresses", ", ".join(signer.addresses) or "-"),
        ("  Nơi cấp / issuer", signer.issuer),
        ("  Số / serial", signer.serial),
        ("  Nhóm gốc / family", signer.family or "-"),
        ("  Khai ký lúc / claims", _local(signer.claimed_signing_time)),
        ("  Dấu thời gian / stamped", _local(signer.timestamped_at)),
        ("  Thuật toán / algorithm", signer.algorithm),
        ("  SHA-256", signer.fingerprint),
    ]


def _local(moment: dt.datetime | None) -> str:
    return moment.astimezone(VIETNAM).isoformat() if moment is not None else "-"

"""What octets are by how they begin, where that is cheap to tell: documents, archives, programs.

A look at a few thousand octets, never an opinion on the rest; "" where the begin says nothing.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = 4096
"""Octets that are enough to tell."""
PDF: Final = "application/pdf"
_PDF_WITHIN: Final = 1024
"""Readers take a PDF whose header stands this deep (ISO 32000-1 Annex H)."""
_MAGIC: Final = (
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"\x7fELF", "application/x-executable"),
    (b"#!", "application/x-sh"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "application/x-ms-shortcut"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"{\\rtf", "application/rtf"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"MSCF\x00\x00\x00\x00", "application/vnd.ms-cab-compressed"),
)
_ZIP: Final = "application/zip"
_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_IN_ZIP: Final = (
    (b"word/", f"{_OFFICE}.wordprocessingml.document"),
    (b"xl/", f"{_OFFICE}.spreadsheetml.sheet"),
    (b"ppt/", f"{_OFFICE}.presentationml.presentation"),
    (b"mimetypeapplication/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"),
    (b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "application/vnd.oasis.opendocument.spreadsheet"),
    (b"META-INF/MANIFEST.MF", "application/java-archive"),
)
_OLD_OFFICE: Final = ("application/msword", "application/vnd.ms-", "application/vnd.visio", "application/x-msi")
_PICTURES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM")


def is_picture(begin: bytes) -> bool:
    """Return True for a raster picture of a usual kind."""
    return begin.startswith(_PICTURES) or (begin.startswith(b"RIFF") and begin[8:12] == b"WEBP")


def media_type_of(begin: bytes) -> str:
    """Return the media type that the first octets of a file show, "" without one."""
    if b"%PDF-" in begin[:_PDF_WITHIN]:
        return PDF
    if begin.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return next((kind for mark, kind in _IN_ZIP if mark in begin), _ZIP)
    return next((kind for mark, kind in _MAGIC if begin.startswith(mark)), "")


def agrees(declared: str, found: str) -> bool:
    """Return True if a declared media type says the same as, or more than, the one found."""
    if found == _ZIP:
        return declared.endswith("+zip") or declared.startswith((_OFFICE, "application/vnd.oasis.", "application/zip"))
    if found == "application/x-ole-storage":
        return declared.startswith(_OLD_OFFICE)
    return declared == found

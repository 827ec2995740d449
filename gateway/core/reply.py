"""SMTP replies with enhanced status codes (RFC 5321 4.2, RFC 2034, RFC 3463), built so that they cannot lie.

A reply must never carry CR, LF or NUL in a line of its text, nor pair 250 with a 4.x.x status.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_STATUS: Final = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?:\s+|$)")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Lone surrogates are among them: UTF-7 in a header field makes them, and they cannot be sent."""
_MAX_LINE: Final = 480  # RFC 5321 4.5.3.1.5: 512 octets with code, status and CRLF


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: code, enhanced status ("5.7.1") or None, and its text lines without line ends.

    Raises `ValueError` for a code outside 200-599, a status of another class, or control characters.
    """

    code: int
    status: str | None
    lines: tuple[str, ...]
    wire: bytes = field(init=False, repr=False, compare=False)
    """The octets for the wire, UTF-8, CRLF at each line."""

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599:  # noqa: PLR2004 - RFC 5321 4.2.1
            raise ValueError(f"reply code {self.code}")
        if self.status is not None:
            match = _STATUS.fullmatch(self.status)
            if match is None or (match[1] != str(self.code)[0]):
                raise ValueError(f"status {self.status} does not go with code {self.code}")
        if not self.lines or _CONTROL.search("".join(self.lines)):
            raise ValueError("a reply needs text without control characters")
        status = f"{self.status} " if self.status else ""
        *before, last = self.lines
        first = "".join([f"{self.code}-{status}{line}\r\n" for line in before]) if before else ""
        object.__setattr__(self, "wire", f"{first}{self.code} {status}{last}\r\n".encode())

    @classmethod
    def of(cls, code: int, status: str | None, text: str) -> Reply:
        """Return a reply of one line, or of several where the text has line breaks or is too long for one."""
        lines: list[str] = []
        for line in text.splitlines() or [""]:
            clean = _CONTROL.sub(" ", line)
            while len(clean.encode()) > _MAX_LINE:
                cut = clean.rfind(" ", 0, _MAX_LINE // 4) or _MAX_LINE // 4
                cut = cut if cut > 0 else _MAX_LINE // 4
                lines.append(clean[:cut])
                clean = clean[cut:].lstrip()
            lines.append(clean)
        return cls(code, status, tuple(lines))

    @classmethod
    def parse(cls, code: int, lines: tuple[str, ...]) -> Reply:
        """Return the reply a peer sent, its status taken off the text; an unfit status is dropped, text cleaned."""
        status: str | None = None
        texts: list[str] = []
        for line in lines:
            clean = _CONTROL.sub(" ", line)
            match = _STATUS.match(clean)
            if match is not None and match[1] == str(code)[0]:
                status = status or match[0].strip()
                clean = clean[match.end() :]
            texts.append(clean.strip())
        return cls(code, status, tuple(texts) or ("",))

    @property
    def positive(self) -> bool:
        """True for 2xx and 3xx."""
        return self.code < 400  # noqa: PLR2004 - RFC 5321 4.2.1

    @property
    def transient(self) -> bool:
        """True for 4xx."""
        return 400 <= self.code < 500  # noqa: PLR2004 - RFC 5321 4.2.1

    @property
    def permanent(self) -> bool:
        """True for 5xx."""
        return self.code >= 500  # noqa: PLR2004 - RFC 5321 4.2.1

    @property
    def text(self) -> str:
        """The text lines joined by blanks."""
        return " ".join(self.lines)

    def __str__(self) -> str:
        status = f"{self.status} " if self.status else ""
        return f"{self.code} {status}{self.text}"

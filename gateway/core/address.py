"""Mailboxes and reverse-paths of the envelope (RFC 5321 4.1.2, RFC 6531 3.3).

Comparing must never be looser than a mail system is: local parts fold ASCII case only, domains fold as IDNA does.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_ATEXT: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]"
_DOT_STRING: Final = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_QUOTED: Final = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u0080-\U0010ffff]|\\[\x20-\x7e])*"')
_LABEL: Final = r"[A-Za-z0-9\u0080-\U0010ffff](?:[A-Za-z0-9\-\u0080-\U0010ffff]*[A-Za-z0-9\u0080-\U0010ffff])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LITERAL: Final = re.compile(r"\[[\x21-\x5a\x5e-\x7e]+\]")
_MAX_LOCAL: Final = 64
_MAX_DOMAIN: Final = 255
_DEVIATIONS: Final = frozenset("\u00df\u1e9e\u03c2\u200c\u200d")
"""Characters that name another domain under IDNA 2008 than the one that IDNA 2003 maps them to (RFC 5894 7.2)."""
_ASCII_UPPER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def domain_key(domain: str) -> str:
    """Return the form in which domains are compared: A-labels, lower case; an odd domain folds ASCII case only.

    Odd is one that IDNA 2003 maps by more than case and composition: full-width letters and dots, soft hyphens. IDNA
    2008 knows no such domain (RFC 5892), so it must not pass for the one it looks like.
    """
    return _domain_key(domain) if len(domain) <= _MAX_DOMAIN else domain.translate(_ASCII_UPPER)


@lru_cache(maxsize=4096)
def _domain_key(domain: str) -> str:
    """Fold a domain once: asked for a dozen times a message."""
    if domain.isascii() or not _DEVIATIONS.isdisjoint(domain):
        return domain.translate(_ASCII_UPPER)
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", domain).lower()).split(".")
    try:
        found = domain.encode("idna").decode("ascii").translate(_ASCII_UPPER)
        shown = found.encode("ascii").decode("idna").split(".")
        same = len(shown) == len(plain) and all(b in {a, _a_label(a)} for a, b in zip(shown, plain, strict=True))
    except UnicodeError:
        same = False
    return found if same else domain.translate(_ASCII_UPPER)


def _a_label(label: str) -> str:
    """Return a label as it stands in DNS; some domains mix such labels with written-out ones."""
    return label.encode("idna").decode("ascii")


@lru_cache(maxsize=4096)
def _key(local: str, domain: str) -> str:
    """Return `Mailbox.key`: asked for a dozen times a message."""
    if local.startswith('"') and local.endswith('"'):
        inner = re.sub(r"\\(.)", r"\1", local[1:-1])
        local = inner if _DOT_STRING.fullmatch(inner) else local
    return f"{local.translate(_ASCII_UPPER)}@{domain_key(domain)}"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """`local@domain` as it was given; the local part keeps its quotes if it had any. `key` is for comparing."""

    local: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> Mailbox:
        """Return the mailbox in `text` (no angle brackets, no source route); raises `ValueError` otherwise."""
        local, at, domain = text.rpartition("@")
        if not at or not (_DOT_STRING.fullmatch(local) or _QUOTED.fullmatch(local)):
            raise ValueError("not a mailbox")
        if not (_DOMAIN.fullmatch(domain) or _LITERAL.fullmatch(domain)):
            raise ValueError("not a domain")
        if len(local.encode()) > _MAX_LOCAL or len(domain.encode()) > _MAX_DOMAIN:
            raise ValueError("mailbox too long")
        return cls(local, domain)

    @classmethod
    def key_in(cls, text: str) -> str | None:
        """Return the `key` of the mailbox in `text`, None where it is none: a text that names nobody equals nobody."""
        return _key_in(text) if len(text) <= _MAX_LOCAL + 1 + _MAX_DOMAIN else None

    @property
    def key(self) -> str:
        """The form in which two mailboxes are compared and stored in tables."""
        return _key(self.local, self.domain)

    @property
    def ascii(self) -> bool:
        """True if no SMTPUTF8 is needed to carry it."""
        return self.local.isascii() and self.domain.isascii()

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


@lru_cache(maxsize=4096)
def _key_in(text: str) -> str | None:
    """Read an address once: those of certificates are compared again and again."""
    try:
        return Mailbox.parse(text).key
    except ValueError:
        return None


class NullPath:
    """The null reverse-path `<>`: what it comes from must never be answered."""

    __slots__ = ()

    def __str__(self) -> str:
        return ""

    def __repr__(self) -> str:
        return "NULL_PATH"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NullPath)

    def __hash__(self) -> int:
        return hash(NullPath)


NULL_PATH: Final = NullPath()
ReversePath = Mailbox | NullPath

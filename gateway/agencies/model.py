"""What a registry of agencies says: who there is, what is theirs, what they were called, and who else is imitated.

Values only, as an administrator wrote them down and as they are compared; whom to trust is decided elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from gateway.core.unicode import normalized

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

MAX_AGENCIES: Final = 5000
MAX_NAME: Final = 100
"""Characters of a name: it stands in subjects."""


class Kind(StrEnum):
    """What an agency is, in the words that offices use."""

    TINH = "tinh"
    SO = "so"
    BAN = "ban"
    NGANH = "nganh"
    HUYEN = "huyen"
    """Until 1 July 2025: since then the tier below the province is that of communes."""
    XA = "xa"
    PHUONG = "phuong"
    DAC_KHU = "dac_khu"
    TRUONG = "truong"
    BENH_VIEN = "benh_vien"
    DON_VI = "don_vi"
    """A unit inside its parent, such as an office or a center."""
    DOAN_THE = "doan_the"
    KHAC = "khac"


KINDS: Final[Mapping[Kind, tuple[str, str]]] = {
    Kind.TINH: ("cấp tỉnh", "provincial authority"),
    Kind.SO: ("sở", "department"),
    Kind.BAN: ("ban", "board"),
    Kind.NGANH: ("cơ quan ngành dọc", "branch of a central agency"),
    Kind.HUYEN: ("huyện (đến 30/6/2025)", "district (until 30 June 2025)"),
    Kind.XA: ("xã", "commune"),
    Kind.PHUONG: ("phường", "ward"),
    Kind.DAC_KHU: ("đặc khu", "special zone"),
    Kind.TRUONG: ("trường học", "school"),
    Kind.BENH_VIEN: ("bệnh viện, cơ sở y tế", "hospital"),
    Kind.DON_VI: ("đơn vị trực thuộc", "unit"),
    Kind.DOAN_THE: ("đoàn thể, hội", "association"),
    Kind.KHAC: ("khác", "other"),
}
"""The label of each kind, Vietnamese and English."""


class Named(Protocol):
    """What the registry reads of a certificate."""

    @property
    def san_addresses(self) -> tuple[str, ...]:
        """Mailboxes of its subjectAltName."""
        ...

    @property
    def legacy_addresses(self) -> tuple[str, ...]:
        """Mailboxes of the subject itself."""
        ...

    @property
    def subject(self) -> str:
        """The subject as text, special characters escaped (RFC 4514 2.4)."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER, hexadecimal, lower case."""
        ...


@dataclass(frozen=True, slots=True)
class Agency:
    """One agency; names are NFC, `parent` is the id of the agency it belongs to."""

    id: str
    name: str
    english: str | None = None
    kind: Kind = Kind.KHAC
    parent: str | None = None
    former: tuple[str, ...] = ()
    """Names it, or what was merged into it, bore before: they stay on certificates for years."""
    short: tuple[str, ...] = ()
    """Such as "SYT": by them imitations are known, never an agency."""


@dataclass(frozen=True, slots=True)
class Subject:
    """O and OU values as they are compared (NFC, case folded; None asks nothing), good at one mail domain only.

    "SỞ Y TẾ" alone is the name of a department in every province: the certificate must also name a mailbox there.
    """

    organization: str | None
    unit: str | None
    domain: str

    def __str__(self) -> str:
        parts = (("O", self.organization), ("OU", self.unit))
        return ", ".join(f"{kind}={value}" for kind, value in parts if value is not None) + f" at @{self.domain}"


@dataclass(frozen=True, slots=True)
class Succession:
    """A mail domain that another took over: x@new is whoever x@old was, but for the names in `not_for`."""

    old: str
    new: str
    not_for: frozenset[str] = frozenset()
    """Mailboxes (keys) of the old domain whose name is somebody else's in the new one."""


@dataclass(frozen=True, slots=True)
class Protected:
    """An agency outside the registry that is imitated, and the mail domains that are truly its own."""

    name: str
    names: tuple[str, ...] = ()
    """Imitated wherever they stand: "Kho bạc Nhà nước", "BHXH"."""
    words: tuple[str, ...] = ()
    """Words that are people's names and everyday words as well, such as "Thuế": imitated where they name an office."""
    domains: tuple[str, ...] = ()
    """Keys: "kho-bac.example", or "*.kho-bac.example" for everything below."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Everything by which one agency is found."""

    agency: Agency
    mailboxes: tuple[str, ...] = ()
    """Keys."""
    domains: tuple[str, ...] = ()
    """Keys, without the at sign."""
    subjects: tuple[Subject, ...] = ()
    fingerprints: tuple[str, ...] = ()

    @property
    def mail_domains(self) -> frozenset[str]:
        """Every domain in which the agency has mailboxes: its own, and those it shares with others."""
        shared = {each.rpartition("@")[2] for each in self.mailboxes}
        return frozenset((*self.domains, *shared, *(each.domain for each in self.subjects)))


@dataclass(frozen=True, slots=True)
class Roll:
    """A whole file: free of contradictions, each claim made once."""

    claims: tuple[Claims, ...] = ()
    successions: tuple[Succession, ...] = ()
    protected: tuple[Protected, ...] = ()
    official: tuple[str, ...] = ()
    """Domains, as in `Protected.domains`, that only state agencies can have, such as "*.gov.example"."""


def folded(text: str) -> str:
    """Return the form in which names are compared: composed, case folded, and composed again."""
    return normalized("NFC", normalized("NFC", text).casefold())


_ATTRIBUTE: Final = re.compile(r"(?:^|, )(O|OU)=((?:[^\\,]|\\.)*)")
"""An attribute of a subject as `Certificate.subject` writes it: what would look like another one is escaped there."""
_ESCAPE: Final = re.compile(r"\\(.)")


@lru_cache(maxsize=1024)
def organizations(subject: str) -> Mapping[str, AbstractSet[str]]:
    """Return the O and the OU values of a certificate's subject, folded."""
    values: dict[str, set[str]] = {"O": set(), "OU": set()}
    for match in _ATTRIBUTE.finditer(subject):
        values[match[1]].add(folded(_ESCAPE.sub(r"\1", match[2])))
    return MappingProxyType(values)


def within(domain: str, patterns: tuple[str, ...]) -> bool:
    """Return True if a domain (its key) is one of the patterns: "a.example", or "*.a.example" for all below it."""
    return any(domain.endswith(each[1:]) if each.startswith("*.") else domain == each for each in patterns)

"""By what imitations of agencies are known: their names as skeletons, and their mail domains, ready to be looked up.

Made once for a registry. Looking up costs the same whether there are ten agencies or five thousand.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from gateway.agencies.domains import Domains
from gateway.agencies.model import Kind, within
from gateway.agencies.skeleton import skeleton, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.agencies.model import Claims, Roll

SHORTEST: Final = 5
"""Letters of a name that is one wherever it stands: "soyte"; shorter ones are abbreviations."""
PREFIX: Final = 3
_LEAST_INITIALS: Final = 3
"""Letters of an abbreviation at least."""
_LEAST_WORDS: Final = 3
"""Words of a name whose initials are used for it."""
PUBLIC: Final = frozenset(
    {
        "gmail.com", "googlemail.com", "yahoo.com", "yahoo.com.vn", "ymail.com", "outlook.com", "outlook.com.vn",
        "hotmail.com", "live.com", "msn.com", "icloud.com", "me.com", "aol.com", "proton.me", "protonmail.com",
        "zoho.com", "mail.com", "gmx.com", "gmx.net", "mail.ru", "yandex.com", "yandex.ru", "qq.com", "163.com",
    }
)  # fmt: skip
"""Where anybody can have a mailbox: that an agency has one there says nothing about its neighbors."""
_SPOKEN: Final = tuple(
    (skeleton(long), skeleton(short))
    for long, short in (
        ("Ủy ban nhân dân", "UBND"),
        ("Hội đồng nhân dân", "HĐND"),
        ("Bảo hiểm xã hội", "BHXH"),
        ("Kho bạc Nhà nước", "KBNN"),
        ("Ngân hàng Nhà nước", "NHNN"),
        ("Văn phòng", "VP"),
        ("Thành phố", "TP"),
        ("Bệnh viện Đa khoa", "BVĐK"),
        ("Trung học phổ thông", "THPT"),
        ("Trung học cơ sở", "THCS"),
    )
)
"""What is said in full or in short, as everybody does."""
_IN_FULL: Final = {short: long for long, short in _SPOKEN}
_TAILS: Final = ("vn", "vietnam")
_GLUED: Final = 16
"""Letters of a name to which these are written without a blank: "BHXHVN"."""
FILLERS: Final = frozenset({"tinh", "tp"})
"""Words that stand in a name or do not: "Sở Y tế tỉnh Sông Lam"."""
_PROVINCE: Final = frozenset({"tinh", "pho"})
_PROVINCIAL: Final = frozenset({Kind.SO, Kind.BAN, Kind.NGANH})


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who rightly bears a name."""

    name: str
    agency: str | None
    """Id in the registry, None for a protected agency outside it."""
    domains: tuple[str, ...]
    """Where its mail comes from, as in `model.within`."""

    def at_home(self, domain: str) -> bool:
        """Return True if mail of this domain (its key) may be the bearer's own."""
        return within(domain, self.domains)


Bearers = tuple[Bearer, ...]


@dataclass(frozen=True, slots=True)
class Watch:
    """Names and domains of a registry, as they are looked up in what a stranger writes."""

    names: Mapping[str, Bearers]
    shorts: Mapping[str, Bearers]
    """Abbreviations: they count in capitals, and where they begin something."""
    initials: Mapping[str, Bearers]
    """Of names: they count where nothing else stands."""
    words: Mapping[str, Bearers]
    """Everyday words: they count where they name an office."""
    starts: frozenset[str]
    """The first letters of everything in `names`, `shorts` and `words`."""
    longest: int
    domains: Domains
    official: tuple[str, ...]

    @classmethod
    def of(cls, roll: Roll) -> Watch:
        """Return what to watch for."""
        index = _Index(_places(roll))
        for claims in roll.claims:
            index.agency(claims)
        for protected in roll.protected:
            bearer = Bearer(protected.name, None, protected.domains)
            for name in protected.names:
                index.name(name, bearer)
            for word in protected.words:
                index.add(index.words, skeleton(word), bearer)
        named = (*index.names, *index.words, *index.shorts)
        return cls(
            MappingProxyType(index.names),
            MappingProxyType(index.shorts),
            MappingProxyType(index.initials),
            MappingProxyType(index.words),
            frozenset(each[:PREFIX] for each in named),
            max((len(each) for each in named), default=0),
            Domains.of(_true_domains(roll), roll.official),
            roll.official,
        )


class _Index:
    """Collects names and who bears them."""

    def __init__(self, places: frozenset[tuple[str, ...]]) -> None:
        self._places = places
        self.names: dict[str, Bearers] = {}
        self.shorts: dict[str, Bearers] = {}
        self.initials: dict[str, Bearers] = {}
        self.words: dict[str, Bearers] = {}

    def add(self, table: dict[str, Bearers], key: str, bearer: Bearer) -> None:
        known = table.get(key, ())
        table[key] = known if bearer in known else (*known, bearer)

    def agency(self, claims: Claims) -> None:
        agency = claims.agency
        bearer = Bearer(agency.name, agency.id, tuple(sorted(claims.mail_domains - PUBLIC)))
        for name in (agency.name, *agency.former, *agency.short):
            self.name(name, bearer)
        if agency.kind in _PROVINCIAL:
            spoken = self._without_place(tuple(each.letters for each in words(agency.name)))
            if len(spoken) >= _LEAST_WORDS:
                self.add(self.initials, "".join(each[0] for each in spoken), bearer)
                self.form("".join(spoken), bearer)

    def name(self, name: str, bearer: Bearer) -> None:
        """Add a name in each form in which it is written."""
        spoken = [each.letters for each in words(name)]
        self.form("".join(spoken), bearer)
        self.form("".join(each for each in spoken if each not in FILLERS), bearer)
        self.form("".join(_IN_FULL.get(each, each) for each in spoken), bearer)

    def form(self, form: str, bearer: Bearer) -> None:
        short = form
        for long, abbreviation in _SPOKEN:
            short = short.replace(long, abbreviation)
        glued = {f"{each}{tail}" for each in (form, short) if _LEAST_INITIALS <= len(each) <= _GLUED for tail in _TAILS}
        for each in {form, short, *glued}:
            if len(each) >= SHORTEST:
                self.add(self.names, each, bearer)
            elif len(each) >= _LEAST_INITIALS:
                self.add(self.shorts, each, bearer)

    def _without_place(self, spoken: tuple[str, ...]) -> tuple[str, ...]:
        """Return the words without the province's name behind them: "Sở Y tế tỉnh Sông Lam" is said without it."""
        for place in self._places:
            if spoken[-len(place) :] == place:
                spoken = spoken[: -len(place)]
                return spoken[:-1] if spoken and spoken[-1] in FILLERS else spoken
        return spoken


def _places(roll: Roll) -> frozenset[tuple[str, ...]]:
    """Return the names of provinces: what stands behind "tỉnh" or "thành phố" in the names of their authorities."""
    found: set[tuple[str, ...]] = set()
    for claims in roll.claims:
        if claims.agency.kind is Kind.TINH:
            spoken = tuple(each.letters for each in words(claims.agency.name))
            at = next((index for index, each in enumerate(spoken) if each in _PROVINCE), len(spoken))
            found.add(spoken[at + 1 :])
    return frozenset(found - {()})


def _true_domains(roll: Roll) -> Iterator[str]:
    for claims in roll.claims:
        yield from claims.mail_domains - PUBLIC
    for succession in roll.successions:
        yield from (succession.old, succession.new)
    for protected in roll.protected:
        yield from (each.removeprefix("*.") for each in protected.domains)

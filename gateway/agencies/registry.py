"""The agencies an administrator listed, found by certificate or by mailbox (RFC 8550 3, RFC 5280 4.1.2.6).

The registry only names: whom to trust was decided before, by the certification path. It must never go by a common name,
which anybody may bear, and never choose between two agencies: where a certificate names both, it names none.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from gateway.agencies.model import Agency, Claims, Kind, Roll, Subject, Succession, folded, organizations
from gateway.agencies.reading import read_roll
from gateway.agencies.watch import Watch
from gateway.core.address import Mailbox
from gateway.yamltext import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gateway.agencies.model import Named
    from gateway.yamltext import Document

__all__ = ["Agency", "Found", "Registry", "Subject"]

_MOST_CHARACTERS: Final = 8 * 1024 * 1024
_MOST_NODES: Final = 400_000
"""The administrator's own file: 5,000 agencies have more values than a policy file may."""


@dataclass(frozen=True, slots=True)
class Found:
    """An agency and why it is the one, as a stable word and what was compared."""

    agency: Agency
    by: str
    """fingerprint, mailbox, domain, successor, subject, or former_name."""
    detail: str


@dataclass(frozen=True, slots=True)
class Registry:
    """Agencies by exact mailbox, by domain, by subject and by certificate; a mailbox goes before its domain."""

    agencies: tuple[Agency, ...]
    by_mailbox: Mapping[str, Agency]
    """By `Mailbox.key`, and by "@domain" for every other mailbox there."""
    by_subject: Mapping[str, tuple[tuple[Subject, Agency], ...]]
    """By domain and folded O or OU, as "domain O=value"; former names included."""
    by_fingerprint: Mapping[str, Agency]
    by_id: Mapping[str, Agency]
    successions: Mapping[str, Succession]
    """By old domain."""
    roll: Roll
    watch: Watch
    """What imitations of these agencies are known by."""

    @classmethod
    def empty(cls) -> Registry:
        """Return the registry that knows nobody."""
        return cls.of(Roll())

    @classmethod
    def load(cls, name: str, text: str) -> Registry:
        """Return the registry in a YAML file; raises one `SetupError` with every mistake as file:line:column."""
        return cls.of(read_roll(read_agencies(name, text)))

    @classmethod
    def of(cls, roll: Roll) -> Registry:
        """Return the registry of a roll that was found right."""
        successions = {each.old: each for each in roll.successions}
        mailboxes: dict[str, Agency] = {}
        subjects: dict[str, list[tuple[Subject, Agency]]] = {}
        fingerprints: dict[str, Agency] = {}
        for claims in roll.claims:
            mailboxes.update(dict.fromkeys(claims.mailboxes, claims.agency))
            mailboxes.update(dict.fromkeys((f"@{each}" for each in claims.domains), claims.agency))
            fingerprints.update(dict.fromkeys(claims.fingerprints, claims.agency))
            for subject in (*claims.subjects, *_former(claims, roll.successions)):
                subjects.setdefault(_place(subject), []).append((subject, claims.agency))
        return cls(
            tuple(each.agency for each in roll.claims),
            MappingProxyType(mailboxes),
            MappingProxyType({key: tuple(each) for key, each in subjects.items()}),
            MappingProxyType(fingerprints),
            MappingProxyType({each.agency.id: each.agency for each in roll.claims}),
            MappingProxyType(successions),
            roll,
            Watch.of(roll),
        )

    def agency_of_mailbox(self, mailbox: Mailbox) -> Agency | None:
        """Return the agency that has this mailbox: by itself, else by its domain, else by the domain's successor."""
        found = self.found_by_mailbox(mailbox)
        return found.agency if found is not None else None

    def found_by_mailbox(self, mailbox: Mailbox) -> Found | None:
        """Return the agency that has this mailbox, and why."""
        key = mailbox.key
        found = self._claimed(key)
        if found is not None:
            return found
        local, _, domain = key.rpartition("@")
        succession = self.successions.get(domain)
        if succession is None or key in succession.not_for:
            return None
        moved = self._claimed(f"{local}@{succession.new}")
        return Found(moved.agency, "successor", f"{key} -> {moved.detail}") if moved is not None else None

    def _claimed(self, key: str) -> Found | None:
        agency = self.by_mailbox.get(key)
        if agency is not None:
            return Found(agency, "mailbox", key)
        domain = key[key.rfind("@") :]
        agency = self.by_mailbox.get(domain)
        return Found(agency, "domain", domain) if agency is not None else None

    def agency_of(self, certificate: Named) -> Agency | None:
        """Return the agency of a certificate that was found good, as `found_by_certificate` finds it."""
        found = self.found_by_certificate(certificate)
        return found.agency if found is not None else None

    def found_by_certificate(self, certificate: Named) -> Found | None:
        """Return the agency of a certificate and why: by fingerprint, then mailboxes, then O and OU, former names too.

        Addresses in the subject count only where the subjectAltName has none (RFC 8550 3).
        """
        fingerprint = certificate.fingerprint
        pinned = self.by_fingerprint.get(fingerprint) if self.by_fingerprint else None
        if pinned is not None:
            return Found(pinned, "fingerprint", fingerprint)
        mailboxes = _mailboxes(certificate.san_addresses or certificate.legacy_addresses)
        found = [hit for each in mailboxes if (hit := self.found_by_mailbox(each)) is not None]
        if not found:
            found = list(self._by_subject(certificate, mailboxes))
        return found[0] if len({each.agency.id for each in found}) == 1 else None

    def agency_name(self, certificate: Named) -> str | None:
        """Return the name of the certificate's agency, as `agency_of` finds it."""
        agency = self.agency_of(certificate)
        return agency.name if agency is not None else None

    def same_agency(self, certificate: Named, author: Mailbox) -> Agency | None:
        """Return the agency that both the certificate and the author's mailbox belong to, None where that is not one.

        A unit is another agency than its parent: whoever signs for the one does not sign for the other.
        """
        agency = self.agency_of(certificate)
        theirs = self.agency_of_mailbox(author) if agency is not None else None
        return agency if agency is not None and theirs is not None and agency.id == theirs.id else None

    def succeeds(self, address: Mailbox, author: Mailbox) -> bool:
        """Return True if the two are one mailbox under an old domain and the one that took it over, either way round.

        The local part is the same, and not somebody else's in the new domain.
        """
        (local, _, first), (other, _, second) = address.key.rpartition("@"), author.key.rpartition("@")
        if local != other or first == second:
            return False
        for old, new in ((first, second), (second, first)):
            succession = self.successions.get(old)
            if succession is not None and succession.new == new:
                return f"{local}@{old}" not in succession.not_for
        return False

    def kin(self, one: Agency, other: Agency) -> bool:
        """Return True if one is the other, or a unit inside it at any depth; a commune is no unit of its district."""
        return other.id in self._upward(one) or one.id in self._upward(other)

    def _upward(self, agency: Agency) -> set[str]:
        found: set[str] = set()
        above: Agency | None = agency
        while above is not None and above.id not in found:
            found.add(above.id)
            inside = above.kind is Kind.DON_VI and above.parent is not None
            above = self.by_id.get(above.parent or "") if inside else None
        return found

    def _by_subject(self, certificate: Named, mailboxes: Iterable[Mailbox]) -> Iterator[Found]:
        if not self.by_subject:
            return
        values = organizations(certificate.subject)
        for domain in {each.key.rpartition("@")[2] for each in mailboxes}:
            for kind, named in values.items():
                for value in named:
                    for subject, agency in self.by_subject.get(f"{domain} {kind}={value}", ()):
                        if subject.organization in {None, *values["O"]} and subject.unit in {None, *values["OU"]}:
                            former = any(folded(each) == value for each in agency.former)
                            yield Found(agency, "former_name" if former else "subject", str(subject))


def read_agencies(name: str, text: str) -> Document:
    """Return a YAML file of agencies as a tree; raises `SetupError` where reading cannot go on."""
    return read_yaml(name, text, most_characters=_MOST_CHARACTERS, most_nodes=_MOST_NODES)


def _place(subject: Subject) -> str:
    """Return where a subject is looked for: by its unit where it has one, since few agencies share that."""
    kind, value = ("OU", subject.unit) if subject.unit is not None else ("O", subject.organization)
    return f"{subject.domain} {kind}={value}"


def _former(claims: Claims, successions: Iterable[Succession]) -> Iterator[Subject]:
    """Yield what certificates say that bear a former name: as O or OU, in the agency's domains and those before them.

    Two agencies may have had one name, where a third was divided among them: such a certificate then names neither.
    """
    if not claims.agency.former:
        return
    domains = claims.mail_domains
    before = {each.old for each in successions if each.new in domains}
    for domain in sorted(domains | before):
        for name in claims.agency.former:
            yield Subject(folded(name), None, domain)
            yield Subject(None, folded(name), domain)


@lru_cache(maxsize=1024)
def _mailboxes(addresses: tuple[str, ...]) -> tuple[Mailbox, ...]:
    found: list[Mailbox] = []
    for each in addresses:
        with contextlib.suppress(ValueError):
            found.append(Mailbox.parse(each))
    return tuple(found)

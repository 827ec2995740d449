"""The world that test cases are tried in: the policies are real, keys and logins are of paper, made for each case.

A test must never sign with a real key, and must answer on an administrator's desk as it does on the gateway: of a
configuration it takes everything but keys, logins and, for mail that a case makes, trust.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.agencies.registry import Registry
from gateway.app.policies import read_policies
from gateway.app.world import Parts
from gateway.cli.case_mail import compose
from gateway.cms.algorithms import default_scheme, raw_sign
from gateway.cms.sign import SigningTemplate
from gateway.config.inbound import FamilySettings
from gateway.config.load import parse_settings
from gateway.config.model import ListenerKind
from gateway.core.address import Mailbox, domain_key
from gateway.core.errors import SetupError
from gateway.demo.authority import Authority, shared_key
from gateway.demo.play import signed, tampered
from gateway.keys.catalog import Catalog
from gateway.pki.certificate import Certificate
from gateway.pki.path import Revocation, TrustAnchors
from gateway.policy.schema import AgencyFile, load_policy
from gateway.ports import KeyKind
from gateway.service.intake import World
from gateway.smime.identity import Who

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.cli.case_mail import Mail
    from gateway.cli.cases import Surroundings
    from gateway.config.model import Settings
    from gateway.core.verdict import Signer
    from gateway.demo.authority import Credential
    from gateway.policy.model import Policy
    from gateway.ports import SigningKey

SOMEBODY: Final = "nguoi.khac@noi-khac.example"
"""Whose signature `signed: by_other` is."""
_SOURCE: Final = "may-trong-mang"


class PaperKey:
    """A `ports.SigningKey` that exists for one test."""

    def __init__(self, credential: Credential, label: str, kind: KeyKind, mailbox: Mailbox) -> None:
        """Prepare it for signing as the mailbox."""
        self._credential = credential
        self.label = label
        self.kind = kind
        self.certificate = Certificate.load(credential.certificate)
        self.addresses = frozenset((mailbox.key,))
        scheme, digest = default_scheme(self.certificate.public_key)
        self.template = SigningTemplate.build(credential.certificate, credential.chain, scheme=scheme, digest=digest)

    async def sign(self, to_be_signed: bytes) -> bytes:
        """Return the raw signature value."""
        template = self.template
        return raw_sign(self._credential.key, to_be_signed, scheme=template.scheme, digest=template.digest)


class Notary:
    """Issues paper certificates, one per mailbox and kind for a whole run."""

    def __init__(self, now: dt.datetime) -> None:
        """Make the throw-away authority; `now` is aware."""
        self._authority = Authority(now, ca_shape="p256", family=9)
        self._issued: dict[tuple[str, str], Credential] = {}
        self.trust = TrustAnchors((Certificate.load(self._authority.root),), (), ())

    def key(self, mailbox: Mailbox, kind: KeyKind, label: str) -> PaperKey:
        """Return the key of this kind for a mailbox."""
        return PaperKey(self._credential(str(mailbox), kind.value, "p256"), label, kind, mailbox)

    def sealed(self, mail: Mail, how: str | None, *, author: Mailbox | None, to: str, at: dt.datetime) -> bytes:
        """Return the octets of a case's message, signed as it wants by somebody who is not this gateway."""
        plain = compose(mail, to=to, at=at)
        if how is None:
            return plain
        whose = str(author) if author is not None and how != "by_other" else SOMEBODY
        credential = self._credential(whose, "outside", "rsa2048")
        if how != "broken":
            return signed(plain, credential)
        other = compose(replace(mail, text=f"{mail.text}\nĐã bị sửa trên đường.\n"), to=to, at=at)
        return tampered(signed(plain, credential), signed(other, credential))

    def _credential(self, mailbox: str, kind: str, shape: str) -> Credential:
        known = self._issued.get((mailbox, kind))
        if known is None:
            key = shared_key("rsa2048" if shape == "rsa2048" else "p256", 9000 + len(kind))
            known = self._authority.issue(f"Thử nghiệm {kind}", mailbox, key=key)
            self._issued[mailbox, kind] = known
        return known


class PaperKeys:
    """A `ports.KeyCatalog` in which every author has the kinds of keys that a case grants."""

    def __init__(
        self, notary: Notary, kinds: frozenset[KeyKind], author: Mailbox | None, labels: Iterable[str]
    ) -> None:
        """`labels` are those that rules name; such a key is the author's agency's."""
        self._notary = notary
        self._kinds = kinds
        self._author = author
        self._labels = frozenset(labels)

    def by_label(self, label: str) -> SigningKey | None:
        """Return the key of this label; the author's own two are called as their kinds are."""
        if self._author is None:
            return None
        for kind in self._kinds:
            if label == kind.value:
                return self._notary.key(self._author, kind, label)
        if label not in self._labels or KeyKind.ORGANIZATION not in self._kinds:
            return None
        return self._notary.key(self._author, KeyKind.ORGANIZATION, label)

    def for_author(self, mailbox: Mailbox, kind: KeyKind) -> SigningKey | None:
        """Return the key of this kind, if the case grants it."""
        return self._notary.key(mailbox, kind, kind.value) if kind in self._kinds else None

    def unfit(self, key: SigningKey, at: dt.datetime) -> str | None:
        """Never: what a key may not do is not the policy's matter."""
        del key, at
        return None


class PaperLogins:
    """`ports.Accounts` of one login."""

    def __init__(self, authors: frozenset[str]) -> None:
        """Take the mailboxes (and "@domain"s) it may send as."""
        self._authors = authors

    def authors(self, login: str) -> frozenset[str]:
        """Return the same for every login."""
        del login
        return self._authors


class PaperDirectory:
    """A `policy.directory.Directory` for cases without a configuration: any agency may exist."""

    digest: str = ""

    def __init__(self, surroundings: Surroundings) -> None:
        """Take who is whose."""
        self._domains = frozenset(surroundings.domains)
        self._agencies = surroundings.agencies

    def knows(self, agency: str) -> bool:
        """Return True: a file of an agency's rules is read as if the registry had it."""
        del agency
        return True

    def agency_of(self, mailbox: Mailbox) -> str | None:
        """Return the first agency that has the mailbox, by itself or by its domain."""
        keys = {mailbox.key, f"@{domain_key(mailbox.domain)}"}
        return next((agency for agency, known in self._agencies if not keys.isdisjoint(known)), None)

    def agency_of_signer(self, signer: Signer) -> str | None:
        """Return the agency that has every mailbox of the certificate."""
        found: set[str | None] = set()
        for each in signer.san_addresses or signer.legacy_addresses:
            with contextlib.suppress(ValueError):
                found.add(self.agency_of(Mailbox.parse(each)))
        return found.pop() if len(found) == 1 else None

    def is_local(self, mailbox: Mailbox) -> bool:
        """Return True if the mailbox's domain is one of the file's."""
        return domain_key(mailbox.domain) in self._domains


def read_alone(directory: Path, surroundings: Surroundings, *, turned_on: frozenset[str] = frozenset()) -> Policy:
    """Return the policy in a directory without a configuration; raises one `SetupError` with every mistake."""
    agencies = [AgencyFile(file.stem, str(file), text) for file, text in _texts(directory / "agencies")]
    files = [(str(file), text) for file, text in _texts(directory)]
    if not files:
        raise SetupError(f"{directory}: no policy file (*.yaml)")
    return load_policy(files, agencies=agencies, directory=PaperDirectory(surroundings), turned_on=turned_on)


def _texts(directory: Path) -> list[tuple[Path, str]]:
    try:
        return [(file, file.read_text(encoding="utf-8")) for file in sorted(directory.glob("*.yaml"))]
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{directory}: cannot be read: {error}") from error


def plain_settings(policy: Policy, domains: Sequence[str]) -> Settings:
    """Return settings for policies without a configuration: every door, and every hop that a rule names."""
    named = {kind: {each.name for each in policy.mentions if each.kind == kind} for kind in ("hop", "listener")}
    doors = {"submission": ListenerKind.SUBMISSION, "internal": ListenerKind.INTERNAL, "inbound": ListenerKind.INBOUND}
    doors = dict.fromkeys(sorted(named["listener"]), ListenerKind.SUBMISSION) | doors
    source = {
        "name": _SOURCE,
        "networks": ["127.0.0.0/8"],
        "authors": [f"@{each}" for each in domains] or ["a@a.example"],
    }
    hops = ("mailboxes", "outside", *sorted(named["hop"] - {"mailboxes", "outside"}))
    document = {
        "hostname": "mail.thu-nghiem.example",
        "listeners": [
            {"name": name, "kind": kind.value, "address": "127.0.0.1:0"}
            | ({"sources": [source]} if kind is ListenerKind.INTERNAL else {})
            for name, kind in doors.items()
        ],
        "hops": [{"name": each, "protocol": "maildir", "directory": each} for each in hops],
        "local_domains": [
            {"domain": each, "hop": "mailboxes", "recipients": "any"} for each in domains or ("thu-nghiem.example",)
        ],
        "outbound": [{"domain": "*", "hop": "outside"}],
        "spool": {"directory": "spool"},
        "policies": ".",
        "auth": {"file": "logins"},
        "tags": {"authserv_id": "mail.thu-nghiem.example"},
        "wishes": {"ask": ["!ky", "[ký số]"], "decline": ["!khongky", "[không ký]"]},
    }
    return parse_settings("(no configuration)", json.dumps(document), directory=Path("/nonexistent"))


def real_world(
    settings: Settings, directory: Path, now: dt.datetime, *, turned_on: frozenset[str], family: str | None
) -> World:
    """Return the world of a configuration with the policies of a directory, and without keys and logins.

    A family of anchors that a case states is there for prepared rules that it turns on: they are tried before anybody
    sets it up. What is active is held against the configuration alone, as the gateway will.
    """
    bare = settings.model_copy(update={"policies": directory.absolute(), "keys": (), "auth": None})
    world = Parts(bare, now).world
    if not turned_on:
        return world
    if family is not None and family not in {each.name for each in settings.trust.families}:
        stated = FamilySettings.model_construct(name=family)  # by its name alone it is known here
        trust = settings.trust.model_copy(update={"families": (*settings.trust.families, stated)})
        bare = bare.model_copy(update={"trust": trust})
    return replace(world, policy=read_policies(directory, world.policy.directory, bare, turned_on=turned_on))


def plain_world(settings: Settings, policy: Policy) -> World:
    """Return the world of `plain_settings`: nobody is trusted, and nobody has a key."""
    return World(
        policy=policy,
        catalog=Catalog((), now=dt.datetime.now(dt.UTC)),
        accounts=PaperLogins(frozenset()),
        trust=TrustAnchors((), (), ()),
        revocation=Revocation.OFF,
        who=Who(Registry.empty(), frozenset()),
        tags=settings.tags,
        wishes=settings.wishes,
    )

"""Doubles of the ports that the journey speaks to: values and lists, no input or output (gateway.ports)."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.agencies.registry import Registry
from gateway.cms.algorithms import raw_sign
from gateway.config.inbound import TagSettings
from gateway.core.address import Mailbox
from gateway.core.envelope import Envelope, Recipient
from gateway.core.message import Message
from gateway.core.octets import MemoryBuilder
from gateway.core.received import Arrival, Client, Relayed, Submission, Submitter
from gateway.core.sighting import Contact, Recollection, Repeat
from gateway.judging.inline import InlineJudge
from gateway.judging.terms import Terms
from gateway.pki.certificate import Certificate
from gateway.pki.path import Revocation, TrustAnchors
from gateway.policy.schema import load_policy
from gateway.ports import Judge, KeyKind, Sightings
from gateway.service.arrivals import open_arrival
from gateway.service.inbound import Inbound
from gateway.service.intake import World
from gateway.service.outbound import Outbound
from gateway.service.verdicts import Verdicts
from gateway.smime.identity import Who
from support.letters import NOW, authority, lan, template

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.cms.sign import SigningTemplate
    from gateway.core.events import Event
    from gateway.core.octets import Builder
    from gateway.core.past import PastMessage
    from gateway.core.sighting import Sighting
    from gateway.demo.authority import Credential
    from gateway.service.arrivals import Opened

LATER = dt.timedelta(days=1)
"""After the receipt of what goes through the journey again."""
HOSTNAME = "mail.songlam.example"


class FixedClock:
    """It is always the same moment."""

    def __init__(self, now: dt.datetime = NOW) -> None:
        self.moment = now

    def now(self) -> dt.datetime:
        return self.moment


class ListRecorder:
    """Keeps events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self.events.append(event)

    def facts(self, stage: str) -> list[dict[str, object]]:
        """Return the facts of every event of a stage."""
        return [dict(each.facts) for each in self.events if each.stage == stage]


class Notes:
    """A `Memory` that keeps what it is given."""

    def __init__(self) -> None:
        self.past: list[PastMessage] = []

    def remember(self, past: PastMessage) -> None:
        self.past.append(past)


class Seen:
    """A `Sightings` that says what it is told to say, and keeps what it is given."""

    def __init__(self, repeat: Repeat = Repeat.NEW, contact: Contact = Contact.KNOWN) -> None:
        self.answer = Recollection(repeat, contact)
        self.sightings: list[Sighting] = []

    async def see(self, sighting: Sighting) -> Recollection:
        self.sightings.append(sighting)
        return self.answer


class Opinion:
    """A `SecondOpinion` that says what it is told to say, and counts."""

    def __init__(self, answer: str | None = None, trouble: Exception | None = None) -> None:
        self.answer, self.trouble = answer, trouble
        self.asked: list[Message] = []

    async def verify(self, finished: Message, certificate: Certificate) -> str | None:
        self.asked.append(finished)
        if self.trouble is not None:
            raise self.trouble
        return self.answer


class MemoryBodies:
    """Bodies in memory."""

    def builder(self, announced: int = 0) -> Builder:
        del announced
        return MemoryBuilder()


@dataclass(frozen=True)
class Limits:
    """What a hop offers."""

    size: int | None = None
    eight_bit: bool = True
    smtputf8: bool = True
    dsn: bool = True


@dataclass
class KnownHop:
    """A next hop that is only asked what it offers; `limits` None: it cannot be reached."""

    limits: Limits | None = field(default_factory=Limits)
    name: str = "out"
    usable: bool = True
    per_recipient: bool = False

    async def known_limits(self) -> Limits | None:
        return self.limits

    async def begin(self, client: object = None) -> object:
        raise AssertionError("nothing is handed over here")


class KnownHops:
    """Hops by name; unknown names get one that offers everything."""

    def __init__(self, **hops: KnownHop) -> None:
        self.hops = hops

    def by_name(self, name: str) -> KnownHop:
        return self.hops.setdefault(name, KnownHop(name=name))


class DomainRoutes:
    """songlam.example comes in by "boxes"; everything goes out by "out", but unroutable.example."""

    def inbound(self, mailbox: Mailbox) -> str | None:
        return "boxes" if mailbox.domain.endswith("songlam.example") else None

    def outbound(self, mailbox: Mailbox) -> str | None:
        return None if mailbox.domain == "unroutable.example" else "out"

    def through(self, hop: str, mailbox: Mailbox) -> str:
        return hop


class CredentialKey:
    """A `SigningKey` over a credential of the throw-away authority."""

    def __init__(self, credential: Credential, label: str = "lan", kind: KeyKind = KeyKind.PERSONAL) -> None:
        self._credential = credential
        self.label = label
        self.kind = kind
        self.certificate = Certificate.load(credential.certificate)
        self.addresses = frozenset(Mailbox.parse(each).key for each in self.certificate.addresses)
        self.template: SigningTemplate = template(credential)
        self.damage: Callable[[bytes], bytes] = lambda value: value
        self.trouble: Exception | None = None

    async def sign(self, to_be_signed: bytes) -> bytes:
        if self.trouble is not None:
            raise self.trouble
        value = raw_sign(self._credential.key, to_be_signed, scheme=self.template.scheme, digest=self.template.digest)
        return self.damage(value)


class ListedKeys:
    """A `KeyCatalog` of a few keys; `faults` says by label which may not sign."""

    def __init__(self, *keys: CredentialKey, faults: dict[str, str] | None = None) -> None:
        self._keys = keys
        self.faults = faults or {}

    def by_label(self, label: str) -> CredentialKey | None:
        return next((each for each in self._keys if each.label == label), None)

    def for_author(self, mailbox: Mailbox, kind: KeyKind) -> CredentialKey | None:
        return next((each for each in self._keys if each.kind is kind and mailbox.key in each.addresses), None)

    def unfit(self, key: CredentialKey, at: dt.datetime) -> str | None:
        return self.faults.get(key.label)


class NoAccounts:
    """Nobody may log in."""

    def authors(self, login: str) -> frozenset[str]:
        return frozenset()


SIGN = """\
rules:
  - name: sign
    direction: outbound
    then: {sign: {key: personal_else_organization, if_unable: IF_UNABLE}}
  - name: deliver
    direction: inbound
    then: deliver
"""


REGISTRY = Registry.load(
    "agencies.yaml",
    """
agencies:
  - id: so-y-te
    name: Sở Y tế
    english: Department of Health
    domains: ["@soyte.songlam.example"]
""",
)


def world(policy: str = SIGN.replace("IF_UNABLE", "refuse"), keys: ListedKeys | None = None) -> World:
    """Return a world that trusts the shared authority, without revocation."""
    return World(
        policy=load_policy((("policy.yaml", policy),)),
        catalog=keys if keys is not None else ListedKeys(CredentialKey(lan())),
        accounts=NoAccounts(),
        trust=TrustAnchors((Certificate.load(authority().root),), (), ()),
        revocation=Revocation.OFF,
        who=Who(REGISTRY, frozenset()),
        tags=TagSettings(authserv_id=HOSTNAME),
    )


def outbound_room(
    *,
    recorder: ListRecorder | None = None,
    hops: KnownHops | None = None,
    memory: Notes | None = None,
    opinion: Opinion | None = None,
) -> Outbound:
    """Return the outbound half; its tokens are "token1" and so on."""
    tokens = itertools.count(1)
    return Outbound(
        hostname=HOSTNAME,
        hops=hops or KnownHops(),
        routes=DomainRoutes(),
        bodies=MemoryBodies(),
        clock=FixedClock(),
        recorder=recorder or ListRecorder(),
        memory=memory or Notes(),
        opinion=opinion or Opinion(),
        new_token=lambda: f"token{next(tokens)}",
    )


def inbound_room(
    *,
    recorder: ListRecorder | None = None,
    hops: KnownHops | None = None,
    memory: Notes | None = None,
    sightings: Sightings | None = None,
    judge: Judge | None = None,
) -> Inbound:
    """Return the inbound half, which judges in this process by the trust of `world`."""
    noted = recorder or ListRecorder()
    here = world()
    return Inbound(
        verdicts=Verdicts(
            judge=judge or InlineJudge(Terms(here.trust, here.revocation)),
            sightings=sightings or Seen(),
            recorder=noted,
        ),
        hops=hops or KnownHops(),
        routes=DomainRoutes(),
        recorder=noted,
        memory=memory or Notes(),
    )


def arrival(message: bytes, *to: str, sender: str, smtputf8: bool = False) -> Arrival:
    """Return an arrival of these octets."""
    envelope = Envelope(
        Mailbox.parse(sender), tuple(Recipient(Mailbox.parse(each)) for each in to), eight_bit=True, smtputf8=smtputf8
    )
    client = Client("submission", "127.0.0.1", "may-tram", "ESMTPSA", "TLSv1.3 X")
    return Arrival("t1", NOW, client, envelope, Message.of(message))


def submission(message: bytes, *to: str, sender: str, authors: str = "", smtputf8: bool = False) -> Submission:
    """Return a submission by a login that may send as `authors` (comma-separated; the sender without)."""
    listed = frozenset((authors or sender).split(","))
    return Submission(arrival(message, *to, sender=sender, smtputf8=smtputf8), Submitter("lan", listed))


def relayed(message: bytes, *to: str, sender: str, smtputf8: bool = False) -> Relayed:
    """Return an arrival from another mail system."""
    return Relayed(arrival(message, *to, sender=sender, smtputf8=smtputf8))


def opened(message: bytes) -> Opened:
    """Return a message as the journey opens it."""
    return open_arrival(Message.of(message))

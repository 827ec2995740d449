"""One message through the very journey that live mail takes, with nothing handed over and nothing kept.

The rooms are joined as the gateway joins them; only what would reach outside is another: next hops answer from here,
and the hand-over takes note. Keys are the real ones, so what comes out is what would be sent.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gateway.app.journey import Rooms, join
from gateway.cli.files import FileBuilder
from gateway.core.address import NULL_PATH
from gateway.core.decision import Share
from gateway.core.envelope import Envelope, Recipient
from gateway.core.errors import SetupError
from gateway.core.events import Stage
from gateway.core.queue import Kind
from gateway.core.received import Arrival, Client, Relayed, Submission
from gateway.core.reply import Reply
from gateway.delivery.handover import taken
from gateway.delivery.passage import fit
from gateway.judging.inline import InlineJudge
from gateway.judging.terms import Terms
from gateway.mime.fields import AuthorDefect, MimeError, author_of, read_header
from gateway.relay.direct import parted
from gateway.relay.route import Routes
from gateway.spool.sightings import NoSightings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config.model import Listener, ListenerKind, Settings
    from gateway.core.address import Mailbox, ReversePath
    from gateway.core.decision import InboundDecision, OutboundDecision
    from gateway.core.events import Event
    from gateway.core.message import Message
    from gateway.core.octets import Builder
    from gateway.core.past import PastMessage
    from gateway.core.queue import Consignment, Origin
    from gateway.core.received import Received
    from gateway.pki.certificate import Certificate
    from gateway.ports import Judge, NextHop, NextHops, Transaction
    from gateway.service.intake import World

TRACE_ID: Final = "explain"
_TLS: Final = "TLSv1.3 TLS_AES_256_GCM_SHA384"


@dataclass(frozen=True, slots=True)
class Letter:
    """What is tried: a message as it is on the wire, and how it would come in."""

    message: Message
    recipients: tuple[Mailbox, ...]
    listener: Listener
    login: str | None = None
    client: str = "127.0.0.1"
    reverse_path: ReversePath | None = None
    """None: the author, as mail clients have it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the journey made of a letter: the reply to its client, the rulings, and what would be sent or kept."""

    reply: Reply
    arrival: Arrival | None
    """None where the client would be turned away before it could send anything."""
    shares: tuple[Share[OutboundDecision | InboundDecision], ...]
    consignments: tuple[Consignment, ...]
    events: tuple[Event, ...]

    def facts(self, stage: Stage) -> tuple[dict[str, object], ...]:
        """Return the facts of every event of a stage, in order."""
        return tuple(dict(each.facts) for each in self.events if each.stage is stage)

    def recipients_of(self, consignment: Consignment) -> tuple[int, ...]:
        """Return the indexes of a consignment's recipients in the letter's envelope; none for a notice of ours."""
        if self.arrival is None:
            return ()
        known = {id(each): index for index, each in enumerate(self.arrival.envelope.recipients)}
        return tuple(known[id(each)] for each in consignment.envelope.recipients if id(each) in known)


@dataclass(frozen=True, slots=True)
class Offered:
    """What a next hop is taken to offer where nobody asks it: everything, without a limit."""

    size: int | None = None
    eight_bit: bool = True
    smtputf8: bool = True
    dsn: bool = True


class AssumedHop:
    """A next hop that nobody talks to."""

    usable = True
    per_recipient = False

    def __init__(self, name: str) -> None:
        """Keep its name."""
        self.name = name

    async def known_limits(self) -> Offered:
        """Return that it offers everything."""
        return Offered()

    async def begin(self, client: Origin | None = None) -> Transaction:  # noqa: ARG002 - as the port says
        """Never: a dry run hands nothing over."""
        raise AssertionError("a dry run hands nothing over")


class AssumedHops:
    """The hops of the configuration, by name, without a connection to any of them."""

    def __init__(self, settings: Settings) -> None:
        """Take their names."""
        self._hops = {each.name: AssumedHop(each.name) for each in settings.hops}

    def by_name(self, name: str) -> NextHop:
        """Return the hop; raises `KeyError`."""
        return self._hops[parted(name)[0]]


class FixedClock:
    """It is always the moment the letter is tried at."""

    def __init__(self, moment: dt.datetime) -> None:
        """Take an aware moment."""
        self._moment = moment.astimezone(dt.UTC)

    def now(self) -> dt.datetime:
        """Return the moment, UTC."""
        return self._moment


class _Bodies:
    """Octets in memory or unlinked temporary files: the spool's own disk is left alone."""

    def builder(self, announced: int = 0) -> Builder:
        del announced
        return FileBuilder()


class _Anyone:
    """Recipients are not probed."""

    def check(self, mailbox: Mailbox) -> Reply | None:
        del mailbox
        return None


class _Oblivion:
    """What is only tried is not remembered."""

    def remember(self, past: PastMessage) -> None:
        del past


class _Nobody:
    """What goes nowhere needs no second opinion: our own look at it is enough."""

    async def verify(self, finished: Message, certificate: Certificate) -> str | None:
        del finished, certificate
        return None


class _Notebook:
    """A recorder that keeps the events of one letter."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self.events.append(event)


class _Tray:
    """A hand-over that takes note of what would be handed over, and refuses what its hop could not take."""

    def __init__(self, hops: NextHops) -> None:
        self.consignments: tuple[Consignment, ...] = ()
        self._hops = hops

    async def hand_over(self, consignments: Sequence[Consignment]) -> Reply:
        self.consignments = tuple(consignments)
        for each in self.consignments:
            if each.kind is Kind.DELIVER:
                limits = await self._hops.by_name(each.hop).known_limits()
                fitting = fit(each.envelope, each.message, limits) if limits is not None else None
                if isinstance(fitting, Reply):
                    return fitting
        return taken(self.consignments)


async def try_letter(
    settings: Settings,
    world: World,
    letter: Letter,
    *,
    at: dt.datetime,
    hops: NextHops | None = None,
    judge: Judge | None = None,
) -> Outcome:
    """Take a letter through the journey at a moment (aware).

    Without `hops` each is assumed to offer everything; without a `judge` it is judged as the gateway does.
    """
    asked = hops if hops is not None else AssumedHops(settings)
    tray, notebook, clock = _Tray(asked), _Notebook(), FixedClock(at)
    rooms = Rooms(
        hops=asked,
        routes=Routes(settings),
        bodies=_Bodies(),
        checks=_Anyone(),
        hand_over=tray,
        clock=clock,
        recorder=notebook,
        memory=_Oblivion(),
        opinion=_Nobody(),
        judge=judge if judge is not None else InlineJudge(Terms(world.trust, world.revocation)),
        sightings=NoSightings(),
        new_token=lambda: secrets.token_hex(12),
    )
    journey = join(settings, world, rooms)
    arrival = _arrival(letter, clock.now())
    submitter = journey.authorize(letter.listener.name, arrival.client, letter.login)
    if isinstance(submitter, Reply):
        return Outcome(submitter, None, (), (), ())
    received: Received = Relayed(arrival) if submitter is None else Submission(arrival, submitter)
    reply = await journey.accept(received)
    rulings = tuple(each.about for each in notebook.events if each.stage is Stage.RULED)
    shares = tuple(each for each in rulings if isinstance(each, Share))
    return Outcome(reply, arrival, shares, tray.consignments, tuple(notebook.events))


def listener_named(settings: Settings, name: str | None, kinds: Sequence[ListenerKind]) -> Listener:
    """Return the listener of this name, or the first one of the first kind there is; raises `SetupError`."""
    if name is not None:
        found = [each for each in settings.listeners if each.name == name]
        if not found:
            names = ", ".join(each.name for each in settings.listeners)
            raise SetupError(f"--from-listener {name}: there is no such listener; there are: {names}")
        return found[0]
    for kind in kinds:
        for each in settings.listeners:
            if each.kind is kind:
                return each
    raise SetupError(f"the configuration has no listener of kind {' or '.join(each.value for each in kinds)}")


def _arrival(letter: Letter, at: dt.datetime) -> Arrival:
    """Return the letter as a session would have handed it over, with the parameters a client would have given."""
    path = letter.reverse_path if letter.reverse_path is not None else author_in(letter.message) or NULL_PATH
    envelope = Envelope(path, tuple(Recipient(each) for each in letter.recipients), eight_bit=_eight_bit(letter))
    if _international(letter, path):
        envelope = replace(envelope, smtputf8=True)
    authenticated = letter.login is not None
    protocol = "ESMTPSA" if authenticated else "ESMTP"
    client = Client(letter.listener.name, letter.client, "may-thu", protocol, _TLS if authenticated else None)
    return Arrival(TRACE_ID, at, client, envelope, letter.message)


def author_in(message: Message) -> Mailbox | None:
    """Return the single mailbox of the single From field, None where there is no such thing."""
    try:
        author = author_of(read_header(message))
    except MimeError:
        return None
    return None if isinstance(author, AuthorDefect) else author


def _eight_bit(letter: Letter) -> bool:
    return not all(window.isascii() for window in letter.message.windows())


def _international(letter: Letter, path: ReversePath) -> bool:
    """Return whether a client would have to give SMTPUTF8: for an address or a header field that is not ASCII."""
    if not all(each.ascii for each in letter.recipients) or not str(path).isascii():
        return True
    end = letter.message.find(b"\r\n\r\n")
    head = letter.message.slice(0, end if end >= 0 else len(letter.message))
    return not all(window.isascii() for window in head.windows())

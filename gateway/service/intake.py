"""The journey of a message from the dot to the reply, top to bottom: the only place that joins the rooms.

`250 means safe`: a 2xx leaves here only when every recipient was accepted by a next hop or committed in the spool.
A fault of ours is caught here, once: 451 4.3.0, logged with the trace id, nothing kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from gateway.config.model import ListenerKind
from gateway.config.senders import Reaction
from gateway.core.envelope import Direction
from gateway.core.errors import InputError, ServiceError, StorageFullError
from gateway.core.events import Event, Stage
from gateway.core.received import Relayed, Standing, Submission, Submitter, parsed_address
from gateway.core.reply import Reply
from gateway.mime.fields import MimeError, read_header
from gateway.mime.trace import trace_field
from gateway.service.arrivals import loops, open_arrival
from gateway.service.authorship import rights_unknown, unlisted_host
from gateway.service.boundary import not_passed, source_of
from gateway.service.pace import Pace
from gateway.service.senders import STRICT, Senders
from gateway.tagging import stripped

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from gateway.config.inbound import TagSettings
    from gateway.config.wishes import WishSettings
    from gateway.core.address import Mailbox
    from gateway.core.message import Message
    from gateway.core.queue import Consignment
    from gateway.core.received import Arrival, Client, Received
    from gateway.mime.fields import Header
    from gateway.pki.path import Revocation, TrustAnchors
    from gateway.policy.model import Policy
    from gateway.ports import Accounts, HandOver, KeyCatalog, RecipientChecks, Recorder
    from gateway.service.boundary import Boundary
    from gateway.service.inbound import Inbound
    from gateway.service.outbound import Outbound
    from gateway.smime.identity import Who
    from gateway.tagging.seal import SealKeys

_FAULT: Final = Reply.of(451, "4.3.0", "Lỗi tạm thời, xin gửi lại sau / temporary fault, please try again")
_FULL: Final = Reply.of(452, "4.3.1", "Hết chỗ lưu tạm, xin gửi lại sau / out of storage, please try again")
_LOOP: Final = Reply.of(554, "5.4.6", "Thư đi vòng / mail loop: too many Received fields")


@dataclass(frozen=True, slots=True)
class World:
    """All that a reload replaces at once: a message sees one world from its dot to its reply."""

    policy: Policy
    catalog: KeyCatalog
    accounts: Accounts
    trust: TrustAnchors
    revocation: Revocation
    who: Who
    tags: TagSettings
    boundary: Boundary | None = None
    """The server in front of us."""
    seals: SealKeys | None = None
    """Keys of the seal over our marks; None where there is none."""
    senders: Senders = STRICT
    wishes: WishSettings | None = None


@dataclass(frozen=True, slots=True)
class ListedSource:
    """An internal host or network that may send without logging in."""

    network: IPv4Network | IPv6Network
    submitter: Submitter
    certificates: frozenset[str] = frozenset()
    """Names of client certificates, one of which it must show ("sha256:...", "dns:...", "email:..."); empty: none."""

    def is_at(self, client: Client) -> bool:
        """Return True if the client is this source."""
        shown = client.certificate
        if self.certificates and (shown is None or self.certificates.isdisjoint(shown.every_name)):
            return False
        address = parsed_address(client.address)
        return address.version == self.network.version and address in self.network


@dataclass(frozen=True, slots=True)
class Door:
    """What the journey must know about a listener."""

    kind: ListenerKind
    sources: tuple[ListedSource, ...] = ()

    def listed(self, client: Client) -> Submitter | None:
        """Return who answers for a client: by its certificate first, then by the most specific network."""
        fitting = [each for each in self.sources if each.is_at(client)]
        best = max(fitting, key=lambda each: (bool(each.certificates), each.network.prefixlen), default=None)
        return best.submitter if best is not None else None


class Journey:
    """Implements `ports.Intake`."""

    def __init__(  # noqa: PLR0913 - one argument per room
        self,
        world: World,
        *,
        hostname: str,
        doors: Mapping[str, Door],
        outbound: Outbound,
        inbound: Inbound,
        checks: RecipientChecks,
        hand_over: HandOver,
        recorder: Recorder,
    ) -> None:
        """Join the rooms; `world` may be replaced later as a whole."""
        self.world = world
        self._hostname = hostname
        self.doors = doors
        self.outbound = outbound
        self.inbound = inbound
        self._checks = checks
        self._hand_over = hand_over
        self._recorder = recorder
        self._pace = Pace()
        self._log = structlog.get_logger("gateway.intake")

    def authorize(self, listener: str, client: Client, login: str | None) -> Submitter | Reply | None:
        """Say who answers for mail on a listener (see `ports.Intake`)."""
        door = self.doors[listener]
        match door.kind:
            case ListenerKind.INBOUND:
                return None
            case ListenerKind.SUBMISSION if login is not None:
                return self._by_login(login)
            case ListenerKind.SUBMISSION:
                return Reply.of(530, "5.7.0", "Phải đăng nhập / authentication required")
            case ListenerKind.INTERNAL:
                return door.listed(client) or self._unlisted(client)

    def _by_login(self, login: str) -> Submitter | Reply:
        try:
            return Submitter(login, self.world.accounts.authors(login))
        except ServiceError:
            self._log.exception("rights cannot be looked up", login=login)
        found = rights_unknown(self.world.senders)
        if found.reaction is Reaction.REFUSE:
            return found.reply
        return Submitter(login, frozenset(), Standing.RIGHTS_UNKNOWN)

    def _unlisted(self, client: Client) -> Submitter | Reply:
        found = unlisted_host(self.world.senders)
        if found.reaction is Reaction.REFUSE:
            return found.reply
        return Submitter(client.address, frozenset(), Standing.UNLISTED)

    def recipient(self, listener: str, mailbox: Mailbox) -> Reply | Coroutine[object, object, Reply | None] | None:
        """Return the refusal of a forward-path at RCPT, None to take it, or what takes time and returns either."""
        if self.doors[listener].kind is not ListenerKind.INBOUND:
            return None  # route and ruling need the header (handover.md 2)
        try:
            answer = self._checks.check(mailbox)
        except Exception:  # noqa: BLE001 - the seam where our own bugs become 451 (house rule: three seams)
            return self._unchecked(mailbox)
        return answer if answer is None or isinstance(answer, Reply) else self._asked(mailbox, answer)

    async def _asked(self, mailbox: Mailbox, asking: Coroutine[object, object, Reply | None]) -> Reply | None:
        try:
            return await asking
        except Exception:  # noqa: BLE001 - the same seam
            return self._unchecked(mailbox)

    def _unchecked(self, mailbox: Mailbox) -> Reply:
        self._log.exception("recipient check failed", mailbox=str(mailbox))
        return Reply.of(451, "4.3.0", "cannot verify the recipient now")

    async def accept(self, received: Received) -> Reply:
        """Take the message through the whole journey and return the reply to the dot."""
        arrival = received.arrival
        bound = structlog.contextvars.bind_contextvars(trace_id=arrival.trace_id)
        try:
            self._record_arrival(received)
            try:
                reply = await self._travel(received)
            except InputError as error:
                reply = error.reply or Reply.of(554, "5.6.0", f"Thư không đọc được / cannot read: {error.reason}")
            except StorageFullError:
                reply = _FULL
            except ServiceError:
                self._log.exception("service fault")
                reply = _FAULT
            except Exception:  # noqa: BLE001 - the seam where our own bugs become 451 before anything is kept
                self._log.exception("fault in the journey")
                reply = _FAULT
            answer = {"code": reply.code, "status": reply.status, "text": reply.text}
            self._recorder.record(Event(Stage.ANSWERED, arrival.trace_id, answer))
            return reply
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    async def _travel(self, received: Received) -> Reply:
        """The journey itself: open, rule, sign or judge, tag, hand over."""
        world = self.world
        arrival = received.arrival
        await self._pace.turn(source_of(arrival, world.boundary))
        header = read_header(arrival.message)
        if loops(header, self._hostname):
            return _LOOP
        clean = self._stripped(world, arrival, header)
        try:
            read = header if clean is arrival.message else None
            opened = open_arrival(clean, trace_field(arrival, self._hostname), header=read)
        except MimeError as error:
            return Reply.of(554, "5.6.0", f"Cấu trúc thư vượt giới hạn / message structure: {error.reason}")
        consignments: Sequence[Consignment] | Reply
        match received:
            case Submission():
                consignments = await self.outbound.consign(world, received, opened)
            case Relayed():
                consignments = await self.inbound.consign(world, received, arrival.message, opened)
        if isinstance(consignments, Reply):
            return consignments
        return await self._hand_over.hand_over(consignments)

    def _stripped(self, world: World, arrival: Arrival, header: Header) -> Message:
        """Return the message without any mark that passes for ours, and leave an event of what was taken off."""
        others = not_passed(world.boundary, arrival.client)
        found = stripped(arrival.message, authserv_id=world.tags.authserv_id, others=others, header=header)
        if found.removed:
            facts = {"octets": len(arrival.message) - len(found.message), **found.removed}
            self._recorder.record(Event(Stage.STRIPPED, arrival.trace_id, facts))
        return found.message

    def _record_arrival(self, received: Received) -> None:
        arrival: Arrival = received.arrival
        direction = Direction.OUTBOUND if isinstance(received, Submission) else Direction.INBOUND
        facts = {
            "direction": str(direction),
            "listener": arrival.client.listener,
            "client": arrival.client.address,
            "protocol": arrival.client.protocol,
            "certificate": arrival.client.certificate.fingerprint if arrival.client.certificate is not None else None,
            "login": received.submitter.name if isinstance(received, Submission) else None,
            "reverse_path": str(arrival.envelope.reverse_path),
            "recipients": tuple([str(each.mailbox) for each in arrival.envelope.recipients]),
            "octets": len(arrival.message),
        }
        self._recorder.record(Event(Stage.RECEIVED, arrival.trace_id, facts))

"""Kept mail and the journey: what is noted of a message that is kept raw, and the arrival it is made into again.

A kept message goes through everything that it went through when it came: who may send as whom is asked with the rights
of the present, signatures are judged and keys are chosen by what is true at the time of release. What was known of its
signatures before it came is all that is told as it was then: by now it has been seen itself.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from gateway.config.model import ListenerKind
from gateway.core.address import Mailbox
from gateway.core.errors import ServiceError
from gateway.core.queue import Kind, Origin
from gateway.core.received import Arrival, Client, Relayed, Standing, Submission, Submitter
from gateway.mime.fields import DEFAULT_LIMITS, author_of, read_header
from gateway.mime.trace import trace_field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gateway.core.message import Message
    from gateway.core.queue import Entry
    from gateway.mime.fields import Field
    from gateway.ports import Accounts
    from gateway.service.intake import Door

SUSPENDED: Final = "suspended"
"""What `KeyCatalog.unfit` says of a key that an administrator stopped, perhaps for an hour."""
_BELOW_TRACE: Final = replace(
    DEFAULT_LIMITS, header_octets=DEFAULT_LIMITS.header_octets + 2048, fields=DEFAULT_LIMITS.fields + 1
)
"""What a message may hold that came within the limits and has had our trace field on it since."""
_UNKNOWN: Final = "0.0.0.0"  # noqa: S104 - an address that nobody has, not one that is listened on


class ListenerGoneError(Exception):
    """The listener that a message came by is not in the settings any more: nobody can say whose it is."""


def origin_of(received: Submission | Relayed) -> Origin:
    """Return what is noted of where a message came from."""
    login = received.submitter.name if isinstance(received, Submission) else ""
    return Origin(received.arrival.client.listener, login, received.arrival.client.address)


def stays_held(again: Kind | None, reason: str) -> bool:
    """Return whether a message that cannot be signed for this reason is kept although its rule says "refuse".

    One that an administrator let go is theirs to see again; and a key that is suspended may be resumed.
    """
    return again is Kind.RELEASED or (again is Kind.TO_SIGN and reason == SUSPENDED)


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry on its way into the journey again, for the recipients it has not reached."""

    entry: Entry
    now: datetime
    hostname: str

    def submission(self, doors: Mapping[str, Door], accounts: Accounts) -> Submission:
        """Return it as a submission; raises `ListenerGoneError`."""
        return Submission(self._arrival(), self._submitter(doors, accounts), self.entry.consignment.kind)

    def relayed(self) -> Relayed:
        """Return it as it would come from another mail system."""
        consignment = self.entry.consignment
        return Relayed(self._arrival(), consignment.kind, consignment.recollection)

    @property
    def trace(self) -> bytes:
        """Our trace field, which says when it came; nothing where the message has it."""
        if self.has_trace:
            return b""
        arrival = replace(self._arrival(), at=self.entry.received_at)
        if self.entry.consignment.origin is None:
            date = format_datetime(self.entry.received_at)
            field = f"Received: by {self.hostname} with ESMTP\r\n\tid {arrival.trace_id};\r\n\t{date}\r\n"
            return field.encode("ascii", "replace")
        return trace_field(arrival, self.hostname)

    @property
    def has_trace(self) -> bool:
        """True if it was kept after our trace field was put on it."""
        return self._own_trace() is not None

    def _own_trace(self) -> Field | None:
        """Return our trace field, where the message has it."""
        field = read_header(self.entry.consignment.message, limits=_BELOW_TRACE).first("received")
        words = field.value.split() if field is not None else []
        wanted = (b"by", self.hostname.encode()), (b"id", self.entry.consignment.trace_id.encode())
        pairs = {(first, second.rstrip(b";")) for first, second in itertools.pairwise(words)}
        return field if pairs.issuperset(wanted) else None

    def parted(self) -> tuple[bytes, Message]:
        """Return our trace field and the message below it: rules see what came, as they did when it came."""
        message, field = self.entry.consignment.message, self._own_trace()
        if field is None:
            return self.trace, message
        if field.start:
            return b"", message
        return field.raw, message.slice(field.stop, len(message))

    def _arrival(self) -> Arrival:
        consignment = self.entry.consignment
        origin = consignment.origin or Origin("", "", _UNKNOWN)
        client = Client(origin.listener, origin.client, greeted_as="", protocol="ESMTP")
        envelope = consignment.envelope.only(self.entry.open_indexes)
        return Arrival(consignment.trace_id, self.now, client, envelope, consignment.message)

    def _submitter(self, doors: Mapping[str, Door], accounts: Accounts) -> Submitter:
        """Return who answers for it with the rights of today; what is older than origins was checked when it came."""
        origin = self.entry.consignment.origin
        if origin is None:
            return Submitter("", self._own_authors())
        door = doors.get(origin.listener)
        if door is None:
            raise ListenerGoneError(origin.listener)
        if door.kind is ListenerKind.SUBMISSION:
            try:
                return Submitter(origin.login, accounts.authors(origin.login))
            except ServiceError:
                return Submitter(origin.login, frozenset(), Standing.RIGHTS_UNKNOWN)
        named = (each.submitter for each in door.sources if each.submitter.name == origin.login)
        unlisted = Submitter(origin.login, frozenset(), Standing.UNLISTED)
        return next(named, None) or door.listed(self._arrival().client) or unlisted

    def _own_authors(self) -> frozenset[str]:
        """Return the mailboxes that the message itself names as author and sender."""
        consignment = self.entry.consignment
        author = author_of(read_header(consignment.message))
        path = consignment.envelope.reverse_path
        return frozenset(each.key for each in (author, path) if isinstance(each, Mailbox))

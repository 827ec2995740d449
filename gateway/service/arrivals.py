"""What both halves of the journey need to know about an arrival: its parsed form, its facts, its routes.

Parsing happens once per message, here; nothing else of the message reaches a policy than the facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.message import Edit, Message
from gateway.core.received import Submission
from gateway.mime.entity import Entity, parse
from gateway.mime.fields import decode_text
from gateway.mime.trace import trace_field
from gateway.policy.model import Facts
from gateway.smime.classify import Form, form_of, traits_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.address import Mailbox
    from gateway.core.envelope import Envelope
    from gateway.core.received import Arrival, Received
    from gateway.core.verdict import Judgment
    from gateway.mime.fields import Header

MAX_RECEIVED: Final = 50
"""Trace fields after which a message counts as looping (RFC 5321 6.3)."""
MAX_OWN_TRACES: Final = 2


@dataclass(frozen=True, slots=True)
class Opened:
    """An arrival's message without any forged mark, with its header and part tree."""

    message: Message
    entity: Entity
    form: Form

    @property
    def header(self) -> Header:
        """The message's header section."""
        return self.entity.header


def open_arrival(message: Message) -> Opened:
    """Parse; raises `MimeError` over a limit."""
    entity = parse(message)
    return Opened(message, entity, form_of(message, entity))


def loops(header: Header, hostname: str) -> bool:
    """True if the message went through too many systems, or through this one too often (RFC 5321 6.3)."""
    traces = header.all("received")
    ours = f"by {hostname} ".encode()
    own = sum(1 for each in traces if ours in b" ".join(each.value.split()).lower() + b" ")
    return len(traces) > MAX_RECEIVED or own > MAX_OWN_TRACES


def with_trace(message: Message, arrival: Arrival, hostname: str) -> Message:
    """Return the message with our trace field above everything else (RFC 5321 4.4)."""
    return message.splice((Edit(0, 0, trace_field(arrival, hostname)),))


def has_eight_bit(opened: Opened) -> bool:
    """True if a header field holds octets above 127."""
    return not all(field.raw.isascii() for field in opened.header.fields)


def facts_of(received: Received, opened: Opened, author: Mailbox | None, judgment: Judgment | None = None) -> Facts:
    """Return all that a policy may see of a message."""
    arrival = received.arrival
    subject = opened.header.first("subject")
    return Facts.of(
        author=author,
        login=received.submitter.name if isinstance(received, Submission) else None,
        listener=arrival.client.listener,
        reverse_path=arrival.envelope.reverse_path,
        form=opened.form,
        traits=traits_of(opened.message, opened.entity),
        subject=decode_text(subject.value) if subject is not None else "",
        size=len(opened.message),
        judgment=judgment,
    )


def by_hop(envelope: Envelope, route: Callable[[Mailbox], str | None]) -> tuple[tuple[str, Envelope], ...] | None:
    """Group an envelope's recipients by next hop, in order of first appearance; None where one has no route."""
    groups: dict[str, list[int]] = {}
    for index, recipient in enumerate(envelope.recipients):
        hop = route(recipient.mailbox)
        if hop is None:
            return None
        groups.setdefault(hop, []).append(index)
    return tuple((hop, envelope.only(indexes)) for hop, indexes in groups.items())

"""What both halves of the journey need to know about an arrival: its parsed form, its facts, its routes.

Parsing happens once per message, here; nothing else of the message reaches a policy than the facts.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gateway.core.address import NullPath
from gateway.core.boundary import NOTHING_SAID
from gateway.core.contents import NOTHING
from gateway.core.events import Event, Stage
from gateway.core.message import Message
from gateway.core.octets import WINDOW
from gateway.core.received import Submission
from gateway.mime.entity import Entity, parse
from gateway.mime.fields import decode_text, read_header
from gateway.mime.transfer import downgrade_header
from gateway.policy.model import Facts
from gateway.service.wishes import read_wish
from gateway.smime.classify import Form, form_of, traits_of
from gateway.smime.contents import read_through

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config.wishes import WishSettings
    from gateway.core.address import Mailbox
    from gateway.core.boundary import BoundaryResults
    from gateway.core.contents import Contents, Wish
    from gateway.core.decision import Share
    from gateway.core.envelope import Envelope
    from gateway.core.events import Fact
    from gateway.core.received import Received
    from gateway.core.verdict import Judgment
    from gateway.mime.fields import Header
    from gateway.policy.model import Policy
    from gateway.ports import NextHops, Recorder, Routes

MAX_RECEIVED: Final = 50
"""Trace fields after which a message counts as looping (RFC 5321 6.3)."""
MAX_OWN_TRACES: Final = 2


@dataclass(frozen=True, slots=True)
class Opened:
    """An arrival's message without any forged mark, with its header and part tree."""

    message: Message
    entity: Entity
    form: Form
    trace: bytes = b""
    """Our trace field, where it still has to stand above everything that came (RFC 5321 4.4)."""
    asked: Message | None = None
    """The same with the sender's wish still in it, where there was one."""

    @property
    def kept(self) -> Message:
        """What is kept when it has to wait, below our trace field: its next journey reads the wish again."""
        return Message.join((self.trace, self.asked if self.asked is not None else self.message))

    @property
    def header(self) -> Header:
        """The message's header section."""
        return self.entity.header


def open_arrival(message: Message, trace: bytes = b"", *, header: Header | None = None) -> Opened:
    """Parse; raises `MimeError` over a limit. `trace` is our field, if it still has to be put on.

    `header` is the message's, where it has been read.
    """
    entity = parse(message, header=header)
    return Opened(message, entity, form_of(message, entity), trace)


def without_wish(opened: Opened, words: WishSettings | None) -> tuple[Wish | None, Opened]:
    """Return what the sender asks for, and the message without it; only for those whose standing was checked."""
    wish, edits = read_wish(opened.header, words) if words is not None else (None, ())
    if not edits:
        return wish, opened
    return wish, replace(open_arrival(opened.message.splice(edits), opened.trace), asked=opened.message)


def loops(header: Header, hostname: str) -> bool:
    """True if the message went through too many systems, or through this one too often (RFC 5321 6.3)."""
    traces = header.all("received")
    if len(traces) <= MAX_OWN_TRACES:
        return False
    ours = f"by {hostname} ".encode()
    own = sum(1 for each in traces if ours in b" ".join(each.value.split()).lower() + b" ")
    return len(traces) > MAX_RECEIVED or own > MAX_OWN_TRACES


def has_eight_bit(header: Header) -> bool:
    """True if a header field holds octets above 127."""
    return False in [field.raw.isascii() for field in header.fields]


async def fitted(hops: NextHops, name: str, message: Message, envelope: Envelope) -> tuple[Message, Envelope] | None:
    """Return message and envelope as a hop can take them; None where a non-ASCII address cannot travel (RFC 6531 3.2).

    SMTPUTF8 is asked of the hop only where something needs it. A header that does is encoded for a hop that does not
    offer it, or cannot be asked now.
    """
    if not envelope.smtputf8:
        return message, envelope
    header = read_header(message)
    ascii_paths = (isinstance(envelope.reverse_path, NullPath) or envelope.reverse_path.ascii) and all(
        each.mailbox.ascii for each in envelope.recipients
    )
    if has_eight_bit(header) or not ascii_paths:
        limits = await hops.by_name(name).known_limits()
        if limits is not None and limits.smtputf8:
            return message, envelope
        encoded = downgrade_header(message, header) if ascii_paths else None
        if encoded is None:
            return None if limits is not None else (message, envelope)
        message = encoded
    return message, replace(envelope, smtputf8=False)


async def facts_of(
    policy: Policy,
    received: Received,
    opened: Opened,
    author: Mailbox | None,
    *,
    wish: Wish | None = None,
    judgment: Judgment | None = None,
    boundary: BoundaryResults = NOTHING_SAID,
) -> Facts:
    """Return all that this policy may see of a message; what no rule asks for is not read.

    Large messages are read in a thread, so that looking into them does not stop other sessions.
    """
    arrival = received.arrival
    subject = opened.header.first("subject")
    asked = {name: tuple(decode_text(each.value) for each in opened.header.all(name)) for name in policy.asks_fields}
    return Facts.of(
        author=author,
        login=received.submitter.name if isinstance(received, Submission) else None,
        listener=arrival.client.listener,
        reverse_path=arrival.envelope.reverse_path,
        form=opened.form,
        traits=traits_of(opened.message, opened.entity),
        subject=decode_text(subject.value) if subject is not None else "",
        size=len(opened.message),
        at=arrival.at,
        judgment=judgment,
        boundary=boundary,
        directory=policy.directory,
        contents=await _contents(opened) if policy.asks_contents else NOTHING,
        wish=wish,
        fields=asked,
    )


async def _contents(opened: Opened) -> Contents:
    if len(opened.message) > WINDOW:
        return await asyncio.to_thread(read_through, opened.message, opened.entity)
    return read_through(opened.message, opened.entity)


def record_facts(recorder: Recorder, trace_id: str, facts: Facts) -> None:
    """Leave an event of what policy was given to see; the subject is content and stays out."""
    seen: dict[str, Fact] = {
        "author": str(facts.author) if facts.author is not None else None,
        "form": facts.form,
        "traits": tuple(sorted(facts.traits)),
    }
    if facts.wish is not None:
        seen["wish"] = facts.wish.value
    recorder.record(Event(Stage.CLASSIFIED, trace_id, seen))


def record_rulings(recorder: Recorder, trace_id: str, shares: Sequence[Share[object]]) -> None:
    """Leave an event for each ruling: which rule of which policy decided what, for how many recipients."""
    for share in shares:
        ruling = share.ruling
        facts: dict[str, Fact] = {
            "rule": ruling.rule,
            "policy": ruling.policy_digest,
            "decision": type(ruling.decision).__name__,
            "recipients": len(share.indexes),
        }
        recorder.record(Event(Stage.RULED, trace_id, facts, share))


def way_of(routes: Routes, usual: Callable[[Mailbox], str | None], hop: str | None) -> Callable[[Mailbox], str | None]:
    """Return how recipients find their next hop: as usual, or the one that a rule names."""
    return usual if hop is None else lambda mailbox: routes.through(hop, mailbox)


def by_hop(envelope: Envelope, route: Callable[[Mailbox], str | None]) -> tuple[tuple[str, Envelope], ...] | None:
    """Group an envelope's recipients by next hop, in order of first appearance; None where one has no route."""
    groups: dict[str, list[int]] = {}
    for index, recipient in enumerate(envelope.recipients):
        hop = route(recipient.mailbox)
        if hop is None:
            return None
        groups.setdefault(hop, []).append(index)
    return tuple([(hop, envelope.only(indexes)) for hop, indexes in groups.items()])

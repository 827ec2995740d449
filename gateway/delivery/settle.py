"""What an attempt means: from an entry and the attempt's replies to the entry's new state and the notices owed.

Pure: the present, the randomness and ids are arguments. No recipient is ever lost: each stays open, was accepted by a
next hop, or has failed, and of what failed the sender is told or the message is kept (`handover.md` rows 14-16).
Nobody is ever told by mail whose address nobody answers for: that mail would hit whoever was forged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Direction, Envelope, Notify, Recipient
from gateway.core.events import Event, Stage
from gateway.core.queue import Consignment, Entry, Kind, RecipientState
from gateway.delivery.schedule import expiry, interval, next_attempt, warns
from gateway.mime.report import Action, Outcome, Report, delivery_report, without_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from gateway.config.model import SpoolSettings
    from gateway.core.events import Fact
    from gateway.core.message import Message
    from gateway.core.reply import Reply
    from gateway.delivery.ages import Ages
    from gateway.ports import Routes

_EXPIRED: Final = "4.4.7"
_DELAYED: Final = "4.4.1"
_CONTENT: Final = re.compile(r"5\.6\.|5\.3\.4\Z|5\.2\.3\Z")
"""Statuses of refusals that are about the content of a message, or its size (RFC 3463)."""


class Attempt(NamedTuple):
    """What one attempt came to. Indexes are those of the entry's envelope."""

    replies: Mapping[int, Reply]
    """The answers that decide; a recipient that was tried and is not here got none."""
    trouble: str | None = None
    """Why some got none, for the log."""
    unanswered: frozenset[int] = frozenset()
    """Recipients for which a dot is out that was not answered and never will be."""
    reports_success: bool = False
    """The hop took over the sender's wish to be told of success (it offers DSN)."""
    remote: str = ""
    """Name of the hop whose replies these are; "" if they are our own."""
    final: bool = False
    """The hop is the mailbox (LMTP, Maildir): what it takes is delivered, not passed on."""
    tried: bool = True
    """False if nobody asked the hop: it does not count as an attempt."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What settling needs to know of this gateway."""

    settings: SpoolSettings
    hostname: str
    route: Callable[[Mailbox], str | None]
    """Which hop carries a notice to a sender."""
    believed: Callable[[datetime], bool] = lambda _: True
    """Whether the age of what came then has consequences (`ages`)."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What makes one settlement differ from another: the present, jitter in [0, 1), and a fresh id."""

    now: datetime
    jitter: float
    token: str


@dataclass(frozen=True, slots=True)
class Settled:
    """The entry as it is from now on, what to send with it, and what to record once both are stored."""

    entry: Entry
    notices: tuple[Entry, ...]
    events: tuple[Event, ...]


def terms_of(settings: SpoolSettings, hostname: str, routes: Routes, ages: Ages | None) -> Terms:
    """Return the terms of one process; without `ages` the clock is believed."""
    terms = Terms(settings, hostname, lambda mailbox: routes.inbound(mailbox) or routes.outbound(mailbox))
    return terms if ages is None else replace(terms, believed=ages.believed)


def accepted(reply: Reply) -> bool:
    """True if the hop has taken over; a 3xx out of place has not."""
    return 200 <= reply.code < 300  # noqa: PLR2004 - RFC 5321 4.2.1


def new_entry(consignment: Consignment, entry_id: str, settings: SpoolSettings, now: datetime) -> Entry:
    """Return a consignment as an entry that nobody has tried yet, due at once."""
    states = (RecipientState.READY,) * len(consignment.envelope.recipients)
    return Entry(entry_id, consignment, states, now, now, expiry(settings, now), last_replies=(None,) * len(states))


def owes_success(consignment: Consignment, indexes: Iterable[int], *, hop_reports: bool) -> bool:
    """True if we would have to tell the sender that one of these was relayed (RFC 3461 5.2.2; row 14)."""
    return not hop_reports and any(_owed(consignment, index, Action.RELAYED) for index in indexes)


def settle(entry: Entry, attempt: Attempt, moment: Moment, terms: Terms) -> Settled:
    """Return what the attempt on the entry's open recipients makes of it."""
    ages = terms.believed(entry.received_at)
    states = _states(entry, attempt, expired=ages and moment.now >= entry.expires_at)
    replies = tuple(
        attempt.replies.get(index, before)
        for index, before in enumerate(entry.last_replies or (None,) * len(entry.states))
    )
    attempts = entry.attempts + attempt.tried
    is_open = RecipientState.READY in states
    pause = interval(terms.settings, attempts if attempt.tried else 1, moment.jitter)
    at = next_attempt(entry, pause, moment.now) if ages else moment.now + pause
    changed = replace(
        entry,
        states=states,
        attempts=attempts,
        next_attempt_at=at if is_open else entry.next_attempt_at,
        dot_sent=is_open and (entry.dot_sent or bool(attempt.unanswered)),
        last_replies=replies,
    )
    if is_open and ages and warns(terms.settings, entry, at):
        changed = replace(changed, warned_at=moment.now)
    outcomes = _outcomes(entry, changed, attempt)
    notices = _notices(changed, outcomes, moment, terms) or _lighter(changed, moment, terms)
    changed = _kept_if_owed(changed, terms)
    return Settled(changed, notices, _events(entry, changed, attempt, notices))


def given_back(entry: Entry, reply: Reply, moment: Moment, terms: Terms) -> Settled | None:
    """Return what ends an entry of any kind by a permanent reply of ours; None if nobody can be told of it by mail.

    It is for whom it has not reached; of a kept entry those that failed as well: their sender knows nothing yet.
    """
    left = {RecipientState.READY}
    if entry.consignment.kind in {Kind.HELD, Kind.QUARANTINED}:
        left.add(RecipientState.FAILED)
    states = tuple(RecipientState.READY if each in left else each for each in entry.states)
    again = replace(entry, states=states, consignment=replace(entry.consignment, kind=Kind.DELIVER))
    attempt = Attempt(dict.fromkeys(again.open_indexes, reply), tried=False)
    settled = settle(again, attempt, moment, terms)
    return settled if settled.notices else None


def _states(entry: Entry, attempt: Attempt, *, expired: bool) -> tuple[RecipientState, ...]:
    states = list(entry.states)
    for index in entry.open_indexes:
        reply = attempt.replies.get(index)
        if reply is not None and accepted(reply):
            states[index] = RecipientState.SENT
        elif (reply is not None and reply.permanent) or expired:
            states[index] = RecipientState.FAILED
    return tuple(states)


def _outcomes(before: Entry, after: Entry, attempt: Attempt) -> tuple[Outcome, ...]:
    """Return what the sender is owed about each recipient this attempt was for (row 15: one notice per attempt)."""
    consignment = before.consignment
    late = before.warned_at is None and after.warned_at is not None
    found: list[Outcome] = []
    for index in before.open_indexes:
        last = after.last_replies[index]
        # what was said in an earlier attempt was said by the hop
        remote = attempt.remote if index in attempt.replies else consignment.hop
        match after.states[index]:
            case RecipientState.SENT:
                action, status = Action.DELIVERED if attempt.final else Action.RELAYED, "2.0.0"
                if attempt.reports_success:
                    continue
            case RecipientState.FAILED:
                permanent = last is not None and last.permanent
                action, status = Action.FAILED, _status(last, "5.0.0") if permanent else _EXPIRED
            case RecipientState.READY:
                action, status = Action.DELAYED, _status(last, _DELAYED)
                if not late:
                    continue
        if _owed(consignment, index, action):
            found.append(Outcome(consignment.envelope.recipients[index], action, status, last, remote))
    return tuple(found)


def _status(reply: Reply | None, without: str) -> str:
    if reply is None or reply.positive:
        return without
    return reply.status or f"{reply.code // 100}.0.0"


def _owed(consignment: Consignment, index: int, action: Action) -> bool:
    """True if the sender is to be told (RFC 3461 4.1); never one that nobody answers for, never the null path."""
    if not consignment.answered_for or not isinstance(consignment.envelope.reverse_path, Mailbox):
        return False
    recipient = consignment.envelope.recipients[index]
    match action:
        case Action.FAILED:
            return recipient.wants_failure
        case Action.RELAYED | Action.DELIVERED:
            return recipient.wants_success
        case Action.DELAYED:
            return recipient.notify is None or Notify.DELAY in recipient.notify


def _notices(entry: Entry, outcomes: tuple[Outcome, ...], moment: Moment, terms: Terms) -> tuple[Entry, ...]:
    """Return the one notice about all outcomes as an entry of its own, or none."""
    consignment = entry.consignment
    sender = consignment.envelope.reverse_path
    if not outcomes or not isinstance(sender, Mailbox):
        return ()
    hop = terms.route(sender)
    if hop is None:
        return ()
    report = Report(
        to=sender,
        hostname=terms.hostname,
        arrived_at=entry.received_at,
        now=moment.now,
        retry_until=entry.expires_at,
        token=moment.token,
        envid=consignment.envelope.envid,
        ret=consignment.envelope.ret,
        message=consignment.message,
        outcomes=outcomes,
    )
    message, about = delivery_report(report), f"notice {report.action}"
    consigned = notice(sender, hop, message, trace_id=consignment.trace_id, reason=about)
    return (new_entry(consigned, moment.token, terms.settings, moment.now),)


def notice(to: Mailbox, hop: str, message: Message, *, trace_id: str, reason: str) -> Consignment:
    """Return a message of our own: from the null reverse-path, and nobody is told if it fails."""
    eight_bit = not all(window.isascii() for window in message.windows())
    envelope = Envelope(NULL_PATH, (Recipient(to, frozenset[Notify]()),), eight_bit=eight_bit, smtputf8=not to.ascii)
    return Consignment(
        Kind.DELIVER, hop, envelope, message, Direction.OUTBOUND, trace_id, answered_for=True, reason=reason
    )


def _lighter(entry: Entry, moment: Moment, terms: Terms) -> tuple[Entry, ...]:
    """Return a report of ours that was refused for the message it returns, with that one's header only; or none."""
    consignment = entry.consignment
    if not consignment.reason.startswith("notice ") or not any(map(_is_too_much, entry.states, entry.last_replies)):
        return ()
    message = without_content(consignment.message)
    if message is None:
        return ()
    to = consignment.envelope.recipients[0].mailbox
    again = notice(to, consignment.hop, message, trace_id=consignment.trace_id, reason=consignment.reason)
    return (new_entry(again, moment.token, terms.settings, moment.now),)


def _is_too_much(state: RecipientState, reply: Reply | None) -> bool:
    """Return whether a recipient was lost for what the message holds, or how long it is."""
    status = reply.status if reply is not None and reply.permanent else None
    return state is RecipientState.FAILED and status is not None and _CONTENT.match(status) is not None


def _kept_if_owed(entry: Entry, terms: Terms) -> Entry:
    """Return the entry, quarantined if it is done and something failed of which nobody can be told by mail."""
    consignment = entry.consignment
    sender = consignment.envelope.reverse_path
    failed = [index for index, state in enumerate(entry.states) if state is RecipientState.FAILED]
    if not failed or entry.open_indexes:
        return entry
    no_way = (
        isinstance(sender, Mailbox)
        and any(_owed(consignment, index, Action.FAILED) for index in failed)
        and terms.route(sender) is None
    )
    if consignment.answered_for and not no_way:
        return entry
    last = next((str(reply) for index in failed if (reply := entry.last_replies[index]) is not None), "no answer")
    return replace(
        entry, consignment=replace(consignment, kind=Kind.QUARANTINED, hop="", reason=f"undeliverable {last}")
    )


def _events(before: Entry, after: Entry, attempt: Attempt, notices: tuple[Entry, ...]) -> tuple[Event, ...]:
    """Return what to record, without names of recipients: those are in the first event of the trace."""
    events: list[Event] = []
    trace_id = before.consignment.trace_id
    for stage, state in (
        (Stage.DELIVERED, RecipientState.SENT),
        (Stage.FAILED, RecipientState.FAILED),
        (Stage.DEFERRED, RecipientState.READY),
    ):
        indexes = [index for index in before.open_indexes if after.states[index] is state]
        if not indexes:
            continue
        last = next((reply for index in indexes if (reply := attempt.replies.get(index)) is not None), None)
        facts: dict[str, Fact] = {
            "entry": before.entry_id,
            "hop": before.consignment.hop,
            "recipients": len(indexes),
            "attempts": after.attempts,
            "code": last.code if last is not None else None,
            "status": last.status if last is not None else None,
            "text": last.text if last is not None else attempt.trouble,
        }
        if stage is Stage.DELIVERED:
            facts["after_unanswered_dot"] = before.dot_sent
        if stage is Stage.DEFERRED:
            facts |= {
                "possible_duplicate": len(attempt.unanswered),
                "next_attempt_at": after.next_attempt_at.isoformat(),
            }
        events.append(Event(stage, trace_id, facts))
    events += [
        Event(Stage.NOTIFIED, trace_id, {"entry": each.entry_id, "what": each.consignment.reason}) for each in notices
    ]
    if after.consignment.kind is Kind.QUARANTINED:
        events.append(Event(Stage.QUARANTINED, trace_id, {"entry": after.entry_id, "reason": after.consignment.reason}))
    return tuple(events)

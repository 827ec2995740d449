"""What became of a letter in a dry run, in data and in words: reply, rulings with their trace, keys, octets.

Everything is read off the rulings and the octets that the journey made. Nothing is decided or guessed here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.decision import Sign
from gateway.core.events import Stage
from gateway.mime.fields import MimeError, decode_text, read_header
from gateway.pki.path import Revocation, TrustAnchors
from gateway.policy.describe import describe
from gateway.service.arrivals import open_arrival
from gateway.smime.verify import verify

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.cli.dry import Outcome
    from gateway.core.decision import InboundDecision, OutboundDecision, Share
    from gateway.core.message import Message
    from gateway.core.queue import Consignment, Kind
    from gateway.ports import KeyCatalog, SigningKey

_MOST_SHOWN: Final = 500
"""Characters of one added field."""
_SIGNED: Final = frozenset({"clear_signed", "opaque_signed"})


@dataclass(frozen=True, slots=True)
class SignedBy:
    """Whose signature stands in the octets; `key` is ours, where it is one of ours."""

    subject: str
    fingerprint: str
    addresses: tuple[str, ...]
    key: SigningKey | None


@dataclass(frozen=True, slots=True)
class Part:
    """One octet string that would be sent to one next hop, or kept."""

    kind: Kind
    hop: str
    recipients: tuple[str, ...]
    octets: int
    form: str
    """Of `policy.model.FORMS`, as the octets have it."""
    signers: tuple[SignedBy, ...]
    added: tuple[tuple[str, str], ...]
    """Header fields that the client did not write: name, text."""
    missing: tuple[str, ...]
    """Names of header fields that the client wrote and that do not stand in the header any more."""
    reason: str
    message: Message


@dataclass(frozen=True, slots=True)
class Group:
    """The recipients that one ruling speaks for."""

    share: Share[OutboundDecision | InboundDecision]
    recipients: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def key(self) -> SigningKey | None:
        """The key of ours whose signature all its parts bear."""
        found = {id(each.key): each.key for part in self.parts for each in part.signers if each.key is not None}
        return next(iter(found.values())) if len(found) == 1 else None

    @property
    def wants_key(self) -> bool:
        """True if its ruling is to sign."""
        return isinstance(self.share.ruling.decision, Sign)


@dataclass(frozen=True, slots=True)
class Explanation:
    """All of it."""

    outcome: Outcome
    groups: tuple[Group, ...]
    notices: tuple[Part, ...]
    """Mail of ours to the sender."""

    @property
    def unable(self) -> tuple[str, ...]:
        """Stable codes of why a signature that a ruling wants was not possible."""
        facts = self.outcome.facts(Stage.SIGNED)
        return tuple(dict.fromkeys(str(each["reason"]) for each in facts if each.get("done") is False))


def explained(outcome: Outcome, *, catalog: KeyCatalog, labels: Sequence[str], at: dt.datetime) -> Explanation:
    """Return the explanation; `labels` are those of all our keys, `at` (aware) is the moment that was tried."""
    keys = {key.certificate.fingerprint: key for label in labels if (key := catalog.by_label(label)) is not None}
    arrival = outcome.arrival
    if arrival is None:
        return Explanation(outcome, (), ())
    seen = [(each, outcome.recipients_of(each)) for each in outcome.consignments]
    groups = []
    for share in outcome.shares:
        of_share = [each for each, indexes in seen if indexes and set(indexes) <= set(share.indexes)]
        parts = tuple(_part(each, arrival.message, keys, at) for each in of_share)
        groups.append(Group(share, tuple(str(arrival.envelope.recipients[i].mailbox) for i in share.indexes), parts))
    notices = tuple(_part(each, None, keys, at) for each, indexes in seen if not indexes)
    return Explanation(outcome, tuple(groups), notices)


def _part(consignment: Consignment, original: Message | None, keys: Mapping[str, SigningKey], at: dt.datetime) -> Part:
    message = consignment.message
    form = _form(message)
    added, missing = _changes(original, message) if original is not None else ((), ())
    return Part(
        consignment.kind,
        consignment.hop,
        tuple(str(each.mailbox) for each in consignment.envelope.recipients),
        len(message),
        form,
        tuple(_signers(message, keys, at)) if form in _SIGNED else (),
        added,
        missing,
        consignment.reason,
        message,
    )


def _form(message: Message) -> str:
    try:
        return str(open_arrival(message).form)
    except MimeError:
        return "unreadable"


def _signers(message: Message, keys: Mapping[str, SigningKey], at: dt.datetime) -> Iterator[SignedBy]:
    """Yield who signed, as the octets say; whether anybody trusts them is not asked here."""
    judgment = verify(
        message,
        trust=TrustAnchors((), (), ()),
        revocation=Revocation.OFF,
        at=at,
        untrusted=(),
        crls=(),
    )
    for each in judgment.verdict.signers:
        yield SignedBy(each.subject, each.fingerprint, each.addresses, keys.get(each.fingerprint))


def _changes(original: Message, message: Message) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Return the header fields that were added, and the names of those that are gone."""
    try:
        before, after = read_header(original).fields, read_header(message).fields
    except MimeError:
        return (), ()
    old, new = Counter(each.raw for each in before), Counter(each.raw for each in after)
    added = [each for each in after if new[each.raw] > old[each.raw]]
    kept = {each.key for each in after}
    texts = ((each.name, " ".join(decode_text(each.value).split())[:_MOST_SHOWN]) for each in added)
    return tuple(texts), tuple(dict.fromkeys(each.name for each in before if each.key not in kept))


def as_object(explanation: Explanation) -> dict[str, object]:
    """Return the JSON object."""
    outcome = explanation.outcome
    reply = outcome.reply
    return {
        "reply": {"code": reply.code, "status": reply.status, "text": reply.text},
        "policy": outcome.shares[0].ruling.policy_digest if outcome.shares else None,
        "authorized": next(iter(outcome.facts(Stage.AUTHORIZED)), None),
        "classified": next(iter(outcome.facts(Stage.CLASSIFIED)), None),
        "verified": next(iter(outcome.facts(Stage.VERIFIED)), None),
        "unable": list(explanation.unable),
        "signed": list(outcome.facts(Stage.SIGNED)),
        "groups": [_group_object(each) for each in explanation.groups],
        "notices": [_part_object(each) for each in explanation.notices],
    }


def _group_object(group: Group) -> dict[str, object]:
    ruling = group.share.ruling
    key = group.key
    return {
        "recipients": list(group.recipients),
        "rule": ruling.rule,
        "decision": describe(ruling.decision),
        "tried": list(ruling.trace),
        "key": {"label": key.label, "kind": key.kind.value} if key is not None else None,
        "parts": [_part_object(each) for each in group.parts],
    }


def _part_object(part: Part) -> dict[str, object]:
    return {
        "kind": part.kind.value,
        "hop": part.hop or None,
        "recipients": list(part.recipients),
        "octets": part.octets,
        "form": part.form,
        "signers": [
            {
                "subject": each.subject,
                "fingerprint": each.fingerprint,
                "addresses": list(each.addresses),
                "key": each.key.label if each.key is not None else None,
            }
            for each in part.signers
        ],
        "added": [{"name": name, "text": text} for name, text in part.added],
        "missing": list(part.missing),
        "reason": part.reason or None,
    }

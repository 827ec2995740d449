"""How a message travels on: fields put above all others, another next hop by name, and no blind copy given away.

What a rule says about the way never reaches what is signed: it is added last, outside. A next hop that nobody knows is
never guessed: nothing is sent then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gateway.core.message import Edit, Message
from gateway.core.reply import Reply
from gateway.mime.fields import encode_text, fold

if TYPE_CHECKING:
    from gateway.core.decision import Carriage
    from gateway.core.envelope import Envelope
    from gateway.mime.fields import Header
    from gateway.ports import NextHops

Ways = tuple[tuple[str, "Envelope"], ...]
"""Names of next hops, each with the recipients it carries."""
UNKNOWN_HOP: Final = Reply.of(
    451, "4.3.5", "Cấu hình có lỗi, xin gửi lại sau / a rule names a next hop that is not configured"
)
_BLIND: Final = frozenset({"bcc", "resent-bcc"})


def whole(ways: Ways) -> Envelope:
    """Return one envelope for all recipients."""
    if len(ways) == 1:
        return ways[0][1]
    return replace(ways[0][1], recipients=tuple(each for _, part in ways for each in part.recipients))


def knows_hop(hops: NextHops, carriage: Carriage) -> bool:
    """Return whether the hop that a rule names exists; True where it names none."""
    if carriage.hop is None:
        return True
    try:
        hops.by_name(carriage.hop)
    except KeyError:
        return False
    return True


def with_fields(message: Message, carriage: Carriage) -> Message:
    """Return the message with the rule's fields above all others, in their order, encoded and folded.

    Raises `ValueError` for what would not be one field: whoever read the policy has refused that long before.
    """
    if not carriage.add_fields:
        return message
    fields = b"".join(fold(name, encode_text(text)) for name, text in carriage.add_fields)
    return message.splice((Edit(0, 0, fields),))


def without_blind_copies(message: Message, header: Header) -> Message:
    """Return the message without Bcc (RFC 5322 3.6.3); the same object where there is none."""
    edits = [Edit(each.start, each.stop, b"") for each in header.fields if each.key in _BLIND]
    return message.splice(edits) if edits else message

"""What a message shows of who sent it, for the look at imitations: From, Sender, Subject, and what stands inside.

Only adds notes to a judgment: a verdict never changes here.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from gateway.agencies.lookalike import MOST_NESTED, Shown, claims
from gateway.core.verdict import Verified, VerifiedLesser
from gateway.mime.fields import MimeError, mailboxes, read_header
from gateway.mime.shown import header_readings
from gateway.smime.remarks import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.agencies.registry import Registry
    from gateway.core.address import Mailbox
    from gateway.core.message import Message
    from gateway.core.verdict import Judgment
    from gateway.mime.entity import Entity
    from gateway.mime.fields import Field, Header

_DEPTH: Final = 4
"""Levels of parts: a message in a multipart in a message, and what that holds."""
_MOST_PARTS: Final = 32
_MOST_FIELDS: Final = 4
"""Fields of one name: readers disagree on which of several they show."""
_MOST_OCTETS: Final = 8192
"""Of a field that is decoded."""
_REPLY_OCTETS: Final = 2048
_INNER: Final = ("from", "subject", "x-verified-sender")


def header_as_it_came(message: Message, clean: Header) -> Header:
    """Return the header of a message before forged marks were taken off; `clean` is the one without them."""
    try:
        return read_header(message)
    except MimeError:
        return clean


def suspected(judgment: Judgment, header: Header, entity: Entity, registry: Registry) -> Judgment:
    """Return the judgment with a note for each imitation; `entity` is the message's part tree without forged marks.

    `header` is the one that came: a forged mark that was taken off is still worth a note.
    """
    vouched = partial(_vouched, judgment, registry)
    found = claims(shown(judgment.author, header, entity), registry, vouched=vouched)
    sender = _sender(header)
    if sender is not None:
        noted = {each.code for each in found}
        found += tuple(each for each in claims(sender, registry, vouched=vouched) if each.code not in noted)
    return replace(judgment, notes=in_order((*judgment.notes, *found))) if found else judgment


def shown(author: Mailbox | None, header: Header, entity: Entity) -> Shown:
    """Return what readers see; `author` is None where no single one can be told."""
    return Shown(
        display_name=_without(author, _texts(header, "from")),
        author=author,
        subject=_texts(header, "subject"),
        replies_to=tuple(_replies(header)),
        nested=tuple(islice(_nested(entity, _DEPTH, [_MOST_PARTS]), MOST_NESTED)),
    )


def _sender(header: Header) -> Shown | None:
    """Return what readers see of Sender, who some of them show in front of the author ("on behalf of").

    Its mailbox may be the author's own, and the name in front of it somebody else's.
    """
    fields = header.all("sender")
    text = _texts(header, "sender") if fields else ""
    if not text:
        return None
    try:
        found = tuple(each.mailbox for each in mailboxes(fields[0].value[:_MOST_OCTETS]))
    except MimeError:
        found = ()
    mailbox = found[0] if len(found) == 1 and len(fields) == 1 else None
    return Shown(display_name=_without(mailbox, text), author=mailbox, subject="")


def _vouched(judgment: Judgment, registry: Registry) -> frozenset[str]:
    """Return the ids of the agencies whose good signature the message bears."""
    match judgment.verdict:
        case Verified() | VerifiedLesser():
            agencies = [registry.agency_of(each) for each in judgment.verdict.signers]
            return frozenset([each.id for each in agencies if each is not None])
        case _:
            return frozenset()


def _texts(header: Header, name: str) -> str:
    return " | ".join([text for each in header.all(name)[:_MOST_FIELDS] for text in _readings(each)])


def _readings(field: Field) -> Iterator[str]:
    """Yield a field as readers show it; raw octets that are no UTF-8 have two readings."""
    return header_readings(field.value[:_MOST_OCTETS])


def _without(author: Mailbox | None, text: str) -> str:
    """Return what stands in From besides the address: display name and comments, as some reader shows either."""
    return text.replace(f"<{author}>", " ").replace(str(author), " ").strip(' "()') if author is not None else text


def _replies(header: Header) -> Iterator[Mailbox]:
    for field in header.all("reply-to")[:_MOST_FIELDS]:
        try:
            yield from (each.mailbox for each in mailboxes(_first(field.value)))
        except MimeError:
            continue


def _first(value: bytes) -> bytes:
    """Return the first mailboxes of a list: of a long one no more is looked at."""
    return value if len(value) <= _REPLY_OCTETS else value[:_REPLY_OCTETS].rpartition(b",")[0]


def _nested(entity: Entity, depth: int, left: list[int]) -> Iterator[str]:
    """Yield what headers of parts say that only messages have, such as those of a message inside."""
    for child in entity.children:
        left[0] -= 1
        if left[0] < 0:
            return
        for name in _INNER:
            field = child.header.first(name)
            if field is not None:
                text = next(_readings(field))
                yield text if name != "x-verified-sender" else f"[verified] {text}"
        if depth > 1 and child.children:
            yield from _nested(child, depth - 1, left)

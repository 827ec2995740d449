"""What readers show of signed octets, and where one of them would show what another never sees (RFC 2046, RFC 8551 3).

A thief signs what he likes. A ciphertext, or a letter by somebody else, must not hide from us in it: its words would be
shown as the thief's, or the thief's as somebody else's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.cms.verify import CmsError, open_signed
from gateway.core.message import Message
from gateway.core.verdict import Encrypted, Partial, Unreadable
from gateway.mime.entity import parse
from gateway.mime.fields import MimeError
from gateway.mime.transfer import decode_body
from gateway.smime.argument import Finding
from gateway.smime.beside import WRAPS, attached
from gateway.smime.classify import CMS_TYPES, Form, form_of, holds_sealed_text, seems_sealed, walk
from gateway.smime.headers import ONE_IS_SHOWN, is_disputed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.mime.entity import Entity

_SEALED: Final = frozenset(
    {Form.ENCRYPTED, Form.PGP_ENCRYPTED, Form.OTHER_ENCRYPTED, Form.COMPRESSED},
)
_ELSEWHERE: Final = frozenset({"message/external-body", "message/partial"})
_MOST_BESIDE: Final = 4
"""Most opaque signatures beside other parts that are looked into: of one layer, and inside one another."""
_HEADER: Final = 256 * 1024
"""Octets in which a header ends, or is refused."""
_AMBIGUOUS: Final = Finding(1, Unreadable, "ambiguous_structure")
_ENCRYPTED: Final = Finding(6, Encrypted, "encrypted_inside")


def read_content(octets: bytes) -> tuple[Message, Entity, tuple[Finding, ...]]:
    """Return the content of a CMS as it is read for structure, and a finding if readers of other line ends see others.

    LF-only content, made by careless signers, is read as readers do. Raises `MimeError` over a limit.
    """
    pairs = octets.count(b"\r\n")
    if pairs == octets.count(b"\n") == octets.count(b"\r"):
        message = Message.of(octets)
        return message, parse(message), ()
    mended = Message.of(octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n"))
    other = parse(mended)
    if not pairs:
        return mended, other, ()
    message = Message.of(octets)
    entity = parse(message)
    return message, entity, () if _outline(entity) == _outline(other) else (_AMBIGUOUS,)


def _outline(top: Entity) -> list[tuple[object, ...]]:
    """Return what two readings of one content must have in common."""
    return [
        (each.media_type, sorted(each.parameters.items()), each.encoding, [field.key for field in each.header.fields])
        for each in walk(top)
    ]


def shown_parts(entity: Entity) -> Iterator[Entity]:
    """Yield the entity and what readers show as parts of it: no attachment and no message that stands beside others.

    What stands alone is shown as if it were the whole (RFC 8551 3.1), whatever it says of being attached or forwarded.
    """
    waiting = [entity]
    while waiting:
        current = waiting.pop()
        yield current
        alone = len(current.children) == 1 or current.media_type in ONE_IS_SHOWN
        if current.media_type.startswith("multipart/"):
            waiting.extend(
                child
                for child in reversed(current.children)
                if alone or not (attached(child) or child.media_type in WRAPS)
            )
        elif current.media_type in WRAPS:
            waiting.extend(current.children)


def layer_findings(message: Message, entity: Entity, *, depth: int = 0) -> Iterator[Finding]:
    """Yield what breaks conditions 1, 5 and 6 inside signed octets; a signature that is all of them is left alone."""
    if any(each.media_type in _ELSEWHERE for each in walk(entity)):  # condition 5
        yield Finding(5, Partial, "content_elsewhere")
    beside = []
    for each in shown_parts(entity):
        form = form_of(message, each)
        if _is_hidden(each):  # condition 1
            yield _AMBIGUOUS
        if form in _SEALED or seems_sealed(message, each) or holds_sealed_text(message, each):  # condition 6
            yield _ENCRYPTED
        elif form is Form.OPAQUE_SIGNED and each is not entity:
            beside.append(each)
    if len(beside) > _MOST_BESIDE:
        yield Finding(1, Unreadable, "too_many_signatures")
        return
    for each in beside:
        yield from _beside_findings(message, each, depth)


def _is_hidden(entity: Entity) -> bool:
    """Return True where some reader may find parts, a message or a ciphertext that we do not."""
    if is_disputed(entity) or (entity.media_type in WRAPS and not entity.children):  # the latter is encoded once more
        return True
    return entity.media_type in CMS_TYPES and "duplicate_encoding" in entity.defects


def _beside_findings(message: Message, entity: Entity, depth: int) -> Iterator[Finding]:
    """Yield the findings inside an opaque signature that is shown beside other parts, and inside those inside it."""
    if depth == _MOST_BESIDE:
        yield Finding(1, Unreadable, "too_many_signatures")
        return
    try:
        data = open_signed(decode_body(message, entity, limit=len(message)))
    except (CmsError, MimeError):
        yield _AMBIGUOUS
        return
    if data.content is not None and b"content-type" in data.content[:_HEADER].lower():  # without one it is a file
        content, top, findings = read_content(data.content)
        yield from findings
        yield from layer_findings(content, top, depth=depth + 1)
        if form_of(content, top) is Form.OPAQUE_SIGNED:
            yield from _beside_findings(content, top, depth + 1)

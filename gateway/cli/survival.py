"""What became of a message on its way: octets sent against octets received (RFC 5321 2.3.8, RFC 8551 3.1).

Only what a recipient could notice counts: the signature, the fields the sender wrote, the content as it decodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.message import Message
from gateway.core.verdict import Verified, row_of
from gateway.mime.entity import parse
from gateway.mime.fields import decode_text, read_header
from gateway.mime.transfer import decode_body
from gateway.smime.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gateway.mime.entity import Entity
    from gateway.pki.path import Revocation, TrustAnchors

_OURS: Final = ("content-", "mime-version", "bcc")
"""Fields that signing moves or leaves out."""
_LIMIT: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that did not survive: a stable code, and words."""

    code: str
    vietnamese: str
    english: str


@dataclass(frozen=True, slots=True)
class Survival:
    """The answer: the verdict on what arrived, what is damaged, and the systems it went through, first one first."""

    verdict: str
    reason: str
    damages: tuple[Damage, ...]
    stations: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """True if it is verified and nothing is damaged."""
        return self.verdict == "verified" and not self.damages


def survival(sent: bytes, received: bytes, *, trust: TrustAnchors, revocation: Revocation, at: datetime) -> Survival:
    """Compare a message as its client sent it with what is in the mailbox; raises `MimeError` over a limit."""
    message, original = Message.of(received), Message.of(sent)
    judgment = verify(message, trust=trust, revocation=revocation, at=at, untrusted=(), crls=())
    damages = [*_fields(original, message), *_contents(original, message)]
    if not isinstance(judgment.verdict, Verified):
        reason = judgment.verdict.reason
        damages.insert(0, Damage("signature", f"chữ ký không còn đúng ({reason})", f"the signature fails ({reason})"))
    traces = [" ".join(decode_text(each.value).split()) for each in read_header(message).all("received")]
    return Survival(row_of(judgment.verdict).name, judgment.verdict.reason, tuple(damages), tuple(reversed(traces)))


def _fields(sent: Message, received: Message) -> Iterator[Damage]:
    """Yield the fields of the sender that are not there octet for octet."""
    there = {field.raw for field in read_header(received).fields}
    for field in read_header(sent).fields:
        if not field.key.startswith(_OURS) and field.raw not in there:
            yield Damage(
                f"field {field.key}", f"trường {field.name} bị thay đổi", f"the field {field.name} was changed"
            )


def _contents(sent: Message, received: Message) -> Iterator[Damage]:
    """Yield the parts that decode to something else, and what was added or is missing."""
    wanted = list(_leaves(sent, parse(sent)))
    top = parse(received)
    signed = top.children[0] if top.media_type == "multipart/signed" and top.children else top
    found = list(_leaves(received, signed))
    if len(found) != len(wanted):
        yield Damage(
            "parts", f"có {len(found)} phần thay vì {len(wanted)}", f"there are {len(found)} parts, not {len(wanted)}"
        )
        return
    for number, ((kind, content), (other, arrived)) in enumerate(zip(wanted, found, strict=True), start=1):
        if kind != other or content != arrived:
            yield Damage(f"part {number}", f"phần {number} ({kind}) bị thay đổi", f"part {number} ({kind}) was changed")
    beside = [each for each in top.children[1:] if each.media_type != "application/pkcs7-signature"]
    if signed is not top and beside:
        yield Damage("added", "có phần được thêm ngoài chữ ký", "a part was added outside the signature")


def _leaves(message: Message, entity: Entity) -> Iterator[tuple[str, bytes]]:
    for each in entity.walk():
        if not each.children:
            content = decode_body(message, each, limit=_LIMIT)
            yield each.media_type, content.rstrip(b"\r\n") if each.media_type.startswith("text/") else content

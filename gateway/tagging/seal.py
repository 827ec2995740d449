"""The seal over our marks: who reads a tag can know that we wrote it, on this message, for this recipient (RFC 2104).

    X-Gateway-Seal: v=1; k=<key id>; d=<authserv-id>; t=<time>; r=<keyed hashes of recipients>; b=<HMAC-SHA-256>

Sealed are all fields of ours, results in our name, what says who wrote the message and how its body is to be read, the
subject as tagged, and every octet below the header block. A copy on another message, a field edited, added or taken
away, another recipient: none of them is `SealState.GOOD`. The hashes tell nobody without the key who the recipients are
or whether two messages share one. Whoever holds a key can write seals: it must never leave gateway and mail store.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gateway.core.address import Mailbox, domain_key
from gateway.core.local import VIETNAM
from gateway.core.message import Edit
from gateway.core.sevenbit import has_lone_line_end
from gateway.mime.fields import DEFAULT_LIMITS, Limits, read_header
from gateway.mime.words import fold
from gateway.tagging.names import RESULTS_KEY, SEAL_FIELD, SEAL_KEY, has_odd_line_end, is_ours
from gateway.tagging.results import claims_ours

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from gateway.core.message import Message
    from gateway.mime.fields import Header

LEAST_SECRET: Final = 32
"""Octets of a key's secret: as many as the hash gives out (RFC 2104 3)."""
_LEAST_HASHES: Final = 4
_HASH: Final = 12
"""Characters of a recipient's hash: 72 bits."""
_KEY_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SEALED: Final = frozenset(
    {
        *("from", "sender", "reply-to", "date", "message-id", "subject", "mime-version"),
        *("content-type", "content-transfer-encoding", "content-disposition", "content-id", "content-base"),
        *("resent-from", "resent-sender", "content-location"),
    }
)
"""To and Cc are not among them: mail systems complete and rewrite these, and no reader judges a sender by them."""
MARKED_LIMITS: Final = Limits(header_octets=2 * DEFAULT_LIMITS.header_octets, fields=2 * DEFAULT_LIMITS.fields)
"""Room for our marks, and for what mail stores add, on top of the largest header that is let in."""
_VALUE: Final = re.compile(
    r"v=1; *k=(?P<key>[A-Za-z0-9_.-]{1,64}); *d=(?P<id>[A-Za-z0-9.-]{1,255}); *t=(?P<time>[0-9T:+-]{25});"
    r" *r=(?P<hashes>[A-Za-z0-9_-]{12}(?:, *[A-Za-z0-9_-]{12})*); *b=(?P<mac>[A-Za-z0-9+/]{43}=)"
)


class SealState(StrEnum):
    """What a seal says about the marks it stands over; only `GOOD` lets a reader believe them."""

    GOOD = "good"
    ABSENT = "absent"
    """No seal: whatever marks there are may be anybody's."""
    BAD = "bad"
    """Malformed, several, or not for these octets."""
    WRONG_RECIPIENT = "wrong_recipient"
    """These octets, sealed by us, but for somebody else's mailbox."""
    UNKNOWN_KEY = "unknown_key"


@dataclass(frozen=True, slots=True)
class SealKeys:
    """Key id and secret octets, in order: the first seals, all of them are believed."""

    keys: tuple[tuple[str, bytes], ...] = field(repr=False)

    def __post_init__(self) -> None:
        names = [name for name, _ in self.keys]
        if not names or len(set(names)) < len(names):
            raise ValueError("keys for seals need ids, each once")
        if not all(_KEY_ID.fullmatch(name) for name in names):
            raise ValueError("the id of a key is of letters, digits, dots, - and _")
        if any(len(secret) < LEAST_SECRET for _, secret in self.keys):
            raise ValueError(f"a key for seals has at least {LEAST_SECRET} octets")

    def secret(self, name: str) -> bytes | None:
        """Return the secret of this id."""
        return next((secret for each, secret in self.keys if each == name), None)


@dataclass(frozen=True, slots=True)
class Sealing:
    """What a seal is made with."""

    keys: SealKeys
    recipients: tuple[Mailbox, ...]
    """Every envelope recipient of these octets; their order is not told, nor exactly how many there are."""
    at: dt.datetime
    """Aware."""
    authserv_id: str


def sealed(message: Message, sealing: Sealing) -> Message:
    """Return the message, which bears our marks, with a seal on top; nothing may change in it afterwards.

    Raises `MimeError` over a limit, `ValueError` without a recipient or where a seal stands already.
    """
    header = read_header(message, limits=MARKED_LIMITS)
    if not sealing.recipients or header.all(SEAL_FIELD):
        raise ValueError("a seal is for somebody, and only one")
    name, secret = sealing.keys.keys[0]
    content = _content_digest(message, header)
    time = sealing.at.astimezone(VIETNAM).isoformat(timespec="seconds")
    ours = domain_key(sealing.authserv_id)
    hashes = _hashes(secret, content, sealing.recipients)
    code = b64encode(_code(secret, (name, ours, time, *hashes), _pieces(message, header, ours), content))
    value = f"v=1; k={name}; d={ours}; t={time}; r={', '.join(hashes)}; b=".encode() + code
    return message.splice((Edit(0, 0, fold(SEAL_FIELD, value)),))


def check(message: Message, recipient: Mailbox, keys: SealKeys) -> SealState:
    """Return what the seal of a message says to this envelope recipient; raises `MimeError` over a limit.

    What a mail store and the servers before it add above is no matter, except where it could pass for a mark of ours.
    """
    header = read_header(message, limits=MARKED_LIMITS)
    seals = header.all(SEAL_FIELD)
    if not seals:
        return SealState.ABSENT
    match = _VALUE.fullmatch(seals[0].value.decode("ascii", "replace"))
    if len(seals) > 1 or match is None or has_lone_line_end(seals[0].raw):
        return SealState.BAD
    secret = keys.secret(match["key"])
    if secret is None:
        return SealState.UNKNOWN_KEY
    content = _content_digest(message, header)
    hashes = re.split(r", *", match["hashes"])
    told = (match["key"], match["id"], match["time"], *hashes)
    code = b64encode(_code(secret, told, _pieces(message, header, match["id"]), content))
    if not hmac.compare_digest(code, match["mac"].encode()):
        return SealState.BAD
    wanted = _recipient_hash(secret, content, recipient.key)
    found = [hmac.compare_digest(wanted, each) for each in hashes]  # all of them, so that the place is not timed
    return SealState.GOOD if any(found) else SealState.WRONG_RECIPIENT


def _code(secret: bytes, told: Sequence[str], pieces: Iterator[bytes], content: bytes) -> bytes:
    """Return the HMAC; every piece stands behind its length, so that no octet can move from one to the next."""
    state = hmac.new(_derived(secret, b"seal"), digestmod="sha256")
    for piece in ("\0".join(told).encode(), content, *pieces):
        state.update(len(piece).to_bytes(8, "big") + piece)
    return state.digest()


def _derived(secret: bytes, purpose: bytes) -> bytes:
    """Return a key of its own for each use, so that a hash of one can never serve as one of the other."""
    return hmac.digest(secret, b"X-Gateway-Seal v=1 " + purpose, "sha256")


def _hashes(secret: bytes, content: bytes, recipients: Sequence[Mailbox]) -> tuple[str, ...]:
    """Return the hashes in an order that says nothing, with others that are nobody's up to the next power of two.

    Without these, somebody who finds two hashes under one name in To would know of a blind copy.
    """
    found = {_recipient_hash(secret, content, each.key) for each in recipients}
    wanted = max(_LEAST_HASHES, 1 << (len(found) - 1).bit_length())
    found |= {_recipient_hash(secret, content, f"\0{number}") for number in range(wanted - len(found))}
    return tuple(sorted(found))


def _recipient_hash(secret: bytes, content: bytes, key: str) -> str:
    """Return a recipient's hash on this content: on another one it has another, so mail cannot be linked by it."""
    digest = hmac.digest(_derived(secret, b"recipient"), content + key.encode("utf-8", "surrogateescape"), "sha256")
    return urlsafe_b64encode(digest).decode("ascii")[:_HASH]


def _content_digest(message: Message, header: Header) -> bytes:
    """Return the SHA-256 of every octet below the header block, read in windows.

    A last line without its end gets one: a message given in chunks may lack it (RFC 3030), and the next hop adds it.
    """
    state = hashlib.sha256()
    last = b""
    for window in message.slice(header.body, len(message)).windows():
        state.update(window)
        last = (last + window)[-2:]
    if last and last != b"\r\n":
        state.update(b"\r\n")
    return state.digest()


def _pieces(message: Message, header: Header, ours: str) -> Iterator[bytes]:
    """Yield what is sealed of the header, in order: certain fields, and every line that is not plainly a field.

    Of the latter nobody can say what a reader takes it for.
    """
    position = 0
    for each in header.fields:
        if each.start > position:
            yield message.read(position, each.start)
        position = each.stop
        if each.key != SEAL_KEY and _is_sealed(each.key, each.raw, each.value, ours):
            yield each.raw
    if header.stop > position:
        yield message.read(position, header.stop)


def _is_sealed(key: str, raw: bytes, value: bytes, ours: str) -> bool:
    if key in _SEALED or is_ours(key) or has_odd_line_end(raw):
        return True
    return key == RESULTS_KEY and claims_ours(value, ours)

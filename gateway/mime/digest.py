"""What is kept at the gateway, told to its owner once a day: plain text, two languages, a message of its own.

Everything in an entry was written by strangers. A digest holds it as text only: no header field is made of it, no line
ends in it, and what mail programs would turn into a link to follow is written so that they do not. It holds no content.
"""

from __future__ import annotations

import re
from base64 import encodebytes
from dataclasses import dataclass
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from gateway.core.local import in_words
from gateway.core.message import Message
from gateway.core.queue import Kind
from gateway.core.unfit import UNFIT
from gateway.mime.report import shown
from gateway.mime.words import encode_text, fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from gateway.core.address import Mailbox

MOST_ITEMS: Final = 200
"""Entries that one digest names; of the others it says how many there are."""
_MOST_TEXT: Final = 150
"""Characters of a subject or a reason."""
_MOST_NAMES: Final = 3
_WHAT: Final = {
    Kind.HELD: "giữ chờ duyệt / held for approval",
    Kind.QUARANTINED: "cách ly / quarantined",
}
_FROZEN: Final = "quản trị viên giữ lại, không gửi / kept back by an administrator, not tried"
_REASONS: Final = {
    "undeliverable": ("không chuyển được, và không có ai để báo", "could not be delivered, and nobody could be told"),
    "refused": ("quy định không cho thư này đi tiếp", "the rules do not let it go on"),
    "nobody_left": ("mọi người nhận đã có thư này", "everybody has it already"),
    "listener_gone": ("cổng nhận thư này không còn dùng", "the way it came by is not in use any more"),
    "unreadable_in_spool": ("bản lưu bị hỏng, chỉ xóa được", "what was stored is damaged and can only be removed"),
    "self_check": ("chữ ký vừa tạo không đạt kiểm tra", "the signature that was made did not pass our own check"),
    "sender_unauthenticated": ("người gửi chưa được xác thực", "it is not known who sent it"),
    "sender_not_allowed": ("tài khoản gửi không được dùng địa chỉ này", "the login may not use this sender's address"),
    "sender_malformed": ("địa chỉ người gửi không đọc được", "the sender's address cannot be read"),
    "sender_lookup_error": ("chưa kiểm tra được người gửi", "the sender could not be checked"),
    "no_key": ("không có khóa ký cho người gửi", "there is no signing key for the sender"),
    **UNFIT,
}
"""Stable code -> Vietnamese, English."""
_HEAD: Final = """\
Kính gửi {owner},

Các thư sau đang được giữ tại cổng thư, chưa được chuyển. Nếu cần thư nào, xin báo mã thư cho quản trị thư điện tử.
Trả lời thư này không cho thư nào đi.
(The mail gateway keeps these messages. If you need one of them, please give its id to your mail administrator.
Replying to this message releases nothing.)
"""
_FOOT: Final = """
Quản trị viên dùng / the administrator uses:
    gateway queue show MÃ-THƯ
    gateway queue release MÃ-THƯ --reason "..."        (cho đi / let it go)
    gateway queue delete MÃ-THƯ --reason "..."         (xóa / remove it)
"""
_FOOT_FROZEN: Final = """\
    gateway queue thaw MÃ-THƯ --reason "..."           (thôi giữ lại / do not keep it back any more)
"""
_LINK: Final = re.compile(
    r"(?<=\w)[.\uff0e\u3002\uff61](?=[^\W\d_])|(?<=[A-Za-z0-9])[:\uff1a](?=[^\s\d])|(?<=\S)@(?=\S)"
)
"""What makes mail programs see a link: a dot before a letter, a colon behind a word, an at sign."""

_PLAIN: Final = re.compile(r"(?:[\w.+=-]+@[\w.:\[\]-]+)?")
"""An address whose local part holds nothing of a link."""


@dataclass(frozen=True, slots=True)
class Item:
    """An entry as its owner is told of it."""

    entry_id: str
    kind: Kind
    subject: str
    """Decoded; as the sender wrote it."""
    sender: str
    """The reverse-path; "" for the null one."""
    recipients: tuple[str, ...]
    reason: str
    """Stable code, blank, words; or the words of a rule."""
    received_at: datetime
    ends_at: datetime
    """When it is removed, at the earliest."""
    frozen_at: datetime | None = None
    """When an administrator kept back what would move by itself."""


@dataclass(frozen=True, slots=True)
class Digest:
    """All that one digest needs."""

    to: Mailbox
    hostname: str
    now: datetime
    token: str
    """Fresh random ASCII: Message-ID is made of it."""
    items: tuple[Item, ...]
    more: int
    """Entries beyond those."""


def kept_digest(digest: Digest) -> Message:
    """Return the complete message, header and body, ASCII with CRLF."""
    count = len(digest.items) + digest.more
    head = (
        fold("From", encode_text("Cổng thư điện tử") + f" <postmaster@{digest.hostname}>".encode()),
        fold("To", f"<{digest.to}>".encode() if digest.to.ascii else b"undisclosed-recipients:;"),
        fold("Subject", encode_text(f"{count} thư đang được giữ tại cổng thư / messages kept at the gateway: {count}")),
        fold("Date", format_datetime(digest.now).encode()),
        fold("Message-ID", f"<{digest.token}@{digest.hostname}>".encode()),
        b"Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n",
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    )
    text = digest_text(str(digest.to), digest.items, digest.more).replace("\n", "\r\n").encode("utf-8", "replace")
    return Message.of(b"".join(head) + encodebytes(text).replace(b"\n", b"\r\n"))


def digest_text(owner: str, items: Sequence[Item], more: int = 0) -> str:
    """Return what an owner reads, lines ended by LF; entries beyond the first are only counted."""
    more += len(items[MOST_ITEMS:])
    pieces = [_HEAD.format(owner=shown(owner)), *(_entry(each) for each in items[:MOST_ITEMS])]
    if more:
        pieces.append(f"\n    ... và {more} thư nữa / and {more} more: gateway queue list\n")
    pieces.append(_FOOT)
    if any(each.frozen_at is not None for each in items):
        pieces.append(_FOOT_FROZEN)
    return "".join(pieces)


def _entry(item: Item) -> str:
    return "\n" + "".join(f"    {name}: {value}\n" for name, value in _lines(item))


def _lines(item: Item) -> Iterator[tuple[str, str]]:
    names = ", ".join(_address(each) for each in item.recipients[:_MOST_NAMES])
    others = len(item.recipients) - _MOST_NAMES
    yield "Mã thư / id", item.entry_id
    yield "Tình trạng / state", _FROZEN if item.frozen_at is not None else _WHAT[item.kind]
    yield "Tiêu đề / subject", inert(item.subject)
    yield "Từ / from", _address(item.sender) or "<>"
    yield "Tới / to", names + (f" (+{others})" if others > 0 else "")
    yield "Nhận lúc / received", in_words(item.received_at)
    yield "Vì sao / why", reason_words(item.reason)
    if item.frozen_at is not None:
        yield "Giữ lại từ / since", f"{in_words(item.frozen_at)}, cho đến khi thôi giữ / until it is thawed"
    else:
        yield "Giữ đến / kept until", f"{in_words(item.ends_at)} (sớm nhất / at the earliest)"


def reason_words(reason: str) -> str:
    """Return why an entry is kept, for people who do not know our codes."""
    code, _, words = reason.partition(" ")
    known = _REASONS.get(code)
    if known is not None:
        detail = f" ({inert(words)})" if words else ""
        return f"{known[0]} / {known[1]}{detail}"
    if re.fullmatch(r"[a-z]+(?:_[a-z]+)+", code) and words:
        return inert(words)
    return inert(reason) or "-"


def inert(text: str) -> str:
    """Return text of a stranger, on one line, bounded, with nothing in it that a mail program makes a link of."""
    return _LINK.sub(lambda found: f"[{found[0]}]", shown(text[: 2 * _MOST_TEXT]))[:_MOST_TEXT]


def _address(text: str) -> str:
    """Return an address as it is; one whose local part may be taken for a place in the web, as any text."""
    return shown(text) if _PLAIN.fullmatch(text) else inert(text)

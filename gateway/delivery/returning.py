"""Our own replies to mail that ends by a person's word or by waiting too long, as its sender reads them (RFC 3463)."""

from __future__ import annotations

from typing import Final

from gateway.core.reply import Reply

MOST_REASON: Final = 200
"""Characters of a reason that a sender is told."""


def returned(reason: str) -> Reply:
    """Return the reply to mail that an administrator returns."""
    plain = _one_piece(reason)
    return Reply.of(
        554, "5.7.1", f"quản trị thư trả lại thư này: {plain} / the mail administrator returns this message: {plain}"
    )


def kept_too_long(days: int) -> Reply:
    """Return the reply to mail that was held, and that nobody let go."""
    return Reply.of(
        554,
        "5.4.7",
        f"thư bị giữ chờ duyệt quá {days} ngày mà không được duyệt"
        f" / the message was held for approval for {days} days, and nobody approved it",
    )


def _one_piece(reason: str) -> str:
    """Return words that cannot be taken for the border between two languages."""
    return reason.replace(" / ", "/")[:MOST_REASON]

"""Consignments for tests: invented people, one short message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.core.address import Mailbox
from gateway.core.envelope import Direction, Envelope, Notify, Recipient
from gateway.core.message import Message
from gateway.core.queue import Consignment, Kind

if TYPE_CHECKING:
    from gateway.core.address import ReversePath

SENDER: Final = Mailbox.parse("lan@so-a.example")
CONTENT: Final = Message.of("Subject: Báo cáo\r\nMessage-ID: <m1@so-a.example>\r\n\r\nxin chào\r\n".encode())


def recipients(count: int, notify: frozenset[Notify] | None = None, first: int = 0) -> tuple[Recipient, ...]:
    """Return some forward-paths, r0@noi-b.example and so on."""
    return tuple(Recipient(Mailbox.parse(f"r{first + n}@noi-b.example"), notify) for n in range(count))


def consignment(  # noqa: PLR0913 - whatever a test wants otherwise
    count: int = 1,
    *,
    answered_for: bool = True,
    kind: Kind = Kind.DELIVER,
    hop: str = "out",
    sender: ReversePath = SENDER,
    notify: frozenset[Notify] | None = None,
    first: int = 0,
    message: Message = CONTENT,
    **parameters: Any,
) -> Consignment:
    """Return a consignment for r0 ... of a submitter (or, not answered for, of another mail system)."""
    return Consignment(
        kind,
        hop if kind is Kind.DELIVER else "",
        Envelope(sender, recipients(count, notify, first), **parameters),
        message,
        Direction.OUTBOUND if answered_for else Direction.INBOUND,
        "trace1",
        answered_for,
        reason="" if kind is Kind.DELIVER else "test kept by a test",
    )

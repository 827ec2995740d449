"""What tests of the way out share: envelopes, a letter and one whole transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Envelope, Recipient
from gateway.core.message import Message

if TYPE_CHECKING:
    from gateway.core.reply import Reply
    from gateway.ports import NextHop, Transaction
    from gateway.relay.wire import Wire

OURS: Final = "mail.songlam.example"
LETTER: Final = Message.of(b"Subject: x\r\n\r\nK\xc3\xadnh g\xe1\xbb\xadi\r\n")


def path(*to: str, sender: str = "hoang.lan@soyte.songlam.example", **more: Any) -> Envelope:
    """Return an envelope; an empty sender is the null reverse-path."""
    reverse = Mailbox.parse(sender) if sender else NULL_PATH
    return Envelope(reverse, tuple(Recipient(Mailbox.parse(each)) for each in to or ("mai@hopthu.example",)), **more)


async def carry(transaction: Transaction, message: Message = LETTER) -> tuple[Reply, ...]:
    """Take one message to one recipient through a transaction."""
    await transaction.envelope(path())
    return await transaction.content(message)


async def deliver(hop: NextHop, message: Message = LETTER) -> tuple[Reply, ...]:
    """Take one message to one recipient through a transaction of its own."""
    return await carry(await hop.begin(), message)


def arrive(wire: Wire, octets: bytes) -> None:
    """Let octets come over a connection as if its peer had sent them."""
    wire.get_buffer(-1)[: len(octets)] = octets
    wire.buffer_updated(len(octets))

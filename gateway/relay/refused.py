"""A transaction that every recipient is refused in, before any host was asked: DNS said that there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from gateway.relay.replies import Offers

if TYPE_CHECKING:
    from gateway.core.envelope import Envelope
    from gateway.core.message import Message
    from gateway.core.reply import Reply


class RefusedTransaction:
    """Implements `ports.Transaction`."""

    limits = Offers(eight_bit=True, smtputf8=True, dsn=True)
    """Nothing is too much for nobody: the reply is what the sender should read."""
    dot_sent = False

    def __init__(self, reply: Reply) -> None:
        """Take the reply, which is permanent."""
        self.reply = reply

    async def envelope(self, envelope: Envelope, *, size: int | None = None) -> tuple[Reply, ...]:  # noqa: ARG002 - as the port says
        """Return the reply, for everybody."""
        return (self.reply,) * len(envelope.recipients)

    async def content(self, message: Message) -> NoReturn:  # noqa: ARG002 - as the port says
        """Raise: nobody was accepted."""
        raise RuntimeError("nobody was accepted")

    def pause(self) -> bool:
        """Return that nothing waits."""
        return False

    def give_up(self) -> tuple[Reply, ...]:
        """Return that nobody has answered."""
        return ()

    async def abandon(self) -> None:
        """Do nothing."""

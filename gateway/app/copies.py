"""The way into the mail store, and the filing of sent mail behind the hand-over: without a say in any answer."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from gateway.config.secrets import read_secret
from gateway.core.errors import SetupError
from gateway.mailbox.imap import Server
from gateway.mailbox.sent import SentCopies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config.mailbox import MailboxSettings
    from gateway.config.model import Settings
    from gateway.core.queue import Consignment
    from gateway.core.reply import Reply
    from gateway.ports import Copies, HandOver

_ACCEPTED: Final = 2
"""First digit of a reply that stands for mail."""


class Filing:
    """A `ports.HandOver` that passes on what was accepted, as copies."""

    def __init__(self, hand_over: HandOver, copies: Copies) -> None:
        """Stand in front of a hand-over."""
        self._hand_over = hand_over
        self._copies = copies

    async def hand_over(self, consignments: Sequence[Consignment]) -> Reply:
        """Hand over (see `ports.HandOver`), then let copies be made of what was accepted."""
        reply = await self._hand_over.hand_over(consignments)
        if reply.code // 100 == _ACCEPTED:
            self._copies.file(consignments)
        return reply


class NoCopies:
    """`ports.Copies` where nobody asked for any."""

    def file(self, consignments: Sequence[Consignment]) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""


def filing(hand_over: HandOver, copies: Copies) -> HandOver:
    """Return a hand-over behind which copies are filed, if anybody asked for any."""
    return hand_over if isinstance(copies, NoCopies) else Filing(hand_over, copies)


def copies_of(settings: Settings) -> SentCopies | NoCopies:
    """Return what files copies; raises `SetupError`."""
    if settings.mailbox is None or settings.mailbox.sent is None:
        return NoCopies()
    server, password = access_to(settings.mailbox)
    return SentCopies(settings.mailbox, settings.mailbox.sent, server=server, password=password)


def access_to(settings: MailboxSettings) -> tuple[Server, str]:
    """Return the server and the master user's password; raises `SetupError`."""
    host, _, port = settings.imap.rpartition(":")
    context: ssl.SSLContext | None = None
    if settings.tls == "tls":
        try:
            context = ssl.create_default_context(cafile=str(settings.tls_ca) if settings.tls_ca is not None else None)
        except OSError as error:
            raise SetupError(f"{settings.tls_ca}: no certificate can be read") from error
    try:
        password = read_secret(settings.password).decode("ascii")
    except UnicodeDecodeError:
        raise SetupError("mailbox.password: must be ASCII") from None
    return Server(host.strip("[]"), int(port), context, settings.timeout), password

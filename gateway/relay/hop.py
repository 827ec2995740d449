"""The configured next hops: SMTP and LMTP ones with their pool and breaker, and Maildirs (`handover.md` 1, row 7)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from gateway.config.model import HopProtocol
from gateway.core.address import NULL_PATH
from gateway.core.envelope import Envelope, Recipient
from gateway.core.errors import SetupError
from gateway.ports import HopError, HopTrouble
from gateway.relay.breaker import Breaker
from gateway.relay.condition import Condition
from gateway.relay.connection import SmtpTransaction
from gateway.relay.direct import DirectHop, parted
from gateway.relay.greeting import Greeter
from gateway.relay.maildir import MaildirHop
from gateway.relay.places import FixedPlaces, Health, NowhereError
from gateway.relay.pool import BusyError, Pool
from gateway.relay.refused import RefusedTransaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.config.model import Hop, Settings
    from gateway.core.address import Mailbox
    from gateway.core.queue import Origin
    from gateway.core.reply import Reply
    from gateway.relay.places import Places
    from gateway.relay.replies import Offers


class SmtpHop:
    """Implements `ports.NextHop` over SMTP or LMTP."""

    def __init__(self, name: str, settings: Hop, greeter: Greeter, places: Places, health: Health) -> None:
        """Take what connecting needs; nothing connects before the first use. See `smtp_hop`."""
        self.name: Final = name
        """Its name, as `Routes` gives it."""
        self.per_recipient: Final = settings.protocol is HopProtocol.LMTP
        """True for LMTP."""
        self._settings = settings
        self._breaker = Breaker()
        self._places = places
        self._pool = Pool(
            greeter,
            places,
            health,
            most=settings.max_connections,
            most_served=settings.max_messages,
            idle_seconds=settings.idle_timeout,
        )
        self._asking: asyncio.Task[Offers | None] | None = None

    @property
    def usable(self) -> bool:
        """False while the breaker is open."""
        return self._breaker.usable

    @property
    def busy(self) -> bool:
        """True while mail is under way, or somebody asks."""
        return self._pool.busy or (self._asking is not None and not self._asking.done())

    @property
    def resting(self) -> bool:
        """True from the moment the breaker opens until the hop answers again."""
        return self._breaker.open

    def condition(self) -> Condition:
        """Return what our own mail has shown of it."""
        breaker, pool = self._breaker, self._pool
        words, ago = breaker.last_trouble or ("", None)
        return Condition(
            hop=self.name,
            resting=breaker.open,
            seconds=breaker.seconds,
            rest=breaker.rest,
            using=pool.using,
            kept=pool.kept,
            most=self._settings.max_connections,
            trouble=words,
            trouble_seconds=ago,
        )

    def leave_idle(self) -> None:
        """Close the connections that nobody uses."""
        self._pool.leave_idle()

    async def begin(self, client: Origin | None = None) -> SmtpTransaction | RefusedTransaction:
        """Return a transaction on a ready connection, pooled or new; raises `HopError(SITE)`."""
        if not self._breaker.enter():
            raise HopError(HopTrouble.SITE, f"hop {self.name} is given a rest after repeated trouble")
        try:
            connection = await self._pool.take(client)
        except NowhereError as error:
            self._breaker.answered()
            return RefusedTransaction(error.reply)
        except BusyError:
            raise
        except HopError as error:
            self._breaker.trouble(error.detail)
            raise
        return SmtpTransaction(
            self._pool,
            connection,
            self._breaker,
            lmtp=self.per_recipient,
            reply_timeout=self._settings.reply_timeout,
            client=client,
        )

    async def known_limits(self) -> Offers | None:
        """Return what the hop said in its last greeting; callers that come first share one question."""
        if self._pool.offers is None:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask())
            return await asyncio.shield(self._asking)
        return self._pool.offers

    async def _ask(self) -> Offers | None:
        try:
            transaction = await self.begin()
        except HopError:
            return None
        limits = transaction.limits if isinstance(transaction, SmtpTransaction) else None
        await transaction.abandon()
        return limits

    async def probe(self, mailbox: Mailbox) -> Reply:
        """Return the reply to RCPT for a mailbox, with the null reverse-path; raises `HopError` if there is none.

        A refusal of MAIL says nothing about the mailbox, unless it is that the mailbox needs SMTPUTF8.
        """
        transaction = await self.begin()
        if isinstance(transaction, RefusedTransaction):
            return transaction.reply
        try:
            (reply,) = await transaction.envelope(Envelope(NULL_PATH, (Recipient(mailbox),)))
            refusal = transaction.mail_refusal
        finally:
            await transaction.abandon()
        if refusal is not None and mailbox.ascii:
            raise HopError(HopTrouble.SITE, f"hop {self.name} refuses the null reverse-path: {refusal}")
        return reply

    async def close(self) -> None:
        """Close all connections."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        await self._pool.close()


class Hops:
    """Implements `ports.NextHops`."""

    def __init__(self, settings: Settings) -> None:
        """Build every hop; raises `SetupError` with every mistake. Needs no running loop, and connects to nothing."""
        self._hops: dict[str, SmtpHop | MaildirHop | DirectHop] = {}
        mistakes: list[str] = []
        for each in settings.hops:
            try:
                self._hops[each.name] = _build(each, settings.hostname)
            except SetupError as error:
                mistakes += error.mistakes
        if mistakes:
            raise SetupError(*mistakes)

    def by_name(self, name: str) -> SmtpHop | MaildirHop | DirectHop:
        """Return the hop; raises `KeyError`, also for a domain of a hop that does not send directly any more."""
        base, domain = parted(name)
        hop = self._hops[base]
        if not domain:
            return hop
        if not isinstance(hop, DirectHop):
            raise KeyError(name)
        return hop.of(domain)

    def watched(self) -> Iterator[SmtpHop]:
        """Yield every hop that has a breaker; of those that send directly, one of each domain that is known now."""
        for each in self._hops.values():
            if isinstance(each, SmtpHop):
                yield each
            elif isinstance(each, DirectHop):
                yield from each.known()

    async def close(self) -> None:
        """Close every hop: idle connections with QUIT, those in use at once."""
        await asyncio.gather(*(each.close() for each in self._hops.values()))


def smtp_hop(settings: Hop, hostname: str) -> SmtpHop:
    """Return a hop at the addresses of the configuration; raises `SetupError`."""
    places = FixedPlaces(settings.addresses or (), settings.tls_name)
    return SmtpHop(settings.name, settings, Greeter(settings, hostname), places, Health())


def _build(settings: Hop, hostname: str) -> SmtpHop | MaildirHop | DirectHop:
    if settings.directory is not None:
        return MaildirHop(settings.name, settings.directory, hostname=hostname)
    return DirectHop(settings, hostname, SmtpHop) if settings.direct else smtp_hop(settings, hostname)

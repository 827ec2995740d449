"""What is known of our recipients: asked of the next hop and remembered, or read from a table (`handover.md` 2).

A mailbox that nobody ever vouched for must never get in because its hop is away.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import structlog

from gateway.config.model import RecipientCheck
from gateway.core.address import Mailbox, domain_key
from gateway.core.errors import SetupError
from gateway.core.reply import Reply
from gateway.ports import HopError
from gateway.relay.hop import SmtpHop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from gateway.config.model import LocalDomain
    from gateway.relay.hop import Hops

POSITIVE_SECONDS: Final = 24 * 3600.0
"""How long an accepted mailbox is not asked for again."""
NEGATIVE_SECONDS: Final = 600.0
"""How long a refused one is not."""
STALE_SECONDS: Final = 7 * POSITIVE_SECONDS
"""How long an accepted mailbox stands while its hop cannot be asked."""
PROBE_SECONDS: Final = 5.0
MOST_REMEMBERED: Final = 20_000
"""Mailboxes of each kind; kept apart, so that guessing addresses drives out no real ones."""
MOST_PROBES: Final = 4
"""Probes at once at one hop: its other connections are for mail."""

_NOT_OURS: Final = Reply.of(550, "5.7.1", "Không chuyển tiếp thư / relaying denied")
_UNKNOWN: Final = Reply.of(550, "5.1.1", "Không có hộp thư này / no such mailbox")
_LATER: Final = Reply.of(451, "4.1.1", "Chưa kiểm tra được người nhận / the recipient cannot be verified now")


class _Memory:
    """Outcomes by mailbox key, the least recently used forgotten first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: OrderedDict[str, tuple[Reply | None, float]] = OrderedDict()

    def put(self, key: str, refusal: Reply | None) -> None:
        self._known[key] = (refusal, self._clock())
        self._known.move_to_end(key)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)

    def forget(self, key: str) -> None:
        self._known.pop(key, None)

    def get(self, key: str, seconds: float) -> tuple[Reply | None] | None:
        """Return the outcome in a tuple of one, None if there is none so young."""
        found = self._known.get(key)
        if found is None or self._clock() - found[1] > seconds:
            return None
        self._known.move_to_end(key)
        return (found[0],)


class RecipientChecks:
    """Implements `ports.RecipientChecks`."""

    def __init__(
        self, local_domains: Sequence[LocalDomain], hops: Hops, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the domains; raises `SetupError` for a probe that its hop cannot answer. `clock` counts seconds."""
        self._domains = {each.domain: each for each in local_domains}
        self._tables = {each.domain: frozenset(each.table) for each in local_domains}
        self._hops = hops
        self._accepted, self._refused = _Memory(clock), _Memory(clock)
        self._probing: dict[str, asyncio.Task[Reply | None]] = {}
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._log = structlog.get_logger("gateway.relay")
        mistakes = [
            f"local domain {each.domain!r}: a maildir hop takes every mailbox and cannot be probed;"
            ' write recipients: "table" or "any"'
            for each in local_domains
            if each.recipients is RecipientCheck.PROBE and not isinstance(hops.by_name(each.hop), SmtpHop)
        ]
        if mistakes:
            raise SetupError(*mistakes)

    def check(self, mailbox: Mailbox) -> Reply | Coroutine[object, object, Reply | None] | None:
        """Return the refusal, None to take it, or what asks the hop for either."""
        local = self._domains.get(domain_key(mailbox.domain))
        if local is None:
            return _NOT_OURS
        match local.recipients:
            case RecipientCheck.ANY:
                return None
            case RecipientCheck.TABLE:
                return None if self._listed(mailbox, local.domain) else _UNKNOWN
            case RecipientCheck.PROBE:
                key = mailbox.key
                known = self._accepted.get(key, POSITIVE_SECONDS) or self._refused.get(key, NEGATIVE_SECONDS)
                return known[0] if known is not None else self._probed(key, mailbox, local)

    async def takes_everyone(self, domain: str) -> bool | None:
        """Return whether a probed domain's hop takes a mailbox that cannot exist; None if it cannot be asked."""
        local = self._domains.get(domain_key(domain))
        if local is None or local.recipients is not RecipientCheck.PROBE:
            return None
        reply = await self._ask(Mailbox(f"khong-co-{secrets.token_hex(8)}", local.domain), local)
        return None if reply is None or reply.transient else reply.positive

    def _listed(self, mailbox: Mailbox, domain: str) -> bool:
        """A table need not list postmaster: every domain has one (RFC 5321 4.5.1), and its hop has the last word."""
        table = self._tables[domain]
        key = mailbox.key
        return key in table or f"@{domain}" in table or key == f"postmaster@{domain}"

    async def _probed(self, key: str, mailbox: Mailbox, local: LocalDomain) -> Reply | None:
        task = self._probing.get(key)
        if task is None:
            task = self._probing[key] = asyncio.create_task(self._settle(key, mailbox, local))
            task.add_done_callback(lambda _: self._probing.pop(key, None))
        # one caller that goes away must not take the answer from the others
        return await asyncio.shield(task)

    async def _settle(self, key: str, mailbox: Mailbox, local: LocalDomain) -> Reply | None:
        """Ask the hop and remember what it said."""
        reply = await self._ask(mailbox, local)
        if reply is None or reply.transient:
            return None if self._accepted.get(key, STALE_SECONDS) is not None else _LATER
        if reply.positive:
            self._refused.forget(key)
            self._accepted.put(key, None)
            return None
        # the hop's words may name its innards: only the class of the refusal goes on
        refusal = (
            Reply.of(550, reply.status, "Hộp thư từ chối / the mailbox refuses mail") if reply.status else _UNKNOWN
        )
        refusal = _UNKNOWN if refusal.status == _UNKNOWN.status else refusal
        self._accepted.forget(key)
        self._refused.put(key, refusal)
        return refusal

    async def _ask(self, mailbox: Mailbox, local: LocalDomain) -> Reply | None:
        """Return the hop's reply to a forward-path; None if there is none in time, or it is about our commands."""
        hop = self._hops.by_name(local.hop)
        if not isinstance(hop, SmtpHop):
            return None
        turns = self._turns.setdefault(local.hop, asyncio.Semaphore(MOST_PROBES))
        try:
            async with asyncio.timeout(PROBE_SECONDS), turns:
                reply = await hop.probe(mailbox)
        except (HopError, TimeoutError) as error:
            self._log.warning("recipient not probed", hop=local.hop, reason=str(error) or "no answer in time")
            return None
        return None if 500 <= reply.code < 510 else reply  # noqa: PLR2004 - 50x: not about the mailbox

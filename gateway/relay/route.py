"""Which next hop carries mail for a mailbox: by its domain, and by nothing else.

The settings guarantee that no domain stands twice, and none behind "*": no order has to be kept here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.core.address import domain_key
from gateway.relay.direct import name_for

if TYPE_CHECKING:
    from gateway.config.model import Settings
    from gateway.core.address import Mailbox

_EVERY: Final = "*"


class Routes:
    """Implements `ports.Routes`."""

    def __init__(self, settings: Settings) -> None:
        """Read the tables."""
        self._inbound = {each.domain: each.hop for each in settings.local_domains}
        self._outbound = {each.domain: each.hop for each in settings.outbound}
        self._every = self._outbound.pop(_EVERY, None)
        self._direct = frozenset(each.name for each in settings.hops if each.direct)

    def inbound(self, mailbox: Mailbox) -> str | None:
        """Return the hop's name for a mailbox of one of our domains, None for any other."""
        return self._named(self._inbound.get(domain_key(mailbox.domain)), mailbox)

    def outbound(self, mailbox: Mailbox) -> str | None:
        """Return the hop's name for mail that goes out, None where no route fits."""
        return self._named(self._outbound.get(domain_key(mailbox.domain), self._every), mailbox)

    def through(self, hop: str, mailbox: Mailbox) -> str:
        """Return the name under which a configured hop carries mail for this mailbox."""
        return name_for(hop, mailbox.domain) if hop in self._direct else hop

    def _named(self, hop: str | None, mailbox: Mailbox) -> str | None:
        return None if hop is None else self.through(hop, mailbox)

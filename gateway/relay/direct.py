"""Sending directly: a hop of its own for each domain, named HOP@DOMAIN, made when mail for it comes (RFC 5321 5.1).

Each domain has its own connections, breaker and place in the queue, so one that is down never holds up another.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NoReturn

from gateway.core.address import domain_key
from gateway.ports import HopError, HopTrouble
from gateway.relay.greeting import Greeter
from gateway.relay.mx import Lookup, MxPlaces
from gateway.relay.places import Health

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config.hops import Hop
    from gateway.core.queue import Origin
    from gateway.relay.hop import SmtpHop
    from gateway.relay.places import Places

MOST_DOMAINS: Final = 2_000
"""Domains whose hop is kept; the one used longest ago is forgotten first, unless it carries mail."""
_MARK: Final = "@"


def name_for(hop: str, domain: str) -> str:
    """Return the name of a hop for one domain."""
    return f"{hop}{_MARK}{domain_key(domain)}"


def parted(name: str) -> tuple[str, str]:
    """Return the hop and the domain of a name; the domain is "" in a name of the configuration."""
    hop, _, domain = name.partition(_MARK)
    return hop, domain


class DirectHop:
    """A hop of the configuration that leads to no place of its own; implements `ports.NextHop`."""

    usable = True
    per_recipient = False

    def __init__(
        self, settings: Hop, hostname: str, make: Callable[[str, Hop, Greeter, Places, Health], SmtpHop]
    ) -> None:
        """Read what connecting needs; raises `SetupError`. `make` builds the hop of one domain."""
        self.settings = settings
        self.name = settings.name
        self._lookup = Lookup(settings, hostname)
        self._greeter = Greeter(settings, hostname)
        self._health = Health()
        self._make = make
        self._domains: OrderedDict[str, SmtpHop] = OrderedDict()

    def of(self, domain: str) -> SmtpHop:
        """Return the hop of a domain, made now if there is none."""
        hop = self._domains.get(domain)
        if hop is None:
            self._make_room()
            places = MxPlaces(self._lookup, domain)
            hop = self._domains[domain] = self._make(
                name_for(self.name, domain), self.settings, self._greeter, places, self._health
            )
        self._domains.move_to_end(domain)
        return hop

    def known(self) -> Sequence[SmtpHop]:
        """Return the hops that were made, the one used last first."""
        return tuple(reversed(self._domains.values()))

    def _make_room(self) -> None:
        if len(self._domains) < MOST_DOMAINS:
            return
        for domain, hop in self._domains.items():
            if not hop.busy:
                hop.leave_idle()
                del self._domains[domain]
                return

    async def begin(self, client: Origin | None = None) -> NoReturn:  # noqa: ARG002 - as the port says
        """Refuse: without a domain there is nobody to send to."""
        raise HopError(HopTrouble.SITE, f"hop {self.name} leads to the hosts of a domain, and was given none")

    async def known_limits(self) -> None:
        """Return None: each domain has limits of its own."""

    async def close(self) -> None:
        """Close the hops of all domains."""
        for each in tuple(self._domains.values()):
            await each.close()

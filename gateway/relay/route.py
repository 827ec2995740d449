"""Which next hop carries mail for a mailbox: by its domain, and by nothing else.

A route that could never be taken must not be passed over in silence: it is a mistake of the set-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.core.address import Mailbox, domain_key
from gateway.core.errors import SetupError

if TYPE_CHECKING:
    from gateway.config.model import Settings

_EVERY: Final = "*"


class Routes:
    """Implements `ports.Routes`."""

    def __init__(self, settings: Settings) -> None:
        """Read the tables; raises `SetupError` with every mistake."""
        self._inbound: dict[str, str] = {}
        self._outbound: dict[str, str] = {}
        self._every: str | None = None
        mistakes: list[str] = []
        for local in settings.local_domains:
            if local.domain in self._inbound:
                mistakes.append(f"local domain {local.domain!r} is given twice")
            self._inbound[local.domain] = local.hop
        for route in settings.outbound:
            domain = _domain(route.domain)
            if domain is None:
                mistakes.append(f'outbound route {route.domain!r}: not a mail domain and not "*"')
            elif self._every is not None or domain in self._outbound:
                mistakes.append(f"outbound route {route.domain!r} can never be taken: one before it fits already")
            elif domain == _EVERY:
                self._every = route.hop
            else:
                self._outbound[domain] = route.hop
        if mistakes:
            raise SetupError(*mistakes)

    def inbound(self, mailbox: Mailbox) -> str | None:
        """Return the hop's name for a mailbox of one of our domains, None for any other."""
        return self._inbound.get(domain_key(mailbox.domain))

    def outbound(self, mailbox: Mailbox) -> str | None:
        """Return the hop's name for mail that goes out, None where no route fits."""
        return self._outbound.get(domain_key(mailbox.domain), self._every)


def _domain(text: str) -> str | None:
    """Return the domain in its form for comparing, "*" as it is, None for neither."""
    if text == _EVERY:
        return text
    try:
        return domain_key(Mailbox.parse(f"x@{text}").domain)
    except ValueError:
        return None

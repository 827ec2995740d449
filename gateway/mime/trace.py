"""The trace field put on top of what arrives (RFC 5321 4.4, RFC 3848, RFC 6531 4.3).

What a client only claimed must never break out of its place in the field.
"""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.core.received import Arrival

_CLAIMED: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.\-]{0,253}[A-Za-z0-9_])?|\[[A-Za-z0-9.:]{1,64}\]")
_TLS: Final = re.compile(r"[^A-Za-z0-9._ -]")


def trace_field(arrival: Arrival, hostname: str) -> bytes:
    """Return the complete Received field, ASCII, folded, ending in CRLF.

    A sole recipient is named; of several none is, so that no blind copy is given away. A name in the greeting that is
    neither a domain nor an address literal becomes "unknown".
    """
    client, recipients = arrival.client, arrival.envelope.recipients
    way = _way(client.greeted_as, client.address, client.protocol, client.tls, hostname)
    sole = len(recipients) == 1 and recipients[0].mailbox.ascii
    named = f"\r\n\tfor <{recipients[0].mailbox}>" if sole else ""
    at = _second(arrival.at.isoformat(timespec="seconds"))
    return f"{way}\tid {arrival.trace_id}{named};\r\n\t{at}\r\n".encode("ascii")


@lru_cache(maxsize=1024)
def _way(greeted_as: str, address: str, protocol: str, tls: str | None, hostname: str) -> str:
    """Return the first lines, which are the same for all that comes over one connection."""
    claimed = greeted_as if _CLAIMED.fullmatch(greeted_as) else "unknown"
    secured = f" ({_TLS.sub('', tls)})" if tls else ""
    return f"Received: from {claimed} ({_literal(address)})\r\n\tby {hostname} with {protocol}{secured}\r\n"


@lru_cache(maxsize=16)
def _second(at: str) -> str:
    """Return a second (ISO 8601, with its zone) as mail writes it (RFC 5322 3.3): once for all that came in it."""
    return format_datetime(datetime.fromisoformat(at))


def _literal(address: str) -> str:
    """Return an IP address as an address literal (RFC 5321 4.1.3)."""
    parsed = ip_address(address)
    return f"[IPv6:{parsed.compressed}]" if isinstance(parsed, IPv6Address) else f"[{parsed}]"

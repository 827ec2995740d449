"""Hops of the gateway towards scripted peers, closed when the test ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.config.model import Hop, HopProtocol, HopTls
from gateway.relay.hop import smtp_hop
from support.way_out import OURS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gateway.relay.hop import SmtpHop
    from support.hops import FakeHop


@pytest.fixture
async def hop_to() -> AsyncIterator[Callable[..., SmtpHop]]:
    """Make hops towards doubles or endpoints; keywords are settings of the configuration."""
    made: list[SmtpHop] = []

    def make(*fakes: FakeHop | str, **settings: Any) -> SmtpHop:
        addresses = tuple(each if isinstance(each, str) else each.address for each in fakes)
        lmtp = any(not isinstance(each, str) and each.lmtp for each in fakes)
        defaults = {"tls": HopTls.NONE, "protocol": HopProtocol.LMTP if lmtp else HopProtocol.SMTP}
        made.append(smtp_hop(Hop(name="next", addresses=addresses, **{**defaults, **settings}), OURS))
        return made[-1]

    yield make
    for each in made:
        await each.close()

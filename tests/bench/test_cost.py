"""A message must not come to cost twice what it costs: processor time of the gateway for hundreds of messages.

If the reason is a good one, `make bench-costs` writes down what it costs now.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from bench import costs

SLOWED: Final = Path(__file__).parents[1] / "support/slowed.py"


def test_a_message_costs_what_it_did() -> None:
    """Signing and handing on, and judging, tagging and handing on, cost less than twice what is written down."""
    assert costs.too_dear(costs.measured(), costs.written()) == {}


def test_a_slower_gateway_is_noticed() -> None:
    """The same gateway, busy for twelve milliseconds more with each message, costs too much in both directions."""
    found = costs.measured(rounds=1, messages=40, before=(sys.executable, str(SLOWED), "0.012"))
    assert costs.too_dear(found, costs.written()).keys() == {"outbound", "inbound"}

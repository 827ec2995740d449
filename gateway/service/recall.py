"""What is remembered of a message once policy has decided about it: facts and rulings, never content.

A draft policy is tried on these later. A message that was kept and goes through the journey again is the same message:
it is remembered once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core.envelope import Direction
from gateway.core.past import PastMessage, PastRuling
from gateway.core.received import Submission
from gateway.policy.describe import describe, remembered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core.decision import InboundDecision, OutboundDecision, Share
    from gateway.core.received import Received
    from gateway.policy.model import Facts
    from gateway.ports import Memory


def remember(
    memory: Memory,
    received: Received,
    facts: Facts,
    shares: Sequence[Share[OutboundDecision]] | Sequence[Share[InboundDecision]],
) -> None:
    """Note one message and what was decided about it, unless it has been noted before."""
    if received.again is not None or not shares:
        return
    arrival = received.arrival
    memory.remember(
        PastMessage(
            trace_id=arrival.trace_id,
            at=arrival.at,
            direction=Direction.OUTBOUND if isinstance(received, Submission) else Direction.INBOUND,
            facts=remembered(facts),
            recipients=tuple([str(each.mailbox) for each in arrival.envelope.recipients]),
            rulings=tuple(
                [PastRuling(each.indexes, each.ruling.rule, describe(each.ruling.decision)) for each in shares]
            ),
            policy_digest=shares[0].ruling.policy_digest,
        )
    )

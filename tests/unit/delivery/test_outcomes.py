"""What stands for kept mail when it goes on: as old as it was, or new, and nobody is warned twice."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from gateway.core.queue import Kind
from gateway.delivery.outcomes import Outcomes
from gateway.delivery.settle import new_entry
from support.consigning import consignment
from support.handing import SETTINGS, START

if TYPE_CHECKING:
    from gateway.core.address import Mailbox

NOW: Final = START + dt.timedelta(days=1)


class Rooms:
    """A day later, with one way for everybody."""

    def now(self) -> dt.datetime:
        return NOW

    def inbound(self, _: Mailbox) -> str:
        return "home"

    def outbound(self, _: Mailbox) -> str:
        return "home"

    def through(self, hop: str, _: Mailbox) -> str:
        return hop


@pytest.mark.parametrize("kind", [Kind.TO_SIGN, Kind.RELEASED])
def test_what_stands_for_kept_mail(kind: Kind) -> None:
    """Signed after waiting for its key, mail keeps its age and the memory of a warning; released, it begins anew."""
    rooms = Rooms()
    outcomes = Outcomes(settings=SETTINGS, hostname="gw.example", routes=rooms, clock=rooms, new_id=lambda: "n")
    warned = START + dt.timedelta(hours=4)
    before = replace(new_entry(consignment(kind=kind), "e", SETTINGS, START), warned_at=warned)
    (after,) = outcomes.entries(before, [consignment()])
    old = kind is Kind.TO_SIGN
    assert after.next_attempt_at == NOW
    assert after.received_at == (START if old else NOW)
    assert after.expires_at == (before.expires_at if old else NOW + dt.timedelta(seconds=SETTINGS.expire_after))
    assert after.warned_at == (warned if old else None)

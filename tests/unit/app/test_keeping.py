"""The end of kept mail: said before, on record, told to whoever can be told, whatever stood still meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest
import structlog

from gateway.app.keeping import Keeping
from gateway.core.envelope import Direction
from gateway.core.events import Stage
from gateway.core.queue import Kind
from gateway.delivery.outcomes import Outcomes
from gateway.spool.acts import By
from gateway.spool.desk import Desk, Outcome
from gateway.spool.orders import Order, Orders
from gateway.spool.store import SqliteSpool
from support.spooled import NOW, entry, settings, with_consignment

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.core.address import Mailbox
    from gateway.core.events import Event
    from gateway.spool.acts import Act

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)


class House:
    """Rooms for `Keeping`: a clock to set, a recorder that keeps, one way home for every sender."""

    def __init__(self, place: Path) -> None:
        self.settings = settings(place)
        self.at = NOW
        self.events: list[Event] = []
        outcomes = Outcomes(
            settings=self.settings, hostname="gw.example", routes=self, clock=self, new_id=lambda: "notice"
        )
        self.keeping = Keeping(self.settings, outcomes=outcomes, clock=self, recorder=self, on_committed=lambda: None)

    def now(self) -> datetime:
        return self.at

    def record(self, event: Event) -> None:
        self.events.append(event)

    def inbound(self, _: Mailbox) -> str:
        return "home"

    def outbound(self, _: Mailbox) -> str:
        return "home"

    def through(self, hop: str, _: Mailbox) -> str:
        return hop

    def look(self, at: datetime) -> list[str]:
        """Look at a time, and return what was said, of which entry."""
        self.at = at
        with structlog.testing.capture_logs() as said:
            self.keeping.look()
        return [f"{each['event']}: {each['entry']}" for each in said]

    def acts(self) -> tuple[Act, ...]:
        with Desk(self.settings) as desk:
            return desk.acts()


@pytest.fixture
async def house(tmp_path: Path) -> House:
    """Return a house with mail of every kind, all come at NOW."""
    made = House(tmp_path)
    spool = SqliteSpool(made.settings)
    outside = entry(kind=Kind.QUARANTINED, entry_id="outside")
    await spool.commit(
        [
            entry(kind=Kind.HELD, entry_id="held"),
            with_consignment(outside, direction=Direction.INBOUND, answered_for=False),
            *(entry(kind=each, entry_id=each.value) for each in (Kind.DELIVER, Kind.TO_SIGN, Kind.RELEASED)),
        ]
    )
    await spool.close()
    return made


async def test_said_then_ended(house: House) -> None:
    """A week before its end it is said, once; at its end it is gone, its sender told, and all of it on record."""
    assert house.look(NOW + 22 * DAY) == []
    assert house.look(NOW + 23 * DAY) == ["kept mail will end: held", "kept mail will end: outside"]
    assert house.look(NOW + 29 * DAY) == []
    assert house.look(NOW + 30 * DAY) == ["kept mail has ended: held", "kept mail has ended: outside"]
    assert house.look(NOW + 31 * DAY) == []
    assert [(each.what, each.entry_id, each.detail) for each in house.acts()] == [
        ("expire", "held", "sender told"),
        ("expire", "outside", "nobody told"),
    ]
    assert [each.stage for each in house.events] == [Stage.FAILED, Stage.NOTIFIED]
    with Desk(house.settings) as desk:
        assert sorted(each.entry_id for each in desk.entries()) == ["deliver", "notice", "released", "to_sign"]
        notice = desk.load("notice")
    assert notice is not None
    assert b"Status: 5.4.7" in notice.consignment.message.octets()


async def test_nothing_ends_unsaid(house: House) -> None:
    """A gateway that stood still for months says it first, and ends nothing before as many days as promised."""
    assert house.look(NOW + 200 * DAY) == ["kept mail will end: held", "kept mail will end: outside"]
    assert house.look(NOW + 206 * DAY) == []
    assert len(house.look(NOW + 207 * DAY)) == 2


async def test_what_somebody_let_go_does_not_end(house: House) -> None:
    """Released or removed by a person in the last days, it is that person's matter."""
    house.look(NOW + 23 * DAY)
    with Desk(house.settings) as desk:
        desk.release("held", By("lan", "", NOW + 29 * DAY))
        desk.delete("outside", By("lan", "", NOW + 29 * DAY))
    assert house.look(NOW + 30 * DAY) == []


async def test_forgotten_frozen_mail(house: House) -> None:
    """Mail that is kept back for a day is said, and again each day, until somebody lets it go; it never ends so."""
    with Orders(house.settings) as orders:
        assert orders.order(Order.FREEZE, "deliver", By("lan", "", NOW)) is Outcome.DONE
    assert house.look(NOW + DAY - HOUR) == []
    assert house.look(NOW + DAY) == ["mail is still frozen: deliver"]
    assert house.look(NOW + DAY + HOUR) == []
    assert house.look(NOW + 2 * DAY) == ["mail is still frozen: deliver"]
    with Orders(house.settings) as orders:
        orders.order(Order.THAW, "deliver", By("lan", "", NOW + 2 * DAY))
    assert house.look(NOW + 4 * DAY) == []


async def test_being_said_frozen_is_not_being_said_to_end(house: House) -> None:
    """Mail that was kept back, let go and then failed for good is kept as long as any other."""
    with Orders(house.settings) as orders:
        orders.order(Order.FREEZE, "deliver", By("lan", "", NOW))
    house.look(NOW + 20 * DAY)
    with Orders(house.settings) as orders:
        orders.order(Order.THAW, "deliver", By("lan", "", NOW + 21 * DAY))
    spool = SqliteSpool(house.settings)
    (claimed,) = (each for each in await spool.due(NOW + 21 * DAY, 9) if each.entry_id == "deliver")
    await spool.settle(with_consignment(claimed, kind=Kind.QUARANTINED, hop="", reason="undeliverable 550 no"))
    await spool.close()
    assert "kept mail will end: deliver" in house.look(NOW + 31 * DAY)
    assert "kept mail has ended: deliver" in house.look(NOW + 38 * DAY)


async def test_beside_an_open_store(house: House) -> None:
    """It looks while the gateway of the same process has the store open: no lock of that is lost."""
    spool = SqliteSpool(house.settings)
    assert len(house.look(NOW + 23 * DAY)) == 2
    await spool.commit([entry(entry_id="new")])
    assert {each.entry_id for each in await spool.due(NOW + DAY, 9)} == {"new", "deliver"}
    await spool.close()

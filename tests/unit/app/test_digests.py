"""The daily digest: who is told of what, once a day however many look, and never anybody outside."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.app import digests as digests_room
from gateway.app.digests import Digests
from gateway.app.keeping import Keeping
from gateway.config.digest import DigestSettings
from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Direction, Envelope, Recipient
from gateway.core.queue import Kind, RecipientState
from gateway.delivery.outcomes import Outcomes
from gateway.spool.acts import By
from gateway.spool.orders import Order, Orders
from support.spooled import entry, with_consignment

if TYPE_CHECKING:
    from email.message import EmailMessage

    from gateway.core.events import Event
    from gateway.core.queue import Entry
    from gateway.spool.orders import Orders as OpenOrders
    from support.grounds import Ground

MORNING: Final = datetime(2026, 8, 22, 0, 30, tzinfo=UTC)
"""07:30 where offices are."""
DAY: Final = timedelta(days=1)
POSTMASTER: Final = "quan-tri@tinh.example"
LETTER: Final = (
    b"Subject: =?utf-8?q?K=E1=BA=BF_ho=E1=BA=A1ch?= http://evil.example/x\r\nBcc: z@z.example\r\n\r\nNOI DUNG MAT\r\n"
)


class House:
    """Rooms for digests: domains of ours are xa.example and tinh.example, everything else is outside."""

    def __init__(self, ground: Ground, **changes: Any) -> None:
        self.settings = ground.settings()
        self.at = MORNING
        self._tokens = iter(range(10_000))
        self._lock = threading.Lock()
        outcomes = Outcomes(settings=self.settings, hostname="gw.example", routes=self, clock=self, new_id=self._token)
        digest = DigestSettings(postmaster=POSTMASTER, **changes)
        self.digests = Digests(
            self.settings, digest, outcomes=outcomes, routes=self, agency=_agency, hostname="gw.example"
        )
        self.keeping = Keeping(
            self.settings,
            outcomes=outcomes,
            clock=self,
            recorder=self,
            on_committed=lambda: None,
            digests=self.digests,
        )

    def _token(self) -> str:
        with self._lock:
            return f"digest{next(self._tokens):04}"

    def now(self) -> datetime:
        return self.at

    def record(self, _: Event) -> None:
        pass

    def inbound(self, mailbox: Mailbox) -> str | None:
        return "home" if mailbox.domain in {"xa.example", "tinh.example"} else None

    def outbound(self, mailbox: Mailbox) -> str | None:
        return None if mailbox.domain == "nowhere.example" else "out"

    def through(self, hop: str, _: Mailbox) -> str:
        return hop

    def send(self, at: datetime = MORNING) -> int:
        with Orders(self.settings) as orders:
            return self.digests.send(orders, at)

    def told(self) -> dict[str, EmailMessage]:
        """Return the digests that lie in the spool, by who gets them; nobody may get two."""
        found: dict[str, EmailMessage] = {}
        with Orders(self.settings) as orders:
            for each in orders.entries(kinds=frozenset({Kind.DELIVER})):
                stored = orders.load(each.entry_id)
                assert stored is not None
                consignment = stored.consignment
                if not consignment.reason.startswith("notice digest"):
                    continue
                assert consignment.envelope.reverse_path == NULL_PATH
                (recipient,) = consignment.envelope.recipients
                assert recipient.notify == frozenset(), "nobody is told if it fails"
                assert str(recipient.mailbox) not in found
                octets = consignment.message.octets()
                assert octets.isascii()
                found[str(recipient.mailbox)] = message_from_bytes(
                    octets, policy=policy.default.clone(raise_on_defect=True)
                )
        return found

    def ids(self) -> dict[str, list[str]]:
        """Return the ids that each owner reads."""
        return {
            to: [line.split()[-1] for line in text_of(each).splitlines() if line.startswith("    Mã thư / id:")]
            for to, each in self.told().items()
        }


def _agency(mailbox: Mailbox) -> str | None:
    return "so-y-te" if mailbox.local.startswith("syt") else None


def text_of(message: EmailMessage) -> str:
    """Return what a person reads."""
    text = message.get_content()
    assert isinstance(text, str)
    return text


def out(entry_id: str, sender: str = "van-thu@tinh.example", *, kind: Kind = Kind.HELD, **changes: Any) -> Entry:
    """Return mail of ours that goes out."""
    path = Mailbox.parse(sender) if sender else NULL_PATH
    made = entry(LETTER, kind=kind, entry_id=entry_id)
    envelope = Envelope(path, (Recipient(Mailbox.parse("mai@congdan.example")),) * 2)
    return with_consignment(made, envelope=envelope, **{"reason": "kế hoạch phải được duyệt", **changes})


def incoming(entry_id: str, *to: str, kind: Kind = Kind.QUARANTINED, **changes: Any) -> Entry:
    """Return mail from outside."""
    envelope = Envelope(Mailbox.parse("ke-la@ngoai.example"), tuple(Recipient(Mailbox.parse(each)) for each in to))
    made = entry(LETTER, kind=kind, entry_id=entry_id, states=(RecipientState.READY,) * len(to))
    given = {"direction": Direction.INBOUND, "answered_for": False, "reason": "thư rác", **changes}
    return with_consignment(made, envelope=envelope, **given)


async def put(ground: Ground, *entries: Entry) -> None:
    """Store entries as a gateway does."""
    spool = ground.open()
    await spool.commit(entries)
    await spool.close()


async def test_who_is_told_of_what(ground: Ground) -> None:
    """Each owner reads what is his; what has no owner who may be told is the postmaster's; no stranger is told."""
    await put(
        ground,
        out("held"),
        out("of-agency", "syt.an@tinh.example"),
        out("partner", "doi-tac@noi-khac.example"),
        out("forged", "giam-doc@ngan-hang.example", reason="sender_not_allowed not_listed: no"),
        out("no-way", "x@nowhere.example"),
        out("unanswered", "y@tinh.example", answered_for=False),
        out("null", ""),
        out("failed", kind=Kind.QUARANTINED, reason="undeliverable 550 5.1.1 no"),
        incoming("spam", "lan@xa.example", "syt.binh@tinh.example", "syt.chi@tinh.example", "b@ben-ngoai.example"),
        incoming("not-delivered", "lan@xa.example", reason="undeliverable 550 5.1.1 no"),
        incoming("moving", "lan@xa.example", kind=Kind.DELIVER),
        incoming("icy", "lan@xa.example", kind=Kind.DELIVER),
    )
    house = House(ground, agencies=({"agency": "so-y-te", "mailbox": "van-thu.syt@tinh.example"},))
    with Orders(house.settings) as orders:
        orders.order(Order.FREEZE, "icy", By("lan", "", MORNING))
    assert house.send() == 5
    assert {to: sorted(some) for to, some in house.ids().items()} == {
        "van-thu@tinh.example": ["held"],
        "van-thu.syt@tinh.example": ["of-agency", "spam"],
        "doi-tac@noi-khac.example": ["partner"],
        "lan@xa.example": ["spam"],
        POSTMASTER: ["failed", "forged", "icy", "no-way", "not-delivered", "null", "spam", "unanswered"],
    }


async def test_without_people(ground: Ground) -> None:
    """Where single people are not to be told, their mail is the postmaster's."""
    await put(ground, out("held"), incoming("spam", "lan@xa.example"))
    house = House(ground, people=False)
    assert house.send() == 1
    assert house.ids() == {POSTMASTER: ["held", "spam"]}


async def test_what_it_says(ground: Ground) -> None:
    """From a machine, to nobody who answers; a subject is text without a link; nothing of the content."""
    await put(ground, out("held"))
    house = House(ground)
    house.send()
    (message,) = house.told().values()
    assert message["Auto-Submitted"] == "auto-generated"
    assert set(message.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
        *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
    }
    text = text_of(message)
    assert "Kế hoạch http[:]//evil[.]example/x" in text
    assert "kế hoạch phải được duyệt" in text
    assert "gateway queue release" in text
    assert "NOI DUNG MAT" not in text
    assert "z@z" not in text


async def test_once_a_day(ground: Ground) -> None:
    """Not before the time of the day, once behind it, again on the next day, and on record with who was told."""
    await put(ground, out("held"))
    house = House(ground, at="07:30")
    assert house.send(MORNING - timedelta(minutes=1)) == 0
    assert house.send(MORNING) == 1
    assert house.send(MORNING + timedelta(hours=16, minutes=29)) == 0
    assert house.send(MORNING + timedelta(hours=17)) == 0, "the next day has begun, its digest is not due"
    with Orders(house.settings) as orders:
        (act,) = orders.acts()
    assert (act.what, act.by.who, act.recipients, act.detail) == (
        "digest",
        "gateway",
        ("van-thu@tinh.example",),
        "2026-08-22 *",
    )
    await put(ground, out("later", "lan@xa.example"))
    assert house.send(MORNING + timedelta(hours=1)) == 0, "what comes later waits for the next day"
    with Orders(house.settings) as orders:
        for each in orders.entries(kinds=frozenset({Kind.DELIVER})):
            orders.delete(each.entry_id, By("lan", "", MORNING))
    assert house.send(MORNING + DAY) == 2


async def test_a_clock_that_was_ahead(ground: Ground) -> None:
    """A day that was told too early does not silence the days before it."""
    await put(ground, out("held"))
    house = House(ground)
    assert house.send(MORNING + 365 * DAY) == 1
    assert house.send(MORNING) == 1


async def test_nothing_kept_nothing_said(ground: Ground) -> None:
    """No mail, and no line on record."""
    await put(ground, incoming("moving", "lan@xa.example", kind=Kind.DELIVER))
    house = House(ground)
    assert house.send() == 0
    with Orders(house.settings) as orders:
        assert orders.acts() == ()


async def test_many_gateways_at_once(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four gateways look in one moment, in parts of three owners: each owner gets one, and none is left out."""
    monkeypatch.setattr(digests_room, "_PART", 3)
    owners = [f"can-bo-{number:02}@tinh.example" for number in range(20)]
    await put(ground, *(out(f"e{number:02}", owner) for number, owner in enumerate(owners)))
    house = House(ground)
    start, counts = threading.Barrier(4), []

    def look() -> None:
        with Orders(house.settings) as orders:
            start.wait()
            counts.append(house.digests.send(orders, MORNING))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(counts) == 20
    assert sorted(house.told()) == owners


async def test_goes_on_where_another_died(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stored before a crash is not sent again, and the rest is."""
    monkeypatch.setattr(digests_room, "_PART", 2)
    await put(ground, *(out(f"e{number}", f"a{number}@tinh.example") for number in range(5)))
    house = House(ground)

    class DyingError(Exception):
        """Stands for the end of a process."""

    class Dying(Orders):
        def digest(self, day: str, begin: str | None, end: str, digests: Any, by: By) -> bool:
            done = super().digest(day, begin, end, digests, by)
            if begin is not None:
                raise DyingError
            return done

    dying: OpenOrders
    with Dying(house.settings) as dying, pytest.raises(DyingError):
        house.digests.send(dying, MORNING)
    assert len(house.told()) == 4
    assert house.send() == 1
    assert len(house.told()) == 5


async def test_a_digest_has_an_end(ground: Ground) -> None:
    """Of very many entries some are named, held ones first, and the others counted."""
    await put(ground, *(incoming(f"s{number:03}", "lan@xa.example") for number in range(250)))
    await put(ground, incoming("held", "lan@xa.example", kind=Kind.HELD))
    house = House(ground)
    assert house.send() == 1
    (ids,) = house.ids().values()
    assert len(ids) == 200
    assert ids[0] == "held"
    (message,) = house.told().values()
    assert "51 more" in text_of(message)
    assert "251" in message["Subject"]


async def test_too_many_owners(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes to very many addresses gets very few of them told: the rest is the postmaster's."""
    monkeypatch.setattr(digests_room, "_MOST_OWNERS", 3)
    await put(ground, incoming("flood", *(f"a{number:02}@xa.example" for number in range(40))))
    house = House(ground)
    assert house.send() == 4
    assert set(house.ids()) == {*(f"a{number:02}@xa.example" for number in range(3)), POSTMASTER}


async def test_with_the_rest_of_keeping(ground: Ground) -> None:
    """`Keeping` sends them with its other work, and looks again when they are due."""
    await put(ground, out("held"))
    house = House(ground)
    house.at = MORNING - timedelta(minutes=10)
    assert house.keeping.look() == 0
    assert house.digests.wait(house.at) == timedelta(minutes=10)
    assert house.digests.wait(MORNING) == DAY
    house.at = MORNING
    assert house.keeping.look() == 1
    assert house.keeping.look() == 0

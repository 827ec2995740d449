"""What is known of our recipients: probed, listed or taken on trust; remembered for a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from gateway.config.model import Hop, LocalDomain, Settings
from gateway.core.address import Mailbox
from gateway.core.errors import SetupError
from gateway.core.reply import Reply
from gateway.relay import probe as rules
from gateway.relay.hop import Hops
from gateway.relay.probe import RecipientChecks
from support.hops import Drop, FakeHop, Hang, by_address, in_turn
from support.way_out import OURS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    ChecksFor = Callable[..., RecipientChecks]

LAN = Mailbox.parse("lan@soyte.example")
NOBODY = Mailbox.parse("khong.co@soyte.example")


class Seconds:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


@pytest.fixture
def clock() -> Seconds:
    """Return a clock for the memory of outcomes."""
    return Seconds()


@pytest.fixture
async def checks_for(clock: Seconds) -> AsyncIterator[ChecksFor]:
    """Make checks for soyte.example at a hop; keywords are settings of the domain."""
    made: list[Hops] = []

    def make(fake: FakeHop | Path, **domain: Any) -> RecipientChecks:
        if isinstance(fake, FakeHop):
            hop = Hop(name="inside", protocol="lmtp" if fake.lmtp else "smtp", addresses=(fake.address,), tls="none")  # type: ignore[arg-type]
        else:
            hop = Hop(name="inside", protocol="maildir", directory=fake)  # type: ignore[arg-type]
        made.append(Hops(Settings.model_construct(hostname=OURS, hops=(hop,))))
        local = LocalDomain(domain="soyte.example", hop="inside", **{"recipients": "probe", **domain})
        return RecipientChecks((local,), made[-1], clock=clock)

    yield make
    for each in made:
        await each.close()


async def said(checks: RecipientChecks, mailbox: Mailbox = LAN) -> str | None:
    """Return code and status of the refusal, None if there is none."""
    reply = await answered(checks, mailbox)
    return None if reply is None else f"{reply.code} {reply.status}"


async def answered(checks: RecipientChecks, mailbox: Mailbox) -> Reply | None:
    """Return the answer, which a hop may have to be asked for."""
    answer = checks.check(mailbox)
    return answer if answer is None or isinstance(answer, Reply) else await answer


@pytest.mark.parametrize("lmtp", [False, True])
async def test_a_probe_asks_once_and_leaves_no_trace(checks_for: ChecksFor, *, lmtp: bool) -> None:
    """Null reverse-path, RCPT, RSET, on one kept connection; the answer is remembered for either kind."""
    async with FakeHop(lmtp=lmtp, answers={"RCPT": by_address({str(NOBODY): "550 5.1.1 secret words"})}) as fake:
        checks = checks_for(fake)
        for _ in range(3):
            assert await said(checks) is None
            assert await said(checks, NOBODY) == "550 5.1.1"
        assert fake.commands[1:] == [
            "MAIL FROM:<>",
            f"RCPT TO:<{LAN}>",
            "RSET",
            "MAIL FROM:<>",
            f"RCPT TO:<{NOBODY}>",
            "RSET",
        ]
        assert fake.connections == 1
        refusal = checks.check(NOBODY)
        assert isinstance(refusal, Reply)  # known, so nobody is asked
        assert "secret" not in refusal.text


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("550 no such user", "550 5.1.1"),
        ("550 5.1.10 not here", "550 5.1.10"),
        ("551 5.1.6 moved", "550 5.1.6"),
        ("550 5.7.1 members only", "550 5.7.1"),
        ("552 5.2.2 full", "550 5.2.2"),
        ("553 5.1.3 syntax", "550 5.1.3"),
        ("450 4.2.0 greylisted", "451 4.1.1"),
        ("421 4.3.2 closing", "451 4.1.1"),
        ("503 5.5.1 order", "451 4.1.1"),
        (Drop(), "451 4.1.1"),
    ],
)
async def test_each_class_of_answer(checks_for: ChecksFor, answer: str | Drop, expected: str) -> None:
    """5xx about the mailbox passes on as 550; what says nothing about it leaves it unverified (handover.md 2)."""
    async with FakeHop(answers={"RCPT": answer}) as fake:
        assert await said(checks_for(fake)) == expected


@pytest.mark.parametrize("answer", ["550 5.7.1 no null senders", "530 5.7.0 STARTTLS first", "451 4.3.0 later"])
async def test_a_refused_mail_says_nothing_about_the_mailbox(checks_for: ChecksFor, answer: str) -> None:
    """A hop that takes no null reverse-path cannot be probed: unverified, not unknown."""
    async with FakeHop(answers={"MAIL": answer}) as fake:
        assert await said(checks_for(fake)) == "451 4.1.1"


async def test_a_mailbox_that_needs_smtputf8(checks_for: ChecksFor) -> None:
    """Where the hop offers it the mailbox is asked for, elsewhere it cannot exist for us."""
    đức = Mailbox.parse("đức@soyte.example")  # noqa: PLC2401 - his name
    async with FakeHop() as fake:
        assert await said(checks_for(fake), đức) is None
        assert fake.commands[1] == "MAIL FROM:<> SMTPUTF8"
    async with FakeHop(keywords=()) as fake:
        assert await said(checks_for(fake), đức) == "550 5.6.7"


async def test_memory_ends(checks_for: ChecksFor, clock: Seconds) -> None:
    """A refused mailbox is asked for again after ten minutes, an accepted one after a day."""
    async with FakeHop(answers={"RCPT": in_turn("550 5.1.1 unknown", "250 ok", "550 5.1.1 gone")}) as fake:
        checks = checks_for(fake)
        assert await said(checks) == "550 5.1.1"
        clock.now += rules.NEGATIVE_SECONDS + 1
        assert await said(checks) is None
        clock.now += rules.POSITIVE_SECONDS - 1
        assert await said(checks) is None
        assert fake.seen("RCPT") == 2
        clock.now += 2
        assert await said(checks) == "550 5.1.1"


async def test_a_hop_that_is_away(checks_for: ChecksFor, clock: Seconds) -> None:
    """Somebody vouched for before is taken for a week, nobody else ever is."""
    async with FakeHop() as fake:
        checks = checks_for(fake)
        assert await said(checks) is None
        await fake.stop()
        clock.now += rules.POSITIVE_SECONDS + 1
        assert await said(checks) is None
        assert await said(checks, NOBODY) == "451 4.1.1"
        clock.now += rules.STALE_SECONDS
        assert await said(checks) == "451 4.1.1"


async def test_many_who_ask_at_once_cause_one_probe(checks_for: ChecksFor) -> None:
    """And one who goes away does not take the answer from the others."""
    async with FakeHop(answers={"RCPT": Hang("250 ok")}) as fake:
        checks = checks_for(fake)
        gone = asyncio.create_task(answered(checks, LAN))
        tasks = [asyncio.create_task(answered(checks, LAN)) for _ in range(20)]
        await asyncio.sleep(0.05)
        gone.cancel()
        fake.release()
        assert await asyncio.gather(*tasks) == [None] * 20
        assert fake.seen("RCPT") == 1
        assert not checks._probing


async def test_guessing_drives_out_no_real_mailbox(checks_for: ChecksFor) -> None:
    """Refused addresses have a bounded memory of their own, and few probes run at once."""
    async with FakeHop(answers={"RCPT": by_address({str(LAN): "250 ok"}, "550 5.1.1 unknown")}) as fake:
        checks = checks_for(fake)
        await answered(checks, LAN)
        guesses = [Mailbox.parse(f"g{n}@soyte.example") for n in range(300)]
        await asyncio.gather(*(answered(checks, each) for each in guesses))
        assert fake.connections <= rules.MOST_PROBES
        for number in range(rules.MOST_REMEMBERED + 10):
            checks._refused.put(f"x{number}@soyte.example", None)
        assert len(checks._refused._known) == rules.MOST_REMEMBERED
        before = fake.seen("RCPT")
        assert await said(checks) is None
        assert fake.seen("RCPT") == before


async def test_a_table_decides_alone(checks_for: ChecksFor, tmp_path: Path) -> None:
    """Listed mailboxes and postmaster (RFC 5321 4.5.1) are taken, all others refused; the hop is not asked."""
    checks = checks_for(tmp_path, recipients="table", table=("lan@soyte.example",))
    assert await said(checks, Mailbox.parse("LAN@SoYTe.example")) is None
    assert await said(checks, Mailbox.parse('"lan"@soyte.example')) is None
    assert await said(checks, Mailbox.parse("Postmaster@soyte.example")) is None
    assert await said(checks, NOBODY) == "550 5.1.1"
    assert await said(checks_for(tmp_path, recipients="table", table=("@soyte.example",)), NOBODY) is None
    assert await checks.takes_everyone("soyte.example") is None


async def test_any_takes_any_of_ours(checks_for: ChecksFor, tmp_path: Path) -> None:
    """But never a mailbox of another domain: we are no open relay."""
    checks = checks_for(tmp_path, recipients="any")
    assert await said(checks, NOBODY) is None
    for stranger in ("postmaster@other.example", "a@x.soyte.example", "a%other.example@soyte.example.other.example"):
        assert await said(checks, Mailbox.parse(stranger)) == "550 5.7.1"


def test_a_maildir_cannot_be_probed(checks_for: ChecksFor, tmp_path: Path) -> None:
    """It takes everybody: to probe it would be to check nothing."""
    with pytest.raises(SetupError, match="table"):
        checks_for(tmp_path)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("250 ok", True), ("550 5.1.1 unknown", False), ("451 4.3.0 later", None), (Drop(), None), ("500 what", None)],
)
async def test_whether_a_hop_takes_everyone(
    checks_for: ChecksFor, answer: str | Drop, *, expected: bool | None
) -> None:
    """`--check` must say when a probe proves nothing."""
    async with FakeHop(answers={"RCPT": answer}) as fake:
        checks = checks_for(fake)
        assert await checks.takes_everyone("soyte.example") is expected
        assert await checks.takes_everyone("other.example") is None

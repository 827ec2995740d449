"""The decision table of the hand-over, row by row: rows 13 to 20, and stopping (`delivery/handover.py`)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core.address import Mailbox
from gateway.core.envelope import Envelope, Notify
from gateway.core.errors import ServiceError, StorageFullError
from gateway.core.message import Message
from gateway.core.queue import Kind, RecipientState
from gateway.delivery.passage import Passage
from gateway.delivery.patience import Bell, Patience
from support.consigning import consignment, recipients
from support.handing import Limits, Process, Script, ScriptedTransaction, World, handed, only_entry, out
from support.simulated import LOOP

if TYPE_CHECKING:
    from gateway.core.reply import Reply

SUCCESS = frozenset({Notify.SUCCESS})


@pytest.mark.parametrize("at", ["begin out", "envelope", "content", "dot"])
def test_row_13_the_clients_leaving_changes_nothing(at: str) -> None:
    """Who waits for the reply may go: the hand-over goes on to its end, and spools nothing."""
    world = out(delay=3.0)

    async def work() -> None:
        process = world.process()
        waiting = asyncio.create_task(process.accept([consignment()]))
        world.at_step = lambda _: LOOP.call_soon(waiting.cancel) and None if world.steps[-1] == at else None
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        await asyncio.sleep(5)

    world.simulate(work)
    assert sum(world.delivered.values()) == 1
    assert not world.disk


def test_row_14_a_hop_without_dsn() -> None:
    """Who asked for success is told `relayed` by us, in the transaction that marks it done."""
    world = World({"out": [Script()]}, limits=Limits(dsn=False))
    reply, _ = handed(world, consignment(notify=SUCCESS), wait=5)
    assert reply.code == 250
    assert world.steps.index("committed") < world.steps.index("dot")
    notice = only_entry(world).consignment
    assert notice.reason == "notice relayed"
    assert b"Action: relayed" in notice.message.octets()
    world = World({"out": [Script()]}, limits=Limits(dsn=False))
    handed(world, consignment(notify=SUCCESS, answered_for=False), wait=5)
    assert "commit" not in world.steps, "nobody answers for this sender: nothing is owed"


def test_row_16_lmtp() -> None:
    """One LMTP recipient is cut through; several are committed first, each with its own answer."""
    world = World({"out": [Script(dot=(550,))]}, lmtp=True)
    assert handed(world, consignment())[0].code == 550
    world = World({"out": [Script(dot=(250, 450, 550))]}, lmtp=True)
    reply, _ = handed(world, consignment(3), wait=5)
    assert reply.code == 250
    assert world.steps.index("committed") < world.steps.index("dot")
    entry, _notice = world.disk.values()
    assert entry.states == (RecipientState.SENT, RecipientState.READY, RecipientState.FAILED)


def test_row_16_lmtp_lost_between_answers() -> None:
    """Answers read before the connection was lost count; the others are unanswered dots."""
    world = World({"out": [Script(dot=(250,))]}, lmtp=True)
    handed(world, consignment(3), wait=5)
    entry = only_entry(world)
    assert entry.states == (RecipientState.SENT, RecipientState.READY, RecipientState.READY)
    assert entry.dot_sent


@pytest.mark.parametrize(("step", "code"), [("begin", 451), ("after", 250)])
def test_row_18_our_own_bugs(step: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug before the dot is raised, for 451 by the journey; one after the hop's 250 leaves it 250."""
    world = out()

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    if step == "begin":
        monkeypatch.setattr(Process, "by_name", broken)
        with pytest.raises(RuntimeError, match="a bug"):
            handed(world, consignment())
    else:
        monkeypatch.setattr(Process, "record", broken)
        assert handed(world, consignment())[0].code == code
    assert not world.disk


def test_row_18_a_bug_after_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waking dispatch and recording come after the commit: their bugs change nothing."""
    world = World()

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Process, "record", broken)
    monkeypatch.setattr(Process, "_wake", broken)
    assert handed(world, consignment(), consignment(first=1))[0].code == 250
    assert handed(world, consignment(kind=Kind.HELD))[0].code == 250
    world.scripts["out"] = [Script(begin="trouble")]
    assert handed(world, consignment())[0].code == 250


def eight_bit() -> Message:
    """Return a message whose body needs 8BITMIME."""
    return Message.of("Subject: x\r\n\r\ncó dấu\r\n".encode())


CANNOT_TRAVEL = [
    (Limits(size=20), {}, (552, "5.3.4")),
    (Limits(smtputf8=False), {"smtputf8": True}, (553, "5.6.7")),
    (Limits(eight_bit=False), {"eight_bit": True, "message": eight_bit()}, (554, "5.6.3")),
]


@pytest.mark.parametrize(("limits", "given", "expected"), CANNOT_TRAVEL)
@pytest.mark.parametrize("parts", [1, 2])
def test_row_19_what_cannot_travel(
    limits: Limits, given: dict[str, Any], expected: tuple[int, str], parts: int
) -> None:
    """Too large, or with octets the hop does not take: refused before anything is sent or stored, also of two parts."""
    world = World(limits=limits)
    reply, _ = handed(world, *(consignment(first=n, **given) for n in range(parts)))
    assert (reply.code, reply.status) == expected
    assert not world.disk
    assert "envelope" not in world.steps
    if expected[0] == 552:
        size = len(consignment().message)
        assert str(size) in reply.text
        assert "20" in reply.text


def test_row_19_asked_for_but_not_needed() -> None:
    """8BITMIME or SMTPUTF8 that the message does not need is not asked of a hop that lacks it."""
    ascii_only = Message.of(b"Subject: x\r\n\r\ny\r\n")
    world = World({"out": [Script()]}, limits=Limits(eight_bit=False, smtputf8=False))
    reply, _ = handed(world, consignment(eight_bit=True, smtputf8=True, message=ascii_only))
    assert reply.code == 250
    assert not world.disk


def test_row_19_an_international_address() -> None:
    """A mailbox beyond ASCII needs SMTPUTF8 whatever the header holds."""
    ascii_only = Message.of(b"Subject: x\r\n\r\ny\r\n")
    plain = consignment(smtputf8=True, message=ascii_only)
    envelope = Envelope(Mailbox.parse("lân@so-a.example"), recipients(1), smtputf8=True)
    reply, _ = handed(World(limits=Limits(smtputf8=False)), replace(plain, envelope=envelope))
    assert (reply.code, reply.status) == (553, "5.6.7")


def test_row_20_the_store_is_full_or_out_of_order() -> None:
    """452 4.3.1 for a full disk, 451 for other trouble; nothing stored."""
    world = World(commit_faults=[StorageFullError("full")])
    reply, _ = handed(world, consignment(kind=Kind.HELD))
    assert (reply.code, reply.status) == (452, "4.3.1")
    world = World(commit_faults=[ServiceError("locked")] * 2)
    reply, process = handed(world, consignment(kind=Kind.HELD))
    assert (reply.code, reply.status) == (451, "4.3.0")
    assert not world.disk
    assert not process.events


def test_row_20_an_unknown_outcome_is_asked_once_more() -> None:
    """A commit that failed in an unknown way is repeated with the same ids, and counts once."""
    world = World(commit_faults=[ServiceError("connection lost")])
    world.keep_anyway = True
    reply, _ = handed(world, consignment(kind=Kind.HELD))
    assert reply.code == 250
    assert len(world.disk) == 1


@pytest.mark.parametrize("script", [Script(begin="hang"), Script(delay=900.0)])
def test_sigterm_ends_waiting_at_once(script: Script) -> None:
    """Draining answers waiting clients as if the budget were spent, and settles what stays unanswered."""
    world = World({"out": [script]})

    async def work() -> Reply:
        process = world.process()
        waiting = asyncio.create_task(process.handover.hand_over([consignment()]))
        await asyncio.sleep(2)
        await process.handover.drain(5)
        assert waiting.done()
        return await waiting

    assert world.simulate(work).code == 250
    assert LOOP.moment == pytest.approx(7 if script.delay else 2, abs=0.2)
    entry = only_entry(world)
    assert entry.dot_sent is bool(script.delay)
    assert (entry.next_attempt_at - world.now()).total_seconds() < 61


@pytest.mark.parametrize("delay", [0.0, 900.0])
def test_patience_that_ends_between_two_steps(delay: float) -> None:
    """Before the dot nothing is sent any more, and the connection is closed; behind it what was said is heard."""
    world = out(delay=delay)

    async def work() -> None:
        bell = Bell()
        patience = Patience(bell)
        passage = Passage(world.process().by_name("out"), consignment(), (0,))
        await passage.ask(patience)
        transaction = passage._transaction
        assert isinstance(transaction, ScriptedTransaction)
        if delay:
            asyncio.get_running_loop().call_later(5, bell.ring)
            assert await passage.send(patience) is None
            await asyncio.sleep(delay)
        bell.ring()
        attempt = await passage.send(patience)
        assert attempt is not None
        if delay:
            assert attempt.replies[0].code == 250
            return
        assert (attempt.replies, attempt.trouble, attempt.unanswered) == ({}, "no answer in time", frozenset())
        assert transaction.given_up

    world.simulate(work)
    assert world.delivered.total() == bool(delay)


def test_after_draining_mail_is_spooled() -> None:
    """A message that arrives while we stop is committed without waiting for anybody."""
    world = World()

    async def work() -> Reply:
        process = world.process()
        await process.handover.close()
        return await process.handover.hand_over([consignment()])

    assert world.simulate(work).code == 250
    assert world.steps == ["commit", "committed"]


def test_a_settlement_is_stored_stubbornly() -> None:
    """An answer that was read is not forgotten because the store is out of order for some seconds."""
    world = World({"out": [Script(rcpt=(250, 550))]}, settle_faults=[ServiceError("locked")] * 3)
    handed(world, consignment(2), wait=30)
    assert only_entry(world).consignment.reason == "notice failed"
    assert sum(world.delivered.values()) == 1

"""The decision table of the hand-over, row by row (`service/handover.py`)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Envelope, Notify
from gateway.core.errors import ServiceError, StorageFullError
from gateway.core.events import Stage
from gateway.core.message import Message
from gateway.core.queue import Kind, RecipientState
from gateway.core.reply import Reply
from support.handing import LOOP, Limits, Process, Script, ScriptedTransaction, World, consignment, recipients

if TYPE_CHECKING:
    from gateway.core.queue import Consignment

SUCCESS = frozenset({Notify.SUCCESS})


def handed(world: World, *consignments: Consignment, wait: float = 0.0) -> tuple[Reply, Process]:
    """Hand over, let `wait` simulated seconds pass, and return the reply and the process."""

    async def work() -> tuple[Reply, Process]:
        process = world.process()
        began = LOOP.time()
        reply = await process.handover.hand_over(consignments)
        world.answered_after = LOOP.time() - began
        if wait:
            await asyncio.sleep(wait)
        return reply, process

    return world.simulate(work)


def out(**script: Any) -> World:
    """Return a world whose hop does this in the first transaction."""
    return World({"out": [Script(**script)]})


def only_entry(world: World) -> Any:
    """Return the one entry on disk."""
    (entry,) = world.disk.values()
    return entry


def test_row_1_cut_through() -> None:
    """The hop's one 250 is ours, with our id; nothing is stored, the DSN wishes travelled on."""
    world = out()
    reply, process = handed(world, consignment(3, notify=SUCCESS, envid="E1"))
    assert str(reply) == "250 2.0.0 trace1 accepted"
    assert not world.disk
    assert world.steps == ["begin out", "envelope", "content", "dot", "answer"]
    assert process.stages() == [Stage.HANDED_OVER]
    assert process.events[0].facts["code"] == 250
    assert set(world.delivered.values()) == {1}


@pytest.mark.parametrize("kind", [Kind.HELD, Kind.QUARANTINED, Kind.TO_SIGN])
def test_row_3_what_is_kept_is_committed(kind: Kind) -> None:
    """Held, quarantined and unsigned mail is answered 250 after the commit; only a held one says so."""
    world = World()
    reply, process = handed(world, consignment(2, kind=kind))
    assert reply.code == 250
    assert ("held for approval" in reply.text) is (kind is Kind.HELD)
    assert "trace1" in reply.text
    assert only_entry(world).consignment.kind is kind
    stages = {Kind.HELD: Stage.HELD, Kind.QUARANTINED: Stage.QUARANTINED, Kind.TO_SIGN: Stage.SPOOLED}
    assert process.stages() == [stages[kind]]


def test_row_3_several_shares_are_committed_together() -> None:
    """Several parts are one transaction of the store, due at once; no hop is asked before the answer."""
    world = World()
    reply, process = handed(world, consignment(1), consignment(2, hop="far", first=1), consignment(kind=Kind.HELD))
    assert reply.code == 250
    assert "in part" in reply.text
    assert world.steps == ["commit", "committed"]
    assert len(world.disk) == 3
    assert process.woken == 1
    assert all(each.next_attempt_at <= world.now() for each in world.disk.values())


def test_row_4_mixed_recipients_commit_before_the_dot() -> None:
    """After a mixed RCPT the commit comes first, then the dot on the same connection; 4xx stays, 5xx is reported."""
    world = out(rcpt=(250, 450, 550))
    reply, process = handed(world, consignment(3), wait=5)
    assert reply.code == 250
    assert world.steps.index("committed") < world.steps.index("dot")
    assert world.steps.count("begin out") == 1
    entry, notice = world.disk.values()
    assert entry.states == (RecipientState.SENT, RecipientState.READY, RecipientState.FAILED)
    assert not entry.dot_sent
    assert notice.consignment.hop == "home"
    assert notice.consignment.envelope.reverse_path == NULL_PATH
    assert process.stages() == [Stage.SPOOLED, Stage.DELIVERED, Stage.FAILED, Stage.DEFERRED, Stage.NOTIFIED]


def test_row_4_the_entry_is_leased_while_its_dot_is_open() -> None:
    """Between the commit and the dot's answer the entry is nobody else's, and says that a dot may be out."""
    world = out(rcpt=(250, 450), delay=300.0)
    handed(world, consignment(2))
    entry = only_entry(world)
    assert entry.dot_sent
    assert (entry.next_attempt_at - world.now()).total_seconds() >= 600
    assert entry.open_indexes == (0, 1)


@pytest.mark.parametrize("fault", [StorageFullError("full"), ServiceError("locked")])
def test_row_4_no_commit_no_dot(fault: Exception) -> None:
    """When the commit fails nobody gets the message: 452 4.3.1, no dot."""
    world = out(rcpt=(250, 550))
    world.commit_faults = [fault, fault]
    reply, _ = handed(world, consignment(2))
    assert (reply.code, reply.status) == (452, "4.3.1")
    assert "dot" not in world.steps
    assert not world.disk


def test_row_4_only_refusals_of_both_kinds() -> None:
    """4xx and 5xx without any 2xx: committed at once with the report, and no dot is sent."""
    world = out(rcpt=(450, 550))
    reply, _ = handed(world, consignment(2))
    assert reply.code == 250
    assert "content" not in world.steps
    entry, _notice = world.disk.values()
    assert entry.states == (RecipientState.READY, RecipientState.FAILED)


@pytest.mark.parametrize("script", [Script(rcpt=(550, 550)), Script(dot=(550,))])
@pytest.mark.parametrize("answered_for", [True, False])
def test_row_5_a_refusal_of_all_is_ours(script: Script, answered_for: bool) -> None:  # noqa: FBT001 - a case
    """A 5xx for everybody becomes our reply with its enhanced code; nothing is stored and nobody is told by mail."""
    world = World({"out": [script]})
    reply, process = handed(world, consignment(2, answered_for=answered_for))
    assert (reply.code, reply.status) == (550, "5.1.1")
    assert not world.disk
    assert process.events[0].facts["done"] is False


@pytest.mark.parametrize("script", [Script(rcpt=(450, 451)), Script(dot=(451,)), Script(rcpt=(421, 421))])
def test_row_6_a_delay_for_all(script: Script) -> None:
    """A 4xx for everybody: a submission is kept and answered 250, another mail system gets the 4xx."""
    world = World({"out": [script]})
    reply, _ = handed(world, consignment(2))
    assert reply.code == 250
    entry = only_entry(world)
    assert entry.attempts == 1
    assert 44 < (entry.next_attempt_at - world.now()).total_seconds() < 61
    world = World({"out": [script]})
    reply, _ = handed(world, consignment(2, answered_for=False))
    assert reply.code in {450, 451}, "a 421 of the hop would end our own session"
    assert not world.disk


@pytest.mark.parametrize("answered_for", [True, False])
@pytest.mark.parametrize(
    "script",
    [Script(begin="trouble"), Script(rcpt=(530,)), Script(rcpt=(503,)), Script(data="lost")],
    ids=["connect", "530", "503", "lost"],
)
def test_row_7_an_unusable_hop(script: Script, answered_for: bool) -> None:  # noqa: FBT001 - a case
    """Trouble of the site, its 5xx included, never reaches the client: 250 after the commit."""
    world = World({"out": [script]})
    reply, _ = handed(world, consignment(answered_for=answered_for))
    assert reply.code == 250
    assert only_entry(world).open_indexes == (0,)
    assert not only_entry(world).dot_sent


def test_row_7_an_open_breaker_is_not_tried() -> None:
    """While the breaker is open the message is spooled at once, for after the first interval."""
    world = World()
    world.unusable.add("out")
    reply, process = handed(world, consignment())
    assert reply.code == 250
    assert world.steps == ["commit", "committed"]
    assert only_entry(world).next_attempt_at > world.now()
    assert process.stages() == [Stage.SPOOLED, Stage.DEFERRED]


@pytest.mark.parametrize("script", [Script(begin="hang"), Script(data="hang")])
def test_row_8_the_budget_ends_before_the_dot(script: Script) -> None:
    """After 20 s without a dot the connection is closed and the message spooled; no dot ever follows."""
    world = World({"out": [script]})
    reply, _ = handed(world, consignment(), wait=4000)
    assert reply.code == 250
    assert world.answered_after == pytest.approx(20, abs=0.1)
    assert "dot" not in world.steps
    assert not only_entry(world).dot_sent


@pytest.mark.parametrize(("code", "left"), [(250, 0), (450, 1), (550, 1)])
def test_row_9_the_outstanding_answer_settles(code: int, left: int) -> None:
    """Behind an open dot the client gets 250 at 20 s; the answer that comes later settles the entry."""
    world = out(dot=(code,), delay=100.0)
    reply, process = handed(world, consignment())
    assert reply.code == 250
    assert world.answered_after == pytest.approx(20, abs=0.1)
    assert only_entry(world).dot_sent

    world = out(dot=(code,), delay=100.0)
    reply, process = handed(world, consignment(), wait=101)
    assert len(world.disk) == left
    if code == 450:
        assert only_entry(world).open_indexes == (0,)
        assert not only_entry(world).dot_sent
    if code == 550:
        assert only_entry(world).consignment.reason == "notice failed"
        assert Stage.NOTIFIED in process.stages()


def test_row_9_an_answer_that_never_comes() -> None:
    """Ten minutes after the commit the connection is closed, the message retried and counted as possible duplicate."""
    world = out(delay=5000.0)
    _, process = handed(world, consignment(), wait=630)
    assert only_entry(world).dot_sent
    assert (only_entry(world).next_attempt_at - world.now()).total_seconds() < 60
    deferred = next(each for each in process.events if each.stage is Stage.DEFERRED)
    assert deferred.facts["possible_duplicate"] == 1


def test_row_10_lost_after_the_dot() -> None:
    """A connection lost behind the dot: 250 after the commit, a retry after the first interval, counted."""
    world = out(dot=(0,))
    reply, process = handed(world, consignment(2))
    assert reply.code == 250
    entry = only_entry(world)
    assert entry.dot_sent
    assert 44 < (entry.next_attempt_at - world.now()).total_seconds() < 61
    assert process.events[-1].facts["possible_duplicate"] == 2


def test_row_10_the_hop_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hop that says "lost after the dot" is believed, whatever else it says of the dot."""
    monkeypatch.setattr(ScriptedTransaction, "dot_sent", property(lambda _: False, lambda *_: None), raising=False)
    world = out(dot=(0,))
    handed(world, consignment())
    assert only_entry(world).dot_sent


def test_row_10_a_bug_behind_the_dot_is_an_unanswered_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks between a dot and its answer, the message is kept."""
    world = out()

    def broken(*_: object) -> Reply:
        raise RuntimeError("a bug in the client")

    monkeypatch.setattr(
        "support.handing.answer", lambda code, stage: broken() if stage == "dot" else Reply(250, None, ("",))
    )
    reply, _ = handed(world, consignment())
    assert reply.code == 250
    assert only_entry(world).dot_sent


@pytest.mark.parametrize(("code", "expected"), [(250, 250), (550, 550), (450, 452)])
def test_row_11_after_9_the_hops_answer_is_waited_for(code: int, expected: int) -> None:
    """The dot is out, the store is full: the client waits on and gets the hop's answer; nothing is stored."""
    world = out(dot=(code,), delay=200.0)
    world.commit_faults = [StorageFullError("full")] * 9
    reply, _ = handed(world, consignment())
    assert reply.code == expected
    assert world.answered_after == pytest.approx(200, abs=0.1)
    assert not world.disk


def test_row_11_after_9_waiting_ends_before_eight_minutes() -> None:
    """A client gives up after ten minutes: 451 comes before."""
    world = out(delay=5000.0)
    world.commit_faults = [StorageFullError("full")] * 9
    reply, process = handed(world, consignment())
    assert (reply.code, reply.status) == (451, "4.3.0")
    assert world.answered_after <= 480
    assert process.events[-1].facts["possible_duplicate"] == 1


def test_row_11_after_10() -> None:
    """Lost behind the dot and no commit: 451 4.3.0, nothing stored, counted."""
    world = out(dot=(0,))
    world.commit_faults = [StorageFullError("full")] * 9
    reply, process = handed(world, consignment())
    assert (reply.code, reply.status) == (451, "4.3.0")
    assert not world.disk
    assert process.events[-1].facts["possible_duplicate"] == 1


@pytest.mark.parametrize("at", ["begin out", "envelope", "content", "dot"])
def test_row_13_the_clients_leaving_changes_nothing(at: str) -> None:
    """The hand-over is a task of its own: canceling who waits for it does not stop it, nor spool anything."""
    world = out(delay=3.0)

    async def work() -> None:
        process = world.process()
        waiting = asyncio.create_task(process.handover.hand_over([consignment()]))
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
    assert (entry.next_attempt_at - world.now()).total_seconds() < 61, "no lease is left behind"


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

"""The decision table of the hand-over, row by row: rows 1 to 11 (`delivery/handover.py`)."""

from __future__ import annotations

import pytest

from gateway.core.address import NULL_PATH
from gateway.core.envelope import Notify
from gateway.core.errors import ServiceError, StorageFullError
from gateway.core.events import Stage
from gateway.core.queue import Kind, RecipientState
from gateway.core.reply import Reply
from support.consigning import consignment
from support.handing import Script, ScriptedTransaction, World, handed, only_entry, out

SUCCESS = frozenset({Notify.SUCCESS})


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


@pytest.mark.parametrize("several", [False, True])
def test_row_3_a_stranger_is_not_told_that_mail_is_held(*, several: bool) -> None:
    """Held mail from outside is answered as any other: nobody learns which imitation is looked at."""
    held = consignment(kind=Kind.HELD, answered_for=False)
    world = World()
    reply, process = handed(world, *((consignment(1, answered_for=False),) if several else ()), held)
    assert str(reply) == "250 2.0.0 trace1 accepted"
    assert Stage.HELD in process.stages()
    assert any(each.consignment.kind is Kind.HELD for each in world.disk.values())


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


def test_row_4_the_entry_is_claimed_while_its_dot_is_open() -> None:
    """Between the commit and the dot's answer the entry is nobody else's, and says that a dot may be out.

    It is due: whoever finds it unclaimed knows that we are dead, and need not wait.
    """
    world = out(rcpt=(250, 450), delay=300.0)
    handed(world, consignment(2))
    entry = only_entry(world)
    assert entry.dot_sent
    assert entry.next_attempt_at <= world.now()
    assert world.steps.count("begin out") == 1
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
    assert world.answered_after < 480.1
    assert process.events[-1].facts["possible_duplicate"] == 1


def test_row_11_after_10() -> None:
    """Lost behind the dot and no commit: 451 4.3.0, nothing stored, counted."""
    world = out(dot=(0,))
    world.commit_faults = [StorageFullError("full")] * 9
    reply, process = handed(world, consignment())
    assert (reply.code, reply.status) == (451, "4.3.0")
    assert not world.disk
    assert process.events[-1].facts["possible_duplicate"] == 1

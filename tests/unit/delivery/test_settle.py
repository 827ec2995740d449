"""What an attempt makes of an entry: nobody is lost, and who is told by mail (`delivery/settle.py`, `schedule.py`)."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Notify
from gateway.core.events import Stage
from gateway.core.queue import Entry, Kind, RecipientState
from gateway.core.reply import Reply
from gateway.delivery.returning import kept_too_long, returned
from gateway.delivery.schedule import interval
from gateway.delivery.settle import Attempt, Moment, Settled, Terms, given_back, new_entry, settle
from gateway.mime.report import Action
from support.consigning import SENDER, consignment
from support.handing import SETTINGS, START, answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.core.address import ReversePath

READY, SENT, FAILED = RecipientState.READY, RecipientState.SENT, RecipientState.FAILED
TERMS = Terms(SETTINGS, "gw.example", lambda mailbox: None if mailbox.domain == "nowhere.example" else "home")
MINUTE = dt.timedelta(minutes=1)
WARN_AFTER = dt.timedelta(seconds=SETTINGS.warn_after)


def entry(count: int = 1, **wishes: Any) -> Entry:
    """Return an entry nobody has tried yet."""
    return new_entry(consignment(count, **wishes), "e1", SETTINGS, START)


def tried(before: Entry, codes: Mapping[int, int], *, after: dt.timedelta = MINUTE, **facts: Any) -> Settled:
    """Settle an attempt in which the hop gave these codes by index."""
    attempt = Attempt({index: answer(code, "hop") for index, code in codes.items()}, remote="out", **facts)
    return settle(before, attempt, Moment(START + after, 0.0, "n1"), TERMS)


def actions(settled: Settled) -> list[str]:
    """Return the actions in the one notice, by recipient; none without a notice."""
    assert len(settled.notices) <= 1, "one notice per attempt"
    lines = settled.notices[0].consignment.message.octets().split(b"\r\n") if settled.notices else []
    return [each.removeprefix(b"Action: ").decode() for each in lines if each.startswith(b"Action: ")]


REPLIES = st.sampled_from([200, 250, 251, 299, 354, 421, 450, 452, 499, 500, 550, 599])
WISHES = st.one_of(st.none(), st.frozensets(st.sampled_from(Notify)))
SENDERS = st.sampled_from([SENDER, NULL_PATH, Mailbox.parse("x@nowhere.example"), Mailbox.parse("lân@so-a.example")])


PAUSES = st.sampled_from([MINUTE, dt.timedelta(hours=3), dt.timedelta(days=2)])
ROUNDS = st.lists(st.tuples(PAUSES, st.lists(st.none() | REPLIES, min_size=4, max_size=4), st.booleans()), max_size=5)
LAST = (dt.timedelta(days=6), [None] * 4, False)


@given(rounds=ROUNDS, sender=SENDERS, answered_for=st.booleans(), notify=WISHES, count=st.integers(1, 4))
def test_settling_never_loses_a_recipient(
    rounds: list[tuple[dt.timedelta, list[int | None], bool]],
    sender: ReversePath,
    answered_for: bool,  # noqa: FBT001 - drawn
    notify: frozenset[Notify] | None,
    count: int,
) -> None:
    """Whatever is answered in whatever order: open until accepted or failed for good; a failure is reported or kept."""
    now = entry(count, sender=sender, answered_for=answered_for, notify=notify)
    reported: set[str] = set()
    at = START
    for pause, codes, dot_open in (*rounds, LAST):
        if not now.open_indexes:
            break
        at += pause
        heard = {index: code for index in now.open_indexes if (code := codes[index]) is not None}
        lost = frozenset(now.open_indexes) - heard.keys() if dot_open else frozenset[int]()
        settled = tried(now, heard, after=at - START, unanswered=lost)
        after = settled.entry
        for index, state in enumerate(after.states):
            code = heard.get(index, 0)
            if now.states[index] is not READY:
                assert state is now.states[index], "what is decided stays decided"
            elif 200 <= code < 300:
                assert state is SENT
            elif code >= 500 or at >= now.expires_at:
                assert state is FAILED
            else:
                assert state is READY
        assert after.consignment.message is now.consignment.message
        assert after.consignment.envelope == now.consignment.envelope
        assert not after.open_indexes or after.next_attempt_at > at or after.next_attempt_at == after.expires_at
        if settled.notices:
            assert answered_for
            assert isinstance(sender, Mailbox)
            assert settled.notices[0].consignment.envelope.reverse_path == NULL_PATH
            text = settled.notices[0].consignment.message.octets().decode("ascii")
            reported |= {
                block.partition("\r\n")[0]
                for block in text.split("Final-Recipient: rfc822; ")[1:]
                if "Action: failed" in block
            }
        now = after
    assert not now.open_indexes
    failed = {
        str(each.mailbox)
        for each, state in zip(now.consignment.envelope.recipients, now.states, strict=True)
        if state is FAILED
    }
    unwanted = answered_for and (
        sender == NULL_PATH or not consignment(notify=notify).envelope.recipients[0].wants_failure
    )
    assert failed == reported or unwanted or (failed and now.consignment.kind is Kind.QUARANTINED)


def test_one_notice_for_all_outcomes() -> None:
    """Failed, relayed and delayed stand in one notice; each only if the sender wants it."""
    wishes = frozenset({Notify.FAILURE, Notify.SUCCESS, Notify.DELAY})
    settled = tried(entry(3, notify=wishes), {0: 250, 1: 550, 2: 450}, after=WARN_AFTER)
    assert actions(settled) == [Action.RELAYED, Action.FAILED, Action.DELAYED]
    assert [each.stage for each in settled.events] == [Stage.DELIVERED, Stage.FAILED, Stage.DEFERRED, Stage.NOTIFIED]


@pytest.mark.parametrize(
    ("notify", "code", "expected"),
    [
        (None, 550, ["failed"]),
        (frozenset(), 550, []),
        (frozenset({Notify.SUCCESS}), 550, []),
        (frozenset({Notify.FAILURE}), 550, ["failed"]),
        (frozenset({Notify.SUCCESS}), 250, ["relayed"]),
        (None, 250, []),
    ],
)
def test_notify(notify: frozenset[Notify] | None, code: int, expected: list[str]) -> None:
    """NOTIFY is obeyed; NEVER is the empty set (RFC 3461 4.1)."""
    settled = tried(entry(notify=notify), {0: code})
    assert actions(settled) == expected
    assert settled.entry.consignment.kind is Kind.DELIVER, "it ends here, as the sender asked"


def test_a_hop_with_dsn_reports_success_itself() -> None:
    """Where the wish travelled on, we owe nothing (RFC 3461 5.2.1)."""
    assert actions(tried(entry(notify=frozenset({Notify.SUCCESS})), {0: 250}, reports_success=True)) == []


def test_never_to_the_null_path() -> None:
    """A report or a read receipt that fails ends with its event."""
    settled = tried(entry(sender=NULL_PATH), {0: 550})
    assert not settled.notices
    assert settled.entry.consignment.kind is Kind.DELIVER
    assert settled.events[0].stage is Stage.FAILED


@pytest.mark.parametrize("sender", [SENDER, NULL_PATH])
def test_nobody_answers_for_the_sender(sender: ReversePath) -> None:
    """Mail of strangers that fails is quarantined when its last recipient is done, and nobody is written to."""
    settled = tried(entry(2, answered_for=False, sender=sender), {0: 550, 1: 450})
    assert settled.entry.consignment.kind is Kind.DELIVER
    settled = tried(settled.entry, {1: 250})
    assert not settled.notices
    assert settled.entry.consignment.kind is Kind.QUARANTINED
    assert settled.entry.consignment.reason == "undeliverable 550 5.1.1 hop says 550"
    assert settled.entry.states == (FAILED, SENT)
    assert settled.events[-1].stage is Stage.QUARANTINED


def test_no_way_to_the_sender() -> None:
    """A failure that cannot be reported for want of a route is kept."""
    settled = tried(entry(sender=Mailbox.parse("x@nowhere.example")), {0: 550})
    assert settled.entry.consignment.kind is Kind.QUARANTINED


def test_expiry() -> None:
    """At the expiry the last attempt is made; what is open then has failed with 4.4.7 and the last answer."""
    late = replace(entry(2), last_replies=(answer(450, "hop"), None))
    settled = tried(late, {}, after=dt.timedelta(seconds=SETTINGS.expire_after), trouble="refused")
    assert settled.entry.states == (FAILED, FAILED)
    report = settled.notices[0].consignment.message.octets()
    assert report.count(b"Status: 4.4.7") == 2
    assert b"Diagnostic-Code: smtp; 450 4.2.0 hop says 450" in report
    almost = tried(entry(), {}, after=dt.timedelta(seconds=SETTINGS.expire_after) - MINUTE)
    assert almost.entry.next_attempt_at <= almost.entry.expires_at


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_one_delay_warning(jitter: float) -> None:
    """Over all attempts the sender is warned once, about the time it is due, and told until when we try."""
    now, at, warnings = entry(), START, []
    while now.open_indexes:
        at = max(now.next_attempt_at, START + dt.timedelta(seconds=1))
        settled = settle(now, Attempt({}, "refused"), Moment(at, jitter, "n1"), TERMS)
        if "delayed" in actions(settled):
            warnings.append(at - START)
        now = settled.entry
    assert len(warnings) == 1
    assert WARN_AFTER - dt.timedelta(hours=1) <= warnings[0] <= WARN_AFTER
    assert actions(settled) == ["failed"]


def test_intervals() -> None:
    """Pauses double from retry_first to retry_most; jitter takes off a quarter at most, whatever the count."""
    plain = [interval(SETTINGS, attempts, 0.0).total_seconds() for attempts in (1, 2, 3, 7, 8, 10_000)]
    assert plain == [60, 120, 240, 3600, 3600, 3600]
    assert interval(SETTINGS, 1, 1.0).total_seconds() == pytest.approx(45)


def test_a_retry_after_an_open_dot_is_counted() -> None:
    """An unanswered dot marks the entry and is counted; the mark stays until everybody is done."""
    first = tried(entry(2), {}, unanswered=frozenset({0, 1}))
    assert first.entry.dot_sent
    assert first.events[0].facts["possible_duplicate"] == 2
    second = tried(first.entry, {0: 250, 1: 450})
    assert second.entry.dot_sent
    assert second.events[0].facts["after_unanswered_dot"] is True
    assert not tried(second.entry, {1: 250}).entry.dot_sent


def test_not_asking_is_no_attempt() -> None:
    """What was put off comes back after the first interval, its count unchanged."""
    before = replace(entry(), attempts=7)
    after = settle(before, Attempt({}, "busy", tried=False), Moment(START, 0.0, "n1"), TERMS).entry
    assert after.attempts == 7
    assert after.next_attempt_at - START == dt.timedelta(seconds=60)
    assert not Reply.of(250, None, "x").permanent


def test_a_mailbox_is_the_end_of_the_way() -> None:
    """What an LMTP server or a Maildir takes is delivered; what a relay takes that cannot report is relayed."""
    wish = frozenset({Notify.SUCCESS})
    assert actions(tried(entry(notify=wish), {0: 250}, final=True)) == ["delivered"]
    assert actions(tried(entry(notify=wish), {0: 250})) == ["relayed"]
    assert actions(tried(entry(), {0: 250}, final=True)) == []


def test_warned_once_whatever_an_administrator_does() -> None:
    """Hurried mail is warned of once, as late as it should be; mail that was kept back, at its first failure."""
    before = entry()
    early = tried(before, {}, after=MINUTE)
    assert actions(early) == []
    late = tried(early.entry, {}, after=WARN_AFTER - MINUTE)
    assert actions(late) == ["delayed"]
    hurried = replace(late.entry, next_attempt_at=START + WARN_AFTER - MINUTE)
    assert actions(tried(hurried, {}, after=WARN_AFTER - MINUTE)) == []
    thawed = replace(early.entry, next_attempt_at=START + dt.timedelta(days=3))
    assert actions(tried(thawed, {}, after=dt.timedelta(days=3))) == ["delayed"]


def test_when_to_warn_is_a_setting() -> None:
    """`spool.warn_after` says when; mail that is given up before is not warned of."""
    soon = replace(TERMS, settings=SETTINGS.model_copy(update={"warn_after": 30.0}))
    settled = settle(entry(), Attempt({}, "refused"), Moment(START, 0.0, "n1"), soon)
    assert actions(settled) == ["delayed"]
    never = replace(TERMS, settings=SETTINGS.model_copy(update={"warn_after": SETTINGS.expire_after + 1}))
    now, at = entry(), START
    said: list[str] = []
    while now.open_indexes:
        settled = settle(now, Attempt({}, "refused"), Moment(at, 0.5, "n1"), never)
        said += actions(settled)
        now, at = settled.entry, settled.entry.next_attempt_at
    assert said == ["failed"]


@pytest.mark.parametrize("kind", list(Kind))
def test_given_back(kind: Kind) -> None:
    """An entry of any kind can be ended with a notice: our reason in both languages, for whom it has not reached."""
    before = replace(entry(3, kind=kind), states=(SENT, READY, READY))
    settled = given_back(before, returned("sai địa chỉ / thật"), Moment(START, 0.0, "n1"), TERMS)
    assert settled is not None
    assert actions(settled) == ["failed", "failed"]
    (notice,) = settled.notices
    text = notice.consignment.message.octets()
    assert b"Final-Recipient: rfc822; r0@" not in text
    assert b"Status: 5.7.1" in text
    assert b"Diagnostic-Code" not in text, "no other server said anything"
    words = message_from_bytes(text, policy=default).get_payload(0).get_content()  # type: ignore[union-attr]
    assert "quản trị thư trả lại thư này: sai địa chỉ/thật" in words
    assert "the mail administrator returns this message: sai địa chỉ/thật" in words


@pytest.mark.parametrize(
    "wishes",
    [
        {"answered_for": False},
        {"sender": NULL_PATH},
        {"notify": frozenset[Notify]()},
        {"notify": frozenset({Notify.SUCCESS, Notify.DELAY})},
        {"sender": Mailbox.parse("x@nowhere.example")},
    ],
)
@pytest.mark.parametrize("kind", [Kind.DELIVER, Kind.HELD, Kind.QUARANTINED])
def test_nobody_to_give_back_to(wishes: dict[str, Any], kind: Kind) -> None:
    """Never to a sender nobody answers for, nor to one who wants no word: then nothing ends."""
    assert given_back(entry(kind=kind, **wishes), kept_too_long(30), Moment(START, 0.0, "n1"), TERMS) is None


def test_undeliverable_mail_is_given_back_when_there_is_a_way_again() -> None:
    """What failed and could not be reported for want of a route is reported when it is returned later."""
    kept = tried(entry(2, sender=Mailbox.parse("x@nowhere.example")), {0: 550, 1: 250}).entry
    assert kept.consignment.kind is Kind.QUARANTINED
    now_there = replace(TERMS, route=lambda _: "home")
    settled = given_back(kept, returned("x"), Moment(START, 0.0, "n1"), now_there)
    assert settled is not None
    assert actions(settled) == ["failed"]

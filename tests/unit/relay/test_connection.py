"""Transactions over real sockets: every step, every class of answer, every way to lose the hop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.core.address import Mailbox
from gateway.core.envelope import Envelope, Notify, Recipient, Ret
from gateway.core.message import Message
from gateway.ports import HopError, HopTrouble
from support.hops import KEYWORDS, Drop, FakeHop, Hang, Raw, Slow, by_address, in_turn
from support.waiting import until
from support.way_out import LETTER, arrive, carry, deliver, path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.relay.hop import SmtpHop

    HopTo = Callable[..., SmtpHop]

WITHOUT_PIPELINING = tuple(each for each in KEYWORDS if each != "PIPELINING")


@pytest.mark.parametrize("keywords", [KEYWORDS, WITHOUT_PIPELINING, ()])
async def test_a_message_arrives_octet_for_octet(hop_to: HopTo, keywords: tuple[str, ...]) -> None:
    """Each recipient accepted, one reply after the dot, the octets as they were, with and without PIPELINING."""
    async with FakeHop(keywords=keywords) as fake:
        transaction = await hop_to(fake).begin()
        replies = await transaction.envelope(path("a@x.example", "b@x.example"))
        assert [each.code for each in replies] == [250, 250]
        assert not transaction.dot_sent
        assert [str(each) for each in await transaction.content(LETTER)] == ["250 2.0.0 queued"] * 2
        assert transaction.dot_sent
        assert fake.messages[0].octets == LETTER.octets()
        assert fake.messages[0].lines[1:] == ("RCPT TO:<a@x.example>", "RCPT TO:<b@x.example>")
        assert not fake.violations


async def test_lmtp_over_a_unix_socket_answers_for_each(hop_to: HopTo, tmp_path: Path) -> None:
    """LMTP: one reply per accepted recipient, in order; refused ones have none (RFC 2033 4.2)."""
    async with FakeHop(lmtp=True, unix=tmp_path / "lmtp") as fake:
        fake.answers["RCPT"] = by_address({"b@x.example": "550 5.1.1 unknown"})
        fake.answers["DOT"] = by_address({"c@x.example": "452 4.2.2 full"}, "250 2.0.0 saved")
        hop = hop_to(fake)
        assert hop.per_recipient
        transaction = await hop.begin()
        replies = await transaction.envelope(path("a@x.example", "b@x.example", "c@x.example"))
        assert [each.code for each in replies] == [250, 550, 250]
        assert [str(each) for each in await transaction.content(LETTER)] == ["250 2.0.0 saved", "452 4.2.2 full"]
        await (await hop.begin()).abandon()
        assert fake.connections == 1


async def test_lmtp_that_is_lost_half_way_tells_what_was_read(hop_to: HopTo) -> None:
    """Replies read before the drop stand; the others are unanswered (row 16)."""
    async with FakeHop(lmtp=True) as fake:
        fake.answers["DOT"] = by_address({"a@x.example": "250 2.0.0 saved", "b@x.example": "550 5.2.1 off"}, Drop())
        transaction = await hop_to(fake).begin()
        await transaction.envelope(path("a@x.example", "b@x.example", "c@x.example", "d@x.example"))
        with pytest.raises(HopError) as caught:
            await transaction.content(LETTER)
        assert caught.value.trouble is HopTrouble.LOST_AFTER_DOT
        assert [each.code for each in caught.value.replies] == [250, 550]
        assert transaction.dot_sent


async def test_parameters_travel_where_they_are_offered(hop_to: HopTo) -> None:
    """SIZE, BODY, SMTPUTF8, RET, ENVID, NOTIFY, ORCPT go on as asked; NOTIFY=NEVER is the empty set."""
    recipients = (
        Recipient(Mailbox.parse("a@x.example"), frozenset(), "rfc822;A+2Bb@x.example"),
        Recipient(Mailbox.parse("đức@x.example"), frozenset({Notify.SUCCESS, Notify.DELAY})),
        Recipient(Mailbox.parse("c@x.example")),
    )
    envelope = Envelope(Mailbox.parse("b@y.example"), recipients, True, True, Ret.HDRS, "QQ314159")
    async with FakeHop() as fake:
        transaction = await hop_to(fake).begin()
        await transaction.envelope(envelope, size=4711)
        await transaction.abandon()
        assert fake.commands[1:5] == [
            "MAIL FROM:<b@y.example> SIZE=4711 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ314159",
            "RCPT TO:<a@x.example> NOTIFY=NEVER ORCPT=rfc822;A+2Bb@x.example",
            "RCPT TO:<đức@x.example> NOTIFY=DELAY,SUCCESS",
            "RCPT TO:<c@x.example>",
        ]


async def test_parameters_stay_where_they_are_not(hop_to: HopTo) -> None:
    """A hop without extensions gets plain commands."""
    async with FakeHop(keywords=()) as fake:
        envelope = Envelope(
            Mailbox.parse("b@y.example"),
            (Recipient(Mailbox.parse("a@x.example"), frozenset(), "rfc822;a@x.example"),),
            eight_bit=True,
            ret=Ret.FULL,
            envid="1",
        )
        transaction = await hop_to(fake).begin()
        await transaction.envelope(envelope, size=5)
        await transaction.abandon()
        assert fake.commands[1:3] == ["MAIL FROM:<b@y.example>", "RCPT TO:<a@x.example>"]


@pytest.mark.parametrize("envelope", [path("đức@x.example"), path(smtputf8=True), path(sender="đức@x.example")])
async def test_smtputf8_is_never_sent_raw_to_a_hop_without_it(hop_to: HopTo, envelope: Envelope) -> None:
    """What needs SMTPUTF8 is refused here, and no octet of the envelope is sent (RFC 6531 3.2)."""
    async with FakeHop(keywords=("PIPELINING",)) as fake:
        transaction = await hop_to(fake).begin()
        assert [str(each)[:9] for each in await transaction.envelope(envelope)] == ["553 5.6.7"]
        await transaction.abandon()
        assert fake.seen("MAIL") == 0


@pytest.mark.parametrize("keywords", [KEYWORDS, WITHOUT_PIPELINING])
@pytest.mark.parametrize("answer", ["450 4.2.0 later", "550 5.7.1 no", "552 5.3.4 big", "501 5.1.7 bad address"])
async def test_a_refusal_of_mail_stands_for_all(hop_to: HopTo, answer: str, keywords: tuple[str, ...]) -> None:
    """MAIL's own reply is given for each recipient, and the connection is kept in step."""
    async with FakeHop(keywords=keywords, answers={"MAIL": in_turn(answer, "250 ok")}) as fake:
        hop = hop_to(fake)
        transaction = await hop.begin()
        assert [str(each) for each in await transaction.envelope(path("a@x.example", "b@x.example"))] == [answer] * 2
        await transaction.abandon()
        await deliver(hop)
        assert fake.connections == 1


@pytest.mark.parametrize("answer", ["530 5.7.0 STARTTLS first", "535 5.7.8 who", "500 5.5.1 what", "503 5.5.1 order"])
async def test_a_refusal_to_talk_at_all_is_the_sites_trouble(hop_to: HopTo, answer: str) -> None:
    """530, 535 and 50x to MAIL are never the message's (row 7); another host is tried first."""
    async with FakeHop(answers={"MAIL": answer}) as bad, FakeHop() as good:
        transaction = await hop_to(bad).begin()
        with pytest.raises(HopError) as caught:
            await transaction.envelope(path())
        assert caught.value.trouble is HopTrouble.SITE
        await deliver(hop_to(bad, good))
        assert len(good.messages) == 1


async def test_mixed_replies_keep_their_order(hop_to: HopTo) -> None:
    """One reply per recipient at its own place; the dot reaches those accepted."""
    async with FakeHop() as fake:
        fake.answers["RCPT"] = by_address({"a@x.example": "550 5.1.1 unknown", "c@x.example": "452 4.5.3 too many"})
        transaction = await hop_to(fake).begin()
        replies = await transaction.envelope(path("a@x.example", "b@x.example", "c@x.example"))
        assert [each.code for each in replies] == [550, 250, 452]
        assert [each.code for each in await transaction.content(LETTER)] == [250]


async def test_many_recipients_are_asked_in_batches(hop_to: HopTo) -> None:
    """A thousand recipients: every reply is at its place, whatever one write may hold."""
    async with FakeHop(answers={"RCPT": lambda line: "550 5.1.1 " + "x" * 300 if "7@" in line else "250 ok"}) as fake:
        transaction = await hop_to(fake).begin()
        replies = await transaction.envelope(path(*(f"r{n}@x.example" for n in range(1000))))
        assert [each.code for each in replies] == [550 if n % 10 == 7 else 250 for n in range(1000)]
        assert len(await transaction.content(LETTER)) == 900


@pytest.mark.parametrize(
    ("answers", "codes"),
    [
        ({"MAIL": "421 4.3.2 closing"}, [421, 421, 421]),
        ({"RCPT": in_turn("550 5.1.1 unknown", "421 4.3.2 closing")}, [550, 421, 421]),
        ({"RCPT": in_turn("250 ok", "421 4.3.2 closing")}, [421, 421, 421]),
    ],
)
async def test_421_leaves_nobody_aboard(hop_to: HopTo, answers: dict[str, str], codes: list[int]) -> None:
    """After 421 refusals stand, everybody else is transient, and the connection is closed."""
    async with FakeHop(answers=answers) as fake:
        hop = hop_to(fake)
        transaction = await hop.begin()
        replies = await transaction.envelope(path("a@x.example", "b@x.example", "c@x.example"))
        assert [each.code for each in replies] == codes
        await transaction.abandon()
        await until(lambda: fake.open == 0)
        assert hop.usable


@pytest.mark.parametrize("answer", ["451 4.3.0 later", "554 5.7.1 no"])
async def test_a_refusal_of_data_stands_for_all(hop_to: HopTo, answer: str) -> None:
    """Nothing was sent, each accepted recipient has the refusal, and the connection serves on."""
    async with FakeHop(answers={"DATA": in_turn(answer, "354 go")}) as fake:
        hop = hop_to(fake)
        transaction = await hop.begin()
        await transaction.envelope(path("a@x.example", "b@x.example"))
        assert [str(each) for each in await transaction.content(LETTER)] == [answer] * 2
        assert not transaction.dot_sent
        await deliver(hop)
        assert fake.connections == 1
        assert fake.dots == 1


@pytest.mark.parametrize("answer", ["451 4.3.0 later", "554 5.7.1 no", "421 4.3.2 closing"])
async def test_a_refusal_after_the_dot_is_the_messages(hop_to: HopTo, answer: str) -> None:
    """It is given for every accepted recipient; after 421 the connection is not used again."""
    async with FakeHop(answers={"DOT": in_turn(answer, "250 ok")}) as fake:
        hop = hop_to(fake)
        transaction = await hop.begin()
        await transaction.envelope(path())
        assert [str(each) for each in await transaction.content(LETTER)] == [answer]
        await deliver(hop)
        assert fake.connections == (2 if answer.startswith("421") else 1)


@pytest.mark.parametrize("keywords", [KEYWORDS, WITHOUT_PIPELINING])
@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    "answer", [Drop(), Raw(b"hello\r\n"), Raw(b"354 go\r\n250 ok\r\n"), Raw(b"250-a\r\n251 b\r\n")]
)
async def test_trouble_before_the_dot_is_the_sites(
    hop_to: HopTo, stage: str, answer: Drop | Raw, keywords: tuple[str, ...]
) -> None:
    """A hop that goes away or out of step before the dot never gets a dot."""
    async with FakeHop(answers={stage: answer}, keywords=keywords) as fake:
        hop = hop_to(fake)
        transaction = await hop.begin()
        with pytest.raises(HopError) as caught:
            await carry(transaction)
        assert caught.value.trouble is HopTrouble.SITE
        assert not transaction.dot_sent
        await until(lambda: fake.open == 0)
        assert fake.dots == 0


@pytest.mark.parametrize("answer", [Drop(), Raw(b"354 go\r\n"), Raw(b"ok\r\n"), Raw(b"250"), Hang()])
async def test_no_answer_after_the_dot_is_unknown_not_failed(hop_to: HopTo, answer: Drop | Raw | Hang) -> None:
    """Lost, silent or talking nonsense after the dot: nobody knows, and the connection is closed (row 10)."""
    async with FakeHop(answers={"DOT": answer}) as fake:
        transaction = await hop_to(fake, reply_timeout=0.5).begin()
        with pytest.raises(HopError) as caught:
            await carry(transaction)
        assert caught.value.trouble is HopTrouble.LOST_AFTER_DOT
        assert transaction.dot_sent
        assert caught.value.replies == ()
        fake.release()
        await until(lambda: fake.open == 0)


async def test_a_positive_reply_to_data_is_no_acceptance(hop_to: HopTo) -> None:
    """Only 354 lets the octets go; a 2xx in its place, passed on, would be a message lost."""
    async with FakeHop(answers={"DATA": "250 2.0.0 ok"}) as fake:
        transaction = await hop_to(fake).begin()
        with pytest.raises(HopError) as caught:
            await carry(transaction)
        assert caught.value.trouble is HopTrouble.SITE
        await until(lambda: fake.open == 0)


async def test_too_many_replies_accept_nobody(hop_to: HopTo) -> None:
    """Two replies to one RCPT: whose they are nobody knows."""
    async with FakeHop(answers={"RCPT": Raw(b"250 ok\r\n250 ok\r\n")}) as fake:
        transaction = await hop_to(fake).begin()
        with pytest.raises(HopError):
            await transaction.envelope(path())
        assert fake.seen("DATA") == 0


async def test_a_drop_in_the_middle_of_the_octets_is_before_the_dot(hop_to: HopTo) -> None:
    """The end of data was not handed over: nothing can have been delivered."""
    async with FakeHop() as fake:
        fake.drop_in_data = 1_000_000
        transaction = await hop_to(fake).begin()
        await transaction.envelope(path())
        with pytest.raises(HopError) as caught:
            await transaction.content(Message.of((b"x" * 74 + b"\r\n") * 250_000))
        assert caught.value.trouble is HopTrouble.SITE
        assert not transaction.dot_sent


async def test_a_stale_250_is_never_read_for_the_next_message(hop_to: HopTo) -> None:
    """Given up while the dot is unanswered: the late 250 belongs to nobody, the next message has its own reply."""
    async with FakeHop(answers={"DOT": in_turn(Hang("250 2.0.0 stale"), "554 5.7.1 the true answer")}) as fake:
        hop = hop_to(fake)
        transaction = await hop.begin()
        await transaction.envelope(path())
        content = asyncio.create_task(transaction.content(LETTER))
        await fake.dot_seen.wait()
        content.cancel()
        with pytest.raises(asyncio.CancelledError):
            await content
        fake.release()
        assert [str(each) for each in await deliver(hop)] == ["554 5.7.1 the true answer"]
        assert fake.connections == 2


async def test_a_second_reply_spoils_a_connection(hop_to: HopTo) -> None:
    """Two replies to one dot: the first counts, and the connection is never used again (I4)."""
    async with FakeHop(answers={"DOT": in_turn(Raw(b"250 one\r\n250 two\r\n"), "554 5.7.1 the true answer")}) as fake:
        hop = hop_to(fake)
        assert [str(each) for each in await deliver(hop)] == ["250 one"]
        await until(lambda: fake.open == 0)
        assert [str(each) for each in await deliver(hop)] == ["554 5.7.1 the true answer"]
        assert fake.connections == 2


async def test_a_reply_that_comes_late_spoils_an_idle_connection(hop_to: HopTo) -> None:
    """What a hop says while nobody asked must not be taken for the answer to the next command."""
    async with FakeHop(answers={"DOT": in_turn(Raw(b"250 one\r\n"), "554 5.7.1 the true answer")}) as fake:
        hop = hop_to(fake)
        await deliver(hop)
        arrive(hop._pool._idle[0].wire, b"250 unasked\r\n")
        assert [str(each) for each in await deliver(hop)] == ["554 5.7.1 the true answer"]
        assert (fake.connections, fake.seen("MAIL")) == (2, 2)


async def test_a_positive_reply_before_the_dot_is_nonsense(hop_to: HopTo) -> None:
    """354 and 250 at once: read as the reply to the dot, the 250 would lose the message."""
    async with FakeHop(answers={"DATA": Raw(b"354 go\r\n250 2.0.0 queued\r\n")}) as fake:
        transaction = await hop_to(fake).begin()
        with pytest.raises(HopError) as caught:
            await carry(transaction)
        assert caught.value.trouble is HopTrouble.SITE
        assert not transaction.dot_sent


async def test_a_refusal_in_the_middle_of_the_octets_is_the_answer(hop_to: HopTo) -> None:
    """A hop that refuses early is believed: no dot is sent, and the connection is closed."""
    async with FakeHop(answers={"DATA": Raw(b"354 go\r\n552 5.3.4 too big for me\r\n")}) as fake:
        transaction = await hop_to(fake).begin()
        await transaction.envelope(path("a@x.example", "b@x.example"))
        assert [str(each) for each in await transaction.content(LETTER)] == ["552 5.3.4 too big for me"] * 2
        assert not transaction.dot_sent
        await until(lambda: fake.open == 0)
        assert fake.dots == 0


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "DOT", "RSET"])
async def test_cancelling_any_step_closes_the_connection(hop_to: HopTo, stage: str) -> None:
    """Whatever is unanswered then is never waited for again, and the hop's limit is not used up."""
    async with FakeHop(answers={stage: Hang()}) as fake:
        hop = hop_to(fake, max_connections=1)
        transaction = await hop.begin()

        async def go() -> None:
            await transaction.envelope(path())
            await (transaction.abandon() if stage == "RSET" else transaction.content(LETTER))

        task = asyncio.create_task(go())
        await until(lambda: fake.dots == 1 if stage == "DOT" else fake.seen(stage) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert transaction.dot_sent == (stage == "DOT")
        fake.release()
        await until(lambda: fake.open == 0)
        fake.answers[stage] = "250 ok" if stage != "DATA" else "354 go"
        await deliver(hop)


async def test_a_transaction_nobody_ends_does_not_hold_its_place(hop_to: HopTo) -> None:
    """A content task cancelled before it began, say: the connection is closed when the last reference goes."""
    async with FakeHop() as fake:
        hop = hop_to(fake, max_connections=1)
        transaction = await hop.begin()
        await transaction.envelope(path())
        task = asyncio.create_task(transaction.content(LETTER))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not transaction.dot_sent
        del transaction, task
        async with asyncio.timeout(20):
            await deliver(hop)
        assert len(fake.messages) == 1


async def test_abandon_resets_and_keeps_the_connection(hop_to: HopTo) -> None:
    """RSET before DATA: no dot, and the next message goes on the same connection."""
    async with FakeHop() as fake:
        hop = hop_to(fake)
        transaction = await hop.begin()
        await transaction.envelope(path())
        await transaction.abandon()
        await transaction.abandon()
        assert fake.seen("RSET") == 1
        await deliver(hop)
        assert (fake.connections, fake.dots) == (1, 1)


@pytest.mark.parametrize("answer", ["500 what", Drop()])
async def test_abandon_never_raises(hop_to: HopTo, answer: str | Drop) -> None:
    """A hop that cannot even RSET is left."""
    async with FakeHop(answers={"RSET": answer}) as fake:
        transaction = await hop_to(fake).begin()
        await transaction.envelope(path())
        await transaction.abandon()
        await until(lambda: fake.open == 0)


async def test_a_slow_answer_is_waited_for(hop_to: HopTo) -> None:
    """Waiting with `asyncio.wait` and not cancelling leaves the answer to come."""
    async with FakeHop(answers={"DOT": Slow(0.2, "250 2.0.0 at last")}) as fake:
        transaction = await hop_to(fake).begin()
        await transaction.envelope(path())
        content = asyncio.create_task(transaction.content(LETTER))
        done, _ = await asyncio.wait([content], timeout=0.05)
        assert not done
        assert transaction.dot_sent
        assert [str(each) for each in await content] == ["250 2.0.0 at last"]


async def test_each_wait_has_its_own_limit(hop_to: HopTo) -> None:
    """A short limit of the greetings ends no long wait for the dot; a reply that comes in drips is bounded too."""
    async with FakeHop(answers={"DOT": in_turn(Slow(0.8, "250 2.0.0 at last"), Hang())}) as fake:
        hop = hop_to(fake, connect_timeout=0.5, reply_timeout=1.6)
        assert [each.code for each in await deliver(hop)] == [250]
        transaction = await hop.begin()
        content = asyncio.create_task(carry(transaction))
        await until(lambda: transaction.dot_sent)
        for _ in range(500):
            arrive(transaction._connection.wire, b"2")
            await asyncio.sleep(0.005)
        assert content.done()
        with pytest.raises(HopError, match="no answer in time"):
            await content
        fake.release()


async def test_steps_come_once_and_in_order(hop_to: HopTo) -> None:
    """No content without an accepted recipient, no second envelope."""
    async with FakeHop(answers={"RCPT": "550 5.1.1 unknown"}) as fake:
        transaction = await hop_to(fake).begin()
        with pytest.raises(RuntimeError):
            await transaction.content(LETTER)
        await transaction.envelope(path())
        with pytest.raises(RuntimeError):
            await transaction.envelope(path())
        with pytest.raises(RuntimeError):
            await transaction.content(LETTER)
        await transaction.abandon()
        assert fake.seen("DATA") == 0

"""The real server on loopback, spoken to octet by octet: what it takes, refuses, and survives (RFC 5321)."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Notify, Ret
from gateway.core.received import Relayed, Submission
from gateway.core.reply import Reply
from support.smtp_side import LONG, TAKEN, Bodies, House, Intake, SmallDisk, call, listener
from support.waiting import until

HEAD = b"From: lan@so.example\r\nSubject: thu\r\n\r\n"


async def test_a_message_goes_in_and_its_reply_comes_out() -> None:
    """The octets between DATA and the dot reach the intake unchanged, with the whole envelope; its reply is ours."""
    house = House(intake=Intake(reply=Reply.of(250, "2.0.0", "taken as 17")))
    async with house.serving() as server, call(server) as talker:
        reply = await talker.ask(
            b"MAIL FROM:<Lan@so.example> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=QQ314159+2Bx SMTPUTF8 AUTH=<>"
        )
        assert reply == "250 2.1.0 sender OK"
        assert (await talker.ask("RCPT TO:<mai@hộp.example> NOTIFY=SUCCESS,delay ORCPT=rfc822;Mai+2B@Hop.Example"))[
            :9
        ] == "250 2.1.5"
        assert (await talker.ask("RCPT TO:<binh@hop.example> NOTIFY=NEVER"))[:3] == "250"
        assert await talker.ask("DATA") == "354 end data with <CR><LF>.<CR><LF>"
        content = HEAD + "Kính gửi\r\n".encode()
        await talker.raw(content + b"..hai cham\r\n.\r\n")
        assert await talker.hear() == ["250 2.0.0 taken as 17"]
    received = house.intake.taken[0]
    assert isinstance(received, Relayed)
    arrival = received.arrival
    assert arrival.message.octets() == content + b".hai cham\r\n"
    assert arrival.trace_id == "trace-1"
    assert (arrival.client.listener, arrival.client.address) == ("in", "127.0.0.1")
    assert (arrival.client.greeted_as, arrival.client.protocol) == ("may-lan.example", "UTF8SMTP")
    envelope = arrival.envelope
    assert envelope.reverse_path == Mailbox("Lan", "so.example")
    assert (envelope.eight_bit, envelope.smtputf8, envelope.ret, envelope.envid) == (
        True,
        True,
        Ret.HDRS,
        "QQ314159+2Bx",
    )
    first, second = envelope.recipients
    assert first.mailbox == Mailbox("mai", "hộp.example")
    assert first.notify == frozenset({Notify.SUCCESS, Notify.DELAY})
    assert first.orcpt == "rfc822;Mai+2B@Hop.Example"
    assert second.notify == frozenset()


async def test_the_greeting_lists_what_is_offered() -> None:
    """EHLO offers exactly what is honored; AUTH and STARTTLS only where they work."""
    async with House(limit=777).serving() as server, call(server, greet=None) as talker:
        await talker.say("EHLO x.example")
        assert await talker.hear() == [
            "250-gateway.example",
            "250-PIPELINING",
            "250-SIZE 777",
            "250-8BITMIME",
            "250-SMTPUTF8",
            "250-ENHANCEDSTATUSCODES",
            "250-DSN",
            "250 CHUNKING",
        ]
        assert await talker.ask("HELO x.example") == "250 gateway.example"
        assert (await talker.ask("MAIL FROM:<a@b.example> SIZE=1"))[:9] == "555 5.5.4"


SMUGGLING = {
    "LF.LF": b"\n.\n",
    "LF.CRLF": b"\n.\r\n",
    "CRLF.LF": b"\r\n.\n",
    "CR.CR": b"\r.\r",
    "CR.CRLF": b"\r.\r\n",
    "CRLF.CR": b"\r\n.\r",
    "LF.CR LF": b"\n.\r\r\n",
    "CRLF NUL.CRLF": b"\r\n\0.\r\n",
    "CRLF.NUL CRLF": b"\r\n.\0\r\n",
    "bare CR": b"a\rb",
    "bare LF": b"a\nb",
    "NUL": b"a\0b",
}


@pytest.mark.parametrize("trick", SMUGGLING.values(), ids=SMUGGLING.keys())
async def test_no_other_end_of_data(trick: bytes) -> None:
    """A look-alike of the end of data ends nothing, and is refused; what it hides never becomes a second message."""
    house = House()
    hidden = b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<mai@hop.example>\r\nDATA\r\nForged\r\n"
    async with house.serving() as server, call(server) as talker:
        await talker.envelope()
        await talker.raw(HEAD + b"text" + trick + hidden + b".\r\nNOOP\r\n")
        assert (await talker.hear())[0][:9] == "550 5.6.0"
        assert await talker.hear() == ["250 2.0.0 OK"]  # in step: NOOP is the next command
        await talker.envelope()
        await talker.raw(HEAD + b"good\r\n.\r\n")
        assert (await talker.hear())[0][:3] == "250"
    assert house.intake.octets == [HEAD + b"good\r\n"]


@pytest.mark.parametrize("line", [b"NOOP\n", b"NOOP\rNOOP\r\n", b"NOOP \0\r\n", b"NOOP\r\r\n"])
async def test_a_command_ends_in_crlf_only(line: bytes) -> None:
    """A command line with another line end closes the connection: its sender counts lines differently."""
    async with House().serving() as server, call(server) as talker:
        await talker.raw(line + b"NOOP\r\n")
        assert (await talker.hear())[0][:9] == "521 5.5.2"
        assert await talker.closed()


async def test_a_browser_is_turned_away() -> None:
    """An HTTP request ends the connection before its body could be taken for commands."""
    async with House().serving() as server, call(server, greet=None) as talker:
        await talker.say("POST / HTTP/1.1", "Host: x", "", "EHLO x", "MAIL FROM:<a@b.example>")
        assert (await talker.hear())[0][:3] == "521"
        assert await talker.closed()


async def test_pipelined_commands_and_messages_are_answered_in_order() -> None:
    """A whole session in one segment gets every reply, in order (RFC 2920), and two messages go in."""
    house = House(intake=Intake(refused={"nobody@hop.example": Reply.of(550, "5.1.1", "no such mailbox")}))
    one = (
        b"MAIL FROM:<>\r\nRCPT TO:<nobody@hop.example>\r\nRCPT TO:<mai@hop.example>\r\nDATA\r\n" + HEAD + b"1\r\n.\r\n"
    )
    two = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<binh@hop.example>\r\nDATA\r\n.\r\n"
    async with house.serving() as server, call(server, greet=None) as talker:
        await talker.raw(b"EHLO x\r\n" + one + two + b"QUIT\r\n")
        codes = [(await talker.hear())[-1][:3] for _ in range(11)]
        assert codes == ["250", "250", "550", "250", "354", "250", "250", "250", "354", "250", "221"]
        assert await talker.closed()
    assert house.intake.octets == [HEAD + b"1\r\n", b""]
    assert house.intake.taken[0].arrival.envelope.reverse_path is NULL_PATH
    assert [str(each.mailbox) for each in house.intake.taken[0].arrival.envelope.recipients] == ["mai@hop.example"]


async def test_dots_are_taken_out_wherever_segments_end() -> None:
    """One octet per segment gives the same message as one segment."""
    house = House()
    async with house.serving() as server, call(server) as talker:
        await talker.envelope()
        for octet in HEAD + b"..\r\n...x\r\n. \r\n\r\n\r\n.\r\n":
            await talker.raw(bytes((octet,)))
            await asyncio.sleep(0)
        assert (await talker.hear())[0][:3] == "250"
    assert house.intake.octets == [HEAD + b".\r\n..x\r\n \r\n\r\n\r\n"]


async def test_lines_of_any_length_are_taken() -> None:
    """A message line beyond 998 octets is real life: it is taken as it is."""
    house = House()
    async with house.serving() as server, call(server) as talker:
        await talker.envelope()
        await talker.raw(HEAD + b"x" * 300_000 + b"\r\n.\r\n")
        assert (await talker.hear())[0][:3] == "250"
    assert house.intake.octets == [HEAD + b"x" * 300_000 + b"\r\n"]


async def test_a_message_too_large_is_read_to_its_end_and_refused() -> None:
    """552 5.3.4 with both figures after the dot, and the session goes on; SIZE= is refused at once."""
    house = House(limit=1000)
    async with house.serving() as server, call(server) as talker:
        assert await talker.ask("MAIL FROM:<a@b.example> SIZE=1001") == (
            "552 5.3.4 Thư quá lớn / message is too large: 1001 octets, the limit is 1000"
        )
        await talker.envelope()
        await talker.raw(b"x" * 1999 + b"\r\n.\r\n")
        assert (await talker.hear())[0].endswith("2001 octets, the limit is 1000")
        await talker.envelope()
        await talker.raw(b"x" * 998 + b"\r\n.\r\n")
        assert (await talker.hear())[0][:3] == "250"
    assert len(house.intake.taken) == 1


async def test_the_place_of_a_message_is_told_its_announced_size() -> None:
    """The size of each message (RFC 1870), in DATA and in chunks; nothing of one before it."""
    house = House()
    async with house.serving() as server, call(server) as talker:
        for command, size in (("DATA", " SIZE=70000"), ("DATA", ""), ("BDAT 2 LAST", " SIZE=300000")):
            await talker.say(f"MAIL FROM:<a@b.example>{size}", "RCPT TO:<mai@hop.example>", command)
            await talker.raw(b"\r\n.\r\n" if command == "DATA" else b"\r\n")
            assert [(await talker.hear())[-1][:3] for _ in range(3)][1] == "250"
            if command == "DATA":
                assert (await talker.hear())[-1][:3] == "250"
    assert house.bodies.announced == [70000, 0, 300000]


async def test_a_full_disk_answers_452() -> None:
    """A disk that fills up during DATA, or is too full before MAIL, gives 452 4.3.1, and nothing is kept."""
    house = House(bodies=Bodies(make=lambda: SmallDisk(100_000)))
    async with house.serving() as server, call(server) as talker:
        await talker.envelope()
        await talker.raw(b"x" * 200_000 + b"\r\n.\r\n")
        assert (await talker.hear())[0][:9] == "452 4.3.1"
        house.disk.below_watermark = True
        assert (await talker.ask("MAIL FROM:<a@b.example>"))[:9] == "452 4.3.1"
        house.disk.below_watermark = False
        await talker.envelope()
        await talker.raw(b"x\r\n.\r\n")
        assert (await talker.hear())[0][:3] == "250"
    assert house.intake.octets == [b"x\r\n"]


async def test_2000_recipients() -> None:
    """Recipients beyond the limit are answered 452 4.5.3 each, and the others get the message."""
    house = House(settings=listener(max_recipients=100))
    async with house.serving() as server, call(server) as talker:
        await talker.say("MAIL FROM:<a@b.example>", *(f"RCPT TO:<r{n}@hop.example>" for n in range(2000)), "DATA")
        assert (await talker.hear())[0][:3] == "250"
        answers = [(await talker.hear())[0][:9] for _ in range(2000)]
        assert answers == ["250 2.1.5"] * 100 + ["452 4.5.3"] * 1900
        assert (await talker.hear())[0][:3] == "354"
        await talker.raw(b"x\r\n.\r\n")
        assert (await talker.hear())[0][:3] == "250"
    assert len(house.intake.taken[0].arrival.envelope.recipients) == 100


async def test_long_lines_of_commands_are_refused_and_the_session_goes_on() -> None:
    """A command line over its limit is dropped whole, however long; an endless one ends the connection."""
    async with House().serving() as server, call(server) as talker:
        assert await talker.ask(b"NOOP " + b"x" * 506) == "500 5.5.2 line too long"
        assert (await talker.ask(b"NOOP " + b"x" * 505))[:3] == "250"
        assert await talker.ask(b"NOOP " + b"x" * 500_000) == "500 5.5.2 line too long"
        assert (await talker.ask("NOOP"))[:3] == "250"
        with pytest.raises(ConnectionError):
            await talker.flood(b"x" * 100_000, 100)


async def test_limits_of_one_client_do_not_touch_another() -> None:
    """The stock server kept line limits in one dictionary for everybody, cleared by each new connection."""
    long_mail = b"MAIL FROM:<a@b.example> ENVID=" + b"x" * 99 + b" AUTH=" + b"y" * 450
    async with House().serving() as server, call(server) as first, call(server) as second:
        for _ in range(30):
            assert (await first.ask("EHLO x"))[:3] == "250"
        assert (await second.ask(long_mail))[:3] == "250"
        async with call(server):
            assert (await first.ask(long_mail))[:3] == "250"


async def test_order_of_commands() -> None:
    """Commands out of order are refused with 503, and RSET or EHLO forget the transaction."""
    async with House().serving() as server, call(server, greet=None) as talker:
        assert (await talker.ask("MAIL FROM:<a@b.example>"))[:9] == "503 5.5.1"
        assert (await talker.ask("EHLO"))[:9] == "501 5.5.4"
        assert (await talker.ask("EHLO x"))[:3] == "250"
        assert (await talker.ask("RCPT TO:<a@b.example>"))[:9] == "503 5.5.1"
        assert (await talker.ask("MAIL FROM:<a@b.example>"))[:3] == "250"
        assert (await talker.ask("MAIL FROM:<a@b.example>"))[:9] == "503 5.5.1"
        assert (await talker.ask("DATA"))[:9] == "503 5.5.1"
        assert (await talker.ask("RSET"))[:3] == "250"
        assert (await talker.ask("DATA"))[:9] == "503 5.5.1"
        assert (await talker.ask("MAIL FROM:<a@b.example>"))[:3] == "250"
        assert (await talker.ask("EHLO x"))[:3] == "250"
        assert (await talker.ask("RCPT TO:<a@b.example>"))[:9] == "503 5.5.1"


async def test_small_commands() -> None:
    """VRFY tells nobody who exists, EXPN, AUTH and STARTTLS are not offered here, every reply has a status."""
    async with House().serving() as server, call(server) as talker:
        assert (await talker.ask("vrfy lan"))[:9] == "252 2.5.0"
        assert (await talker.ask("EXPN all"))[:9] == "502 5.5.1"
        assert (await talker.ask("AUTH PLAIN"))[:9] == "502 5.5.1"
        assert (await talker.ask("STARTTLS"))[:9] == "502 5.5.1"
        assert (await talker.ask("help"))[:9] == "214 2.0.0"
        assert (await talker.ask("noop what ever"))[:9] == "250 2.0.0"
        assert (await talker.ask("RSET x"))[:9] == "501 5.5.4"
        assert (await talker.ask(b"NOOP \xff\xfe"))[:9] == "500 5.5.2"
        assert (await talker.ask("NOOP \x1b[31m"))[:9] == "500 5.5.2"
        assert (await talker.ask("QUIT"))[:9] == "221 2.0.0"
        assert await talker.closed()


async def test_postmaster_needs_no_domain() -> None:
    """RCPT TO:<postmaster> is always taken (RFC 5321 4.5.1), as ours."""
    house = House()
    async with house.serving() as server, call(server) as talker:
        await talker.envelope("lan@so.example", "Postmaster")
        await talker.raw(b"x\r\n.\r\n")
        assert (await talker.hear())[0][:3] == "250"
    assert house.intake.taken[0].arrival.envelope.recipients[0].mailbox == Mailbox("Postmaster", "gateway.example")


async def test_guessing_commands_and_recipients_ends() -> None:
    """Errors, idle commands and refused recipients are bounded: then 421 4.7.0."""
    gone = Reply.of(550, "5.1.1", "no such mailbox")
    house = House(intake=Intake(refused={f"r{n}@hop.example": gone for n in range(600)}))
    async with house.serving() as server:
        for lines, refusal in (
            (["XYZZY"] * 30, "500"),
            (["NOOP"] * 1200, "250"),
            (["MAIL FROM:<a@b.example>", *(f"RCPT TO:<r{n}@hop.example>" for n in range(600))], "550"),
        ):
            async with call(server) as talker:
                await talker.say(*lines)
                heard = await talker.hear_all()
                assert heard[-1][:9] == "421 4.7.0"
                assert heard[-2][:3] == refusal
                assert len(heard) < len(lines)


async def test_eof_inside_data_takes_nothing() -> None:
    """A client that leaves before the dot leaves nothing behind."""
    house = House()
    async with house.serving() as server:
        async with call(server) as talker:
            await talker.envelope()
            await talker.raw(HEAD + b"half a message\r\n.\r")
            talker.writer.write_eof()
            assert await talker.closed()
        await until(lambda: server.connections == 0)
    assert house.intake.taken == []


async def test_a_half_closed_client_still_gets_its_reply() -> None:
    """A client may close its sending side after the dot: the stock server drops such a message unanswered."""
    house = House()
    async with house.serving() as server, call(server) as talker:
        await talker.envelope()
        await talker.raw(HEAD + b"x\r\n.\r\nQUIT\r\n")
        talker.writer.write_eof()
        assert (await talker.hear())[0][:3] == "250"
        assert (await talker.hear())[0][:3] == "221"
    assert house.intake.finished == 1


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_an_acceptance_outlives_its_client(how: str) -> None:
    """The intake is never canceled by its client's leaving (handover.md row 13), and the connection leaks nothing."""
    house = House()
    house.intake.gate.clear()
    async with house.serving() as server:
        async with call(server) as talker:
            await talker.envelope()
            await talker.raw(HEAD + b"x\r\n.\r\n")
            await house.intake.started.wait()
            if how == "reset":
                talker.writer.transport.abort()
        await asyncio.sleep(0.1)
        assert house.intake.finished == 0
        draining = asyncio.create_task(server.drain(LONG))
        await asyncio.sleep(0.05)
        assert not draining.done()
        house.intake.gate.set()
        assert await draining == 0
        assert house.intake.finished == 1


async def test_patience_counts_from_the_last_octet() -> None:
    """A slow but active DATA is not cut off by a total timer; a silent one is."""
    house = House(settings=listener(command_timeout=1.0))
    async with house.serving() as server, call(server) as talker:
        await talker.envelope()
        for _ in range(6):
            await talker.raw(b"x" * 500 + b"\r\n")
            await asyncio.sleep(0.25)
        await talker.raw(b".\r\n")
        assert (await talker.hear())[0][:3] == "250"
        await talker.envelope()
        await talker.raw(b"x\r\n")
        assert (await talker.hear())[0][:9] == "421 4.4.2"
        assert await talker.closed()
    assert house.intake.finished == 1


async def test_a_trickle_does_not_hold_a_connection() -> None:
    """One octet now and then is no message and no command: both end."""
    house = House(settings=listener(command_timeout=0.5))
    async with house.serving() as server:
        for begin in (True, False):
            async with call(server) as talker:
                if begin:
                    await talker.envelope()
                with pytest.raises(ConnectionError):
                    await talker.flood(b"x", 1000, pause=0.05)
                assert (await talker.hear_all())[-1:] in ([], ["421 4.4.2 timeout, closing connection"])
    assert house.intake.taken == []


async def test_no_timer_runs_while_the_intake_works() -> None:
    """The client's patience is not ours to cut short: an acceptance may take longer than the timeout."""
    house = House(settings=listener(command_timeout=0.5))
    house.intake.gate.clear()
    async with house.serving() as server, call(server) as talker:
        await talker.envelope()
        await talker.raw(HEAD + b"x\r\n.\r\n")
        await asyncio.sleep(1.2)
        house.intake.gate.set()
        assert (await talker.hear())[0] == str(TAKEN)


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    """Replies nobody reads may not hold a connection, nor memory."""
    house = House(settings=listener(command_timeout=0.5, max_recipients=10_000))
    async with house.serving() as server:
        async with call(server) as talker:
            talker.reader._transport.pause_reading()  # type: ignore[attr-defined]
            await talker.say("MAIL FROM:<a@b.example>")
            with pytest.raises(ConnectionError):
                await talker.flood(b"RCPT TO:<a@b.example>\r\n" * 1000, 2000)
        await until(lambda: server.connections == 0)


async def test_connections_are_counted() -> None:
    """Beyond the limits a client gets 421 4.7.0 and the door; who leaves makes room."""
    house = House(settings=listener(max_connections=5, max_connections_per_client=2))
    async with house.serving() as server, call(server), call(server) as second:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert (await reader.readline())[:9] == b"421 4.7.0"
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert (await second.ask("QUIT"))[:3] == "221"
        assert await second.closed()
        async with call(server):
            assert server.connections == 2


async def test_draining_lets_messages_finish() -> None:
    """After SIGTERM: idle sessions get 421 4.3.2, a message on its way is taken and answered, nobody new comes in."""
    house = House()
    async with house.serving() as server, call(server) as idle, call(server) as working:
        await working.envelope()
        await working.raw(HEAD)
        await asyncio.sleep(0.05)
        draining = asyncio.create_task(server.drain(LONG))
        assert (await idle.hear())[0][:9] == "421 4.3.2"
        assert await idle.closed()
        with pytest.raises(OSError, match="onnect"):
            await asyncio.open_connection("127.0.0.1", server.port)
        await working.raw(b"x\r\n.\r\n")
        assert (await working.hear())[0] == str(TAKEN)
        assert (await working.hear())[0][:9] == "421 4.3.2"
        assert await draining == 0


async def test_a_drain_ends_in_time_and_says_what_is_left() -> None:
    """A drain does not wait longer than it was told to, and a message being taken is neither forgotten nor killed."""
    house = House()
    house.intake.gate.clear()
    async with house.serving() as server, call(server) as talker:
        await talker.envelope()
        await talker.raw(HEAD + b"x\r\n.\r\n")
        await house.intake.started.wait()
        assert await server.drain(0.2) == 1
        assert await talker.closed()
        house.intake.gate.set()
        await until(lambda: house.intake.finished == 1)


@pytest.mark.parametrize("fault", [ValueError("secret detail"), OSError(5, "secret detail")])
async def test_a_fault_of_ours_is_451_and_tells_nothing(fault: Exception) -> None:
    """A bug becomes 451 4.3.0 without its text, and the session goes on (house rule 1: nothing is confirmed)."""
    house = House(intake=Intake(fault=fault))
    async with house.serving() as server, call(server) as talker:
        await talker.envelope()
        await talker.raw(b"x\r\n.\r\n")
        answer = (await talker.hear())[0]
        assert answer[:9] == "451 4.3.0"
        assert "secret" not in answer
        house.bodies.make = lambda: (_ for _ in ()).throw(KeyError("secret detail"))  # type: ignore[assignment]
        assert (await talker.ask("MAIL FROM:<a@b.example>"))[:3] == "250"
        assert (await talker.ask("RCPT TO:<mai@hop.example>"))[:3] == "250"
        answer = await talker.ask("DATA")
        assert answer[:9] == "451 4.3.0"
        assert "secret" not in answer
        assert (await talker.ask("NOOP"))[:3] == "250"


async def test_the_intake_may_refuse_at_mail_and_after_the_dot() -> None:
    """A refusal of the intake reaches the client as it is; a submitter makes a submission."""
    house = House(
        settings=listener(kind="internal", sources=[{"name": "a", "networks": ["127.0.0.0/8"], "authors": []}])
    )
    house.intake.unauthorized = Reply.of(550, "5.7.1", "not listed")
    async with house.serving() as server, call(server) as talker:
        assert await talker.ask("MAIL FROM:<a@b.example>") == "550 5.7.1 not listed"
        house.intake.unauthorized = None
        house.intake.outbound = True
        house.intake.reply = Reply.of(550, "5.7.1", "không\nno")
        await talker.envelope()
        await talker.raw(b"x\r\n.\r\n")
        assert await talker.hear() == ["550-5.7.1 không", "550 5.7.1 no"]
    assert isinstance(house.intake.taken[0], Submission)
    assert house.intake.taken[0].submitter.name == "127.0.0.1"

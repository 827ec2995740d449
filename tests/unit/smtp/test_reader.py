"""What a client sends ahead is bounded, and its octets are its own: many sessions land in one place."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.config.model import TlsMode
from gateway.smtp.limits import COMMANDS_PER_TURN, IDLE_COMMANDS, LANDING, LINGER_SECONDS, READ_AHEAD, READING
from gateway.smtp.presence import Presence
from gateway.smtp.rates import Rates
from gateway.smtp.room import Room
from gateway.smtp.session import Session
from gateway.smtp.surroundings import Surroundings
from gateway.smtp.tls import ServerContext
from support.simulated import LOOP
from support.smtp_side import LONG, FixedClock, House, call, listener, tls_files

if TYPE_CHECKING:
    from pathlib import Path

ENVELOPE = b"EHLO x\r\nMAIL FROM:<lan@so.example>\r\nRCPT TO:<mai@hop.example>\r\nDATA\r\n"


class Wire(asyncio.Transport):
    """A transport that remembers what it was told."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 25)})
        self.reading = True
        self.closed = self.cut = False
        self.left = 0
        self.said = b""
        self.spoke = asyncio.Event()

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += bytes(data)
        self.spoke.set()

    def get_write_buffer_size(self) -> int:
        return self.left

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.cut = True


class Line:
    """A session on a transport of ours, to which octets are sent as an event loop would."""

    def __init__(self, house: House) -> None:
        self.wire = Wire()
        settings = house.settings
        self.session = Session(
            Surroundings(
                listener=settings,
                hostname="gateway.example",
                intake=house.intake,
                passwords=None,
                bodies=house.bodies,
                spool=None,
                max_message_size=lambda: house.limit,
                clock=FixedClock(),
                new_trace_id=house.new_id,
                presence=Presence(most=1, most_per_client=1),
                tls=ServerContext(settings.tls) if settings.tls.mode is not TlsMode.NONE else None,
                rates=Rates(settings.rates),
                room=house.room,
            )
        )
        self.session.connection_made(self.wire)

    def send(self, octets: bytes) -> None:
        """Let octets land, in as many pieces as there is room for."""
        while octets:
            room = self.session.get_buffer(-1)
            size = min(len(room), len(octets))
            room[:size] = octets[:size]
            self.session.buffer_updated(size)
            octets = octets[size:]

    def codes(self) -> list[str]:
        """Return the codes of the replies since it was asked last."""
        said, self.wire.said = self.wire.said, b""
        self.wire.spoke.clear()
        return [each[:3].decode() for each in said.split(b"\r\n") if each[3:4] == b" "]


async def until_said(line: Line) -> list[str]:
    """Return the codes of what is said next."""
    await asyncio.wait_for(line.wire.spoke.wait(), LONG)
    return line.codes()


async def test_a_command_is_answered_where_it_lands() -> None:
    """Nothing is waited for that takes no time: neither the next command, nor a task."""
    house = House()
    line = Line(house)
    assert line.codes() == ["220"]
    line.send(b"EHLO x\r\nMAIL FR")
    assert line.codes() == ["250"]
    line.send(b"OM:<lan@so.example>\r")
    assert line.codes() == []
    line.send(b"\nRCPT TO:<mai@hop.example>\r\nDATA\r\n")
    assert line.codes() == ["250", "250", "354"]
    line.send(b"x\r\n.")
    line.send(b"\r\nNOOP\r\n")
    assert line.codes() == []  # a message that was not taken yet has no answer, and what follows it has none before
    assert await until_said(line) == ["250", "250"]
    assert house.intake.octets == [b"x\r\n"]


@pytest.mark.parametrize("left", [0, 7])
def test_who_does_not_take_the_last_word_is_cut_off(left: int) -> None:
    """What is left to be sent is waited for, but not for ever; where nothing is, closing is all."""

    async def work() -> None:
        line = Line(House())
        line.wire.left = left
        line.send(b"QUIT\r\n")
        assert (line.codes(), line.wire.closed, line.wire.cut) == (["220", "221"], True, False)
        await asyncio.sleep(LINGER_SECONDS - 1)
        assert not line.wire.cut
        await asyncio.sleep(2)
        assert line.wire.cut is bool(left)

    LOOP.run_until_complete(work())


async def test_nobody_reads_ahead_without_end() -> None:
    """While the session does other things, what is sent stays with the client; it goes on when all was taken."""
    house = House()
    house.intake.gate.clear()
    line = Line(house)
    line.send(ENVELOPE + b"x\r\n.\r\n")
    line.codes()
    idle = b"NOOP %s\r\n" % (b"x" * 500)
    line.send(idle * (READ_AHEAD // len(idle)))
    assert line.wire.reading
    line.send(idle)
    assert not line.wire.reading
    house.intake.gate.set()
    found = await until_said(line)
    assert found == ["250"] * (READ_AHEAD // len(idle) + 2)
    assert line.wire.reading


async def test_only_who_waits_for_content_is_given_all_of_the_landing() -> None:
    """One that looks at commands, or whose message is being taken, is given a part."""
    house = House()
    house.intake.gate.clear()
    line = Line(house)
    short = len(line.session.get_buffer(-1))
    assert short < LANDING
    line.send(ENVELOPE)
    assert len(line.session.get_buffer(-1)) == LANDING
    line.send(b"x\r\n")
    assert len(line.session.get_buffer(-1)) == LANDING
    line.send(b".\r\n")
    assert len(line.session.get_buffer(-1)) == short
    house.intake.gate.set()
    line.codes()
    assert await until_said(line) == ["250"]
    assert len(line.session.get_buffer(-1)) == short


async def test_a_client_that_does_not_read_is_not_obeyed() -> None:
    """Its commands lie and wait while the transport takes no replies, and are answered when it does again."""
    line = Line(House())
    line.codes()
    line.session.pause_writing()
    line.send(b"NOOP\r\n")
    assert line.codes() == []
    line.send(b"NOOP\r\n" * READ_AHEAD)
    assert not line.wire.reading
    line.session.resume_writing()
    found = line.codes()
    for _ in range(READ_AHEAD // COMMANDS_PER_TURN):
        await asyncio.sleep(0)
        found += line.codes()
    assert found == ["250"] * (len(found) - 1) + ["421"]
    assert len(found) >= IDLE_COMMANDS


@pytest.mark.parametrize("command", [b"BDATX", b"BDAT", b"BDAT \xff"])
async def test_nothing_is_said_behind_the_last_word(command: bytes) -> None:
    """Whoever does not know where the next command begins is told once, and the connection ends."""
    line = Line(House())
    line.codes()
    line.send(b"EHLO a\r\n" + command + b"\r\nNOOP\r\n")
    found = line.codes()
    assert line.wire.closed
    assert found.count(found[-1]) == 1


async def test_no_handshake_begins_while_replies_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transport would tell the handshake, not us, when it takes more: the session would wait for ever."""
    line = Line(House(settings=listener(tls=tls_files(tmp_path, "starttls"))))
    line.codes()
    line.send(b"EHLO a\r\n")
    write = line.wire.write

    def full(data: bytes | bytearray | memoryview) -> None:
        write(data)
        line.session.pause_writing()

    async def shake_hands(*_given: object, **_more: object) -> None:
        begun.append(line.session)

    begun: list[Session] = []
    monkeypatch.setattr(line.wire, "write", full)
    monkeypatch.setattr(asyncio.get_running_loop(), "start_tls", shake_hands)
    line.send(b"STARTTLS\r\n")
    for _ in range(10):
        await asyncio.sleep(0)
    assert line.wire.closed
    assert line.codes()[-1] == "220"
    assert begun == []


async def test_sessions_take_turns() -> None:
    """A client that sends hundreds of commands at once holds nobody up: others run in between."""
    line, turns = Line(House()), 0
    line.codes()
    line.send(b"NOOP\r\n" * 640)
    found = len(line.codes())
    while found < 640:
        await asyncio.sleep(0)
        turns += 1
        found += len(line.codes())
    assert turns >= 9


async def test_a_turn_that_ends_with_a_message_does_not_end_it() -> None:
    """However many commands came before: while it is taken, nothing behind it is looked at."""
    for before in range(COMMANDS_PER_TURN - 6, COMMANDS_PER_TURN + 1):
        house = House()
        house.intake.gate.clear()
        line = Line(house)
        line.codes()
        line.send(b"NOOP\r\n" * before + ENVELOPE + b"x\r\n.\r\nQUIT\r\n")
        await asyncio.wait_for(house.intake.started.wait(), LONG)
        for _ in range(3):
            await asyncio.sleep(0)
        assert line.codes() == ["250"] * (before + 3) + ["354"]
        house.intake.gate.set()
        assert await until_said(line) == ["250", "221"]


@pytest.mark.parametrize("how", ["eof", "lost"])
async def test_a_client_that_leaves_inside_a_message_leaves_nothing(how: str) -> None:
    """Nothing of it is taken, and what it held is given back although the session itself is still known."""
    house = House(room=Room(READING))
    line = Line(house)
    line.send(ENVELOPE + b"x\r\n")
    assert line.session.busy
    assert house.room.at_once() is None
    if how == "eof":
        line.session.eof_received()
        assert line.wire.closed
    line.session.connection_lost(None)
    assert not line.session.busy
    assert house.room.at_once() is not None
    assert house.intake.taken == []


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
async def test_no_session_gets_the_octets_of_another(tmp_path: Path, *, tls: bool) -> None:
    """Messages that arrive in alternating pieces, of any size, are each their sender's to the octet."""
    settings = listener(tls=tls_files(tmp_path, "implicit")) if tls else listener()
    house, sessions = House(settings=settings), 8
    wanted = {
        f"lan{each}@so.example": f"From: {each}\r\n\r\n".encode() + b"%d\r\n" % each * 9000 for each in range(sessions)
    }
    async with house.serving() as server:

        async def one(sender: str, content: bytes) -> None:
            async with call(server, tls=tls) as talker:
                await talker.envelope(sender)
                for start in range(0, len(content), 1777):
                    await talker.raw(content[start : start + 1777])
                    await asyncio.sleep(0)
                assert (await talker.ask("."))[:3] == "250"

        async with asyncio.TaskGroup() as group:
            for sender, content in wanted.items():
                group.create_task(one(sender, content))
    assert {
        str(each.arrival.envelope.reverse_path): each.arrival.message.octets() for each in house.intake.taken
    } == wanted

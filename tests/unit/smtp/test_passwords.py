"""Password checks: bounded in number and time, remembered briefly, forgotten at once when the password changes."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

from gateway.smtp.auth import passwords as room
from gateway.smtp.auth.passwords import QUEUE, WORKERS, Argon2Passwords
from gateway.smtp.auth.table import LoginTable
from support.pace import spent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HASHER = PasswordHasher(time_cost=2, memory_cost=17920, parallelism=1)
"""The cheapest that a table takes: some 15 ms."""
RIGHT = "đúng".encode()


def hashed(password: bytes) -> str:
    """Return a cheap hash."""
    return HASHER.hash(password)


def table(path: Path, **logins: bytes) -> LoginTable:
    """Return a table of logins with their passwords."""
    path.write_text("".join(f"{login}:{hashed(password)}:a@b.example\n" for login, password in logins.items()))
    path.chmod(0o600)
    return LoginTable.load(path)


@asynccontextmanager
async def checking(logins: LoginTable, *, remember: float = 60.0) -> AsyncIterator[Argon2Passwords]:
    """Check for the length of a block; no process is left after it."""
    made = Argon2Passwords(logins, remember=remember)
    try:
        yield made
    finally:
        await made.close()
        assert processes(made) == []


def processes(made: Argon2Passwords) -> list[int]:
    """Return the ids of the processes that run for it."""
    return [each._process.pid for each in made._workers if each._process is not None]


async def test_right_and_wrong(tmp_path: Path) -> None:
    """The right password fits, and nothing else; an empty or endless one never does, without a process."""
    async with checking(table(tmp_path / "l", lan=RIGHT, mai=b"x")) as made:
        assert await made.check("lan", b"") is False
        assert await made.check("lan", b"x" * 4097) is False
        assert processes(made) == []
        assert await made.check("lan", RIGHT) is True
        for login, password in (
            ("lan", b"x"),
            ("Lan", RIGHT),
            ("nobody", RIGHT),
            ("mai", RIGHT),
            ("lan", RIGHT + b"\0"),
        ):
            assert await made.check(login, password) is False


async def test_a_login_that_does_not_exist_never_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even if its stand-in hash did fit: existing is asked apart from fitting."""
    logins = table(tmp_path / "l", lan=RIGHT)
    monkeypatch.setattr(logins, "_stand_in", hashed(b"guess"))
    async with checking(logins) as made:
        assert await made.check("nobody", b"guess") is False
        assert await made.check("nobody", b"guess") is False


async def test_an_unknown_login_is_really_checked(tmp_path: Path) -> None:
    """It costs a real check with the same parameters: time tells nobody who exists."""
    async with checking(table(tmp_path / "l", lan=RIGHT), remember=0) as made:
        await made.check("lan", b"warm up")

        async def cost(login: str) -> float:
            (pid,) = processes(made)
            begin = spent(pid)
            for number in range(8):
                assert await made.check(login, b"wrong %d" % number) is False
            return spent(pid) - begin

        known, unknown = await cost("lan"), await cost("nobody")
        assert 1 / 4 < unknown / known < 4


async def test_a_success_is_remembered_and_a_failure_is_not(tmp_path: Path) -> None:
    """Mail clients log in for every message: the second time costs nothing. A guess is checked each time."""
    async with checking(table(tmp_path / "l", lan=RIGHT)) as made:
        assert await made.check("lan", RIGHT) is True
        assert await made.check("lan", b"wrong") is False
        running = processes(made)
        await made._end()
        assert await made.check("lan", RIGHT) is True
        assert processes(made) == []  # nobody was asked
        assert await made.check("lan", b"wrong") is False
        assert processes(made) != running


async def test_a_memory_ends(tmp_path: Path) -> None:
    """After the time to remember, and with 0 at once, the password is checked again."""
    logins = table(tmp_path / "l", lan=RIGHT)
    for remember in (0.0, 0.05):
        async with checking(logins, remember=remember) as made:
            assert await made.check("lan", RIGHT) is True
            await made._end()
            await asyncio.sleep(0.06)
            assert await made.check("lan", RIGHT) is True
            assert processes(made) != []


async def test_a_changed_password_drops_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old password stops at once: when the file changes, and when another table is put in."""
    monkeypatch.setattr("gateway.smtp.auth.table._LOOK_EVERY", 0.0)
    path = tmp_path / "l"
    async with checking(table(path, lan=RIGHT)) as made:
        assert await made.check("lan", RIGHT) is True
        table(path, lan=b"new")
        assert await made.check("lan", RIGHT) is False
        assert await made.check("lan", b"new") is True
        table(path, mai=b"new")
        assert await made.check("lan", b"new") is False
        made.replace(table(tmp_path / "m", lan=RIGHT))
        assert await made.check("lan", b"new") is False
        assert await made.check("lan", RIGHT) is True
        made.replace(LoginTable.empty())
        assert await made.check("lan", RIGHT) is False


async def test_nothing_recoverable_is_kept(tmp_path: Path) -> None:
    """What is remembered is a keyed hash of 32 octets, under a key of this process."""
    async with checking(table(tmp_path / "l", lan=RIGHT)) as made:
        await made.check("lan", RIGHT)
        (name,) = made._known
        assert len(name) == 32
        other = Argon2Passwords(made._table, remember=1)
        assert other._name("lan", made._table.encoded_hash("lan")[0], RIGHT) != name


async def test_memory_of_successes_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten first."""
    monkeypatch.setattr(room, "_REMEMBERED", 2)
    async with checking(table(tmp_path / "l", a=b"1", b=b"2", c=b"3")) as made:
        for login, password in (("a", b"1"), ("b", b"2"), ("c", b"3")):
            assert await made.check(login, password) is True
        assert len(made._known) == 2
        await made._end()
        assert await made.check("c", b"3") is True
        assert processes(made) == []
        assert await made.check("a", b"1") is True
        assert processes(made) != []


async def test_two_at_once_and_a_short_queue(tmp_path: Path) -> None:
    """Guessing cannot starve mail: beyond two checks and eight that wait there is no answer, at once."""
    async with checking(table(tmp_path / "l", lan=RIGHT)) as made:
        guesses = [asyncio.create_task(made.check("lan", b"guess %d" % number)) for number in range(40)]
        answers = await asyncio.gather(*guesses)
        assert answers.count(None) == 40 - WORKERS - QUEUE
        assert answers.count(False) == WORKERS + QUEUE
        assert len(processes(made)) <= WORKERS == 2
        assert await made.check("lan", RIGHT) is True


async def test_a_full_queue_does_not_stop_those_who_are_known(tmp_path: Path) -> None:
    """Who logged in a moment ago is let in while somebody guesses."""
    async with checking(table(tmp_path / "l", lan=RIGHT)) as made:
        assert await made.check("lan", RIGHT) is True
        guesses = [asyncio.create_task(made.check("lan", b"guess %d" % number)) for number in range(40)]
        await asyncio.sleep(0)
        assert await made.check("lan", RIGHT) is True
        await asyncio.gather(*guesses)


async def test_the_same_question_is_asked_once(tmp_path: Path) -> None:
    """Ten connections of one client with one password are one check, and all get its answer."""
    async with checking(table(tmp_path / "l", lan=RIGHT)) as made:
        answers = await asyncio.gather(*(made.check("lan", RIGHT) for _ in range(30)))
        assert answers == [True] * 30
        assert len(processes(made)) == 1


async def test_a_client_that_leaves_takes_nobody_with_it(tmp_path: Path) -> None:
    """A canceled check goes on for the others, and the worker is free afterwards."""
    async with checking(table(tmp_path / "l", lan=RIGHT)) as made:
        first = asyncio.create_task(made.check("lan", RIGHT))
        second = asyncio.create_task(made.check("lan", RIGHT))
        await asyncio.sleep(0)  # both ask; the process is not even started
        first.cancel()
        assert await second is True
        with pytest.raises(asyncio.CancelledError):
            await first
        assert made._running == {}
        assert len(made._idle) == WORKERS


async def test_a_dead_worker_is_no_answer_and_is_replaced(tmp_path: Path) -> None:
    """A process that dies in the middle gives no answer (454, try again), and the next check has a new one."""
    async with checking(table(tmp_path / "l", lan=RIGHT)) as made:
        assert await made.check("lan", b"x") is False
        for pid in processes(made):
            os.kill(pid, signal.SIGSTOP)  # its answer must not come before its end
        asking = asyncio.create_task(made.check("lan", RIGHT))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for pid in processes(made):
            os.kill(pid, signal.SIGKILL)
        assert await asking is None
        assert await made.check("lan", RIGHT) is True


async def test_a_stuck_worker_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that does not end is no answer, and its late answer is nobody's."""
    logins = table(tmp_path / "l", lan=RIGHT)
    async with checking(logins) as made:
        assert await made.check("lan", b"x") is False
        monkeypatch.setattr(room, "_PATIENCE", 0.0005)
        stuck = processes(made)
        assert await made.check("lan", RIGHT) is None
        monkeypatch.setattr(room, "_PATIENCE", 15.0)
        assert await made.check("lan", b"wrong") is False
        assert processes(made) != stuck


async def test_after_closing_there_is_no_answer(tmp_path: Path) -> None:
    """A gateway that stops answers nobody, and starts no process any more."""
    made = Argon2Passwords(table(tmp_path / "l", lan=RIGHT), remember=60)
    asking = [asyncio.create_task(made.check("lan", b"guess %d" % number)) for number in range(5)]
    await asyncio.sleep(0.01)
    await made.close()
    assert set(await asyncio.gather(*asking)) <= {None, False}
    assert await made.check("lan", RIGHT) is None
    assert processes(made) == []


async def test_a_worker_knows_nothing(tmp_path: Path) -> None:
    """No secret of the gateway's environment, and no password in the arguments, reaches the process."""
    os.environ["GATEWAY_TEST_SECRET"] = "secret"
    try:
        async with checking(table(tmp_path / "l", lan=RIGHT)) as made:
            await made.check("lan", RIGHT)
            (pid,) = processes(made)
            for part in ("environ", "cmdline"):
                with open(f"/proc/{pid}/{part}", "rb") as file:  # noqa: PTH123, ASYNC230 - a file of the kernel
                    octets = file.read()
                assert b"secret" not in octets
                assert RIGHT not in octets
            assert (
                os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)
                or os.getpriority(os.PRIO_PROCESS, pid) == 19
            )
    finally:
        del os.environ["GATEWAY_TEST_SECRET"]

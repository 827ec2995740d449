"""One process as the gateway sees it: whatever comes out of it is an answer within bounds, or its end."""

from __future__ import annotations

import asyncio
import socket

import pytest

from gateway.judging.limits import Limits
from gateway.judging.passing import ANSWER, MOST_ANSWER
from gateway.judging.worker import JudgeError, Worker


async def taken_over(said: bytes) -> tuple[Worker, socket.socket]:
    """Return a process of somebody else, which says this whatever it is asked."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    process = await asyncio.create_subprocess_exec("sleep", "60")
    theirs.sendall(said)
    return Worker(process, ours, Limits(0.1, 1)), theirs


def framed(words: bytes) -> bytes:
    return ANSWER.pack(len(words)) + words


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (framed(b"[" * 100_000), "judge_died"),
        (framed(b"[]"), "judge_died"),
        (framed(b"\xff\xfe"), "judge_died"),
        (framed(b"x"), "judge_died"),
        (ANSWER.pack(MOST_ANSWER + 1), "judge_died"),
        (ANSWER.pack(20) + b"half", "judge_timeout"),
        (b"", "judge_timeout"),
    ],
    ids=["deep", "a list", "no text", "no words", "too long", "half of it", "silence"],
)
async def test_what_is_no_answer_is_its_end(said: bytes, reason: str) -> None:
    """The message loses its verdict, the process its life, and nobody waits longer than the limit."""
    worker, theirs = await taken_over(said)
    async with asyncio.timeout(20):
        with theirs, pytest.raises(JudgeError, match=reason):
            await worker.ask({"do": "judge"}, (b"x",), ())
    assert not worker.usable
    assert not worker.alive


async def test_an_answer_that_does_not_say_that_it_goes_on_is_the_last() -> None:
    """A process that is tired, or does not know the word, is replaced."""
    worker, theirs = await taken_over(framed(b'{"judgment": null}'))
    with theirs:
        assert await worker.ask({"do": "judge"}, (), ()) == {"judgment": None}
    assert not worker.usable
    assert not worker.alive


async def test_one_that_does_not_listen_is_ended() -> None:
    """Octets that it does not read must not keep a message waiting."""
    worker, theirs = await taken_over(b"")
    with theirs, pytest.raises(JudgeError, match="judge_timeout"):
        await worker.ask({"do": "judge"}, (b"x" * 10_000_000,), ())
    assert not worker.alive


async def test_one_that_is_ended_while_it_answers_is_not_used_again() -> None:
    """Its answer counts, and the socket is closed: it is nobody's any more."""
    worker, theirs = await taken_over(b"")
    with theirs:
        asked = asyncio.ensure_future(worker.ask({"do": "judge"}, (), ()))
        await asyncio.sleep(0)
        theirs.sendall(framed(b'{"tired": false}'))
        await worker.close()
        assert await asked == {"tired": False}
        theirs.setblocking(False)
        assert theirs.recv(100).endswith(b'{"do": "judge"}')
        assert theirs.recv(1) == b""
    assert not worker.usable

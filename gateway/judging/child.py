"""The program of a judge's process: `python -m gateway.judging.child FD`, one message after the other.

It reads what strangers wrote, so it may be taken over: it gets no secrets, writes no files, and its answers are words
that the gateway reads with suspicion. The kernel ends it where a message costs too much processor time or memory.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import resource
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from gateway.core.errors import InputError
from gateway.judging.asked import evidence_in, plain_heard, plain_needs
from gateway.judging.limits import OUT_OF_MEMORY, Limits
from gateway.judging.passing import ANSWER, receive, unparcel
from gateway.judging.paths import Listening
from gateway.judging.terms import Terms, unpacked
from gateway.judging.values import plain
from gateway.pki.needs import Needs
from gateway.smime.verify import judge, needs_beside, needs_of, open_message, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

_NICE: Final = 5
"""Hostile mail must not take processor time from sessions."""
_MOST_OPEN: Final = 64
_TIRED: Final = 4
"""The part of the memory limit, 1/4, that may stay taken between messages."""


def confine(limits: Limits) -> int:
    """Bound this process for good, and return the octets of address space it starts with."""
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MOST_OPEN, _MOST_OPEN))
    return bound_memory(limits)


def bound_memory(limits: Limits) -> int:
    """Bound the address space from what is taken now, and return that."""
    size = _address_space()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (size + limits.memory, hard))
    return size


def _address_space() -> int:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - a file of the kernel, read once per message
        return int(file.read().split()[0]) * resource.getpagesize()


@contextlib.contextmanager
def _timed(seconds: float) -> Iterator[None]:
    """Let the kernel end this process (SIGPROF) after so much processor time, whatever it is busy with."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def answer(terms: Terms, asked: dict[str, Any], octets: bytes, files: tuple[int, ...]) -> dict[str, object]:
    """Return what is to be said about one message."""
    inline, evidence = evidence_in(asked, octets)
    message = unparcel(asked["pieces"], inline, files)
    listening = Listening()
    trust = listening.to(terms.at(dt.datetime.fromisoformat(asked["at"]), evidence))
    needs = Needs()
    try:
        opened = open_message(message)
        judgment = judge(opened, trust)
        needs = needs_of(opened, trust) if listening.open else needs_beside(opened, trust)
    except MemoryError:
        raise
    except InputError as error:  # condition 1
        judgment = unreadable(message, error.reason)
    except Exception:  # noqa: BLE001 - a bug of ours, or of a library on hostile octets, must end in a verdict
        judgment = unreadable(message, "internal_fault")
    heard = [plain_heard(each) for each in listening.heard]
    return {"judgment": plain(judgment), **plain_needs(needs), "answers": heard}


def serve(channel: socket.socket, limits: Limits) -> int:
    """Answer until the gateway closes the socket, or dies; returns the exit code."""
    start = confine(limits)
    terms: Terms | None = None
    while (request := receive(channel)) is not None:
        words, octets, files = request
        asked = json.loads(words)
        if asked["do"] == "terms":
            terms = unpacked(octets)
            start = bound_memory(limits)
            found: dict[str, object] = {"ready": True}
        else:
            if terms is None:
                return 1
            begun = time.process_time()
            try:
                with _timed(limits.seconds):
                    found = answer(terms, asked, octets, files)
            except MemoryError:
                return OUT_OF_MEMORY
            found["seconds"] = time.process_time() - begun
        del octets, request
        tired = _address_space() - start > limits.memory // _TIRED
        said = json.dumps({**found, "tired": tired}).encode()
        channel.sendall(ANSWER.pack(len(said)) + said)
        if tired:
            return 0
    return 0


def main() -> int:
    """Serve on the descriptor that was passed; SIGPROF kills, as it does by default."""
    descriptor, seconds, memory = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(descriptor)) as channel:
        return serve(channel, Limits(float(seconds), int(memory)))


if __name__ == "__main__":
    sys.exit(main())

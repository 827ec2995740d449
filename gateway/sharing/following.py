"""What administrators change on any machine, taken over into the files of this one (decision 31).

The database has the truth, the files are a copy: everything that reads files goes on doing so, with the database away
too. Any process may catch up at any time, beside others; what is there already is left alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from gateway.core.errors import GatewayError, NotNowError, ServiceError, SetupError
from gateway.durable import give
from gateway.keys.suspensions import read_suspensions, write
from gateway.sharing import decrees
from gateway.sharing.copies import Copy, copy_file, read_copy, write_copy
from gateway.spool.opening import open_gazette
from gateway.trust.anchors import misfit
from gateway.trust.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gateway.config.model import Settings
    from gateway.keys.suspensions import Suspension
    from gateway.pki.certificate import Certificate
    from gateway.sharing.copies import Texts
    from gateway.spool.gazette import Decree, Gazette, Past

T = TypeVar("T")

_LOG: Final = structlog.get_logger("gateway.sharing")
_LOCK: Final = "sharing.lock"
_PATIENCE: Final = 10.0
"""Seconds for which another process of this machine may be catching up."""
_MOST: Final = 20
_LONGEST: Final = 500
"""Of the mistakes that others are told."""


Load = Callable[["Settings", "Path", "Texts"], object]
"""What loads policy files with the settings of this machine, and raises `SetupError` where they do not fit."""
State = tuple[str, str]
"""What a running gateway must read again once it is another: heads of the trust store and of the shared policy."""


@dataclass(slots=True)
class Followed:
    """How far this machine came."""

    number: int
    """Highest decree that it knows of."""
    refused: list[str] = field(default_factory=list)
    """What does not fit here, one line each; the old state of it stands."""
    failed: list[str] = field(default_factory=list)
    """What could not be written down, one line each: until it is, this machine must not take mail."""
    state: State = ("", "")
    """What the files say now."""


def begin(settings: Settings, load: Load) -> Followed | None:
    """Catch up before anything is read, None where nobody shares; raises `SetupError`, also for what fails."""
    if not settings.spool.shared:
        return None
    with open_gazette(settings.spool, make=True) as gazette:
        try:
            found = catch_up(settings, gazette, load)
        except ServiceError as error:
            raise NotNowError(f"spool.database: {error}") from error
    if found.failed:
        raise SetupError(*found.failed)
    tell(found)
    return found


def catch_up(settings: Settings, gazette: Gazette, load: Load | None = None) -> Followed:
    """Publish what only this machine's files say, and write what they lack; blocks.

    Policies are left to whoever can `load` them. Raises `ServiceError` where the database is away: what was taken over
    by then stays.
    """
    with _alone(settings):
        past = gazette.past()
        found = Followed(0)
        with _noting(found.refused):
            local = _local(settings)  # where nobody can read it every key is suspended
            with _noting(found.failed):
                past = _publish_own_suspensions(gazette, past, local)
                _follow_keys(settings, past, local)
        with _noting(found.failed):
            past = _publish_own_trust(settings, gazette, past)
            _follow_trust(settings, past, found)
        with _noting(found.refused):
            if load is not None:
                past = _publish_own_policy(settings, gazette, past)
                _follow_policy(settings, gazette, past, load)
        found.number = max((each.number for each in past), default=0)
        found.state = state_of(settings)
        return found


def tell(found: Followed, before: Followed | None = None) -> None:
    """Log what is wrong, once: it is tried again every few seconds."""
    for each in found.refused:
        if before is None or each not in before.refused:
            _LOG.error("what was changed for all machines does not fit this one, its old state stands", mistake=each)
    for each in found.failed:
        if before is None or each not in before.failed:
            _LOG.error("what was changed for all machines cannot be taken over: no mail until it can", mistake=each)


def publish(settings: Settings, choose: Callable[[Past], Sequence[Decree]]) -> Followed:
    """Change something for all machines, then in the files of this one; blocks.

    `choose` sees what holds, and may raise `OvertakenError`. Raises that, `ServiceError` or `SetupError`: nothing was
    changed, here or elsewhere; but `UncertainCommitError` where nobody knows.
    """
    with open_gazette(settings.spool) as gazette:
        past = gazette.publish(choose)
        try:
            return catch_up(settings, gazette)
        except GatewayError as error:  # it holds all the same
            return Followed(past[-1].number if past else 0, failed=[str(error)])


def follow_now(settings: Settings) -> None:
    """Let this machine's files be what holds, before a command looks at them; raises as `publish` does."""
    with open_gazette(settings.spool) as gazette:
        catch_up(settings, gazette)


def state_of(settings: Settings) -> State:
    """Return what this machine's files say."""
    faults: list[str] = []
    head, policy = "", ""
    with _noting(faults):  # whoever loads them will say what is wrong
        head = Store(settings.trust_directory).index().head
    with _noting(faults):
        copied = read_copy(copy_file(settings))
        policy = "" if copied is None else copied.digest
    return head, policy


def words(found: Followed, loaded: State, policy: str, mistakes: Sequence[str]) -> str:
    """Return what others may know of a process: as JSON, small enough for a row that is written every few seconds."""
    told = [*found.failed, *found.refused, *mistakes]
    said = {"number": found.number, "policy": policy, "files": loaded[1]}
    return json.dumps({**said, "mistakes": [each[:_LONGEST] for each in told[:_MOST]]}, ensure_ascii=False)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Keep the processes of one machine apart: each writes whole changes."""
    path = settings.spool.directory / _LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        give(descriptor, path.parent)
    except OSError as error:
        raise SetupError(f"{path}: cannot be opened: {error.strerror}") from error
    try:
        lock = partial(fcntl.flock, descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _unlocked(lock, NotNowError(f"{path}: is locked by somebody"))
        yield
    finally:
        os.close(descriptor)


def _unlocked(attempt: Callable[[], T], late: SetupError) -> T:
    """Return what an attempt returns once nobody's lock stands in its way; raises `late` if that takes too long."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return attempt()
        except BlockingIOError:
            if time.monotonic() > until:
                raise late from None
            time.sleep(0.02)


@contextmanager
def _noting(lines: list[str]) -> Iterator[None]:
    """Keep one trouble from hiding the others."""
    try:
        yield
    except SetupError as error:
        lines += error.mistakes


def _local(settings: Settings) -> dict[str, Suspension]:
    """Return what this machine's file suspends; raises `SetupError`."""
    path = settings.keys_state_file
    try:
        return _unlocked(partial(read_suspensions, path), SetupError(f"{path}: is locked by somebody"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}") from error


def _publish_own_suspensions(gazette: Gazette, past: Past, local: Mapping[str, Suspension]) -> Past:
    if not decrees.own_suspensions(past, local):
        return past
    return gazette.publish(lambda now: decrees.own_suspensions(now, local))


def _follow_keys(settings: Settings, past: Past, local: Mapping[str, Suspension]) -> None:
    path, wanted = settings.keys_state_file, decrees.suspended(past)
    for label, line in wanted.items():
        if local.get(label) != line:
            write(path, "suspend", line)
    last = decrees.last_of_keys(past)
    for label in local.keys() - wanted.keys():
        _, line = decrees.suspension_of(last[label])
        write(path, "resume", line)


def _publish_own_trust(settings: Settings, gazette: Gazette, past: Past) -> Past:
    store = Store(settings.trust_directory)
    index = store.index()
    found = {
        line: decrees.of_line(line, store.certificate(line.fingerprint) if line.action == "added" else None)
        for line in decrees.own_trust(past, index)
    }
    if not found:
        return past
    return gazette.publish(lambda now: [found[each] for each in decrees.own_trust(now, index) if each in found])


def _follow_trust(settings: Settings, past: Past, found: Followed) -> None:
    store = Store(settings.trust_directory)
    standing = store.index().standing
    for fingerprint, decree in decrees.last_of_trust(past).items():
        line, here = decrees.line_of(decree), standing.get(fingerprint)
        if line.action == "retired":
            if here is not None:
                store.follow(line, None)
        elif here is None or (here.kind, here.family) != (line.kind, line.family):
            certificate = None
            with _noting(found.refused):
                certificate = _fitting(settings, decree, line.family)
            if certificate is not None:
                store.follow(line, certificate)


def _fitting(settings: Settings, decree: Decree, family: str) -> Certificate:
    """Return the certificate of an adding; raises `SetupError` where this machine has no place for it."""
    certificate = decrees.certificate_of(decree)
    why = misfit(settings.trust, certificate, family)
    if why is not None:
        raise SetupError(f"{settings.trust_directory}: {why}")
    return certificate


def _publish_own_policy(settings: Settings, gazette: Gazette, past: Past) -> Past:
    """Publish this machine's copy again where the database is older: it was put back from a backup."""
    copied = read_copy(copy_file(settings))
    latest = decrees.latest_policy(past)
    if copied is None or (latest is not None and latest.number >= copied.number):
        return past

    def choose(now: Past) -> Sequence[Decree]:
        last = decrees.latest_policy(now)
        return () if last is not None and last.subject == copied.digest else (again,)

    again = decrees.of_texts(copied.files, who=copied.who)
    return gazette.publish(choose)


def _follow_policy(settings: Settings, gazette: Gazette, past: Past, load: Load) -> None:
    """Replace the copy by the policy in force, if that loads with the settings of this machine."""
    latest, path = decrees.latest_policy(past), copy_file(settings)
    if latest is None:
        return
    copied = read_copy(path)
    if copied is not None and (copied.number, copied.digest) == (latest.number, latest.subject):
        return
    decree = gazette.whole(latest.number) or latest
    files = decrees.texts_of(decree)
    load(settings, path, files)
    write_copy(path, Copy(decree.number, decree.subject, decree.node, decree.who, decree.at, files))

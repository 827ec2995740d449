"""What the commands share that change something for all machines, or for the only one: how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from gateway.cli.call import complain, stop
from gateway.core.errors import ServiceError, SetupError
from gateway.sharing.decrees import of_suspension, suspended
from gateway.sharing.following import follow_now, publish
from gateway.spool.database import UncertainCommitError
from gateway.spool.gazette import OvertakenError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config.model import Settings
    from gateway.keys.suspensions import Suspension
    from gateway.sharing.following import Followed
    from gateway.spool.gazette import Decree, Past

UNCHANGED: Final = "không đổi gì, ở đây lẫn nơi khác / nothing was changed, here or on other machines"


def current(settings: Settings) -> None:
    """Let this machine's files be what holds on all, so that a command decides by that; ends the command if it fails.

    Takes one that nobody shares for current.
    """
    if not settings.spool.shared:
        return
    try:
        follow_now(settings)
    except SetupError as error:
        stop(2, *error.mistakes, UNCHANGED)
    except ServiceError as error:
        stop(2, str(error), UNCHANGED)


def for_all(settings: Settings, choose: Callable[[Past], Sequence[Decree]], *hints: str) -> Followed:
    """Change something on all machines; ends the command if it fails, with `hints` where nothing was changed.

    What this machine could not write down is complained of: it holds all the same.
    """
    try:
        found = publish(settings, choose)
    except OvertakenError as error:
        stop(1, str(error), UNCHANGED)
    except UncertainCommitError as error:
        stop(1, str(error), "không rõ đã đổi chưa, hãy lặp lại lệnh / nobody knows whether it was changed: ask again")
    except SetupError as error:
        stop(2, *error.mistakes, UNCHANGED, *hints)
    except ServiceError as error:
        stop(2, str(error), UNCHANGED, *hints)
    for each in (*found.failed, *found.refused):
        complain(f"đã có hiệu lực nơi khác, máy này thì chưa / it holds elsewhere, not on this machine yet: {each}")
    return found


def suspend_key(settings: Settings, line: Suspension) -> None:
    """Stop a key on all machines; ends the command if it fails."""
    hint = "chỉ trên máy này / on this machine alone: --here"
    if for_all(settings, lambda _: (of_suspension(line, suspending=True),), hint).failed:
        raise typer.Exit(1)


def resume_key(settings: Settings, line: Suspension, seen: Suspension) -> None:
    """Let a key sign again on all machines, if what stops it is what somebody saw; ends the command if it fails."""

    def choose(past: Past) -> tuple[Decree, ...]:
        if suspended(past).get(line.label) != seen:
            raise OvertakenError(f"{line.label}: vừa được đổi nơi khác / somebody else changed it meanwhile")
        return (of_suspension(line, suspending=False),)

    if for_all(settings, choose).failed:
        raise typer.Exit(1)

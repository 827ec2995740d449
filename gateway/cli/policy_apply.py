"""`gateway policy apply`: the running gateway takes its policies anew, all of them or none, and says which are live.

Where machines share a database, all gateways take them (`policy_everywhere`).

Exit codes: 0 these policies are live, 1 they are not (refused, or no gateway runs), 2 the call or the files are
wrong, and nothing was asked of the gateway. Mail flows all the time.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.app.presence import find_running
from gateway.cli.call import DEFAULT_CONFIG, printable, say_json, stop
from gateway.cli.policy_everywhere import apply_to_all
from gateway.cli.policy_replay import read_draft
from gateway.config.load import load_settings
from gateway.core.errors import SetupError

if TYPE_CHECKING:
    from gateway.app.presence import Running, State

_LOOK: Final = 0.05
"""Seconds between two looks at the state file."""


def apply(
    config: Annotated[Path, typer.Option("--config", help="The gateway's configuration.")] = DEFAULT_CONFIG,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for it.", min=0.1, max=600)] = 60.0,
    over: Annotated[int | None, typer.Option("--over", metavar="N", help="In the place of policy N of others.")] = None,
    again: Annotated[int | None, typer.Option("--again", metavar="N", help="Policy N of all machines again.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Check the policies and let the running gateway take them; exit 0: live, 1: the old ones stand, 2: wrong."""
    try:
        settings = load_settings(config)
        if settings.spool.shared:
            raise typer.Exit(apply_to_all(settings, wait=wait, over=over, again=again, as_json=as_json))
        wanted = read_draft(settings, settings.policies).digest
    except SetupError as error:
        stop(2, *error.mistakes, "the gateway was not asked: the policies it runs with stand")
    if over is not None or again is not None:
        stop(2, "--over and --again: for machines that share a database (spool.database)")
    try:
        running = find_running(settings.spool.directory)
        if running is None:
            stop(1, f"{settings.spool.directory}: no gateway runs on this spool (gateway.pid is not locked)")
        before = running.state()
        if not running.ask_to_reload():
            stop(1, "the gateway ended before it could be asked")
        state = _answer(running, before, wanted, wait)
    except OSError as error:
        place = error.filename or settings.spool.directory
        stop(1, f"{place}: {error.strerror}: give the command as the gateway's user, or as root")
    _report(running, state, wanted, wait, as_json=as_json)
    raise typer.Exit(0 if _is_live(state, before, wanted) else 1)


def _answer(running: Running, before: State | None, wanted: str, wait: float) -> State | None:
    """Return its state once it answered, or as it is when patience ends. Raises `OSError`.

    A reload that was under way when it was asked is answered first: what it says may be about older files.
    """
    end = time.monotonic() + wait
    while True:
        state = running.state()
        if _is_live(state, before, wanted) or (state is not None and _is_new(state, before) and state.mistakes):
            return state
        if time.monotonic() >= end or find_running(running.directory) != running:
            return state
        time.sleep(_LOOK)


def _is_new(state: State, before: State | None) -> bool:
    return before is None or state.loads > before.loads


def _is_live(state: State | None, before: State | None, wanted: str) -> bool:
    return state is not None and _is_new(state, before) and not state.mistakes and state.policy == wanted


def _report(running: Running, state: State | None, wanted: str, wait: float, *, as_json: bool) -> None:
    live = state.policy if state is not None else None
    mistakes = state.mistakes if state is not None else ()
    if as_json:
        say_json({"pid": running.pid, "wanted": wanted, "live": live, "mistakes": list(mistakes)})
    elif mistakes:
        for each in mistakes:
            sys.stderr.write(f"gateway: {printable(each)}\n")
        old = _short(live)
        sys.stderr.write(f"gateway: cổng không nhận, bản cũ {old} vẫn chạy / refused, the old policy {old} stands\n")
    elif live == wanted:
        sys.stdout.write(f"bản {_short(live)} đang chạy / policy {_short(live)} is live (pid {running.pid})\n")
    else:
        sys.stderr.write(
            f"gateway: sau {wait:g} giây cổng vẫn chạy bản {_short(live)}"
            f" / after {wait:g} s the gateway still runs policy {_short(live)}, not {_short(wanted)}\n"
        )


def _short(digest: str | None) -> str:
    return printable(digest[:16]) if digest is not None else "(?)"

"""What all commands of `gateway queue` share: who calls, the spool, the entries that are meant, what is said of each.

Exit codes: 0 as asked, 1 something could not be done, 2 the call or its files are wrong, and nothing was changed.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli import queue_report as report
from gateway.cli.call import acting_user, complain, printable, stop
from gateway.config.load import load_settings
from gateway.core.errors import ServiceError, SetupError
from gateway.record.logs import configure
from gateway.spool.acts import By
from gateway.spool.desk import Outcome
from gateway.spool.orders import Orders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gateway.config.model import Settings
    from gateway.spool.desk import Desk, Listed

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SHOWN_MATCHES: Final = 5
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGE: Final = re.compile(r"(\d{1,6})([smhd])")

Config = Annotated[Path, typer.Option("--config", help="The gateway's configuration.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids; the beginning of one is enough if it is unique.")]
Why = Annotated[str, typer.Option("--reason", help="Why, in one line; it is kept on record.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs, one object per line.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def caller(reason: str) -> By:
    """Return who calls, why and when; ends the command for a reason that is not one line."""
    if not reason.isprintable():
        stop(2, "--reason: một dòng chữ / one line of text")
    return By(acting_user(), reason, dt.datetime.now(dt.UTC))


@contextmanager
def open_orders(config: Path) -> Iterator[tuple[Settings, Orders]]:
    """Open the spool of a configuration; ends the command where it cannot be used."""
    configure("error")
    try:
        settings = load_settings(config)
        with Orders(settings.spool) as orders:
            yield settings, orders
    except SetupError as error:
        stop(2, *error.mistakes)
    except ServiceError as error:
        stop(1, str(error))


@contextmanager
def open_desk(config: Path) -> Iterator[Orders]:
    """Open it for what needs no other settings."""
    with open_orders(config) as (_, orders):
        yield orders


def named(desk: Desk, ids: Sequence[str]) -> list[Listed]:
    """Return the entries of these ids or beginnings of ids, each once; ends the command before anything is changed."""
    found: dict[str, Listed] = {}
    mistakes: list[str] = []
    for each in ids:
        matches = desk.find(each, _SHOWN_MATCHES) if _ID.fullmatch(each) else ()
        exact = tuple(match for match in matches if match.entry_id == each)
        if len(matches) == 1 or exact:
            (match,) = exact or matches
            found[match.entry_id] = match
        elif matches:
            begin = ", ".join(match.entry_id for match in matches)
            mistakes.append(f"{each}: nhiều thư có mã bắt đầu như vậy / several begin so: {begin}")
        else:
            mistakes.append(f"{each}: không có thư này trong hàng đợi / no such entry: see `gateway queue list`")
    if mistakes:
        stop(2, *mistakes)
    return list(found.values())


def finish(outcomes: Sequence[tuple[Listed, Outcome]], what: str, *, as_json: bool) -> None:
    """Say what came of each; exits 1 if one was not done."""
    if as_json:
        say({"id": each.entry_id, "act": what, "outcome": outcome.value} for each, outcome in outcomes)
    for each, outcome in outcomes:
        if outcome is not Outcome.DONE:
            complain(f"{each.entry_id}: {report.FAILURES[outcome]}")
        elif not as_json:
            sys.stdout.write(f"{each.entry_id}: {report.DONE[what]}\n")
    if any(outcome is not Outcome.DONE for _, outcome in outcomes):
        raise typer.Exit(1)


def say(objects: Iterable[dict[str, object]]) -> None:
    """Write one JSON object per line; what a terminal would obey is escaped, the letters of people are not."""
    for each in objects:
        text = json.dumps(each, ensure_ascii=False)
        safe = "".join(char if printable(char) == char else json.dumps(char)[1:-1] for char in text)
        sys.stdout.buffer.write(safe.encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()


def before(option: str, text: str, now: dt.datetime, mistakes: list[str]) -> dt.datetime:
    """Return the time so long ago as `30m`, `2h` or `7d` says; notes a mistake where it says nothing."""
    match = _AGE.fullmatch(text)
    if match is None:
        mistakes.append(f"{option} {text}: viết / write 30m, 2h, 7d")
        return now
    return now - dt.timedelta(**{_UNITS[match[2]]: int(match[1])})

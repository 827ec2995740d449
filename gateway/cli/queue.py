"""`gateway queue`: what is kept, and why; letting it go and removing it, while the gateway runs or not.

Exit codes: 0 as asked, 1 something could not be done, 2 the call or its files are wrong, and nothing was changed. The
subject and the octets of a message are shown by `show` only. Who did what stays on record in the spool.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli import queue_report as report
from gateway.cli.call import DEFAULT_CONFIG, acting_user, complain, printable, stop
from gateway.config.load import load_settings
from gateway.core.address import Mailbox, domain_key
from gateway.core.errors import ServiceError, SetupError
from gateway.core.queue import Kind  # noqa: TC001 - typer reads the annotation
from gateway.record.logs import configure
from gateway.spool.acts import By
from gateway.spool.desk import Desk, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gateway.core.address import ReversePath
    from gateway.spool.desk import Listed

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGE: Final = re.compile(r"(\d{1,6})([smhd])")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SHOWN_MATCHES: Final = 5

Config = Annotated[Path, typer.Option("--config", help="The gateway's configuration.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids; the beginning of one is enough if it is unique.")]
Why = Annotated[str, typer.Option("--reason", help="Why, in one line; it is kept on record.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs, one object per line.")]


def list_all(  # noqa: PLR0913, PLR0917 - one argument per option
    config: Config = DEFAULT_CONFIG,
    kind: Annotated[list[Kind] | None, typer.Option("--kind", help="Only of this kind; may be repeated.")] = None,
    sender: Annotated[str | None, typer.Option("--sender", help="Only from ADDRESS, @DOMAIN, or <>.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Only to ADDRESS or @DOMAIN.")] = None,
    older: Annotated[str | None, typer.Option("--older", help="Only what came longer ago: 30m, 2h, 7d.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    after: Annotated[str | None, typer.Option("--after", metavar="ID", help="Go on behind this one.")] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """List what is in the queue, the oldest first; subjects are content, and stay out."""
    now = dt.datetime.now(dt.UTC)
    try:
        fits = _fits(sender, to, older, now)
    except SetupError as error:
        stop(2, *error.mistakes)
    with _desk(config) as desk:
        begin = _named(desk, [after])[0].number if after is not None else 0
        found = (each for each in desk.entries(kinds=frozenset(kind or ()), after=begin) if fits(each))
        page = list(islice(found, limit + 1))
    shown, more = page[:limit], len(page) > limit
    if as_json:
        _say(report.as_object(each) for each in shown)
    else:
        report.print_table(shown, now)
    if more:
        complain(f"còn nữa / there are more: --after {shown[-1].entry_id}, --limit N")


def show_one(
    entry_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, or a beginning that is unique.")],
    config: Config = DEFAULT_CONFIG,
    raw: Annotated[bool, typer.Option("--raw", help="Write the octets of the message, nothing else.")] = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Show one entry: envelope, reason, header, and what administrators did with it."""
    with _desk(config) as desk:
        (listed,) = _named(desk, [entry_id])
        entry = desk.load(listed.entry_id)
        if raw:
            if entry is None:
                stop(1, f"{listed.entry_id}: không đọc được / cannot be read")
            for window in entry.consignment.message.windows():
                sys.stdout.buffer.write(window)
            sys.stdout.buffer.flush()
            return
        acts = desk.acts(entry_id=listed.entry_id)
        if as_json:
            _say([report.as_object(listed) | report.details(entry, acts)])
        else:
            report.print_entry(listed, entry, acts, dt.datetime.now(dt.UTC))
    if entry is None:
        stop(1, f"{listed.entry_id}: hỏng, không đọc được / damaged, cannot be read")


def release(
    ids: Ids,
    config: Config = DEFAULT_CONFIG,
    reason: Why = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Let held or quarantined mail go: all rules but those that hold are asked again, it is signed or tagged."""
    by = _by(reason)
    with _desk(config) as desk:
        chosen = _named(desk, ids)
        work = desk.may_release if dry_run else (lambda entry_id: desk.release(entry_id, by))
        outcomes = [(each, work(each.entry_id)) for each in chosen]
    _finish(outcomes, "would_release" if dry_run else "release", as_json=as_json)


def delete(
    ids: Ids,
    config: Config = DEFAULT_CONFIG,
    reason: Why = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Remove entries for ever; neither sender nor recipients are told."""
    by = _by(reason)
    with _desk(config) as desk:
        chosen = _named(desk, ids)
        if not yes:
            report.print_losses(chosen, dt.datetime.now(dt.UTC))
            _ask()
        outcomes = [(each, desk.delete(each.entry_id, by)) for each in chosen]
    _finish(outcomes, "delete", as_json=as_json)


def _ask() -> None:
    """Ask on a terminal; without one nothing is removed."""
    if not _on_terminal():
        stop(2, "chưa xóa gì: cần --yes / nothing was removed: --yes is needed where nobody can be asked")
    sys.stderr.write("Xóa vĩnh viễn? Gõ: xoa / remove for ever? Type: yes > ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"yes", "xoa", "xóa", "xoá"}:
        stop(1, "chưa xóa gì / nothing was removed")


def _on_terminal() -> bool:
    return sys.stdin.isatty()


def _by(reason: str) -> By:
    if not reason.isprintable():
        stop(2, "--reason: một dòng chữ / one line of text")
    return By(acting_user(), reason, dt.datetime.now(dt.UTC))


@contextmanager
def _desk(config: Path) -> Iterator[Desk]:
    """Open the spool of a configuration; ends the command where it cannot be used."""
    configure("error")
    try:
        with Desk(load_settings(config).spool) as desk:
            yield desk
    except SetupError as error:
        stop(2, *error.mistakes)
    except ServiceError as error:
        stop(1, str(error))


def _named(desk: Desk, ids: Sequence[str]) -> list[Listed]:
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


def _finish(outcomes: Sequence[tuple[Listed, Outcome]], what: str, *, as_json: bool) -> None:
    """Say what came of each; exits 1 if one was not done."""
    if as_json:
        _say({"id": each.entry_id, "act": what, "outcome": outcome.value} for each, outcome in outcomes)
    for each, outcome in outcomes:
        if outcome is not Outcome.DONE:
            complain(f"{each.entry_id}: {report.FAILURES[outcome]}")
        elif not as_json:
            sys.stdout.write(f"{each.entry_id}: {report.DONE[what]}\n")
    if any(outcome is not Outcome.DONE for _, outcome in outcomes):
        raise typer.Exit(1)


def _say(objects: Iterator[dict[str, object]] | Sequence[dict[str, object]]) -> None:
    """Write one JSON object per line; what a terminal would obey is escaped, the letters of people are not."""
    for each in objects:
        text = json.dumps(each, ensure_ascii=False)
        safe = "".join(char if printable(char) == char else json.dumps(char)[1:-1] for char in text)
        sys.stdout.buffer.write(safe.encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()


def _fits(sender: str | None, to: str | None, older: str | None, now: dt.datetime) -> Callable[[Listed], bool]:
    """Return the question whether an entry is asked for; raises `SetupError` with all that cannot be read."""
    mistakes: list[str] = []
    wanted = {"--sender": sender, "--to": to}
    patterns = {name: _pattern(name, text, mistakes) for name, text in wanted.items() if text is not None}
    before = _before(older, now, mistakes) if older is not None else None
    if mistakes:
        raise SetupError(*mistakes)

    def fits(entry: Listed) -> bool:
        return (
            ("--sender" not in patterns or _is(entry.reverse_path, patterns["--sender"]))
            and ("--to" not in patterns or any(_is(each, patterns["--to"]) for each, _ in entry.recipients))
            and (before is None or entry.received_at <= before)
        )

    return fits


def _pattern(name: str, text: str, mistakes: list[str]) -> str:
    """Return the key of a mailbox, "@domain", or "" for the null reverse-path."""
    if text == "<>" and name == "--sender":
        return ""
    try:
        return f"@{domain_key(text[1:])}" if text.startswith("@") and len(text) > 1 else Mailbox.parse(text).key
    except ValueError:
        mistakes.append(f"{name} {text}: không phải địa chỉ hay @tên-miền / not an address and not @domain")
        return ""


def _before(text: str, now: dt.datetime, mistakes: list[str]) -> dt.datetime:
    match = _AGE.fullmatch(text)
    if match is None:
        mistakes.append(f"--older {text}: viết / write 30m, 2h, 7d")
        return now
    return now - dt.timedelta(**{_UNITS[match[2]]: int(match[1])})


def _is(path: ReversePath, pattern: str) -> bool:
    if not isinstance(path, Mailbox):
        return not pattern
    return pattern in {path.key, f"@{domain_key(path.domain)}"}

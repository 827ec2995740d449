"""`gateway queue`: what is kept, and why; letting it go and removing it, while the gateway runs or not.

Exit codes: 0 as asked, 1 something could not be done, 2 the call or its files are wrong, and nothing was changed. The
subject and the octets of a message are shown by `show` only. Who did what stays on record in the spool.
"""

from __future__ import annotations

import datetime as dt
import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import queue_report as report
from gateway.cli.call import DEFAULT_CONFIG, complain, stop
from gateway.cli.queue_call import AsJson, Config, DryRun, Ids, Why, before, caller, finish, named, open_desk, say
from gateway.core.address import Mailbox, domain_key
from gateway.core.errors import SetupError
from gateway.core.queue import Kind  # noqa: TC001 - typer reads the annotation

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.address import ReversePath
    from gateway.spool.desk import Listed


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
    with open_desk(config) as desk:
        begin = named(desk, [after])[0].number if after is not None else 0
        found = (each for each in desk.entries(kinds=frozenset(kind or ()), after=begin) if fits(each))
        page = list(islice(found, limit + 1))
    shown, more = page[:limit], len(page) > limit
    if as_json:
        say(report.as_object(each) for each in shown)
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
    with open_desk(config) as desk:
        (listed,) = named(desk, [entry_id])
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
            say([report.as_object(listed) | report.details(entry, acts)])
        else:
            report.print_entry(listed, entry, acts, dt.datetime.now(dt.UTC))
    if entry is None:
        stop(1, f"{listed.entry_id}: hỏng, không đọc được / damaged, cannot be read")


def release(
    ids: Ids,
    config: Config = DEFAULT_CONFIG,
    reason: Why = "",
    dry_run: DryRun = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Let held or quarantined mail go: all rules but those that hold are asked again, it is signed or tagged."""
    by = caller(reason)
    with open_desk(config) as desk:
        chosen = named(desk, ids)
        work = desk.may_release if dry_run else (lambda entry_id: desk.release(entry_id, by))
        outcomes = [(each, work(each.entry_id)) for each in chosen]
    finish(outcomes, "would_release" if dry_run else "release", as_json=as_json)


def delete(
    ids: Ids,
    config: Config = DEFAULT_CONFIG,
    reason: Why = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Remove entries for ever; neither sender nor recipients are told."""
    by = caller(reason)
    with open_desk(config) as desk:
        chosen = named(desk, ids)
        if not yes:
            report.print_losses(chosen, dt.datetime.now(dt.UTC))
            _ask()
        outcomes = [(each, desk.delete(each.entry_id, by)) for each in chosen]
    finish(outcomes, "delete", as_json=as_json)


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


def _fits(sender: str | None, to: str | None, older: str | None, now: dt.datetime) -> Callable[[Listed], bool]:
    """Return the question whether an entry is asked for; raises `SetupError` with all that cannot be read."""
    mistakes: list[str] = []
    wanted = {"--sender": sender, "--to": to}
    patterns = {name: _pattern(name, text, mistakes) for name, text in wanted.items() if text is not None}
    latest = before("--older", older, now, mistakes) if older is not None else None
    if mistakes:
        raise SetupError(*mistakes)

    def fits(entry: Listed) -> bool:
        return (
            ("--sender" not in patterns or _is(entry.reverse_path, patterns["--sender"]))
            and ("--to" not in patterns or any(_is(each, patterns["--to"]) for each, _ in entry.recipients))
            and (latest is None or entry.received_at <= latest)
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


def _is(path: ReversePath, pattern: str) -> bool:
    if not isinstance(path, Mailbox):
        return not pattern
    return pattern in {path.key, f"@{domain_key(path.domain)}"}

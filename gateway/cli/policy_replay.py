"""`gateway policy replay`: which past mail would a draft treat otherwise? Nothing is sent.

Exit codes: 0 no decision would change, 1 some would, 2 the call or its files are wrong.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.app.policies import directory_of, read_policies
from gateway.app.world import read_registry
from gateway.cli.call import DEFAULT_CONFIG, moment, stop
from gateway.cli.screen import show_narrow
from gateway.config.load import load_settings
from gateway.core.errors import Mistakes, ServiceError, SetupError
from gateway.policy.replay import Replay
from gateway.spool.memory import PastMail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.config.model import Settings
    from gateway.core.past import PastMessage
    from gateway.policy.model import Policy
    from gateway.policy.replay import Difference

_PAGE: Final = 500
_SPAN: Final = re.compile(r"([1-9][0-9]{0,4})([hdw])")
_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


def replay(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The draft: a policy directory.")],
    since: Annotated[str, typer.Option("--since", metavar="SPAN", help="7d, 12h, 2w, or an ISO 8601 time.")] = "7d",
    config: Annotated[Path, typer.Option("--config", help="The gateway's configuration.")] = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Try a draft on past mail; exit 0: no decision would change, 1: some would, 2: something is wrong."""
    faults = Mistakes()
    begin = faults.read(lambda: begin_of(since, dt.datetime.now(dt.UTC)))
    settings = faults.read(lambda: load_settings(config))
    policy = faults.read(lambda: read_draft(settings, directory)) if settings is not None else None
    try:
        faults.finish()
        assert begin is not None  # noqa: S101 - no mistakes, so nothing is missing
        assert settings is not None  # noqa: S101 - as above
        assert policy is not None  # noqa: S101 - as above
        tried = Replay(policy)
        for past in _past(settings.spool.directory, begin):
            tried.add(past)
    except SetupError as error:
        stop(2, *error.mistakes)
    except ServiceError as error:
        stop(2, f"past mail cannot be read now: {error}")
    if as_json:
        text = json.dumps(_as_object(tried, begin), ensure_ascii=False)
        sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\n")
        sys.stdout.buffer.flush()
    else:
        _report(str(directory), tried, begin)
    raise typer.Exit(1 if tried.changed else 0)


def read_draft(settings: Settings, directory: Path) -> Policy:
    """Return the policy in a directory as the gateway of these settings would read it; raises `SetupError`."""
    return read_policies(directory, directory_of(settings, read_registry(settings.agencies)), settings)


def begin_of(text: str, now: dt.datetime) -> dt.datetime:
    """Return when a span before `now` began, or the time that the text is; raises `SetupError`."""
    match = _SPAN.fullmatch(text)
    if match is not None:
        return now - dt.timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        return moment(text)
    except SetupError as error:
        raise SetupError(f"--since {text}: write 7d, 12h, 2w, or a time such as 2026-11-24T08:00+07:00") from error


def _past(directory: Path, begin: dt.datetime) -> Iterator[PastMessage]:
    """Yield past messages page by page: there may be more than memory holds."""
    with PastMail(directory) as mail:
        after: int | None = None
        while page := mail.since(begin, after=after, limit=_PAGE):
            yield from (each.past for each in page)
            after = page[-1].number


def _as_object(tried: Replay, begin: dt.datetime) -> dict[str, object]:
    return {
        "since": begin.isoformat(),
        "policy": tried.policy.digest,
        "messages": tried.messages,
        "changed": tried.changed,
        "other_rule_same_decision": tried.renamed,
        "unreadable": tried.unreadable,
        "not_recorded": dict(sorted(tried.unanswered.items())),
        "differences": [
            {
                "direction": each.direction.value,
                "messages": each.messages,
                "old": {"rule": each.old.rule, "decision": each.old.decision},
                "new": {"rule": each.new.rule, "decision": each.new.decision},
                "examples": list(each.examples),
            }
            for each in tried.differences
        ],
    }


def _report(name: str, tried: Replay, begin: dt.datetime) -> None:
    """Print the table for people, at most 80 columns."""
    changed, of = tried.changed, tried.messages
    lines = [("Từ lúc / since", begin.isoformat(timespec="seconds"))]
    lines += [("Chỉ đổi quy định / rule only", f"{tried.renamed}")] if tried.renamed else []
    lines += [("Không đọc được / unreadable", f"{tried.unreadable}")] if tried.unreadable else []
    for what, number in sorted(tried.unanswered.items()):
        lines.append(("Chưa từng ghi / not recorded", f"{what}: {number} thư, kết quả có thể khác / may differ"))
    show_narrow(
        name,
        vietnamese=f"{changed} trong {of} thư sẽ được xử lý khác.",
        english=f"{changed} of {of} messages would be treated differently.",
        color="bold yellow" if changed else "bold green",
        lines=lines,
    )
    for each in tried.differences:
        _print_difference(each)


def _print_difference(difference: Difference) -> None:
    old, new = difference.old, difference.new
    lines = [("Quyết định cũ / was", old.decision), ("Quyết định mới / would be", new.decision)]
    if not difference.other_decision:
        lines = [("Quyết định / decision", f"{new.decision} (không đổi / the same)")]
    lines.append(("Ví dụ / examples", ", ".join(difference.examples)))
    title = f"{difference.messages} x {difference.direction.value}: {old.rule} -> {new.rule}"
    show_narrow(title, vietnamese="", english="", color="", lines=lines)

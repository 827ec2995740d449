"""`gateway queue digest`: what is held and quarantined, told to each owner in words that an office understands.

The owner of mail that goes out is its sender, of mail that comes in each of its recipients. A subject is content: a
digest is for its owner, and whoever sends it on sends it to nobody else. Exit codes: 0 told, 2 the call is wrong.
"""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.call import DEFAULT_CONFIG, printable, stop
from gateway.cli.queue_call import AsJson, Config, before, open_orders, say
from gateway.cli.queue_report import subject_of, time_of
from gateway.core.address import Mailbox
from gateway.core.envelope import Direction
from gateway.core.queue import RecipientState
from gateway.spool.desk import KEPT

if TYPE_CHECKING:
    from gateway.spool.desk import Listed
    from gateway.spool.orders import Orders

_HEAD: Final = """\
Kính gửi {owner},

Các thư sau đang được giữ tại cổng thư, chưa được chuyển. Nếu cần thư nào, xin báo mã thư cho quản trị thư điện tử.
(The mail gateway keeps these messages. If you need one of them, please give its id to your mail administrator.)
"""
_NOBODY: Final = "(không rõ / unknown)"


def digest(
    config: Config = DEFAULT_CONFIG,
    since: Annotated[str | None, typer.Option("--since", help="Only what came since: 12h, 1d, 7d.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="ADDRESS", help="Only for this owner.")] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Tell what is held and quarantined, one text for each owner."""
    mistakes: list[str] = []
    begin = before("--since", since, dt.datetime.now(dt.UTC), mistakes) if since is not None else None
    key = _key(owner, mistakes) if owner is not None else None
    if mistakes:
        stop(2, *mistakes)
    with open_orders(config) as (settings, desk):
        days = dt.timedelta(days=settings.spool.kept_days)
        found: dict[str, list[tuple[Listed, str]]] = {}
        for each in desk.entries(kinds=KEPT):
            if begin is not None and each.received_at < begin:
                continue
            owners = [name for name in _owners(each) if key is None or _is(name, key)]
            subject = _subject(desk, each) if owners else ""
            for name in owners:
                found.setdefault(name, []).append((each, subject))
    if as_json:
        say(
            {"owner": name, "messages": [_object(each, subject, days) for each, subject in some]}
            for name, some in sorted(found.items())
        )
        return
    texts = [
        "".join((_HEAD.format(owner=name), *(_text(*each, days) for each in some))) for name, some in found.items()
    ]
    sys.stdout.write("\n\n".join(sorted(texts)) or "Không có thư nào bị giữ / nothing is kept.\n")


def _key(owner: str, mistakes: list[str]) -> str:
    try:
        return Mailbox.parse(owner).key
    except ValueError:
        mistakes.append(f"--owner {owner}: không phải địa chỉ / not an address")
        return ""


def _owners(entry: Listed) -> list[str]:
    """Return who has to do with an entry."""
    if entry.direction is Direction.OUTBOUND:
        return [str(entry.reverse_path) or _NOBODY]
    left = [str(mailbox) for mailbox, state in entry.recipients if state is not RecipientState.SENT]
    return list(dict.fromkeys(left)) or [_NOBODY]


def _is(name: str, key: str) -> bool:
    return Mailbox.key_in(name) == key


def _subject(desk: Orders, entry: Listed) -> str:
    loaded = desk.load(entry.entry_id)
    return "?" if loaded is None else subject_of(loaded)


def _text(entry: Listed, subject: str, days: dt.timedelta) -> str:
    others = ", ".join(str(mailbox) for mailbox, _ in entry.recipients[:3])
    more = f" (+{len(entry.recipients) - 3})" if len(entry.recipients) > 3 else ""  # noqa: PLR2004 - a line's worth
    reason = entry.reason.partition(" ")[2] or entry.reason or "-"
    lines = (
        ("Tiêu đề / subject", subject),
        ("Từ / from", str(entry.reverse_path) or "<>"),
        ("Tới / to", others + more),
        ("Nhận lúc / received", time_of(entry.received_at)),
        ("Vì sao / why", reason),
        ("Giữ đến / kept until", f"{time_of(entry.received_at + days)} (sớm nhất / at the earliest)"),
        ("Mã thư / id", entry.entry_id),
    )
    return "\n" + "".join(f"    {name}: {printable(value)}\n" for name, value in lines)


def _object(entry: Listed, subject: str, days: dt.timedelta) -> dict[str, object]:
    return {
        "id": entry.entry_id,
        "kind": entry.kind.value,
        "subject": subject,
        "from": str(entry.reverse_path),
        "to": [str(mailbox) for mailbox, _ in entry.recipients],
        "reason": entry.reason,
        "received_at": entry.received_at.isoformat(),
        "kept_until": (entry.received_at + days).isoformat(),
    }

"""`gateway queue digest`: what is held and quarantined, told to each owner in words that an office understands.

The owner of mail that goes out is its sender, of mail that comes in each of its recipients. A subject is content: a
digest is for its owner, and whoever sends it on sends it to nobody else. Exit codes: 0 told, 2 the call is wrong.
"""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.app.digests import item_of, subject_of
from gateway.cli.call import DEFAULT_CONFIG, printable, stop
from gateway.cli.queue_call import AsJson, Config, before, open_orders, say
from gateway.core.address import Mailbox
from gateway.core.envelope import Direction
from gateway.mime.digest import digest_text
from gateway.spool.desk import KEPT

if TYPE_CHECKING:
    from gateway.mime.digest import Item
    from gateway.spool.desk import Listed

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
        found: dict[str, list[Item]] = {}
        for each in desk.entries(kinds=KEPT):
            if begin is not None and each.received_at < begin:
                continue
            owners = [name for name in _owners(each) if key is None or _is(name, key)]
            for name in owners:
                found.setdefault(name, []).append(item_of(each, subject_of(desk, each.entry_id), settings.spool))
    if as_json:
        say({"owner": name, "messages": [_object(each) for each in some]} for name, some in sorted(found.items()))
        return
    texts = [_safe(digest_text(name, some)) for name, some in sorted(found.items())]
    sys.stdout.write("\n\n".join(texts) or "Không có thư nào bị giữ / nothing is kept.\n")


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
    return list(dict.fromkeys(map(str, entry.left))) or [_NOBODY]


def _is(name: str, key: str) -> bool:
    return Mailbox.key_in(name) == key


def _safe(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def _object(item: Item) -> dict[str, object]:
    return {
        "id": item.entry_id,
        "kind": item.kind.value,
        "subject": item.subject,
        "from": item.sender,
        "to": list(item.recipients),
        "reason": item.reason,
        "received_at": item.received_at.isoformat(),
        "kept_until": item.ends_at.isoformat(),
    }

"""`gateway queue export`: one entry as files, its octets and its envelope, for people who look into it elsewhere.

Exit codes: 0 written, 1 it could not be, 2 the call is wrong. What is written is other people's mail: mode 0600, never
over a file that is there, and on record before the first octet is out.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import queue_report as report
from gateway.cli.call import DEFAULT_CONFIG, stop
from gateway.cli.queue_call import AsJson, Config, Why, caller, named, open_desk, say
from gateway.spool.desk import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.core.envelope import Recipient
    from gateway.core.queue import Entry
    from gateway.spool.desk import Listed

_STANDARD_OUTPUT = "-"


def export(
    entry_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, or a beginning that is unique.")],
    target: Annotated[
        str,
        typer.Argument(
            metavar="DIR|-", help="Directory for ID.eml and ID.json; -: one line of JSON, then the octets it counts."
        ),
    ],
    config: Config = DEFAULT_CONFIG,
    reason: Why = "",
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Write the message as it is, and JSON of its envelope and state; it stays in the queue."""
    by = caller(reason)
    directory = None if target == _STANDARD_OUTPUT else Path(target)
    if directory is not None and not directory.is_dir():
        stop(2, f"{directory}: không phải thư mục / not a directory")
    with open_desk(config) as desk:
        (listed,) = named(desk, [entry_id])
        entry = desk.load(listed.entry_id)
        if entry is None:
            stop(1, f"{listed.entry_id}: {report.FAILURES[Outcome.UNREADABLE]}")
        outcome = desk.take_out(listed.entry_id, by, target if directory is None else str(directory.resolve()))
        if outcome is not Outcome.DONE:
            stop(1, f"{listed.entry_id}: {report.FAILURES[outcome]}")
        line = json.dumps(described(listed, entry), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        if directory is None:
            for block in (line, *entry.consignment.message.windows()):
                sys.stdout.buffer.write(block)
            sys.stdout.buffer.flush()
            return
        names = (directory / f"{listed.entry_id}.json", directory / f"{listed.entry_id}.eml")
        _write(names[0], (line,))
        try:
            _write(names[1], entry.consignment.message.windows())
        except typer.Exit:
            names[0].unlink()
            raise
    if as_json:
        say([{"id": listed.entry_id, "act": "export", "outcome": "done", "files": [str(each) for each in names]}])
    else:
        sys.stdout.write("".join(f"{each}\n" for each in names))


def described(listed: Listed, entry: Entry) -> dict[str, Any]:
    """Return all that is known of an entry but its octets: enough to send it by other means."""
    consignment, envelope = entry.consignment, entry.consignment.envelope
    origin, known = consignment.origin, consignment.recollection
    return report.as_object(listed) | {
        "envelope": {
            "from": str(envelope.reverse_path),
            "body": "8BITMIME" if envelope.eight_bit else "7BIT",
            "smtputf8": envelope.smtputf8,
            "ret": envelope.ret.value if envelope.ret is not None else None,
            "envid": envelope.envid,
            "recipients": [
                {
                    "to": str(each.mailbox),
                    "notify": _wishes(each),
                    "orcpt": each.orcpt,
                    "state": state.value,
                    "reply": str(reply) if reply is not None else None,
                }
                for each, state, reply in zip(
                    envelope.recipients, entry.states, entry.last_replies or (None,) * len(entry.states), strict=True
                )
            ],
        },
        "answered_for": consignment.answered_for,
        "origin": {"listener": origin.listener, "login": origin.login, "client": origin.client} if origin else None,
        "recollection": {"repeat": known.repeat.value, "contact": known.contact.value} if known else None,
        "dot_sent": entry.dot_sent,
        "warned_at": entry.warned_at.isoformat() if entry.warned_at is not None else None,
    }


def _wishes(recipient: Recipient) -> list[str] | None:
    """Return NOTIFY as it was asked for."""
    if recipient.notify is None:
        return None
    return sorted(each.value for each in recipient.notify) or ["NEVER"]


def _write(path: Path, blocks: Iterable[bytes]) -> None:
    """Write a new file, durably; ends the command, leaving none, where that fails."""
    made = False
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        made = True
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(blocks)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if made:
            with contextlib.suppress(OSError):
                path.unlink()
        stop(1, f"{path}: không ghi được / cannot be written: {error.strerror}")

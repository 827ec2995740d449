"""A configuration and a queue for the tests of `gateway queue`, and how its commands are run there."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from typer.testing import CliRunner

from gateway.cli import build
from gateway.core.queue import Kind, RecipientState
from gateway.spool.store import SqliteSpool
from support.spooled import entry, settings, with_consignment

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from gateway.core.queue import Entry

RUNNER: Final = CliRunner()
LETTER: Final = (
    "From: <van-thu@so-noi-vu.example>\r\nSubject: =?utf-8?q?K=E1=BA=BF_ho=E1=BA=A1ch?=\r\n"
    "Received: from a.example\r\n\tby b.example\r\n"
    "X-Evil: \x1b]0;owned\x07 \u202egnp.exe\r\n\r\nNội dung mật.\r\n"
).encode()
CONFIG: Final = """\
hostname: mail.songlam.example
listeners: [{name: inbound, kind: inbound, address: "127.0.0.1:0"}]
hops:
  - {name: kho, protocol: maildir, directory: kho}
  - {name: du-phong, protocol: maildir, directory: du-phong}
local_domains: [{domain: songlam.example, hop: kho, recipients: any}]
outbound: [{domain: so-noi-vu.example, hop: kho}]
spool: {directory: spool, min_free: 0}
policies: policies
tags: {authserv_id: mail.songlam.example}
"""


def old(entry_id: str, kind: Kind = Kind.HELD, *, age: timedelta = timedelta(), **given: Any) -> Entry:
    """Return an entry that came some time ago."""
    came = datetime.now(UTC) - age
    wait = given.pop("wait", timedelta())
    made = entry(LETTER, kind=kind, entry_id=entry_id, received_at=came, next_attempt_at=came + wait)
    names = ("attempts", "last_replies", "states", "expires_at")
    made = replace(made, **{name: given.pop(name) for name in names if name in given})
    if "envelope" in given:
        made = replace(made, states=(RecipientState.READY,) * len(given["envelope"].recipients))
    hop = "ngoai" if kind is Kind.DELIVER else ""
    return with_consignment(made, **{"hop": hop, "reason": "rule_hold chờ duyệt", **given})


def put(place: Path, *entries: Entry) -> None:
    """Write a configuration, and a spool with these entries."""
    (place / "gateway.yaml").write_text(CONFIG, encoding="utf-8")

    async def store() -> None:
        spool = SqliteSpool(settings(place / "spool"))
        await spool.commit(entries)
        await spool.close()

    asyncio.run(store())


def run(place: Path, word: str, *arguments: str, code: int = 0, typed: str | None = None) -> Result:
    """Run a command."""
    done = RUNNER.invoke(
        build([f"queue {word}"]),
        ["queue", word, *arguments, "--config", f"{place}/gateway.yaml"],
        input=typed,
        env={"COLUMNS": "200"},
    )
    assert done.exit_code == code, (done.output, done.exception)
    return done


def objects(result: Result) -> list[dict[str, Any]]:
    """Return the JSON objects on standard output."""
    return [json.loads(line) for line in result.stdout_bytes.splitlines()]


def listed(place: Path, *arguments: str) -> list[str]:
    """Return the ids that are listed."""
    return [each["id"] for each in objects(run(place, "list", "--json", *arguments))]

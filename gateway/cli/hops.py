"""`gateway hops`: ask every next hop now, and show what it says: reachable or why not, limits, TLS and fingerprints.

Beside it stands what the running gateway knows by its own mail (`hops_running`).

Exit codes: 0 every address takes mail from us, 1 some do not, 2 the call or its files are wrong.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli.call import DEFAULT_CONFIG, printable, stop
from gateway.cli.hops_running import hear
from gateway.config.load import load_settings
from gateway.core.address import Mailbox
from gateway.core.errors import SetupError
from gateway.record.logs import configure
from gateway.relay.survey import survey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config.hops import Hop
    from gateway.relay.replies import Offers
    from gateway.relay.survey import Answer

_WIDE: Final = 200

Config = Annotated[Path, typer.Option("--config", help="The gateway's configuration.")]


def hops(
    names: Annotated[list[str] | None, typer.Argument(metavar="[HOP]...", help="Only these hops.")] = None,
    config: Config = DEFAULT_CONFIG,
    domain: Annotated[
        str | None, typer.Option("--domain", help="Whose mail exchangers a hop that sends directly is asked for.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for programs, one object per line.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Ask every next hop now: does it take mail, what does it offer; and what does the running gateway see of it."""
    configure("error")
    try:
        settings = load_settings(config)
        chosen = _chosen(settings.hops, names or [])
        if domain is not None:
            _check_domain(domain)
        answers = asyncio.run(survey(chosen, settings.hostname, domain=domain))
    except SetupError as error:
        stop(2, *error.mistakes)
    heard = hear(settings.spool.directory, frozenset(each.name for each in chosen))
    if as_json:
        for each in answers:
            sys.stdout.write(f"{json.dumps(as_object(each) | {'running': heard.of(each.hop)})}\n")
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=_WIDE)
        _print(console, answers)
        heard.print(console)
    if any(each.trouble is not None for each in answers):
        raise typer.Exit(1)


def _chosen(configured: Sequence[Hop], names: Sequence[str]) -> list[Hop]:
    """Return the hops of these names, all without any; raises `SetupError`."""
    unknown = sorted(set(names) - {each.name for each in configured})
    if unknown:
        raise SetupError(*(f"{each}: không có trong cấu hình / no such hop" for each in unknown))
    return [each for each in configured if not names or each.name in names]


def _check_domain(domain: str) -> None:
    try:
        Mailbox.parse(f"x@{domain}")
    except ValueError:
        raise SetupError(f"--domain {domain}: không phải tên miền / not a mail domain") from None


def as_object(answer: Answer) -> dict[str, object]:
    """Return the JSON object of an answer."""
    offers, shown = answer.offers, answer.certificate
    return {
        "hop": answer.hop,
        "address": answer.address,
        "priority": answer.priority,
        "weight": answer.weight,
        "takes_mail": answer.trouble is None,
        "trouble": answer.trouble,
        "milliseconds": answer.milliseconds if answer.trouble is None else None,
        "size": offers.size if offers is not None else None,
        "offers": _words(offers) if offers is not None else [],
        "tls": answer.tls,
        "certificate": shown.sha256 if shown is not None else None,
        "public_key": shown.spki if shown is not None else None,
        "not_after": shown.not_after.isoformat() if shown is not None and shown.not_after is not None else None,
    }


def _words(offers: Offers) -> list[str]:
    offered = {
        "8BITMIME": offers.eight_bit,
        "SMTPUTF8": offers.smtputf8,
        "DSN": offers.dsn,
        "PIPELINING": offers.pipelining,
        "XCLIENT": bool(offers.xclient),
    }
    return [word for word, there in offered.items() if there]


def _print(console: Console, answers: Sequence[Answer]) -> None:
    """Print one row per address."""
    table = Table(box=SIMPLE, pad_edge=False)
    for head in (
        "Chặng / hop",
        "Địa chỉ / address",
        "Ưu tiên / prio:weight",
        "Trạng thái / state",
        "Giới hạn / offers",
    ):
        table.add_column(head, overflow="fold")
    table.add_column("TLS", overflow="fold")
    for each in answers:
        good = each.trouble is None
        state = f"nhận thư / takes mail, {each.milliseconds} ms" if good else f"không / no: {each.trouble}"
        table.add_row(
            Text(each.hop),
            Text(printable(each.address)),
            Text(f"{each.priority}:{each.weight}"),
            Text(printable(state), "green" if good else "red"),
            Text(_offers(each.offers)),
            Text(_tls(each)),
        )
    console.print(table)


def _offers(offers: Offers | None) -> str:
    if offers is None:
        return "-"
    return ", ".join([f"SIZE {offers.size}" if offers.size else "SIZE -", *_words(offers)])


def _tls(answer: Answer) -> str:
    if answer.tls is None:
        return "-"
    shown = answer.certificate
    end = shown.not_after.date().isoformat() if shown is not None and shown.not_after is not None else "?"
    return f"{answer.tls}; {shown.spki if shown is not None else '-'}; {end}"

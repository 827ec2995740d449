"""`gateway queue retry|flush|freeze|thaw|reroute|bounce`: orders about mail in the queue, each with a record.

Exit codes: 0 as asked, 1 something could not be done, 2 the call or its files are wrong, and nothing was changed. A
running gateway sees an order within two seconds; without one it counts from the next start.
"""

from __future__ import annotations

import datetime as dt
import secrets
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.call import DEFAULT_CONFIG, stop
from gateway.cli.queue_call import (
    AsJson,
    Config,
    DryRun,
    Ids,
    Why,
    caller,
    finish,
    named,
    open_orders,
    say,
)
from gateway.delivery.outcomes import Outcomes
from gateway.delivery.returning import returned
from gateway.relay.route import Routes
from gateway.spool.orders import Order

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway.config.model import Settings
    from gateway.core.queue import Entry

OfHop = Annotated[str | None, typer.Option("--hop", metavar="NAME", help="All that waits for this next hop.")]
All = Annotated[bool, typer.Option("--all", help="All mail that moves by itself.")]
SomeIds = Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="Ids, or beginnings that are unique.")]
_WORDS: Final = {
    Order.RETRY: "gửi lại ngay / tried now",
    Order.FREEZE: "giữ lại / kept back",
    Order.THAW: "thôi giữ, gửi ngay / thawed",
}


def retry(
    ids: SomeIds = None,
    hop: OfHop = None,
    everything: All = False,  # noqa: FBT002 - a flag
    config: Config = DEFAULT_CONFIG,
    reason: Why = "",
    dry_run: DryRun = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Try mail again now, without waiting for its next attempt."""
    _carry_out(Order.RETRY, config, ids, hop, reason, everything=everything, dry_run=dry_run, as_json=as_json)


def flush(
    config: Config = DEFAULT_CONFIG,
    reason: Why = "",
    dry_run: DryRun = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Try all mail again now: `retry --all`."""
    _carry_out(Order.RETRY, config, None, None, reason, everything=True, dry_run=dry_run, as_json=as_json)


def freeze(
    ids: SomeIds = None,
    hop: OfHop = None,
    everything: All = False,  # noqa: FBT002 - a flag
    config: Config = DEFAULT_CONFIG,
    reason: Why = "",
    dry_run: DryRun = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Keep mail back: it is not tried until it is thawed, and its time stands still. New mail is not concerned."""
    _carry_out(Order.FREEZE, config, ids, hop, reason, everything=everything, dry_run=dry_run, as_json=as_json)


def thaw(
    ids: SomeIds = None,
    hop: OfHop = None,
    everything: All = False,  # noqa: FBT002 - a flag
    config: Config = DEFAULT_CONFIG,
    reason: Why = "",
    dry_run: DryRun = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Let frozen mail go: it is tried now, with as much time left as it had."""
    _carry_out(Order.THAW, config, ids, hop, reason, everything=everything, dry_run=dry_run, as_json=as_json)


def reroute(
    ids: Ids,
    hop: Annotated[str, typer.Option("--hop", metavar="NAME", help="A next hop of the settings.")],
    config: Config = DEFAULT_CONFIG,
    reason: Why = "",
    dry_run: DryRun = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Send mail through another next hop, now; the octets stay as they are."""
    by = caller(reason)
    with open_orders(config) as (settings, orders):
        _known(settings, hop)
        place = partial(Routes(settings).through, hop)
        outcomes = [
            (each, orders.reroute(each.entry_id, place, None if dry_run else by)) for each in named(orders, ids)
        ]
    finish(outcomes, "would_reroute" if dry_run else "reroute", as_json=as_json)


def bounce(
    ids: Ids,
    reason: Annotated[str, typer.Option("--reason", help="Why, in one line: its sender reads it; kept on record.")],
    config: Config = DEFAULT_CONFIG,
    dry_run: DryRun = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Return mail: it ends, and its sender gets a failure report. Never to senders whom nobody answers for."""
    by = caller(reason)
    if not reason.strip():
        stop(2, "--reason: người gửi sẽ đọc, không được để trống / its sender reads it, so it cannot be empty")
    with open_orders(config) as (settings, orders):
        outcomes_of = _outcomes(settings)

        def give_back(entry: Entry) -> Sequence[Entry] | None:
            settled = outcomes_of.given_back(entry, returned(reason))
            return None if settled is None else settled.notices

        outcomes = [
            (each, orders.bounce(each.entry_id, give_back, None if dry_run else by)) for each in named(orders, ids)
        ]
    finish(outcomes, "would_bounce" if dry_run else "bounce", as_json=as_json)


def _known(settings: Settings, hop: str) -> None:
    """End the command where the settings have no such hop."""
    known = [each.name for each in settings.hops]
    if hop not in known:
        stop(2, f"--hop {hop}: không có trong cấu hình / not in the settings; there are: {', '.join(known)}")


class _Clock:
    """The machine's clock."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)


def _outcomes(settings: Settings) -> Outcomes:
    return Outcomes(
        settings=settings.spool,
        hostname=settings.hostname,
        routes=Routes(settings),
        clock=_Clock(),
        new_id=lambda: secrets.token_hex(12),
    )


def _carry_out(  # noqa: PLR0913 - what the command line says
    order: Order,
    config: Path,
    ids: Sequence[str] | None,
    hop: str | None,
    reason: str,
    *,
    everything: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Carry out an order about some entries, about those of a hop, or about all: exactly one of these."""
    if (bool(ids), hop is not None, everything).count(True) != 1:
        stop(2, "cho biết thư nào: ID..., --hop NAME hoặc --all / say which: ID..., --hop NAME or --all")
    by = caller(reason)
    with open_orders(config) as (settings, orders):
        if not ids:
            # mail may wait for a hop that the settings have no more; where nothing does, the name is a slip
            if hop is not None and not orders.count_meant(order, hop):
                _known(settings, hop.partition("@")[0])
            count = orders.count_meant(order, hop) if dry_run else orders.order_all(order, hop, by)
            _tell(order, count, dry_run=dry_run, as_json=as_json)
            return
        chosen = named(orders, ids)
        outcomes = [
            (each, orders.may(order, each.entry_id) if dry_run else orders.order(order, each.entry_id, by))
            for each in chosen
        ]
    finish(outcomes, f"would_{order}" if dry_run else str(order), as_json=as_json)


def _tell(order: Order, count: int, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        say([{"act": f"would_{order}" if dry_run else str(order), "entries": count}])
        return
    begin = "sẽ được / would be" if dry_run else "đã / were"
    sys.stdout.write(f"{count} thư / messages {begin}: {_WORDS[order]}\n")

"""What `gateway hops` shows of the running gateway: breakers, connections and the last trouble, by its own mail."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from gateway.app.hopword import STALE, words_of
from gateway.app.presence import find_running
from gateway.cli.call import printable
from gateway.relay.direct import parted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from gateway.app.hopword import Word
    from gateway.relay.condition import Condition

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


@dataclass(frozen=True, slots=True)
class Heard:
    """The last words of a gateway's workers about some hops."""

    names: frozenset[str]
    """The hops of the configuration that are asked about."""
    now: dt.datetime
    fresh: tuple[Word, ...] = ()
    silent: tuple[Word, ...] = ()
    """Of workers that have said nothing for too long."""
    why: str = ""
    """Why there is no word at all."""

    def of(self, name: str) -> list[dict[str, object]] | None:
        """Return the JSON objects about a hop, one of each worker and domain; None without word."""
        if not self.fresh:
            return None
        return [self._object(word, each) for word, each in self._told() if parted(each.hop)[0] == name]

    def print(self, console: Console) -> None:
        """Print one row per worker and hop, or that there is no word."""
        if self.fresh:
            console.print(self._table())
        for each in self.silent if self.fresh else ():
            late = span(each.age(self.now))
            console.print(Text(f"tiến trình {each.worker}: không có tin {late} / worker {each.worker}: no word", "red"))
        left = sum(each.left_out for each in self.fresh)
        if left:
            console.print(Text(f"và {left} tên miền khác / and {left} more domains"))
        if not self.fresh:
            words = f"không có tin từ cổng đang chạy / no word from the running gateway: {self.why}"
            console.print(Text(printable(words), "yellow"))

    def _told(self) -> Iterator[tuple[Word, Condition]]:
        for word in self.fresh:
            yield from ((word, each) for each in word.hops if parted(each.hop)[0] in self.names)

    def _object(self, word: Word, each: Condition) -> dict[str, object]:
        then = None if each.trouble_seconds is None else word.at - dt.timedelta(seconds=each.trouble_seconds)
        return {
            "hop": each.hop,
            "worker": word.worker,
            "age": round(word.age(self.now), 1),
            "breaker": "open" if each.resting else "closed",
            "since": _iso(word.at - dt.timedelta(seconds=each.seconds)),
            "tries_at": _iso(word.at + dt.timedelta(seconds=each.rest)) if each.resting else None,
            "in_use": each.using,
            "kept": each.kept,
            "most": each.most,
            "trouble": each.trouble or None,
            "trouble_at": _iso(then) if then is not None else None,
        }

    def _table(self) -> Table:
        table = Table(box=SIMPLE, pad_edge=False)
        for head in (
            "Cổng đang chạy / the running gateway",
            "Tiến trình, tin cách đây / worker, said",
            "Ngắt mạch / breaker",
            "Kết nối / in use, kept, most",
            "Trục trặc gần nhất / last trouble",
        ):
            table.add_column(head, overflow="fold")
        for word, each in self._told():
            age = word.age(self.now)
            then = "-" if each.trouble_seconds is None else f"{span(each.trouble_seconds + age)}: {each.trouble}"
            table.add_row(
                Text(printable(each.hop)),
                Text(f"{word.worker}, {span(age)}"),
                Text(_breaker(each, age), "red" if each.resting else "green"),
                Text(f"{each.using}, {each.kept}, {each.most}"),
                Text(printable(then)),
            )
        return table


def hear(directory: Path, names: frozenset[str]) -> Heard:
    """Return what the gateway on a spool last said about these hops; never raises."""
    now = dt.datetime.now(dt.UTC)
    try:
        running = find_running(directory)
        if running is None:
            return Heard(names, now, why="không chạy / none runs on this spool")
        words = tuple(words_of(running))
    except OSError as error:
        return Heard(names, now, why=f"{error.filename or directory}: {error.strerror}")
    fresh = tuple(each for each in words if each.age(now) <= STALE)
    silent = tuple(each for each in words if each.age(now) > STALE)
    late = max((each.at for each in words), default=None)
    why = f"pid {running.pid}, {'never' if late is None else f'last {_iso(late)}'}"
    return Heard(names, now, fresh, silent, why)


def _breaker(each: Condition, age: float) -> str:
    """Return since when it is open or closed; an open one tries again with the first message after its rest."""
    since, rest = span(each.seconds + age), each.rest - age
    if not each.resting:
        return f"đóng / closed, {since}"
    return f"mở / open, {since}; " + (f"nghỉ / rests {rest:.0f} s" if rest > 0 else "thử thư tới / tries the next mail")


def span(seconds: float) -> str:
    """Return how long it was, short: "4 s", "7 min", "3 h", "2 d"."""
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds)} s"


def _iso(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="seconds")

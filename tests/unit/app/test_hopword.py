"""The word a gateway leaves of its next hops: told when a breaker turns, bounded, believed of who runs."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from gateway.app.hopword import MOST_HOPS, HopWords, Word, _written, words_of
from gateway.app.presence import Presence, Running
from gateway.config.model import Hop, Settings
from gateway.ports import HopError
from gateway.relay.breaker import TROUBLES
from gateway.relay.hop import Hops
from support.hops import FakeHop
from support.way_out import OURS, deliver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW: Final = dt.datetime(2026, 11, 25, 8, 0, tzinfo=dt.UTC)


class Still:
    """A clock that stands."""

    def now(self) -> dt.datetime:
        """Return the one moment there is."""
        return NOW


@asynccontextmanager
async def hops_at(*ports: int) -> AsyncIterator[Hops]:
    """Build hops named by their ports, and one that sends directly to nowhere."""
    plain = [Hop.model_validate(_hop(str(port), [f"127.0.0.1:{port}"])) for port in ports]
    direct = Hop.model_validate({**_hop("direct", "mx"), "mx_servers": ["127.0.0.1:1"]})
    hops = Hops(Settings.model_construct(hostname=OURS, hops=(*plain, direct)))
    try:
        yield hops
    finally:
        await hops.close()


def _hop(name: str, addresses: object) -> dict[str, object]:
    return {"name": name, "protocol": "smtp", "addresses": addresses, "tls": "none"}


def words(hops: Hops, directory: Path) -> HopWords:
    """Return what leaves word in a directory."""
    return HopWords(hops, directory, Presence(directory), Still())


def heard(directory: Path) -> list[Word]:
    """Return what is read of ourselves."""
    return list(words_of(Running(directory, Presence(directory).pid)))


async def until_said(directory: Path, *resting: bool) -> Word:
    """Wait until the word says which hops rest."""
    async with asyncio.timeout(60):
        while True:
            found = heard(directory)
            if found and tuple(each.resting for each in found[0].hops) == resting:
                return found[0]
            await asyncio.sleep(0.02)


async def fail(hops: Hops, name: str) -> None:
    """Let a hop be in trouble until it rests."""
    for _ in range(TROUBLES):
        with pytest.raises(HopError):
            await hops.by_name(name).begin()


async def test_a_turn_is_told_and_a_place_that_is_not_there_stops_nothing(tmp_path: Path) -> None:
    """Where nothing can be written word is left as soon as it can; an answer closes the breaker, and is told."""
    place = tmp_path / "spool"
    async with FakeHop(answers={"BANNER": "554 5.3.2 not you\x1b[2J"}) as fake, hops_at(fake.port) as hops:
        task = asyncio.create_task(words(hops, place).run())
        await asyncio.sleep(0.05)
        assert not task.done()
        place.mkdir()
        await fail(hops, str(fake.port))
        (hop,) = (await until_said(place, True)).hops
        assert "554" in hop.trouble
        assert hop.trouble_seconds is not None
        assert (hop.using, hop.kept) == (0, 0)
        fake.answers["BANNER"] = "220 fake.example"
        hops.by_name(str(fake.port))._breaker._retry_at = 0.0  # type: ignore[union-attr]
        await deliver(hops.by_name(str(fake.port)))
        (hop,) = (await until_said(place, False)).hops
        assert (hop.using, hop.kept, hop.most) == (0, 1, 20)
        assert "554" in hop.trouble  # the last one, which is over
        assert [each.name for each in place.iterdir()] == ["gateway.hops-0.json"]
        assert (place / "gateway.hops-0.json").stat().st_mode & 0o077 == 0
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_others_do_not_choose_how_much_is_told(tmp_path: Path) -> None:
    """Of very many domains those that rest come first, then the last used; the others are counted."""
    async with hops_at() as hops:
        for number in range(MOST_HOPS + 5):
            hops.by_name(f"direct@d{number}.example")
        for _ in range(TROUBLES):
            hops.by_name("direct@d0.example")._breaker.trouble("no such name server")  # type: ignore[union-attr]
        for number in range(1, MOST_HOPS + 5):
            hops.by_name(f"direct@d{number}.example")
        word = words(hops, tmp_path).word()
    assert (len(word.hops), word.left_out) == (MOST_HOPS, 5)
    assert [each.hop for each in word.hops[:2]] == ["direct@d0.example", f"direct@d{MOST_HOPS + 4}.example"]
    assert word.hops[0].resting


def test_only_the_word_of_who_runs_is_believed(tmp_path: Path) -> None:
    """What an earlier gateway left, or is no word at all, is not."""
    good = Word(7, 1, NOW, (), 0)
    for name, octets in (
        ("1", _written(good)),
        ("0", _written(replace(good, gateway=8))),
        ("2", b"[]"),
        ("3", b'{"gateway": 7, "worker": 3, "at": "2026-11-25T08:00:00", "hops": [], "left_out": 0}'),
        ("4", b'{"gateway": 7, "worker": 3, "at": "2026-11-25T08:00:00Z", "hops": [{"hop": 1}], "left_out": 0}'),
        ("5", b'{"gateway"'),
    ):
        (tmp_path / f"gateway.hops-{name}.json").write_bytes(octets)
    assert list(words_of(Running(tmp_path, 7))) == [good]


def test_the_age_is_that_of_the_clock_whichever_way_it_went() -> None:
    """A clock that was set back makes no old word young."""
    word = Word(7, 1, NOW, (), 0)
    assert {word.age(NOW + each * dt.timedelta(hours=1)) for each in (1, -1)} == {3600.0}

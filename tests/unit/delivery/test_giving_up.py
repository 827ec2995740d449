"""What is given up: replies that were read count, and the end of a drain is near."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gateway.config.model import Hop, HopTls
from gateway.relay.hop import smtp_hop
from support.consigning import consignment
from support.handing import Script, ScriptedTransaction, World
from support.hops import FakeHop, Hang, by_address
from support.simulated import LOOP
from support.waiting import until
from support.way_out import OURS

if TYPE_CHECKING:
    import pytest

    from gateway.ports import Transaction


async def test_who_answered_before_a_stop_gets_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three recipients behind LMTP one is served, one refused, one silent: only the last is tried again (row 16)."""
    world, sent = World(lmtp=True), consignment(3)
    process = world.process()
    served, refused, silent = (str(each.mailbox) for each in sent.envelope.recipients)
    async with FakeHop(lmtp=True) as hop:
        hop.answers["DOT"] = by_address({served: "250 2.0.0 a", refused: "550 5.2.2 b", silent: Hang("250 2.0.0 c")})
        way = smtp_hop(Hop(name="out", addresses=(hop.address,), tls=HopTls.NONE, protocol="lmtp"), OURS)

        begin, begun = way.begin, []

        async def noted(*given: Any, **more: Any) -> Transaction:
            begun.append(await begin(*given, **more))
            return begun[-1]

        monkeypatch.setattr(way, "begin", noted)
        monkeypatch.setattr(process, "by_name", lambda _name: way)
        assert (await process.handover.hand_over([sent])).code == 250
        await until(lambda: bool(begun) and len(begun[0]._outcomes) == 2)
        await process.handover.drain(0)
        hop.release()
        await way.close()
    entry = next(iter(world.disk.values()))
    assert [state.name for state in entry.states] == ["SENT", "FAILED", "READY"]
    assert [reply and reply.code for reply in entry.last_replies] == [250, 550, None]


def test_a_drain_waits_for_nobody_who_comes_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """While those that were cancelled leave, another one begins, and its store hangs: the stop goes on without it."""
    world = World({"out": [Script(rcpt=(250, 550))]})

    async def abandon(_self: ScriptedTransaction) -> None:
        await asyncio.sleep(5)

    monkeypatch.setattr(ScriptedTransaction, "abandon", abandon)

    async def work() -> None:
        process, never = world.process(), asyncio.Event()

        async def commit(_entries: object) -> None:
            await never.wait()

        monkeypatch.setattr(process.spool, "commit", commit)
        monkeypatch.setattr(process.spool, "commit_claimed", commit)
        handing = [asyncio.create_task(process.handover.hand_over([consignment(2)]))]
        await asyncio.sleep(0.01)
        begun = LOOP.time()
        LOOP.call_later(
            35, lambda: handing.append(asyncio.create_task(process.handover.hand_over([consignment(1, first=9)])))
        )
        await asyncio.wait_for(process.handover.drain(30), 600)
        assert LOOP.time() - begun < 60
        never.set()
        await asyncio.wait(handing)

    world.simulate(work)

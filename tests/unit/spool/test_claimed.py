"""Entries that are claimed as they are committed: for whoever has a dot of theirs to send, or to hear answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.spooled import LARGE, NOW, entry, octets, plain, sent

if TYPE_CHECKING:
    from support.grounds import Ground


async def test_what_is_committed_claimed_is_ours(ground: Ground) -> None:
    """Nobody gets it though it is due, in another process neither, until it is given back."""
    spool, other = ground.open(), ground.open()
    small, large = entry(), entry(octets(LARGE))
    await spool.commit_claimed([small, large])
    assert spool.holds(small.entry_id)
    assert not other.holds(small.entry_id)
    assert await spool.due(NOW, 9) == await other.due(NOW, 9) == ()
    assert await spool.next_due() is None
    await spool.release_claim(small.entry_id)
    assert not spool.holds(small.entry_id)
    (found,) = await other.due(NOW, 9)
    assert plain(found) == plain(small)
    await spool.settle(sent(large))
    assert not spool.holds(large.entry_id)
    assert await spool.count() == {"deliver": 1}
    await spool.close()
    await other.close()


async def test_committed_again_it_stays_claimed(ground: Ground) -> None:
    """A commit whose outcome was unknown is repeated: harmless, and not a way around the claim."""
    spool = ground.open()
    each = entry()
    await spool.commit_claimed([each])
    await spool.commit_claimed([each])
    await spool.commit([each])
    assert await spool.due(NOW, 9) == ()
    assert await spool.count() == {"deliver": 1}
    await spool.close()


async def test_a_committed_claim_ends_with_its_holder(ground: Ground) -> None:
    """Whoever comes after us gets it at once: there is no time to wait for."""
    spool = ground.open()
    await spool.commit_claimed([entry()])
    await spool.close()
    again = ground.open()
    ground.tidy(again)
    assert len(await again.due(NOW, 9)) == 1
    await again.close()

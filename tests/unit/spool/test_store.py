"""The spool keeps what it was given, gives it out once, and lets go of it in the right order."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from pysqlite3 import dbapi2
from structlog.testing import capture_logs

from gateway.core.errors import ServiceError
from gateway.core.message import Message
from gateway.core.queue import Kind, RecipientState
from gateway.core.reply import Reply
from gateway.spool.bodies import SpoolBodies
from gateway.spool.changes import Change
from support.grounds import SHARED, SQLITE
from support.spooled import LARGE, NOW, bare, entry, fill, octets, plain, rich, sent, with_consignment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.core.queue import Entry
    from gateway.spool.store import SqlSpool
    from support.grounds import Ground

IN_ROW = 256 * 1024
LATER = NOW + timedelta(days=30)


@pytest.fixture
async def spool(ground: Ground) -> AsyncIterator[SqlSpool]:
    """Return an open spool."""
    store = ground.open()
    yield store
    await store.close()


async def reopened(spool: SqlSpool, ground: Ground) -> tuple[Entry, ...]:
    """Return everything due after a restart."""
    await spool.close()
    again = ground.open()
    try:
        return await again.due(LATER, 1000)
    finally:
        await again.close()


@pytest.mark.parametrize("original", [rich(), bare(), entry()], ids=["rich", "bare", "usual"])
async def test_restart_equality(spool: SqlSpool, ground: Ground, original: Entry) -> None:
    """After a restart every field is what it was: NOTIFY not given or NEVER, no replies or none read, microseconds."""
    await spool.commit([original])
    (back,) = await reopened(spool, ground)
    assert plain(back) == plain(original)


@pytest.mark.parametrize("length", [0, 1, IN_ROW - 1, IN_ROW, IN_ROW + 1, 2 * IN_ROW, 2 * IN_ROW + 1])
async def test_bodies_around_the_border(spool: SqlSpool, ground: Ground, length: int) -> None:
    """Up to 256 KB a body is in a row, above it in a file; both come back octet for octet."""
    original = entry(octets(length))
    await spool.commit([original])
    assert ground.bodies() == ([original.entry_id] if length > IN_ROW else [])
    (back,) = await reopened(spool, ground)
    assert plain(back) == plain(original)


@SQLITE
async def test_a_received_file_is_linked(spool: SqlSpool, ground: Ground, tmp_path: Path) -> None:
    """A body that is one file already gets a name instead of a copy, even two names."""
    message = fill(SpoolBodies(ground.settings()).builder(), octets(LARGE))
    first, second = entry(message), entry(message)
    await spool.commit([first, second])
    stats = [(tmp_path / "bodies" / each.entry_id).stat() for each in (first, second)]
    assert stats[0].st_ino == stats[1].st_ino
    assert [stat.st_mode & 0o777 for stat in stats] == [0o600, 0o600]
    assert [plain(each) for each in await reopened(spool, ground)] == [plain(first), plain(second)]


async def test_a_body_of_pieces_becomes_one_file(spool: SqlSpool, ground: Ground) -> None:
    """A large message spliced of memory and parts of files is written out in its order."""
    received = fill(SpoolBodies(ground.settings()).builder(), octets(3 * LARGE))
    message = Message.join([b"Received: x\r\n", received.slice(7, 2 * LARGE), b"--middle--", received.slice(5, LARGE)])
    originals = [entry(message), entry(received.slice(1, 2 * LARGE)), entry(received.slice(9, 90))]
    await spool.commit(originals)
    assert [plain(each) for each in await reopened(spool, ground)] == [plain(each) for each in originals]


async def test_a_body_whose_name_is_gone_is_kept_again(spool: SqlSpool, ground: Ground) -> None:
    """What was delivered and removed can still be stored for another entry (quarantine, notice)."""
    message = fill(SpoolBodies(ground.settings()).builder(), octets(LARGE))
    first, second = entry(message), entry(message)
    await spool.commit([first])
    await spool.settle(sent(first))
    await spool.commit([second])
    assert [plain(each) for each in await reopened(spool, ground)] == [plain(second)]


@pytest.mark.parametrize("length", [10, LARGE])
async def test_committing_again_is_harmless(spool: SqlSpool, ground: Ground, length: int) -> None:
    """The same entry id again, in one commit or a later one, changes nothing: what was settled stays settled."""
    original = entry(octets(length))
    await spool.commit([original, original])
    half = dataclasses.replace(original, states=(RecipientState.SENT, RecipientState.READY), attempts=1)
    await spool.settle(half)
    await asyncio.gather(*(spool.commit([original]) for _ in range(5)))
    assert await spool.count() == {"deliver": 1}
    (back,) = await reopened(spool, ground)
    assert plain(back) == plain(half)


@SQLITE
async def test_an_id_of_another_body_is_refused(spool: SqlSpool) -> None:
    """A file never changes under its name."""
    original = entry(octets(LARGE))
    await spool.commit([original])
    with pytest.raises(ServiceError, match="another body"):
        await spool.commit([with_consignment(original, message=Message.of(octets(LARGE + 1)))])
    assert plain((await spool.due(NOW, 9))[0]) == plain(original)


@pytest.mark.parametrize("entry_id", ["", "../x", "a/b", ".", "a" * 65, "ä", "a\n"])
async def test_an_id_is_no_path(spool: SqlSpool, entry_id: str) -> None:
    """An entry id can never name a file outside the spool's folder."""
    with pytest.raises(ValueError, match="entry id"):
        await spool.commit([entry(octets(LARGE), entry_id=entry_id)])
    assert await spool.count() == {}


async def test_an_entry_without_a_state_for_each_recipient_is_refused(spool: SqlSpool) -> None:
    """State is per recipient: what cannot be read back is not written."""
    with pytest.raises(ValueError, match="one state"):
        await spool.commit([entry(states=(RecipientState.READY,))])
    with pytest.raises(ValueError, match="one state"):
        await spool.settle(entry(last_replies=(None,)))


async def test_many_commit_at_once(spool: SqlSpool, ground: Ground) -> None:
    """Commits of many sessions are grouped and none is lost."""
    originals = [entry(octets(LARGE if number % 50 == 0 else 500, number)) for number in range(300)]
    await asyncio.gather(*(spool.commit([each]) for each in originals))
    found = {each.entry_id: plain(each) for each in await reopened(spool, ground)}
    assert found == {each.entry_id: plain(each) for each in originals}


@pytest.mark.parametrize("length", [10, LARGE])
async def test_one_bad_entry_spoils_its_own_commit_only(spool: SqlSpool, ground: Ground, length: int) -> None:
    """All entries of a commit or none; others of the same group are stored."""
    good = [entry() for _ in range(20)]
    companion = entry(octets(length))
    bad = with_consignment(entry(octets(length)), hop="\udc80")  # a lone surrogate: no UTF-8 for it
    with capture_logs() as logs:
        outcomes = await asyncio.gather(
            *(spool.commit([each]) for each in good[:10]),
            spool.commit([companion, bad]),
            *(spool.commit([each]) for each in good[10:]),
            return_exceptions=True,
        )
    assert [each["event"] for each in logs] == ["a change of the spool failed"]
    assert [type(each) for each in outcomes if each is not None] == [ServiceError]
    assert ground.bodies() == []
    assert {each.entry_id for each in await reopened(spool, ground)} == {each.entry_id for each in good}


@SQLITE
async def test_a_row_never_comes_without_its_file(spool: SqlSpool) -> None:
    """If a body's file was tidied away before its row is committed, the commit fails: the client sends again."""
    with pytest.raises(ServiceError, match="gone"):
        await spool._writer.submit(Change.storing([entry(octets(LARGE)), entry()]))
    assert await spool.count() == {}


@SQLITE
async def test_an_administrator_may_write_meanwhile(spool: SqlSpool, tmp_path: Path) -> None:
    """Somebody who takes no turns is waited for: a transaction that began by reading would fail at once."""
    await spool.commit([entry()])
    shell = dbapi2.connect(tmp_path / "spool.sqlite3", isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    shell.execute("UPDATE entries SET attempts = attempts + 1")
    committing = asyncio.create_task(spool.commit([entry()]))
    await asyncio.sleep(0.1)
    assert not committing.done()
    shell.execute("COMMIT")
    shell.close()
    await committing
    assert await spool.count() == {"deliver": 2}


async def test_due_entries_are_claimed_once_and_oldest_first(spool: SqlSpool) -> None:
    """An entry is nobody's before its time, then one caller's; the one that waits longest comes first."""
    times = [NOW + timedelta(seconds=shift) for shift in (5, 0, -3, 1, -4)]
    originals = [entry(next_attempt_at=each) for each in times]
    await spool.commit(originals)
    assert await spool.next_due() == times[4]
    assert [each.next_attempt_at for each in await spool.due(NOW, 2)] == [times[4], times[2]]
    assert [each.next_attempt_at for each in await spool.due(NOW, 9)] == [times[1]]
    assert await spool.due(NOW, 9) == ()
    assert await spool.next_due() == times[3]
    await spool.release_claim(originals[2].entry_id)
    assert await spool.next_due() == times[2]
    assert [plain(each) for each in await spool.due(NOW, 9)] == [plain(originals[2])]


async def test_concurrent_dispatchers_share(spool: SqlSpool, ground: Ground) -> None:
    """Two processes' stores on one directory never claim the same entry."""
    other = ground.open()
    originals = [entry() for _ in range(60)]
    await spool.commit(originals)
    shares = await asyncio.gather(*(each.due(NOW, 7) for each in (spool, other) * 5))
    ids = [each.entry_id for share in shares for each in share]
    assert sorted(ids) == sorted(each.entry_id for each in originals)
    await other.close()


async def test_a_claim_is_given_back_only_by_its_holder(spool: SqlSpool, ground: Ground) -> None:
    """Nobody ends another's claim; closing ends one's own."""
    await spool.commit([entry()])
    other = ground.open()
    (claimed,) = await other.due(NOW, 1)
    await spool.release_claim(claimed.entry_id)
    await spool.settle(dataclasses.replace(claimed, attempts=1))
    ground.tidy(spool)
    assert await spool.due(NOW, 1) == ()
    await other.close()
    ground.tidy(spool)
    assert [each.attempts for each in await spool.due(NOW, 1)] == [1]


async def test_claims_nobody_knows_of_are_freed(spool: SqlSpool) -> None:
    """What was claimed for somebody who never heard of it comes back by itself; what is worked on stays."""
    known, lost = entry(next_attempt_at=NOW - timedelta(1)), entry()
    await spool.commit([known, lost])
    await spool.due(NOW, 1)
    await spool._writer.submit(Change(due=NOW, limit=1))
    spool._strays.free()
    assert await spool.due(NOW, 9) == (), "it may have been on its way"
    with capture_logs() as logs:
        spool._strays.free()
    assert [each["entries"] for each in logs] == [[lost.entry_id]]
    (found,) = await spool.due(NOW, 9)
    assert (found.entry_id, found.dot_sent) == (lost.entry_id, True)
    spool._strays.free()
    spool._strays.free()
    assert await spool.due(NOW, 9) == ()


async def test_only_what_may_be_delivered_is_loaded(spool: SqlSpool) -> None:
    """TO_SIGN, HELD and QUARANTINED can never be due."""
    kept = [entry(kind=kind) for kind in (Kind.TO_SIGN, Kind.HELD, Kind.QUARANTINED)]
    await spool.commit(kept)
    assert await spool.due(LATER, 9) == ()
    assert await spool.next_due() is None
    assert await spool.count() == {"to_sign": 1, "held": 1, "quarantined": 1}
    assert [plain(each) for each in await spool.entries(Kind.HELD, 9)] == [plain(kept[1])]


async def test_settling_replaces_the_state(spool: SqlSpool, ground: Ground) -> None:
    """States and replies by index, next attempt, attempts, the unanswered dot: all as the attempt left them."""
    await spool.commit([rich(), entry()])
    (claimed,) = (each for each in await spool.due(LATER, 9) if each.entry_id == rich().entry_id)
    changed = dataclasses.replace(
        claimed,
        states=(RecipientState.FAILED, RecipientState.SENT, RecipientState.READY, RecipientState.FAILED),
        next_attempt_at=NOW + timedelta(hours=1),
        attempts=8,
        dot_sent=False,
        last_replies=(Reply(550, "5.1.1", ("gone",)), None, None, Reply(450, "4.2.0", ("later",))),
    )
    await spool.settle(changed)
    assert await spool.due(NOW, 9) == ()
    assert [plain(each) for each in await reopened(spool, ground) if each.attempts] == [plain(changed)]


@pytest.mark.parametrize("length", [10, LARGE])
async def test_an_entry_without_open_recipients_goes(spool: SqlSpool, ground: Ground, length: int) -> None:
    """Row first, file after; a claimed body stays readable until its reader is done; settling twice is harmless."""
    content = octets(length)
    await spool.commit([entry(content)])
    (claimed,) = await spool.due(NOW, 1)
    notice = entry(b"notice")
    await spool.settle(sent(claimed), [notice])
    await spool.settle(sent(claimed), [notice])
    assert claimed.consignment.message.octets() == content
    assert ground.bodies() == []
    assert [plain(each) for each in await reopened(spool, ground)] == [plain(notice)]


async def test_what_is_quarantined_stays(spool: SqlSpool) -> None:
    """An entry that became QUARANTINED stays, though nobody is left to be tried."""
    original = entry()
    await spool.commit([original])
    kept = with_consignment(sent(original), kind=Kind.QUARANTINED, reason="undeliverable x", hop="")
    await spool.settle(kept)
    assert [plain(each) for each in await spool.entries(Kind.QUARANTINED, 9)] == [plain(kept)]


async def test_settling_and_notices_are_one(spool: SqlSpool, ground: Ground) -> None:
    """If a notice cannot be stored, the entry is not settled: it will be tried again and the notice is owed."""
    original = entry()
    await spool.commit([original])
    bad = with_consignment(entry(octets(LARGE)), trace_id="\ud800")
    with capture_logs(), pytest.raises(ServiceError):
        await spool.settle(sent(original), [entry(b"fine"), bad])
    assert ground.bodies() == []
    assert [plain(each) for each in await reopened(spool, ground)] == [plain(original)]


async def test_a_cancelled_claim_is_given_back(spool: SqlSpool) -> None:
    """Entries claimed for somebody who is gone are not lost until the next restart."""
    originals = [entry() for _ in range(5)]
    await spool.commit(originals)
    asking = asyncio.create_task(spool.due(NOW, 9))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(60):
        while not (found := await spool.due(NOW, 9)):  # noqa: ASYNC110 - the store tells nobody of it
            await asyncio.sleep(0.01)
    assert len(found) == 5


@SQLITE
async def test_a_damaged_entry_does_not_stop_the_others(spool: SqlSpool, tmp_path: Path) -> None:
    """A lost or cut body is an administrator's: it is never delivered as something else, nor blocks the queue."""
    lost, cut, whole = (entry(octets(LARGE)) for _ in range(3))
    await spool.commit([lost, cut, whole])
    (tmp_path / "bodies" / lost.entry_id).unlink()
    (tmp_path / "bodies" / cut.entry_id).write_bytes(octets(LARGE)[:-1])
    assert [each.entry_id for each in await spool.due(NOW, 9)] == [whole.entry_id]
    assert await spool.count() == {"deliver": 1, "quarantined": 2}


@SHARED
async def test_a_damaged_shared_entry_does_not_stop_the_others(spool: SqlSpool, ground: Ground) -> None:
    """The same where chunks or rows are lost: an administrator sees what is left."""
    lost, cut, rowless, whole = (entry(octets(length)) for length in (LARGE, LARGE, 10, LARGE))
    await spool.commit([lost, cut, rowless, whole])
    ground.ask("DELETE FROM chunks WHERE position = 0 AND number = (SELECT min(number) FROM entries)")
    ground.ask("UPDATE chunks SET octets = 'x' WHERE position = 1 AND number = (SELECT min(number) + 1 FROM entries)")
    ground.ask("DELETE FROM bodies")  # that of the only small one
    assert [each.entry_id for each in await spool.due(NOW, 9)] == [whole.entry_id]
    assert await spool.count() == {"deliver": 1, "quarantined": 3}


async def test_closing_finishes_what_was_asked_for(ground: Ground) -> None:
    """A commit under way at the end is carried out and answered; later ones are refused."""
    spool = ground.open()
    commits = [asyncio.create_task(spool.commit([entry()])) for _ in range(100)]
    await asyncio.sleep(0)
    await spool.close()
    await asyncio.gather(*commits)
    await spool.close()
    for late in (spool.commit([entry()]), spool.commit([entry(octets(LARGE))]), spool.due(NOW, 1), spool.count()):
        with pytest.raises(ServiceError, match="closed"):
            await late
    again = ground.open()
    assert await again.count() == {"deliver": 100}
    await again.close()

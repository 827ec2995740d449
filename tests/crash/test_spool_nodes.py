"""Two machines on one database, one of which dies: each entry is one's at a time, and what the dead had comes back."""

from __future__ import annotations

import asyncio
import subprocess
import time
from typing import TYPE_CHECKING

from support.grounds import PACE, SHARED
from support.peers import wait_for
from support.programs import command, environment
from support.spooled import entry

if TYPE_CHECKING:
    from pathlib import Path

    from support.grounds import Ground

ENTRIES = 400
SECONDS = 180


@SHARED
def test_a_node_dies(ground: Ground, tmp_path: Path) -> None:
    """Nothing is claimed twice but what the dead one held; that returns after the lease, marked as maybe sent."""
    asyncio.run(fill(ground))
    said = [tmp_path / "first", tmp_path / "second"]
    nodes = []
    for index, path in enumerate(said):
        with path.open("wb") as out:
            line = command("spool_claimer.py", tmp_path / f"node{index}")
            nodes.append(subprocess.Popen(line, env=environment(), stdin=subprocess.PIPE, stdout=out))
    try:
        wait_for(lambda: all(path.read_bytes() for path in said), "both nodes", seconds=SECONDS)
        for each in nodes:
            assert each.stdin is not None
            each.stdin.close()
        wait_for(lambda: all(path.read_bytes().count(b"gone") > ENTRIES / 10 for path in said), "work", seconds=SECONDS)
        nodes[0].kill()
        killed = time.monotonic()
        assert nodes[1].wait(SECONDS) == 0
    finally:
        for each in nodes:
            each.kill()
            each.wait()
    first, second = (path.read_text(encoding="utf-8").splitlines() for path in said)
    by_first = {line.split()[1] for line in first if line.startswith("claimed")}
    gone_by_first = {line.split()[1] for line in first if line.startswith("gone")}
    by_second = [line.split() for line in second if line.startswith("claimed")]
    returned = {words[1] for words in by_second if words[2:] == ["again"]}
    assert len(by_second) == len({words[1] for words in by_second}), "one node was given an entry twice"
    assert {words[1] for words in by_second} & by_first == by_first & returned
    unsaid = set(last(by_first, gone_by_first, first))  # may have been finished in the moment before the kill
    assert by_first - gone_by_first <= returned | unsaid
    assert gone_by_first | {line.split()[1] for line in second if line.startswith("gone")} >= by_first - unsaid
    assert len(returned) <= 5
    if returned:
        assert time.monotonic() - killed >= PACE.lease - PACE.beat
    assert ground.ask("SELECT count(*) FROM entries") == [(0,)]


async def fill(ground: Ground) -> None:
    """Put entries into the spool."""
    spool = ground.open()
    await spool.commit([entry(entry_id=f"e{number}") for number in range(ENTRIES)])
    await spool.close()


def last(claimed: set[str], gone: set[str], lines: list[str]) -> list[str]:
    """Return the entry that a node may have finished without saying so: the next one of its last batch."""
    batch = [line.split()[1] for line in lines if line.startswith("claimed")]
    return [each for each in batch if each in claimed - gone][:1]

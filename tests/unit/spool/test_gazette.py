"""What administrators change for all: who is told of it, and when a machine may take mail without it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

import pytest

from gateway.core.errors import ServiceError
from gateway.spool.gazette import Decree, OvertakenError
from gateway.spool.opening import open_gazette
from gateway.spool.pulse import News
from gateway.spool.shared_store import PostgresSpool
from support.grounds import SHARED
from support.spooled import NOW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.spool.gazette import Past
    from support.grounds import Ground

SECONDS: Final = 30
"""More than anything here takes on a machine that is busy with other things."""


def test_only_what_was_missed_stops_mail() -> None:
    """A change that is heard of is no outage; one that was missed in an outage is made up for before mail is taken."""
    told: list[int] = []
    news = News(lambda: told.append(1))
    news.followed(3, unable=False)
    news.see(3)
    assert (len(told), news.behind) == (0, False)
    news.see(4)
    assert (len(told), news.behind) == (1, False)
    news.missed()
    news.see(5)
    assert (len(told), news.behind) == (2, True)
    news.followed(4, unable=False)
    assert news.behind
    news.followed(5, unable=False)
    assert not news.behind
    news.see(5)
    news.see(6)
    assert not news.behind, "the outage is over"


def test_a_lower_number_is_news() -> None:
    """A database that was put back from a copy lacks what the machines know."""
    told: list[int] = []
    news = News(lambda: told.append(1))
    news.followed(9, unable=False)
    news.see(7)
    assert told == [1]


def test_what_cannot_be_taken_over_is_tried_again() -> None:
    """With each beat, and no mail is taken meanwhile."""
    told: list[int] = []
    news = News(lambda: told.append(1))
    for tries in range(1, 3):
        news.followed(5, unable=True)
        news.see(5)
        assert (len(told), news.behind) == (tries, True)


def test_who_follows_nobody_misses_nothing() -> None:
    """A command that has the database open is not asked."""
    news = News()
    news.see(5)
    news.missed()
    news.see(6)
    assert not news.behind


@SHARED
async def test_others_hear_of_it_and_say_what_they_have(ground: Ground) -> None:
    """Who follows is told; what it says of itself is read by administrators, beside its name."""
    spool = ground.open()
    assert isinstance(spool, PostgresSpool)
    heard = asyncio.Event()
    news = spool.follow(heard.set)
    with open_gazette(ground.settings()) as gazette:
        (decree,) = await asyncio.to_thread(gazette.publish, lambda _: (Decree("key", "k", "lan", {"a": "ă"}),))
        async with asyncio.timeout(SECONDS):
            await heard.wait()
        assert (decree.number, decree.body, await asyncio.to_thread(gazette.number)) == (1, {"a": "ă"}, 1)
        news.followed(1, unable=False)
        spool.say(json.dumps({"number": 1}))
        async with asyncio.timeout(SECONDS):
            while [each.said for each in gazette.followers()] != [{"number": 1}]:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
    await spool.close()


@SHARED
async def test_a_machine_that_lacks_something_takes_no_mail(ground: Ground) -> None:
    """MAIL gets 452, and what would be signed now waits; as soon as it has it, all goes on."""
    spool = ground.open()
    assert isinstance(spool, PostgresSpool)
    news = spool.follow(lambda: None)
    assert not spool.below_watermark
    news.followed(0, unable=True)
    assert spool.below_watermark
    with pytest.raises(ServiceError):
        await spool.due_again(NOW, 9)
    news.followed(0, unable=False)
    assert not spool.below_watermark
    assert await spool.due_again(NOW, 9) == ()
    await spool.close()


@SHARED
def test_a_choice_that_is_taken_back_leaves_nothing(ground: Ground) -> None:
    """Whoever finds that somebody else was first publishes nothing, and may go on."""

    def refuse(past: Past) -> Sequence[Decree]:
        raise OvertakenError(f"{len(past)} are there")

    with open_gazette(ground.settings(), make=True) as gazette:
        gazette.publish(lambda _: (Decree("key", "k", "lan"),))
        with pytest.raises(OvertakenError, match="1 are there"):
            gazette.publish(refuse)
        assert gazette.number() == 1
        assert gazette.publish(lambda past: (Decree("trust", "f", "lan"),) if len(past) == 1 else ())[-1].number == 2


@SHARED
def test_policies_are_read_one_at_a_time(ground: Ground) -> None:
    """They are large: looking at what there is brings none of them along."""
    with open_gazette(ground.settings(), make=True) as gazette:
        gazette.publish(lambda _: (Decree("policy", "d", "lan", {"files": {"a.yaml": "x"}}),))
        (decree,) = gazette.past()
        assert decree.body == {}
        whole = gazette.whole(1)
        assert whole is not None
        assert whole.body == {"files": {"a.yaml": "x"}}
        assert gazette.whole(2) is None

"""Copies behind the hand-over: only of what was accepted, and without a word in the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from gateway.app.copies import Filing
from gateway.core.errors import ServiceError
from gateway.core.reply import Reply
from support.consigning import consignment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core.queue import Consignment

SENT: Final = (consignment(),)


class Answering:
    """A `ports.HandOver` with one answer."""

    def __init__(self, answer: Reply | Exception) -> None:
        self.answer = answer

    async def hand_over(self, consignments: Sequence[Consignment]) -> Reply:
        assert consignments is SENT
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Copying:
    """A `ports.Copies` that keeps what it is given."""

    def __init__(self) -> None:
        self.filed: list[Consignment] = []

    def file(self, consignments: Sequence[Consignment]) -> None:
        self.filed += consignments


@pytest.mark.parametrize(
    ("answer", "filed"),
    [
        (Reply.of(250, "2.0.0", "taken"), True),
        (Reply.of(451, "4.3.0", "later"), False),
        (Reply.of(550, "5.7.1", "no"), False),
    ],
)
async def test_only_what_was_accepted_is_filed(answer: Reply, *, filed: bool) -> None:
    """A refused message has no copy: its author still has it to send; the answer is the one that was given."""
    copies = Copying()
    assert await Filing(Answering(answer), copies).hand_over(SENT) is answer
    assert copies.filed == (list(SENT) if filed else [])


async def test_a_fault_is_passed_on() -> None:
    """Who hands over hears of it, and nothing is filed."""
    copies = Copying()
    with pytest.raises(ServiceError):
        await Filing(Answering(ServiceError("disk")), copies).hand_over(SENT)
    assert copies.filed == []

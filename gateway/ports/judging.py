"""Judging inbound mail, and where its revocation data come from.

Nothing here does anything; a promise that cannot be said in a type is said in the docstring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.core.message import Message
    from gateway.core.verdict import Judgment
    from gateway.mime.entity import Entity
    from gateway.pki.needs import Evidence, Needs


class Judge(Protocol):
    """Judges octets, signatures and paths where hostile input can be killed; no message waits for long."""

    async def judge(self, message: Message, *, at: datetime, source: str, entity: Entity | None = None) -> Judgment:
        """Return the judgment of a message as it came, by the trust of now; never raises.

        `at` is the aware time of its receipt. `source` says who sent it, for sharing fairly: no source can make the
        mail of another wait for its own. `entity` is the part tree of exactly this message, where it is known.
        A judge that dies, or takes too long, leaves `Unreadable`.
        """
        ...


class RevocationData(Protocol):
    """Finds revocation data and missing certificates; it decides what may be asked for, and for how long one waits."""

    async def gather(self, needs: Needs) -> Evidence:
        """Return what was found, at most as old as the settings allow; never raises, and returns in bounded time."""
        ...

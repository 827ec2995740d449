"""How fast a client and a login may send: token buckets of a minute's worth, in tables of bounded size.

A limit slows a sender down and must never lose its mail: every refusal is temporary and says so.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from gateway.core.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.config.listeners import RateLimits

MOST_REMEMBERED: Final = 50_000
"""Senders in one table; the one that sent longest ago is forgotten first, and its bucket was the fullest."""
_MINUTE: Final = 60.0


class Buckets:
    """One limit, for each sender."""

    def __init__(self, per_minute: int | None, clock: Callable[[], float]) -> None:
        """Allow so many a minute, and as many at once; None: any number."""
        self._per_minute = per_minute
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, sender: str) -> bool:
        """Take one token; False if there is none."""
        if self._per_minute is None:
            return True
        now = self._clock()
        left, since = self._left.pop(sender, (float(self._per_minute), now))
        left = min(float(self._per_minute), left + max(now - since, 0.0) * self._per_minute / _MINUTE)
        allowed = left >= 1.0
        self._left[sender] = (left - 1.0 if allowed else left, now)
        if len(self._left) > MOST_REMEMBERED:
            self._left.popitem(last=False)
        return allowed


class Rates:
    """The limits of one listener."""

    def __init__(self, limits: RateLimits, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with full buckets; `clock` counts seconds."""
        self._limits = limits
        self._client_messages = Buckets(limits.client_messages, clock)
        self._client_recipients = Buckets(limits.client_recipients, clock)
        self._login_messages = Buckets(limits.login_messages, clock)
        self._login_recipients = Buckets(limits.login_recipients, clock)

    def message(self, site: str, login: str | None) -> Reply | None:
        """Count a message of a client's `site`, and of its login; return why it comes too early, if it does."""
        if not self._client_messages.take(site):
            return _too_fast(450, "thư từ máy này", "messages from your host", self._limits.client_messages)
        if login is not None and not self._login_messages.take(login):
            return _too_fast(450, "thư từ tài khoản này", "messages from your login", self._limits.login_messages)
        return None

    def recipient(self, site: str, login: str | None) -> Reply | None:
        """Count a forward-path, in the same way."""
        if not self._client_recipients.take(site):
            return _too_fast(452, "người nhận từ máy này", "recipients from your host", self._limits.client_recipients)
        if login is not None and not self._login_recipients.take(login):
            return _too_fast(
                452, "người nhận từ tài khoản này", "recipients from your login", self._limits.login_recipients
            )
        return None


def _too_fast(code: int, what: str, english: str, limit: int | None) -> Reply:
    return Reply.of(
        code,
        "4.7.1",
        f"Quá nhiều {what}: tối đa {limit} mỗi phút, xin gửi lại sau một phút"
        f" / too many {english}: at most {limit} a minute, please try again in a minute",
    )

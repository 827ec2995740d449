"""What is remembered, in bounds: writers say the same things again and again."""

from __future__ import annotations

import threading
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K")
T = TypeVar("T")
P = ParamSpec("P")


def remembered(
    most: int, *, octets: int
) -> Callable[[Callable[Concatenate[bytes, P], T]], Callable[Concatenate[bytes, P], T]]:
    """Return a decorator that remembers what a function says of octets, of few enough: `most` answers at a time.

    For what depends on its arguments alone and never changes: signers write again and again, each with the same
    certificates, names and algorithms. What is raised is not remembered; longer octets are read each time, since they
    are new each time, and others choose how long.
    """

    def decorated(function: Callable[Concatenate[bytes, P], T]) -> Callable[Concatenate[bytes, P], T]:
        known = cast("Callable[Concatenate[bytes, P], T]", lru_cache(maxsize=most)(function))

        @wraps(function)
        def ask(given: bytes, /, *args: P.args, **more: P.kwargs) -> T:
            return known(given, *args, **more) if len(given) <= octets else function(given, *args, **more)

        return ask

    return decorated


class Kept(Generic[K, T]):
    """What was found for a key, `most` of them; the oldest goes first. Asking for what is not there changes nothing."""

    __slots__ = ("_found", "_lock", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[K, T] = {}
        self._lock = threading.Lock()

    def get(self, key: K) -> T | None:
        """Return what is kept."""
        return self._found.get(key)

    def put(self, key: K, value: T) -> None:
        """Keep a value, from whatever thread."""
        with self._lock:
            self._found.pop(key, None)
            while len(self._found) >= self._most:
                del self._found[next(iter(self._found))]
            self._found[key] = value

"""What a function says of short octets, remembered: writers say the same things again and again."""

from __future__ import annotations

from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

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

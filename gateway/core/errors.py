"""Faults, as opposed to expected outcomes (which are values).

    GatewayError
    |-- InputError      what a peer or a file gave us cannot be handled: carries the reply a peer may see
    |-- SetupError      the administrator must mend something: carries the place (file:line:column)
    `-- ServiceError    passing trouble here or next door: the same request may succeed later

Nothing in a fault's public text may carry message bodies, secrets or exception details of a library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.reply import Reply


T = TypeVar("T")


class GatewayError(Exception):
    """The root of every fault this program raises on purpose."""


class InputError(GatewayError):
    """A peer's message or command cannot be handled; `reply` is all that the peer learns."""

    def __init__(self, reason: str, reply: Reply | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reply = reply


class SetupError(GatewayError):
    """The set-up is wrong in one or more places; every mistake is one line that begins with its place."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class NotNowError(SetupError):
    """What the set-up names cannot be used at this moment, and may be soon: whoever starts us should try again."""


class ServiceError(GatewayError):
    """A passing fault of a service we need (disk, key, next hop)."""


class StorageFullError(ServiceError):
    """No room for octets: the answer is 452 4.3.1 and nothing is kept."""


class Mistakes:
    """Collects what is wrong with several files, so that an administrator sees all of it in one run."""

    def __init__(self) -> None:
        """Begin without any."""
        self.lines: list[str] = []

    def read(self, reader: Callable[[], T]) -> T | None:
        """Return what `reader` returns; None, and the mistakes kept, where it raises `SetupError`."""
        try:
            return reader()
        except SetupError as error:
            self.lines += error.mistakes
        return None

    def finish(self) -> None:
        """Raise one `SetupError` if there was any mistake."""
        if self.lines:
            raise SetupError(*self.lines)

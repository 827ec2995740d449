"""The exchanges of AUTH PLAIN and AUTH LOGIN (RFC 4954 4, RFC 4616, draft-murchison-sasl-login).

Nothing here may print, log or keep a password beyond the exchange; its objects have no telling representation.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final, Protocol

from gateway.core.errors import InputError
from gateway.core.reply import Reply
from gateway.smtp.replies import AUTH_CANCELED, BAD_BASE64, BAD_LOGIN, BAD_MECHANISM

if TYPE_CHECKING:
    from collections.abc import Callable

_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f]")
_MAX_LOGIN: Final = 255


def _challenge(octets: bytes) -> Reply:
    return Reply(334, None, (base64.b64encode(octets).decode(),))


_EMPTY: Final = Reply(334, None, ("",))
_USERNAME: Final = _challenge(b"Username:")  # the words old clients look for
_PASSWORD: Final = _challenge(b"Password:")


class Exchange(Protocol):
    """One login under way: answer its challenges until there are none, then take the credentials."""

    @property
    def challenge(self) -> Reply | None:
        """The next challenge, None when all is said."""
        ...

    def answer(self, line: bytes) -> None:
        """Take the client's line (base64); raises `InputError`."""
        ...

    def credentials(self) -> tuple[str, bytes]:
        """Return login and password; raises `InputError`."""
        ...


class Plain:
    """RFC 4616: one response, authorization identity NUL login NUL password."""

    __slots__ = ("_response",)

    def __init__(self, initial: bytes | None) -> None:
        """Begin, with the initial response if there was one."""
        self._response = initial

    @property
    def challenge(self) -> Reply | None:
        """An empty challenge, if there was no initial response."""
        return _EMPTY if self._response is None else None

    def answer(self, line: bytes) -> None:
        """Take the response."""
        self._response = _decode(line)

    def credentials(self) -> tuple[str, bytes]:
        """Return login and password; nobody may act for another."""
        parts = (self._response or b"").split(b"\0")
        if len(parts) != 3:  # noqa: PLR2004 - RFC 4616 2
            raise InputError("unfit_response", BAD_BASE64)
        identity, login, password = parts
        if identity not in {b"", login}:
            raise InputError("identity", BAD_LOGIN)
        return _login(login), password


class Login:
    """Two responses: login, password."""

    __slots__ = ("_responses",)

    def __init__(self, initial: bytes | None) -> None:
        """Begin, with the login if it was given at once."""
        self._responses = [] if initial is None else [initial]

    @property
    def challenge(self) -> Reply | None:
        """The prompt for what is missing."""
        return (_USERNAME, _PASSWORD, None)[len(self._responses)]

    def answer(self, line: bytes) -> None:
        """Take a response."""
        self._responses.append(_decode(line))

    def credentials(self) -> tuple[str, bytes]:
        """Return login and password."""
        login, password = self._responses
        return _login(login), password


MECHANISMS: Final[dict[str, Callable[[bytes | None], Exchange]]] = {"PLAIN": Plain, "LOGIN": Login}


def parse_auth(argument: str) -> Exchange:
    """Return the exchange that "AUTH " begins; mechanism names know no case. Raises `InputError`."""
    name, _, initial = argument.partition(" ")
    mechanism = MECHANISMS.get(name.upper())
    if mechanism is None:
        raise InputError("unknown_mechanism", BAD_MECHANISM)
    if not initial:
        return mechanism(None)
    return mechanism(b"" if initial == "=" else _decode(initial.encode()))  # "=": empty, RFC 4954 4


def _decode(line: bytes) -> bytes:
    if line == b"*":
        raise InputError("canceled", AUTH_CANCELED)
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        raise InputError("not_base64", BAD_BASE64) from None  # the cause quotes the response


def _login(octets: bytes) -> str:
    try:
        login = octets.decode()
    except UnicodeDecodeError:
        raise InputError("not_utf8", BAD_BASE64) from None
    if not login or len(login) > _MAX_LOGIN or _UNFIT.search(login):
        raise InputError("unfit_login", BAD_LOGIN)
    return login

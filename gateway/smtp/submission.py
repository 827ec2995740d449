"""The session of people and programs that log in (RFC 6409 4.3, RFC 4954, RFC 8314).

A password must never reach a log, a traceback or a reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.errors import InputError
from gateway.smtp import replies
from gateway.smtp.auth.sasl import MECHANISMS, parse_auth
from gateway.smtp.data import OverlongLineError
from gateway.smtp.limits import FAILED_LOGINS, LONGER_COMMANDS
from gateway.smtp.session import Session

if TYPE_CHECKING:
    from gateway.smtp.surroundings import Surroundings

_LOG: Final = structlog.get_logger("gateway.smtp")


class SubmissionSession(Session):
    """A session in which MAIL needs a login."""

    def __init__(self, around: Surroundings) -> None:
        """Begin with nobody logged in."""
        super().__init__(around)
        self._failed_logins = 0

    @property
    def _may_log_in(self) -> bool:
        return self.tls is not None or self.around.listener.auth_without_tls

    def offers(self) -> list[str]:
        """Return the keywords of the greeting; AUTH only where a password would not travel in the clear."""
        return [*super().offers(), *([f"AUTH {' '.join(MECHANISMS)}"] if self._may_log_in else [])]

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - a verb is a method of its name
        """Begin a transaction, for somebody who logged in."""
        if self.greeted_as and self.login is None:
            raise InputError("needs_auth", replies.NEED_AUTH)
        await super().smtp_MAIL(arg)

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802 - a verb is a method of its name
        """Log a person or program in (RFC 4954 4)."""
        passwords = self.around.passwords
        if not self.extended:
            raise InputError("no_ehlo", replies.GREET_FIRST)
        if passwords is None:
            raise InputError("no_passwords", replies.NOT_IMPLEMENTED)
        if not self._may_log_in:
            raise InputError("auth_needs_tls", replies.AUTH_NEEDS_TLS)
        if self.login is not None:
            raise InputError("auth_already", replies.AUTH_ALREADY)
        if self.busy:
            raise InputError("auth_in_transaction", replies.AUTH_IN_TRANSACTION)
        exchange = parse_auth(arg)
        while (challenge := exchange.challenge) is not None:
            self.say(challenge)
            exchange.answer(await self._response())
        login, password = exchange.credentials()
        try:
            fits = await passwords.check(login, password)
        except Exception as error:  # noqa: BLE001 - no traceback: its frames hold the password
            _LOG.error("password check failed", client=self.address, error=type(error).__name__)
            fits = None
        self._conclude(login, fits=fits)

    async def _response(self) -> bytes:
        """Return one line of the exchange without its line end."""
        try:
            line = await self.next_line()
        except OverlongLineError as error:
            raise InputError("overlong_line", replies.AUTH_TOO_LONG) from error
        if len(line) > LONGER_COMMANDS["AUTH"]:
            raise InputError("overlong_line", replies.AUTH_TOO_LONG)
        return self.text_of(line)

    def _conclude(self, login: str, *, fits: bool | None) -> None:
        if fits is None:
            self.say(replies.CANNOT_CHECK)
            return
        if fits:
            self.login = login
            _LOG.info("logged in", listener=self.around.listener.name, client=self.address, login=login)
            self.say(replies.LOGGED_IN)
            return
        # the name is not logged: people type passwords into the wrong field
        _LOG.warning("login failed", listener=self.around.listener.name, client=self.address)
        self.say(replies.BAD_LOGIN)
        self._failed_logins += 1
        if self._failed_logins >= FAILED_LOGINS:
            self.hang_up(replies.TOO_MANY_LOGINS)

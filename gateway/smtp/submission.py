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
    from gateway.smtp.auth.sasl import Exchange
    from gateway.smtp.surroundings import Surroundings

_LOG: Final = structlog.get_logger("gateway.smtp")


class SubmissionSession(Session):
    """A session in which MAIL needs a login."""

    def __init__(self, around: Surroundings) -> None:
        """Begin with nobody logged in."""
        super().__init__(around)
        self._failed_logins = 0

    def start_over(self) -> None:
        """Forget everything the client said."""
        super().start_over()
        self._exchange: Exchange | None = None
        """A login under way: the next line is its."""

    @property
    def _may_log_in(self) -> bool:
        return self.tls is not None or self.around.listener.auth_without_tls

    def offers(self) -> list[str]:
        """Return the keywords of the greeting; AUTH only where a password would not travel in the clear."""
        return [*super().offers(), *([f"AUTH {' '.join(MECHANISMS)}"] if self._may_log_in else [])]

    def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - a verb is a method of its name
        """Begin a transaction, for somebody who logged in."""
        if self.greeted_as and self.login is None:
            raise InputError("needs_auth", replies.NEED_AUTH)
        super().smtp_MAIL(arg)

    def smtp_AUTH(self, arg: str) -> None:  # noqa: N802 - a verb is a method of its name
        """Log a person or program in (RFC 4954 4)."""
        if not self.extended:
            raise InputError("no_ehlo", replies.GREET_FIRST)
        if self.around.passwords is None:
            raise InputError("no_passwords", replies.NOT_IMPLEMENTED)
        if not self._may_log_in:
            raise InputError("auth_needs_tls", replies.AUTH_NEEDS_TLS)
        if self.login is not None:
            raise InputError("auth_already", replies.AUTH_ALREADY)
        if self.busy:
            raise InputError("auth_in_transaction", replies.AUTH_IN_TRANSACTION)
        self._go_on(parse_auth(arg))

    def obey(self, line: bytes) -> None:
        """Handle one command line, or one of an exchange, which is no command."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            super().obey(line)
            return
        if len(line) > LONGER_COMMANDS["AUTH"]:
            self.refuse(InputError("overlong_line", replies.AUTH_TOO_LONG))
            return
        try:
            exchange.answer(self.text_of(line))
            self._go_on(exchange)
        except Exception as error:  # noqa: BLE001 - as for a command
            self.fail(error, out_of_step=False)

    def overlong(self, error: OverlongLineError) -> None:
        """Refuse a line that was dropped; it ends an exchange."""
        exchange, self._exchange = self._exchange, None
        super().overlong(error if exchange is None else OverlongLineError("overlong_line", replies.AUTH_TOO_LONG))

    def _go_on(self, exchange: Exchange) -> None:
        """Say what the exchange asks next, or check what it was told."""
        challenge = exchange.challenge
        if challenge is not None:
            self._exchange = exchange
            self.say(challenge)
            return
        self.wait_for(self._check(*exchange.credentials()))

    async def _check(self, login: str, password: bytes) -> None:
        fits = None
        if (passwords := self.around.passwords) is not None:
            try:
                fits = await passwords.check(login, password)
            except Exception as error:  # noqa: BLE001 - no traceback: its frames hold the password
                _LOG.error("password check failed", client=self.address, error=type(error).__name__)
        self._conclude(login, fits=fits)

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

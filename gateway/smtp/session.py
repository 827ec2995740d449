"""One SMTP session: the verbs and the transaction they make (RFC 5321 4.1, RFC 3207, RFC 3461, RFC 3848, RFC 6531).

What a session makes are the values of `core`; it must never look into a message, and it answers 2xx to the end of data
only with the reply of the intake.
"""

# A verb is a method of its name, and each is given what follows the verb.
# ruff: noqa: N802, ARG002

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.errors import InputError
from gateway.core.received import Client, site_of
from gateway.core.reply import Reply
from gateway.smtp import replies
from gateway.smtp.data import EndlessMessageError
from gateway.smtp.grammar import parse_mail, parse_rcpt
from gateway.smtp.limits import (
    COMMAND_OCTETS,
    IDLE_COMMANDS,
    LONGER_COMMANDS,
    MESSAGES,
    MISTAKES,
    REFUSED_RECIPIENTS,
    SURPLUS_RECIPIENTS,
)
from gateway.smtp.presence import is_in
from gateway.smtp.transfer import Transaction, Transfers
from gateway.smtp.xclient import XCLIENT_ATTRIBUTES, parse_xclient

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from gateway.core.envelope import Recipient
    from gateway.smtp.data import OverlongLineError
    from gateway.smtp.surroundings import Surroundings

_LOG: Final = structlog.get_logger("gateway.smtp")
VERBS: Final = frozenset(
    {
        "EHLO",
        "HELO",
        "MAIL",
        "RCPT",
        "DATA",
        "RSET",
        "NOOP",
        "VRFY",
        "EXPN",
        "HELP",
        "QUIT",
        "STARTTLS",
        "AUTH",
        "BDAT",
        "XCLIENT",
    }
)
_METHODS: Final = {each.encode(): (f"smtp_{each}", LONGER_COMMANDS.get(each, COMMAND_OCTETS)) for each in VERBS}
"""What handles a verb, and how many octets its line may have."""
_BEFORE_TLS: Final = frozenset({b"NOOP", b"EHLO", b"HELO", b"STARTTLS", b"QUIT"})  # RFC 3207 4
_WEB: Final = frozenset({b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT"})
"""A browser talked into sending mail speaks these first (cross-protocol scripting)."""
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f]")
_MAX_NAME: Final = 255
_known_client: Final = lru_cache(maxsize=256)(Client)
"""A connection is the same client in every message."""


class Session(Transfers):
    """A client's session on a listener of any kind."""

    def __init__(self, around: Surroundings) -> None:
        """Begin with nobody greeted, and nobody logged in."""
        super().__init__(around)
        self._mistakes = self._commands = self._messages = self._refused = 0
        self.start_over()

    def start_over(self) -> None:
        """Forget everything the client said; what counts against it is not forgotten."""
        self.greeted_as = ""
        """What the client called itself, "" before it greeted."""
        self.extended = False
        """True if it greeted with EHLO."""
        self.login: str | None = None
        self._transaction: Transaction | None = None

    @property
    def busy(self) -> bool:
        """True inside a transaction."""
        return self._transaction is not None

    # from a line to a verb

    def obey(self, line: bytes) -> None:
        """Handle one command line; whatever goes wrong, the client learns only the class of the trouble."""
        if self._commands > IDLE_COMMANDS:
            self.hang_up(replies.TOO_MANY_COMMANDS)
            return
        self._commands += 1
        try:
            method, argument = self._read(line)
            getattr(self, method)(argument)
        except Exception as error:  # noqa: BLE001 - the seam: a fault in one command is that command's alone
            self.fail(error, out_of_step=_is_chunk(line))  # a chunk's octets are no commands

    def fail(self, error: Exception, *, out_of_step: bool) -> None:
        """Refuse what may not be, and say nothing of a fault of ours but that there is one."""
        if isinstance(error, InputError):
            if out_of_step or isinstance(error, EndlessMessageError):  # which could go on for ever
                self.hang_up(error.reply)
            self.refuse(error)
            return
        if self.over and isinstance(error, OSError):
            _LOG.debug("connection ended", client=self.address, error=type(error).__name__)
            return
        transaction, self._transaction = self._transaction, None
        trace_id = transaction.trace_id if transaction else None
        _LOG.error("fault in a session", client=self.address, trace_id=trace_id, exc_info=error)
        if out_of_step:
            self.hang_up(replies.FAULT)
        self.say(replies.FAULT)

    def overlong(self, error: OverlongLineError) -> None:
        """Refuse a line that was dropped."""
        self.refuse(error)

    def refuse(self, error: InputError) -> None:
        """Give the refusal and count it."""
        reply = error.reply or replies.FAULT
        self.say(reply)
        self._mistakes += reply.permanent
        if self._mistakes > MISTAKES:
            self.hang_up(replies.TOO_MANY_MISTAKES)

    def text_of(self, line: bytes) -> bytes:
        """Return a line without its line end.

        A line that does not end in CRLF, or holds a stray CR or NUL, is how a smuggled command looks: its sender
        cannot be trusted to agree with us where the next one begins, so the connection ends.
        """
        text = line[:-2]
        if not line.endswith(b"\r\n") or text.find(b"\r") >= 0 or text.find(b"\0") >= 0:
            self.hang_up(replies.NOT_CRLF)
            raise ConnectionAbortedError("line end")
        return text

    def _read(self, line: bytes) -> tuple[str, str]:
        """Return the method of a line's verb, and its argument; raises `InputError`."""
        word, _, rest = self.text_of(line).partition(b" ")
        verb = word.upper()
        known = _METHODS.get(verb)
        if verb in _WEB:
            self.hang_up(replies.NOT_SMTP)
            raise ConnectionAbortedError("not SMTP")
        method, most = known or ("", COMMAND_OCTETS)
        if len(line) > most:
            raise InputError("overlong_line", replies.AUTH_TOO_LONG if verb == b"AUTH" else replies.LINE_TOO_LONG)
        if known is None:
            raise InputError("unknown_command", replies.UNKNOWN)
        try:
            argument = rest.decode().strip(" \t")
        except UnicodeDecodeError as error:
            raise InputError("not_utf8", replies.BAD_OCTETS) from error
        if not argument.isprintable() and _UNFIT.search(argument):
            raise InputError("control_characters", replies.BAD_OCTETS)
        if self.around.tls_first and self.tls is None and verb not in _BEFORE_TLS:
            raise InputError("needs_tls", replies.NEED_TLS)
        return method, argument

    # greeting and parting

    def smtp_EHLO(self, hostname: str) -> None:
        """Greet, and list what is offered (RFC 5321 4.1.1.1)."""
        self._greet(hostname, extended=True)
        self.say(Reply(250, None, (self.around.hostname, *self.offers())))

    def offers(self) -> list[str]:
        """Return the keywords of the greeting."""
        size = f"SIZE {self.around.max_message_size()}"
        offered = ["PIPELINING", size, "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN", "CHUNKING"]
        if self.around.starttls and self.tls is None:
            offered.append("STARTTLS")
        if self._may_introduce:
            offered.append(f"XCLIENT {' '.join(XCLIENT_ATTRIBUTES)}")
        return offered

    def smtp_HELO(self, hostname: str) -> None:
        """Greet a client that knows no extensions."""
        self._greet(hostname, extended=False)
        self.say(self.around.hello)

    def _greet(self, hostname: str, *, extended: bool) -> None:
        name = hostname.partition(" ")[0]
        if not name or len(name) > _MAX_NAME:
            raise InputError("no_name", replies.GREETING_NEEDS_NAME)
        self.greeted_as = name
        self.extended = extended
        self._transaction = None

    def smtp_QUIT(self, arg: str) -> None:
        """Part."""
        self._takes_nothing(arg)
        self.hang_up(replies.GOODBYE)

    def smtp_STARTTLS(self, arg: str) -> None:
        """Secure the connection and begin again (RFC 3207)."""
        self._takes_nothing(arg)
        if not self.around.starttls:
            raise InputError("no_starttls", replies.NOT_IMPLEMENTED)
        if self.tls is not None:
            raise InputError("tls_already", replies.TLS_ALREADY)
        self.wait_for(self.start_tls())

    # a transaction

    def smtp_MAIL(self, arg: str | None) -> None:
        """Begin a transaction (RFC 5321 4.1.1.2)."""
        if not self.greeted_as:
            raise InputError("no_greeting", replies.GREET_FIRST)
        if self._transaction is not None:
            raise InputError("nested_mail", replies.NESTED_MAIL)
        around = self.around
        if self._messages >= MESSAGES:
            self.hang_up(replies.TOO_MANY_MESSAGES)
            return
        command = parse_mail(arg or "", extended=self.extended)
        limit = around.max_message_size()
        if command.size is not None and command.size > limit:
            raise InputError("too_large", replies.too_large(command.size, limit))
        if around.spool is not None and around.spool.below_watermark:
            raise InputError("storage_full", replies.STORAGE_FULL)
        early = around.rates.message(site_of(self.address), self.login)
        if early is not None:
            raise InputError("too_fast", early)
        client = self._client(smtputf8=command.smtputf8)
        answer = around.intake.authorize(around.listener.name, client, self.login)
        if isinstance(answer, Reply):
            raise InputError("not_authorized", answer)
        self._messages += 1
        self._transaction = Transaction(around.new_trace_id(), client, answer, command)
        self.say(replies.SENDER_OK)

    def _client(self, *, smtputf8: bool) -> Client:
        protocol = "UTF8SMTP" if smtputf8 else "ESMTP" if self.extended else "SMTP"  # RFC 6531 4.3
        if self.extended:
            protocol += ("S" if self.tls else "") + ("A" if self.login is not None else "")  # RFC 3848
        return _known_client(
            self.around.listener.name, self.address, self.greeted_as, protocol, self.tls, self.certificate
        )

    def smtp_RCPT(self, arg: str | None) -> None:
        """Add a forward-path (RFC 5321 4.1.1.3)."""
        transaction = self._transaction
        if transaction is None:
            raise InputError("no_mail", replies.NEED_MAIL)
        around = self.around
        self._commands -= 1  # counted by the limits below
        recipient = parse_rcpt(
            arg or "",
            extended=self.extended,
            smtputf8=transaction.command.smtputf8,
            postmaster_domain=around.hostname,
        )
        if len(transaction.recipients) >= around.listener.max_recipients:
            transaction.surplus += 1
            if transaction.surplus > SURPLUS_RECIPIENTS:
                self.hang_up(replies.TOO_MANY_MISTAKES)
            self.say(replies.TOO_MANY_RECIPIENTS)
            return
        early = around.rates.recipient(site_of(self.address), self.login)
        if early is not None:
            self.say(early)
            return
        refusal = around.intake.recipient(around.listener.name, recipient.mailbox)
        if refusal is None or isinstance(refusal, Reply):
            self._answer_recipient(transaction, recipient, refusal)
        else:
            self.wait_for(self._ask_for(transaction, recipient, refusal))

    async def _ask_for(self, transaction: Transaction, recipient: Recipient, asked: Awaitable[Reply | None]) -> None:
        self._answer_recipient(transaction, recipient, await asked)

    def _answer_recipient(self, transaction: Transaction, recipient: Recipient, refusal: Reply | None) -> None:
        if refusal is None:
            transaction.recipients.append(recipient)
            self.say(replies.RECIPIENT_OK)
            return
        self._refused += 1
        self.say(refusal)
        if self._refused > REFUSED_RECIPIENTS:
            self.hang_up(replies.TOO_MANY_MISTAKES)

    # small verbs

    def smtp_AUTH(self, arg: str) -> None:
        """Nobody logs in here."""
        raise InputError("no_auth", replies.NOT_IMPLEMENTED)

    @property
    def _may_introduce(self) -> bool:
        """True if the host that is connected may say for whom it speaks."""
        return is_in(self.peer, self.around.listener.xclient_from)

    def smtp_XCLIENT(self, arg: str) -> None:
        """Take a listed host's word for the address of its client, and begin anew (Postfix's XCLIENT)."""
        if not self._may_introduce:
            raise InputError("no_xclient", replies.NOT_ALLOWED)
        if self._transaction is not None:
            raise InputError("nested_xclient", replies.NESTED_MAIL)
        address = parse_xclient(arg)
        if address is not None and not self.around.presence.move(self, address):
            self.hang_up(replies.TOO_MANY_CONNECTIONS)
            return
        self.address = address or self.address
        self.certificate = None  # it is the host's, and proves nothing of its client
        self.start_over()
        self.say(self.around.welcome)

    def smtp_RSET(self, arg: str) -> None:
        """Forget the transaction."""
        self._takes_nothing(arg)
        self._transaction = None
        self.say(replies.GREETED)

    def smtp_NOOP(self, arg: str) -> None:
        """Do nothing; an argument is ignored (RFC 5321 4.1.1.9)."""
        self.say(replies.GREETED)

    def smtp_VRFY(self, arg: str) -> None:
        """Tell nobody who exists (RFC 5321 3.5.3)."""
        self.say(replies.CANNOT_VERIFY)

    def smtp_EXPN(self, arg: str) -> None:
        """Tell nobody who is on a list."""
        raise InputError("expn", replies.NOT_IMPLEMENTED)

    def smtp_HELP(self, arg: str) -> None:
        """List the verbs."""
        self.say(replies.HELP)


def _is_chunk(line: bytes) -> bool:
    return line[:4].upper() == b"BDAT"

"""One SMTP session: the verbs and the transaction they make (RFC 5321 4.1, RFC 3207, RFC 3461, RFC 3848, RFC 6531).

What a session makes are the values of `core`; it must never look into a message, and it answers 2xx to the end of data
only with the reply of the intake.
"""

# The verbs keep the names that the stock class looks its methods up by, and the argument it gives to each.
# ruff: noqa: N802, ARG002

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.envelope import Envelope
from gateway.core.errors import InputError, StorageFullError
from gateway.core.message import Message
from gateway.core.received import Arrival, Client, Relayed, Submission, Submitter
from gateway.core.reply import Reply
from gateway.smtp import replies
from gateway.smtp.connection import Connection
from gateway.smtp.data import DataScanner, DataSink, EndlessMessageError
from gateway.smtp.grammar import MailCommand, parse_mail, parse_rcpt
from gateway.smtp.limits import (
    COMMAND_OCTETS,
    IDLE_COMMANDS,
    LONGER_COMMANDS,
    MESSAGES,
    MISTAKES,
    REFUSED_RECIPIENTS,
    SURPLUS_RECIPIENTS,
)

if TYPE_CHECKING:
    from gateway.core.envelope import Recipient
    from gateway.smtp.surroundings import Surroundings

_LOG: Final = structlog.get_logger("gateway.smtp")
VERBS: Final = frozenset(
    {"EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "VRFY", "EXPN", "HELP", "QUIT", "STARTTLS", "AUTH"}
)
_BEFORE_TLS: Final = frozenset({"NOOP", "EHLO", "HELO", "STARTTLS", "QUIT"})  # RFC 3207 4
_WEB: Final = frozenset({"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT"})
"""A browser talked into sending mail speaks these first (cross-protocol scripting)."""
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f]")
_MAX_NAME: Final = 255


@dataclass(slots=True)
class _Transaction:
    """A mail transaction that has begun."""

    trace_id: str
    client: Client
    submitter: Submitter | None
    command: MailCommand
    recipients: list[Recipient] = field(default_factory=list)
    surplus: int = 0
    """Forward-paths beyond the limit."""

    def envelope(self) -> Envelope:
        command = self.command
        return Envelope(
            command.reverse_path,
            tuple(self.recipients),
            eight_bit=command.eight_bit,
            smtputf8=command.smtputf8,
            ret=command.ret,
            envid=command.envid,
        )


class Session(Connection):
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
        self._transaction: _Transaction | None = None

    @property
    def busy(self) -> bool:
        """True inside a transaction."""
        return self._transaction is not None

    # from a line to a verb

    async def obey(self, line: bytes) -> None:
        """Handle one command line; whatever goes wrong, the client learns only the class of the trouble."""
        self._commands += 1
        try:
            verb, argument = self._read(line)
            await getattr(self, f"smtp_{verb}")(argument)
        except InputError as error:
            self.refuse(error)
        except EOFError:
            raise
        except Exception as error:
            if self.over and isinstance(error, OSError):
                raise  # the connection's end, not a fault
            transaction, self._transaction = self._transaction, None
            trace_id = transaction.trace_id if transaction else None
            _LOG.exception("fault in a session", client=self.address, trace_id=trace_id)
            self.say(replies.FAULT)
        if self._commands > IDLE_COMMANDS:
            self.hang_up(replies.TOO_MANY_COMMANDS)

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
        if not line.endswith(b"\r\n") or b"\r" in text or b"\0" in text:
            self.hang_up(replies.NOT_CRLF)
            raise ConnectionAbortedError("line end")
        return text

    def _read(self, line: bytes) -> tuple[str, str]:
        """Return verb and argument of a line; raises `InputError`."""
        verb_octets, _, rest = self.text_of(line).partition(b" ")
        verb = verb_octets.decode("ascii", "replace").upper()
        if verb in _WEB:
            self.hang_up(replies.NOT_SMTP)
            raise ConnectionAbortedError("not SMTP")
        if len(line) > LONGER_COMMANDS.get(verb, COMMAND_OCTETS):
            raise InputError("overlong_line", replies.AUTH_TOO_LONG if verb == "AUTH" else replies.LINE_TOO_LONG)
        if verb not in VERBS:
            raise InputError("unknown_command", replies.UNKNOWN)
        try:
            argument = rest.decode().strip(" \t")
        except UnicodeDecodeError as error:
            raise InputError("not_utf8", replies.BAD_OCTETS) from error
        if _UNFIT.search(argument):
            raise InputError("control_characters", replies.BAD_OCTETS)
        if self._needs_tls and verb not in _BEFORE_TLS:
            raise InputError("needs_tls", replies.NEED_TLS)
        return verb, argument

    @property
    def _needs_tls(self) -> bool:
        return self.around.starttls and self.around.listener.tls.required and self.tls is None

    # greeting and parting

    async def smtp_EHLO(self, hostname: str) -> None:
        """Greet, and list what is offered (RFC 5321 4.1.1.1)."""
        self._greet(hostname, extended=True)
        self.say(Reply(250, None, (self.around.hostname, *self.offers())))

    def offers(self) -> list[str]:
        """Return the keywords of the greeting."""
        size = f"SIZE {self.around.max_message_size()}"
        offered = ["PIPELINING", size, "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN"]
        if self.around.starttls and self.tls is None:
            offered.append("STARTTLS")
        return offered

    async def smtp_HELO(self, hostname: str) -> None:
        """Greet a client that knows no extensions."""
        self._greet(hostname, extended=False)
        self.say(Reply(250, None, (self.around.hostname,)))

    def _greet(self, hostname: str, *, extended: bool) -> None:
        name = hostname.partition(" ")[0]
        if not name or len(name) > _MAX_NAME:
            raise InputError("no_name", replies.GREETING_NEEDS_NAME)
        self.greeted_as = name
        self.extended = extended
        self._transaction = None

    async def smtp_QUIT(self, arg: str) -> None:
        """Part."""
        self._takes_nothing(arg)
        self.hang_up(replies.GOODBYE)

    async def smtp_STARTTLS(self, arg: str) -> None:
        """Secure the connection and begin again (RFC 3207)."""
        self._takes_nothing(arg)
        if not self.around.starttls:
            raise InputError("no_starttls", replies.NOT_IMPLEMENTED)
        if self.tls is not None:
            raise InputError("tls_already", replies.TLS_ALREADY)
        await self.start_tls()

    # a transaction

    async def smtp_MAIL(self, arg: str | None) -> None:
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
        client = self._client(smtputf8=command.smtputf8)
        answer = await around.intake.authorize(around.listener.name, client, self.login)
        if isinstance(answer, Reply):
            raise InputError("not_authorized", answer)
        self._messages += 1
        self._transaction = _Transaction(around.new_trace_id(), client, answer, command)
        self.say(replies.SENDER_OK)

    def _client(self, *, smtputf8: bool) -> Client:
        protocol = "UTF8SMTP" if smtputf8 else "ESMTP" if self.extended else "SMTP"  # RFC 6531 4.3
        if self.extended:
            protocol += ("S" if self.tls else "") + ("A" if self.login is not None else "")  # RFC 3848
        return Client(self.around.listener.name, self.address, self.greeted_as, protocol, self.tls, self.certificate)

    async def smtp_RCPT(self, arg: str | None) -> None:
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
        refusal = await around.intake.recipient(around.listener.name, recipient.mailbox)
        if refusal is not None:
            self._refused += 1
            self.say(refusal)
            if self._refused > REFUSED_RECIPIENTS:
                self.hang_up(replies.TOO_MANY_MISTAKES)
            return
        transaction.recipients.append(recipient)
        self.say(replies.RECIPIENT_OK)

    async def smtp_DATA(self, arg: str) -> None:
        """Take the message (RFC 5321 4.1.1.4)."""
        self._takes_nothing(arg)
        transaction = self._transaction
        if transaction is None:
            raise InputError("no_mail", replies.NEED_MAIL)
        if not transaction.recipients:
            raise InputError("no_recipient", replies.NEED_RECIPIENT)
        try:
            sink = DataSink(self.around.bodies.builder(), limit=self.around.max_message_size())
        except (OSError, StorageFullError) as error:
            raise InputError("storage_full", replies.STORAGE_FULL) from error
        self.say(Reply(354, None, ("end data with <CR><LF>.<CR><LF>",)))
        await self.flush()
        try:
            await self.read_data(sink, DataScanner())
        except EndlessMessageError as error:
            self.hang_up(error.reply)  # it could go on for ever
            return
        self._transaction = None
        try:
            source = sink.finish()
        except InputError as error:
            _LOG.info("message refused", client=self.address, trace_id=transaction.trace_id, reason=error.reason)
            self.say(error.reply or replies.FAULT)
            return
        await self._hand_in(transaction, Message.from_source(source))

    async def _hand_in(self, transaction: _Transaction, message: Message) -> None:
        """Let the intake take the message, to its end even if the client leaves (handover.md row 13)."""
        around = self.around
        arrival = Arrival(transaction.trace_id, around.clock.now(), transaction.client, transaction.envelope(), message)
        submitter = transaction.submitter
        received = Relayed(arrival) if submitter is None else Submission(arrival, submitter)
        try:
            reply = await around.presence.take(around.intake.accept(received))
        except Exception:  # noqa: BLE001 - the intake's promise was broken: nothing is known, so nothing is confirmed
            _LOG.exception("fault in the intake", client=self.address, trace_id=transaction.trace_id)
            reply = replies.FAULT
        if self.left:
            _LOG.warning("client left before the reply", trace_id=transaction.trace_id, code=reply.code)
        if reply.positive:
            self._commands = self._mistakes = 0
        self.say(reply)

    # small verbs

    async def smtp_AUTH(self, arg: str) -> None:
        """Nobody logs in here."""
        raise InputError("no_auth", replies.NOT_IMPLEMENTED)

    async def smtp_RSET(self, arg: str) -> None:
        """Forget the transaction."""
        self._takes_nothing(arg)
        self._transaction = None
        self.say(replies.GREETED)

    async def smtp_NOOP(self, arg: str) -> None:
        """Do nothing; an argument is ignored (RFC 5321 4.1.1.9)."""
        self.say(replies.GREETED)

    async def smtp_VRFY(self, arg: str) -> None:
        """Tell nobody who exists (RFC 5321 3.5.3)."""
        self.say(replies.CANNOT_VERIFY)

    async def smtp_EXPN(self, arg: str) -> None:
        """Tell nobody who is on a list."""
        raise InputError("expn", replies.NOT_IMPLEMENTED)

    async def smtp_HELP(self, arg: str) -> None:
        """List the verbs."""
        self.say(replies.HELP)

    @staticmethod
    def _takes_nothing(argument: str) -> None:
        if argument:
            raise InputError("argument", replies.NO_ARGUMENT)

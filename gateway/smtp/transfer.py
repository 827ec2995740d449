"""A message handed over to us: DATA, or chunks with BDAT (RFC 5321 4.1.1.4, RFC 3030).

A chunk has as many octets as its command says, whatever they look like and whatever is answered; a command whose chunk
cannot be read to its end must end the connection, or the octets would be taken for commands (SMTP smuggling).
"""

# A verb is a method of its name.
# ruff: noqa: N802

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.envelope import Envelope
from gateway.core.errors import InputError, StorageFullError
from gateway.core.received import Arrival, Relayed, Submission
from gateway.core.reply import Reply
from gateway.smtp import replies
from gateway.smtp.connection import Connection
from gateway.smtp.data import ChunkScanner, DataScanner, DataSink, EndlessMessageError
from gateway.smtp.limits import DRAINED_BEYOND, SMALL_CHUNK

if TYPE_CHECKING:
    from gateway.core.envelope import Recipient
    from gateway.core.message import Message
    from gateway.core.received import Client, Submitter
    from gateway.smtp.grammar import MailCommand

_LOG: Final = structlog.get_logger("gateway.smtp")
_CHUNK: Final = re.compile(r"([0-9]{1,20})( +LAST)?", re.IGNORECASE)


@dataclass(slots=True)
class Transaction:
    """A mail transaction that has begun."""

    trace_id: str
    client: Client
    submitter: Submitter | None
    command: MailCommand
    recipients: list[Recipient] = field(default_factory=list)
    surplus: int = 0
    """Forward-paths beyond the limit."""
    sink: DataSink | None = None
    """Where chunks go."""
    scanner: ChunkScanner = field(default_factory=ChunkScanner)
    failed: bool = False
    """A chunk was refused: nothing but a new transaction helps (RFC 3030 2)."""

    def envelope(self) -> Envelope:
        """Return the envelope as it is now."""
        command = self.command
        return Envelope(
            command.reverse_path,
            tuple(self.recipients),
            eight_bit=command.eight_bit,
            smtputf8=command.smtputf8,
            ret=command.ret,
            envid=command.envid,
        )


class Transfers(Connection):
    """What a session does from the last RCPT to the reply that counts."""

    _transaction: Transaction | None
    _mistakes: int
    _commands: int

    async def smtp_DATA(self, arg: str) -> None:
        """Take the message (RFC 5321 4.1.1.4)."""
        self._takes_nothing(arg)
        transaction = self._ready()
        if transaction.sink is not None:
            raise InputError("data_after_bdat", replies.CHUNKS_BEGUN)
        sink = await self._sink()
        self.say(replies.GO_AHEAD)
        await self.flush()
        try:
            await self.read_data(sink, DataScanner())
        except EndlessMessageError as error:
            self.hang_up(error.reply)  # it could go on for ever
            return
        self._transaction = None
        await self._finish(transaction, sink)

    async def smtp_BDAT(self, arg: str) -> None:
        """Take a chunk (RFC 3030 2); with LAST, the message."""
        match = _CHUNK.fullmatch(arg)
        if match is None or int(match[1]) > self.around.max_message_size() + DRAINED_BEYOND:
            raise InputError("unfit_chunk", replies.UNFIT_CHUNK)  # nobody knows where the next command is
        size, last = int(match[1]), match[2] is not None
        self._commands -= size >= SMALL_CHUNK  # an honest message may have thousands
        try:
            transaction = self._ready()
            if transaction.sink is None:
                transaction.sink = await self._sink()
        except InputError as error:
            await self.read_chunk(size, None, ChunkScanner())
            self._fail_chunks()
            self.refuse(error)
            return
        try:
            await self.read_chunk(size, transaction.sink, transaction.scanner)
            if last:
                transaction.sink.take(transaction.scanner.end())
        except EndlessMessageError as error:
            self.hang_up(error.reply)
            return
        if last:
            self._transaction = None
            await self._finish(transaction, transaction.sink)
        elif (reply := transaction.sink.refusal) is not None:
            self._fail_chunks()
            self.refuse(InputError("chunk", reply))
        else:
            self.say(Reply.of(250, "2.0.0", f"{size} octets received"))

    def _ready(self) -> Transaction:
        """Return the transaction that may go on; raises `InputError`."""
        transaction = self._transaction
        if transaction is None:
            raise InputError("no_mail", replies.NEED_MAIL)
        if not transaction.recipients:
            raise InputError("no_recipient", replies.NEED_RECIPIENT)
        if transaction.failed:
            raise InputError("chunk_refused", replies.CHUNK_FAILED)
        return transaction

    async def _sink(self) -> DataSink:
        """Return where the message goes, once there is room to read it; raises `InputError` if not in time."""
        share = await self.around.room.take()
        if share is None:
            raise InputError("no_room", replies.STORAGE_FULL)
        try:
            return DataSink(self.around.bodies.builder(), limit=self.around.max_message_size(), share=share)
        except (OSError, StorageFullError) as error:
            raise InputError("storage_full", replies.STORAGE_FULL) from error

    def _fail_chunks(self) -> None:
        """Keep nothing of a message one of whose chunks was refused."""
        if self._transaction is not None:
            self._transaction.failed = True
            self._transaction.sink = None

    async def _finish(self, transaction: Transaction, sink: DataSink) -> None:
        """Answer the end of a message."""
        try:
            message = sink.finish()
        except InputError as error:
            _LOG.info("message refused", client=self.address, trace_id=transaction.trace_id, reason=error.reason)
            self.say(error.reply or replies.FAULT)
            return
        await self._hand_in(transaction, message)

    async def _hand_in(self, transaction: Transaction, message: Message) -> None:
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

    @staticmethod
    def _takes_nothing(argument: str) -> None:
        if argument:
            raise InputError("argument", replies.NO_ARGUMENT)

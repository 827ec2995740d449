"""A message handed over to us: DATA, or chunks with BDAT (RFC 5321 4.1.1.4, RFC 3030).

A chunk has as many octets as its command says, whatever they look like and whatever is answered; a command whose chunk
cannot be read to its end must end the connection, or the octets would be taken for commands (SMTP smuggling).
"""

# A verb is a method of its name.
# ruff: noqa: N802

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.envelope import Envelope
from gateway.core.errors import InputError, StorageFullError
from gateway.core.received import Arrival, Relayed, Submission
from gateway.core.reply import Reply
from gateway.smtp import replies
from gateway.smtp.connection import Connection
from gateway.smtp.data import ChunkScanner, CountedContent, DataSink, DottedContent
from gateway.smtp.limits import DRAINED_BEYOND, SMALL_CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.envelope import Recipient
    from gateway.core.received import Client, Received, Submitter
    from gateway.smtp.grammar import MailCommand
    from gateway.smtp.room import Share

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
    """Where its content goes, once there is some."""
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

    def smtp_DATA(self, arg: str) -> None:
        """Take the message (RFC 5321 4.1.1.4)."""
        self._takes_nothing(arg)
        if self._ready().sink is not None:
            raise InputError("data_after_bdat", replies.CHUNKS_BEGUN)
        self._with_room(self._take_data)

    def _take_data(self, share: Share | None) -> None:
        transaction = self._ready()
        sink = transaction.sink = self._sink(transaction, share)
        self.say(replies.GO_AHEAD)
        self.receive(DottedContent(sink), partial(self._finish, transaction, sink))

    def smtp_BDAT(self, arg: str) -> None:
        """Take a chunk (RFC 3030 2); with LAST, the message."""
        match = _CHUNK.fullmatch(arg)
        if match is None or int(match[1]) > self.around.max_message_size() + DRAINED_BEYOND:
            raise InputError("unfit_chunk", replies.UNFIT_CHUNK)  # nobody knows where the next command is
        size, last = int(match[1]), match[2] is not None
        self._commands -= size >= SMALL_CHUNK  # an honest message may have thousands
        try:
            transaction = self._ready()
        except InputError as error:
            self._skip_chunk(size, error)
            return
        if transaction.sink is None:
            self._with_room(partial(self._begin_chunks, transaction, size, last=last))
        else:
            self._take_chunk(transaction, transaction.sink, size, last=last)

    def _begin_chunks(self, transaction: Transaction, size: int, share: Share | None, *, last: bool) -> None:
        try:
            sink = transaction.sink = self._sink(transaction, share)
        except InputError as error:
            self._skip_chunk(size, error)
        except Exception as error:  # noqa: BLE001 - as for a command, but the octets that follow are none
            self.fail(error, out_of_step=True)
        else:
            self._take_chunk(transaction, sink, size, last=last)

    def _take_chunk(self, transaction: Transaction, sink: DataSink, size: int, *, last: bool) -> None:
        content = CountedContent(size, sink, transaction.scanner)
        self._receive_chunk(size, content, partial(self._end_chunk, transaction, sink, size, last=last))

    def _skip_chunk(self, size: int, error: InputError) -> None:
        """Read a chunk that is not taken: its octets are no commands."""
        self._receive_chunk(size, CountedContent(size, None, ChunkScanner()), partial(self._refuse_chunk, error))

    def _receive_chunk(self, size: int, content: CountedContent, then: Callable[[], None]) -> None:
        if size:
            self.receive(content, then)
        else:
            then()

    def _end_chunk(self, transaction: Transaction, sink: DataSink, size: int, *, last: bool) -> None:
        if last:
            sink.take(transaction.scanner.end())
            self._finish(transaction, sink)
        elif (reply := sink.refusal) is not None:
            self._refuse_chunk(InputError("chunk", reply))
        else:
            self.say(Reply.of(250, "2.0.0", f"{size} octets received"))

    def _refuse_chunk(self, error: InputError) -> None:
        """Refuse, and keep nothing of a message one of whose chunks was refused."""
        if self._transaction is not None:
            self._transaction.failed = True
            self._transaction.sink = None
        self.refuse(error)

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

    def _with_room(self, begin: Callable[[Share | None], None]) -> None:
        """Begin to read a message once there is room, or with none if there is none in time."""
        share = self.around.room.at_once()
        if share is not None:
            begin(share)
        else:
            self.wait_for(self._in_turn(begin))

    async def _in_turn(self, begin: Callable[[Share | None], None]) -> None:
        share = await self.around.room.take()
        if not self.over:
            begin(share)

    def _sink(self, transaction: Transaction, share: Share | None) -> DataSink:
        """Return where the message goes; raises `InputError`."""
        if share is None:
            raise InputError("no_room", replies.STORAGE_FULL)
        try:
            builder = self.around.bodies.builder(transaction.command.size or 0)
            return DataSink(builder, limit=self.around.max_message_size(), share=share)
        except (OSError, StorageFullError) as error:
            raise InputError("storage_full", replies.STORAGE_FULL) from error

    def _finish(self, transaction: Transaction, sink: DataSink) -> None:
        """Answer the end of a message: let the intake take it, to its end even if the client leaves (row 13)."""
        self._transaction = None
        try:
            message = sink.finish()
        except InputError as error:
            _LOG.info("message refused", client=self.address, trace_id=transaction.trace_id, reason=error.reason)
            self.say(error.reply or replies.FAULT)
            return
        now, submitter = self.around.clock.now(), transaction.submitter
        arrival = Arrival(transaction.trace_id, now, transaction.client, transaction.envelope(), message)
        received = Relayed(arrival) if submitter is None else Submission(arrival, submitter)
        self.wait_for(self._hand_in(received), taking=True)

    async def _hand_in(self, received: Received) -> None:
        trace_id = received.arrival.trace_id
        try:
            reply = await self.around.intake.accept(received)
        except Exception:  # noqa: BLE001 - the intake's promise was broken: nothing is known, so nothing is confirmed
            _LOG.exception("fault in the intake", client=self.address, trace_id=trace_id)
            reply = replies.FAULT
        if self.left:
            _LOG.warning("client left before the reply", trace_id=trace_id, code=reply.code)
        if reply.positive:
            self._commands = self._mistakes = 0
        self.say(reply)

    @staticmethod
    def _takes_nothing(argument: str) -> None:
        if argument:
            raise InputError("argument", replies.NO_ARGUMENT)

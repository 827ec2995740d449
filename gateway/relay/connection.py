"""One mail transaction over SMTP or LMTP, step by step (RFC 5321, RFC 2033, RFC 2920, RFC 3461; `handover.md` I1-I4).

The dot must never leave before every window of the message did, nor while anything is unread that could be taken for
its reply. Whatever ends a step early - trouble, silence, cancellation - closes the connection.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from gateway.core.reply import Reply
from gateway.ports import HopError, HopTrouble
from gateway.relay.commands import mail_command, rcpt_command
from gateway.relay.content import blocks, end_of_data
from gateway.relay.replies import reply_here, reply_to_come
from gateway.relay.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.core.envelope import Envelope
    from gateway.core.message import Message
    from gateway.core.queue import Origin
    from gateway.relay.breaker import Breaker
    from gateway.relay.greeting import Connection
    from gateway.relay.pool import Pool
    from gateway.relay.replies import Offers

COMMAND_SECONDS: Final = 300.0
"""For MAIL, RCPT, DATA and each window of octets (RFC 5321 4.5.3.2)."""
RESET_SECONDS: Final = 5.0
"""For RSET, and for a reply that came before its time."""
MOST_PIPELINED: Final = 100
"""Commands in one write; their replies fit into what a wire keeps unread."""

_DATA: Final = b"DATA\r\n"
_CLOSING: Final = 421
_GO_AHEAD: Final = 354
_LOGIN_WANTED: Final = frozenset({530, 535})


class _UnfitError(WireError):
    """The hop refuses to talk about mail with us at all: 530, 535 or 50x to MAIL (`handover.md` row 7)."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"MAIL: {reply}")
        self.whole_site = reply.code in _LOGIN_WANTED


class _StaleError(WireError):
    """A kept connection that the hop has given up meanwhile."""


class SmtpTransaction:
    """Implements `ports.Transaction` on a connection of a pool."""

    def __init__(
        self,
        pool: Pool,
        connection: Connection,
        breaker: Breaker,
        *,
        lmtp: bool,
        reply_timeout: float,
        client: Origin | None = None,
    ) -> None:
        """Take a connection over, which speaks for `client`; `reply_timeout` (seconds) is for each reply to the dot."""
        self._client = client
        self._pool = pool
        self._breaker = breaker
        self._connection = connection
        self._lmtp = lmtp
        self._reply_timeout = reply_timeout
        self._accepted = 0
        self._begun = False
        self._stepping = False
        self._abandoned = False
        """By another task than that of the step under way."""
        self._data_asked = False
        """DATA is out and its reply was not read: nothing but content may follow a 354."""
        self._ended = False
        self._dot_sent = False
        self._paused = False
        self._outcomes: list[Reply] = []
        self.mail_refusal: Reply | None = None
        """The reply to MAIL that stood for all recipients."""

    @property
    def limits(self) -> Offers:
        """What the hop announced."""
        return self._connection.offers

    @property
    def dot_sent(self) -> bool:
        """True from the moment the end of data was handed to the socket."""
        return self._dot_sent

    async def envelope(self, envelope: Envelope, *, size: int | None = None) -> tuple[Reply, ...]:
        """Send MAIL and every RCPT (see `ports.Transaction`); `size` in octets goes into SIZE where that is offered.

        Nothing is accepted before the dot, so a connection that fails here is replaced: a kept one by a new one, a new
        one by one to the next host.
        """
        if self._begun or self._ended:
            raise RuntimeError("a transaction has one envelope")
        self._begun = self._stepping = True
        try:
            replies = await self._offer(envelope, size)
        except BaseException as error:
            self._broken_off(error)
            raise
        self._stepped()
        return replies

    async def content(self, message: Message) -> tuple[Reply, ...] | None:
        """Send DATA, if it is not out yet, the message and the dot (see `ports.Transaction`)."""
        if self._ended or not self._accepted:
            raise RuntimeError("content goes to recipients that were accepted, once")
        self._stepping = True
        try:
            replies = await (self._answers() if self._dot_sent else self._carry(message))
        except BaseException as error:
            self._broken_off(error)
            raise
        self._stepped()
        return replies

    def pause(self) -> bool:
        """End the waiting of `content` for the replies to the dot; False where there is none."""
        if self._ended or not self._dot_sent:
            return False
        self._paused = True
        self._connection.wire.wake()
        return True

    def give_up(self) -> tuple[Reply, ...]:
        """Close the connection at once, whatever is unanswered; return the replies to the dot that were read."""
        self._fail()
        return tuple(self._outcomes)

    async def abandon(self) -> None:
        """Leave the transaction: RSET before DATA, close the connection otherwise; never raises.

        A step under way in another task finds its connection closed, and ends by that: two may not read replies.
        """
        if self._ended:
            return
        if self._stepping:
            self._abandoned = True
            self._connection.abort()
            return
        if self._dot_sent:  # RSET would be given the reply to the dot
            self._fail()
            return
        self._stepping = True
        try:
            await self._reset()
        finally:
            if not self._ended:
                self._end(in_step=False)

    async def _offer(self, envelope: Envelope, size: int | None) -> tuple[Reply, ...]:
        while True:
            try:
                return await self._ask(envelope, size)
            except WireError:
                connection = None if self._abandoned else await self._pool.another(self._connection, self._client)
                if connection is None:
                    raise
                self._connection = connection
                if self._abandoned:
                    raise

    async def _carry(self, message: Message) -> tuple[Reply, ...] | None:
        wire = self._connection.wire
        if not self._data_asked:
            wire.write(_DATA)
        reply = reply_here(wire) or await reply_to_come(wire, COMMAND_SECONDS)
        self._data_asked = False
        if reply.code != _GO_AHEAD:
            return await self._refused_data(reply)
        early = await self._send(message)
        if early is not None:
            self._end(in_step=False)
            return (early,) * self._accepted
        wire.limit(self._reply_timeout)
        return await self._answers()

    async def _answers(self) -> tuple[Reply, ...] | None:
        """Return the replies to the dot; None if `pause` was called and not all of them are here."""
        wire, outcomes = self._connection.wire, self._outcomes
        while len(outcomes) < (self._accepted if self._lmtp else 1):
            reply = reply_here(wire)
            if reply is not None:
                outcomes.append(_final(reply))
                wire.limit(self._reply_timeout)
            elif self._paused:
                self._paused = False
                return None
            else:
                await wire.arrival()
        self._end(in_step=_CLOSING not in [each.code for each in outcomes])
        return tuple(outcomes) if self._lmtp else (outcomes[0],) * self._accepted

    async def _reset(self) -> None:
        """End the transaction with RSET, whose reply is not waited for long; a hop that fails here loses us.

        Behind a 354, or beside a reply that nobody asked for, RSET would be content, or have another reply than its
        own: then the connection is closed.
        """
        in_step = True
        if self._begun:
            connection = self._connection
            try:
                in_step = not self._data_asked or await self._is_refused_data()
                if in_step := in_step and connection.wire.quiet:
                    connection.wire.write(b"RSET\r\n")
                    in_step = (await connection.reply(RESET_SECONDS)).code == 250  # noqa: PLR2004 - RFC 5321 4.1.1.5
            except (WireError, TimeoutError):
                in_step = False
        self._end(in_step=in_step)

    async def _is_refused_data(self) -> bool:
        """Return whether DATA, which is out, was refused; not asked for where somebody was accepted at RCPT."""
        if self._accepted:
            return False
        reply = await self._connection.reply(RESET_SECONDS)
        self._data_asked = False
        return not reply.positive

    async def _ask(self, envelope: Envelope, size: int | None) -> tuple[Reply, ...]:
        """Send MAIL and RCPT; raises `WireError` where another connection might do better."""
        wire, offers = self._connection.wire, self._connection.offers
        self._data_asked = False
        mail = mail_command(envelope, offers, size)
        if isinstance(mail, Reply):
            return self._refused_mail(mail, envelope)
        commands = [mail, *[rcpt_command(each, offers) for each in envelope.recipients]]
        # with one recipient nothing is decided between RCPT and DATA that 354 would be in the way of
        self._data_asked = size is not None and offers.pipelining and len(envelope.recipients) == 1
        replies: list[Reply] = []
        for batch in _batches(commands, MOST_PIPELINED if offers.pipelining else 1):
            wire.write(b"".join((*batch, _DATA) if self._data_asked else batch))
            for _ in batch:  # what the hop says to several commands mostly comes together
                reply = _final(reply_here(wire) or await reply_to_come(wire, COMMAND_SECONDS))
                if reply.code == _CLOSING:
                    return self._cut_short(replies, reply, len(envelope.recipients))
                replies.append(reply)
            if not replies[0].positive:
                return self._refused_mail(_fit(replies[0]), envelope)
        answers = tuple(replies[1:])
        accepted = len([each for each in answers if each.positive])
        if accepted and not self._data_asked and not wire.quiet:
            raise WireError("out of step after RCPT")
        self._accepted = accepted
        return answers

    def _refused_mail(self, reply: Reply, envelope: Envelope) -> tuple[Reply, ...]:
        self.mail_refusal = reply
        return (reply,) * len(envelope.recipients)

    def _cut_short(self, replies: list[Reply], closing: Reply, count: int) -> tuple[Reply, ...]:
        """Return the replies when 421 ended the session: nobody is aboard any more, refusals stand."""
        if not replies and self._connection.served:
            raise _StaleError(f"kept connection: {closing}")
        if not replies:
            self.mail_refusal = closing
        self._end(in_step=False)
        known = [each if each.permanent else closing for each in replies[1:]]
        return (*known, *[closing] * (count - len(known)))

    async def _refused_data(self, reply: Reply) -> tuple[Reply, ...]:
        if reply.positive:
            raise WireError(f"out of step: {reply} to DATA")
        if reply.code == _CLOSING:
            self._end(in_step=False)
        else:
            await self._reset()
        return (reply,) * self._accepted

    async def _send(self, message: Message) -> Reply | None:
        """Send the octets and the dot; a reply that comes first ends it without a dot and is returned."""
        wire = self._connection.wire
        held = b""
        for block in blocks(message):
            if held and (early := await self._send_window(held)) is not None:
                return early
            held = block
        held += end_of_data(message)
        if not wire.quiet:
            return await self._early_reply()
        self._dot_sent = True
        wire.write(held)
        return None

    async def _send_window(self, octets: bytes) -> Reply | None:
        """Send one window and wait for room."""
        wire = self._connection.wire
        try:
            wire.write(octets)
            wire.limit(COMMAND_SECONDS)
            await wire.drain()
        except WireError:
            if not wire.unread:
                raise
        return await self._early_reply() if wire.unread else None

    async def _early_reply(self) -> Reply:
        """Return the refusal that came before the dot; a positive reply there means nothing, and is trouble."""
        reply = await self._connection.reply(RESET_SECONDS)
        if reply.positive:
            raise WireError(f"out of step: {reply} before the end of data")
        return reply

    def _end(self, *, in_step: bool) -> None:
        """Give the connection back, or close it where it may be out of step."""
        self._ended = True
        if self._begun:
            self._breaker.answered()
        if in_step:
            self._pool.give_back(self._connection)
        else:
            self._pool.drop(self._connection)

    def _stepped(self) -> None:
        """End a step; where it was abandoned in the same moment, the connection is closed."""
        if self._abandoned:
            self._fail()
        self._stepping = False

    def _broken_off(self, error: BaseException) -> None:
        """Close the connection after a step that did not come to its end; raises `HopError` for trouble of the wire."""
        self._fail()
        if isinstance(error, HopError):
            self._breaker.trouble(error.detail)
        if not isinstance(error, (WireError, TimeoutError)):
            return
        words = f"{self._connection.endpoint}: {error if str(error) else 'no answer in time'}"
        if self._dot_sent:
            raise HopError(HopTrouble.LOST_AFTER_DOT, words, tuple(self._outcomes)) from error
        if not self._abandoned and (not isinstance(error, _UnfitError) or error.whole_site):
            self._breaker.trouble(words)
            self._pool.suspect(self._connection)
        raise HopError(HopTrouble.SITE, words) from error

    def _fail(self) -> None:
        if not self._ended:
            self._ended = True
            self._pool.drop(self._connection)

    def __del__(self) -> None:
        """Close what somebody forgot to end: a lost connection must not count against the hop's limit for ever."""
        if not self._ended:
            with contextlib.suppress(RuntimeError):  # the loop may be gone
                self._fail()


def _final(reply: Reply) -> Reply:
    """Return a reply where 3xx would be none: it never means that anything was accepted."""
    if 300 <= reply.code < 400:  # noqa: PLR2004 - RFC 5321 4.2.1
        raise WireError(f"out of step: {reply}")
    return reply


def _fit(reply: Reply) -> Reply:
    """Return a refusal of MAIL that is about this message; raises `_UnfitError` if it is about us.

    50x with a status of the address class (such as 501 5.1.7, bad sender address syntax) is about the message: tried
    again for five days it would fail for five days.
    """
    about_address = reply.status is not None and reply.status.startswith("5.1.")
    if reply.code in _LOGIN_WANTED or (500 <= reply.code < 510 and not about_address):  # noqa: PLR2004 - row 7: 50x
        raise _UnfitError(reply)
    return reply


def _batches(commands: Sequence[bytes], most: int) -> Iterable[Sequence[bytes]]:
    return [commands[start : start + most] for start in range(0, len(commands), most)]

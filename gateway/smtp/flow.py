"""What flows on one connection: octets in, replies out, patience, parting (RFC 5321 4.5.3.2, 3.8; RFC 2920).

What lands is handled at once, up to the first thing that takes time: that is a task of its own, and meanwhile further
octets lie here. No such task may ever be canceled: a message may be on its way. The end of the connection shows up
where octets are read or written, and only waiting for the client is timed.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING, Final, cast

import structlog

from gateway.smtp.data import LineReader, OverlongLineError
from gateway.smtp.limits import COMMANDS_PER_TURN, LINGER_SECONDS, PENDING_REPLIES, READ_AHEAD, SLOWEST
from gateway.smtp.replies import DRAINING, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from gateway.core.reply import Reply
    from gateway.smtp.data import Content
    from gateway.smtp.surroundings import Surroundings

_LOG: Final = structlog.get_logger("gateway.smtp")
_WORKING: Final = 1
"""Something takes time, and nothing else is looked at before it is done."""
_BLOCKED: Final = 2
"""The transport takes no more: the client does not read what we say."""
_OTHERS_TURN: Final = 4
"""It handled many commands, and other sessions come first."""
_CLOSING: Final = 8
_GONE: Final = 16
_OVER: Final = _CLOSING | _GONE


class Flow(asyncio.BufferedProtocol):
    """A connection that is admitted already; `obey` is called for each line.

    What is received lands in one place for all connections of a listener and is copied from there at once: a plain
    protocol is given 256 KiB of fresh memory by asyncio for each segment, which costs more than all that follows.
    """

    def __init__(self, around: Surroundings) -> None:
        """Begin without a transport; `connection_made` follows."""
        self.loop = asyncio.get_running_loop()
        self._input = LineReader(limit=READ_AHEAD)
        self.around = around
        self.address = ""
        """The client's; that host's own, unless it is one that may speak for others."""
        self.tls: str | None = None
        """Protocol version and cipher, None in the clear."""
        self._wire = cast("asyncio.Transport", None)  # set by connection_made, before anything else runs
        self._out = b""
        self._content: Content | None = None
        """What takes the octets that come; None while they are lines."""
        self._then: Callable[[], None] | None = None
        """What follows the content."""
        self._task: asyncio.Task[None] | None = None
        self._halts = 0
        """Why we do not wait for the client to send: some of the reasons above."""
        self._paused = False
        """The transport reads no more: the client sends ahead more than may lie here."""
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = math.inf
        """Until when we wait for the client; for ever while it waits for us."""
        self._begun = 0.0
        """When the content began."""
        self._ended = False
        """The client will send nothing more."""

    # what a session adds

    @property
    def busy(self) -> bool:
        """True if leaving now would cost the client a transaction."""
        raise NotImplementedError

    def obey(self, line: bytes) -> None:
        """Handle one command line, given with its line end; raises nothing."""
        raise NotImplementedError

    def overlong(self, error: OverlongLineError) -> None:
        """Refuse a line that was dropped."""
        raise NotImplementedError

    def fail(self, error: Exception, *, out_of_step: bool) -> None:
        """Answer what went wrong; `out_of_step`: nobody knows where the next command begins."""
        raise NotImplementedError

    def start_over(self) -> None:
        """Forget everything the client said (RFC 3207 4.2)."""
        raise NotImplementedError

    # what asyncio calls

    def connection_lost(self, error: Exception | None) -> None:
        """Let go of what was begun; what takes time goes on without us."""
        del error
        if self._halts & _GONE:
            return
        self._halts |= _GONE
        if self._timer is not None:
            self._timer.cancel()
        self._content = self._then = None
        if not self._halts & _WORKING:
            self.start_over()
        self.around.presence.dismiss(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where octets may land: `buffer_updated` is called before anything else is."""
        del sizehint
        around = self.around
        return around.short_landing if self._content is None or self._halts else around.landing

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has landed."""
        self._input.feed(bytes(self.around.landing[:nbytes]))
        self._proceed()

    def pause_writing(self) -> None:
        """Wait with further replies: the client does not read them."""
        self._halts |= _BLOCKED

    def resume_writing(self) -> None:
        """Go on."""
        self._halts &= ~_BLOCKED
        self._deadline = math.inf
        self._proceed()

    def eof_received(self) -> bool:
        """Answer what was sent before the end; a TLS connection cannot be half-closed."""
        self._ended = True
        self._proceed()
        return self.tls is None

    # what a listener calls

    def drain(self) -> None:
        """Leave at once if the client has nothing under way; else after the message (RFC 5321 3.8)."""
        if not self._halts and self._content is None and not self.busy:
            self.hang_up(DRAINING)

    def abort(self) -> None:
        """Close now; what is being taken goes on without us."""
        self._halts |= _CLOSING
        with contextlib.suppress(AttributeError):  # Python 3.11.2: a TLS transport that was closed twice
            self._wire.abort()

    # what a session uses

    @property
    def over(self) -> bool:
        """True if one side has ended the connection."""
        return bool(self._halts & _OVER)

    @property
    def left(self) -> bool:
        """True if the client is no longer there."""
        return bool(self._halts & _GONE)

    @property
    def blocked(self) -> bool:
        """True while the client does not read what we say."""
        return bool(self._halts & _BLOCKED)

    def say(self, reply: Reply) -> None:
        """Give a reply; it goes out together with those of other pipelined commands (RFC 2920 3.2).

        Nothing is said behind a last word.
        """
        if not self._halts & _CLOSING:
            self._out += reply.wire

    def hang_up(self, reply: Reply | None = None) -> None:
        """Say a last word and close; where something is left to be sent, a client that does not listen is cut off."""
        if self._halts & _CLOSING:
            return
        if reply is not None:
            self.say(reply)
        self._halts |= _CLOSING
        self._content = self._then = None
        self._send()
        self._wire.close()
        if not self._halts & _GONE and (self.tls or self._wire.get_write_buffer_size()):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_later(LINGER_SECONDS, self._wire.abort)

    def receive(self, content: Content, then: Callable[[], None]) -> None:
        """Give what comes next to `content`, up to its end; the timeout counts from the last octet.

        A trickle is not enough: on the average, `SLOWEST` octets a second must come.
        """
        self._content, self._then = content, then
        self._begun = self.loop.time()

    def wait_for(self, work: Coroutine[object, object, None], *, taking: bool = False) -> None:
        """Do what takes time, and look at nothing else that the client sends before it is done.

        `taking`: it is the acceptance of a message, which a listener waits for.
        """
        self._halts |= _WORKING
        self._deadline = math.inf
        if taking:
            self.around.presence.take(self._work(work))
        else:
            self._task = self.loop.create_task(self._work(work))

    # inside

    async def _work(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the seam: one session's fault ends that session alone
            self.fail(error, out_of_step=False)
        except asyncio.CancelledError:  # by whoever ends the loop
            self.hang_up()
            raise
        self._halts &= ~_WORKING
        self._proceed()

    def _proceed(self) -> None:
        """Handle what lies here, until there is no more or something takes time; then say what is to be said."""
        turns = 0
        try:
            while not self._halts and self._input.octets and self._step():
                turns += 1
                if turns == COMMANDS_PER_TURN:
                    self._give_way()
                elif len(self._out) > PENDING_REPLIES:
                    self._send()
            self._send()
        except OSError as error:
            _LOG.debug("connection ended", client=self.address, error=type(error).__name__)
            self.hang_up()
        except Exception:  # noqa: BLE001 - the last seam: one session's fault ends that session alone
            _LOG.exception("fault in a connection", listener=self.around.listener.name, client=self.address)
            self.hang_up()
        if not self._halts:
            self._await_client()
        elif not self._halts & _OVER:
            self._hold_back()
        elif self._halts & _GONE:  # while something took time
            self.hang_up()
            self.start_over()

    def _step(self) -> bool:
        """Handle the next line, or all octets if they are content; returns False for a line that is not whole."""
        content = self._content
        if content is None:
            try:
                line = self._input.line()
            except OverlongLineError as error:
                self.overlong(error)
                return True
            if line is None:
                return False
            self._deadline = math.inf
            self.obey(line)
            return True
        try:
            rest = content.take(self._input.block())
        except Exception as error:  # noqa: BLE001 - of whatever kind: we are in the middle of a message
            self.fail(error, out_of_step=True)
            return True
        if rest is not None and (then := self._then) is not None:
            self._content = self._then = None
            self._deadline = math.inf
            self._input.unread(rest)
            try:
                then()
            except Exception as error:  # noqa: BLE001 - as for a command
                self.fail(error, out_of_step=False)
        return True

    def _send(self) -> None:
        out, self._out = self._out, b""
        if out:
            self._wire.write(out)

    def _await_client(self) -> None:
        """Wait for a line, which must be complete within the timeout however it drips in, or for more of a message."""
        content = self._content
        if content is None and self.around.presence.draining and not self.busy:
            self.hang_up(DRAINING)
            return
        if self._ended:
            self.hang_up()
            return
        if content is not None:
            patience = self.around.listener.command_timeout
            slowest = self._begun + 2 * patience + content.octets / SLOWEST
            self._deadline = min(self.loop.time() + patience, slowest)
        elif self._deadline == math.inf:
            self._deadline = self.loop.time() + self.around.listener.command_timeout
        if self._paused:
            self._resume()

    def _hold_back(self) -> None:
        """Slow down a client that sends ahead, and bound how long one that does not read is waited for."""
        if self._halts == _BLOCKED and self._deadline == math.inf:
            self._deadline = self.loop.time() + self.around.listener.command_timeout
        if len(self._input) > READ_AHEAD and not self._paused:
            self._paused = True
            self._wire.pause_reading()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._wire.resume_reading()

    def _give_way(self) -> None:
        """Let other sessions have their turn before the next command."""
        self._halts |= _OTHERS_TURN
        self.loop.call_soon(self._have_turn)

    def _have_turn(self) -> None:
        self._halts &= ~_OTHERS_TURN
        self._proceed()

    def _tick(self) -> None:
        """Look at the deadline; one timer per connection instead of one per block."""
        now = self.loop.time()
        if now < self._deadline:
            patience = self.around.listener.command_timeout
            self._timer = self.loop.call_at(min(self._deadline, now + patience), self._tick)
        elif self._halts & _BLOCKED:
            self.abort()  # it does not read what we say: no use to say more
        else:
            self.hang_up(TIMEOUT)

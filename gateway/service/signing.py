"""From a ruling that says "sign" to finished octets: footer, date, form, signature, and the look at our own work.

A message is signed whole or not at all. What somebody else signed or encrypted is not touched; where it is not 7-bit
safe itself, the form is chosen so that it need not be. Who may be signed as whom was decided before.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, ParamSpec, TypeVar

from gateway.core.decision import SignatureForm
from gateway.core.errors import ServiceError
from gateway.core.octets import PASSED, WINDOW
from gateway.core.reply import Reply
from gateway.mime.entity import parse
from gateway.mime.fields import read_header
from gateway.mime.footer import NoFooter, add_footer
from gateway.mime.transfer import CannotEncode, downgrade_header
from gateway.service.arrivals import has_eight_bit
from gateway.service.dating import dated
from gateway.service.selfcheck import SelfCheckError
from gateway.smime.classify import LEFT_ALONE
from gateway.smime.opaque import finish_opaque
from gateway.smime.sign import PROTECTED, Body, Left, NoBoundaryError, Prepared, content_digest, finish_clear, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from datetime import datetime

    from gateway.core.decision import Footer, Sign
    from gateway.core.envelope import Envelope
    from gateway.core.events import Fact
    from gateway.core.message import Message
    from gateway.core.octets import Builder
    from gateway.mime.entity import Entity
    from gateway.ports import Bodies, Clock, HopLimits, NextHops, SigningKey
    from gateway.service.arrivals import Opened
    from gateway.service.selfcheck import SelfCheck
    from gateway.smime.classify import Form

T = TypeVar("T")
P = ParamSpec("P")

NEEDS_UTF8: Final = Reply.of(
    550, "5.6.7", "Địa chỉ có dấu không chuyển tiếp được / a non-ASCII address cannot be relayed to this destination"
)


class Signed(NamedTuple):
    """A finished message that other eyes found good; `eight_bit` if it needs 8BITMIME all the way."""

    message: Message
    eight_bit: bool
    facts: dict[str, Fact]
    """How it was made, for the event."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The key, or who must look at our work, is busy or away: the raw message waits (`handover.md` row 17)."""

    reason: str
    """Stable code, then a blank and words for an administrator."""


@dataclass(frozen=True, slots=True)
class Faulty:
    """What we made does not verify: the raw message is held, and an alarm was raised."""

    code: str


class _Formed(NamedTuple):
    """A message taken apart, and the form it will have."""

    prepared: Prepared
    form: SignatureForm
    because: str
    """Why it is not the form, or not 7-bit, as asked for; "" where it is."""


class KeyAwayError(ServiceError):
    """The key is busy or away."""


Outcome = Signed | Left | Waiting | Faulty | Reply


async def sealed(
    prepared: Prepared,
    key: SigningKey,
    *,
    form: SignatureForm,
    claimed_signing_time: datetime | None,
    new_token: Callable[[], str],
    new_builder: Callable[[], Builder],
) -> Message:
    """Return the finished message around the key's signature; nobody has looked at it yet.

    Raises `KeyAwayError` when the key is busy or away, and `NoBoundaryError`.
    """
    template, octets = key.template, len(prepared.entity)
    digest = await _apart(octets, PASSED, content_digest, prepared, template.digest)
    to_be_signed = template.to_be_signed(digest, claimed_signing_time, identifier=new_token().encode("ascii"))
    try:
        signature = await key.sign(to_be_signed)
    except ServiceError as error:
        raise KeyAwayError(str(error)) from error

    if form is SignatureForm.OPAQUE:
        return await _apart(
            octets,
            WINDOW,
            finish_opaque,
            prepared,
            template=template,
            to_be_signed=to_be_signed,
            signature=signature,
            new_builder=new_builder,
        )
    cms = template.finish(to_be_signed, signature)
    return await _apart(octets, PASSED, finish_clear, prepared, cms=cms, micalg=template.micalg, new_token=new_token)


async def _apart(octets: int, most: int, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Do what takes long, with more than `most` octets, in a thread, so that it does not stop other sessions."""
    return await asyncio.to_thread(work, *args, **named) if octets > most else work(*args, **named)


class Signer:
    """Makes finished messages; knows next hops only by what they take."""

    def __init__(
        self,
        *,
        hostname: str,
        hops: NextHops,
        bodies: Bodies,
        clock: Clock,
        check: SelfCheck,
        new_token: Callable[[], str],
    ) -> None:
        """Keep what every message needs; `new_token` returns fresh random ASCII."""
        self._hostname = hostname
        self._hops = hops
        self._bodies = bodies
        self._clock = clock
        self._check = check
        self._new_token = new_token

    async def sign(
        self, opened: Opened, decision: Sign, key: SigningKey, envelope: Envelope, hops: Sequence[str]
    ) -> Outcome:
        """Return the message signed as the decision says, for recipients behind these next hops, or why it is not."""
        if opened.form in LEFT_ALONE:
            return Left(f"already_{opened.form}")
        message = opened.message
        if has_eight_bit(opened.header) and not (envelope.smtputf8 and await self._all_take(hops, _takes_utf8)):
            ascii_header = downgrade_header(message, opened.header)
            if ascii_header is None:
                return NEEDS_UTF8
            message = ascii_header
        now = self._clock.now()
        header = opened.header if message is opened.message else read_header(message)
        date = dated(message, header, now, decision.date_gap)
        if isinstance(date, Reply):
            return date
        message, footer = date.message, ""
        if decision.footer is not None:
            message, footer = await self._with_footer(message, decision.footer)
        known = (opened.entity, opened.form) if message is opened.message else None
        prepared = await self._prepared(message, known, opened.trace, now, decision, hops)
        if isinstance(prepared, Left):
            return prepared
        facts: dict[str, Fact] = {
            "form": str(prepared.form),
            "encoding": str(prepared.prepared.body),
            "because": prepared.because,
            "signing_time": date.claimed_signing_time is not None,
            "date": date.gap,
            "footer": footer,
            "headers_protected": prepared.prepared.protected,
        }
        return await self._finished(prepared, key, date.claimed_signing_time, facts)

    def _new_message_id(self) -> str:
        return f"<{self._new_token()}@{self._hostname}>"

    async def _all_take(self, hops: Sequence[str], takes: Callable[[HopLimits], bool]) -> bool:
        """True if every hop on the way offers it; one that cannot be asked does not."""
        for each in hops:
            limits = await self._hops.by_name(each).known_limits()
            if limits is None or not takes(limits):
                return False
        return True

    async def _with_footer(self, message: Message, footer: Footer) -> tuple[Message, str]:
        """Return the message with its footer, where its structure takes one, and what came of it."""

        def add() -> Message | NoFooter:
            return add_footer(message, parse(message), footer, new_builder=self._bodies.builder)

        found = await _apart(len(message), WINDOW, add)
        return (message, found.value) if isinstance(found, NoFooter) else (found, "added")

    async def _prepared(
        self,
        message: Message,
        known: tuple[Entity, Form] | None,
        trace: bytes,
        now: datetime,
        decision: Sign,
        hops: Sequence[str],
    ) -> _Formed | Left:
        """Return the message taken apart, in the form the decision asks for if its octets survive in that.

        Where somebody else signed octets above 127, encoding would break their signature: clear, and 8-bit, if every
        next hop takes that, else opaque.
        """

        def attempt(body: Body) -> Coroutine[None, None, Prepared | Left]:
            return _apart(
                len(message),
                WINDOW,
                prepare,
                message,
                now=now,
                new_message_id=self._new_message_id,
                new_builder=self._bodies.builder,
                body=body,
                protect=PROTECTED if decision.protect_headers else (),
                known=known,
                above=trace,
            )

        try:
            found = await attempt(Body.SEVEN_BIT)
            return found if isinstance(found, Left) else _Formed(found, decision.form, "")
        except CannotEncode as error:
            because = error.reason
        if decision.form is SignatureForm.CLEAR and await self._all_take(hops, _takes_eight_bit):
            with contextlib.suppress(CannotEncode):
                found = await attempt(Body.EIGHT_BIT)
                return found if isinstance(found, Left) else _Formed(found, SignatureForm.CLEAR, because)
        found = await attempt(Body.BINARY)
        return found if isinstance(found, Left) else _Formed(found, SignatureForm.OPAQUE, because)

    async def _finished(
        self, formed: _Formed, key: SigningKey, claimed_signing_time: datetime | None, facts: dict[str, Fact]
    ) -> Outcome:
        """Sign, look, and let go only of what was found good."""
        try:
            finished = await sealed(
                formed.prepared,
                key,
                form=formed.form,
                claimed_signing_time=claimed_signing_time,
                new_token=self._new_token,
                new_builder=self._bodies.builder,
            )
        except KeyAwayError as error:
            return Waiting(f"key_away {key.label}: {error}")
        except NoBoundaryError:
            return Faulty("no_boundary")
        try:
            heard = await self._check.pass_or_raise(finished, key, formed.form)
        except SelfCheckError as error:
            return Faulty(error.code)
        except ServiceError as error:
            return Waiting(f"second_opinion_away {error}")
        eight_bit = formed.form is SignatureForm.CLEAR and formed.prepared.body is not Body.SEVEN_BIT
        return Signed(finished, eight_bit, {**facts, "octets": len(finished), "second_opinion": heard})


def _takes_utf8(limits: HopLimits) -> bool:
    return limits.smtputf8


def _takes_eight_bit(limits: HopLimits) -> bool:
    return limits.eight_bit

"""One attempt at one next hop, step by step: what fits through, who is accepted, what the dot was answered.

Both halves of the journey use the same steps, so that a retry cannot differ from a hand-over. A dot that may have gone
out is never forgotten: whatever goes wrong after it is "unanswered", not "not sent" (`handover.md` I3).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from gateway.core.address import Mailbox
from gateway.core.errors import InputError
from gateway.core.reply import Reply
from gateway.delivery.scope import of_the_site
from gateway.delivery.settle import Attempt, accepted
from gateway.mime.fields import read_header
from gateway.ports import HopError, HopTrouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core.envelope import Envelope
    from gateway.core.message import Message
    from gateway.core.queue import Consignment
    from gateway.delivery.patience import Patience
    from gateway.ports import HopLimits, NextHop, Transaction

_NEEDS_UTF8: Final = Reply.of(
    553, "5.6.7", "Máy chủ kế tiếp không nhận địa chỉ hoặc tiêu đề có dấu / the next server takes no SMTPUTF8 mail"
)
_NEEDS_8BIT: Final = Reply.of(
    554, "5.6.3", "Máy chủ kế tiếp không nhận thư 8-bit / the next server takes no 8-bit content"
)


def fit(envelope: Envelope, message: Message, limits: HopLimits) -> Envelope | Reply:
    """Return the envelope as this hop can carry it, or why the message cannot travel there (row 19)."""
    size = len(message)
    if limits.size and size > limits.size:
        return Reply.of(
            552,
            "5.3.4",
            f"Thư sau khi xử lý có {size} byte, máy chủ kế tiếp chỉ nhận {limits.size} byte"
            f" / the finished message has {size} octets, the next server takes {limits.size}",
        )
    if envelope.smtputf8 and not limits.smtputf8:
        if _is_international(envelope, message):
            return _NEEDS_UTF8
        envelope = replace(envelope, smtputf8=False)
    if envelope.eight_bit and not limits.eight_bit:
        if not all(window.isascii() for window in message.windows()):
            return _NEEDS_8BIT
        envelope = replace(envelope, eight_bit=False)
    return envelope


def _is_international(envelope: Envelope, message: Message) -> bool:
    """True if an address or the header needs SMTPUTF8 (RFC 6531 3.4); what cannot be read does."""
    sender = envelope.reverse_path
    if isinstance(sender, Mailbox) and not sender.ascii:
        return True
    if not all(each.mailbox.ascii for each in envelope.recipients):
        return True
    try:
        return not all(field.raw.isascii() for field in read_header(message).fields)
    except InputError:
        return True


class Passage:
    """A message on its way through one transaction; `ask` first, then `send`, or `abandon` at any time."""

    def __init__(self, hop: NextHop, consignment: Consignment, indexes: Sequence[int]) -> None:
        """Plan an attempt for some of a consignment's recipients."""
        self._hop = hop
        self._client = consignment.origin
        self._message = consignment.message
        self._indexes = tuple(indexes)
        everybody = len(self._indexes) == len(consignment.envelope.recipients)
        self._envelope = consignment.envelope if everybody else consignment.envelope.only(self._indexes)
        self._transaction: Transaction | None = None
        self._remote = hop.name
        self.replies: dict[int, Reply] = {}
        """What was decided so far, by index in the consignment's envelope; RCPT's acceptance decides nothing."""
        self.accepted: tuple[int, ...] = ()
        """Indexes that the hop accepted at RCPT."""
        self.reports_success = False
        """The hop offers DSN."""

    async def ask(self, patience: Patience) -> None:
        """Offer the envelope; raises `HopError(SITE)`. Nothing is open afterwards if nobody was accepted."""
        try:
            with patience:
                transaction = self._transaction = await self._hop.begin(self._client)
                limits = transaction.limits
                self.reports_success = limits.dsn
                fitting = fit(self._envelope, self._message, limits)
                if isinstance(fitting, Reply):
                    self.replies = dict.fromkeys(self._indexes, fitting)
                    self._remote = ""
                else:
                    self._answered_rcpt(await transaction.envelope(fitting, size=len(self._message)))
        except TimeoutError:
            await self.abandon()
            raise HopError(HopTrouble.SITE, "no answer in time") from None
        except BaseException:
            await self.abandon()
            raise
        if not self.accepted:
            await self.abandon()

    def _answered_rcpt(self, replies: tuple[Reply, ...]) -> None:
        """Note who was accepted; raises `HopError(SITE)`."""
        site = of_the_site(replies)
        if site is not None or len(replies) != len(self._indexes):
            raise HopError(HopTrouble.SITE, f"not a usable next hop: {site or 'wrong number of replies'}")
        self.replies = {index: each for index, each in zip(self._indexes, replies, strict=True) if not accepted(each)}
        self.accepted = tuple([index for index in self._indexes if index not in self.replies])

    async def send(self, patience: Patience) -> Attempt | None:
        """Send the content to those accepted, and return what the attempt came to.

        None if patience ended between the dot and its answer: call again to wait on, or `give_up`. If it ended before
        the dot, the connection was closed without one. Raises what is a bug of ours, if it came before the dot.
        """
        transaction = self._transaction
        if transaction is None:
            raise RuntimeError("nobody was asked")
        trouble: str | None = None
        replies: tuple[Reply, ...] | None = ()
        try:
            with patience.or_pause(transaction.pause):
                replies = await transaction.content(self._message)
        except TimeoutError:
            if transaction.dot_sent:  # it went out in this very moment
                return None
            transaction.give_up()
            trouble = "no answer in time"
        except HopError as error:
            if error.trouble is HopTrouble.LOST_AFTER_DOT:
                return self._answered(error.replies, error.detail, dot=True)
            trouble, replies = error.detail, error.replies
        except Exception:
            if not transaction.dot_sent:
                raise
            structlog.get_logger("gateway.passage").exception("fault after the dot", hop=self._hop.name)
            trouble = "fault after the dot"
        if replies is None:
            return None
        if not transaction.dot_sent and (site := of_the_site(replies)) is not None:
            return self._attempt({}, f"not a usable next hop: {site}")
        return self._answered(replies, trouble, dot=transaction.dot_sent)

    def give_up(self) -> Attempt:
        """Close the connection without waiting for the dot's answer, and return what the attempt came to."""
        transaction = self._transaction
        if transaction is None:
            raise RuntimeError("nothing was sent")
        replies = transaction.give_up()
        return self._answered(replies, "no answer in time", dot=transaction.dot_sent)

    async def abandon(self) -> None:
        """Close, without a dot if there was none yet; never raises."""
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            return
        if transaction.dot_sent:
            transaction.give_up()
        else:
            await transaction.abandon()

    @property
    def dot_sent(self) -> bool:
        """True once the end of data may have gone out."""
        return self._transaction is not None and self._transaction.dot_sent

    def refused(self) -> Attempt:
        """Return what the attempt came to when nobody was accepted."""
        return self._attempt({})

    def _answered(self, replies: tuple[Reply, ...], trouble: str | None, *, dot: bool) -> Attempt:
        answers = dict(zip(self.accepted, replies, strict=False))
        left = frozenset(self.accepted) - answers.keys() if dot else frozenset()
        return self._attempt(answers, trouble or ("replies are missing" if left else None), left)

    def _attempt(
        self, answers: dict[int, Reply], trouble: str | None = None, unanswered: frozenset[int] = frozenset()
    ) -> Attempt:
        return Attempt(
            self.replies | answers,
            trouble,
            unanswered,
            self.reports_success,
            self._remote,
            final=self._hop.per_recipient,
        )

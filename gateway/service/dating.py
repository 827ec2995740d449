"""Date against the time of signing: clients call a valid signature "broken" where the two are an hour apart.

Up to 50 minutes both stand; beyond, the policy says which one gives way (`core.decision.DateGap`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

from gateway.core.decision import DateGap
from gateway.core.message import Edit
from gateway.core.reply import Reply
from gateway.mime.dates import date_of, date_time

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.core.message import Message
    from gateway.mime.fields import Header

MAX_GAP: Final = timedelta(minutes=50)
"""Thunderbird allows an hour; the rest is for the way and for clocks."""
_REFUSED: Final = Reply.of(
    550,
    "5.7.1",
    "Ngày giờ của thư (Date) lệch giờ ký quá 50 phút hoặc không đọc được"
    " / Date is more than 50 minutes from the time of signing, or cannot be read",
)


class Dated(NamedTuple):
    """A message whose Date and signing time do not contradict each other."""

    message: Message
    claimed_signing_time: datetime | None
    """None where it is left out of the signature."""
    gap: str
    """Stable code of what was found and done, "" where nothing had to be."""


def dated(message: Message, header: Header, now: datetime, rule: DateGap) -> Dated | Reply:
    """Return the message as it can be signed now (aware), or the refusal.

    A missing Date is filled in later, with the time of signing. One that cannot be read, or that stands there more than
    once, counts as far away: every client reads something else into it.
    """
    fields = header.all("date")
    if not fields:
        return Dated(message, now, "")
    date = date_of(header)
    if date is not None and abs(now - date) <= MAX_GAP:
        return Dated(message, now, "")
    found = "date_unreadable" if date is None else "date_far"
    match rule:
        case DateGap.OMIT_SIGNING_TIME:
            return Dated(message, None, f"{found} signing_time_omitted")
        case DateGap.REPLACE_DATE:
            new = f"Date: {date_time(now)}\r\n".encode()
            edits = [Edit(each.start, each.start, b"X-Original-") for each in fields]
            edits.insert(0, Edit(fields[0].start, fields[0].start, new))
            return Dated(message.splice(edits), now, f"{found} date_replaced")
        case DateGap.REFUSE:
            return _REFUSED
    assert_never(rule)

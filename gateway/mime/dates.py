"""Dates in header fields: read as far as anybody can, written as RFC 5322 3.3 wants them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from gateway.core.remembered import remembered

if TYPE_CHECKING:
    from gateway.mime.fields import Header

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MAX_DATE: Final = 128
"""Octets of a date, comments included."""


def date_time(moment: datetime) -> str:
    """Return an aware moment as RFC 5322 3.3 writes it, in UTC."""
    utc = moment.astimezone(UTC)
    return f"{_DAYS[utc.weekday()]}, {utc.day} {_MONTHS[utc.month - 1]} {utc:%Y %H:%M:%S} +0000"


def date_of(header: Header) -> datetime | None:
    """Return the moment (aware) of the single Date field; None where there are several, or it cannot be read.

    The zone "-0000" says that nobody knows the zone; the time is UTC nevertheless (RFC 5322 3.3). Without any zone the
    time is another one for each reader.
    """
    fields = header.all("date")
    return _moment(fields[0].value) if len(fields) == 1 else None


@remembered(64, octets=_MAX_DATE)  # what is written in one second has one Date
def _moment(value: bytes) -> datetime | None:
    if len(value) > _MAX_DATE:
        return None
    try:
        moment = parsedate_to_datetime(value.decode("ascii"))
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC) if b"-0000" in value else None
        return moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):  # the library's answers to what is no date
        return None

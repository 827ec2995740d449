"""Dates in headers: read as far as anybody can, in one way only; written as RFC 5322 wants them."""

from __future__ import annotations

import datetime as dt

import pytest

from gateway.core.message import Message
from gateway.mime.dates import date_of, date_time
from gateway.mime.fields import read_header


def found(*values: bytes) -> dt.datetime | None:
    octets = b"".join(b"Date: " + each + b"\r\n" for each in values)
    return date_of(read_header(Message.of(octets + b"\r\n")))


@pytest.mark.parametrize(
    "value",
    [
        b"Tue, 24 Nov 2026 08:30:00 +0700",
        b"24 Nov 2026 08:30 +0700",
        b"Tue, 24 Nov 26 01:30:00 GMT",
        b"Tue, 24 Nov 2026 01:30:00 -0000",
        b"Tue,\r\n 24 Nov 2026\r\n\t08:30:00 +0700 (ICT)",
    ],
)
def test_dates_that_clients_write(value: bytes) -> None:
    """Folded, with comments, obsolete years and zones."""
    assert found(value) == dt.datetime(2026, 11, 24, 1, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"yesterday",
        b"Tue, 24 Nov 2026 01:30:00",
        b"Tue, 32 Nov 2026 08:30:00 +0700",
        b"Tue, 24 Nov 2026 25:30:00 +0700",
        b"Tue, 24 Nov 99999999 08:30:00 +0700",
        b"Fri, 31 Dec 9999 23:59:00 -2359",
        b"Tue, 24 Nov 2026 08:30:00 +99999999999",
        "thứ ba".encode(),
        b"Tue, 24 Nov 2026 08:30:00 +0700" + b" (" * 60,
    ],
)
def test_what_is_no_date(value: bytes) -> None:
    """Nothing that a stranger writes there raises, and nothing is guessed."""
    assert found(value) is None


def test_two_dates_are_none() -> None:
    """Each reader takes another one."""
    assert found(b"Tue, 24 Nov 2026 08:30:00 +0700", b"Tue, 24 Nov 2026 08:30:00 +0700") is None
    assert found() is None


def test_date_time_is_independent_of_locale_and_zone() -> None:
    """RFC 5322 3.3 in UTC, whatever zone the moment is given in."""
    zone = dt.timezone(dt.timedelta(hours=7))
    assert date_time(dt.datetime(2026, 3, 1, 2, 0, 5, tzinfo=zone)) == "Sat, 28 Feb 2026 19:00:05 +0000"

"""What is sent: every message differs from every other one, in this run and in those before it on the same target."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from bench import corpus
from gateway.demo.authority import shared_key
from support.gateway_process import NEIGHBOR, OURS, authority, credentials
from support.letters import LAN, signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.demo.authority import Credential

BODY: Final = "Kinh gui quy co quan, noi dung nhu da trao doi.\r\n"
SIGNERS: Final = 4
"""Offices whose mail comes in again and again."""
SIGNATURE: Final = 5_000
"""Octets that a signature adds to a message, about."""
_NUMBER: Final = itertools.count(1)


def date() -> str:
    """Return the present as a Date field has it."""
    return time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())


def letter(octets: int, *, author: str = LAN, to: str = f"van-thu@{OURS}") -> bytes:
    """Return a new plain letter of about so many octets."""
    number = next(_NUMBER)
    head = (
        f"From: VP <{author}>\r\nTo: <{to}>\r\nSubject: Giay moi so {number}\r\nDate: {date()}\r\n"
        f"Message-ID: <{number}.{time.time_ns()}@may.example>\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=us-ascii\r\n\r\nSo {number}.\r\n"
    )
    return (head + BODY * max((octets - len(head)) // len(BODY), 1)).encode()


class Plain:
    """Letters of our author, unsigned."""

    def __init__(self, octets: int, author: str = LAN) -> None:
        self._octets, self._author = octets, author

    def __call__(self, count: int) -> Sequence[bytes]:
        return [letter(self._octets, author=self._author, to="dan@ngoai.example") for _ in range(count)]


class Known:
    """Signed letters of a few offices that write often."""

    def __init__(self, octets: int) -> None:
        self._octets = octets

    def __call__(self, count: int) -> Sequence[bytes]:
        offices = itertools.cycle(known())
        return [_signed(self._octets, *next(offices)) for _ in range(count)]


class Strangers:
    """Signed letters, each with a certificate that nobody has seen before, of somebody nobody has heard of."""

    def __init__(self, octets: int) -> None:
        self._octets = octets

    def __call__(self, count: int) -> Sequence[bytes]:
        return [_signed(self._octets, *stranger()) for _ in range(count)]


def offices(count: int) -> Sequence[bytes]:
    """Return letters as an office sends them, 95 KB on average."""
    return corpus.letters(count, date=date())


def with_document(octets: int, count: int) -> Sequence[bytes]:
    """Return letters of about so many octets, nearly all of them a document in base64."""
    return corpus.with_document(count, octets, date=date())


def large(count: int) -> Sequence[bytes]:
    """Return letters of 15 to 24 MB, ten different ones at most: they fill the memory of who sends them."""
    return corpus.large(min(count, 10), date=date())


@lru_cache(maxsize=1)
def known() -> tuple[tuple[str, Credential], ...]:
    """Return the offices that write often."""
    others = (f"phong{number}@thanhha.example" for number in range(1, SIGNERS))
    found = {each: authority().issue("PHÒNG", each, key=shared_key("rsa2048", 500)) for each in others}
    return ((NEIGHBOR, credentials()[NEIGHBOR]), *found.items())


def stranger() -> tuple[str, Credential]:
    """Return a mailbox with a new certificate."""
    mailbox = f"nguoi{next(_NUMBER)}@thanhha.example"
    return mailbox, authority().issue("NGƯỜI LẠ", mailbox, key=shared_key("rsa2048", 501))


def _signed(octets: int, mailbox: str, credential: Credential) -> bytes:
    return signed(letter(octets - SIGNATURE, author=mailbox), credential, at=dt.datetime.now(dt.UTC))

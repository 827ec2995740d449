"""Seals on their way: a real Postfix and a real Dovecot carry them to the mailbox unbroken."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gateway.core.address import Mailbox
from gateway.core.boundary import BoundaryResults
from gateway.core.message import Message
from gateway.core.verdict import Note
from gateway.mime.fields import read_header
from gateway.tagging import strip, tag
from gateway.tagging.seal import Sealing, SealKeys, SealState, check
from support.letters import PLAIN, judged, lan, signed
from support.postfix import postfix
from support.swaks import swaks

if TYPE_CHECKING:
    from support.dovecot import Dovecot

NOW = dt.datetime(2026, 11, 24, 1, 30, tzinfo=dt.UTC)
KEYS = SealKeys((("k1", b"s" * 32),))
OURS = "mail.songlam.example"
DOMAIN = "niem.example"
EIGHT_BIT = (
    "From: Lan <lan@ngoai.example>\r\nSubject: Họp giao ban tuần này về việc rất dài\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    ".\r\n..\r\nKính gửi \r\nFrom nobody\r\n" + "đ" * 400 + "\r\n\r\n\r\n"
).encode()


def with_marks(message: bytes, *recipients: Mailbox) -> bytes:
    """Return the message as the gateway hands it over."""
    noted = replace(judged(message), notes=(Note("first_contact"),))
    return tag(
        strip(Message.of(message), authserv_id=OURS),
        noted,
        agency="Sở Y tế",
        authserv_id=OURS,
        subject="on",
        received_at=NOW,
        boundary=BoundaryResults("pass", "pass", "pass"),
        seal=Sealing(KEYS, recipients, NOW, OURS),
    ).octets()


@pytest.mark.parametrize(("name", "message"), [("ky", signed(PLAIN, lan())), ("tam", EIGHT_BIT)])
def test_a_seal_reaches_the_mailbox(mail_store: Dovecot, name: str, message: bytes) -> None:
    """What Postfix and Dovecot add stands above: the seal is good in the mailbox, and for its own recipients only."""
    to, copy = Mailbox(name, DOMAIN), Mailbox(f"{name}-bcc", DOMAIN)
    octets = with_marks(message, to, copy)
    with postfix({DOMAIN: f"lmtp:inet:127.0.0.1:{mail_store.lmtp_port}"}) as mta:
        assert swaks(mta.port, "lan@ngoai.example", [str(to), str(copy)], octets).accepted
        stored = {each: Message.of(mail_store.fetch(str(each))) for each in (to, copy)}
    for each, found in stored.items():
        assert len(found) > len(octets)
        assert read_header(found).fields[0].key == "return-path"
        assert check(found, each, KEYS) is SealState.GOOD
        assert check(found, Mailbox("ai", DOMAIN), KEYS) is SealState.WRONG_RECIPIENT
        assert str(copy).encode() not in stored[to].octets()
        forged = Message.of(found.octets().replace(b"X-Gateway-Verdict: ", b"X-Gateway-Verdict: verified; ", 1))
        assert check(forged, each, KEYS) is SealState.BAD

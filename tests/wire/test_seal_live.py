"""Seals on their way: a real Postfix and a real Dovecot carry them to the mailbox unbroken."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.core.address import Mailbox
from gateway.core.boundary import BoundaryResults
from gateway.core.message import Message
from gateway.core.verdict import Note
from gateway.mime.fields import decode_text, read_header
from gateway.tagging import strip, tag
from gateway.tagging.seal import Sealing, SealKeys, SealState, check
from support.gateway_process import OURS as OUR_DOMAIN
from support.gateway_process import Gateway, build_house, gateway
from support.letters import PLAIN, judged, lan, signed
from support.peers import short_directory
from support.postfix import postfix
from support.swaks import swaks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.dovecot import Dovecot

GATEWAY = Path(sys.executable).with_name("gateway")
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


@pytest.fixture(scope="module")
def gate(mail_store: Dovecot) -> Iterator[Gateway]:
    """A gateway that seals, behind a server that it believes about SPF, DKIM and DMARC."""
    with short_directory("gs-") as directory:
        (directory / "seal.key").touch(mode=0o600)
        (directory / "seal.key").write_bytes(b"s" * 32)
        house = build_house(
            directory,
            hops=[{"name": "kho", "protocol": "lmtp", "addresses": [f"127.0.0.1:{mail_store.lmtp_port}"]}],
            local_domains=[{"domain": OUR_DOMAIN, "hop": "kho", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "kho"}],
            tags={"authserv_id": OURS, "seals": [{"id": "k1", "key": f"file:{directory}/seal.key"}]},
            verify={"boundary": {"authserv_id": "mx.cuanho.example", "clients": ["127.0.0.1/32"]}},
        )
        with gateway(house) as running:
            yield running


def test_what_the_gateway_delivers_is_sealed(gate: Gateway, mail_store: Dovecot, tmp_path: Path) -> None:
    """In the mailbox the command finds the seal good for its recipient; forged marks and seals did not survive."""
    to = Mailbox("niem-that", OUR_DOMAIN)
    forged = with_marks(EIGHT_BIT, to).partition(b"From:")[0]
    boundary = b"Authentication-Results: mx.cuanho.example; spf=pass smtp.mailfrom=a@b.example; dmarc=fail\r\n"
    assert swaks(gate.house.port("inbound"), "a@b.example", str(to), boundary + forged + signed(PLAIN, lan())).accepted
    octets = mail_store.fetch(str(to))
    fields = read_header(Message.of(octets))
    assert [each.value.partition(b" ")[0] for each in fields.all("x-gateway-boundary")] == [b"spf=pass;"]
    for name in ("x-gateway-seal", "x-gateway-verdict", "x-verified-sender", "subject"):
        assert len(fields.all(name)) == 1
    assert decode_text(fields.all("x-gateway-verdict")[0].value).startswith("verified; ")
    file = tmp_path / "thu.eml"
    file.write_bytes(octets)

    def checked(recipient: str) -> int:
        command = (GATEWAY, "seal", "check", str(file), "--recipient", recipient, "--config", str(gate.house.config))
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode

    assert checked(str(to)) == 0
    assert checked(f"ai-khac@{OUR_DOMAIN}") == 1
    file.write_bytes(octets.replace(b"Subject:", b"Subject: X\r\nSubject:", 1))
    assert checked(str(to)) == 1

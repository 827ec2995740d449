"""The other forms on the real way: gateway -> Postfix -> Dovecot -> IMAP, judged by OpenSSL on what arrived."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from gateway.core.message import Message
from gateway.mime.fields import read_header
from support.gateway_process import COMMAND, LOGIN, OURS, build_house, gateway, root_pem
from support.letters import HEAD, LAN, PLAIN, clear, lan, mail, multipart, text_part
from support.peers import free_port, short_directory
from support.postfix import postfix
from support.splitter import split
from support.swaks import swaks
from support.verifiers import openssl_verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.dovecot import Dovecot
    from support.gateway_process import Gateway

OUTSIDE: Final = "hopthu.example"
POLICY: Final = f"""\
defaults: {{key: personal, if_unable: refuse}}
rules:
  - name: opaque
    direction: outbound
    when: {{recipient: "dong@{OUTSIDE}"}}
    then: {{sign: {{form: opaque}}}}
  - name: copies
    direction: outbound
    when: {{recipient: "sao@{OUTSIDE}"}}
    then: {{sign: {{protect_headers: true}}}}
  - name: fields
    direction: outbound
    when: {{recipient: "them@{OUTSIDE}"}}
    then: {{sign: {{add_header: {{X-Office: Sở Y tế}}}}}}
  - {{name: others, direction: outbound, then: sign}}
"""
FOREIGN: Final = clear("Content-Type: text/plain; charset=utf-8\r\n\r\nTiếng Việt\r\n".encode(), lan())


class Way(NamedTuple):
    """What runs."""

    mail: Dovecot
    gate: Gateway

    def carried(self, user: str, letter: bytes) -> bytes:
        """Send a letter as the clerk's mail client, and return what arrived."""
        house = self.gate.house
        to = f"{user}@{OUTSIDE}"
        sent = swaks(house.port("submission"), LAN, to, letter, login=LOGIN, trusted=house.server_pem)
        assert sent.accepted, sent.transcript
        return self.mail.fetch(to)


@pytest.fixture(scope="module")
def way(mail_store: Dovecot) -> Iterator[Way]:
    """A gateway with rules for each form, a Postfix behind it."""
    with ExitStack() as stack:
        directory = stack.enter_context(short_directory("gw-"))
        relay = free_port()
        house = build_house(
            directory,
            hops=[{"name": "ngoai", "protocol": "smtp", "addresses": [f"127.0.0.1:{relay}"], "tls": "none"}],
            local_domains=[{"domain": OURS, "hop": "ngoai", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "ngoai"}],
            policy=POLICY,
        )
        stack.enter_context(postfix({OUTSIDE: f"lmtp:inet:127.0.0.1:{mail_store.lmtp_port}"}, port=relay))
        yield Way(mail_store, stack.enter_context(gateway(house)))


def test_the_opaque_form_arrives_whole(way: Way, tmp_path: Path) -> None:
    """OpenSSL finds the CMS in what IMAP gives out, and the content in it is the letter's."""
    received = way.carried("dong", PLAIN)
    assert b"smime-type=signed-data" in received
    (tmp_path / "mail").write_bytes(received)
    (tmp_path / "root").write_bytes(root_pem())
    done = subprocess.run(
        [
            *("openssl", "cms", "-verify", "-binary", "-inform", "SMIME", "-in", str(tmp_path / "mail")),
            *("-CAfile", str(tmp_path / "root"), "-purpose", "smimesign", "-out", str(tmp_path / "out")),
        ],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_bytes().startswith(b"Content-Type: text/plain; charset=utf-8\r\n")
    (event,) = way.gate.events("signed")[-1:]
    assert (event["form"], event["second_opinion"]) == ("opaque", True)


def test_a_foreign_eight_bit_signature_arrives_whole(way: Way, tmp_path: Path) -> None:
    """Postfix has 8BITMIME: clear, 8-bit, and both signatures are good when they arrive."""
    inner = b"Content-Type: message/rfc822\r\n\r\n" + FOREIGN
    received = way.carried("tam", mail(multipart("mixed", text_part("Xin chuyen."), inner)))
    part, cms = split(received)
    assert openssl_verify(part, cms, root_pem(), tmp_path)
    assert FOREIGN in part
    (event,) = way.gate.events("signed")[-1:]
    assert (event["form"], event["encoding"]) == ("clear", "8bit")
    assert event["because"] == "signed_part_not_seven_bit"


def test_copies_of_the_header_arrive_equal(way: Way, tmp_path: Path) -> None:
    """What stands outside after the way is what was signed inside."""
    received = way.carried("sao", PLAIN)
    part, cms = split(received)
    assert openssl_verify(part, cms, root_pem(), tmp_path)
    outer, inner = read_header(Message.of(received)), read_header(Message.of(part))
    for field in read_header(Message.of(HEAD + b"\r\n")).fields:
        assert [each.value for each in outer.all(field.name)] == [each.value for each in inner.all(field.name)]
    assert b'hp="clear"' in part


def test_a_field_of_the_rule_arrives_outside(way: Way, tmp_path: Path) -> None:
    """Added last, above what was signed."""
    received = way.carried("them", PLAIN)
    part, cms = split(received)
    assert openssl_verify(part, cms, root_pem(), tmp_path)
    assert b"\r\nX-Office: =?utf-8?B?U+G7nyBZIHThur8=?=\r\n" in received
    assert b"X-Office" not in part


def test_without_openssl_the_gateway_does_not_start(way: Way) -> None:
    """An administrator is told at the start what is missing, not when the first mail must leave."""
    done = subprocess.run(
        [COMMAND, "run", "--config", str(way.gate.house.config), "--check"],
        capture_output=True,
        check=False,
        timeout=60,
        env={"PATH": "/nonexistent"},
    )
    assert done.returncode == 2, done.stderr
    assert b"openssl: not found" in done.stderr + done.stdout

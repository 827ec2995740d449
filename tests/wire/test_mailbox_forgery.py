"""`gateway selftest forgery` against a whole installation: gateway, Postfix, Dovecot, and the watch of mailboxes."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.core.address import Mailbox
from gateway.core.message import Message
from gateway.mailbox.finding import sealed_verdict
from gateway.mailbox.keywords import INVALID, VERIFIED, keywords_of
from gateway.tagging.seal import SealKeys, SealState, check
from support.dovecot import PASSWORD
from support.gateway_process import COMMAND, HOSTNAME, LOGIN, NEIGHBOR, build_house, credentials, gateway
from support.gateway_process import OURS as DOMAIN
from support.letters import HEAD, LAN, clear_entity, mail
from support.mailroom import MASTER, MASTER_PASSWORD, SHIPPED, flags_of, mailroom, session
from support.peers import child, short_directory, wait_for
from support.postfix import postfix
from support.swaks import swaks
from support.verifiers import openssl_sign
from support.watching import SEAL_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from support.dovecot import Dovecot
    from support.gateway_process import Gateway, House

KEYS: Final = SealKeys((("k1", SEAL_SECRET),))
POLICY: Final = """\
rules:
  - {name: out, direction: outbound, then: {sign: {key: personal_else_organization, if_unable: refuse}}}
  - {name: in, direction: inbound, then: deliver}
"""


@contextmanager
def installation(room: Dovecot, **more: Any) -> Iterator[Gateway]:
    """Run a gateway in front of the mail store."""
    with short_directory("gi-") as directory:
        for name, secret in (("master", MASTER_PASSWORD), ("seal", SEAL_SECRET.decode())):
            (directory / name).touch(mode=0o600)
            (directory / name).write_text(secret)
        for name, secret in (("owner", PASSWORD), ("login", LOGIN[1])):
            (directory / name).touch(mode=0o600)
            (directory / name).write_text(secret + "\n")
        house = build_house(
            directory,
            hops=[{"name": "kho", "protocol": "lmtp", "addresses": [f"127.0.0.1:{room.lmtp_port}"]}],
            local_domains=[{"domain": DOMAIN, "hop": "kho", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "kho"}],
            policy=POLICY,
            tags={"authserv_id": HOSTNAME, "seals": [{"id": "k1", "key": f"file:{directory}/seal"}]},
            mailbox={
                "imap": f"127.0.0.1:{room.imap_port}",
                "tls": "none",
                "login": MASTER,
                "password": f"file:{directory}/master",
                "liveness": 2.0,
                **more,
            },
        )
        with gateway(house) as running:
            yield running


def tried(house: House, mailbox: str, *options: str) -> tuple[int, Mapping[str, str]]:
    """Run the command and return its exit code and the outcome of each path."""
    command = (
        *(COMMAND, "selftest", "forgery", "--config", str(house.config), "--mailbox", mailbox, "--json"),
        *("--imap-password-file", str(house.directory / "owner"), "--from", LAN, "--wait", "30"),
        *("--user", LOGIN[0], "--password-file", str(house.directory / "login"), *options),
    )
    done = subprocess.run(command, capture_output=True, timeout=100, check=False)
    assert done.returncode in {0, 1}, done.stderr.decode()
    found = json.loads(done.stdout)
    assert PASSWORD not in done.stdout.decode() + done.stderr.decode()
    return done.returncode, {each["path"]: each["outcome"] for each in found["paths"]}


@pytest.fixture(scope="module")
def room() -> Iterator[Dovecot]:
    with mailroom() as running:
        yield running


def test_an_open_mail_store_is_found_out(room: Dovecot) -> None:
    """Where nobody watches, forged marks on paths past the gateway are believed, and the command says so."""
    me = f"mo@{DOMAIN}"
    with installation(room) as running:
        code, found = tried(running.house, me, "--lmtp", f"127.0.0.1:{room.lmtp_port}", "--settle", "0")
    assert found == {
        "submission": "stripped",
        "internal": "stripped",
        "inbound": "stripped",
        "direct": "untried",
        "lmtp": "believed",
        "append": "believed",
    }
    assert code == 1
    assert flags_of(room, me) == [], "the test messages are taken out again"


def test_a_watched_mailbox_is_not_deceived(room: Dovecot, tmp_path: Path) -> None:
    """With the watch no path deceives: through the gateway stripped, past it flagged and never green."""
    me = f"kin@{DOMAIN}"
    table = tmp_path / "gateway_header_checks"
    table.write_bytes((SHIPPED.parent / "postfix" / "gateway_header_checks").read_bytes())
    with (
        installation(room, watch=[me]) as running,
        child(
            (COMMAND, "mailbox", "watch", "--config", str(running.house.config)),
            output=running.house.directory / "watch.log",
        ),
        postfix({DOMAIN: f"lmtp:inet:127.0.0.1:{room.lmtp_port}"}, header_checks=table) as mta,
    ):
        wait_for(lambda: any(running.house.directory.glob("spool/mailbox/*.json")), "the watch")
        options = ("--lmtp", f"127.0.0.1:{room.lmtp_port}", "--direct", f"127.0.0.1:{mta.port}")
        code, found = tried(running.house, me, *options)
    assert found == {
        "submission": "stripped",
        "internal": "stripped",
        "inbound": "stripped",
        "direct": "flagged",
        "lmtp": "flagged",
        "append": "flagged",
    }
    assert code == 0


def test_marks_of_the_gateway_are_colored(room: Dovecot, tmp_path: Path) -> None:
    """What the gateway writes is what recipe and watch read: colored at delivery, and found right by its seal."""
    part = b"Content-Type: text/plain; charset=us-ascii\r\n\r\nMoi du hop luc 08:00.\r\n"
    head = HEAD.replace(LAN.encode(), NEIGHBOR.encode())
    good = mail(clear_entity(part, openssl_sign(part, credentials()[NEIGHBOR], tmp_path)), head=head)
    cases = {
        f"tot@{DOMAIN}": (good, {VERIFIED}),
        f"sua@{DOMAIN}": (good.replace(b"08:00", b"09:00"), {INVALID}),
        f"khong-ky@{DOMAIN}": (mail(part, head=head), set()),
    }
    with installation(room) as running:
        for to, (message, _) in cases.items():
            assert swaks(running.house.port("inbound"), NEIGHBOR, to, message).accepted
    for to, (_, wanted) in cases.items():
        received = Message.of(room.fetch(to))
        assert check(received, Mailbox.parse(to), KEYS) is SealState.GOOD
        assert flags_of(room, to) == [wanted]
        assert keywords_of(*sealed_verdict(received)) == wanted


def test_sent_mail_is_filed(room: Dovecot) -> None:
    """The author finds what was sent, signed and read, in the folder of sent mail; others get no copy."""
    with session(room, LAN) as imap:
        imap.create("Sent")
    message = f"From: {LAN}\r\nTo: mai@congdan.example\r\nSubject: Thu\r\n\r\nNgan.\r\n".encode()
    with installation(room, sent={"authors": [LAN]}) as running:
        house = running.house
        sent = swaks(
            house.port("submission"), LAN, "mai@congdan.example", message, login=LOGIN, trusted=house.server_pem
        )
        assert sent.accepted, sent.transcript
        wait_for(lambda: flags_of(room, LAN, "Sent") != [], "a copy")
        with session(room, LAN) as imap:
            imap.select("Sent", readonly=True)
            _, data = imap.fetch("1", "(BODY.PEEK[])")
        assert b"multipart/signed" in data[0][1]
        assert flags_of(room, LAN, "Sent") == [{"\\Seen"}]


def test_an_absent_mail_store_does_not_delay_the_answer(room: Dovecot) -> None:
    """Where no copy can be filed the mail is answered and delivered all the same; the log says what is missing."""
    message = f"From: {LAN}\r\nTo: mai@congdan.example\r\nSubject: Thu\r\n\r\nNgan.\r\n".encode()
    to = f"van-di@{DOMAIN}"
    with installation(room, sent={"authors": [LAN]}, imap="127.0.0.1:1") as running:
        house = running.house
        sent = swaks(house.port("submission"), LAN, to, message, login=LOGIN, trusted=house.server_pem)
        assert sent.accepted, sent.transcript
        assert b"Ngan." in room.fetch(to)
        running.wait_for_event("copy of sent mail not filed yet")

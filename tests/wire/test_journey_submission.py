"""Who may submit what, and what the client is told: swaks -> gateway -> Postfix or Dovecot, nothing mocked."""

from __future__ import annotations

import email
import email.policy
import re
import smtplib
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.gateway_process import AUTHORS, FINANCE, HOSTNAME, LOGIN, NEIGHBOR, OURS, root_pem
from support.letters import ASCII, LAN
from support.postfix import smtp_source
from support.splitter import cut
from support.swaks import swaks
from support.town import NOBODY, OUTSIDE
from support.verifiers import openssl_verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.town import Town


def test_one_trace_id_through_the_whole_journey(town: Town) -> None:
    """An administrator finds every step of a message by one id, which is in the reply the client got."""
    assert town.submit(f"dau-vet@{OUTSIDE}", ASCII).accepted
    first = town.gate.wait_for_event("received", recipients=[f"dau-vet@{OUTSIDE}"])
    steps = [line for line in town.gate.lines() if line.get("trace_id") == first["trace_id"]]
    stations = ["received", "authorized", "classified", "ruled", "signed", "handed_over", "answered"]
    assert [line["event"] for line in steps] == stations
    assert steps[-1]["code"] == 250


def test_implicit_tls(town: Town) -> None:
    """The port with TLS from the first octet offers AUTH as well."""
    house = town.gate.house
    port, to = house.port("submissions"), f"ngam@{OUTSIDE}"
    sent = swaks(port, LAN, to, ASCII, login=LOGIN, trusted=house.server_pem, options=("--tls-on-connect",))
    assert sent.accepted, sent.transcript
    town.delivered(to, ASCII)


def test_many_at_once(town: Town, tmp_path: Path) -> None:
    """Ten sessions at once over kept connections: everything arrives once and with a good signature."""
    count, user = 60, f"nhieu@{OUTSIDE}"
    smtp_source(town.gate.house.port("internal"), LAN, user, messages=count)
    found = [cut(each) for each in town.mail.fetch_all(user, count)]
    assert all(openssl_verify(each.part, each.cms, root_pem(), tmp_path) for each in found[:: count // 6])


@pytest.mark.parametrize("octet", [b"\0", b"\r", b"\n"])
def test_octets_that_mail_cannot_hold(octet: bytes, town: Town) -> None:
    """NUL, a bare CR and a bare LF are refused 550 5.6.0: the next readers would disagree on what was signed."""
    sent = town.submit(f"octet@{OUTSIDE}", ASCII.replace(b"Da co", b"Da" + octet + b"co"))
    assert sent.refusal[:9] == "550 5.6.0", sent.transcript
    assert town.mail.count(f"octet@{OUTSIDE}") == 0


def test_a_next_hop_without_smtputf8(town: Town) -> None:
    """Raw UTF-8 fields reach Dovecot's LMTP encoded, before signing; a non-ASCII address is refused 550 5.6.7."""
    letter = ASCII.replace(b"To: Nguyen Thi Mai", "To: Nguyễn Thị Mai".encode())
    assert town.submit("raw@lmtp.example", letter).accepted
    found = town.delivered("raw@lmtp.example", letter)
    assert found.cut.header.isascii()
    header = email.message_from_bytes(found.received, policy=email.policy.default)
    assert str(header["To"]) == "Nguyễn Thị Mai <nguyen.thi.mai@hopthu.example>"
    for each in (letter, ASCII):
        code, text = submit_utf8(town, "ngườinhận@lmtp.example", each)
        assert code == 550
        assert text.startswith(b"5.6.7 ")


@pytest.mark.parametrize("domain", [OUTSIDE, "lmtp.example"])
def test_delivery_reports(domain: str, town: Town) -> None:
    """Who asks for a report of success gets one, with the envelope id and the original recipient: from the next hop
    if it offers DSN as Postfix does, else from us (row 14).
    """  # noqa: D205 - the rule needs two lines
    sender = f"bao-{domain}@{OURS}"
    with session_of(town) as client:
        assert client.mail(sender, ["RET=HDRS", "ENVID=QQ+2B17"])[0] == 250
        options = ["NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;goc+2Ba@{domain}"]
        assert client.rcpt(f"bao-nhan@{domain}", options)[0] == 250
        assert client.data(ASCII)[0] == 250
    cut(town.mail.fetch(f"bao-nhan@{domain}"))
    report = town.mail.fetch(sender)
    told_by = HOSTNAME if domain != OUTSIDE else "mta.example"
    for line in (
        rf"Reporting-MTA: dns; ?{told_by}",
        r"Original-Envelope-Id: QQ\+17",
        rf"Original-Recipient: rfc822; ?goc\+a@{domain}",
        r"Action: (relayed|delivered)",
        r"Status: 2\.\d\.\d",
    ):
        assert re.search(rf"(?im)^{line}\r$".encode(), report), (line, report.decode())


@contextmanager
def session_of(town: Town) -> Iterator[smtplib.SMTP_SSL]:
    """Log in over implicit TLS, for parameters that swaks does not know."""
    context = ssl.create_default_context(cafile=str(town.gate.house.server_pem))
    context.check_hostname = False  # the certificate names localhost, the address is a number
    with smtplib.SMTP_SSL("127.0.0.1", town.gate.house.port("submissions"), timeout=120, context=context) as client:
        client.login(*LOGIN)
        yield client


def submit_utf8(town: Town, to: str, message: bytes) -> tuple[int, bytes]:
    """Submit with SMTPUTF8; return the reply to the dot."""
    with session_of(town) as client:
        assert client.mail(LAN, ["SMTPUTF8", "BODY=8BITMIME"])[0] == 250
        client.send(f"RCPT TO:<{to}>\r\n".encode())
        code, text = client.getreply()
        return client.data(message) if code == 250 else (code, text)


def test_a_refusal_by_the_next_hop_is_the_clients(town: Town) -> None:
    """The next hop's 5xx at RCPT passes through with its code and words; nothing is kept, nothing bounces."""
    sent = town.submit(NOBODY, ASCII)
    assert sent.exit_code == 26, sent.transcript
    assert sent.refusal.startswith("550 5.1.1")
    assert "no such user here" in sent.refusal
    first = town.gate.wait_for_event("received", recipients=[NOBODY])
    steps = {line["event"] for line in town.gate.lines() if line.get("trace_id") == first["trace_id"]}
    assert steps >= {"received", "signed", "handed_over", "answered"}
    assert not steps & {"spooled", "deferred", "notified"}


def test_mixed_recipients(town: Town) -> None:
    """One recipient accepted, one refused: 250, delivery to the one, a notification about the other (row 4)."""
    sender = f"bao-lan-lon@{OURS}"
    sent = town.submit(f"co-nguoi@{OUTSIDE},{NOBODY}", ASCII, sender=sender)
    assert sent.accepted, sent.transcript
    town.delivered(f"co-nguoi@{OUTSIDE}", ASCII)
    notice = town.mail.fetch(sender)
    assert re.search(rf"(?i)^Final-Recipient: rfc822; ?{NOBODY}\r$".encode(), notice, re.MULTILINE)
    assert not re.search(rf"(?i)^Final-Recipient:.*co-nguoi@{OUTSIDE}".encode(), notice, re.MULTILINE)


def test_nobody_sends_as_somebody_else(town: Town) -> None:
    """A login signs only as the authors it has, whatever the From field says; the refusal names no key."""
    foreign = ASCII.replace(LAN.encode(), NEIGHBOR.encode())
    assert town.submit(f"foreign@{OUTSIDE}", foreign).refusal[:9] == "550 5.7.1"
    assert town.submit(f"foreign@{OUTSIDE}", ASCII, sender=NEIGHBOR).refusal[:9] == "550 5.7.1"
    nobody = ASCII.replace(LAN.encode(), f"khong.khoa@{OURS}".encode())
    assert town.submit(f"foreign@{OUTSIDE}", nobody).refusal[:9] == "550 5.7.1"
    assert town.mail.count(f"foreign@{OUTSIDE}") == 0


def test_login_is_needed_and_checked(town: Town) -> None:
    """Without TLS no login, without the right password no mail."""
    house = town.gate.house
    port = house.port("submission")
    assert swaks(port, LAN, f"nobody@{OUTSIDE}", ASCII).exit_code == 23
    wrong = swaks(port, LAN, f"nobody@{OUTSIDE}", ASCII, login=(LOGIN[0], "sai"), trusted=house.server_pem)
    assert wrong.exit_code == 28
    assert wrong.refusal[:9] == "535 5.7.8"
    assert swaks(port, LAN, f"nobody@{OUTSIDE}", ASCII, login=LOGIN).exit_code == 28


def test_a_listed_host_needs_no_login(town: Town) -> None:
    """A scanner that cannot log in sends through the internal listener, as the authors it is listed with, signed."""
    port = town.gate.house.port("internal")
    assert swaks(port, LAN, f"scan@{OUTSIDE}", ASCII).accepted
    town.delivered(f"scan@{OUTSIDE}", ASCII)
    other = ASCII.replace(LAN.encode(), AUTHORS["p256"].encode())
    assert swaks(port, LAN, f"scan@{OUTSIDE}", other).refusal[:9] == "550 5.7.1"


def test_two_next_hops(town: Town) -> None:
    """One message for two next hops is kept first, then delivered to both: the same signed octets."""
    sent = town.submit(f"hai@{OUTSIDE},hai@lmtp.example", ASCII)
    assert sent.accepted, sent.transcript
    first, second = (town.delivered(f"hai@{domain}", ASCII) for domain in (OUTSIDE, "lmtp.example"))
    assert (first.cut.part, first.cut.cms) == (second.cut.part, second.cut.cms)


def test_internal_mail_is_signed_too(town: Town) -> None:
    """Mail between two of our agencies comes back in through Postfix, verified and tagged."""
    assert town.submit(f"noi-bo@{FINANCE}", ASCII).accepted
    received = town.mail.fetch(f"noi-bo@{FINANCE}")
    assert re.search(rb"^X-Gateway-Verdict: verified", received, re.MULTILINE)

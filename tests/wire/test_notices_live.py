"""Mail that a running gateway writes by itself: reports that return a message whole, and the daily digest."""

from __future__ import annotations

import smtplib
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.config.model import SpoolSettings
from gateway.core.local import VIETNAM
from gateway.spool.orders import Orders
from support.flapping import standing
from support.gateway_process import OURS, build_house, gateway
from support.hops import DEFAULTS, KEYWORDS, FakeHop, by_address
from support.letters import ASCII, LAN
from support.peers import free_port, short_directory, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.gateway_process import House

TO: Final = "tai@hopthu.example"
POLICY: Final = """\
rules:
  - name: hold-plans
    direction: outbound
    when: {subject_matches: "kế hoạch"}
    then: {hold: {reason: "kế hoạch phải được duyệt"}}
  - name: as-it-is
    direction: outbound
    then: pass
"""
EIGHT_BIT: Final = ASCII.replace(
    b"text/plain\r\n", b"text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
).replace(b"ket qua", "kết quả".encode())


@contextmanager
def office(directory: Path, out: FakeHop, home: FakeHop, **settings: Any) -> Iterator[House]:
    """Build a house with a way out and a way home."""
    ports = {"ngoai": free_port(), "nha": free_port()}
    with ExitStack() as stack:
        for name, hop in (("ngoai", out), ("nha", home)):
            stack.enter_context(standing(ports[name], hop))
        yield build_house(
            directory,
            hops=[
                {"name": name, "protocol": "smtp", "addresses": [f"127.0.0.1:{port}"], "tls": "none"}
                for name, port in ports.items()
            ],
            local_domains=[{"domain": OURS, "hop": "nha", "recipients": "any"}],
            outbound=[{"domain": OURS, "hop": "nha"}, {"domain": "*", "hop": "ngoai"}],
            policy=POLICY,
            spool={"retry_first": 0.2, "retry_most": 0.5, **settings.pop("spool", {})},
            **settings,
        )


def send(house: House, message: bytes, *options: str) -> int:
    """Send a letter from a listed host; return the code of its dot."""
    with smtplib.SMTP("127.0.0.1", house.port("internal"), timeout=60) as client:
        client.ehlo()
        assert client.mail(LAN, list(options))[0] == 250
        assert client.rcpt(TO)[0] == 250
        return client.data(message)[0]


@pytest.mark.parametrize("carries", [True, False], ids=["8BITMIME", "7bit"])
def test_a_report_on_8_bit_mail(carries: bool) -> None:  # noqa: FBT001 - a case
    """RET=FULL: whole where the way home carries it; else the header, at once, and no report gets lost over that."""
    out = FakeHop(answers={"RCPT": "451 4.2.0 sau"})
    home = FakeHop(keywords=KEYWORDS if carries else tuple(each for each in KEYWORDS if each != "8BITMIME"))
    with short_directory("gw-") as directory, office(directory, out, home) as house, gateway(house):
        assert send(house, EIGHT_BIT, "BODY=8BITMIME", "RET=FULL") == 250
        out.answers["RCPT"] = by_address({TO: "550 5.1.1 khong co"})
        wait_for(lambda: bool(home.messages), "the report", seconds=60)
        wait_for(lambda: not kept(house), "an empty spool", seconds=60)
    (taken,) = home.messages
    assert taken.lines[0].startswith("MAIL FROM:<>")
    assert ("BODY=8BITMIME" in taken.lines[0]) is carries
    _, status, returned = message_from_bytes(taken.octets, policy=policy.default).iter_parts()
    assert "5.1.1" in status.as_string()
    assert returned.get_content_type() == ("message/rfc822" if carries else "text/rfc822-headers")
    assert ("kết quả".encode() in taken.octets) is carries
    assert "Subject" in returned.as_string()


def test_the_digest_of_two_workers() -> None:
    """Both look when they start, long after the time of the day: the owner hears once, of what is held for him."""
    home = FakeHop(answers=DEFAULTS)
    digest = {"postmaster": f"quan-tri@{OURS}", "at": "00:00"}
    with (
        short_directory("gw-") as directory,
        office(directory, FakeHop(), home, workers=2, spool={"digest": digest}) as house,
        gateway(house) as running,
    ):
        day = today()
        plan = ASCII.replace(b"Subject: ", "Subject: Kế hoạch ".encode(), 1)
        assert send(house, plan, "SMTPUTF8") == 250
        assert running.stop() == 0
        assert home.messages == []
        running.start()
        wait_for(lambda: told(house) == "*", "the digest of the day", seconds=60)
        wait_for(lambda: kept(house) == ["held"], "its delivery", seconds=60)
    assert len(home.messages) <= len({day, today()}), "once a day"
    taken = home.messages[0]
    assert taken.lines == ("MAIL FROM:<> SIZE=" + taken.lines[0].partition("SIZE=")[2], f"RCPT TO:<{LAN}> NOTIFY=NEVER")
    message = message_from_bytes(taken.octets, policy=policy.default)
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_content()
    assert "Kế hoạch" in text
    assert "kế hoạch phải được duyệt" in text


def kept(house: House) -> list[str]:
    """Return the kinds of what the spool holds."""
    with Orders(SpoolSettings(directory=house.directory / "spool", min_free=0)) as orders:
        return [each.kind.value for each in orders.entries()]


def told(house: House) -> str | None:
    """Return how far the digests of today have come."""
    with Orders(SpoolSettings(directory=house.directory / "spool", min_free=0)) as orders:
        return orders.digested(today())


def today() -> str:
    """Return the day as digests count it."""
    return datetime.now(UTC).astimezone(VIETNAM).date().isoformat()

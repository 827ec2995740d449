"""A signed message sent again through the running gateway: under other fields it is never green, whatever is tried."""

from __future__ import annotations

import email
import smtplib
from concurrent.futures import ThreadPoolExecutor
from email.header import decode_header, make_header
from typing import TYPE_CHECKING, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from gateway.cms.algorithms import raw_sign
from gateway.core.address import Mailbox
from gateway.core.message import Message as Octets
from gateway.relay.maildir import place_of
from support.gateway_process import AUTHORS, OURS, build_house, credentials, gateway
from support.letters import HEAD, LAN, NOW, SUBJECT, clear_entity, template
from support.peers import short_directory, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

    from support.gateway_process import Gateway

READER: Final = f"doc@{OURS}"
AUTHOR: Final = AUTHORS["p256"]
ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256."""
PART: Final = b"Content-Type: text/plain\r\n\r\nMoi hop luc 8 gio.\r\n"
FIELDS: Final = HEAD.replace(LAN.encode(), AUTHOR.encode())


@pytest.fixture
def gate() -> Iterator[Gateway]:
    """Run a gateway that delivers into directories."""
    with short_directory("gw-") as directory:
        house = build_house(
            directory,
            hops=[{"name": "hop", "protocol": "maildir", "directory": "mail"}],
            local_domains=[{"domain": OURS, "hop": "hop", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "hop"}],
        )
        (directory / "mail").mkdir()
        with gateway(house) as running:
            yield running


class Signed:
    """One signature, and the messages that can be made around it."""

    def __init__(self, part: bytes = PART) -> None:
        credential = credentials()[AUTHOR]
        chosen = template(credential)
        attributes = chosen.to_be_signed(Octets.of(part).digest(chosen.digest), NOW)
        value = raw_sign(credential.key, attributes, scheme=chosen.scheme, digest=chosen.digest)
        r, s = decode_dss_signature(value)
        self._part = part
        self._cms = chosen.finish(attributes, value)
        self._mirrored = chosen.finish(attributes, encode_dss_signature(r, ORDER - s))

    def under(self, fields: bytes = FIELDS, *, mirrored: bool = False) -> bytes:
        """Return a message with these fields; a stranger can make the mirror image of its signature."""
        cms = self._mirrored if mirrored else self._cms
        return fields + b"MIME-Version: 1.0\r\n" + clear_entity(self._part, cms)


def send(gate: Gateway, message: bytes, to: str) -> None:
    """Send a message."""
    with smtplib.SMTP("127.0.0.1", gate.house.port("inbound"), "may-thu.example", timeout=60) as client:
        client.sendmail(AUTHOR, [to], message)


def told(gate: Gateway, message: bytes, to: str = READER) -> Message:
    """Send a message and return it as it was delivered."""
    send(gate, message, to)
    new = place_of(gate.house.directory / "mail", Mailbox.parse(to)) / "new"
    wait_for(lambda: new.is_dir() and any(new.iterdir()), "the letter")
    (file,) = new.iterdir()
    found = email.message_from_bytes(file.read_bytes())
    file.unlink()
    return found


def verdict(found: Message) -> str:
    """Return the verdict and its reason."""
    words = str(make_header(decode_header(found["X-Gateway-Verdict"]))).split("(")[0].split(";")
    return f"{words[0].strip()} {words[1].partition('=')[2].strip()}"


OTHERS: Final = {
    "subject": FIELDS.replace(SUBJECT.encode(), b"Chuyen tien gap"),
    "date": FIELDS.replace(b"24 Nov 2026", b"25 Nov 2026"),
    "message-id": FIELDS.replace(b"2026.17", b"2026.18"),
    "no message-id": FIELDS.partition(b"Message-ID:")[0],
    "reply": FIELDS.replace(b"Subject: ", b"Subject: Re: "),
    "two prefixes": FIELDS.replace(b"Subject: ", b"Subject: [a] [b] "),
}


def test_a_signature_is_good_for_one_message(gate: Gateway) -> None:
    """Each change is the smallest one to a message that was verified just before; the true one stays verified."""
    made = Signed()
    first = told(gate, made.under())
    assert verdict(first).startswith("verified ")
    for name, fields in OTHERS.items():
        for mirrored in (False, True):
            found = told(gate, made.under(fields, mirrored=mirrored))
            assert verdict(found) == "replayed replayed", (name, mirrored)
            assert "X-Verified-Sender" not in found
            assert "smime=policy" in found["Authentication-Results"]
    assert verdict(told(gate, made.under(FIELDS.replace(b"Subject: ", b"Subject: [van-thu] ")))) == (
        "verified_lesser list_copy"
    )
    again = told(gate, made.under(), f"khac@{OURS}")
    assert verdict(again) == verdict(first)
    assert "seen_before" in again["X-Gateway-Verdict"]
    assert verdict(told(gate, Signed(PART + b"Khac.\r\n").under(OTHERS["subject"]))).startswith("verified ")


def test_it_outlives_the_process(gate: Gateway) -> None:
    """Soon after it was answered it is on the disk: `kill -9` makes nothing new of what was seen."""
    made = Signed()
    assert verdict(told(gate, made.under())).startswith("verified ")
    gate.wait_for_signatures(1)
    gate.kill()
    gate.start()
    assert verdict(told(gate, made.under(OTHERS["subject"]))) == "replayed replayed"
    assert verdict(told(gate, made.under())).startswith("verified ")


def test_of_many_at_once_one_is_green(gate: Gateway) -> None:
    """Whoever sends the true message and its copies in the same instant gets one of them verified."""
    made = Signed()
    fields = [FIELDS.replace(SUBJECT.encode(), b"So %d" % number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda at: told(gate, made.under(fields[at]), f"d{at}@{OURS}"), range(8)))
    assert sorted(verdict(each).split()[0] for each in found) == ["replayed"] * 7 + ["verified"]

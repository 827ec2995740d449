"""`gateway selftest forgery`: what it sends is bold, and nothing that a reader believes is called harmless."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

import pytest

from gateway.cli.forgery import Door, Outcome, Reader, hand_over, letter
from gateway.core.address import Mailbox
from gateway.core.message import Message
from gateway.mailbox.keywords import IMPERSONATION, VERIFIED
from gateway.tagging.forged import stripped
from gateway.tagging.seal import Sealing, SealKeys, SealState, check, sealed
from support.letters import NOW, PLAIN, lan, signed
from support.peers import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

ME: Final = Mailbox.parse("nhan@tinh.example")
OURS: Final = "mail.tinh.example"
KEYS: Final = SealKeys((("k1", b"n" * 32),))
FORGED: Final = letter(sender="ai@la.example", to=str(ME), token="t", authserv_id=OURS, key_id="k1", now=NOW)
READER: Final = Reader(ME, KEYS, OURS)
TAGGED: Final = PLAIN.replace(b"Subject: ", "Subject: [Đã xác thực: Kho bạc] ".encode())
PLAINLY: Final = b"X-Gateway-Verdict: %s; reason=x (Khong ky)\r\n"


def seal(octets: bytes) -> bytes:
    return sealed(Message.of(octets), Sealing(KEYS, (ME,), NOW, OURS)).octets()


def test_the_letter_bears_every_mark() -> None:
    """All kinds that are stripped, and a seal of the right shape by the right key, which is bad nevertheless."""
    removed: Mapping[str, int] = stripped(Message.of(FORGED), authserv_id=OURS).removed
    assert removed.keys() >= {"our_field", "results", "subject_tag"}
    assert check(Message.of(FORGED), ME, KEYS) is SealState.BAD


@pytest.mark.parametrize(
    ("octets", "flags", "outcome"),
    [
        (FORGED, set(), Outcome.BELIEVED),
        (FORGED, {VERIFIED}, Outcome.BELIEVED),
        (FORGED, {IMPERSONATION, VERIFIED}, Outcome.BELIEVED),
        (FORGED, {IMPERSONATION}, Outcome.FLAGGED),
        (FORGED, {"$impersonation"}, Outcome.FLAGGED),
        (PLAIN, set(), Outcome.STRIPPED),
        (PLAIN, {VERIFIED}, Outcome.BELIEVED),
        (PLAIN, {"$verifiedlesser"}, Outcome.BELIEVED),
        (TAGGED, set(), Outcome.BELIEVED),
        (seal(PLAINLY % b"unsigned" + PLAIN), set(), Outcome.STRIPPED),
        (seal(PLAINLY % b"unsigned" + PLAIN), {VERIFIED}, Outcome.BELIEVED),
        (seal(PLAINLY % b"verified" + PLAIN), set(), Outcome.BELIEVED),
        (signed(PLAIN, lan()), {VERIFIED}, Outcome.STRIPPED),
        (b"X-Verified-Sender: x\r\n" + signed(PLAIN, lan()), {VERIFIED}, Outcome.BELIEVED),
        (b"X: 1\r\n" * 20_000 + PLAIN, set(), Outcome.BELIEVED),
    ],
)
def test_what_became_of_it(octets: bytes, flags: set[str], outcome: Outcome) -> None:
    """Green, or marks without the alarm, are believed; what the gateway signed or sealed itself is its own."""
    assert READER.outcome(octets, frozenset(flags)) is outcome


@pytest.mark.parametrize(
    ("octets", "outcome"),
    [
        (FORGED, Outcome.BELIEVED),
        (PLAINLY % b"unsigned" + PLAIN, Outcome.STRIPPED),
        (PLAINLY % b"verified" + PLAIN, Outcome.BELIEVED),
        (b"X-Verified-Sender: x\r\n" + PLAIN, Outcome.BELIEVED),
    ],
)
def test_without_seals_the_words_decide(octets: bytes, outcome: Outcome) -> None:
    """An installation without keys: the gateway's own fields about unsigned mail are no forgery."""
    assert Reader(ME, None, OURS).outcome(octets, frozenset()) is outcome


def test_a_closed_door_says_why() -> None:
    """No way to hand a message over is told apart from one that was taken."""
    door = Door(f"127.0.0.1:{free_port()}", login=("a", "mat-khau"))
    assert "mat-khau" not in repr(door)
    context = ssl.create_default_context()
    why = hand_over(door, sender="ai@la.example", to=str(ME), message=FORGED, context=context)
    assert why is not None
    assert "ConnectionRefusedError" in why

"""What a message in a mailbox deserves: a seal for this mailbox, or our own judgment, and nothing it says itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from gateway.core.address import Mailbox
from gateway.core.message import Message
from gateway.core.verdict import (
    ChainState,
    Judgment,
    Note,
    NotTrusted,
    SignatureState,
    Unsigned,
    Verified,
)
from gateway.mailbox.finding import Finder, sealed_verdict
from gateway.mailbox.keywords import IMPERSONATION, INVALID, VERIFIED
from gateway.mime.fields import DEFAULT_LIMITS, read_header
from gateway.tagging.seal import Sealing, SealKeys, sealed
from support.letters import LAN, NOW, PLAIN, judged, lan, signed

if TYPE_CHECKING:
    import datetime as dt

    from gateway.core.verdict import Verdict
    from gateway.mime.entity import Entity

ME: Final = Mailbox.parse("nhan@tinh.example")
OTHER: Final = Mailbox.parse("khac@tinh.example")
OURS: Final = "mail.tinh.example"
KEYS: Final = SealKeys((("k2", b"n" * 32), ("k1", b"c" * 32)))
VERDICT: Final = b"X-Gateway-Verdict: verified; reason=verified; notes=first_contact (Da xac thuc)\r\n"


class Judging:
    """A `ports.Judge` that says what it was told to, and remembers what it was asked."""

    def __init__(self, verdict: Verdict, *notes: str) -> None:
        self.judgment = Judgment(
            verdict,
            ChainState.NONE,
            SignatureState.NONE,
            covers_everything_shown=False,
            headers_signed=False,
            author=None,
            notes=tuple(Note(each) for each in notes),
        )
        self.asked: list[tuple[bytes, str]] = []

    async def judge(self, message: Message, *, at: dt.datetime, source: str, entity: Entity | None = None) -> Judgment:
        self.asked.append((message.octets(), source))
        return self.judgment


def verified() -> Verified:
    """Return a verdict as our own judging gives it."""
    found = judged(signed(PLAIN, lan()))
    assert isinstance(found.verdict, Verified)
    assert found.author == Mailbox.parse(LAN)
    return found.verdict


def seal(message: bytes, *recipients: Mailbox, keys: SealKeys = KEYS) -> bytes:
    return sealed(Message.of(message), Sealing(keys, recipients, NOW, OURS)).octets()


async def found(octets: bytes, judge: Judging, *, keys: SealKeys | None = KEYS) -> tuple[frozenset[str], str]:
    finder = Finder(judge=judge, keys=keys, authserv_id=OURS)
    finding = await finder.find(octets, recipient=ME, at=NOW)
    return finding.keywords, finding.why


async def test_a_good_seal_is_believed() -> None:
    """What the gateway judged at receipt is not judged again: its verdict is kept, by an older key as well."""
    judge = Judging(NotTrusted("expired"))
    assert await found(seal(VERDICT + PLAIN, OTHER, ME), judge) == ({VERIFIED}, "seal")
    older = seal(VERDICT + PLAIN, ME, keys=SealKeys((KEYS.keys[1],)))
    assert await found(older, judge) == ({VERIFIED}, "seal")
    assert judge.asked == []


async def test_what_a_mail_store_adds_does_not_matter() -> None:
    """Fields above ours leave the seal good."""
    above = b"Return-Path: <a@b.example>\r\nDelivered-To: <nhan@tinh.example>\r\nReceived: from x by y\r\n"
    assert await found(above + seal(VERDICT + PLAIN, ME), Judging(Unsigned("unsigned"))) == ({VERIFIED}, "seal")


async def test_a_header_at_its_limits_leaves_room_for_our_marks() -> None:
    """What was let in with as many fields as may be is believed, and no fault, with our own on top."""
    filled = b"X-A: b\r\n" * (DEFAULT_LIMITS.fields - len(read_header(Message.of(PLAIN)).fields))
    assert await found(seal(VERDICT + filled + PLAIN, ME), Judging(Unsigned("unsigned"))) == ({VERIFIED}, "seal")


@pytest.mark.parametrize(
    "change",
    [
        lambda octets: octets.replace(b"reason=verified", b"reason=verifies"),
        lambda octets: octets.replace(b"X-Gateway-Verdict: verified;", b"X-Gateway-Verdict: verified_lesser;"),
        lambda octets: octets.replace(b"\r\n\r\n", b"\r\n\r\n ", 1),
        lambda octets: b"X-Verified-Sender: Kho bac\r\n" + octets,
        lambda octets: octets.replace(b"k=k2", b"k=k3"),
        lambda octets: octets.replace(b"Subject: ", b"Subject: !", 1),
        lambda octets: octets.partition(b"X-Gateway-Verdict")[0] * 2 + VERDICT + PLAIN,
    ],
)
async def test_a_broken_seal_is_an_alarm(change: object) -> None:
    """One octet changed, a mark added, an unknown key, two seals: not green, and marked as forged."""
    octets = change(seal(VERDICT + PLAIN, ME))  # type: ignore[operator]
    assert await found(octets, Judging(Unsigned("unsigned"))) == ({IMPERSONATION}, "forged_marks")


async def test_a_seal_for_somebody_else_is_worth_nothing() -> None:
    """Mail passed on to another mailbox is judged there, as anybody's; that is no alarm."""
    octets = seal(VERDICT + PLAIN, OTHER)
    assert await found(octets, Judging(Unsigned("unsigned"))) == (frozenset(), "judged")
    assert await found(octets, Judging(NotTrusted("revoked"))) == ({INVALID}, "judged")
    assert await found(octets, Judging(verified())) == ({VERIFIED}, "judged")


async def test_forged_marks_outweigh_a_good_signature() -> None:
    """Signed by Lan, said to be from the treasury: the signature is no excuse."""
    forged = b"X-Verified-Sender: Kho bac\r\n" + PLAIN
    assert await found(forged, Judging(verified())) == ({IMPERSONATION}, "forged_marks")
    assert await found(forged, Judging(NotTrusted("revoked"))) == ({INVALID, IMPERSONATION}, "forged_marks")


async def test_mail_past_the_gateway_is_judged() -> None:
    """Without marks nothing is alarming, and the octets are judged as they lie there, in the mailbox's own turn."""
    judge = Judging(verified())
    assert await found(PLAIN, judge) == ({VERIFIED}, "judged")
    assert judge.asked == [(PLAIN, "mailbox:nhan@tinh.example")]
    assert await found(PLAIN, Judging(verified(), "impersonation")) == ({IMPERSONATION}, "judged")


async def test_results_of_a_namesake_are_no_alarm() -> None:
    """A mail server may bear the name in our results: such a field alone deceives no reader of tags."""
    octets = f"Authentication-Results: {OURS}; spf=pass\r\n".encode() + PLAIN
    assert await found(octets, Judging(Unsigned("unsigned"))) == (frozenset(), "judged")


async def test_without_keys_everything_is_judged() -> None:
    """An installation without seals cannot tell its marks from forged ones: none of them counts, for good or bad."""
    octets = seal(VERDICT + PLAIN, ME)
    assert await found(octets, Judging(Unsigned("unsigned")), keys=None) == (frozenset(), "judged")


async def test_a_header_beyond_reading_is_never_green() -> None:
    """Over the limits of a header there may stand anything."""
    octets = b"X: 1\r\n" * 20_000 + VERDICT + PLAIN
    keywords, why = await found(octets, Judging(verified()))
    assert (keywords, why) == ({IMPERSONATION}, "forged_marks")


def test_a_sealed_field_is_read_strictly() -> None:
    """A field of another shape is no verdict; notes in the words for people are none either."""
    assert sealed_verdict(Message.of(VERDICT + PLAIN)) == ("verified", {"first_contact"})
    assert sealed_verdict(Message.of(VERDICT + VERDICT + PLAIN)) == ("", frozenset())
    assert sealed_verdict(Message.of(PLAIN)) == ("", frozenset())
    assert sealed_verdict(Message.of(b"X-Gateway-Verdict: (x) verified; a\r\n" + PLAIN)) == ("", frozenset())
    words = b"X-Gateway-Verdict: invalid; a=b (; notes=impersonation)\r\n"
    assert sealed_verdict(Message.of(words + PLAIN)) == ("invalid", frozenset())

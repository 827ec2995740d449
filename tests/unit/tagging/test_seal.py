"""Seals: what they hold for, and each way a forger has with one (RFC 2104)."""

from __future__ import annotations

import datetime as dt
import re
from itertools import pairwise

import pytest

from gateway.core.address import Mailbox
from gateway.core.message import Message
from gateway.core.verdict import ChainState, Judgment, SignatureState, Signer, Verified
from gateway.mime.fields import MimeError, read_header
from gateway.tagging import strip, tag
from gateway.tagging.seal import Sealing, SealKeys, SealState, check, sealed

NOW = dt.datetime(2026, 11, 24, 1, 30, 5, 999, tzinfo=dt.UTC)
OURS = "mail.songlam.example"
AUTHOR = Mailbox("soyte", "songlam.example")
MAI = Mailbox("mai", "congdan.example")
LAN = Mailbox("lan", "thư.example")
OLD, NEW = ("2026a", b"o" * 32), ("2026b", b"n" * 48)
KEYS = SealKeys((NEW, OLD))
LETTER = (
    "From: Sở Y tế <soyte@songlam.example>\r\nTo: mai@congdan.example\r\nSubject: Hop\r\n"
    "Message-ID: <1@songlam.example>\r\nContent-Type: text/plain\r\n\r\nbody\r\n"
).encode()


def marked(letter: bytes = LETTER, *recipients: Mailbox, keys: SealKeys = KEYS) -> bytes:
    """Return a letter with the marks of a verified one, sealed."""
    signer = Signer("CN=X", "CN=CA", "54", (str(AUTHOR),), None, None, "RSA-2048", "ab" * 32)
    verdict = Verified("verified", (signer,), AUTHOR)
    judgment = Judgment(verdict, ChainState.VALID, SignatureState.VALID, True, False, AUTHOR)
    return tag(
        Message.of(letter),
        judgment,
        agency="Sở Y tế",
        authserv_id=OURS,
        subject="on",
        received_at=NOW,
        seal=Sealing(keys, recipients or (MAI,), NOW, OURS),
    ).octets()


def state(octets: bytes, recipient: Mailbox = MAI, keys: SealKeys = KEYS) -> SealState:
    return check(Message.of(octets), recipient, keys)


def field(octets: bytes) -> str:
    (found,) = read_header(Message.of(octets)).all("x-gateway-seal")
    return found.value.decode("ascii")


def test_a_seal_holds_for_its_recipients() -> None:
    """Each envelope recipient finds it good, by whatever spelling of the mailbox; nobody else does."""
    octets = marked(LETTER, MAI, LAN)
    assert field(octets).startswith("v=1; k=2026b; d=mail.songlam.example; t=2026-11-24T08:30:05+07:00; r=")
    assert octets.startswith(b"X-Gateway-Seal:")
    alabel = Mailbox("lan", LAN.domain.encode("idna").decode())
    for each in (MAI, LAN, Mailbox("MAI", "Congdan.Example"), alabel):
        assert state(octets, each) is SealState.GOOD
    assert state(octets, Mailbox("binh", "congdan.example")) is SealState.WRONG_RECIPIENT


def test_what_a_mail_store_adds_above_is_no_matter() -> None:
    """Trace fields and other systems' results above, below or between leave the seal good."""
    octets = marked()
    above = (
        b"Return-Path: <soyte@songlam.example>\r\nDelivered-To: mai@congdan.example\r\nReceived: from a\r\n\tby b\r\n"
        b"Authentication-Results: other.example; spf=pass\r\nX-Spam: no\r\n"
    )
    assert state(above + octets) is SealState.GOOD
    assert state(octets.replace(b"To: mai", b"X-Other: a\r\nTo: mai")) is SealState.GOOD


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"body", b"bodY"),
        (b"body\r\n", b"body\r\n\r\n"),
        (b"\r\n\r\nbody\r\n", b"\r\n\r\n"),
        (b"soyte@songlam.example>\r\nTo", b"soyta@songlam.example>\r\nTo"),
        (b"From:", b"from:"),
        (b"From:", b"From: other@evil.example\r\nFrom:"),
        (b"From:", b"Sender: other@evil.example\r\nFrom:"),
        (b"From:", b"Reply-To: other@evil.example\r\nFrom:"),
        (b"From:", b"X-Other: a\rFrom: other@evil.example\r\nFrom:"),
        (b"From:", b"From\xc2\xa0: other@evil.example\r\nFrom:"),
        (b"From:", b"no field\r\nFrom:"),
        (b"Subject:", b"Subject: other\r\nSubject:"),
        (b" Hop\r\n", b" Hup\r\n"),
        (b"<1@songlam", b"<2@songlam"),
        (b"text/plain", b"text/html"),
        (b"text/plain\r\n", b"text/plain\r\nContent-Transfer-Encoding: base64\r\n"),
        (b"X-Gateway-Verdict: verified", b"X-Gateway-Verdict: verified_lesser"),
        (b"X-Gateway-Reason:", b"X-Gateway-Other: a\r\nX-Gateway-Reason:"),
        (b"X-Gateway-Reason:", b"X_Gateway.Verdict: unsigned\r\nX-Gateway-Reason:"),
        (b"smime=pass", b"smime=fail"),
        (
            b"Authentication-Results: mail",
            b"Authentication-Results: mail.songlam.example; none\r\nAuthentication-Results: mail",
        ),
        (b"Authentication-Results: mail", b"Authentication-Results: ?\r\nAuthentication-Results: mail"),
        (b"X-Verified-Sender:", b"X-Was-Verified-Sender:"),
        (b"t=2026-11-24", b"t=2026-11-25"),
        (b"v=1;", b"v=2;"),
        (b"k=2026b", b"k=2026a"),
        (b"d=mail.songlam.example", b"d=mail.evil.example"),
        (b"X-Gateway-Seal:", b"X-Gateway-Seal: v=1\r\nX-Gateway-Seal:"),
        (b"X-Gateway-Seal: v", b"X-Gateway-Seal:\rv"),
        (b",\r\n ", b", \n "),
    ],
)
def test_any_change_breaks_it(old: bytes, new: bytes) -> None:
    """No octet that a reader goes by can be edited, added or taken away under a seal."""
    octets = marked()
    assert state(octets) is SealState.GOOD
    changed = octets.replace(old, new, 1)
    assert changed != octets
    assert state(changed) is SealState.BAD


def test_a_seal_cannot_be_copied() -> None:
    """Marks and seal of one message say nothing on another one, be it for the same recipient."""
    octets = marked()
    marks = octets[: octets.index(b"From:")]
    for other in (
        LETTER.replace(b"body", b"Pay now"),
        LETTER.replace(b"<1@", b"<2@"),
        LETTER.replace(b"soyte", b"evil"),
    ):
        assert state(marks + other) is SealState.BAD


def test_no_octet_moves_from_one_field_to_the_next() -> None:
    """Pieces are sealed with their lengths: cutting them elsewhere is another message."""
    one = marked(b"From: a@b.example\r\nSender: c\r\n\r\nbody\r\n")
    assert state(one) is SealState.GOOD
    assert state(one.replace(b"example\r\nSender: c", b"example\r\n Sender: c")) is SealState.BAD


def test_only_the_key_names_recipients() -> None:
    """A seal says neither who its recipients are, nor how many, nor in which order, nor that other mail had them."""
    alone = re.findall(r"[A-Za-z0-9_-]{12}", field(marked()).partition("r=")[2].partition(";")[0])
    both = re.findall(r"[A-Za-z0-9_-]{12}", field(marked(LETTER, LAN, MAI)).partition("r=")[2].partition(";")[0])
    assert len(alone) == len(both) == 4
    assert both == sorted(both)
    assert field(marked(LETTER, LAN, MAI)) == field(marked(LETTER, MAI, LAN, MAI))
    many = [Mailbox(f"a{number}", "b.example") for number in range(33)]
    octets = marked(LETTER, *many)
    assert field(octets).partition("r=")[2].count(",") == 63
    assert all(state(octets, each) is SealState.GOOD for each in many)
    elsewhere = field(marked(LETTER.replace(b"body", b"other")))
    assert not any(each in elsewhere for each in alone)
    assert not any(each in field(marked(keys=SealKeys((OLD,)))) for each in alone)


def test_keys_are_rotated() -> None:
    """The first key seals, all that are known are believed, and one that is gone is said to be unknown."""
    before = marked(keys=SealKeys((OLD,)))
    assert "k=2026a" in field(before)
    assert state(before) is SealState.GOOD
    assert state(before, keys=SealKeys((NEW,))) is SealState.UNKNOWN_KEY
    assert state(before, keys=SealKeys((("2026a", b"x" * 32),))) is SealState.BAD


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"v=1",
        b"v=1; k=2026b; d=a.example; t=2026-11-24T08:30:05+07:00; r=; b=" + b"A" * 43 + b"=",
        b"v=1; k=2026b; d=a.example; t=2026-11-24T08:30:05+07:00; r=" + b"a" * 12 + b"; b=",
        b"v=1; k=2026b; d=a.example; t=2026-11-24T08:30:05+07:00; r=" + b"a" * 11 + b"; b=" + b"A" * 43 + b"=",
        b"v=1; k=2026b; d=a.example; t=; r=" + b"a" * 12 + b"; b=" + b"A" * 43 + b"=",
        b"\xff" * 300,
        b"v=1; k=2026b; d=a.example; t=2026-11-24T08:30:05+07:00; r=" + b"a" * 12 + b", aaaaaaaaaaaa" * 9000 + b"; b=",
    ],
    ids=range(8),
)
def test_what_is_no_seal(value: bytes) -> None:
    """A field that is not one of ours is a bad seal, never a fault and never an absent one."""
    assert state(b"X-Gateway-Seal: " + value + b"\r\n" + LETTER) is SealState.BAD


def test_no_seal_is_absent() -> None:
    """Marks without a seal are not good, whatever they say; stripping takes a seal like every mark."""
    octets = marked()
    bare = octets[octets.index(b"Authentication-Results") :]
    assert state(bare) is SealState.ABSENT
    assert state(LETTER) is SealState.ABSENT
    assert state(strip(Message.of(octets), authserv_id=OURS).octets()) is SealState.ABSENT


def test_a_last_line_without_its_end_gets_one() -> None:
    """The next hop ends the last line of a message that came in chunks (RFC 3030); the seal stays good."""
    octets = marked(LETTER.removesuffix(b"\r\n"))
    assert state(octets) is SealState.GOOD
    assert state(octets + b"\r\n") is SealState.GOOD
    assert state(octets + b"\r\n\r\n") is SealState.BAD
    assert state(marked(b"From: a@b.example\r\n\r\n")) is SealState.GOOD


@pytest.mark.parametrize(
    "keys",
    [(), (NEW, NEW), (("a", b"x" * 31),), (("", b"x" * 32),), (("a b", b"x" * 32),), (("a;b=", b"x" * 32),)],
)
def test_keys_that_would_be_none(keys: tuple[tuple[str, bytes], ...]) -> None:
    """A key for seals has an id that fits the field, and as many octets as a seal."""
    with pytest.raises(ValueError, match="key"):
        SealKeys(keys)


def test_secrets_are_not_shown() -> None:
    """No log line that shows keys shows their secrets."""
    assert "nnnn" not in repr(KEYS)


def test_a_seal_is_made_once_and_for_somebody() -> None:
    """What is sealed already, or for nobody, is a mistake of ours, not a message."""
    sealing = Sealing(KEYS, (MAI,), NOW, OURS)
    with pytest.raises(ValueError, match="seal"):
        sealed(sealed(Message.of(LETTER), sealing), sealing)
    with pytest.raises(ValueError, match="seal"):
        sealed(Message.of(LETTER), Sealing(KEYS, (), NOW, OURS))


def test_the_largest_header_has_room_for_a_seal() -> None:
    """A message that was let in is never lost because our own fields made it too large."""
    letter = b"From: a@b.example\r\n" + b"X: y\r\n" * 990 + b"\r\nbody\r\n"
    assert state(marked(letter)) is SealState.GOOD
    letter = b"From: a@b.example\r\n" + (b"X: " + b"y" * 990 + b"\r\n") * 262 + b"\r\nbody\r\n"
    assert state(marked(letter)) is SealState.GOOD
    with pytest.raises(MimeError):
        state(b"X: y\r\n" * 2000 + marked())


def test_large_bodies_are_read_in_windows() -> None:
    """A body is hashed as it is read, whatever spans it is made of."""
    body = b"line of the body\r\n" * 40000
    octets = marked(LETTER + body)
    cuts = [0, 1000, 300000, len(octets)]
    pieces = Message.join(Message.of(octets[start:stop]) for start, stop in pairwise(cuts))
    assert check(pieces, MAI, KEYS) is SealState.GOOD
    changed = octets[:-3] + b"!" + octets[-2:]
    assert state(changed) is SealState.BAD

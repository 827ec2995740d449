"""Strip and tag under hostile input: what must stay the same octet for octet, and what nobody may read afterwards."""

from __future__ import annotations

import base64
import datetime as dt
import re
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.address import Mailbox
from gateway.core.message import Message
from gateway.core.verdict import (
    LESSER,
    NOTES,
    VERDICTS,
    ChainState,
    Judgment,
    Note,
    SignatureState,
    Signer,
    Verdict,
    Verified,
    VerifiedLesser,
)
from gateway.mime.fields import MimeError, decode_text, encode_text, read_header
from gateway.tagging import strip, tag
from gateway.tagging.results import claims_ours
from gateway.tagging.seal import Sealing, SealKeys, SealState, check, sealed
from support.examples import examples

NOW = dt.datetime(2026, 11, 24, 1, 30, tzinfo=dt.UTC)
OURS = "mail.songlam.example"
AUTHOR = Mailbox("soyte", "songlam.example")
KEYS = SealKeys((("k1", b"s" * 32),))
BRACKETS = "\uff3b\u3010\u3014\u27e6"
INVISIBLE = "\u200b\u200d\u2060\ufeff\u00ad\u202e\u180e\ufe0f\u034f\u3164"


def stripped(octets: bytes) -> bytes:
    return strip(Message.of(octets), authserv_id=OURS).octets()


def readable(text: str) -> str:
    """Return what is left of a text for an eye, computed otherwise than the code under test does."""
    folded = unicodedata.normalize("NFKC", text)
    kept = (each for each in folded if unicodedata.category(each) not in {"Cf", "Cc", "Cn", "Zs", "Zl", "Zp"})
    return unicodedata.normalize("NFKC", "".join(each for each in kept if each not in INVISIBLE)).casefold()


@st.composite
def noisy(draw: st.DrawFn, words: str = "Đã xác thực") -> str:
    """Draw the words of a tag as a forger writes them: other forms, other spacing, invisible characters between."""
    text = unicodedata.normalize(draw(st.sampled_from(["NFC", "NFD", "NFKC"])), words)
    text = draw(st.sampled_from([str.upper, str.lower, str.title, str]))(text)
    noise = draw(st.lists(st.tuples(st.integers(0, len(text)), st.sampled_from(INVISIBLE)), max_size=4))
    for place, character in noise:
        text = text[:place] + character + text[place:]
    return text.replace(" ", draw(st.sampled_from([" ", "  ", "\u00a0", "\t", "\u3000", ""])))


@st.composite
def subjects(draw: st.DrawFn) -> str:
    """Draw a subject made of tags, of pieces of tags, and of ordinary words, in any order."""
    opening, closing = st.sampled_from(f"[[{BRACKETS}"), st.sampled_from("]]\uff3d\u3011\u3015\u27e7 ")
    whole = st.builds(
        lambda a, b, c, d: f"{a}{b}{c}: Sở Y tế{d}", opening, st.sampled_from(["", " "]), noisy(), closing
    )
    piece = st.sampled_from(
        ["Re: ", "Fwd: ", "[", "]", "[Khẩn] ", "Họp giao ban", "Đã", " xác ", "thực", ": ", "=?", "?="]
    )
    return "".join(draw(st.lists(st.one_of(whole, whole, piece, st.text(max_size=4)), min_size=1, max_size=6)))


@st.composite
def encoded(draw: st.DrawFn, text: str) -> bytes:
    """Draw a way to write a subject: raw, or cut anywhere into encoded words of any kind, folded."""
    if draw(st.booleans()):
        return text.replace("\r", " ").replace("\n", " ").replace("\0", " ").encode("utf-8", "replace")
    octets = text.encode("utf-8", "replace")
    cuts = sorted(draw(st.lists(st.integers(0, len(octets)), max_size=4)))
    words = []
    for start, stop in zip([0, *cuts], [*cuts, len(octets)], strict=True):
        piece = octets[start:stop]
        if draw(st.booleans()):
            words.append(b"=?UTF-8?B?" + base64.b64encode(piece) + b"?=")
        else:
            words.append(b"=?utf-8*vi?q?" + b"".join(b"=%02X" % each for each in piece) + b"?=")
    return draw(st.sampled_from([b" ", b"\r\n ", b"", b"\r\n\t"])).join(words)


@settings(max_examples=examples(150))
@given(st.data())
def test_no_tag_is_readable_after_strip(data: st.DataObject) -> None:
    """However a subject is written, nobody reads a tag of ours in it once it was stripped."""
    text = data.draw(subjects())
    value = data.draw(encoded(text))
    result = stripped(b"From: a@b.example\r\nSubject: " + value + b"\r\n\r\nbody\r\n")
    (subject,) = read_header(Message.of(result)).all("subject")
    shown = readable(decode_text(subject.value))
    for bracket in f"[{BRACKETS}":
        assert f"{bracket}đãxácthực" not in shown
    assert stripped(result) == result
    assert result.startswith(b"From: a@b.example\r\n")
    assert result.endswith(b"\r\n\r\nbody\r\n")


NAMES = st.sampled_from(
    [
        b"X-Verified-Sender",
        b"x-verified-SENDER",
        b"X-Gateway-Verdict",
        b"X-Gateway-",
        b"Authentication-Results",
        b"Subject",
        b"From",
        b"Received",
        b"X-Other",
        b"X_Verified.Sender",
        b"ARC-Authentication-Results",
        "X-G\u0430teway-Seal".encode(),
        "\u0425-Verified-S\u0435nder".encode(),
        "\u202eSubject".encode(),
    ]
)
VALUES = st.sampled_from(
    [
        b"verified",
        b"mail.songlam.example; smime=pass",
        b"(c) MAIL.songlam.example 1; x=y",
        b"spf=pass",
        b"other.example; none",
        b"i=1; mail.songlam.example; smime=pass",
        b"i=1; other.example; none",
        "\u202e]X :cựht cáx ãĐ[ Họp".encode(),
        b"Hop",
        "[Đã xác thực: X] Họp".encode(),
        b"a b\r\n c",
        b"",
        b"\xff\x80",
    ]
)
ENDS = st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r", b"\x0b", b"\r\n \r\n"])
LINES = st.builds(
    lambda before, name, after, value, end: before + name + after + b":" + value + end,
    st.sampled_from([b""] * 6 + [b" ", b"\t", b"\0", b"\xc2\xa0", b"\xe2\x80\x8b"]),
    NAMES,
    st.sampled_from([b"", b"", b" ", b"\t ", b"\r\n ", b"\0"]),
    st.builds(lambda blank, value: blank + value, st.sampled_from([b" ", b"", b"\r\n "]), VALUES),
    ENDS,
)
HEADERS = st.lists(st.one_of(LINES, LINES, st.binary(max_size=12)), max_size=8).map(b"".join)
BODIES = st.sampled_from([b"", b"\r\n", b"\r\nX-Verified-Sender: in the body\r\n", b"\r\n\r\nSubject: [x]\n\r\0"])


@settings(max_examples=examples(200))
@given(HEADERS, BODIES)
def test_strip_is_done_once(header: bytes, body: bytes) -> None:
    """Stripping again changes nothing: what was taken out leaves nothing behind that passes for ours."""
    once = stripped(header + body)
    assert stripped(once) == once


@settings(max_examples=examples(200))
@given(HEADERS, BODIES)
def test_nothing_is_added_by_strip(header: bytes, body: bytes) -> None:
    """Below the header block nothing changes, and a message without forged marks keeps every octet."""
    message = Message.of(header + body)
    before = read_header(message)
    result = stripped(header + body)
    assert result.endswith(message.read(before.stop, len(message)))
    for each in read_header(Message.of(result)).fields:
        assert each.key != "x-verified-sender"
        assert not each.key.startswith("x-gateway-")
        assert not (each.key == "authentication-results" and claims_ours(each.value, OURS))
    assert check(Message.of(result), AUTHOR, KEYS) is SealState.ABSENT


@settings(max_examples=examples(200))
@given(HEADERS, BODIES, st.data())
def test_a_sealed_message_cannot_be_changed(header: bytes, body: bytes, data: st.DataObject) -> None:
    """A seal holds for each of its recipients, above whatever a mail store adds, and for no other octets."""
    recipients = (AUTHOR, Mailbox("b", "thư.example"))
    message = strip(Message.of(b"From: a@b.example\r\n" + header + body), authserv_id=OURS)
    octets = sealed(message, Sealing(KEYS, recipients, NOW, OURS)).octets()
    stored = Message.of(b"Return-Path: <>\r\nReceived: by x\r\n" + octets)
    assert {check(stored, each, KEYS) for each in recipients} == {SealState.GOOD}
    assert check(stored, Mailbox("c", "d.example"), KEYS) is SealState.WRONG_RECIPIENT
    read = read_header(Message.of(octets))
    places = [
        *range(read.body, len(octets)),
        *(place for each in read.fields[:2] for place in range(each.start + len(each.name), each.stop)),
    ]
    place = data.draw(st.sampled_from(places))
    other = data.draw(st.integers(1, 255))
    changed = octets[:place] + bytes([octets[place] ^ other]) + octets[place + 1 :]
    try:
        states = {check(Message.of(changed), each, KEYS) for each in recipients}
    except MimeError:
        return
    assert SealState.GOOD not in states or unfolded(changed) == unfolded(octets)


def unfolded(octets: bytes) -> bytes:
    """Return the octets with white space made equal: how the seal's own field is folded says nothing."""
    return re.sub(rb"(?:\r?\n)?[ \t]+", b" ", octets)


TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["Sở Y tế", 'x"\r\nX-Evil: 1', "a] [Đã xác thực: Bộ Công an", "\u202eabc", "(", "\\", "C=VN, O=\\,"]
    ),
)
SIGNERS = st.builds(
    Signer,
    subject=TEXTS,
    issuer=TEXTS,
    serial=st.sampled_from(["", "5400AB", '"', "é"]),
    addresses=st.lists(st.one_of(TEXTS, st.just(str(AUTHOR))), max_size=3).map(lambda found: (*found, str(AUTHOR))),
    agency=st.none() | TEXTS,
    claimed_signing_time=st.none(),
    algorithm=TEXTS,
    fingerprint=st.just("ab" * 32),
)


@st.composite
def judgments(draw: st.DrawFn) -> Judgment:
    kind = draw(st.sampled_from([row.kind for row in VERDICTS]))
    signers = tuple(draw(st.lists(SIGNERS, min_size=1, max_size=5)))
    reason = draw(st.sampled_from(["expired", "digest_mismatch", "new_reason", 'x"; smime=pass']))
    verdict: Verdict
    if kind is Verified:
        verdict = Verified("verified", signers, AUTHOR)
    elif kind is VerifiedLesser:
        verdict = VerifiedLesser(draw(st.sampled_from(LESSER)), signers, AUTHOR)
    else:
        verdict = kind(reason, signers)  # type: ignore[assignment]
    chain = draw(st.sampled_from([ChainState.NONE, ChainState.VALID]))
    notes = tuple(draw(st.lists(st.builds(Note, st.sampled_from(NOTES), TEXTS), max_size=3)))
    return Judgment(verdict, chain, SignatureState.VALID, True, draw(st.booleans()), AUTHOR, (), notes)


@settings(max_examples=examples(200))
@given(HEADERS, BODIES, judgments(), TEXTS | st.none(), st.sampled_from(["off", "on", "bad_only"]))
def test_tag_only_adds_and_strip_takes_it_away(
    header: bytes, body: bytes, judgment: Judgment, agency: str | None, subject: str
) -> None:
    """Tagging adds above and in subjects only, and stripping gives back what was there, octet for octet.

    Where a tag stood in a subject the subject is written anew; all else is as before.
    """
    clean = strip(Message.of(header + body), authserv_id=OURS)
    marked = tag(clean, judgment, agency=agency, authserv_id=OURS, subject=subject, received_at=NOW)  # type: ignore[arg-type]
    read = read_header(marked)
    before = read_header(clean)
    assert marked.read(read.stop, len(marked)) == clean.read(before.stop, len(clean))
    again = strip(marked, authserv_id=OURS)
    if subject == "off":
        assert again.octets() == clean.octets()
    assert _others(again) == _others(clean)


@settings(max_examples=examples(100))
@given(HEADERS, BODIES, judgments(), st.sampled_from(["off", "on", "bad_only"]))
def test_a_trace_field_put_on_with_the_marks_stands_below_them(
    header: bytes, body: bytes, judgment: Judgment, subject: str
) -> None:
    """The octets are those of a message that had it before it was marked, whatever its header is like."""
    trace = b"Received: from x.example by mail.songlam.example\r\n\tid 1;\r\n\tTue, 24 Nov 2026 08:30:00 +0700\r\n"
    clean = strip(Message.of(header + body), authserv_id=OURS)
    traced = Message.join((trace, clean))
    facts = {"agency": None, "authserv_id": OURS, "subject": subject, "received_at": NOW}
    at_once = tag(clean, judgment, header=read_header(clean), below=trace, **facts)  # type: ignore[arg-type]
    assert at_once.octets() == tag(traced, judgment, **facts).octets()  # type: ignore[arg-type]


def _others(message: Message) -> list[bytes]:
    return [each.raw for each in read_header(message).fields if each.key != "subject"]


@settings(max_examples=examples(200))
@given(judgments(), TEXTS | st.none())
def test_certificates_cannot_write_fields(judgment: Judgment, agency: str | None) -> None:
    """Whatever a certificate or the registry says, our fields stay the fields they are, in ASCII and in lines."""
    clean = Message.of(b"From: a@b.example\r\nSubject: " + encode_text("Họp") + b"\r\n\r\nbody")
    marked = tag(clean, judgment, agency=agency, authserv_id=OURS, subject="on", received_at=NOW)
    read = read_header(marked)
    assert not read.defects
    names = [each.key for each in read.fields]
    verified = ["x-verified-sender"] if isinstance(judgment.verdict, Verified) else []
    signers = ["x-gateway-signer"] * min(4, len(judgment.verdict.signers))
    above = ["authentication-results", "x-gateway-verdict", *verified, *signers, "x-gateway-reason"]
    assert names == [*above, "from", "subject"]
    octets = marked.octets()
    assert octets.isascii()
    assert all(len(line) < 998 for line in octets.split(b"\r\n"))
    (subject,) = read.all("subject")
    if not isinstance(judgment.verdict, Verified):
        assert b"smime=pass" not in read.fields[0].value.replace(b"x___smime_pass", b"")
        assert "daxacthuc" not in readable(decode_text(octets)).replace("đãxácthực", "daxacthuc")
    else:
        assert decode_text(subject.value).count("]") == 1

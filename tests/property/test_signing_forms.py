"""Signing by property: the header keeps its octets, whatever the form; what is inside is what was signed."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cms.algorithms import raw_sign
from gateway.core.message import Message
from gateway.core.octets import MemoryBuilder
from gateway.core.verdict import Verified
from gateway.mime.fields import read_header
from gateway.pki.certificate import Certificate
from gateway.smime.opaque import finish_opaque
from gateway.smime.own_work import check_own_work
from gateway.smime.sign import PROTECTED, Body, Prepared, content_digest, finish_clear, prepare
from support.letters import HEAD, NOW, judged, lan, template

WORDS = st.sampled_from(
    [
        "Quyet dinh",
        "=?UTF-8?B?S+G6v3QgcXXhuqM=?=",
        "=?utf-8?q?=C4=90=C6=A1n?=",
        "so 17/QD",
        "x" * 30,
        "V/v:",
        "  ",
        "\t",
        '"',
    ]
)
SUBJECTS = st.lists(WORDS, min_size=1, max_size=12).map(" ".join).filter(lambda text: text.strip() != "")
FOLDS = st.sampled_from([" ", "\r\n ", "\r\n\t", "\r\n  "])
NAMES = st.sampled_from(
    ["Subject", "subject", "X-Office", "References", "Comments", "Received", "DKIM-Signature", "List-Id"]
)


SHOWN_ONCE = frozenset({"subject", "date", "to", "cc", "sender", "reply-to"})
"""What every reader shows, and each another one of where there are two."""


@st.composite
def fields(draw: st.DrawFn) -> bytes:
    """Return one header field as clients write them: any length, folded anywhere, with encoded words."""
    words = draw(SUBJECTS).split(" ")
    folded = "".join(word + draw(FOLDS) for word in words[:-1]) + words[-1]
    kept = [line for line in folded.split("\r\n") if line.strip()]
    return f"{draw(NAMES)}: ".encode() + "\r\n".join(kept).lstrip().encode() + b"\r\n"


BODIES = st.sampled_from(
    [
        b"Content-Type: text/plain; charset=utf-8\r\n\r\nDa nhan.\r\n",
        "Content-Type: text/html; charset=utf-8\r\n\r\n<p>Đã nhận</p>\r\n".encode(),
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
        b"\r\n",
    ]
)


def made(message: bytes, *, body: Body, protect: bool, opaque: bool) -> tuple[Prepared, Message]:
    chosen, credential = template(lan("p256")), lan("p256")
    prepared = prepare(
        Message.of(message),
        now=NOW,
        new_message_id=lambda: "<made@here.example>",
        new_builder=MemoryBuilder,
        body=body,
        protect=PROTECTED if protect else (),
    )
    assert isinstance(prepared, Prepared)
    over = chosen.to_be_signed(content_digest(prepared, chosen.digest), NOW)
    value = raw_sign(credential.key, over, scheme=chosen.scheme, digest=chosen.digest)
    if opaque:
        finished = finish_opaque(
            prepared, template=chosen, to_be_signed=over, signature=value, new_builder=MemoryBuilder
        )
    else:
        cms = chosen.finish(over, value)
        finished = finish_clear(prepared, cms=cms, micalg=chosen.micalg, new_token=lambda: "2fd4e1c67a2d28fced849ee1")
    return prepared, finished


@settings(max_examples=150)
@given(some=st.lists(fields(), max_size=6), body=BODIES, protect=st.booleans(), opaque=st.booleans())
def test_outer_fields_keep_every_octet(some: list[bytes], body: bytes, *, protect: bool, opaque: bool) -> None:
    """Fields that are not Content-*: the same octets in the same order, folded or not, of any length (wish 14)."""
    head = b"".join(some) + HEAD + b"MIME-Version: 1.0\r\n"
    prepared, finished = made(head + body, body=Body.SEVEN_BIT, protect=protect, opaque=opaque)
    assert finished.octets().startswith(head)
    inside = prepared.entity.octets().partition(b"\r\n\r\n")[0] + b"\r\n"
    assert not re.search(rb"[ \t]\r\n", inside)
    for each in read_header(Message.of(head + b"\r\n")).fields if protect else ():
        if each.key in PROTECTED and not re.search(rb"[ \t]\r\n", each.raw):
            assert each.raw in inside
    after = [field.key for field in read_header(finished).fields][len(read_header(Message.of(head + b"\r\n")).fields) :]
    assert all(name.startswith("content-") for name in after)
    certificate = Certificate.load(lan("p256").certificate)
    assert check_own_work(finished, certificate=certificate, sent_along=template(lan("p256")).certificates) is None
    found = judged(finished)
    shown = {(each.key, each.value) for each in read_header(finished).fields if each.key in SHOWN_ONCE}
    if len(shown) > len({key for key, _ in shown}):
        assert found.verdict.reason in ("headers_changed", "verified"), found.verdict
        return
    assert isinstance(found.verdict, Verified), found.verdict.reason
    assert found.headers_signed or not protect


@settings(max_examples=100)
@given(some=st.binary(max_size=400), lines=st.integers(0, 200), binary=st.booleans())
def test_any_octets_are_enclosed_whole(some: bytes, lines: int, *, binary: bool) -> None:
    """Opaque: what a reader takes out is what was signed, to the octet, whatever it is."""
    content = some.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"") + b"\r\n" + b"dong chu\r\n" * lines
    message = HEAD + b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n\r\n" + content
    prepared, finished = made(message, body=Body.BINARY if binary else Body.SEVEN_BIT, protect=False, opaque=True)
    found = judged(finished)
    assert isinstance(found.verdict, Verified), found.verdict.reason
    if binary:
        assert prepared.entity.octets().endswith(content)

"""Sign, then verify: Verified for any message, and never again after one octet of what is signed has changed."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cms.asn1 import tlv
from gateway.core.message import Message
from gateway.core.verdict import Verified, VerifiedLesser
from gateway.mime.entity import parse
from gateway.mime.fields import decode_text
from gateway.smime.identity import Lenience, Who, identified
from gateway.smime.verify import open_message
from support.examples import examples
from support.forger import Forger, issuer_and_serial
from support.letters import (
    HEAD,
    LAN,
    clear_entity,
    detached,
    judged,
    lan,
    mail,
    opaque_entity,
    real_life,
    signed,
    text_part,
)
from support.pieces import apart
from support.rooms import REGISTRY

if TYPE_CHECKING:
    from gateway.mime.fields import Header

TEXTS = st.lists(
    st.sampled_from(["à", "kết quả", " ", "\r\n", "From ", ".", "--b", "=", "\t", "x" * 80, "--=_lan", "<b>", "\x0c"]),
    max_size=30,
).map("".join)
LEAVES = st.builds(
    lambda kind, text: f"Content-Type: {kind}\r\n\r\n{text}\r\n".encode(),
    st.sampled_from(["text/plain; charset=utf-8", "text/html; charset=utf-8", "application/octet-stream"]),
    TEXTS,
)
ENTITIES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(
        lambda parts: (
            b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n" % sum(map(len, parts))
            + b"".join(b"--b%d\r\n%s\r\n" % (sum(map(len, parts)), part) for part in parts)
            + b"--b%d--\r\n" % sum(map(len, parts))
        )
    ),
    max_leaves=5,
)


@given(ENTITIES)
@settings(max_examples=examples(60))
def test_what_we_sign_is_verified(entity: bytes) -> None:
    """For every message of ours that is not signed or encrypted already."""
    found = judged(signed(HEAD + b"MIME-Version: 1.0\r\n" + entity, lan(), boundary="=_outer_of_all"))
    assert isinstance(found.verdict, Verified), found.verdict.reason


@lru_cache(maxsize=32)
def good(kind: str) -> bytes:
    message = signed(real_life()[kind], lan())
    assert isinstance(judged(message).verdict, Verified)
    return message


@lru_cache(maxsize=32)
def parts(kind: str) -> tuple[range, range]:
    """Return where the signed part lies, and where the letters of the signature."""
    first, second = parse(Message.of(good(kind))).children
    return range(first.start, first.stop), range(second.body, second.stop)


@pytest.mark.parametrize("kind", sorted(real_life()))
@settings(max_examples=examples(12))
@given(st.data())
def test_any_changed_octet_of_the_signed_part(kind: str, data: st.DataObject) -> None:
    """One octet, at any place, to any other value: not Verified, and not anything greener than broken or ambiguous."""
    place = data.draw(st.sampled_from(parts(kind)[0]))
    message = good(kind)
    octet = data.draw(st.integers(0, 255).filter(lambda value: value != message[place]))
    changed = message[:place] + bytes([octet]) + message[place + 1 :]
    assert not isinstance(judged(changed).verdict, Verified)


@lru_cache(maxsize=1)
def clear_parts() -> tuple[bytes, bytes, int]:
    """Return a part, its detached CMS, and where in that the digest algorithm of the SignerInfo begins.

    Before it stand a version and the name of the issuer: they only say where the certificate is looked for.
    """
    part = text_part("Chuyen 5 trieu dong.")
    cms = detached(part, lan())
    return part, cms, cms.rindex(issuer_and_serial(lan().certificate)) + len(issuer_and_serial(lan().certificate))


@settings(max_examples=examples(400))
@given(st.data())
def test_any_changed_octet_of_the_signer(data: st.DataObject) -> None:
    """One octet of the algorithms, the attributes or the value: never Verified."""
    part, cms, begin = clear_parts()
    place = data.draw(st.integers(begin, len(cms) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda value: value != cms[place]))
    changed = cms[:place] + bytes([octet]) + cms[place + 1 :]
    assert isinstance(judged(mail(clear_entity(part, cms))).verdict, Verified)
    assert not isinstance(judged(mail(clear_entity(part, changed))).verdict, Verified)


@pytest.mark.parametrize("kind", sorted(real_life()))
@settings(max_examples=examples(5))
@given(st.data())
def test_any_pieces_give_the_same_judgment(kind: str, data: st.DataObject) -> None:
    """How a message is held in spans says nothing about it."""
    message = good(kind)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(message)), max_size=6)))
    pieces = [message[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(message)], strict=True)]
    assert judged(apart(pieces)) == judged(message)


@pytest.mark.parametrize("kind", sorted(real_life()))
@settings(max_examples=examples(10))
@given(st.data())
def test_cut_or_doubled_messages_are_judged(kind: str, data: st.DataObject) -> None:
    """A message that is cut anywhere inside its signed part or signature is never Verified, and never a surprise."""
    message = good(kind)
    stop = data.draw(st.integers(0, parts(kind)[1].stop - 4))
    assert not isinstance(judged(message[:stop]).verdict, Verified)


SHOWN = frozenset({"from", "to", "subject", "date"})
ALL = Who(REGISTRY, frozenset(Lenience))


@lru_cache(maxsize=2)
def protected(kind: str) -> bytes:
    """Return a message with protected header fields, clear or opaque, as verified as can be."""
    part = HEAD.rstrip(b"\r\n") + b'\r\nContent-Type: text/plain; hp="clear"\r\n\r\nChao chi.\r\n'
    if kind == "clear":
        message = mail(clear_entity(part, detached(part, lan())))
    else:
        message = mail(opaque_entity(Forger(lan()).cms(part, content=tlv(0x04, part))))
    found = judged(message)
    assert isinstance(found.verdict, Verified)
    assert found.headers_signed
    return message


def told(header: Header, name: str) -> list[list[str]]:
    """Return what a reader sees of the fields of a name, without regard to folding."""
    return [re.split(r"[ \t\r\n]+", decode_text(each.value)) for each in header.all(name)]


@pytest.mark.parametrize("kind", ["clear", "opaque"])
@settings(max_examples=examples(300))
@given(st.data())
def test_any_changed_octet_anywhere(kind: str, data: st.DataObject) -> None:
    """What stays verified after a change says the same: content, author and every shown field as they were signed.

    With every lenience on, too: no change of one octet may buy a lesser state that speaks for another author.
    """
    message = protected(kind)
    place = data.draw(st.integers(0, len(message) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda value: value != message[place]))
    changed = message[:place] + bytes([octet]) + message[place + 1 :]
    before, found = open_message(Message.of(message)), judged(changed)
    if not isinstance(found.verdict, Verified | VerifiedLesser):
        return
    after = open_message(Message.of(changed))
    assert [each.content.octets() for each in after.structure.signatures] == [
        each.content.octets() for each in before.structure.signatures
    ]
    assert found.author is not None
    assert found.author.key == LAN
    same = all(told(before.header, name) == told(after.header, name) for name in SHOWN)
    assert same == isinstance(found.verdict, Verified)
    assert type(identified(found, after.header, ALL).verdict) is type(found.verdict)

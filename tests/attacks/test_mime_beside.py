"""Words that nobody signed, shown beside, around or instead of a signed part (Müller et al. 2019, MIME class)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from gateway.cms.asn1 import tlv
from support.attacks import STRANGER, Honest, head, letter, part, signer
from support.forger import Forger
from support.letters import clear_entity, detached, multipart, opaque_entity

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.attacks import Field

EVIL: Final = part("Chuyen 500 trieu dong.")
LINE: Final = b"--outer\r\n"
ATTACHED: Final = b"Content-Disposition: attachment; filename=thu.eml\r\n"


def html(body: str) -> bytes:
    """Return an HTML part that nobody signed."""
    return part(body, subtype="html")


def kind(of: str, *parts: bytes, parameters: str = "") -> Callable[[Honest], bytes]:
    """Return what puts the signed entity, in the place of b"", among parts of one multipart."""
    return lambda h: h.under(multipart(of, *(each or h.entity for each in parts), parameters=parameters))


def named(entity: bytes) -> bytes:
    """Return an entity that can be fetched as cid:ky."""
    return b"Content-ID: <ky>\r\n" + entity


def fetched(body: str, of: str = "related") -> Callable[[Honest], bytes]:
    """Return HTML that fetches the signed entity."""
    return lambda h: h.under(multipart(of, html(body), named(h.entity)))


BESIDE: dict[str, tuple[Callable[[Honest], bytes], tuple[str, str]]] = {
    "text before": (kind("mixed", EVIL, b""), ("partial", "text_before_signed")),
    "text behind": (kind("mixed", b"", EVIL), ("partial", "footer_outside")),
    "text before and behind": (kind("mixed", EVIL, b"", EVIL), ("partial", "text_before_signed")),
    "HTML before": (kind("mixed", html("<b>500</b>"), b""), ("partial", "markup_beside_signed")),
    "HTML behind": (kind("mixed", b"", html("<b>500</b>")), ("partial", "markup_beside_signed")),
    "file behind": (
        kind("mixed", b"", b"Content-Type: application/pdf\r\n" + ATTACHED + b"\r\nx\r\n"),
        ("partial", "part_beside_signed"),
    ),
    "nothing but the wrapping": (kind("mixed", b""), ("partial", "wrapped")),
    "alternative, signed last": (kind("alternative", EVIL, b""), ("partial", "alternative_to_signed")),
    "alternative, signed first": (kind("alternative", b"", EVIL), ("partial", "alternative_to_signed")),
    "alternative, HTML instead": (kind("alternative", b"", html("500")), ("partial", "alternative_to_signed")),
    "related, evil as root": (kind("related", EVIL, b""), ("partial", "related_to_signed")),
    "related, signed as root": (kind("related", b"", EVIL), ("partial", "related_to_signed")),
    "in parallel": (kind("parallel", EVIL, b""), ("partial", "text_before_signed")),
    "in a digest": (kind("digest", EVIL, b""), ("partial", "text_before_signed")),
    "in a report": (
        kind("report", EVIL, b"", parameters="; report-type=delivery-status"),
        ("partial", "text_before_signed"),
    ),
    "in form data": (kind("form-data", EVIL, b""), ("partial", "text_before_signed")),
    "in a kind that nobody knows": (kind("x-la", EVIL, b""), ("partial", "text_before_signed")),
    "two levels down": (
        lambda h: h.under(multipart("mixed", EVIL, multipart("mixed", h.entity, boundary="in"))),
        ("partial", "text_before_signed"),
    ),
    "signed part as attachment": (
        lambda h: h.under(multipart("mixed", EVIL, ATTACHED + h.entity)),
        ("unsigned", "signed_inside_attachment"),
    ),
    "signed letter as attachment": (
        lambda h: h.under(
            multipart("mixed", EVIL, b"Content-Type: message/rfc822\r\n" + ATTACHED + b"\r\n" + h.message)
        ),
        ("unsigned", "signed_message_inside"),
    ),
    "signed letter inside, shown inline": (
        lambda h: h.under(
            multipart("mixed", EVIL, b"Content-Type: message/rfc822\r\nContent-Disposition: inline\r\n\r\n" + h.message)
        ),
        ("unsigned", "signed_message_inside"),
    ),
    "signed letter inside and nothing else": (
        lambda h: h.under(b"Content-Type: message/rfc822\r\n\r\n" + h.message),
        ("unsigned", "signed_message_inside"),
    ),
    "signed letter as text": (
        lambda h: h.under(b"Content-Type: text/plain\r\n\r\n" + h.message),
        ("unsigned", "no_signature"),
    ),
    "signature kept, signed part gone to text": (
        lambda h: h.under(
            multipart(
                "mixed",
                h.part,
                b"Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            )
        ),
        ("unsigned", "signed_inside_attachment"),
    ),
    "two signed parts of one author": (
        lambda h: h.under(multipart("mixed", h.entity, Honest().entity)),
        ("partial", "two_signed_parts"),
    ),
    "signed by a stranger, then the author's": (
        lambda h: h.under(multipart("mixed", clear_entity(EVIL, detached(EVIL, signer(STRANGER))), h.entity)),
        ("partial", "two_signed_parts"),
    ),
}


@pytest.mark.parametrize("idea", sorted(BESIDE))
def test_unsigned_words_beside_signed_ones(field: Field, idea: str) -> None:
    """M1 and M4: a signature somewhere in a message is not one over the message, and every way has its own name."""
    forge, why = BESIDE[idea]
    honest = Honest()
    assert field.attack(honest.message, forge(honest)).why == why


FETCHED: dict[str, tuple[Callable[[Honest], bytes], tuple[str, str]]] = {
    "frame": (fetched('<p>500 trieu</p><iframe src="cid:ky">'), ("partial", "fetched_by_unsigned")),
    "image": (fetched('<p>500 trieu</p><img src="cid:ky">'), ("partial", "fetched_by_unsigned")),
    "embedded object": (fetched('<object data="CID:ky"></object>'), ("partial", "fetched_by_unsigned")),
    "by the message's id": (fetched('<iframe src="mid:1@a.example/ky">'), ("partial", "fetched_by_unsigned")),
    "letters written as numbers": (fetched('<iframe src="cid&#58;ky">'), ("partial", "fetched_by_unsigned")),
    "every letter written as a number": (
        fetched('<iframe src="&#99;&#105;&#100;&#58;ky">'),
        ("partial", "related_to_signed"),
    ),
    "beside it in a mixed one": (fetched('<iframe src="cid:ky">', "mixed"), ("partial", "fetched_by_unsigned")),
    "style that hides what follows": (
        fetched("<p>500 trieu</p><style>body > * + * {display: none}</style>", "mixed"),
        ("partial", "markup_beside_signed"),
    ),
    "style that is not closed": (fetched("<p>500 trieu</p><style>", "mixed"), ("partial", "markup_beside_signed")),
    "comment that is not closed": (fetched("<p>500 trieu</p><!--", "mixed"), ("partial", "markup_beside_signed")),
    "plaintext, which never ends": (fetched("<p>500</p><plaintext>", "mixed"), ("partial", "markup_beside_signed")),
    "text field that is not closed": (fetched("<p>500</p><textarea>", "mixed"), ("partial", "markup_beside_signed")),
    "attribute that is not closed": (fetched('<p>500</p><img alt="', "mixed"), ("partial", "markup_beside_signed")),
    "title that is not closed": (fetched("<p>500</p><title>", "mixed"), ("partial", "markup_beside_signed")),
    "script that is not closed": (fetched("<p>500</p><script>", "mixed"), ("partial", "markup_beside_signed")),
    "collapsed details": (fetched("<p>500</p><details>", "mixed"), ("partial", "markup_beside_signed")),
    "a page that covers all": (
        fetched('<div style="position:fixed;top:0;height:99em;background:#fff">500</div>', "mixed"),
        ("partial", "markup_beside_signed"),
    ),
    "base for what the signed HTML names": (
        fetched('<base href="http://ke-trom.example/">', "mixed"),
        ("partial", "markup_beside_signed"),
    ),
    "many blank lines before": (kind("mixed", b"", part("\r\n" * 400 + "500 trieu")), ("partial", "footer_outside")),
}


@pytest.mark.parametrize("idea", sorted(FETCHED))
def test_unsigned_html_that_shows_or_hides_the_signed_part(field: Field, idea: str) -> None:
    """M2 and M3: HTML outside the signature can fetch, hide or cover it: never green, and it is said to be HTML."""
    forge, why = FETCHED[idea]
    honest = Honest()
    assert field.attack(honest.message, forge(honest)).why == why


AROUND: dict[str, tuple[Callable[[bytes], bytes], tuple[str, str]]] = {
    "preamble": (lambda good: good.replace(LINE, b"500 trieu\r\n" + LINE, 1), ("partial", "text_outside_signature")),
    "HTML preamble": (
        lambda good: good.replace(LINE, b"<b>500 trieu</b>\r\n" + LINE, 1),
        ("partial", "text_outside_signature"),
    ),
    "a whole part as preamble": (
        lambda good: good.replace(LINE, EVIL + LINE, 1),
        ("partial", "text_outside_signature"),
    ),
    "sentence of a mail program and more": (
        lambda good: good.replace(LINE, b"This is an S/MIME signed message. 500 trieu.\r\n" + LINE, 1),
        ("partial", "text_outside_signature"),
    ),
    "epilogue": (lambda good: good + b"500 trieu\r\n", ("partial", "text_outside_signature")),
    "epilogue far below": (lambda good: good + b"\r\n" * 3000 + EVIL, ("partial", "text_outside_signature")),
    "second letter as epilogue": (
        lambda good: good + head() + b"\r\n500 trieu\r\n",
        ("partial", "text_outside_signature"),
    ),
    "third part": (
        lambda good: good.replace(b"--outer--", LINE + EVIL + b"\r\n--outer--"),
        ("partial", "part_after_signature"),
    ),
    "part before the signed one": (lambda good: good.replace(LINE, LINE + EVIL + b"\r\n" + LINE, 1), ("invalid", "")),
    "part between": (
        lambda good: good[: good.rindex(LINE)] + LINE + EVIL + b"\r\n" + good[good.rindex(LINE) :],
        ("invalid", "signature_misplaced"),
    ),
    "signature first": (
        lambda good: good.replace(
            b"\r\n--outer\r\nContent-Type: application",
            b"\r\n--outer\r\nContent-Type: text/plain\r\n\r\n500\r\n--outer\r\nContent-Type: application",
            1,
        ),
        ("invalid", "signature_misplaced"),
    ),
    "signature taken away": (
        lambda good: good[: good.rindex(LINE)] + b"--outer--\r\n",
        ("invalid", "signature_missing"),
    ),
    "signature emptied": (
        lambda good: good[: good.index(b"\r\n\r\n", good.rindex(LINE)) + 4] + b"\r\n--outer--\r\n",
        ("invalid", "malformed_cms"),
    ),
}


@pytest.mark.parametrize("idea", sorted(AROUND))
def test_unsigned_words_inside_the_signed_multipart(field: Field, idea: str) -> None:
    """M1 to M4 within multipart/signed: only its first part is signed, and only two parts may be there."""
    forge, why = AROUND[idea]
    good = letter()
    found = field.attack(good, forge(good))
    assert found.why == why if why[1] else found.verdict == why[0]


POINTERS: Final = {
    "a page": b'Content-Type: message/external-body; access-type=URL; URL="http://ke-trom.example/"\r\n\r\n'
    b"Content-Type: text/plain\r\n\r\n",
    "a file on a server": b"Content-Type: message/external-body; access-type=anon-ftp; site=a.example; name=a\r\n\r\n"
    b"Content-Type: text/plain\r\n\r\n",
    "a piece of a letter": b"Content-Type: message/partial; id=a; number=1; total=2\r\n\r\nSubject: x\r\n\r\nx\r\n",
}


@pytest.mark.parametrize("idea", sorted(POINTERS))
def test_a_signed_pointer_to_unsigned_words(field: Field, idea: str) -> None:
    """What is signed is where the words are, not what they are: whoever holds that place can change them."""
    honest, content = Honest(), POINTERS[idea]
    for entity in (content, multipart("mixed", part(), content, boundary="in")):
        forged = honest.under(clear_entity(entity, detached(entity, signer())))
        assert field.attack(honest.message, forged).why == ("partial", "content_elsewhere")


def test_an_opaque_letter_beside_unsigned_words(field: Field) -> None:
    """What is signed inside a CMS is lent to words beside it no more than what is signed in the clear."""
    honest = Honest()
    inner = opaque_entity(Forger(signer()).cms(honest.part, content=tlv(0x04, honest.part)))
    forged = honest.under(multipart("mixed", EVIL, inner))
    assert field.attack(honest.under(inner), forged).why == ("partial", "text_before_signed")

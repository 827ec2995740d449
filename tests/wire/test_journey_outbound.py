"""The way out, nothing mocked: swaks -> gateway -> Postfix -> Dovecot -> IMAP, judged by four other programs.

What IMAP returns is cut by the tests' own splitter; the peers get exactly those octets.
"""

from __future__ import annotations

import email
import email.policy
import re
from typing import TYPE_CHECKING, Final

import pytest

from support.gateway_process import AUTHORS, HOSTNAME, credentials, root_pem
from support.letters import (
    HEAD,
    LAN,
    PLAIN,
    base64_lines,
    clear_entity,
    mail,
    multipart,
    opaque_entity,
    real_life,
    text_part,
)
from support.splitter import body_of, flipped
from support.town import OUTSIDE
from support.verifiers import Gpgsm, bouncycastle_verify, nss_verify, openssl_encrypt, openssl_sign, openssl_verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import EmailMessage, Message
    from pathlib import Path

    from support.town import Found, Town

BIG: Final = 25_000_000
"""Octets of the big attachment, before base64."""
VERIFIERS: Final = ("openssl", "gpgsm", "nss", "bouncycastle")
REENCODED: Final = frozenset(
    {
        "plain_8bit",
        "no_mime_8bit",
        "long_lines",
        "alternative",
        "attachment",
        "calendar",
        "forwarded",
        "related_html",
        "no_final_line_end",
        "latin_body",
        "raw_8bit_names",
        "unicode_parameter",
        "traps",
        "flowed",
    }
)
"""Letters whose body a transport could change: 8-bit, lines over 998 octets, no end of the last line, a lone dot,
blanks at the end of a line, "From " at its begin."""
LETTERS: Final = {
    **{name: letter for name, letter in real_life().items() if b"\0" not in letter},
    "raw_8bit_names": PLAIN.replace(HEAD.split(b"\r\n")[0], f"From: Hoàng Thị Lan <{LAN}>".encode()).replace(
        b"To: Nguyen Thi Mai", "To: Nguyễn Thị Mai".encode()
    ),
    "latin_body": mail(b"Content-Type: text/plain\r\n\r\nK\xednh g\xedi\r\n"),
    "empty": HEAD + b"\r\n",
    "unicode_parameter": mail(
        multipart(
            "mixed",
            text_part("Xem tep."),
            'Content-Type: application/pdf; name="Quyết định.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'.encode()
            + base64_lines(b"%PDF-1.7"),
        )
    ),
}


@pytest.fixture(scope="module")
def by_key(town: Town) -> Mapping[str, Found]:
    """One letter signed with each kind of key."""
    letters = {kind: PLAIN.replace(LAN.encode(), author.encode()) for kind, author in AUTHORS.items()}
    for kind, letter in letters.items():
        sent = town.submit(f"key-{kind}@{OUTSIDE}", letter, sender=AUTHORS[kind])
        assert sent.accepted, sent.transcript
    return {kind: town.delivered(f"key-{kind}@{OUTSIDE}", letter) for kind, letter in letters.items()}


@pytest.fixture(scope="module")
def by_letter(town: Town) -> Mapping[str, Found]:
    """Each kind of letter, signed with the clerk's key."""
    for name, letter in LETTERS.items():
        sent = town.submit(f"letter-{name}@{OUTSIDE}", letter)
        assert sent.accepted, (name, sent.transcript)
    return {name: town.delivered(f"letter-{name}@{OUTSIDE}", letter) for name, letter in LETTERS.items()}


@pytest.fixture(scope="module")
def castle(
    by_key: Mapping[str, Found], by_letter: Mapping[str, Found], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[tuple[str, bool], bool]:
    """What Bouncy Castle says of everything, by name and whether an octet was flipped; one JVM for all."""
    found = {**by_key, **by_letter}
    cases = {
        (name, broken): (flipped(each.cut.part) if broken else each.cut.part, each.cut.cms, root_pem())
        for name, each in found.items()
        for broken in (False, True)
    }
    answers = bouncycastle_verify(list(cases.values()), tmp_path_factory.mktemp("castle"))
    return dict(zip(cases, answers, strict=True))


@pytest.fixture(scope="module")
def gpgsm() -> Iterator[Gpgsm]:
    """One gpgsm for all."""
    with Gpgsm(root_pem()) as peer:
        yield peer


@pytest.mark.parametrize("verifier", VERIFIERS)
@pytest.mark.parametrize("kind", AUTHORS)
def test_every_verifier_takes_every_kind_of_key(
    kind: str,
    verifier: str,
    by_key: Mapping[str, Found],
    castle: Mapping[tuple[str, bool], bool],
    gpgsm: Gpgsm,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """What Postfix relayed and Dovecot stored still verifies, and with one octet flipped no longer does."""
    found = by_key[kind].cut
    tmp = tmp_path_factory.mktemp(verifier)

    def judge(part: bytes) -> bool:
        match verifier:
            case "openssl":
                return openssl_verify(part, found.cms, root_pem(), tmp)
            case "nss":
                return nss_verify(part, found.cms, root_pem(), tmp)
            case "gpgsm":
                return gpgsm.verify(part, found.cms)
        return castle[kind, part != found.part]

    assert judge(found.part)
    assert not judge(flipped(found.part))


def test_the_key_and_the_certificate_are_the_authors(by_key: Mapping[str, Found]) -> None:
    """Each author's message is signed with that author's own key: five different certificates, none of them shared."""
    for kind, found in by_key.items():
        assert AUTHORS[kind].encode() in found.cut.cms
        assert not any(other.encode() in found.cut.cms for key, other in AUTHORS.items() if key != kind)


@pytest.mark.parametrize("name", LETTERS)
def test_real_letters_verify(
    name: str, by_letter: Mapping[str, Found], castle: Mapping[tuple[str, bool], bool], tmp_path: Path
) -> None:
    """Whatever an office writes arrives signed and whole, and 7-bit: nothing on the way has a reason to touch it."""
    found = by_letter[name]
    assert openssl_verify(found.cut.part, found.cut.cms, root_pem(), tmp_path)
    assert castle[name, False]
    assert not castle[name, True]
    assert found.cut.part.isascii()
    assert b"\0" not in found.cut.part
    assert max(map(len, found.received.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("name", LETTERS)
def test_bodies_are_the_clients(name: str, by_letter: Mapping[str, Found]) -> None:
    """A body that can travel as it is arrives octet for octet; of another one every leaf decodes to the same octets."""
    found = by_letter[name]
    if name not in REENCODED:
        assert found.cut.body == body_of(found.sent)
        return
    assert found.cut.body != body_of(found.sent)
    ours, theirs = leaves(found.cut.part), leaves(found.sent)
    assert [kind for kind, _ in ours] == [kind for kind, _ in theirs]
    for (_, mine), (_, original) in zip(ours, theirs, strict=True):
        assert mine.rstrip(b"\r\n") == original.rstrip(b"\r\n")


def test_file_names_survive(by_letter: Mapping[str, Found]) -> None:
    """A name with raw Vietnamese letters in a part's header reads the same after it was made ASCII for signing."""
    tree = email.message_from_bytes(by_letter["unicode_parameter"].cut.part, policy=email.policy.default)
    assert [part.get_filename() for part in tree.walk() if part.get_filename()] == ["Quyết định.pdf"]


def leaves(octets: bytes) -> list[tuple[str, bytes]]:
    """Return type and decoded content of every leaf, as Python's own reader sees them."""
    tree: Message = email.message_from_bytes(octets, policy=email.policy.compat32)
    return [
        (part.get_content_type(), part.get_payload(decode=True))  # type: ignore[misc]
        for part in tree.walk()
        if not part.is_multipart()
    ]


@pytest.mark.parametrize("name", LETTERS)
def test_readers_see_the_same_header(name: str, by_letter: Mapping[str, Found]) -> None:
    """Subject and people read the same after signing; raw 8-bit is RFC 2047 now, ASCII fields are untouched."""
    found = by_letter[name]
    assert found.cut.header.isascii()
    raw, sent = header_of(found.received), header_of(found.sent)
    for field in ("Subject", "From", "To"):
        assert str(raw[field]) == readable(found.sent, field), field
    for line in fields_of(found.sent):
        if line.isascii() and not line.lower().startswith(b"content-"):
            assert line in found.received
    assert len(raw.get_all("Date", [])) == len(raw.get_all("Message-ID", [])) == 1
    if sent["Message-ID"] is not None:
        assert raw["Message-ID"] == sent["Message-ID"]


def header_of(octets: bytes) -> EmailMessage:
    return email.message_from_bytes(octets, policy=email.policy.default)  # type: ignore[return-value]


def readable(octets: bytes, field: str) -> str:
    """Return a field's text, raw UTF-8 read as UTF-8."""
    return str(email.message_from_string(octets.decode(errors="replace"), policy=email.policy.default)[field])


def fields_of(octets: bytes) -> list[bytes]:
    header = octets.partition(b"\r\n\r\n")[0]
    return [each for each in re.split(rb"(?<=\r\n)(?![ \t])", header + b"\r\n") if each]


def test_missing_date_and_message_id_are_added(by_letter: Mapping[str, Found]) -> None:
    """Ours stand there, once each: a later server that added them would change what was already signed for."""
    received = by_letter["no_date_no_id"].received
    assert len(re.findall(rb"^Date: ", received, re.MULTILINE)) == 1
    added = re.search(rb"^Message-ID: <[^>]+@([^>]+)>\r$", received, re.MULTILINE)
    assert added is not None
    assert added[1].decode() == HOSTNAME


def test_our_trace_field_names_the_client(by_letter: Mapping[str, Found]) -> None:
    """Exactly one Received field is ours, with ESMTPSA: TLS and a login (RFC 3848)."""
    received = by_letter["plain_ascii"].received
    ours = [line for line in fields_of(received) if f"by {HOSTNAME}".encode() in line]
    assert len(ours) == 1
    assert b"ESMTPSA" in ours[0]
    assert re.search(rb"by mta\.example \(Postfix\) with ESMTPS ", received), "the way to Postfix is encrypted"


def test_what_the_client_signed_stays(town: Town, tmp_path: Path) -> None:
    """A message signed with the author's own token, or encrypted, keeps every octet below its header."""
    part, author = text_part("Ky bang token."), credentials()[LAN]
    messages = {
        "token": mail(clear_entity(part, openssl_sign(part, author, tmp_path))),
        "enveloped": mail(opaque_entity(openssl_encrypt(part, author, tmp_path), smime_type="enveloped-data")),
    }
    for name, message in messages.items():
        assert town.submit(f"{name}@{OUTSIDE}", message).accepted
        assert body_of(town.mail.fetch(f"{name}@{OUTSIDE}")) == body_of(message)


def test_a_big_attachment(town: Town, tmp_path: Path) -> None:
    """25 MB arrive unchanged and signed, and the gateway never holds them in memory."""
    pdf = base64_lines(b"%PDF-1.7\n" + bytes(range(256)) * (BIG // 256))
    head = b"Content-Type: application/pdf; name=ban-do.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    letter = mail(multipart("mixed", text_part("Ban do quy hoach."), head + pdf))
    with town.gate.memory_below(16 * 2**20):
        sent = town.submit(f"big@{OUTSIDE}", letter)
    assert sent.accepted, sent.transcript
    found = town.delivered(f"big@{OUTSIDE}", letter)
    assert found.cut.body == body_of(letter)
    assert openssl_verify(found.cut.part, found.cut.cms, root_pem(), tmp_path)
    assert not openssl_verify(flipped(found.cut.part), found.cut.cms, root_pem(), tmp_path)

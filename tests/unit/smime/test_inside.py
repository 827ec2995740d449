"""What hides inside signed octets: every reading of them must be one that we have seen."""

from __future__ import annotations

import pytest

from gateway.cms.asn1 import tlv
from gateway.core.message import Message
from gateway.mime.entity import parse
from gateway.smime.argument import Finding
from gateway.smime.inside import layer_findings, read_content
from support.forger import Forger
from support.letters import base64_lines, lan, multipart, opaque_entity, text_part
from support.pace import soon

PART = text_part("Chuyen 5 trieu dong.")
SEALED = opaque_entity(bytes.fromhex("308006092a864886f70d010703") + bytes(60), smime_type="enveloped-data")
ARMOR = "-----BEGIN PGP MESSAGE-----"
MIXED = b"Content-Type: multipart/mixed; boundary=hai\r\n\r\n"


def opaque(content: bytes) -> bytes:
    return opaque_entity(Forger(lan()).cms(content, content=tlv(0x04, content)))


def found(entity: bytes) -> set[tuple[int, str]]:
    message = Message.of(entity)
    return {(each.condition, each.reason) for each in layer_findings(message, parse(message))}


@pytest.mark.parametrize(
    ("entity", "finding"),
    [
        (b"Content-Type: text/plain\r\n" + SEALED, (1, "ambiguous_structure")),
        (MIXED.replace(b"hai", b"hai; boundary=ba") + b"--hai\r\n\r\nx\r\n--hai--\r\n", (1, "ambiguous_structure")),
        (
            b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nRnJvbTog",
            (1, "ambiguous_structure"),
        ),
        (
            b"Content-Type: text/plain, message/rfc822\r\n\r\nFrom: ai@la.example\r\n\r\nx\r\n",
            (1, "ambiguous_structure"),
        ),
        (multipart("mixed", PART, opaque(SEALED)), (6, "encrypted_inside")),
        (multipart("mixed", PART, opaque(opaque(SEALED))), (6, "encrypted_inside")),
        (multipart("mixed", PART, *[opaque(PART)] * 5), (1, "too_many_signatures")),
        (multipart("mixed", PART, opaque(opaque(opaque(opaque(opaque(PART)))))), (1, "too_many_signatures")),
        (SEALED.replace(b"application/pkcs7-mime", b"text/ plain"), (6, "encrypted_inside")),
        (SEALED.replace(b"MIAGCSqGSIb3DQEHA", b"MIAGgQkqhkiG9w0BBwM"), (6, "encrypted_inside")),
        (b"Content-Type: application/pkcs7-mime\r\n\r\nla gi\r\n", (6, "encrypted_inside")),
        (text_part("Chao\r\n" * 30 + f"  {ARMOR}\r\n\r\nhQEMA\r\n"), (6, "encrypted_inside")),
        (text_part(f"Chao\r{ARMOR}\r\rhQEMA\r\n"), (6, "encrypted_inside")),
        (
            b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + f"Chao\r\n\xa0\u200b\x0b{ARMOR}\r\n\r\nhQEMA".encode(),
            (6, "encrypted_inside"),
        ),
        (text_part(f"<p>Chao</p><pre>{ARMOR}\r\n\r\nhQEMA</pre>", subtype="html"), (6, "encrypted_inside")),
        (
            text_part(f"<p>Chao<br>&nbsp;{ARMOR}<br><br>hQEMA<br>-----END PGP MESSAGE-----", subtype="html"),
            (6, "encrypted_inside"),
        ),
        (text_part("Chao\r\nbegin 644 SMIME.P7M\r\n#0V%T\r\n`\r\nend"), (6, "encrypted_inside")),
        (
            b"Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64_lines(f"Chao\n{ARMOR}\n".encode("utf-16-le")),
            (6, "encrypted_inside"),
        ),
        (
            multipart("mixed", PART, b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"),
            (6, "encrypted_inside"),
        ),
        (b"Content-Type: message/external-body; access-type=URL\r\n\r\n", (5, "content_elsewhere")),
    ],
)
def test_what_hides_from_some_readers_is_found(entity: bytes, finding: tuple[int, str]) -> None:
    """Two types, two boundaries, one more encoding, one more signature: each is another way to hide a ciphertext."""
    assert finding in found(entity)


@pytest.mark.parametrize(
    "line",
    [
        "&#45;----BEGIN PGP MESSAGE-----",
        "&#x2D;----BEGIN PGP MESSAGE-----",
        "-----BEGIN<b></b> PGP MESSAGE-----",
        "-----B<!-- > -->EGIN PGP MESSAGE-----",
        "-----B<i title='>'></i>EGIN PGP MESSAGE-----",
        "-----BEGIN&nbsp;PGP<br>MESSAGE-----",
        "Chao -----BEGIN\r\nPGP  MESSAGE-----",
    ],
)
def test_markup_hides_no_ciphertext(line: str) -> None:
    """Plug-ins read what is on the screen: tags, comments and entities in the first line of a block are not."""
    sealed = f"<p>{line}<br><br>hQEMA<br>-----END P<u>GP</u> MESSAGE-----"
    assert (6, "encrypted_inside") in found(text_part(sealed, subtype="html"))
    assert not found(text_part(f"<p>Chao {line.replace('MESSAGE', 'PUBLIC KEY')}", subtype="html"))


def test_looking_for_ciphertexts_in_html_is_soon_done() -> None:
    """No markup makes the look go back: tags, quotes and comments that do not end, and lines that nearly do."""
    for unit in ("-----BEGIN<", "-<!--", '-<a title="', "-----BEGIN PGP MESSAGE----- ", "- <b> &nbsp;", "-&#0000"):
        with soon(1):
            found(text_part(unit * (250_000 // len(unit)), subtype="html"))


@pytest.mark.parametrize(
    "entity",
    [
        PART,
        text_part(f"> {ARMOR}\r\n>\r\n> hQEMA\r\nViet ve {ARMOR} nhu the."),
        text_part("We begin 644 days from now with smime.p7m\r\nbegin 644 anh.png\r\n#0V%T\r\n`\r\nend"),
        opaque(SEALED),  # a whole layer is looked into by whoever goes on to the next one
        multipart("mixed", PART, opaque(PART)),
        multipart("mixed", PART, b"Content-Disposition: attachment\r\n" + SEALED),
        multipart("mixed", PART, opaque(b"%PDF-1.7\r\nx\n\n" + bytes(range(256)) * 2000)),  # a signed file
        b"Content-Type: text/plain; charset=utf-8; charset=utf-8\r\n\r\nx\r\n",
        b"Content-Type: text/plain; name=a message.txt\r\n\r\nx\r\n",
    ],
)
def test_what_hides_nothing_is_left_alone(entity: bytes) -> None:
    """Attachments, signatures that can be looked into, and careless parameters of a text."""
    assert found(entity) == set()


@pytest.mark.parametrize(
    ("octets", "disputed"),
    [
        (PART, False),
        (PART.replace(b"\r\n", b"\n"), False),
        (text_part("mot\nhai\rba"), False),
        (MIXED + b"--hai\r\n\r\nx\r\n--hai--\r\n", False),
        (MIXED + b"--hai\n\nx\n--hai--\n", True),
        (MIXED + b"--hai\r\rx\r--hai--\r", True),
        (MIXED + b"--hai\r\n\r\nx\n--hai\n\ny\r\n--hai--\r\n", True),
        (b"X-A: 1\n\nX-B: 2\r\nContent-Type: text/html\r\n\r\nx\r\n", True),
    ],
)
def test_line_ends_that_make_two_structures(octets: bytes, disputed: object) -> None:
    """Odd line ends in words are words; where they part a header or a multipart, they are a second reading."""
    _, _, findings = read_content(octets)
    assert [each for each in findings if isinstance(each, Finding)] == list(findings)
    assert bool(findings) is disputed


def test_content_of_lf_is_read_as_readers_do() -> None:
    """Signers who hash LF line ends are read like others; the octets that were hashed are not touched."""
    message, entity, _ = read_content(MIXED.replace(b"\r\n", b"\n") + b"--hai\n\nx\n--hai--\n")
    assert len(entity.children) == 1
    assert b"\r\n--hai--\r\n" in message.octets()

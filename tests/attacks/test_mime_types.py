"""One message, two readings: types, boundaries, encodings and line ends on which readers disagree (RFC 2045, RFC 2046).

The signed octets stay as they were: what changes is where some reader looks for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from support.attacks import letter, part

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.attacks import Field

EVIL: Final = part("Chuyen 500 trieu dong.")
TYPE: Final = b"Content-Type: multipart/signed;"
BOUNDARY: Final = b'boundary="outer"'
PROTOCOL: Final = b'protocol="application/pkcs7-signature"'
AMBIGUOUS: Final = ("unreadable", "ambiguous_structure")


def instead(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return what puts one thing in the place of another, once."""
    return lambda good: good.replace(old, new, 1)


def last(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return what does it at the last place."""
    return lambda good: new.join(good.rsplit(old, 1))


EVIL_BEHIND: Final = b"\r\n--evil\r\n" + EVIL + b"\r\n--evil--\r\n"

BOUNDARIES: dict[str, Callable[[bytes], bytes]] = {
    "another one behind": instead(BOUNDARY, BOUNDARY + b'; boundary="evil"'),
    "another one before": instead(BOUNDARY, b'boundary="evil"; ' + BOUNDARY),
    "another one in capitals": instead(BOUNDARY, BOUNDARY + b'; BOUNDARY="evil"'),
    "another one by RFC 2231": instead(BOUNDARY, BOUNDARY + b"; boundary*=us-ascii''evil"),
    "another one by RFC 2231, before": instead(BOUNDARY, b"boundary*=us-ascii''evil; " + BOUNDARY),
    "another one in pieces": instead(BOUNDARY, BOUNDARY + b"; boundary*0=ev; boundary*1=il"),
    "another one in encoded pieces": instead(BOUNDARY, BOUNDARY + b"; boundary*0*=us-ascii''ev; boundary*1=il"),
    "another one behind rubbish": instead(BOUNDARY, BOUNDARY + b" evil; boundary=evil"),
    "another one in a quoted string that does not end": instead(BOUNDARY, BOUNDARY + b'; x="; boundary=evil'),
    "without quotes, and more behind": instead(BOUNDARY, b"boundary=outer evil"),
    "empty, then the real one": instead(BOUNDARY, b"boundary=; " + BOUNDARY),
    "as an encoded word": instead(BOUNDARY, BOUNDARY + b"; boundary==?us-ascii?Q?evil?="),
}


@pytest.mark.parametrize("idea", sorted(BOUNDARIES))
def test_two_boundaries(field: Field, idea: str) -> None:
    """One reader finds the signed part by the first, another evil words by the second."""
    good = letter()
    found = field.attack(good, BOUNDARIES[idea](good) + EVIL_BEHIND)
    assert found.verdict in {"unreadable", "invalid", "partial"}, found.facts


@pytest.mark.parametrize("idea", sorted(BOUNDARIES))
def test_two_boundaries_without_words_behind(field: Field, idea: str) -> None:
    """The parameter alone is enough to refuse: the evil words may stand in the signed part of another letter."""
    good = letter()
    found = field.attack(good, BOUNDARIES[idea](good))
    assert found.verdict in {"unreadable", "invalid"}, found.facts


TYPES: dict[str, tuple[Callable[[bytes], bytes], tuple[str, str]]] = {
    "text before": (instead(TYPE, b"Content-Type: text/html\r\n" + TYPE), AMBIGUOUS),
    "text behind": (instead(BOUNDARY + b"\r\n", BOUNDARY + b"\r\nContent-Type: text/html\r\n"), AMBIGUOUS),
    "text in a field with a blank before its colon": (
        instead(TYPE, b"Content-Type : text/html\r\n" + TYPE),
        AMBIGUOUS,
    ),
    "mixed in capitals, behind": (
        instead(BOUNDARY + b"\r\n", BOUNDARY + b'\r\nCONTENT-TYPE: multipart/mixed; boundary="evil"\r\n'),
        AMBIGUOUS,
    ),
    "mixed instead": (instead(TYPE, b"Content-Type: multipart/mixed;"), ("unsigned", "signed_inside_attachment")),
    "alternative instead": (
        instead(TYPE, b"Content-Type: multipart/alternative;"),
        ("unsigned", "signed_inside_attachment"),
    ),
    "none": (instead(b"Content-Type: multipart/signed", b"X-Type: multipart/signed"), ("unsigned", "no_signature")),
    "encoded quoted-printable": (
        instead(b"MIME-Version", b"Content-Transfer-Encoding: quoted-printable\r\nMIME-Version"),
        AMBIGUOUS,
    ),
    "encoded base64": (
        instead(b"MIME-Version", b"Content-Transfer-Encoding: base64\r\nMIME-Version"),
        AMBIGUOUS,
    ),
    "encoded twice": (
        instead(
            b"MIME-Version",
            b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: quoted-printable\r\nMIME-Version",
        ),
        AMBIGUOUS,
    ),
    "protocol of somebody else": (
        instead(PROTOCOL, b'protocol="application/pgp-signature"'),
        ("invalid", "protocol_mismatch"),
    ),
    "protocol of nobody": (instead(PROTOCOL, b'protocol="x"'), ("invalid", "protocol_mismatch")),
    "no protocol": (instead(PROTOCOL + b"; ", b""), ("invalid", "protocol_mismatch")),
    "protocol twice": (instead(PROTOCOL, PROTOCOL + b'; protocol="application/pgp-signature"'), AMBIGUOUS),
    "signature called text": (
        last(b"Content-Type: application/pkcs7-signature; name=smime.p7s", b"Content-Type: text/html"),
        ("invalid", "signature_misplaced"),
    ),
    "signature with two types": (
        last(b"name=smime.p7s\r\n", b"name=smime.p7s\r\nContent-Type: text/html\r\n"),
        AMBIGUOUS,
    ),
    "signature called opaque": (
        last(b"application/pkcs7-signature", b"application/pkcs7-mime"),
        ("invalid", "signature_misplaced"),
    ),
}


@pytest.mark.parametrize("idea", sorted(TYPES))
def test_types_on_which_readers_disagree(field: Field, idea: str) -> None:
    """Two types are two messages; another type is another message."""
    forge, why = TYPES[idea]
    good = letter()
    assert field.attack(good, forge(good)).why == why


DELIMITERS: dict[str, tuple[Callable[[bytes], bytes], tuple[str, str]]] = {
    "closing line with more on it": (last(b"--outer--", b"--outer-- 500 trieu"), ("partial", "text_outside_signature")),
    "no closing line": (last(b"--outer--\r\n", b""), AMBIGUOUS),
    "a line that begins like one, before the parts": (
        instead(b"\r\n--outer\r\n", b"\r\n--outerX\r\n" + EVIL + b"--outer\r\n"),
        AMBIGUOUS,
    ),
    "a line that begins like one, behind the parts": (
        lambda good: good + b"--outer2\r\n" + EVIL,
        ("partial", "text_outside_signature"),
    ),
    "closed before the first part": (
        instead(b"\r\n--outer\r\n", b"\r\n--outer--\r\n--outer\r\n"),
        ("invalid", "signature_missing"),
    ),
    "the header ends early for readers of LF": (
        instead(b"MIME-Version", b"X-A: 1\n\n<b>500 trieu</b>\r\nMIME-Version"),
        ("refused", ""),
    ),
    "the header ends early for readers of CR": (
        instead(b"MIME-Version", b"X-A: 1\r\r<b>500 trieu</b>\r\nMIME-Version"),
        ("refused", ""),
    ),
    "NUL in the header": (instead(b"MIME-Version", b"X-A: 1\0\r\nMIME-Version"), ("refused", "")),
    "a line that is no field": (instead(b"MIME-Version", b"<b>500 trieu</b>\r\nMIME-Version"), AMBIGUOUS),
    "a mailbox file's first line": (
        lambda good: b"From ke@trom.example Tue Nov 24 08:29:00 2026\r\n" + good,
        AMBIGUOUS,
    ),
    "the header ends early for readers that trim lines": (
        instead(b"MIME-Version", b"X-A: 1\r\n \r\nX-B: 500 trieu\r\nMIME-Version"),
        AMBIGUOUS,
    ),
}


@pytest.mark.parametrize("idea", sorted(DELIMITERS))
def test_lines_that_end_a_part_or_a_header_for_some(field: Field, idea: str) -> None:
    """Where a header or a part ends must be beyond doubt."""
    forge, why = DELIMITERS[idea]
    good = letter()
    found = field.attack(good, forge(good))
    assert found.verdict == why[0], (found.facts, found.text)
    assert not why[1] or found.why == why


HARMLESS: dict[str, Callable[[bytes], bytes]] = {
    "type in capitals": instead(b"multipart/signed", b"MULTIPART/SIGNED"),
    "protocol in capitals": instead(b"application/pkcs7-signature", b"APPLICATION/PKCS7-SIGNATURE"),
    "the old names": lambda good: good.replace(b"application/pkcs7-signature", b"application/x-pkcs7-signature"),
    "micalg of another digest": instead(b"micalg=sha-256", b"micalg=md5"),
    "micalg without its dash": instead(b"micalg=sha-256", b"micalg=SHA256"),
    "no micalg": instead(b"micalg=sha-256; ", b""),
    "folded parameters": instead(b"; micalg", b";\r\n\tmicalg"),
    "a comment in the type": instead(b"multipart/signed;", b"multipart/signed (ky so);"),
    "sentence of a mail program": instead(b"\r\n--outer\r\n", b"\r\nThis is an S/MIME signed message.\r\n--outer\r\n"),
    "blank lines behind": lambda good: good + b"\r\n\r\n",
}


@pytest.mark.parametrize("idea", sorted(HARMLESS))
def test_what_programs_write_in_their_own_way_is_no_attack(field: Field, idea: str) -> None:
    """What has one reading only is verified, however unusual: `micalg` is a hint, the CMS says what was hashed."""
    good = letter()
    changed = HARMLESS[idea](good)
    assert changed != good
    field.honest(changed)

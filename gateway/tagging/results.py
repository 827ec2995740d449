"""Authentication-Results: read whose it is and what the server in front found, written with smime (RFC 8601, RFC 7281).

What a certificate says must never leave its place in the field: values are quoted ASCII of bounded length, or dropped.
A foreign result is read from the one field that may be believed, as a whole or not at all.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gateway.core.address import Mailbox, domain_key
from gateway.core.boundary import NOTHING_SAID, RESULTS, BoundaryResults
from gateway.core.unicode import normalized
from gateway.core.verdict import row_of
from gateway.mime.parameters import main_value
from gateway.mime.words import decode_text, fold
from gateway.tagging.names import ARC_RESULTS_KEY, RESULTS_FIELD
from gateway.tagging.reading import seen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core.verdict import Signer, Verdict
    from gateway.mime.fields import Header

_TOKEN: Final = re.compile(rb"[^\x00-\x20\x7f()<>@,;:\\\"/\[\]?=]+")
_QUOTED: Final = re.compile(rb'"((?:[^"\\\x00\r\n]|\\[^\x00\r\n])*)"')
_VERSION: Final = re.compile(rb"[0-9]+")
_INSTANCE: Final = re.compile(rb"[iI][ \t]*=[ \t]*[0-9]{1,3}")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9.-]+")
_MOST_SIGNERS: Final = 4
_MAX_ADDRESS: Final = 64 + 1 + 255
"""Of a mailbox: local part, at sign, domain (RFC 5321 4.5.3.1)."""
_MAX_ISSUER: Final = 400
"""Octets of an issuer's name as it is written; a longer one is left out, because half a name is another name."""
_SERIAL: Final = re.compile(r"[0-9A-F]{1,64}")
_NO_CODE: Final = re.compile(r"[^a-z0-9_]")
_RDN: Final = re.compile(r"(?:[^\\,]|\\.)+")
_SMIME: Final = re.compile(r"smime(?:/[0-9]*)?(?:\([^()]*\))*=")
"""As `seen` shows it: without blanks, quotes and what cannot be seen, look-alike letters put back."""
_MAX_FOREIGN: Final = 8192
"""Octets of a field of the server in front; a longer one says nothing."""
_STRING: Final = rb'"(?:[^"\\\x00\r\n]|\\[^\x00\r\n])*"'
_PIECE: Final = re.compile(rb"\\?[()]|\\[^()]|[^\\()]+")
"""Inside a comment."""
_PLAIN: Final = re.compile(_STRING + rb'|\(|[^\\()"]+')
"""Outside of comments."""
_WORD: Final = rb"[A-Za-z0-9-]+"
_VALUE: Final = rb"(?:" + _STRING + rb"|[^\x00-\x20\x7f()<>,;\"\\]+)"
_RESULT: Final = re.compile(
    rb"[ \t]*(?P<method>" + _WORD + rb")(?:[ \t]*/[ \t]*[0-9]+)?[ \t]*=[ \t]*(?P<result>" + _WORD + rb")"
    rb"(?:[ \t]+reason[ \t]*=[ \t]*" + _VALUE + rb")?"
    rb"(?:[ \t]+" + _WORD + rb"[ \t]*\.[ \t]*[A-Za-z0-9_-]+[ \t]*=[ \t]*" + _VALUE + rb")*[ \t]*"
)
"""One result without its comments (RFC 8601 2.2)."""
_NONE: Final = re.compile(rb"[ \t]*none[ \t]*", re.IGNORECASE)
_WORST_FIRST: Final = (
    *("fail", "hardfail", "softfail", "policy", "permerror", "temperror", "neutral", "none", "pass"),
)


def authserv_id(value: bytes) -> str | None:
    """Return whose results an (unfolded) field claims to be, None where that cannot be read.

    The whole beginning must fit RFC 8601 2.2: an id, perhaps a version, and then the first result or "none".
    """
    found = _claimed(value)
    return found[0] if found is not None else None


def _claimed(value: bytes) -> tuple[str, int] | None:
    """Return whose results they are, and where these begin."""
    position = _blank(value, 0)
    match = _QUOTED.match(value, position) or _TOKEN.match(value, position)
    if match is None:
        return None
    octets = re.sub(rb"\\(.)", rb"\1", match[1]) if match.re is _QUOTED else match[0]
    position = _blank(value, match.end())
    version = _VERSION.match(value, position)
    if version is not None and position > match.end():
        position = _blank(value, version.end())
    if position < 0 or value[position : position + 1] != b";":
        return None
    try:
        return octets.decode("utf-8"), position + 1
    except UnicodeDecodeError:
        return None


def _blank(value: bytes, position: int) -> int:
    """Return the position after blanks and comments; past the end where a comment is not closed."""
    depth = 0
    while position < len(value):
        octet = value[position : position + 1]
        if octet == b"\\" and depth:
            position += 1
        elif octet == b"(":
            depth += 1
        elif octet == b")" and depth:
            depth -= 1
        elif octet not in b" \t\r\n" and not depth:
            return position
        position += 1
    return len(value)


def boundary(header: Header, authserv_id: str) -> BoundaryResults:
    """Return what the server of this id says, read from the topmost field that bears its name.

    One that stands lower may be older than that server. A field that is not all as RFC 8601 2.2 wants says nothing.
    """
    for field in header.all(RESULTS_FIELD):
        found = _claimed(field.value)
        if found is not None and same_id(found[0], authserv_id):
            return _results(field.value, found[1]) if len(field.value) <= _MAX_FOREIGN else NOTHING_SAID
    return NOTHING_SAID


def _results(value: bytes, position: int) -> BoundaryResults:
    plain = _uncommented(value[position:])
    parts = _parts(plain) if plain is not None else []
    if not parts or _NONE.fullmatch(plain or b""):
        return NOTHING_SAID
    found: dict[str, set[str]] = {}
    for each in parts:
        match = _RESULT.fullmatch(each)
        if match is None:
            return NOTHING_SAID
        result = match["result"].decode("ascii").lower()
        found.setdefault(match["method"].decode("ascii").lower(), set()).add(
            result if result in RESULTS else "permerror"
        )
    dkim = found.get("dkim", set())
    return BoundaryResults(
        spf=_worst(found.get("spf", set())),
        dkim="pass" if "pass" in dkim else _worst(dkim),
        dmarc=_worst(found.get("dmarc", set())),
    )


def _worst(results: set[str]) -> str | None:
    return min(results, key=_WORST_FIRST.index, default=None)


def _uncommented(value: bytes) -> bytes | None:
    """Return the value with a blank for each comment, None where a comment or a string does not end."""
    pieces: list[bytes] = []
    depth = position = 0
    while position < len(value):
        match = (_PIECE if depth else _PLAIN).match(value, position)
        if match is None:
            return None
        position = match.end()
        depth += {b"(": 1, b")": -1}.get(match[0], 0)
        if not depth:
            pieces.append(b" " if match[0] == b")" else match[0])
    return b"".join(pieces) if not depth else None


def _parts(plain: bytes) -> list[bytes]:
    """Return what stands between the semicolons that are not in strings; the last one may be empty."""
    parts = re.findall(rb"(?:" + _STRING + rb"|[^;\"])+", plain)
    return parts if not parts or parts[-1].strip(b" \t") else parts[:-1]


def same_id(one: str, other: str) -> bool:
    """Return True if two ids are the same by IDNA, but for case and final dots."""
    return domain_key(one.strip(" \t.")) == domain_key(other.strip(" \t."))


def looks_like(one: str, other: str) -> bool:
    """Return True if two ids are the same to a careless reader, or to an eye."""
    return same_id(_careless(one), _careless(other)) or seen(one) == seen(other)


def _careless(text: str) -> str:
    """Return an id without what cannot be seen, its letters and dots in their plain forms."""
    plain = normalized("NFKC", text).replace("\u3002", ".")
    return "".join(each for each in plain if unicodedata.category(each) != "Cf")


def claims_ours(value: bytes, ours: str) -> bool:
    """Return True if a field says it is ours, or does not say whose it is (RFC 8601 5)."""
    found = authserv_id(value)
    return found is None or not found.strip(" \t.") or looks_like(found, ours)


def claims_any(key: str, value: bytes, names: Sequence[str]) -> bool:
    """Return True if a field of this name (lower case) claims to be one of these servers', or does not say whose it is.

    In a field of an ARC set the number of the set stands before the results (RFC 8617 4.1.1).
    """
    if key == ARC_RESULTS_KEY:
        match = _INSTANCE.match(value, _blank(value, 0))
        position = _blank(value, match.end()) if match is not None else len(value)
        if value[position : position + 1] != b";":
            return True
        value = value[position + 1 :]
    return any(claims_ours(value, each) for each in names)


def judges_signatures(value: bytes) -> bool:
    """Return True if a field tells a result of S/MIME, to a careless reader at least (RFC 7281)."""
    return _SMIME.search(seen(decode_text(value))) is not None


def results_field(verdict: Verdict, header: Header, ours: str) -> bytes:
    """Return the complete field, folded, ASCII: one result for each signer, all with the one verdict."""
    result = f'smime={row_of(verdict).result} reason="{code(verdict.reason)}"'
    part = _signature_part(header)
    results = [" ".join((result, *_properties(signer, part))) for signer in verdict.signers[:_MOST_SIGNERS]]
    return _written("; ".join((domain_key(ours), *(results or [result]))))


@lru_cache(maxsize=1024)
def _written(text: str) -> bytes:
    """Write a field once: of the same signers and verdict it is the same."""
    return fold(RESULTS_FIELD, text.encode("ascii"))


def code(reason: str) -> str:
    """Return a reason code; it is ours, and nothing else can be written here."""
    return _NO_CODE.sub("_", reason[:80].lower())


def _signature_part(header: Header) -> str | None:
    """Return the IMAP section number of the signature of a message signed as a whole, None for any other."""
    fields = header.all("content-type")
    if len(fields) != 1:
        return None
    kind = main_value(fields[0].value)
    if kind == "multipart/signed":
        return "2"
    return "1" if kind in {"application/pkcs7-mime", "application/x-pkcs7-mime"} else None


def _properties(signer: Signer, part: str | None) -> list[str]:
    """Return the properties of RFC 7281 3.2; serial and issuer stand together or not at all (3.2.3)."""
    found = [f"body.smime-part={part}"] if part is not None else []
    identifier = next(filter(None, map(_identifier, signer.addresses)), None)
    if identifier is not None:
        found.append(f"body.smime-identifier={identifier}")
    issuer = _issuer(signer.issuer[:_MAX_ISSUER])
    if issuer is not None and _SERIAL.fullmatch(signer.serial):
        found += [f"body.smime-serial={signer.serial}", f'body.smime-issuer="{issuer}"']
    return found


def _identifier(address: str) -> str | None:
    """Return an address in ASCII, its domain as A-labels; None where it has no plain form."""
    return _plain_address(address) if len(address) <= _MAX_ADDRESS else None


@lru_cache(maxsize=1024)
def _plain_address(address: str) -> str | None:
    """Read an address once, as `Mailbox.key_in` does; longer ones are none."""
    try:
        mailbox = Mailbox.parse(address)
    except ValueError:
        return None
    plain = f"{mailbox.local}@{domain_key(mailbox.domain)}"
    return plain if _ADDRESS.fullmatch(plain) else None


@lru_cache(maxsize=1024)
def _issuer(name: str) -> str | None:
    r"""Return a name, as far as it may be long, as the content of a quoted string, None if too long.

    Most specific part first, other than ASCII as \XX of its UTF-8 (RFC 4514 2.1, 2.4); its own escapes stay.
    """
    parts = [match[0].strip() for match in _RDN.finditer(name)]
    text = ", ".join(reversed(parts))
    octets = "".join(chr(each) if 0x20 <= each < 0x7F else f"\\{each:02X}" for each in text.encode("utf-8", "replace"))  # noqa: PLR2004 - printable ASCII
    quoted = octets.replace("\\", "\\\\").replace('"', '\\"')
    return quoted if 0 < len(quoted) <= _MAX_ISSUER and len(name) < _MAX_ISSUER else None

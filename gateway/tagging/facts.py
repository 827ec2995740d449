"""Our fields in which people and programs read who signed, why, and what the server in front found (RFC 5322 2.2).

Up to the parenthesis a field is for programs: names and values of ours, ASCII. In it stand words for people, Vietnamese
first, in which no certificate and no sender can end a list, close a bracket, or say what a verified tag says.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gateway.core.boundary import NOTHING_SAID
from gateway.core.local import VIETNAM
from gateway.core.verdict import ChainState, SignatureState, row_of
from gateway.mime.words import encode_text, fold
from gateway.tagging.names import BOUNDARY_FIELD, REASON_FIELD, SENDER_FIELD, SIGNER_FIELD, VERDICT_FIELD
from gateway.tagging.reading import LONGEST_NAME, common_name, foreign
from gateway.tagging.reasons import VERIFIED
from gateway.tagging.results import code
from gateway.tagging.sentences import HEADERS_UNSIGNED, note_words, verified_name

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from gateway.core.boundary import BoundaryResults
    from gateway.core.verdict import Judgment, Signer, Verified
    from gateway.pki.family import Family

_MOST_SIGNERS: Final = 4
_HEADERS_UNSIGNED_EN: Final = "The header fields are not signed."
_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]{1,64}")
_LONGEST_SERIAL: Final = 65
"""Digits of a serial number, one more than are shown."""
_FAMILY: Final = re.compile(r"[a-z0-9_-]{1,64}")


def verdict_field(judgment: Judgment, told: tuple[str, str], *, authserv_id: str, at: str) -> bytes:
    """Return the field that every judged message has; its first word is the verdict's name.

    `told` is what `words` says of the judgment, `at` the time of receipt as `moment` writes it.
    """
    vietnamese, _ = told
    if _headers_unsigned(judgment):
        vietnamese = f"{vietnamese} {HEADERS_UNSIGNED}"
    notes = ",".join(dict.fromkeys(each.code for each in judgment.notes))
    parts = (
        row_of(judgment.verdict).name,
        f"reason={code(judgment.verdict.reason)}",
        f"chain={judgment.chain}",
        f"signature={judgment.signature}",
        f"covers={judgment.covers}",
        f"headers={'signed' if judgment.headers_signed else 'unsigned'}",
        *((f"notes={notes}",) if notes else ()),
        f"by={authserv_id}",
    )
    return _field(VERDICT_FIELD, parts, (f"at={at}",), vietnamese)


def reason_field(judgment: Judgment, told: tuple[str, str]) -> bytes:
    """Return the field of sentences: the verdict, why, and every note, in Vietnamese, then in English."""
    sentences = [told]
    if _headers_unsigned(judgment):
        sentences.append((HEADERS_UNSIGNED, _HEADERS_UNSIGNED_EN))
    sentences += [note_words(each) for each in judgment.notes]
    return _in_words(REASON_FIELD, " / ".join(" ".join(dict.fromkeys(each)) for each in zip(*sentences, strict=True)))


def sender_field(
    verdict: Verified, agency: str | None, families: Sequence[Family], *, authserv_id: str, at: str
) -> bytes:
    """Return the field that only a verified message has: whom, by which certificate, who says so, and when."""
    author = verdict.author.key if verdict.author is not None else ""
    naming = [each for each in verdict.signers if author in map(str.lower, each.addresses)]
    signer = naming[0] if naming else verdict.signers[0]
    parts = (
        f"{VERIFIED}: {verified_name(verdict, agency).replace(';', ',')}",
        *_person(signer, families),
        "lý do: nội dung đúng như đã ký, chứng thư có địa chỉ người gửi",
        f"cổng thư: {authserv_id}",
        "",
    )
    # between encoded words blanks are nothing (RFC 2047 6.2): the time is one of its own, as all else is the same again
    return _in_words(SENDER_FIELD, "; ".join(parts)) + _sender_time(at)


@lru_cache(maxsize=64)
def _sender_time(at: str) -> bytes:
    """Return the line of `sender_field` that tells the time: what comes in within a second has the same."""
    return b" " + encode_text(f"lúc: {at}") + b"\r\n"


def signer_fields(judgment: Judgment, families: Sequence[Family]) -> bytes:
    """Return a field for each signer, four at most: "trusted" if its certificate is what it says, "claimed" if not."""
    trusted = judgment.chain is ChainState.VALID and judgment.signature is SignatureState.VALID
    signers = judgment.verdict.signers[:_MOST_SIGNERS]
    return b"".join([_signer_field(each, families, trusted="trusted" if trusted else "claimed") for each in signers])


def _signer_field(signer: Signer, families: Sequence[Family], *, trusted: str) -> bytes:
    parts = [trusted]
    if _HEXADECIMAL.fullmatch(signer.serial):
        parts.append(f"serial={signer.serial}")
    if _HEXADECIMAL.fullmatch(signer.fingerprint):
        parts.append(f"sha256={signer.fingerprint}")
    if signer.family and _FAMILY.fullmatch(signer.family):
        parts.append(f"family={signer.family}")
    told = (("claims", signer.claimed_signing_time), ("timestamp", signer.timestamped_at))
    times = [f"{name}={moment(at)}" for name, at in told if at is not None]
    if trusted == "trusted":
        agency = foreign(signer.agency or "")
        people = (*((f"cơ quan / agency: {agency}",) if agency else ()), *_person(signer, families))
    else:
        people = ("chứng thư chưa được xác nhận / certificate not confirmed", *_person(signer, ()))
    return _field(SIGNER_FIELD, parts, times, "; ".join(people))


def _person(signer: Signer, families: Sequence[Family]) -> tuple[str, ...]:
    """Return who the certificate says it is for and from, in words; what cannot be shown is left out."""
    kinds = [f"{each.vietnamese} / {each.english}" for each in families if each.name and each.name == signer.family]
    kind = kinds[0] if kinds else ""
    return _told(signer.subject[:LONGEST_NAME], signer.issuer[:LONGEST_NAME], signer.serial[:_LONGEST_SERIAL], kind)


@lru_cache(maxsize=1024)
def _told(subject: str, issuer: str, serial: str, kind: str) -> tuple[str, ...]:
    """Say it once: who writes again has the same certificate."""
    told = (
        ("người ký / signer", foreign(common_name(subject))),
        ("nơi cấp / issuer", foreign(common_name(issuer))),
        ("số / serial", serial if _HEXADECIMAL.fullmatch(serial) else ""),
        ("loại / family", foreign(kind)),
    )
    return tuple(f"{label}: {value}" for label, value in told if value)


def boundary_field(results: BoundaryResults) -> bytes:
    """Return what the server in front said of the way here, or nothing; its words are not those of a signature."""
    if results == NOTHING_SAID:
        return b""
    found = (("spf", results.spf), ("dkim", results.dkim), ("dmarc", results.dmarc))
    return _field(
        BOUNDARY_FIELD,
        [f"{method}={result}" for method, result in found if result is not None],
        (),
        "Máy chủ phía trước cho biết đường đi của thư, không phải chữ ký số"
        " / the server in front speaks of the way here, not of a signature",
    )


def _headers_unsigned(judgment: Judgment) -> bool:
    return not judgment.headers_signed and judgment.signature is not SignatureState.NONE


def moment(at: dt.datetime) -> str:
    """Return an aware time as people here read it, and programs too (ISO 8601)."""
    return _second(at.replace(microsecond=0))


@lru_cache(maxsize=64)
def _second(at: dt.datetime) -> str:
    """Write a second once: all that comes within it has the same."""
    return at.astimezone(VIETNAM).isoformat()


def _field(name: str, programs: Sequence[str], times: Sequence[str], people: str) -> bytes:
    """Return a field for programs first, then people; the times stand in a line of their own.

    All but these is the same again for the same signer, agency and verdict.
    """
    if not times:
        return _in_letters(name, "; ".join(programs)) + _in_brackets(people)
    return (
        _in_letters(name, "; ".join((*programs, "")))
        + f" {'; '.join(times)}\r\n".encode("ascii")
        + _in_brackets(people)
    )


@lru_cache(maxsize=1024)
def _in_letters(name: str, text: str) -> bytes:
    """Return a field of ASCII, written once."""
    return fold(name, text.encode("ascii"))


@lru_cache(maxsize=1024)
def _in_words(name: str, text: str) -> bytes:
    """Return a field of encoded words, written once."""
    return fold(name, encode_text(text))


@lru_cache(maxsize=1024)
def _in_brackets(text: str) -> bytes:
    """Return words for people as the lines that end a field, written once."""
    return fold("X", b"(" + encode_text(text) + b")").removeprefix(b"X:")

"""What a judge's process is asked, and what it says that it needs or heard: words around octets.

The questions come from us; the answers may come from whoever took the process over, so each is read by its type and
bounded in number.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from gateway.judging.paths import Heard
from gateway.judging.values import MOST_ITEMS
from gateway.pki.needs import Asked, Evidence, Needs

if TYPE_CHECKING:
    from gateway.judging.passing import Parcel

_MOST_URL: Final = 2048


def request(sent: Parcel, evidence: Evidence, at: datetime) -> tuple[dict[str, object], tuple[bytes, ...]]:
    """Return the words and octets that ask about a message at an (aware) time."""
    words: dict[str, object] = {
        "do": "judge",
        "at": at.isoformat(),
        "pieces": sent.pieces,
        "inline": len(sent.octets),
        "certificates": [len(each) for each in evidence.certificates],
        "crls": [len(each) for each in evidence.crls],
        "ocsps": [len(each) for each in evidence.ocsps],
    }
    return words, (sent.octets, *evidence.certificates, *evidence.crls, *evidence.ocsps)


def evidence_in(words: dict[str, Any], octets: bytes) -> tuple[bytes, Evidence]:
    """Return the small octets of the message, and the evidence, that `request` put together."""
    position = 0
    parts: dict[str, list[bytes]] = {}
    for name in ("inline", "certificates", "crls", "ocsps"):
        for length in [words[name]] if name == "inline" else words[name]:
            parts.setdefault(name, []).append(octets[position : position + length])
            position += length
    certificates, crls, ocsps = (tuple(parts.get(name, ())) for name in ("certificates", "crls", "ocsps"))
    return parts["inline"][0], Evidence(certificates, crls, ocsps)


def plain_needs(needs: Needs) -> dict[str, object]:
    """Return needs as JSON can hold them."""
    return {
        "issuers": list(needs.issuers),
        "statuses": [
            [each.certificate.hex(), each.issuer.hex(), list(each.ocsp), list(each.lists)] for each in needs.statuses
        ],
    }


def needs_in(answer: dict[str, Any]) -> Needs:
    """Return the needs in an answer; raises `ValueError`."""
    statuses = []
    for certificate, issuer, ocsp, lists in _list(answer.get("statuses")):
        statuses.append(Asked(_octets(certificate), _octets(issuer), _texts(ocsp), _texts(lists)))
    return Needs(_texts(answer.get("issuers")), tuple(statuses))


def plain_heard(heard: Heard) -> list[object]:
    """Return an answer about a path as JSON can hold it."""
    return [heard.leaf, list(heard.bag), heard.family, heard.until.isoformat(), list(heard.notes)]


def heard_in(answer: dict[str, Any]) -> tuple[Heard, ...]:
    """Return the answers about paths in an answer; raises `ValueError`."""
    found = []
    for leaf, bag, family, until, notes in _list(answer.get("answers")):
        moment = datetime.fromisoformat(_text(until))
        if moment.tzinfo is None:
            raise ValueError("not an aware time")
        found.append(Heard(_text(leaf), _texts(bag), _text(family), moment, _texts(notes)))
    return tuple(found)


def seconds_in(answer: dict[str, Any]) -> float:
    """Return the processor time that an answer says it took; raises `ValueError`."""
    seconds = answer.get("seconds")
    if type(seconds) is not float:
        raise ValueError("not a duration")
    return seconds


def _list(value: object) -> list[Any]:
    if not isinstance(value, list) or len(value) > MOST_ITEMS:
        raise ValueError("not a list, or too long")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MOST_URL:
        raise ValueError("not a text, or too long")
    return value


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(each) for each in _list(value))


def _octets(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("not octets")  # noqa: TRY004 - one kind of error for whatever does not fit
    return bytes.fromhex(value)

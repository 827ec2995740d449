"""What a judge judges by, as octets for its process: trust anchors with their families, lists, and the mode.

Everything in it is public; no secret may ever stand here, since this is given to a process that reads hostile octets.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from gateway.core.errors import InputError
from gateway.pki.certificate import Certificate
from gateway.pki.family import Allowance, Family, Use
from gateway.pki.path import Revocation, TrustAnchors
from gateway.smime.verify import Trust

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from gateway.pki.needs import Evidence
    from gateway.smime.verify import PathOf


@dataclass(frozen=True, slots=True)
class Terms:
    """The trust of one moment; a reload replaces it as a whole."""

    trust: TrustAnchors
    revocation: Revocation

    def at(self, moment: datetime, evidence: Evidence, path_of: PathOf | None = None) -> Trust:
        """Return what a message is judged against at an (aware) moment; what was fetched counts as a stranger's."""
        return Trust(
            self.trust,
            tuple(_readable(evidence.certificates)),
            evidence.crls,
            moment,
            self.revocation,
            evidence.ocsps,
            path_of,
        )


def _readable(ders: Iterable[bytes]) -> Iterator[Certificate]:
    for each in ders:
        with contextlib.suppress(InputError):  # one that cannot be read completes nothing
            yield Certificate.load(each)


def packed(terms: Terms) -> bytes:
    """Return the terms as octets."""
    trust = terms.trust
    return json.dumps(
        {
            "anchors": _texts(each.der for each in trust.anchors),
            "intermediates": _texts(each.der for each in trust.intermediates),
            "crls": _texts(trust.crls),
            "families": [_plain(each) for each in trust.families],
            "revocation": terms.revocation.value,
            "attached_age": None if trust.attached_age is None else trust.attached_age.total_seconds(),
        }
    ).encode()


def unpacked(octets: bytes) -> Terms:
    """Return the terms that `packed` made these octets of."""
    read = json.loads(octets)
    trust = TrustAnchors(
        tuple(Certificate.load(each) for each in _ders(read["anchors"])),
        tuple(Certificate.load(each) for each in _ders(read["intermediates"])),
        _ders(read["crls"]),
        tuple(_family(each) for each in read["families"]),
        None if read["attached_age"] is None else timedelta(seconds=read["attached_age"]),
    )
    return Terms(trust, Revocation(read["revocation"]))


def version(octets: bytes) -> bytes:
    """Return what tells these terms from others."""
    return hashlib.sha256(octets).digest()


def _texts(ders: Iterable[bytes]) -> list[str]:
    return [b64encode(each).decode("ascii") for each in ders]


def _ders(texts: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(b64decode(each) for each in texts)


def _plain(family: Family) -> dict[str, object]:
    return {
        "name": family.name,
        "vietnamese": family.vietnamese,
        "english": family.english,
        "anchors": sorted(family.anchors),
        "uses": sorted(family.uses),
        "allowances": sorted(family.allowances),
        "domains": family.domains,
    }


def _family(read: dict[str, Any]) -> Family:
    return Family(
        read["name"],
        read["vietnamese"],
        read["english"],
        frozenset(read["anchors"]),
        frozenset(Use(each) for each in read["uses"]),
        frozenset(Allowance(each) for each in read["allowances"]),
        tuple(read["domains"]),
    )

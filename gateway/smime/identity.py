"""Who a signer is to the reader: names of agencies, and the lesser states that an agency's registry can vouch for.

The judgment of octets and paths comes first and needs no registry; here nothing invalid, untrusted or unknown gets
better, and only a state with its own words may stand between "not the author" and "verified".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.agencies.registry import Registry
    from gateway.core.verdict import Judgment, Verdict
    from gateway.mime.fields import Header


class Lenience(StrEnum):
    """What an administrator lets count as a lesser state instead of a mismatch."""

    SAME_AGENCY = "same_agency"
    SUCCESSOR = "successor"
    DELEGATE = "delegate"
    SHA1 = "sha1"


@dataclass(frozen=True, slots=True)
class Who:
    """What signers are identified by."""

    registry: Registry
    leniences: frozenset[Lenience]


def identified(judgment: Judgment, header: Header, who: Who) -> Judgment:
    """Return the judgment with its signers' agencies, and with a lesser verdict where the registry vouches for one."""
    del header
    return replace(judgment, verdict=_named(judgment.verdict, who.registry))


def _named(verdict: Verdict, registry: Registry) -> Verdict:
    signers = tuple(replace(each, agency=registry.agency_name(each)) for each in verdict.signers)
    return replace(verdict, signers=signers)

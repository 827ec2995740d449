"""What the mail server in front of us says about the way a message came (RFC 8601): no word about its signature.

These results speak of hosts and domains, never of a person; nothing here may make a verdict better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RESULTS: Final = frozenset(
    {"none", "pass", "fail", "softfail", "policy", "neutral", "temperror", "permerror", "hardfail"}
)
"""Results of SPF, DKIM and DMARC as registered (RFC 8601 2.7), and "hardfail", which older servers write."""


@dataclass(frozen=True, slots=True)
class BoundaryResults:
    """One result for each method, None where the server in front says nothing that can be read.

    Of several results of one method, such as two DKIM signatures, dkim is "pass" if one passed; of the others the worst
    is told: a server that says two things about one connection is not believed in the better one.
    """

    spf: str | None = None
    dkim: str | None = None
    dmarc: str | None = None

    def __post_init__(self) -> None:
        for each in (self.spf, self.dkim, self.dmarc):
            if each is not None and each not in RESULTS:
                raise ValueError(f"unknown result {each!r}")

    @property
    def said(self) -> bool:
        """True if there is any result at all."""
        return self != NOTHING_SAID


NOTHING_SAID: Final = BoundaryResults()

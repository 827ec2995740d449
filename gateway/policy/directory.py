"""Who is whose: which agency has a mailbox, and which mailboxes are ours. Policies ask, the registry answers.

The answers of one directory must never change: a policy is loaded with it, and a reload brings both anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from gateway.core.address import Mailbox
    from gateway.core.verdict import Signer

PLACES: Final = ("inside", "other_agency", "outside")
"""Where a recipient of outbound mail is, see `place_of`."""


class Directory(Protocol):
    """Which agency has a mailbox, and which mailboxes are ours; `gateway.app.directory` makes it of the registry."""

    @property
    def digest(self) -> str:
        """Names the content: the same answers have the same digest; "" where there is nothing to know."""
        ...

    def knows(self, agency: str) -> bool:
        """Return True if an agency with this id exists."""
        ...

    def agency_of(self, mailbox: Mailbox) -> str | None:
        """Return the id of the agency that has the mailbox, by itself or by its domain."""
        ...

    def agency_of_signer(self, signer: Signer) -> str | None:
        """Return the id of the agency that a signer's certificate names; its path was found good before."""
        ...

    def is_local(self, mailbox: Mailbox) -> bool:
        """Return True if mail for the mailbox comes in through this gateway."""
        ...


class Nobody:
    """The directory that knows no agency and no domain."""

    digest: str = ""

    def knows(self, agency: str) -> bool:  # noqa: ARG002 - as `Directory` has it
        """Never."""
        return False

    def agency_of(self, mailbox: Mailbox) -> str | None:  # noqa: ARG002 - as `Directory` has it
        """Never any."""
        return None

    def agency_of_signer(self, signer: Signer) -> str | None:  # noqa: ARG002 - as `Directory` has it
        """Never any."""
        return None

    def is_local(self, mailbox: Mailbox) -> bool:  # noqa: ARG002 - as `Directory` has it
        """Never."""
        return False


NOBODY: Final = Nobody()


def place_of(directory: Directory, agency: str | None, recipient: Mailbox) -> str:
    """Return where a recipient is, of `PLACES`, seen from an author of `agency`.

    inside: a mailbox of the author's own agency, or one of ours that belongs to no agency. other_agency: a mailbox of
    any other agency in the registry (of every agency, where the author has none). outside: everybody else.
    """
    return place_among(directory, agency, recipient, directory.agency_of(recipient))


def place_among(directory: Directory, agency: str | None, recipient: Mailbox, theirs: str | None) -> str:
    """Return what `place_of` does, for a recipient of whom it is known that `theirs` is the agency."""
    if theirs is None:
        return "inside" if directory.is_local(recipient) else "outside"
    return "inside" if theirs == agency else "other_agency"

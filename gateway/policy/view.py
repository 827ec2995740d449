"""A message as conditions see it: sets to look values up in, and the few texts that patterns are held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.contents import NOTHING
from gateway.core.local import VIETNAM
from gateway.policy.conditions import FIELD
from gateway.policy.directory import place_among
from gateway.policy.findings import NOTHING_FOUND
from gateway.policy.model import folded, keys_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

    from gateway.core.address import Mailbox
    from gateway.core.contents import Contents
    from gateway.policy.directory import Directory
    from gateway.policy.findings import Findings
    from gateway.policy.model import Facts

MAX_HOST: Final = 255
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LOGIN: Final = "login:"
"""Before a login in `Policy.groups`: no key of a mailbox holds a colon outside quotes."""
_NONE: Final[frozenset[str]] = frozenset()


@dataclass(slots=True)
class View:
    """One message; what `seat` returns is exchanged from recipient to recipient."""

    sets: dict[str, frozenset[str]]
    subject: str
    size: int
    at: dt.datetime
    """In Vietnam."""
    fields: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...]
    """Of attachments, folded."""

    @classmethod
    def of(cls, facts: Facts, *, groups: Mapping[str, frozenset[str]], agency: str | None) -> View:
        """Return the view of one message without a recipient; `agency` is the author's."""
        at = facts.at.astimezone(VIETNAM)
        sets = {
            "author": facts.author_keys,
            "login": _one(facts.login),
            "group": _groups(facts, groups),
            "agency": _one(agency),
            "listener": frozenset((facts.listener,)),
            "reverse_path": facts.reverse_path_keys,
            "form": frozenset((facts.form,)),
            "traits": facts.traits,
            "verdict": _one(facts.verdict),
            "wish": _one(facts.wish),
            "day": frozenset((DAYS[at.weekday()],)),
            "recipient": _NONE,
            "recipient_is": _NONE,
            "recipient_agency": _NONE,
            **(_content_sets(facts.contents) if facts.contents is not NOTHING else _OF_NOTHING),
            **(_finding_sets(facts.findings) if facts.findings is not NOTHING_FOUND else _OF_NOTHING_FOUND),
        }
        names = tuple([folded(each.name) for each in facts.contents.attachments])
        return cls(sets, facts.subject, facts.size, at, facts.fields, names)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the folded texts under a key of `Matches`."""
        if key == "subject":
            return (self.subject,)
        return self.names if key == "attachment_name" else self.fields.get(key.removeprefix(FIELD), ())


def seat(recipient: Mailbox, directory: Directory, agency: str | None) -> dict[str, frozenset[str]]:
    """Return what is asked of a recipient, seen from an author of `agency`."""
    theirs = directory.agency_of(recipient)
    return {
        "recipient": keys_of(recipient),
        "recipient_is": frozenset((place_among(directory, agency, recipient, theirs),)),
        "recipient_agency": _one(theirs),
    }


def _one(value: str | None) -> frozenset[str]:
    return frozenset((value,)) if value is not None else _NONE


def _groups(facts: Facts, groups: Mapping[str, frozenset[str]]) -> frozenset[str]:
    if not groups:
        return _NONE
    members = facts.author_keys if facts.login is None else {*facts.author_keys, LOGIN + facts.login}
    return _NONE.union(*(groups.get(each, _NONE) for each in members))


def _content_sets(contents: Contents) -> dict[str, frozenset[str]]:
    """Return what is asked of contents: media types and hosts with the wider values they fit."""
    flags = {
        "attachment": bool(contents.attachments),
        "signed_pdf": any(each.signed_pdf for each in contents.attachments),
        "link": bool(contents.links),
        "partly_read": not contents.complete,
    }
    types = {each.media_type.lower() for each in contents.attachments}
    return {
        "has": frozenset(name for name, flag in flags.items() if flag),
        "attachment_type": frozenset({*types, *(f"{each.partition('/')[0]}/*" for each in types)}),
        "link_host": frozenset(key for host in contents.links for key in _host_keys(host)),
        "marking": frozenset(each.value for each in contents.markings),
    }


def _finding_sets(findings: Findings) -> dict[str, frozenset[str]]:
    return {
        "note": findings.notes,
        "family": findings.families,
        "signer_agency": findings.agencies,
        "headers": frozenset(("signed",)) if findings.headers_signed else _NONE,
        "boundary": findings.boundary,
    }


_OF_NOTHING: Final = _content_sets(NOTHING)
_OF_NOTHING_FOUND: Final = _finding_sets(NOTHING_FOUND)
"""What most mail has is found once."""


def _host_keys(host: str) -> Iterator[str]:
    yield host
    if len(host) > MAX_HOST:
        return  # no name of a host; and its parents would take a square of its length
    parent = host.partition(".")[2]
    while parent:
        yield f"*.{parent}"
        parent = parent.partition(".")[2]

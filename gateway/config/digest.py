"""Who is told once a day, by mail, of what is kept (`spool.digest`)."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.config.base import MailboxKey, Strict


def _time_of_day(text: str) -> str:
    if re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text) is None:
        raise ValueError('write a time of the day in quotes: "07:30"')
    return text


class AgencyDigest(Strict):
    """An agency of the registry, and the mailbox that is told of the mail of its people."""

    agency: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    """Its id."""
    mailbox: MailboxKey


class DigestSettings(Strict):
    """The daily digest of held, quarantined and frozen mail."""

    postmaster: MailboxKey
    """Who is told of mail without an owner who may be told, and of frozen mail."""
    at: Annotated[str, AfterValidator(_time_of_day)] = "07:30"
    """From when on in the day (UTC+7) the digests go out; a gateway that starts later sends them then."""
    agencies: tuple[AgencyDigest, ...] = ()
    """Mailboxes that are told in the place of single people."""
    people: bool = True
    """Senders are told of their own held mail, recipients of what is kept for them, where no agency's mailbox is."""

    @property
    def time(self) -> time:
        """The time of the day, without a zone."""
        return time.fromisoformat(self.at)

    @property
    def mailboxes(self) -> tuple[str, ...]:
        """Every mailbox that is named here (keys)."""
        return (self.postmaster, *(each.mailbox for each in self.agencies))

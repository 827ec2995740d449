"""Whom an answer of a next hop, or its silence, speaks for: the one place that decides it (RFC 5321 3.8, 4.2.1, 4.5.4).

| what happens | scope | what follows |
|---|---|---|
| no connection; banner, EHLO, STARTTLS, certificate, AUTH anything but good; our own name in the greeting | site | nobody is refused; the breaker counts it; all is tried again |
| 500, 502, 503, 530, 534, 535, 538 before the dot | site | the same: they speak of our login and of the hop's state |
| 421, or the connection lost, before the dot | session | nothing was refused; tried again on another connection |
| MAIL, DATA: any other 4xx, 5xx | message | stands for everybody of this attempt |
| the dot over SMTP | message | the same |
| RCPT | recipient | that one is tried again (4xx) or has failed (5xx); the others go on |
| the dot over LMTP or a Maildir: one answer each | recipient | the same |
| the connection lost behind the dot | session | open and `unanswered`: tried again, counted as a possible duplicate |

A 5xx ends only whom it speaks for, and never by a trouble of the site: mail must not fail because a password is wrong.
"""  # noqa: E501 - a table

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.core.reply import Reply

_OF_THE_SITE: Final = frozenset({500, 502, 503, 530, 534, 535, 538})
_CLOSING: Final = 421


class Step(StrEnum):
    """What was answered."""

    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"
    """One answer for everybody."""
    DOT_OF_ONE = "dot_of_one"
    """One answer for each recipient."""


class Scope(StrEnum):
    """Whom it speaks for."""

    SESSION = "session"
    SITE = "site"
    MESSAGE = "message"
    RECIPIENT = "recipient"


def scope_of(reply: Reply, step: Step) -> Scope:
    """Return whom an answer speaks for that is not 2xx or 3xx."""
    behind = step is Step.DOT or step is Step.DOT_OF_ONE
    if reply.code in _OF_THE_SITE and not behind:
        return Scope.SITE
    if reply.code == _CLOSING and not behind:
        return Scope.SESSION
    return Scope.RECIPIENT if step in {Step.RCPT, Step.DOT_OF_ONE} else Scope.MESSAGE


def of_the_site(replies: Iterable[Reply]) -> Reply | None:
    """Return the first of the answers to commands before the dot that speaks of the site."""
    for each in replies:
        if not each.positive and scope_of(each, Step.DATA) is Scope.SITE:
            return each
    return None

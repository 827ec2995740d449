"""What is worth saying beside a verdict, and needs no registry (RFC 5652 11.3, RFC 2634, RFC 5322).

A remark is a claim or an oddity: nothing here may make a verdict better, and none of it makes one worse.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gateway.core.address import Mailbox
from gateway.core.unicode import normalized
from gateway.core.verdict import NOTES, Note, NotTrusted, SignatureState
from gateway.mime.dates import date_of
from gateway.mime.fields import decode_text
from gateway.smime.argument import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.mime.fields import Header
    from gateway.smime.signers import Judged

_WEAK: Final = Finding(11, NotTrusted, "weak_digest")
_HOUR: Final = dt.timedelta(hours=1)
_LOCAL: Final = dt.timedelta(hours=7)
"""Some signing tools here write local time and call it UTC."""
_MOST_SHOWN: Final = 8192
"""Characters of a From field that are looked at for addresses."""
_BETWEEN: Final = re.compile(r"[\s<>()\[\],;:\"\\\x00-\x1f\x7f]+")


def remarks(header: Header, author: Mailbox | None, results: Sequence[Judged], at: dt.datetime) -> Iterator[Note]:
    """Yield the notes about signers and header; `at` is the time (aware) that they are judged at."""
    if len(results) > 1:
        yield Note("several_signers", str(len(results)))
    weak = [each.sha1 for each in results if _WEAK in each.findings]
    if weak and all(weak):  # of digests that are older still, there is nothing to say
        yield Note("sha1")
    for code in dict.fromkeys(code for each in results if each.answer is not None for code in each.answer.notes):
        yield Note(code)
    yield from _times(date_of(header), results, at)
    for each in results:
        if each.signer is not None and each.signer.timestamped_at is not None:
            yield Note("timestamped", each.signer.timestamped_at.isoformat())
        elif each.stamp is not None:
            yield Note("timestamp_unusable")
    if author is not None:
        yield from _other_address_shown(header, author)


def in_order(notes: Sequence[Note]) -> tuple[Note, ...]:
    """Return the notes, each once, in the order in which people are told."""
    return tuple(sorted(dict.fromkeys(notes), key=lambda each: NOTES.index(each.code)))


def _times(date: dt.datetime | None, results: Sequence[Judged], at: dt.datetime) -> Iterator[Note]:
    """Compare claimed times with Date and with the clock; what nobody signed well claims nothing."""
    claims = [
        each.signer.claimed_signing_time
        for each in results
        if each.signer is not None and each.signature is not SignatureState.NONE
    ]
    for claimed in dict.fromkeys(each for each in claims if each is not None):
        reference = date if date is not None else at
        if abs(claimed - reference - _LOCAL) <= _HOUR:
            yield Note("signing_time_local")
            continue
        if claimed - at > _HOUR:
            yield Note("signing_time_future")
        if date is not None and abs(date - claimed) > _HOUR:
            yield Note("date_far_from_signing", str(int(abs(date - claimed).total_seconds() // 60)))


def _other_address_shown(header: Header, author: Mailbox) -> Iterator[Note]:
    """Yield a note where display name or comments of From read as the mailbox of somebody else (Mailsploit)."""
    (field,) = header.all("from")
    found = _other_address_in(field.value[:_MOST_SHOWN], author)
    if found is not None:
        yield Note("impersonation", found)


@lru_cache(maxsize=1024)
def _other_address_in(value: bytes, author: Mailbox) -> str | None:
    """Return the address of somebody else that a From field shows; those who write again write the same one."""
    text = normalized("NFKC", decode_text(value))
    own = {author.key, normalized("NFKC", str(author))}
    for word in _BETWEEN.split(text):
        if "@" not in word:
            continue
        try:
            found = Mailbox.parse(word.strip(".'"))
        except ValueError:
            continue
        if "." in found.domain and found.key not in own and str(found) not in own:
            return str(found)
    return None

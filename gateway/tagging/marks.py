"""Puts our marks on judged mail: three fields above everything, and a tag in front of the subject (RFC 8601, RFC 2047).

Only a `Verified` verdict may bring `X-Verified-Sender` and the words of a verified tag. The body never changes.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, Literal

from gateway.core.decision import SubjectTag
from gateway.core.message import Edit
from gateway.core.verdict import Judgment, SignatureState, Verified, row_of
from gateway.mime.fields import read_header
from gateway.mime.words import encode_text, fold
from gateway.tagging.forged import SENDER_FIELD, VERDICT_FIELD, orphans
from gateway.tagging.results import code, results_field
from gateway.tagging.sentences import HEADERS_UNSIGNED, VERIFIED, subject_words, verified_name, words
from gateway.tagging.subjects import put_before, tag_alone

if TYPE_CHECKING:
    from gateway.core.message import Message

_VIETNAM: Final = dt.timezone(dt.timedelta(hours=7))
SubjectTags = SubjectTag | Literal["off", "on", "bad_only"]
"""As a rule or the settings choose it."""


def tag(
    message: Message,
    judgment: Judgment,
    *,
    agency: str | None,
    authserv_id: str,
    subject: SubjectTags,
    received_at: dt.datetime,
) -> Message:
    """Return the message with our marks; `message` must come from `strip`. Raises `MimeError` over a limit.

    `agency` names the signers' agency where the registry knows it; `received_at` is aware. Octets of other fields stay,
    continuation lines above the first field excepted: they would continue ours.
    """
    header = read_header(message)
    fields = results_field(judgment.verdict, header, authserv_id) + _verdict_field(judgment, agency, received_at)
    if isinstance(judgment.verdict, Verified):
        name = verified_name(judgment.verdict, agency)
        fields += fold(SENDER_FIELD, encode_text(f"{VERIFIED}: {name}"))
    text = _subject_words(judgment, agency, subject)
    # every subject there is: readers disagree on which of two they show
    subjects = [put_before(each, text) for each in header.all("subject")] if text is not None else []
    if text is not None and not subjects:
        fields += tag_alone(text)
    return message.splice((Edit(0, orphans(message.read(0, header.stop)), fields), *subjects))


def _verdict_field(judgment: Judgment, agency: str | None, received_at: dt.datetime) -> bytes:
    """Return our own field: for programs up to the parenthesis, in which people read the Vietnamese text."""
    verdict = judgment.verdict
    vietnamese, _ = words(judgment, agency)
    if not judgment.headers_signed and judgment.signature is not SignatureState.NONE:
        vietnamese = f"{vietnamese} {HEADERS_UNSIGNED}"
    parts = (
        row_of(verdict).name,
        f"reason={code(verdict.reason)}",
        f"chain={judgment.chain.value}",
        f"signature={judgment.signature.value}",
        f"covers={'all' if judgment.covers_everything_shown else 'part'}",
        f"headers={'signed' if judgment.headers_signed else 'unsigned'}",
        f"at={received_at.astimezone(_VIETNAM).isoformat(timespec='seconds')}",
    )
    return fold(VERDICT_FIELD, "; ".join(parts).encode("ascii") + b" (" + encode_text(vietnamese) + b")")


def _subject_words(judgment: Judgment, agency: str | None, subject: SubjectTags) -> str | None:
    match subject:
        case "off":
            return None
        case "bad_only" if isinstance(judgment.verdict, Verified):
            return None
        case _:
            return subject_words(judgment.verdict, agency)

"""Puts our marks on judged mail: fields above everything, and a tag in front of the subject (RFC 8601, RFC 2047).

Only a `Verified` verdict may bring `X-Verified-Sender` and the words of a verified tag. The body never changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gateway.core.address import domain_key
from gateway.core.boundary import NOTHING_SAID, BoundaryResults
from gateway.core.decision import SubjectTag
from gateway.core.message import Edit
from gateway.core.verdict import Judgment, Verified
from gateway.mime.fields import read_header
from gateway.tagging.attachments import attachment_fields
from gateway.tagging.facts import boundary_field, moment, reason_field, sender_field, signer_fields, verdict_field
from gateway.tagging.forged import orphans
from gateway.tagging.reasons import VERIFIED
from gateway.tagging.results import results_field
from gateway.tagging.seal import sealed
from gateway.tagging.sentences import subject_words, words
from gateway.tagging.subjects import put_before, tag_alone

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from gateway.core.message import Message
    from gateway.mime.fields import Header
    from gateway.pki.family import Family
    from gateway.tagging.seal import Sealing

SubjectTags = SubjectTag | Literal["off", "on", "bad_only"]
"""As a rule or the settings choose it."""


def tag(  # noqa: PLR0913 - one argument for each thing that is told
    message: Message,
    judgment: Judgment,
    *,
    agency: str | None,
    authserv_id: str,
    subject: SubjectTags,
    received_at: dt.datetime,
    boundary: BoundaryResults = NOTHING_SAID,
    families: Sequence[Family] = (),
    seal: Sealing | None = None,
    header: Header | None = None,
    below: bytes = b"",
) -> Message:
    """Return the message with our marks; `message` must come from `strip`. Raises `MimeError` over a limit.

    `agency` names the signers' agency where the registry knows it; `received_at` is aware; `families` are those whose
    names may be shown. Octets of other fields stay, continuation lines above the first field excepted: they would
    continue ours. With `seal` nothing may be changed afterwards; whoever has still to add fields calls `sealed` later.
    `header` is the message's, where it is known; `below` are complete fields to stand between our marks and the rest.
    """
    if header is None:
        header = read_header(message)
    verdict, ours = judgment.verdict, domain_key(authserv_id)
    fields = results_field(verdict, header, authserv_id)
    told, at = words(judgment, agency), moment(received_at)
    fields += verdict_field(judgment, told, authserv_id=ours, at=at)
    if isinstance(verdict, Verified):
        fields += sender_field(verdict, agency, families, authserv_id=ours, at=at)
    fields += signer_fields(judgment, families) + reason_field(judgment, told) + boundary_field(boundary)
    fields += attachment_fields(judgment)
    text = _subject_words(judgment, agency, subject)
    # every subject there is: readers disagree on which of two they show
    subjects = [put_before(each, text) for each in header.all("subject")] if text is not None else []
    if text is not None and not subjects:
        fields += tag_alone(text)
    marked = message.splice((Edit(0, orphans(message.read(0, header.stop)), fields + below), *subjects))
    return sealed(marked, seal) if seal is not None else marked


def _subject_words(judgment: Judgment, agency: str | None, subject: SubjectTags) -> str | None:
    words = subject_words(judgment, agency) if subject != "off" else None
    good_news = words is not None and words.startswith(VERIFIED)
    return None if good_news and subject == "bad_only" else words

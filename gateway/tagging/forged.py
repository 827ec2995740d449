"""Takes everything out of a header that could pass for a mark of ours, in mail of both directions (RFC 8601 5).

A line counts for what any reader may take it for: fields after a bare CR or LF, with blanks in or around the name, or
hidden in a line that is no field. All other octets stay, and everything below the header block does.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.message import Edit
from gateway.mime.fields import read_header
from gateway.mime.words import encode_text, fold
from gateway.tagging.names import (
    ARC_RESULTS_KEY,
    KEYWORD_KEYS,
    OUR_PREFIX,
    RESULTS_KEY,
    SENDER_KEY,
    VERIFIED_KEYWORD,
    has_odd_line_end,
    holds_results,
    is_ours,
)
from gateway.tagging.reading import seen
from gateway.tagging.results import claims_any, judges_signatures
from gateway.tagging.spelled import says_verified
from gateway.tagging.subjects import bears_verified_tag, cleaned

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.core.message import Message
    from gateway.mime.fields import Field, Header

_MAX_NAME: Final = 400
"""Octets in which the name of a field must end, whatever is hidden in it."""
_LINE_END: Final = re.compile(rb"\r\n|[\r\n\x0b\x0c\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9]")
"""What one reader or another takes for the end of a line."""
_KEYWORDS_SEEN: Final = frozenset(map(seen, KEYWORD_KEYS))
_KEPT: Final = frozenset(
    {
        *("from", "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-sender", "resent-to", "resent-cc"),
        *("date", "message-id", "in-reply-to", "references", "mime-version", "received", "return-path"),
        *("dkim-signature", "arc-seal", "arc-message-signature"),
    }
)
"""Names of fields that nobody takes for a mark, whatever stands in them; subjects are none of these."""
_KEYWORD: Final = VERIFIED_KEYWORD.lower().encode()
_ORPHANS: Final = re.compile(rb"(?:[ \t][^\r\n]*(?:\r\n|[\r\n]|\Z))+")
_LAST_LINE_END: Final = re.compile(_LINE_END.pattern.join((rb"(?:", rb")\Z")))


@dataclass(frozen=True, slots=True)
class Stripped:
    """A message without forged marks, and how many of each kind there were."""

    message: Message
    removed: Mapping[str, int]
    """Kind ("our_field", "results", "subject_tag", "tag_elsewhere", "hidden_line", "orphan") -> how many, if any."""


def strip(message: Message, *, authserv_id: str, others: Sequence[str] = ()) -> Message:
    """Return the message of `stripped`."""
    return stripped(message, authserv_id=authserv_id, others=others).message


def stripped(
    message: Message, *, authserv_id: str, others: Sequence[str] = (), header: Header | None = None
) -> Stripped:
    """Take out everything that passes for a mark of ours; raises `MimeError` over a limit.

    Removed are our own fields, those from which clients take colored tags, results in our name or in nobody's, those of
    S/MIME in anybody's, tags of ours in subjects (only then is a subject written anew), other fields that bear the tag
    of a verified message, and continuation lines above the first field, which would continue a field of ours. `others`
    are names of servers that this message cannot have passed: results that bear them go as well. `header` is the
    message's, where it is known.
    """
    if header is None:
        header = read_header(message)
    section = message.read(0, header.stop)
    if section.find(b"\r\n") < 0 and (end := section.find(b"\n\n")) >= 0:
        section = section[: end + 1]  # a file with bare line feeds: what stands below is its body to every reader
    names = (authserv_id, *others)
    removed: defaultdict[str, int] = defaultdict(int)
    cuts, rewritten = _in_fields(section, header, names, removed)
    if len(section) != sum([len(each.raw) for each in header.fields]) or has_odd_line_end(section):
        done = (*cuts, *((each.start, each.stop) for each in rewritten))
        for start, stop, kind in _in_lines(section, header, done, names):
            cuts.append((start, stop))
            removed[kind] += 1
    if not cuts and not rewritten:
        return Stripped(message, {})
    return Stripped(message.splice((*_removals(section, cuts, rewritten), *rewritten)), dict(removed))


def orphans(section: bytes) -> int:
    """Return the octets of continuation lines that stand above the first field."""
    match = _ORPHANS.match(section)
    return match.end() if match is not None else 0


def _in_fields(
    section: bytes, header: Header, names: Sequence[str], removed: defaultdict[str, int]
) -> tuple[list[tuple[int, int]], list[Edit]]:
    """Return where fields stand that everybody reads as ours, and the edits that write subjects anew."""
    cuts: list[tuple[int, int]] = []
    rewritten: list[Edit] = []
    others = b"".join([each.raw for each in header.fields if each.key not in _KEPT])
    if not others:
        return cuts, rewritten
    said = says_verified(others.decode("utf-8", "replace")) or _KEYWORD in others.lower()
    for field in header.fields:
        if field.stop > len(section):
            break
        if field.key in _KEPT:
            continue
        if is_ours(field.key) or field.key in KEYWORD_KEYS:
            cuts.append((field.start, field.stop))
            removed["our_field"] += 1
        elif holds_results(field.key) and _misleads(field.key, field.value, names):
            cuts.append((field.start, field.stop))
            removed["results"] += 1
        elif field.key == "subject":
            text = cleaned(field.value)
            if text is not None:
                rewritten.append(Edit(field.start, field.stop, fold(field.name, encode_text(text))))
                removed["subject_tag"] += 1
        elif (said or _is_encoded(field.raw)) and _shows_tag(field):
            cuts.append((field.start, field.stop))
            removed["tag_elsewhere"] += 1
    return cuts, rewritten


def _is_encoded(raw: bytes) -> bool:
    return raw.find(b"=?") >= 0 or not raw.isascii()


def _shows_tag(field: Field) -> bool:
    """Return True for a text beside the subject that bears the tag of a verified message.

    Outlook shows X-Message-Flag above the message and Keywords as colored labels, others Thread-Topic, Comments or
    Organization. Names of people are theirs, and noted; what programs need stays.
    """
    needed = field.key.startswith("content-") and field.key != "content-description"
    return not needed and (_KEYWORD in field.value.lower() or bears_verified_tag(field.value))


def _in_lines(
    section: bytes, header: Header, done: Sequence[tuple[int, int]], names: Sequence[str]
) -> Iterator[tuple[int, int, str]]:
    """Yield where lines stand that only some readers take for a field of ours; `done` is dealt with already."""
    above = orphans(section)
    if above:
        yield 0, above, "orphan"
    known = {each.start for each in header.fields}
    waiting = deque(sorted(done))
    for start, stop in _loose_fields(section):
        while waiting and waiting[0][1] <= start:
            waiting.popleft()
        if start < above or start in known or (waiting and waiting[0][0] <= start):
            continue
        if _passes_for_ours(section[start:stop], names):
            yield start, stop, "hidden_line"


def _loose_fields(section: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each line, with its continuation lines, begins and ends for the most careless reader."""
    begin = 0
    for match in _LINE_END.finditer(section):
        if section[match.end() : match.end() + 1] not in (b" ", b"\t"):
            yield begin, match.end()
            begin = match.end()
    if begin < len(section):
        yield begin, len(section)


def _passes_for_ours(line: bytes, names: Sequence[str]) -> bool:
    """Return True if the line, with whatever hides in its name left out, is a field that could mislead."""
    name, colon, _ = seen(line[:_MAX_NAME].decode("utf-8", "ignore")).partition(":")
    if not colon:
        return False
    value = _LINE_END.sub(b" ", line.partition(b":")[2]).strip(b" \t")
    if name == seen(SENDER_KEY) or name.startswith(seen(OUR_PREFIX)) or name in _KEYWORDS_SEEN:
        return True
    results = next((each for each in (RESULTS_KEY, ARC_RESULTS_KEY) if name == seen(each)), None)
    if results is not None:
        return _misleads(results, value, names)
    return name == "subject" and cleaned(value) is not None


def _misleads(key: str, value: bytes, names: Sequence[str]) -> bool:
    """Return True for results in our name, in nobody's, and of S/MIME in whoever's: only we judge signatures here.

    Those of an ARC set of somebody else stay: its seal covers them, and no client shows them.
    """
    return claims_any(key, value, names) or (key != ARC_RESULTS_KEY and judges_signatures(value))


def _removals(section: bytes, cuts: Sequence[tuple[int, int]], rewritten: Sequence[Edit]) -> Iterator[Edit]:
    """Yield the edits that take lines out; a line above that ends oddly gets the line end of the last one taken out.

    Else the line below would continue it for readers who know only CRLF.
    """
    runs: list[tuple[int, int]] = []
    for start, stop in sorted(cuts):
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], stop)
        else:
            runs.append((start, stop))
    ended = {each.stop for each in rewritten}
    for start, stop in runs:
        above = _LAST_LINE_END.search(section, max(0, start - 3), start)
        own = _LAST_LINE_END.search(section, max(start, stop - 3), stop)
        if above is None or own is None or above[0] == b"\r\n" or start in ended:
            yield Edit(start, stop, b"")
        else:
            yield Edit(above.start(), own.start(), b"")

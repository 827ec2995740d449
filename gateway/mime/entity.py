"""The part tree of a message as spans of octets (RFC 2045, RFC 2046, RFC 5322).

Nothing is decoded or copied. Counts and depth are bounded: what is over a limit is refused, never followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.mime.fields import DEFAULT_LIMITS, Field, Header, Limits, MimeError, read_header
from gateway.mime.parameters import read_parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.core.message import Message

_MAX_BOUNDARY: Final = 70
"""RFC 2046 5.1.1."""
_MAX_PADDING: Final = 256
_MAX_NEAR: Final = 10_000
"""Lines that begin like a delimiter and are none, in one message: more are an attack on our time."""
_MAX_FIELDS: Final = 20_000
"""Header fields of all parts of one message together."""
_UNENCODED: Final = frozenset({"7bit", "8bit", "binary"})
_BODY_DEFECTS: Final = frozenset(
    {"bad_boundary", "no_delimiter", "no_close_delimiter", "near_boundary", "encoded_multipart"}
)
"""What is wrong with a body of several parts, not with the header that describes it."""


class Entity(NamedTuple):
    """One entity: [start, body) is its header with the blank line, [body, stop) its content."""

    start: int
    body: int
    stop: int
    header: Header
    media_type: str
    parameters: Mapping[str, str]
    encoding: str
    children: tuple[Entity, ...] = ()
    defects: tuple[str, ...] = ()
    preamble: tuple[int, int] | None = None
    epilogue: tuple[int, int] | None = None

    def walk(self) -> Iterator[Entity]:
        """Yield this entity and all below it, depth first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(slots=True)
class _Budget:
    """What is left of the limits for the rest of one message."""

    limits: Limits
    parts: int = 0
    fields: int = 0
    near: int = 0

    def part(self) -> None:
        self.parts += 1
        if self.parts > self.limits.parts:
            raise MimeError("too_many_parts")

    def header(self, count: int) -> None:
        self.fields += count
        if self.fields > _MAX_FIELDS:
            raise MimeError("too_many_fields")

    def near_miss(self) -> None:
        self.near += 1
        if self.near > _MAX_NEAR:
            raise MimeError("too_many_near_boundaries")


def parse(
    message: Message,
    start: int = 0,
    stop: int | None = None,
    *,
    limits: Limits = DEFAULT_LIMITS,
    header: Header | None = None,
) -> Entity:
    """Return the part tree of the octets [start, stop); raises `MimeError` over a limit.

    `header` is what `read_header` says of the same octets within the same limits, where that is known.
    """
    return _entity(message, start, len(message) if stop is None else stop, "text/plain", 0, _Budget(limits), header)


def parse_under(message: Message, known: Entity) -> Entity:
    """Return the part tree of a message that is the body of `known`, octet for octet, under a header of its own.

    A body that both headers describe alike is not read again. Raises `MimeError` over a limit.
    """
    header = read_header(message)
    media_type, parameters, encoding, defects = _described(header, "text/plain")
    same = media_type == known.media_type and encoding == known.encoding
    if not same or parameters.get("boundary") != known.parameters.get("boundary"):
        return parse(message, header=header)
    by = header.body - known.body
    children = tuple([_moved(each, by) for each in known.children])
    defects += [each for each in known.defects if each in _BODY_DEFECTS]
    return Entity(
        0,
        header.body,
        known.stop + by,
        header,
        media_type,
        parameters,
        encoding,
        children,
        tuple(defects),
        _shifted(known.preamble, by),
        _shifted(known.epilogue, by),
    )


def _moved(entity: Entity, by: int) -> Entity:
    """Return the tree of the same octets at another place."""
    header = entity.header
    fields = tuple([Field(name, start + by, stop + by, raw, key) for name, start, stop, raw, key in header.fields])
    return Entity(
        entity.start + by,
        entity.body + by,
        entity.stop + by,
        Header(fields, header.stop + by, header.body + by, header.defects),
        entity.media_type,
        entity.parameters,
        entity.encoding,
        tuple([_moved(each, by) for each in entity.children]),
        entity.defects,
        _shifted(entity.preamble, by),
        _shifted(entity.epilogue, by),
    )


def _shifted(span: tuple[int, int] | None, by: int) -> tuple[int, int] | None:
    return (span[0] + by, span[1] + by) if span is not None else None


def _described(header: Header, default: str) -> tuple[str, Mapping[str, str], str, list[str]]:
    """Return what a header says of its body: media type, parameters and encoding; and its defects."""
    media_type, parameters, defects = _content_type(header, default)
    encodings = header.all("content-transfer-encoding")
    encoding = read_parameters(encodings[0].value).value if encodings else "7bit"
    if len(encodings) > 1:
        defects.append("duplicate_encoding")
    if header.defects:
        defects.append("malformed_header")
    return media_type, parameters, encoding, defects


def _entity(
    message: Message, start: int, stop: int, default: str, depth: int, budget: _Budget, header: Header | None = None
) -> Entity:
    if depth > budget.limits.depth:
        raise MimeError("too_deep")
    budget.part()
    if header is None:
        header = read_header(message, start, stop, limits=budget.limits)
    budget.header(len(header.fields))
    media_type, parameters, encoding, defects = _described(header, default)
    children: tuple[Entity, ...] = ()
    preamble = epilogue = None
    if media_type.startswith("multipart/"):
        children, preamble, epilogue = _parts(
            message, header.body, stop, media_type, parameters, defects, depth, budget
        )
        if encoding not in _UNENCODED:
            defects.append("encoded_multipart")
    elif media_type in {"message/rfc822", "message/global"} and encoding in _UNENCODED:
        children = (_entity(message, header.body, stop, "text/plain", depth + 1, budget),)
    return Entity(
        start, header.body, stop, header, media_type, parameters, encoding, children, tuple(defects), preamble, epilogue
    )


def _content_type(header: Header, default: str) -> tuple[str, Mapping[str, str], list[str]]:
    """Return media type, parameters and defects (RFC 2045 5.2 for the default)."""
    fields = header.all("content-type")
    if not fields:
        return default, MappingProxyType({}), []
    found = read_parameters(fields[0].value)
    defects = list(found.defects)
    if len(fields) > 1:
        defects.append("duplicate_content_type")
    main, slash, sub = found.value.partition("/")
    if not (main and slash and sub) or "/" in sub:
        return "text/plain", MappingProxyType({}), [*defects, "malformed_content_type"]
    return found.value, found.parameters, defects


def _parts(  # noqa: PLR0913, PLR0917 - the state of one multipart
    message: Message,
    body: int,
    stop: int,
    media_type: str,
    parameters: Mapping[str, str],
    defects: list[str],
    depth: int,
    budget: _Budget,
) -> tuple[tuple[Entity, ...], tuple[int, int], tuple[int, int]]:
    """Return the parts of a multipart with its preamble and epilogue."""
    boundary = parameters.get("boundary", "")
    if not boundary or len(boundary) > _MAX_BOUNDARY or not boundary.isascii() or boundary != boundary.rstrip(" "):
        defects.append("bad_boundary")
        return (), (body, stop), (stop, stop)
    default = "message/rfc822" if media_type == "multipart/digest" else "text/plain"
    near_before = budget.near
    children: list[Entity] = []
    preamble: tuple[int, int] | None = None
    begin = body
    epilogue = (stop, stop)
    closed = False
    for delimiter, after, closing in _delimiters(message, body, stop, boundary.encode("ascii"), budget):
        end = max(begin, delimiter - 2)
        if preamble is None:
            preamble = (body, end)
        else:
            children.append(_entity(message, begin, end, default, depth + 1, budget))
        begin = after
        if closing:
            epilogue, closed = (after, stop), True
            break
    if preamble is None:
        defects.append("no_delimiter")
        return (), (body, stop), epilogue
    if not closed:
        defects.append("no_close_delimiter")
        children.append(_entity(message, begin, stop, default, depth + 1, budget))
    if budget.near > near_before:
        defects.append("near_boundary")
    return tuple(children), preamble, epilogue


def _delimiters(
    message: Message, start: int, stop: int, boundary: bytes, budget: _Budget
) -> Iterator[tuple[int, int, bool]]:
    """Yield (position of "--", position after the line, closing?) of each delimiter line of this boundary."""
    needle = b"--" + boundary
    for position in _line_starts(message, start, stop, needle):
        rest = message.read(position + len(needle), min(stop, position + len(needle) + _MAX_PADDING))
        closing = rest.startswith(b"--")
        tail = rest[2:] if closing else rest
        padding = len(tail) - len(tail.lstrip(b" \t"))
        line_end = position + len(needle) + 2 * closing + padding
        if tail[padding : padding + 2] == b"\r\n":
            yield position, line_end + 2, closing
        elif line_end == stop:
            yield position, stop, closing
        elif closing:  # octets behind the closing mark: most parsers end the multipart here, and so do we
            budget.near_miss()
            yield position, line_end, True
        else:
            budget.near_miss()


def _line_starts(message: Message, start: int, stop: int, needle: bytes) -> Iterator[int]:
    """Yield where lines begin with the needle, in one pass."""
    if message.read(start, min(stop, start + len(needle))) == needle:
        yield start
    for place in message.places(b"\r\n" + needle, start, stop):
        yield place + 2

"""HTML as mail programs take it apart: tags, text between them, and what is never shown (WHATWG HTML 13.2.5).

One pass, linear whatever a stranger writes. Where a program could take more or less for a tag, less is: text shown here
that some program hides does no harm, hidden text that it shows does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT: Final = ""
"""Name of a piece that is text; a tag has its name in lower case, with "/" before it where it closes."""
UNSHOWN: Final = "!"
"""Name of a comment, a declaration, or what stands in an element that is no text."""
BROKEN: Final = "?"
"""Name of a last piece that is not finished: a tag or a comment without its end."""
_TAG: Final = re.compile(
    r"<(/?[A-Za-z][^\s/>]{0,80})(?>(?:[^>=]++|=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s>\"'][^\s>]*+|))*)>"
)
_CLOSE: Final = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("script", "style", "title", "iframe", "noembed", "noframes", "textarea", "xmp")
}
_SHOWN_RAW: Final = frozenset({"textarea", "xmp"})
_LONGEST_TAG: Final = 8192
"""Characters in which the end of a tag is looked for with regard to quotes; behind them the first ">" ends it."""
_MOST_FAILURES: Final = 64
"""Tags that do not end so; after them no quotes are regarded any more."""


def pieces(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield (name, start, stop) of text, tags and unshown pieces in order; together they are all of the text."""
    position = failures = 0
    while position < len(text):
        begin = text.find("<", position)
        if begin < 0:
            break
        if begin > position:
            yield TEXT, position, begin
        name, position = "", begin + 1
        if text.startswith("</", begin) or _begins_name(text, begin + 1):
            match = _TAG.match(text, begin, begin + _LONGEST_TAG) if failures < _MOST_FAILURES else None
            failures += match is None
            name, position = _tag(text, begin) if match is None else (match[1].lower(), match.end())
        elif text.startswith(("<!", "<?"), begin):
            name, position = _declaration(text, begin)
        yield name, begin, position
        if name in _CLOSE:
            closing = _CLOSE[name].search(text, position)
            stop = closing.start() if closing is not None else len(text)
            if stop > position:
                yield (BROKEN if closing is None else TEXT if name in _SHOWN_RAW else UNSHOWN), position, stop
            position = stop
    if position < len(text):
        yield TEXT, position, len(text)


def _begins_name(text: str, place: int) -> bool:
    character = text[place : place + 1]
    return character.isascii() and character.isalpha()


def _tag(text: str, begin: int) -> tuple[str, int]:
    """Return name and end of a tag that ends at the next ">", whatever is quoted."""
    stop = text.find(">", begin)
    if stop < 0:
        return BROKEN, len(text)
    name = re.match(r"/?[A-Za-z][^\s/>]{0,80}", text[begin + 1 : begin + 100])
    return (name[0].lower() if name is not None else UNSHOWN), stop + 1


def _declaration(text: str, begin: int) -> tuple[str, int]:
    """Return name and end of a comment, or of what browsers take for one."""
    if text.startswith(("<!-->", "<!--->"), begin):
        return UNSHOWN, text.index(">", begin) + 1
    end = "-->" if text.startswith("<!--", begin) else ">"
    stop = text.find(end, begin + 2)
    return (BROKEN, len(text)) if stop < 0 else (UNSHOWN, stop + len(end))

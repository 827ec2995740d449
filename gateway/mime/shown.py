"""What a reader sees of a text part: its first lines, and the hosts that its links lead to (RFC 2046 4.1, RFC 3986).

Linear in the octets given, and bounded in what it returns.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from gateway.core.address import domain_key
from gateway.mime.html import TEXT, pieces
from gateway.mime.words import decode_text, text_in

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_LINKS: Final = 2000
_BLOCKS: Final = frozenset(
    {
        "address", "article", "blockquote", "body", "br", "caption", "center", "dd", "div", "dl", "dt", "fieldset",
        "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "legend", "li", "main", "nav",
        "ol", "option", "p", "pre", "section", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
    }
)  # fmt: skip
_SPACE: Final = re.compile(r"[ \t\r\n\f]+")
_HREF: Final = re.compile(r"\bhref\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))", re.IGNORECASE)
_VISIBLE: Final = re.compile(r"\b(?:https?:/|www\.)[^\s<>\"'()\[\]{}]{1,2000}", re.IGNORECASE)
_WEB: Final = re.compile(r"(?:https?:[/\\]*|[/\\]{2,})([^/\\?#]*)", re.IGNORECASE)
_LONGEST_HOST: Final = 255
_UTF8: Final = frozenset({"", "us-ascii", "ascii", "utf-8", "utf8"})


@dataclass(slots=True)
class Shown:
    """What was found in one text: lines that are not blank, and hosts."""

    lines: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    links: int = 0


def readings(charset: str, octets: bytes) -> Iterator[str]:
    """Yield a text as its charset says, and as readers guess where it cannot be so."""
    yield text_in(charset or "utf-8", octets)
    if octets.isascii():
        return
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        if charset in _UTF8:
            yield octets.decode("cp1258", "replace")
    else:
        if charset not in _UTF8:
            yield text


def header_readings(value: bytes) -> Iterator[str]:
    """Yield an unstructured field as it is decoded, and as readers guess raw octets that are no UTF-8."""
    yield decode_text(value)
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        yield decode_text(value.decode("cp1258", "replace").encode())


def see_plain(text: str, shown: Shown, *, lines: int) -> None:
    """Add what a plain text shows: at most so many lines, and every host."""
    position = 0
    while lines > 0 and position < len(text):
        stop = text.find("\n", position)
        line = text[position : stop if stop >= 0 else len(text)].strip()
        position = stop + 1 if stop >= 0 else len(text)
        if line:
            shown.lines.append(line.lstrip("> "))
            lines -= 1
    _see_links(text, shown)


def see_html(text: str, shown: Shown, *, lines: int) -> None:
    """Add what HTML shows: at most so many lines, and every host in its text and its references."""
    parts: list[str] = []
    preformatted = False
    for name, start, stop in pieces(text):
        if name == TEXT:
            part = html.unescape(text[start:stop])
            parts.append(part if preformatted else _SPACE.sub(" ", part))
            continue
        tag = name.removeprefix("/")
        if tag in _BLOCKS:
            parts.append("\n")
            preformatted = name == "pre" or (preformatted and name != "/pre")
        if stop - start > len(name) + 2 and shown.links < MOST_LINKS:
            for match in _HREF.finditer(text, start, stop):
                _see_link(html.unescape(match[1] or match[2] or match[3] or ""), shown)
    see_plain("".join(parts), shown, lines=lines)


def _see_links(text: str, shown: Shown) -> None:
    for match in _VISIBLE.finditer(text):
        if shown.links >= MOST_LINKS:
            return
        url = match[0] if match[0][:1] in "hH" else f"http://{match[0]}"
        _see_link(url, shown)


def _see_link(url: str, shown: Shown) -> None:
    """Add the host of a link, as a browser takes it: white space in it and a user's name before it do not count."""
    match = _WEB.match("".join(url[: 8 * _LONGEST_HOST].split()))
    if match is None:
        return
    shown.links += 1
    host = unquote(match[1].rpartition("@")[2])
    host = re.sub(r":\d*$", "", host).rstrip(".,;:!?")
    if host:
        shown.hosts.add(domain_key(host).lower()[:_LONGEST_HOST])

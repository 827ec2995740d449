"""MAIL and RCPT lines read into envelope values (RFC 5321 4.1.2, RFC 1870, RFC 3461 4, RFC 4954 5, RFC 6152, RFC 6531).

Values are kept as they were given, case included: nothing here may upper-case or re-encode what travels on.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Notify, Recipient, Ret
from gateway.core.errors import InputError
from gateway.core.reply import Reply

if TYPE_CHECKING:
    from gateway.core.address import ReversePath

_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_ROUTE: Final = re.compile(r"@[A-Za-z0-9.\u0080-\U0010ffff-]+(?:,@[A-Za-z0-9.\u0080-\U0010ffff-]+)*:")
_PARAMETER: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^=\x00-\x20\x7f]+))?")
_XTEXT: Final = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})+")
_UNPRINTABLE: Final = re.compile(r"\+(?:[01][0-9A-F]|7F|[89A-F][0-9A-F])")
_ADDRESS_TYPE: Final = re.compile(r"[A-Za-z0-9!#$%&'*/?^_`{|}~.-]{1,60}")
_MAX_ENVID: Final = 100  # RFC 3461 4.4
_MAX_ORCPT: Final = 500  # RFC 3461 4.2
_SIZE: Final = re.compile(r"[0-9]{1,20}")  # RFC 1870 5


class MailCommand(NamedTuple):
    """A MAIL line. AUTH= is accepted and dropped: nobody here is trusted to speak for another (RFC 4954 5)."""

    reverse_path: ReversePath
    size: int | None = None
    """Octets the client announces, None if it does not."""
    eight_bit: bool = False
    smtputf8: bool = False
    ret: Ret | None = None
    envid: str | None = None


def parse_mail(argument: str, *, extended: bool) -> MailCommand:
    """Return what follows "MAIL "; raises `InputError` with the reply. `extended`: the client said EHLO."""
    path, rest = _split(argument, "FROM:", status="5.1.7")
    given = _parameters(rest, extended=extended)
    body = given.pop("BODY", "7BIT")
    smtputf8 = "SMTPUTF8" in given
    if body is None or body.upper() not in {"7BIT", "8BITMIME"} or given.pop("SMTPUTF8", None) is not None:
        raise _wrong("BODY is 7BIT or 8BITMIME, SMTPUTF8 takes no value")
    command = MailCommand(
        reverse_path=NULL_PATH if path == "" else _mailbox(path, smtputf8=smtputf8, status="5.1.7"),
        size=_size(given),
        eight_bit=body.upper() == "8BITMIME",
        smtputf8=smtputf8,
        ret=_ret(given),
        envid=_envid(given),
    )
    if "AUTH" in given and given.pop("AUTH") is None:
        raise _wrong("AUTH needs a value")
    _nothing_left(given)
    return command


@lru_cache(maxsize=4096)
def parse_rcpt(argument: str, *, extended: bool, smtputf8: bool, postmaster_domain: str) -> Recipient:
    """Return what follows "RCPT "; raises `InputError` with the reply.

    `<postmaster>` without a domain stands for the postmaster of `postmaster_domain` (RFC 5321 4.5.1). What was read
    is remembered: most mail is among people who write to each other every day, and a line has 1,050 octets at most.
    """
    path, rest = _split(argument, "TO:", status="5.1.3")
    given = _parameters(rest, extended=extended)
    if path.lower() == "postmaster":
        mailbox = Mailbox(path, postmaster_domain)
    else:
        mailbox = _mailbox(path, smtputf8=smtputf8, status="5.1.3")
    recipient = Recipient(mailbox, _notify(given), _orcpt(given))
    _nothing_left(given)
    return recipient


def _split(argument: str, keyword: str, *, status: str) -> tuple[str, str]:
    """Return the text of the path without brackets and source route, and what follows it.

    "" is the null path. A blank after the colon and a path without brackets are taken: old devices send both.
    """
    if argument[: len(keyword)].upper() != keyword:
        raise InputError("no_path", Reply.of(501, "5.5.4", f"syntax: {keyword}<mailbox>"))
    text = argument[len(keyword) :].lstrip(" ")
    if not text.startswith("<"):
        path, _, rest = text.partition(" ")
        if not path:
            raise _unfit_path(keyword, status)
        return path, rest
    route = _ROUTE.match(text, 1) if text.startswith("<@") else None
    start = route.end() if route else 1  # a source route is ignored, RFC 5321 4.1.1.3
    quoted = _QUOTED.match(text, start) if text.startswith('"', start) else None  # such a local part may hold ">"
    stop = text.find(">", quoted.end() if quoted else start)
    path, rest = text[start:stop], text[stop + 1 :]
    if stop < 0 or (rest and not rest.startswith(" ")) or (not path and start > 1):
        raise _unfit_path(keyword, status)
    return path, rest


def _unfit_path(keyword: str, status: str) -> InputError:
    return InputError("unfit_path", Reply.of(501, status, f"syntax: {keyword}<mailbox>"))


_parsed: Final = lru_cache(maxsize=4096)(Mailbox.parse)
"""Most mail is among people who write to each other every day; a line is short, so this is some megabytes at most."""


def _mailbox(text: str, *, smtputf8: bool, status: str) -> Mailbox:
    try:
        mailbox = _parsed(text)
    except ValueError as error:
        raise InputError("unfit_mailbox", Reply.of(501, status, f"unfit mailbox: {error}")) from error
    if not mailbox.ascii and not smtputf8:
        raise InputError("needs_smtputf8", Reply.of(553, "5.6.7", "a mailbox beyond ASCII needs SMTPUTF8"))
    return mailbox


def _parameters(rest: str, *, extended: bool) -> dict[str, str | None]:
    """Return the ESMTP parameters, keys in upper case, values as given; None where there is no "="."""
    found: dict[str, str | None] = {}
    if not rest:
        return found
    for word in rest.split(" "):
        if not word:
            continue
        match = _PARAMETER.fullmatch(word)
        name = match[1].upper() if match is not None else ""
        if match is None or name in found:
            raise _wrong("unfit or repeated parameter")
        found[name] = match[2]
    if found and not extended:
        raise InputError("not_extended", Reply.of(555, "5.5.4", "parameters need EHLO"))
    return found


def _wrong(text: str) -> InputError:
    return InputError("unfit_parameter", Reply.of(501, "5.5.4", text))


def _nothing_left(given: dict[str, str | None]) -> None:
    if given:
        raise InputError("unknown_parameter", Reply.of(555, "5.5.4", "parameter not recognized or not implemented"))


def _size(given: dict[str, str | None]) -> int | None:
    if "SIZE" not in given:
        return None
    text = given.pop("SIZE") or ""
    if not _SIZE.fullmatch(text):
        raise _wrong("SIZE needs a number of octets")
    return int(text)


def _ret(given: dict[str, str | None]) -> Ret | None:
    if "RET" not in given:
        return None
    try:
        return Ret((given.pop("RET") or "").upper())
    except ValueError as error:
        raise _wrong("RET is FULL or HDRS") from error


def _envid(given: dict[str, str | None]) -> str | None:
    if "ENVID" not in given:
        return None
    text = given.pop("ENVID") or ""
    if len(text) > _MAX_ENVID or not _fit_xtext(text):
        raise _wrong("ENVID needs xtext of at most 100 characters")
    return text


def _notify(given: dict[str, str | None]) -> frozenset[Notify] | None:
    if "NOTIFY" not in given:
        return None
    words = (given.pop("NOTIFY") or "").upper().split(",")
    if words == ["NEVER"]:
        return frozenset()
    try:
        return frozenset(Notify(word) for word in words)
    except ValueError as error:
        raise _wrong("NOTIFY is NEVER, or some of SUCCESS,FAILURE,DELAY") from error


def _orcpt(given: dict[str, str | None]) -> str | None:
    if "ORCPT" not in given:
        return None
    text = given.pop("ORCPT") or ""
    kind, semicolon, address = text.partition(";")
    if not semicolon or len(text) > _MAX_ORCPT or not _ADDRESS_TYPE.fullmatch(kind) or not _fit_address(address):
        raise _wrong("ORCPT needs an address type, a semicolon and xtext")
    return text


def _fit_address(text: str) -> bool:
    """True for xtext that stands for printable text; Postfix writes what is beyond ASCII as the octets of UTF-8."""
    if _XTEXT.fullmatch(text) is None:
        return False
    octets = re.sub(rb"\+([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode())
    try:
        return octets.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _fit_xtext(text: str) -> bool:
    """True for xtext that stands for printable characters only: it will be printed in notifications."""
    return _XTEXT.fullmatch(text) is not None and _UNPRINTABLE.search(text) is None

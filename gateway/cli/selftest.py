"""`gateway selftest forgery`: try whether forged marks reach a mailbox and are believed there, path by path.

Exit codes: 0 none was believed, 1 one was, or nothing could be tried, 2 the call is wrong. Passwords come from files.
A path that nobody named is shown as untried: run it again from other machines, where other paths are open.
"""

from __future__ import annotations

import datetime as dt
import imaplib
import secrets
import ssl
from dataclasses import asdict, dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.app.seals import seal_keys
from gateway.cli.call import DEFAULT_CONFIG, complain, say_json, stop
from gateway.cli.forgery import Door, Inbox, Outcome, Reader, Tried, append, clean, hand_over, letter, look
from gateway.cli.screen import show_narrow
from gateway.config.load import load_settings
from gateway.config.model import ListenerKind, TlsMode
from gateway.config.secrets import read_private
from gateway.core.address import Mailbox
from gateway.core.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.config.model import Settings
    from gateway.tagging.seal import SealKeys

_SECURITY: Final = {TlsMode.NONE: "none", TlsMode.STARTTLS: "starttls", TlsMode.IMPLICIT: "tls"}
_PATHS: Final = {
    "submission": "Đăng nhập gửi thư / submission with a login",
    "internal": "Hệ thống nội bộ / listed internal host",
    "inbound": "Thư từ ngoài qua cổng / from outside, through the gateway",
    "direct": "Thẳng vào máy chủ thư / straight to the mail system",
    "lmtp": "LMTP",
    "append": "IMAP APPEND",
}
_WORDS: Final = {
    Outcome.BELIEVED: "BỊ TIN LÀ THẬT / BELIEVED",
    Outcome.FLAGGED: "bị gắn nhãn mạo danh / flagged",
    Outcome.STRIPPED: "bị gỡ / stripped",
    Outcome.BLOCKED: "bị chặn / blocked",
    Outcome.MISSING: "không thấy trong hộp thư / not in the mailbox",
    Outcome.UNTRIED: "chưa thử / untried",
}


@dataclass(frozen=True, slots=True)
class _Call:
    """What the options say."""

    settings: Settings
    mailbox: Mailbox
    inside: str
    stranger: str
    context: ssl.SSLContext
    keys: SealKeys | None


def forgery(  # noqa: PLR0913, PLR0917 - one argument per option
    mailbox: Annotated[str, typer.Option("--mailbox", help="The mailbox to try to deceive, which we can read.")],
    imap_password_file: Annotated[Path, typer.Option("--imap-password-file", help="File with its password.")],
    config: Annotated[Path, typer.Option("--config", help="The configuration file (YAML).")] = DEFAULT_CONFIG,
    imap: Annotated[str | None, typer.Option("--imap", help="HOST:PORT; else mailbox.imap.")] = None,
    imap_user: Annotated[str | None, typer.Option("--imap-user", help="Login there; the mailbox without.")] = None,
    imap_without_tls: Annotated[bool, typer.Option("--imap-without-tls", help="On loopback.")] = False,  # noqa: FBT002 - a flag
    user: Annotated[str | None, typer.Option("--user", help="Login for submission.")] = None,
    password_file: Annotated[Path | None, typer.Option("--password-file", help="File with its password.")] = None,
    sender: Annotated[str | None, typer.Option("--from", help="Author inside; the mailbox without.")] = None,
    stranger: Annotated[str, typer.Option("--stranger", help="Author outside.")] = "selftest@stranger.example",
    direct: Annotated[str | None, typer.Option("--direct", help="The mail system's own SMTP, HOST:PORT.")] = None,
    lmtp: Annotated[str | None, typer.Option("--lmtp", help="Its LMTP, HOST:PORT or unix:/PATH.")] = None,
    ca: Annotated[Path | None, typer.Option("--ca", help="PEM file to check servers by; else the system's.")] = None,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for the messages.", min=1)] = 60.0,
    settle: Annotated[float, typer.Option("--settle", help="Seconds for a watch to flag one.", min=0)] = 20.0,
    keep: Annotated[bool, typer.Option("--keep", help="Leave them in the mailbox.")] = False,  # noqa: FBT002 - a flag
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Send forged marks by every path named, and say which of them a reader would believe."""
    try:
        settings = load_settings(config)
        found = Mailbox.parse(mailbox)
        context = ssl.create_default_context(cafile=str(ca) if ca is not None else None)
        call = _Call(settings, found, sender or mailbox, stranger, context, seal_keys(settings.tags))
        inbox = _inbox(call, imap, imap_user, read_private(imap_password_file), clear=imap_without_tls)
        login = (user, _text(read_private(password_file))) if user is not None and password_file is not None else None
        doors = _doors(call, login, direct, lmtp)
    except SetupError as error:
        stop(2, *error.mistakes)
    except (ValueError, OSError) as error:
        stop(2, f"{error}")
    try:
        tried = _try(call, inbox, doors, wait=wait, settle=settle, keep=keep)
    except (OSError, imaplib.IMAP4.error) as error:
        stop(1, f"the mailbox cannot be looked into: {error}")
    _report(mailbox, tried, as_json=as_json)
    attempted = any(each.outcome is not Outcome.UNTRIED for each in tried)
    raise typer.Exit(1 if not attempted or any(each.outcome is Outcome.BELIEVED for each in tried) else 0)


def _inbox(call: _Call, imap: str | None, user: str | None, password: bytes, *, clear: bool) -> Inbox:
    settings = call.settings.mailbox
    place = imap or (settings.imap if settings is not None else None)
    if place is None:
        raise SetupError("say where the mailbox is read: --imap HOST:PORT")
    host, _, port = place.rpartition(":")
    without = clear if imap is not None else settings is not None and settings.tls == "none"
    context = None if without else call.context
    return Inbox(call.mailbox, host.strip("[]"), int(port), context, user or str(call.mailbox), _text(password))


def _text(octets: bytes) -> str:
    return octets.decode().rstrip("\r\n")


def _doors(
    call: _Call, login: tuple[str, str] | None, direct: str | None, lmtp: str | None
) -> Mapping[str, tuple[Door, str] | None]:
    """Return where each path begins and who the author is there; None for a path that nobody named."""
    found: dict[str, tuple[Door, str] | None] = dict.fromkeys(_PATHS)
    for listener in reversed(call.settings.listeners):
        inside = listener.kind is not ListenerKind.INBOUND
        if listener.kind is ListenerKind.SUBMISSION and login is None:
            continue
        door = Door(
            _reachable(listener.address),
            _SECURITY[listener.tls.mode],
            login=login if listener.kind is ListenerKind.SUBMISSION else None,
        )
        found[listener.kind.value] = door, call.inside if inside else call.stranger
    if direct is not None:
        found["direct"] = Door(direct), call.stranger
    if lmtp is not None:
        found["lmtp"] = Door(lmtp, lmtp=True), call.stranger
    return found


def _reachable(address: str) -> str:
    """Return where a listener of this machine is reached."""
    host, _, port = address.rpartition(":")
    return f"{ {'0.0.0.0': '127.0.0.1', '[::]': '[::1]'}.get(host, host) }:{port}"  # noqa: S104 - read, not bound


def _try(
    call: _Call,
    inbox: Inbox,
    doors: Mapping[str, tuple[Door, str] | None],
    *,
    wait: float,
    settle: float,
    keep: bool,
) -> list[Tried]:
    """Send by every path, then look for all of them."""
    refused: dict[str, str] = {}
    tokens: dict[str, str] = {}
    key_id = call.settings.tags.seals[0].id if call.settings.tags.seals else "k1"
    for path, opened in {**doors, "append": None}.items():
        if opened is None and path != "append":
            continue
        door, sender = opened if opened is not None else (None, call.stranger)
        token = f"{secrets.token_hex(8)}-{path}"
        authserv_id, now, to = call.settings.tags.authserv_id, dt.datetime.now(dt.UTC), str(call.mailbox)
        message = letter(sender=sender, to=to, token=token, authserv_id=authserv_id, key_id=key_id, now=now)
        if door is None:
            why = append(inbox, message)
        else:
            why = hand_over(door, sender=sender, to=to, message=message, context=_context(call.context, door))
        if why is None:
            tokens[token] = path
        else:
            refused[path] = why
    reader = Reader(call.mailbox, call.keys, call.settings.tags.authserv_id)
    outcomes = look(inbox, reader, tokens, wait=wait, settle=settle)
    if not keep:
        clean(inbox, tokens)
    taken = set(tokens.values())
    return [
        Tried(each, Outcome.BLOCKED, refused[each])
        if each in refused
        else Tried(each, outcomes.get(each, Outcome.MISSING) if each in taken else Outcome.UNTRIED)
        for each in _PATHS
    ]


def _context(context: ssl.SSLContext, door: Door) -> ssl.SSLContext:
    """Return the context for a door; on loopback the name in a certificate says nothing."""
    if not door.address.startswith(("127.", "[::1]", "localhost:")):
        return context
    local = ssl.create_default_context()
    local.check_hostname = False
    local.verify_mode = ssl.CERT_NONE
    return local


def _report(mailbox: str, tried: list[Tried], *, as_json: bool) -> None:
    believed = sum(each.outcome is Outcome.BELIEVED for each in tried)
    if as_json:
        shown = {"mailbox": mailbox, "believed": believed, "paths": [asdict(each) for each in tried]}
        say_json(shown)
        return
    lines: list[tuple[str, str]] = []
    for each in tried:
        lines += [(each.path, _PATHS[each.path]), ("", _WORDS[each.outcome])]
        lines += [("", each.detail)] if each.detail else []
    show_narrow(
        mailbox,
        vietnamese="Có nhãn giả bị tin là thật." if believed else "Không nhãn giả nào bị tin là thật.",
        english="Forged marks are believed." if believed else "No forged mark is believed.",
        color="bold red" if believed else "bold green",
        lines=lines,
    )
    if any(each.outcome is Outcome.MISSING for each in tried):
        complain("what is not in the mailbox may be in quarantine, or late: look there, or wait longer")

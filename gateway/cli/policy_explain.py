"""`gateway policy explain`: what would become of this message, and why? Nothing is sent and nothing is kept.

Exit codes: 0 the client would hear 2xx, 1 it would be refused, 2 the call or its files are wrong. The keys really sign:
what --out writes is a genuine message of its author.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from ipaddress import ip_address
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.app.world import Parts
from gateway.cli.call import DEFAULT_CONFIG, moment, printable, stop
from gateway.cli.dry import Letter, listener_named, try_letter
from gateway.cli.explanation import as_object, explained
from gateway.cli.files import canonical, read_message
from gateway.cli.screen import show_narrow
from gateway.config.load import load_settings
from gateway.config.model import ListenerKind
from gateway.core.address import NULL_PATH, Mailbox, NullPath
from gateway.core.decision import Hold, PassUnchanged, Quarantine, Refuse, Sign
from gateway.core.errors import Mistakes, SetupError
from gateway.core.events import Stage
from gateway.core.queue import Kind
from gateway.mime.fields import AuthorDefect, MimeError, author_of, read_header
from gateway.policy.describe import describe
from gateway.record.logs import configure
from gateway.relay.hop import Hops

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from gateway.cli.dry import Outcome
    from gateway.cli.explanation import Explanation, Group, Part
    from gateway.config.model import Listener, Settings
    from gateway.core.message import Message

_KEPT: Final = {
    Kind.TO_SIGN: "chờ khóa ký / waits for its key",
    Kind.HELD: "giữ lại chờ duyệt / held for approval",
    Kind.RELEASED: "đã duyệt / released",
    Kind.QUARANTINED: "giữ riêng / quarantined",
}

_FOUND: Final = (
    ("  Ghi nhận / notes", "notes"),
    ("  Cơ quan ký / agencies", "agencies"),
    ("  Nhóm gốc / families", "families"),
)
"""Facts of a judgment that rules can ask for."""
_SIGNING: Final = ("key", "algorithm", "form", "encoding", "because", "date", "footer", "headers_protected", "reason")
"""Facts of a signature that say how it came to be as it is."""


def explain(  # noqa: PLR0913, PLR0917 - one argument per option
    file: Annotated[str, typer.Argument(metavar="FILE.eml", help='The message; "-" is standard input.')],
    to: Annotated[list[str], typer.Option("--to", metavar="ADDRESS", help="A recipient; may stand many times.")],
    login: Annotated[str | None, typer.Option("--as", metavar="USER", help="Login; else the From mailbox.")] = None,
    listener: Annotated[str | None, typer.Option("--from-listener", metavar="NAME", help="Where it comes in.")] = None,
    inbound: Annotated[bool, typer.Option("--inbound", help="It comes from another mail system.")] = False,  # noqa: FBT002 - a flag
    client: Annotated[str | None, typer.Option("--client", metavar="IP", help="Address of the client.")] = None,
    sender: Annotated[str | None, typer.Option("--sender", metavar="ADDRESS", help='Reverse-path; "" is null.')] = None,
    at: Annotated[str | None, typer.Option("--at", help="ISO 8601 time to try it at; now without.")] = None,
    config: Annotated[Path, typer.Option("--config", help="The gateway's configuration.")] = DEFAULT_CONFIG,
    directory: Annotated[Path | None, typer.Option("--dir", help="Try these policies instead.")] = None,
    ask_hops: Annotated[bool, typer.Option("--ask-hops", help="Ask next hops what they take.")] = False,  # noqa: FBT002 - a flag
    out: Annotated[Path | None, typer.Option("--out", help="Write the message as it would be sent.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Say what the gateway would do with a message, and why; exit 0: it is taken, 1: refused, 2: the call is wrong."""
    configure("error")
    faults = Mistakes()
    when = faults.read(lambda: moment(at))
    settings = faults.read(lambda: _settings(config, directory))
    recipients = faults.read(lambda: tuple(_mailbox("--to", each) for each in to))
    path = faults.read(lambda: _reverse_path(sender))
    message = faults.read(lambda: _message(file))
    try:
        faults.finish()
        assert settings is not None  # noqa: S101 - no mistakes, so nothing is missing
        assert message is not None  # noqa: S101 - as above
        assert when is not None  # noqa: S101 - as above
        door = _door(settings, listener, inbound=inbound)
        known_login = (login or _login(message)) if door.kind is ListenerKind.SUBMISSION else None
        letter = Letter(message, recipients or (), door, known_login, _client(client, door), path)
        explanation = asyncio.run(_explained(settings, letter, when, ask_hops=ask_hops))
        if out is not None:
            _write(out, explanation)
    except SetupError as error:
        stop(2, *error.mistakes)
    if as_json:
        text = json.dumps(as_object(explanation), ensure_ascii=False, default=str)
        sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\n")
        sys.stdout.buffer.flush()
    else:
        report(file, explanation)
    raise typer.Exit(0 if explanation.outcome.reply.positive else 1)


async def _explained(settings: Settings, letter: Letter, at: dt.datetime, *, ask_hops: bool) -> Explanation:
    """Load what the gateway would load, and take the letter through."""
    world = (await asyncio.to_thread(Parts, settings, at)).world
    hops = Hops(settings) if ask_hops else None
    try:
        outcome = await try_letter(settings, world, letter, at=at, hops=hops)
    finally:
        if hops is not None:
            await hops.close()
    return explained(outcome, catalog=world.catalog, labels=[each.label for each in settings.keys], at=at)


# --- what the options say -------------------------------------------------------------------------------------------


def _settings(config: Path, directory: Path | None) -> Settings:
    settings = load_settings(config)
    return settings if directory is None else settings.model_copy(update={"policies": directory.absolute()})


def _mailbox(option: str, text: str) -> Mailbox:
    try:
        return Mailbox.parse(text)
    except ValueError as error:
        raise SetupError(f"{option} {text}: not a mailbox") from error


def _reverse_path(text: str | None) -> Mailbox | NullPath | None:
    if text is None:
        return None
    return NULL_PATH if text in {"", "<>"} else _mailbox("--sender", text)


def _message(file: str) -> Message:
    """Return the message; raises `SetupError` for one that the SMTP session would not even take to its end."""
    try:
        message = read_message(file)
    except OSError as error:
        raise SetupError(f"{file}: {error.strerror or error}") from error
    if not canonical(message):
        raise SetupError(f"{file}: holds a bare CR, a bare LF or a NUL: the gateway answers 550 5.6.0 to it")
    return message


def _door(settings: Settings, name: str | None, *, inbound: bool) -> Listener:
    """Return the listener the options mean; raises `SetupError` where they contradict each other."""
    kinds = (ListenerKind.INBOUND,) if inbound else (ListenerKind.SUBMISSION, ListenerKind.INTERNAL)
    found = listener_named(settings, name, kinds)
    if inbound and found.kind is not ListenerKind.INBOUND:
        raise SetupError(f"--inbound: the listener {found.name!r} is of kind {found.kind.value}")
    return found


def _login(message: Message) -> str:
    """Return the From mailbox: what logins are called nearly everywhere."""
    try:
        author = author_of(read_header(message))
    except MimeError as error:
        raise SetupError(f"the header cannot be read ({error.reason}): say who sends it by --as USER") from error
    if isinstance(author, AuthorDefect):
        raise SetupError(f"From names no single author ({author}): say who sends it by --as USER")
    return author.key


def _client(address: str | None, door: Listener) -> str:
    """Return the client's address: the given one, one that the listener's first source has, else the loopback."""
    if address is None:
        networks = [network for source in door.sources for network in source.networks]
        return networks[0].partition("/")[0] if networks else "127.0.0.1"
    try:
        return str(ip_address(address))
    except ValueError as error:
        raise SetupError(f"--client {address}: not an IP address") from error


def _write(out: Path, explanation: Explanation) -> None:
    """Write the one octet string that would be sent; raises `SetupError` if there is none, or several."""
    parts = [part for group in explanation.groups for part in group.parts if part.kind is Kind.DELIVER]
    if len({part.message.digest("sha256") for part in parts}) != 1:
        what = "nothing would be sent" if not parts else "recipients would get different messages: try them one by one"
        raise SetupError(f"--out {out}: {what}")
    try:
        # a genuine message of its author is nobody else's
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for window in parts[0].message.windows():
                file.write(window)
    except OSError as error:
        raise SetupError(f"--out {out}: {error.strerror}") from error


# --- for people -----------------------------------------------------------------------------------------------------


def report(name: str, explanation: Explanation) -> None:
    """Print the explanation: the answer, then each group of recipients, at most 80 columns."""
    outcome = explanation.outcome
    vietnamese, english, color = _sentence(outcome)
    reply = outcome.reply
    lines = [("Trả lời / reply", f"{reply.code} {reply.status or ''} {printable(reply.text)}")]
    lines += _facts(outcome)
    show_narrow(name, vietnamese=vietnamese, english=english, color=color, lines=lines)
    for number, group in enumerate(explanation.groups, start=1):
        _print_group(number, group, explanation)
    for number, facts in enumerate(outcome.facts(Stage.SIGNED), start=1):
        told = [(name, str(facts[name])) for name in _SIGNING if facts.get(name)]
        show_narrow(f"Lần ký {number} / signature", vietnamese="", english="", color="", lines=told)
    for part in explanation.notices:
        show_narrow(
            f"Báo cho người gửi / notice to {', '.join(part.recipients)}",
            vietnamese="",
            english="",
            color="",
            lines=tuple(_part_lines(part)),
        )


def _sentence(outcome: Outcome) -> tuple[str, str, str]:
    kinds = {each.kind for each in outcome.consignments}
    if outcome.reply.permanent:
        return "Thư bị từ chối.", "The message would be refused.", "bold red"
    if not outcome.reply.positive:
        return "Thư tạm thời chưa nhận được.", "The message could not be taken now.", "bold red"
    if kinds <= {Kind.DELIVER}:
        return "Thư được nhận và chuyển đi.", "The message would be taken and sent on.", "bold green"
    if Kind.DELIVER in kinds:
        return "Thư được nhận; một phần giữ lại.", "The message would be taken, and kept in part.", "bold yellow"
    return "Thư được nhận và giữ lại.", "The message would be taken and kept.", "bold yellow"


def _facts(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Yield what policy was given to see."""
    for facts in outcome.facts(Stage.VERIFIED):
        yield "Kết luận / verdict", f"{facts['verdict']} ({facts['reason']})"
        for words, key in _FOUND:
            values = facts[key]
            if isinstance(values, tuple) and values:
                yield words, ", ".join(map(str, values))
    for facts in outcome.facts(Stage.CLASSIFIED):
        yield "Tác giả / author", str(facts["author"] or "-")
        traits = facts["traits"]
        more = f" ({', '.join(traits)})" if isinstance(traits, tuple) and traits else ""
        yield "Dạng / form", f"{facts['form']}{more}"
    if outcome.shares:
        yield "Bản quy định / policy", f"{outcome.shares[0].ruling.policy_digest[:16]}..."
    else:
        yield "Quy định / rules", "chưa xét đến / were not reached"


def _print_group(number: int, group: Group, explanation: Explanation) -> None:
    ruling = group.share.ruling
    vietnamese, english = _decision_words(group)
    lines = [("Quy định / rule", ruling.rule), ("Quyết định / decision", describe(ruling.decision))]
    if group.wants_key:
        lines += _key_lines(group, explanation.unable)
    for part in group.parts:
        lines += _part_lines(part)
    if not group.parts:
        lines.append(("Gửi / sent", "không gì cả / nothing"))
    lines += [("Đã xét / tried" if not index else "", line) for index, line in enumerate(ruling.trace)]
    title = f"Người nhận {number} / recipients: {', '.join(group.recipients)}"
    show_narrow(title, vietnamese=vietnamese, english=english, color="bold", lines=lines)


def _decision_words(group: Group) -> tuple[str, str]:
    match group.share.ruling.decision:
        case Sign():
            return "Phải ký số.", "It is to be signed."
        case PassUnchanged():
            return "Chuyển đi nguyên vẹn, không ký.", "It travels on unchanged, without our signature."
        case Hold():
            return "Giữ lại chờ người quản trị duyệt.", "It is held for an administrator."
        case Refuse():
            return "Từ chối.", "It is refused."
        case Quarantine():
            return "Giữ riêng, không giao.", "It is quarantined."
        case _:
            return "Giao kèm nhãn.", "It is delivered with its tags."


def _key_lines(group: Group, unable: Sequence[str]) -> Iterator[tuple[str, str]]:
    key = group.key
    if key is None:
        reasons = ", ".join(unable) or "không có chữ ký của cổng / no signature of ours"
        yield "Khóa / key", f"- ({reasons})"
        return
    yield "Khóa / key", f"{key.label} ({key.kind.value})"
    yield "  Chứng thư / certificate", key.certificate.subject
    yield "  Cấp cho / addresses", ", ".join(key.certificate.addresses) or "-"


def _part_lines(part: Part) -> Iterator[tuple[str, str]]:
    if part.kind is Kind.DELIVER:
        yield "Gửi tới / next hop", f"{part.hop}: {', '.join(part.recipients)}"
    else:
        yield "Giữ / kept", f"{_KEPT[part.kind]}: {part.reason}"
    yield "  Kích thước / size", f"{part.octets} octet"
    yield "  Dạng / form", part.form
    for each in part.signers:
        if each.key is None:
            yield "  Người ký / signer", each.subject
    for name, text in part.added:
        yield "  Thêm / added", f"{name}: {text}"
    if part.missing:
        yield "  Dời đi / moved away", ", ".join(part.missing)

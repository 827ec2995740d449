"""`gateway sign` and `gateway verify`: one message, no running gateway (RFC 8551, RFC 8601).

Exit codes: 0 signed, or every file verified; 1 not; 2 the call is wrong. Nothing half-done is ever written out.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from gateway.cli.files import STANDARD_INPUT, FileBuilder, read_certificates, read_crls, read_message
from gateway.cli.report import as_object, print_report
from gateway.core.errors import InputError, ServiceError, SetupError
from gateway.mime.fields import AuthorDefect, author_of, read_header
from gateway.mime.transfer import CannotEncode
from gateway.pki.path import Revocation, TrustAnchors
from gateway.smime.sign import Left, Prepared, check_own_work, content_digest, finish, prepare
from gateway.smime.verify import verify as judge_message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.config.model import Settings
    from gateway.core.message import Message
    from gateway.pki.certificate import Certificate
    from gateway.ports import SigningKey

_BOUNDARY_TRIES: Final = 3


def _stop(code: int, *lines: str) -> NoReturn:
    """End with an exit code, saying why on standard error."""
    for line in lines:
        sys.stderr.write(f"gateway: {line}\n")
    raise typer.Exit(code)


# --- sign -----------------------------------------------------------------------------------------------------------


def sign(
    key: Annotated[str | None, typer.Option("--key", help="Label of a key in the configuration.")] = None,
    p12: Annotated[Path | None, typer.Option("--p12", help="PKCS#12 file with key and certificates.")] = None,
    password_file: Annotated[Path | None, typer.Option("--password-file", help="File with its passphrase.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="The gateway's configuration, for --key.")] = None,
) -> None:
    """Sign the message on standard input and write it to standard output, canonical (CRLF)."""
    now = dt.datetime.now(dt.UTC)
    try:
        signing_key = _signing_key(now, key=key, p12=p12, password_file=password_file, config=config)
        finished = asyncio.run(_signed(read_message(STANDARD_INPUT), signing_key, now))
    except SetupError as error:
        _stop(2, *error.mistakes)
    except InputError as error:
        _stop(1, f"cannot be signed: {error.reason}")
    except ServiceError as error:
        _stop(1, f"the key does not answer: {error}")
    except OSError as error:
        _stop(1, f"cannot be read: {error.strerror or error}")
    for window in finished.windows():
        sys.stdout.buffer.write(window)
    sys.stdout.buffer.flush()


def _signing_key(
    now: dt.datetime, *, key: str | None, p12: Path | None, password_file: Path | None, config: Path | None
) -> SigningKey:
    """Return the key that the options name; raises `SetupError`."""
    from gateway.config.load import load_settings  # noqa: PLC0415 - `verify` starts without YAML and pydantic
    from gateway.config.model import KeyFile  # noqa: PLC0415 - as above
    from gateway.keys.catalog import load_catalog  # noqa: PLC0415 - as above

    if (key is None) == (p12 is None):
        raise SetupError("give either --key LABEL with --config FILE, or --p12 FILE with --password-file FILE")
    if key is not None:
        if config is None:
            raise SetupError("--key needs --config")
        files = [each for each in load_settings(config).keys if each.label == key]
        if not files:
            raise SetupError(f"{config}: there is no key {key!r}")
    else:
        if password_file is None:
            raise SetupError("--p12 needs --password-file: a password never stands in the arguments")
        secret = f"file:{password_file.absolute()}"
        files = [KeyFile(label=_COMMAND_LINE, kind="personal", pkcs12=p12, passphrase=secret)]
    catalog = load_catalog(files, now=now)
    found = catalog.by_label(files[0].label)
    if found is None:
        raise SetupError(f"the key {files[0].label!r} was not loaded")
    fault = catalog.unfit(found, now)
    if fault is not None:
        raise SetupError(f"the key may not sign now: {fault}")
    return found


_COMMAND_LINE: Final = "command-line"


async def _signed(message: Message, key: SigningKey, now: dt.datetime) -> Message:
    """Return the finished message, checked; raises `InputError` with the reason where it must not be signed."""
    author = author_of(read_header(message))
    if isinstance(author, AuthorDefect):
        raise InputError(f"From is not one mailbox ({author})")
    if author.key not in key.addresses:
        raise InputError(f"From is {author}, and the key's certificate names {', '.join(sorted(key.addresses))}")
    message_id = f"<{secrets.token_hex(16)}@{author.domain}>"
    try:
        prepared = prepare(message, now=now, message_id=message_id, new_builder=FileBuilder)
    except CannotEncode as error:
        raise InputError("it holds an 8-bit part that somebody else signed") from error
    if isinstance(prepared, Left):
        raise InputError(prepared.reason)
    template = key.template
    to_be_signed = template.to_be_signed(content_digest(prepared, template.digest), now)
    cms = template.finish(to_be_signed, await key.sign(to_be_signed))
    finished = _finished(prepared, cms, template.micalg)
    fault = check_own_work(finished, certificate=key.certificate)
    if fault is not None:
        raise InputError(f"our own signature does not verify ({fault}); nothing was written")
    return finished


def _finished(prepared: Prepared, cms: bytes, micalg: str) -> Message:
    for _ in range(_BOUNDARY_TRIES):
        try:
            return finish(prepared, cms=cms, micalg=micalg, boundary=f"=_{secrets.token_hex(16)}")
        except ValueError:
            continue
    raise InputError("no boundary fits")


# --- verify ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _World:
    """What the files are judged against."""

    trust: TrustAnchors
    revocation: Revocation
    at: dt.datetime
    untrusted: tuple[Certificate, ...]
    crls: tuple[bytes, ...]
    agency_of: Callable[[Certificate], str | None]


def verify(  # noqa: PLR0913, PLR0917 - one argument per option
    files: Annotated[list[str], typer.Argument(help='Messages; "-" is standard input.', metavar="FILE...")],
    trust: Annotated[list[Path] | None, typer.Option("--trust", help="Trust anchors, PEM or DER.")] = None,
    untrusted: Annotated[list[Path] | None, typer.Option("--untrusted", help="Other certificates.")] = None,
    crls: Annotated[list[Path] | None, typer.Option("--crls", help="Revocation lists, PEM or DER.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="ISO 8601 time to judge at; UTC without offset.")] = None,
    revocation: Annotated[Revocation | None, typer.Option("--revocation", help="Default: hard.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Add trust and agencies of a gateway.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line and file.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Say who signed, and what may be believed; exits 0 only if every file is verified."""
    try:
        world = _world(trust or (), untrusted or (), crls or (), at=at, revocation=revocation, config=config)
    except SetupError as error:
        _stop(2, *error.mistakes)
    if not world.trust.anchors:
        sys.stderr.write("gateway: no --trust and no --config: nothing can be verified\n")
    all_verified, unread = True, False
    for name in files:
        try:
            all_verified &= _judge(name, world, as_json=as_json)
        except OSError as error:
            sys.stderr.write(f"gateway: {name}: {error.strerror or error}\n")
            unread = True
    if unread:
        raise typer.Exit(2)
    raise typer.Exit(0 if all_verified else 1)


def _judge(name: str, world: _World, *, as_json: bool) -> bool:
    """Judge and report one file; return True if it is verified."""
    message = read_message(name)
    judgment = judge_message(
        message,
        trust=world.trust,
        revocation=world.revocation,
        at=world.at,
        untrusted=world.untrusted,
        crls=world.crls,
        agency_of=world.agency_of,
    )
    found = as_object(name, judgment)
    if as_json:
        sys.stdout.buffer.write(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        sys.stdout.buffer.flush()
    else:
        print_report(name, judgment)
    return found["verdict"] == "verified"


def _world(
    trust: Sequence[Path],
    untrusted: Sequence[Path],
    crls: Sequence[Path],
    *,
    at: str | None,
    revocation: Revocation | None,
    config: Path | None,
) -> _World:
    """Read everything the judgment needs; raises one `SetupError` with all mistakes."""
    mistakes: list[str] = []
    mode, agency_of = revocation or Revocation.HARD, _no_agency
    try:
        moment = _moment(at)
    except ValueError:
        mistakes.append(f"--at {at}: not a time as ISO 8601 writes it, such as 2026-11-24T08:00:00+07:00")
    intermediates: Sequence[Path] = ()
    if config is not None:
        settings = _settings(config, mistakes)
        if settings is not None:
            trust, crls = (*settings.trust.anchors, *trust), (*settings.trust.crls, *crls)
            intermediates = settings.trust.intermediates
            mode = revocation or Revocation(settings.trust.revocation)
            agency_of = _registry(settings.agencies, mistakes)
    certificates = []
    for paths in (trust, intermediates, untrusted):
        try:
            certificates.append(read_certificates(paths))
        except SetupError as error:
            mistakes += error.mistakes
    try:
        lists = read_crls(crls)
    except SetupError as error:
        mistakes += error.mistakes
    if mistakes:
        raise SetupError(*mistakes)
    anchors, pinned, others = certificates
    return _World(TrustAnchors(anchors, pinned, lists), mode, moment, others, (), agency_of)


def _moment(text: str | None) -> dt.datetime:
    """Return the aware time to judge at; raises `ValueError`."""
    if text is None:
        return dt.datetime.now(dt.UTC)
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def _no_agency(certificate: Certificate) -> str | None:
    del certificate
    return None


def _settings(config: Path, mistakes: list[str]) -> Settings | None:
    from gateway.config.load import load_settings  # noqa: PLC0415 - most calls need no YAML

    try:
        return load_settings(config)
    except SetupError as error:
        mistakes += error.mistakes
        return None


def _registry(path: Path | None, mistakes: list[str]) -> Callable[[Certificate], str | None]:
    from gateway.agencies.registry import Registry  # noqa: PLC0415 - most calls need no YAML

    if path is None:
        return _no_agency
    try:
        return Registry.load(str(path), path.read_text(encoding="utf-8")).agency_name
    except SetupError as error:
        mistakes += error.mistakes
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(f"{path}: cannot be read: {error}")
    return _no_agency

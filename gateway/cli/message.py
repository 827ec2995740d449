"""`gateway sign` and `gateway verify`: one message, no running gateway (RFC 8551, RFC 8601).

Exit codes: 0 signed, or every file verified; 1 not; 2 the call is wrong. Nothing half-done is ever written out.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import secrets
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.agencies.registry import Registry
from gateway.cli.call import complain, moment, stop
from gateway.cli.files import STANDARD_INPUT, FileBuilder, canonical, read_message
from gateway.cli.report import as_object, print_report
from gateway.config.trust import read_certificates, read_crls, read_untrusted
from gateway.core.address import domain_key
from gateway.core.decision import DateGap, SignatureForm
from gateway.core.errors import InputError, Mistakes, ServiceError, SetupError
from gateway.core.verdict import ChainState, Judgment, SignatureState, Unreadable, Verified
from gateway.mime.fields import AuthorDefect, author_of, read_header
from gateway.mime.transfer import CannotEncode
from gateway.pki.path import Revocation, TrustAnchors
from gateway.smime.identity import Lenience, Who, identified
from gateway.smime.own_work import check_own_work
from gateway.smime.sign import Left, NoBoundaryError, prepare
from gateway.smime.verify import verify as judge_message
from gateway.trust.anchors import for_own_keys, read_trust

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config.model import Settings
    from gateway.core.message import Message
    from gateway.pki.certificate import Certificate
    from gateway.ports import SigningKey


# --- sign -----------------------------------------------------------------------------------------------------------


def sign(
    key: Annotated[str | None, typer.Option("--key", help="Label of a key in the configuration.")] = None,
    p12: Annotated[Path | None, typer.Option("--p12", help="PKCS#12 file with key and certificates.")] = None,
    password_file: Annotated[Path | None, typer.Option("--password-file", help="File with its passphrase.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="The gateway's configuration, for --key.")] = None,
) -> None:
    """Sign the message on standard input and write it to standard output, canonical (CRLF)."""
    from gateway.record.logs import configure  # noqa: PLC0415 - `verify` logs nothing

    configure("error")  # a log line on standard output would stand in the message
    now = dt.datetime.now(dt.UTC)
    try:
        signing_key = _signing_key(now, key=key, p12=p12, password_file=password_file, config=config)
        finished = asyncio.run(_signed(read_message(STANDARD_INPUT), signing_key, now))
    except SetupError as error:
        stop(2, *error.mistakes)
    except InputError as error:
        stop(1, f"cannot be signed: {error.reason}")
    except ServiceError as error:
        stop(1, f"the key does not answer: {error}")
    except OSError as error:
        stop(1, f"cannot be read: {error.strerror or error}")
    try:
        for window in finished.windows():
            sys.stdout.buffer.write(window)
        sys.stdout.buffer.flush()
    except OSError as error:
        stop(1, f"cannot be written as a whole: {error.strerror or error}")


def _signing_key(
    now: dt.datetime, *, key: str | None, p12: Path | None, password_file: Path | None, config: Path | None
) -> SigningKey:
    """Return the key that the options name; raises `SetupError`."""
    from gateway.config.keys import KeyFile  # noqa: PLC0415 - as above
    from gateway.config.load import load_settings  # noqa: PLC0415 - `verify` starts without YAML and pydantic
    from gateway.keys.catalog import load_catalog  # noqa: PLC0415 - as above
    from gateway.keys.revocation import RevocationWatch  # noqa: PLC0415 - as above
    from gateway.keys.suspensions import Suspensions  # noqa: PLC0415 - as above

    suspensions = watch = None
    if (key is None) == (p12 is None):
        raise SetupError("give either --key LABEL with --config FILE, or --p12 FILE with --password-file FILE")
    if key is not None:
        if config is None or password_file is not None:
            raise SetupError("--key needs --config, and no --password-file")
        settings = load_settings(config)
        files = [each for each in settings.keys if each.label == key]
        suspensions = Suspensions(settings.keys_state_file)
        demand, lists = settings.keys_revocation, settings.trust.crls
        pinned = for_own_keys(read_trust(settings.trust, settings.trust_directory))
        watch = RevocationWatch(pinned, files=lists, demand=demand, now=now)
        if not files:
            raise SetupError(f"{config}: there is no key {key!r}")
    else:
        if password_file is None:
            raise SetupError("--p12 needs --password-file: a password never stands in the arguments")
        secret = f"file:{password_file.absolute()}"
        files = [KeyFile(label=_COMMAND_LINE, kind="personal", pkcs12=p12, passphrase=secret)]
    catalog = load_catalog(files, now=now, suspensions=suspensions, watch=watch)
    found = catalog.by_label(files[0].label)
    if found is None:
        raise SetupError(f"the key {files[0].label!r} was not loaded")
    fault = catalog.unfit(found, now)
    if fault is not None:
        raise SetupError(*catalog.findings(now))
    return found


_COMMAND_LINE: Final = "command-line"


async def _signed(message: Message, key: SigningKey, now: dt.datetime) -> Message:
    """Return the finished message, checked; raises `InputError` with the reason where it must not be signed."""
    from gateway.service.signing import sealed  # noqa: PLC0415 - `verify` starts without the rooms of the gateway

    if not canonical(message):
        raise InputError("it has CRLF and other line ends, or a NUL: a transport would change what was signed")
    author = author_of(read_header(message))
    if isinstance(author, AuthorDefect):
        raise InputError(f"From is not one mailbox ({author})")
    if author.key not in key.addresses:
        raise InputError(f"From is {author}, and the key's certificate names {', '.join(sorted(key.addresses))}")
    message_id = f"<{secrets.token_hex(16)}@{domain_key(author.domain)}>"
    try:
        prepared = prepare(message, now=now, message_id=message_id, new_builder=FileBuilder)
    except CannotEncode as error:
        raise InputError("it holds an 8-bit part that somebody else signed") from error
    if isinstance(prepared, Left):
        raise InputError(prepared.reason)
    try:
        finished = await sealed(
            prepared,
            key,
            form=SignatureForm.CLEAR,
            claimed_signing_time=_claimed(message, now),
            new_token=lambda: secrets.token_hex(16),
            new_builder=FileBuilder,
        )
    except NoBoundaryError as error:
        raise InputError("no boundary fits") from error
    fault = check_own_work(finished, certificate=key.certificate, sent_along=key.template.certificates)
    if fault is not None:
        raise InputError(f"our own signature does not verify ({fault}); nothing was written")
    return finished


def _claimed(message: Message, now: dt.datetime) -> dt.datetime | None:
    """Return the time that the signature names: none where Date is far from it, since clients call that broken."""
    from gateway.service.dating import Dated, dated  # noqa: PLC0415 - as above

    found = dated(message, read_header(message), now, DateGap.OMIT_SIGNING_TIME)
    return found.claimed_signing_time if isinstance(found, Dated) else None


# --- verify ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _World:
    """What the files are judged against."""

    trust: TrustAnchors
    revocation: Revocation
    at: dt.datetime
    untrusted: tuple[Certificate, ...]
    crls: tuple[bytes, ...]
    who: Who


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
        stop(2, *error.mistakes)
    if not world.trust.anchors:
        sys.stderr.write("gateway: no --trust and no --config: nothing can be verified\n")
    if files.count(STANDARD_INPUT) > 1:
        stop(2, "standard input can be read once only")
    all_verified, unread = True, False
    for name in files:
        try:
            judgment = _judged(name, world)
        except OSError as error:
            complain(f"{name}: {error.strerror or error}")
            judgment, unread = _UNREAD, True
        if as_json:
            _write(as_object(name, judgment))
        else:
            print_report(name, judgment)
        all_verified &= isinstance(judgment.verdict, Verified)
    if unread:
        raise typer.Exit(2)
    raise typer.Exit(0 if all_verified else 1)


_UNREAD: Final = Judgment(
    Unreadable("file_unreadable"),
    ChainState.NONE,
    SignatureState.NONE,
    covers_everything_shown=False,
    headers_signed=False,
    author=None,
)
"""The answer about a file that is not there: whoever reads our JSON finds an object for each name it gave."""


def _judged(name: str, world: _World) -> Judgment:
    message = read_message(name)
    judgment = judge_message(
        message,
        trust=world.trust,
        revocation=world.revocation,
        at=world.at,
        untrusted=world.untrusted,
        crls=world.crls,
    )
    try:
        return identified(judgment, read_header(message), world.who)
    except InputError:  # over a limit: so the verdict says, too
        return judgment


def _write(found: dict[str, object]) -> None:
    """Write one JSON object as a line; names of files may hold octets that are no UTF-8."""
    sys.stdout.buffer.write(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()


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
    faults = Mistakes()
    judged_at = faults.read(lambda: moment(at))
    settings = faults.read(lambda: _settings(config)) if config is not None else None
    mode, agencies, allowed = revocation or Revocation.HARD, None, frozenset[Lenience]()
    pinned: TrustAnchors | None = None
    if settings is not None:
        pinned = faults.read(partial(read_trust, settings.trust, settings.trust_directory))
        mode = revocation or Revocation(settings.trust.revocation)
        agencies = settings.agencies
        allowed = frozenset(each for each in Lenience if getattr(settings.verify, each.value) == "lesser")
    anchors = faults.read(lambda: read_certificates(trust)) or ()
    others = faults.read(lambda: read_untrusted(untrusted, complain)) or ()
    lists = faults.read(lambda: read_crls(crls)) or ()
    registry = faults.read(lambda: _registry(agencies))
    faults.finish()
    if judged_at is None or registry is None:
        raise SetupError("nothing to judge by")
    pinned = pinned or TrustAnchors((), (), ())
    pinned = replace(pinned, anchors=(*pinned.anchors, *anchors), crls=(*pinned.crls, *lists))
    return _World(pinned, mode, judged_at, others, (), Who(registry, allowed))


def _settings(config: Path) -> Settings:
    from gateway.config.load import load_settings  # noqa: PLC0415 - most calls need no YAML

    return load_settings(config)


def _registry(path: Path | None) -> Registry:
    if path is None:
        return Registry.empty()
    try:
        return Registry.load(str(path), path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path}: cannot be read: {error}") from error

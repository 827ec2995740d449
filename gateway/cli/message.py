"""`gateway sign`: one message, no running gateway (RFC 8551).

Exit codes: 0 signed, 1 not, 2 the call is wrong. Nothing half-done is ever written out.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.call import stop
from gateway.cli.files import STANDARD_INPUT, FileBuilder, canonical, read_message
from gateway.core.address import domain_key
from gateway.core.decision import DateGap, SignatureForm
from gateway.core.errors import InputError, ServiceError, SetupError
from gateway.mime.fields import AuthorDefect, author_of, read_header
from gateway.mime.transfer import CannotEncode
from gateway.smime.own_work import check_own_work
from gateway.smime.sign import Left, NoBoundaryError, prepare
from gateway.trust.anchors import for_own_keys, read_trust

if TYPE_CHECKING:
    from gateway.core.message import Message
    from gateway.ports import SigningKey


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
    domain = domain_key(author.domain)
    try:
        prepared = prepare(
            message,
            now=now,
            new_message_id=lambda: f"<{secrets.token_hex(16)}@{domain}>",
            new_builder=FileBuilder,
        )
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

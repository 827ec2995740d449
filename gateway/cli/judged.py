"""Judging one file by the options of a call: what `gateway verify` and `gateway explain` share (RFC 8551).

Nothing is fetched here: revocation data come with the message, by --crls, or by the files of a configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.agencies.registry import Registry
from gateway.cli.call import complain, moment, stop
from gateway.cli.files import read_message
from gateway.config.trust import read_certificates, read_crls, read_untrusted
from gateway.core.errors import InputError, Mistakes, SetupError
from gateway.mime.entity import parse
from gateway.mime.fields import read_header
from gateway.pki.path import Revocation, TrustAnchors
from gateway.service.impersonation import suspected
from gateway.smime.identity import Lenience, Who, identified
from gateway.smime.trust import Trust
from gateway.smime.verify import verify_against
from gateway.tagging import strip
from gateway.trust.anchors import read_trust

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config.model import Settings
    from gateway.core.verdict import Judgment

TrustFiles = Annotated[list[Path] | None, typer.Option("--trust", help="Trust anchors, PEM or DER.")]
UntrustedFiles = Annotated[list[Path] | None, typer.Option("--untrusted", help="Other certificates.")]
ListFiles = Annotated[list[Path] | None, typer.Option("--crls", help="Revocation lists, PEM or DER.")]
AnswerFiles = Annotated[list[Path] | None, typer.Option("--ocsp", help="Answers of OCSP responders, DER.")]
Moment = Annotated[str | None, typer.Option("--at", help="ISO 8601 time to judge at; UTC without offset.")]
Mode = Annotated[Revocation | None, typer.Option("--revocation", help="Default: hard.")]
Config = Annotated[Path | None, typer.Option("--config", help="Add trust and agencies of a gateway.")]
_NO_ANCHORS: Final = "no --trust and no --config: nothing can be verified"
_NOBODY: Final = "invalid"


@dataclass(frozen=True, slots=True)
class World:
    """What the files of a call are judged against."""

    trust: Trust
    who: Who
    authserv_id: str
    """Ours, so that the tags of mail that we delivered are not taken for its sender's words."""


def world_of_call(
    trust: list[Path] | None,
    untrusted: list[Path] | None,
    crls: list[Path] | None,
    ocsps: list[Path] | None,
    *,
    at: str | None,
    revocation: Revocation | None,
    config: Path | None,
) -> World:
    """Return what a call's options name; ends the command where they are wrong, and warns where nothing is trusted."""
    try:
        world = _read_world(
            trust or (), untrusted or (), crls or (), ocsps or (), at=at, revocation=revocation, config=config
        )
    except SetupError as error:
        stop(2, *error.mistakes)
    if not world.trust.anchors.anchors:
        complain(_NO_ANCHORS)
    return world


def _read_world(
    trust: Sequence[Path],
    untrusted: Sequence[Path],
    crls: Sequence[Path],
    ocsps: Sequence[Path],
    *,
    at: str | None,
    revocation: Revocation | None,
    config: Path | None,
) -> World:
    """Read everything the judgment needs; raises one `SetupError` with all mistakes."""
    faults = Mistakes()
    judged_at = faults.read(lambda: moment(at))
    settings = faults.read(lambda: _settings(config)) if config is not None else None
    mode, agencies, allowed, name = revocation or Revocation.HARD, None, frozenset[Lenience](), _NOBODY
    pinned: TrustAnchors | None = None
    if settings is not None:
        pinned = faults.read(partial(read_trust, settings.trust, settings.trust_directory))
        mode = revocation or Revocation(settings.trust.revocation)
        agencies, name = settings.agencies, settings.tags.authserv_id
        allowed = frozenset(each for each in Lenience if getattr(settings.verify, each.value) == "lesser")
    anchors = faults.read(lambda: read_certificates(trust)) or ()
    others = faults.read(lambda: read_untrusted(untrusted, complain)) or ()
    lists = faults.read(lambda: read_crls(crls)) or ()
    answers = faults.read(lambda: tuple(_octets(each) for each in ocsps)) or ()
    registry = faults.read(lambda: _registry(agencies))
    faults.finish()
    if judged_at is None or registry is None:
        raise SetupError("nothing to judge by")
    pinned = pinned or TrustAnchors((), (), ())
    pinned = replace(pinned, anchors=(*pinned.anchors, *anchors), crls=(*pinned.crls, *lists))
    return World(Trust(pinned, others, (), judged_at, mode, answers), Who(registry, allowed), name)


def _octets(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}") from error


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


def judged(name: str, world: World) -> Judgment:
    """Return the judgment of a file, or of standard input; raises `OSError`."""
    message = read_message(name)
    judgment = verify_against(message, world.trust)
    try:
        known = identified(judgment, read_header(message), world.who)
        clean = parse(strip(message, authserv_id=world.authserv_id))
        return suspected(known, clean.header, clean, world.who.registry)
    except InputError:  # over a limit: so the verdict says, too
        return judgment

"""`gateway agencies`: the registry checked, asked, and taken from or given to a table of an office program (RFC 4180).

Exit codes: 0 yes, 1 nobody is known by that, 2 the call or its files are wrong. No file is ever changed: what is made
goes to standard output.
"""

from __future__ import annotations

import codecs
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.agencies.model import KINDS, folded
from gateway.agencies.reading import read_roll
from gateway.agencies.registry import Found, Registry, read_agencies
from gateway.agencies.skeleton import skeleton
from gateway.agencies.table import read_table
from gateway.agencies.writing import write_table, write_yaml
from gateway.cli.call import DEFAULT_CONFIG, AsJson, say_json, stop, stop_check
from gateway.cli.screen import show_narrow
from gateway.config.load import load_settings
from gateway.core.address import Mailbox
from gateway.core.errors import InputError, SetupError
from gateway.pki.certificate import Certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.agencies.model import Agency, Roll
    from gateway.yamltext import Document

_BY: Final = {
    "fingerprint": "dấu vân tay của chứng thư / the certificate's fingerprint",
    "mailbox": "hộp thư / the mailbox",
    "domain": "tên miền / the domain",
    "successor": "tên miền cũ, nay là / an old domain, now",
    "subject": "O và OU trong chứng thư / O and OU of the certificate",
    "former_name": "tên cũ trong chứng thư / a former name in the certificate",
    "id": "mã / the id",
    "name": "tên / the name",
}
_MOST_SHOWN: Final = 20

File = Annotated[Path, typer.Argument(metavar="FILE", help="YAML, or a table (.csv, .txt) with a heading.")]


def take_in(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="A table with a heading, as Excel saves it.")],
) -> None:
    """Write a table of agencies as the YAML that the gateway reads, on standard output."""
    sys.stdout.write(write_yaml(_right(file)))


def give_out(file: File) -> None:
    """Write the agencies of a file as a table (CSV, UTF-8) for Excel, on standard output."""
    sys.stdout.reconfigure(newline="") if hasattr(sys.stdout, "reconfigure") else None
    sys.stdout.write(write_table(_right(file)))


def check(file: File, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag
    """Say everything that is wrong with a file of agencies, or how many there are of each kind."""
    try:
        registry = Registry.of(read_roll(_document(file)))
    except SetupError as error:
        stop_check(2, error.mistakes, as_json=as_json)
    roll = registry.roll
    counts = {kind: sum(each.kind is kind for each in registry.agencies) for kind in KINDS}
    if as_json:
        kinds = {kind.value: count for kind, count in counts.items()}
        others = {"successors": len(roll.successions), "protected": len(roll.protected)}
        say_json({"errors": [], "agencies": len(registry.agencies), "kinds": kinds, **others})
        return
    lines = [(vi.partition(",")[0], f"{counts[kind]} ({en})") for kind, (vi, en) in KINDS.items() if counts[kind]]
    show_narrow(
        str(file),
        vietnamese=f"Đúng: {len(registry.agencies)} cơ quan.",
        english=f"Right: {len(registry.agencies)} agencies.",
        color="bold green",
        lines=[
            *lines,
            ("Tên miền cũ / old domains", str(len(roll.successions))),
            ("Được bảo vệ / protected", str(len(roll.protected))),
        ],
    )


def show(
    what: Annotated[str, typer.Argument(metavar="ADDRESS|CERTIFICATE|NAME", help="A mailbox, a file, or a name.")],
    file: Annotated[Path | None, typer.Option("--agencies", help="The registry; else the configuration's.")] = None,
    config: Annotated[Path, typer.Option("--config", help="The gateway's configuration.")] = DEFAULT_CONFIG,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Say which agency a mailbox, a certificate or a name belongs to, and why; no certificate's path is looked at."""
    registry = Registry.of(_roll(file)) if file is not None else _configured(config)
    found = list(_found(registry, what))
    if as_json:
        answer = {"asked": what, "found": [_as_object(registry, each) for each in found[:_MOST_SHOWN]]}
        sys.stdout.write(f"{json.dumps(answer, ensure_ascii=False, indent=1)}\n")
    for each in [] if as_json else found[:_MOST_SHOWN]:
        _show(registry, each)
    if not found:
        stop(1, f"{what}: không thuộc cơ quan nào, hoặc thuộc nhiều cơ quan / no agency, or more than one")


def _found(registry: Registry, what: str) -> Iterator[Found]:
    if "@" in what:
        try:
            hit = registry.found_by_mailbox(Mailbox.parse(what))
        except ValueError:
            stop(2, f"{what}: not a mailbox")
    elif Path(what).is_file():
        hit = registry.found_by_certificate(_certificate(Path(what)))
    else:
        yield from _named(registry, what)
        return
    if hit is not None:
        yield hit


def _named(registry: Registry, what: str) -> Iterator[Found]:
    """Yield the agencies of an id or a name, former and short ones too; diacritics need not be typed."""
    wanted = skeleton(what)
    for agency in registry.agencies:
        names = (agency.name, agency.english or "", *agency.former, *agency.short)
        if agency.id == what:
            yield Found(agency, "id", agency.id)
        elif wanted and any(folded(each) == folded(what) or skeleton(each) == wanted for each in names if each):
            yield Found(agency, "name", agency.name)


def _certificate(path: Path) -> Certificate:
    try:
        certificates = Certificate.load_all(path.read_bytes())
    except (OSError, InputError) as error:
        stop(2, f"{path}: {error}")
    return certificates[0]


def _as_object(registry: Registry, found: Found) -> dict[str, object]:
    agency = found.agency
    return {
        "id": agency.id,
        "name": agency.name,
        "english": agency.english,
        "kind": agency.kind.value,
        "parents": [each.id for each in _above(registry, agency)],
        "former": list(agency.former),
        "by": found.by,
        "detail": found.detail,
    }


def _above(registry: Registry, agency: Agency) -> Iterator[Agency]:
    """Yield the agency's parent, and its parent: a file in which that never ends is refused."""
    while agency.parent is not None:
        agency = registry.by_id[agency.parent]
        yield agency


def _show(registry: Registry, found: Found) -> None:
    agency = found.agency
    vietnamese, english = KINDS[agency.kind]
    show_narrow(
        agency.name,
        vietnamese=f"Tìm ra theo {_BY[found.by].partition(' / ')[0]}: {found.detail}",
        english=f"Found by {_BY[found.by].partition(' / ')[2]}: {found.detail}",
        color="bold",
        lines=[
            ("Mã / id", agency.id),
            ("Tiếng Anh / English", agency.english or "-"),
            ("Loại / kind", f"{vietnamese} / {english}"),
            ("Trực thuộc / part of", ", ".join(each.name for each in _above(registry, agency)) or "-"),
            ("Tên cũ / former names", ", ".join(agency.former) or "-"),
        ],
    )


def _configured(config: Path) -> Registry:
    try:
        path = load_settings(config).agencies
    except SetupError as error:
        stop(2, *error.mistakes)
    if path is None:
        stop(2, f"{config}: names no agencies; give a file by --agencies")
    return Registry.of(_roll(path))


def _roll(file: Path) -> Roll:
    try:
        return read_roll(_document(file))
    except SetupError as error:
        stop(2, *error.mistakes)


def _right(file: Path) -> Document:
    """Return the file as it is written, once it was found right."""
    try:
        document = _document(file)
        read_roll(document)
    except SetupError as error:
        stop(2, *error.mistakes)
    return document


def _document(file: Path) -> Document:
    """Return the file as a tree of values; raises `SetupError`."""
    try:
        octets = file.read_bytes()
    except OSError as error:
        raise SetupError(f"{file}: cannot be read: {error.strerror}") from error
    wide = octets.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # what Excel calls Unicode text
    try:
        text = octets.decode("utf-16" if wide else "utf-8")
    except UnicodeDecodeError as error:
        line = octets[: error.start].count(b"\n") + 1
        hint = 'not UTF-8: lưu lại dạng "CSV UTF-8" / save it as "CSV UTF-8"'
        raise SetupError(f"{file}:{line}:1: {hint}") from error
    return read_table(str(file), text) if file.suffix.lower() in {".csv", ".txt"} else read_agencies(str(file), text)

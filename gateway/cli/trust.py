"""`gateway trust`: which authorities are believed, by fingerprints that somebody compared.

Exit codes: 0 as asked, 1 something is not as it should be (a certificate that must not be pinned, a damaged store), 2
the call or its files are wrong. The running gateway is not told: it reads the store again when it is reloaded. Where
machines share a database, the change is in it first, and every gateway takes it over by itself (decision 31).
"""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli.call import DEFAULT_CONFIG, AsJson, acting_user, printable, say_json, stop, stop_check
from gateway.cli.configured import settings_of
from gateway.cli.everywhere import current, for_all
from gateway.cli.screen import show
from gateway.config.trust import read_certificates
from gateway.core.errors import SetupError
from gateway.core.local import VIETNAM
from gateway.pki.known import known_anchor
from gateway.pki.strength import key_text
from gateway.sharing.decrees import last_of_trust, line_of, of_line
from gateway.spool.gazette import OvertakenError
from gateway.trust.admission import objections
from gateway.trust.anchors import read_trust
from gateway.trust.index import Line
from gateway.trust.store import Store, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.config.model import Settings
    from gateway.pki.certificate import Certificate
    from gateway.spool.gazette import Decree, Past
    from gateway.trust.admission import Objection
    from gateway.trust.index import PinKind

_YEAR: Final = 365
_WIDE: Final = 200
"""Columns where nobody looks: a file or a pipe."""
_LEAST_PREFIX: Final = 8
RELOAD: Final = (
    "Cổng đang chạy dùng thay đổi này sau khi nạp lại / the running gateway takes it when it is reloaded:\n"
    "  systemctl reload gateway   (SIGHUP)\n"
)

Config = Annotated[Path, typer.Option("--config", help="The gateway's configuration.")]


@dataclass(frozen=True, slots=True)
class Row:
    """One certificate that is trusted, and by what."""

    certificate: Certificate
    kind: PinKind
    family: str
    source: str
    """ "settings" or "store"."""
    at: str | None = None
    who: str | None = None
    note: str | None = None


def add(  # noqa: PLR0913, PLR0917 - a command line has that many options
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The certificate: PEM, DER or PKCS#7.")],
    pin: Annotated[str, typer.Option("--pin", metavar="SHA256", help="Its published SHA-256 fingerprint.")],
    family: Annotated[str | None, typer.Option("--family", help="A name under trust.families.")] = None,
    intermediate: Annotated[bool, typer.Option("--intermediate", help="It completes paths, and is no anchor.")] = False,  # noqa: FBT002 - a flag
    note: Annotated[str, typer.Option("--note", help="Where the fingerprint was compared; it is kept.")] = "",
    anyway: Annotated[str | None, typer.Option("--anyway", metavar="REASON", help="Overrule what may be.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,  # noqa: FBT002 - a flag
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Pin a certificate whose fingerprint you compared with a published one."""
    settings = settings_of(config)
    current(settings)
    kind: PinKind = "intermediate" if intermediate else "anchor"
    now = dt.datetime.now(VIETNAM)
    try:
        certificate = _pinned(file, _digits(pin))
        _fits(settings, certificate, kind=kind, family=family)
    except SetupError as error:
        stop(2, *error.mistakes)
    against = objections(certificate, kind=kind, now=now)
    barred = [each for each in against if each.final or not (anyway or "").strip()]
    kept = "; ".join(each for each in (note, f"anyway: {anyway}" if against else "") if each)
    at = now.isoformat(timespec="seconds")
    line = Line(at, acting_user(), "added", certificate.fingerprint, kind, family or "", kept)
    added = not barred and not dry_run
    if not as_json:
        _show(file, certificate, against, barred=bool(barred))
    if added:
        _write(settings, line, certificate)
    if as_json:
        say_json(_weighed(settings, line, certificate, against, added=added))
    if barred:
        hints = () if any(each.final for each in barred) else ("nếu vẫn muốn / if you mean it: --anyway REASON",)
        if kind == "anchor" and certificate.ca and not certificate.self_issued:
            hints = ("là chứng thư trung gian? / is it an intermediate? --intermediate", *hints)
        stop(1, "không thêm / nothing was added", *hints)
    if not as_json:
        done = f"Đã thêm / added: {certificate.fingerprint}\n{_told(settings)}"
        sys.stdout.write(done if added else "Chạy thử, không ghi gì / a dry run, nothing was written\n")


def _weighed(
    settings: Settings, line: Line, certificate: Certificate, against: Sequence[Objection], *, added: bool
) -> dict[str, object]:
    """Return what was found of a certificate, and whether it is pinned now, for programs."""
    kept = (line.at, line.who, line.note) if added else ()
    row = Row(certificate, line.kind, line.family, "store", *kept)
    return {
        "added": added,
        "against": [{"vi": each.vietnamese, "en": each.english, "final": each.final} for each in against],
        "certificate": _as_object(row, dt.datetime.fromisoformat(line.at)),
        "reload": added and bool(_told(settings)),
    }


def retire(
    fingerprint: Annotated[str, typer.Argument(metavar="FINGERPRINT", help="SHA-256, or how it begins.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in one line; it is kept.")],
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Trust a certificate of the store no longer; its file and its history stay."""
    settings = settings_of(config)
    current(settings)
    store = Store(settings.trust_directory)
    wanted = re.sub(r"[:\s-]", "", fingerprint).lower()
    if not re.fullmatch(r"[0-9a-f]{8,64}", wanted):
        stop(2, f"{fingerprint}: at least {_LEAST_PREFIX} hexadecimal digits of a SHA-256 fingerprint")
    try:
        standing = store.index().standing
        found = [each for each in standing if each.startswith(wanted)]
        if len(found) != 1:
            elsewhere = any(row.certificate.fingerprint.startswith(wanted) for row in _rows(settings))
            hint = "it stands in the settings: take it out there" if elsewhere and not found else "not one in the store"
            stop(1, f"{wanted}: {hint}")
        one_line(reason, least=1)
    except SetupError as error:
        stop(2, *error.mistakes)
    at = dt.datetime.now(VIETNAM).isoformat(timespec="seconds")
    line = replace(standing[found[0]], at=at, who=acting_user(), action="retired", note=reason)
    _write(settings, line, None)
    if as_json:
        said = {"fingerprint": line.fingerprint, "kind": line.kind, "family": line.family or None}
        say_json({**said, "retired_at": at, "retired_by": line.who, "note": reason, "reload": bool(_told(settings))})
    else:
        sys.stdout.write(f"Không tin cậy nữa / retired: {found[0]}\n{_told(settings)}")


def _write(settings: Settings, line: Line, certificate: Certificate | None) -> None:
    """Write a line into the store, of all machines where they share a database; ends the command if it fails."""

    def choose(past: Past) -> tuple[Decree, ...]:
        last = last_of_trust(past).get(line.fingerprint)
        stands = last is not None and line_of(last).action == "added"
        if stands != (line.action == "retired"):
            raise OvertakenError(f"{line.fingerprint}: vừa được đổi nơi khác / somebody else added or retired it")
        return (of_line(line, certificate),)

    store, now = Store(settings.trust_directory), dt.datetime.fromisoformat(line.at)
    try:
        one_line(line.note, least=0)
        if settings.spool.shared:
            found = for_all(settings, choose)
            if found.failed or found.refused:
                raise typer.Exit(1)
        elif certificate is not None:
            store.add(certificate, kind=line.kind, family=line.family, who=line.who, note=line.note, now=now)
        else:
            store.retire(line.fingerprint, who=line.who, reason=line.note, now=now)
    except SetupError as error:
        stop(2, *error.mistakes)


def _told(settings: Settings) -> str:
    return "" if settings.spool.shared else RELOAD


def list_all(
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """List all trusted certificates: of which family, until when, from where."""
    settings = settings_of(config)
    now = dt.datetime.now(dt.UTC)
    try:
        read_trust(settings.trust, settings.trust_directory)
        rows = tuple(_rows(settings))
    except SetupError as error:
        stop(2, *error.mistakes)
    if as_json:
        families = [each.model_dump(mode="json", include=_FAMILY_FIELDS) for each in settings.trust.families]
        found = {"families": families, "certificates": [_as_object(row, now) for row in rows]}
        sys.stdout.write(f"{json.dumps(found, ensure_ascii=False, indent=1)}\n")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDE)
    console.print(_table(rows, now))


def check(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag
    """Say whether the store is whole: no line changed, every file what its name says, nothing ended."""
    settings = settings_of(config)
    store = Store(settings.trust_directory)
    try:
        index = store.index()
        findings = store.findings(dt.datetime.now(dt.UTC))
        read_trust(settings.trust, settings.trust_directory)
    except SetupError as error:
        stop_check(1, error.mistakes, as_json=as_json)
    count = len(index.lines)
    if as_json:
        say_json({"errors": findings, "index": str(store.index_file), "lines": count, "head": index.head})
        raise typer.Exit(1 if findings else 0)
    sys.stdout.write(f"{store.index_file}: {count} dòng / lines, SHA-256 {index.head}\n")
    if findings:
        stop(1, *findings)
    sys.stdout.write("Kho tin cậy nguyên vẹn / the trust store is whole\n")


_FAMILY_FIELDS: Final = {"name", "vi", "en", "uses", "domains", "allow"}


def _digits(pin: str) -> str:
    digits = re.sub(r"[:\s-]", "", pin.lower().removeprefix("sha256:"))
    if re.fullmatch(r"[0-9a-f]{64}", digits) is None:
        raise SetupError("--pin: 64 hexadecimal digits, the published SHA-256 fingerprint")
    return digits


def _pinned(file: Path, pin: str) -> Certificate:
    """Return the certificate in the file that has the fingerprint; raises `SetupError` with those that it has."""
    found = read_certificates((file,))
    for each in found:
        if each.fingerprint == pin:
            return each
    raise SetupError(
        f"{file}: dấu vân tay không khớp, không thêm / the fingerprint is not the pinned one, nothing was added",
        f"  --pin  {pin}",
        *(f"  SHA-256 {each.fingerprint}  {each.subject}" for each in found),
    )


def _fits(settings: Settings, certificate: Certificate, *, kind: PinKind, family: str | None) -> None:
    """Raise `SetupError` where the settings have no place for it, or trust it already."""
    if kind == "intermediate" and family is not None:
        raise SetupError("--intermediate: it belongs to the family of the anchor above it, leave --family out")
    names = [each.name for each in settings.trust.families]
    if family is not None and family not in names:
        raise SetupError(f"--family {family}: trust.families has {', '.join(names) or 'none'}")
    read_trust(settings.trust, settings.trust_directory)
    for row in _rows(settings):
        if row.certificate == certificate:
            raise SetupError(f"{certificate.fingerprint}: đã có / is there already ({row.kind}, {row.source})")


def _rows(settings: Settings) -> Iterator[Row]:
    """Yield everything trusted, settings first; raises `SetupError`."""
    trust = settings.trust
    for family, anchors, intermediates in (
        ("", trust.anchors, trust.intermediates),
        *((each.name, each.anchors, each.intermediates) for each in trust.families),
    ):
        yield from (Row(each, "anchor", family, "settings") for each in read_certificates(anchors))
        yield from (Row(each, "intermediate", family, "settings") for each in read_certificates(intermediates))
    for pin in Store(settings.trust_directory).pins():
        line = pin.line
        yield Row(pin.certificate, line.kind, line.family, "store", line.at, line.who, line.note)


def _show(file: Path, certificate: Certificate, against: Sequence[Objection], *, barred: bool) -> None:
    known = known_anchor(certificate.fingerprint)
    lines = [
        ("Chủ thể / subject", certificate.subject),
        ("Nơi cấp / issuer", certificate.issuer),
        ("Số / serial", certificate.serial),
        ("Khóa / key", key_text(certificate.public_key)),
        ("Từ / from", certificate.not_before.astimezone(VIETNAM).isoformat()),
        ("Đến / until", certificate.not_after.astimezone(VIETNAM).isoformat()),
        ("SHA-256", certificate.fingerprint),
    ]
    if known is not None:
        lines.append(("Đã công bố / published", f"{known.vietnamese} {known.generation} / {known.english}"))
    lines += [("Trở ngại / against it", f"{each.vietnamese} / {each.english}") for each in against]
    color = "bold red" if barred else "bold green"
    vietnamese, english = "Dấu vân tay khớp với --pin.", "The fingerprint is the pinned one."
    if barred:
        vietnamese, english = f"{vietnamese} Nhưng không nên tin cậy.", f"{english} But it should not be trusted."
    show(str(file), vietnamese=vietnamese, english=english, color=color, lines=lines)


def _table(rows: Sequence[Row], now: dt.datetime) -> Table:
    table = Table(box=SIMPLE, title=f"Chứng thư được tin cậy / trusted: {len(rows)}", title_justify="left")
    for heading in (
        "Họ / family", "Loại / kind", "Chủ thể / subject", "Từ / from", "Đến / until", "Còn / days", "Nguồn / source",
        "SHA-256",
    ):  # fmt: skip
        table.add_column(heading, overflow="fold", justify="right" if "days" in heading else "left")
    kinds = {"anchor": "gốc / anchor", "intermediate": "trung gian / intermediate"}
    sources = {"settings": "cấu hình / settings", "store": "kho / store"}
    for row in rows:
        days = (row.certificate.not_after - now).days
        table.add_row(
            *(Text(each) for each in (row.family or "-", kinds[row.kind], printable(row.certificate.subject))),
            f"{row.certificate.not_before.astimezone(VIETNAM):%Y-%m-%d}",
            f"{row.certificate.not_after.astimezone(VIETNAM):%Y-%m-%d}",
            Text(str(days), "bold red" if days < 0 else "yellow" if days < _YEAR else "green"),
            sources[row.source],
            row.certificate.fingerprint,
        )
    return table


def _as_object(row: Row, now: dt.datetime) -> dict[str, object]:
    certificate = row.certificate
    days = (certificate.not_after - now).days
    return {
        "fingerprint": certificate.fingerprint,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "kind": row.kind,
        "family": row.family or None,
        "source": row.source,
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "days_left": days,
        "ends_soon": days < _YEAR,
        "added_at": row.at,
        "added_by": row.who,
        "note": row.note,
    }

"""`gateway keys`: which keys sign for whom and until when, and the switch that stops one at once.

Exit codes: 0 as asked, 1 something is not as it should be (a key that cannot be read, nothing to resume), 2 the call or
its files are wrong. The running gateway is not asked and not told: both sides read the same files. Where machines share
a database, a key is stopped in it first, and then in the files of each (decision 31). No private key and no passphrase
is ever shown.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli.call import AsJson, acting_user, printable, say_json, stop
from gateway.cli.configured import settings_of
from gateway.cli.screen import show_narrow
from gateway.config.trust import read_certificates
from gateway.core.errors import SetupError
from gateway.core.local import VIETNAM
from gateway.keys.catalog import Catalog, FileKey, read_each
from gateway.keys.files import certificate_place
from gateway.keys.revocation import RevocationWatch
from gateway.keys.suspensions import Suspension, Suspensions, append, check_reason
from gateway.trust.anchors import for_own_keys, read_trust

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.config.keys import KeyFile
    from gateway.config.model import Settings
    from gateway.keys.suspensions import Action
    from gateway.pki.certificate import Certificate

DEFAULT_CONFIG: Final = Path("/etc/gateway/gateway.yaml")
_WIDE: Final = 200
"""Columns where nobody looks: a file or a pipe."""
_SOON: Final = 30
_NOTICE: Final = 90
"""Days left below which a row is red, and yellow."""
_STATES: Final = {
    "in_use": ("đang dùng / in use", "green"),
    "suspended": ("tạm ngừng / suspended", "bold red"),
    "expired": ("hết hạn / expired", "bold red"),
    "issuer_expired": ("nơi cấp hết hạn / issuer expired", "bold red"),
    "not_yet_valid": ("chưa đến hạn / not yet valid", "yellow"),
    "issuer_not_yet_valid": ("nơi cấp chưa đến hạn / issuer not yet valid", "yellow"),
    "revoked": ("bị thu hồi / revoked", "bold red"),
    "issuer_revoked": ("nơi cấp bị thu hồi / issuer revoked", "bold red"),
    "no_revocation_data": ("thiếu dữ liệu thu hồi / no revocation data", "bold red"),
    "stale_revocation_data": ("dữ liệu thu hồi cũ / stale revocation data", "bold red"),
    "unreadable": ("không đọc được / unreadable", "bold red"),
}
"""State -> words and color; the reasons of a path that does not hold stand for themselves."""

Config = Annotated[Path, typer.Option("--config", help="The gateway's configuration.")]
Label = Annotated[str, typer.Argument(metavar="LABEL", help="The key's label.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in one line; it is kept.")]


@dataclass(frozen=True, slots=True)
class Row:
    """One key of the settings, as far as it can be read."""

    file: KeyFile
    key: FileKey | None
    certificate: Certificate | None
    state: str
    suspension: Suspension | None
    mistakes: tuple[str, ...]
    now: dt.datetime

    @property
    def days_left(self) -> int | None:
        """Whole days until the certificate or one of its issuers ends; negative after it."""
        if self.certificate is None:
            return None
        chain = self.key.chain if self.key is not None else ()
        return (min(each.not_after for each in (self.certificate, *chain)) - self.now).days

    @property
    def addresses(self) -> tuple[str, ...]:
        """Mailboxes it may sign for."""
        if self.key is not None:
            return tuple(sorted(self.key.addresses))
        return self.certificate.addresses if self.certificate is not None else ()


def list_all(
    config: Config = DEFAULT_CONFIG,
    by_expiry: Annotated[bool, typer.Option("--by-expiry", help="What ends first stands first.")] = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """List all keys: for whom, until when, and whether they may sign now."""
    rows, fault = _read(config, None)
    if by_expiry:
        rows.sort(key=lambda row: (row.days_left is None, row.days_left or 0, row.file.label))
    if as_json:
        text = json.dumps({"keys": [_as_object(row) for row in rows], "fault": fault}, ensure_ascii=False, indent=1)
        sys.stdout.write(f"{text}\n")
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=_WIDE)
        console.print(_table(rows))
    lines = [*([f"{fault}: every key is suspended"] if fault is not None else []), *_mistakes(rows)]
    if lines:
        stop(1, *lines)


def show_one(label: Label, config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag
    """Show one key with everything that is known of it."""
    rows, fault = _read(config, label)
    (row,) = rows
    if as_json:
        sys.stdout.write(f"{json.dumps(_as_object(row), ensure_ascii=False, indent=1)}\n")
    else:
        words, color = _STATES.get(row.state, (row.state, "bold red"))
        vietnamese, _, english = words.partition(" / ")
        show_narrow(label, vietnamese=vietnamese, english=english, color=color, lines=_lines(row))
    lines = [*([f"{fault}: every key is suspended"] if fault is not None else []), *_mistakes(rows)]
    if lines:
        stop(1, *lines)


def suspend(
    label: Label,
    reason: Reason,
    config: Config = DEFAULT_CONFIG,
    here: Annotated[bool, typer.Option("--here", help="Now and on this machine; the others hear of it later.")] = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Stop a key at once, on all machines: gateways sign nothing more with it after seconds, without a restart."""
    settings = settings_of(config)
    if label not in {each.label for each in settings.keys}:
        stop(2, f"{config}: there is no key {label!r}")
    line = _line(label, reason)
    if settings.spool.shared and not here:
        from gateway.cli.everywhere import suspend_key  # noqa: PLC0415 - the switch of one machine needs no database

        suspend_key(settings, line)
    else:
        _note(settings, line, "suspend")
    _tell(line, "suspend", "đã tạm ngừng, không ký nữa / suspended, it signs nothing more", as_json=as_json)


def resume(label: Label, reason: Reason, config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag
    """Let a suspended key sign again, on all machines."""
    settings = settings_of(config)
    shared = settings.spool.shared
    if shared:
        from gateway.cli.everywhere import current, resume_key  # noqa: PLC0415 - as above

        current(settings)
    suspensions = Suspensions(settings.keys_state_file)
    if suspensions.fault is not None:
        stop(2, suspensions.fault)
    seen = suspensions.of(label)
    if seen is None:
        stop(1, f"{label}: khóa này không bị tạm ngừng / this key is not suspended")
    line = _line(label, reason)
    if shared:
        resume_key(settings, line, seen)
    else:
        _note(settings, line, "resume")
    _tell(line, "resume", "được ký lại / it may sign again", as_json=as_json)


def _tell(line: Suspension, action: Action, words: str, *, as_json: bool) -> None:
    """Say what was done, as the switch's file keeps it."""
    if as_json:
        say_json({"label": line.label, "action": action, "at": line.at, "who": line.who, "reason": line.reason})
    else:
        sys.stdout.write(f"{line.label}: {words}\n")


def _line(label: str, reason: str) -> Suspension:
    try:
        check_reason(reason)
    except SetupError as error:
        stop(2, *error.mistakes)
    return Suspension(label, dt.datetime.now(VIETNAM).isoformat(timespec="seconds"), acting_user(), reason)


def _note(settings: Settings, line: Suspension, action: Action) -> None:
    now = dt.datetime.fromisoformat(line.at)
    try:
        append(settings.keys_state_file, action, line.label, who=line.who, reason=line.reason, now=now)
    except SetupError as error:
        stop(2, *error.mistakes)


def _read(config: Path, label: str | None) -> tuple[list[Row], str | None]:
    """Return the keys, or the one of this label, and why all are suspended if they are."""
    settings = settings_of(config)
    now = dt.datetime.now(dt.UTC)
    files = [each for each in settings.keys if label is None or each.label == label]
    if label is not None and not files:
        stop(2, f"{config}: there is no key {label!r}")
    try:
        trust = for_own_keys(read_trust(settings.trust, settings.trust_directory))
    except SetupError as error:
        stop(2, *error.mistakes)
    suspensions = Suspensions(settings.keys_state_file)
    watch = RevocationWatch(trust, files=settings.trust.crls, demand=settings.keys_revocation, now=now)
    found = read_each(files, now=now)
    catalog = Catalog(
        [each for each in found if isinstance(each, FileKey)], now=now, suspensions=suspensions, watch=watch
    )
    return [_row(file, key, catalog, now) for file, key in zip(files, found, strict=True)], suspensions.fault


def _row(file: KeyFile, key: FileKey | SetupError, catalog: Catalog, now: dt.datetime) -> Row:
    suspension = catalog.suspension(file.label)
    if isinstance(key, FileKey):
        return Row(file, key, key.certificate, catalog.unfit(key, now) or "in_use", suspension, (), now)
    certificate = None
    if file.certificate is not None:  # its certificate can be shown without the passphrase
        try:
            certificate = read_certificates([file.certificate])[0]
        except SetupError:
            certificate = None
    return Row(file, None, certificate, "unreadable", suspension, key.mistakes, now)


def _mistakes(rows: Sequence[Row]) -> list[str]:
    return [line for row in rows for line in row.mistakes]


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=SIMPLE, title=f"Khóa ký / signing keys: {len(rows)}", title_justify="left")
    for heading in (
        "Nhãn / label", "Loại / kind", "Chủ thể / subject", "Địa chỉ / addresses", "Thuật toán / algorithm",
        "Số / serial", "Từ / from", "Đến / until", "Còn / days", "Trạng thái / state",
    ):  # fmt: skip
        table.add_column(heading, overflow="fold", justify="right" if "days" in heading else "left")
    for row in rows:
        certificate = row.certificate
        words, color = _STATES.get(row.state, (row.state, "bold red"))
        cells: tuple[str | Text, ...] = (
            row.file.label,
            row.file.kind,
            (certificate.common_name or certificate.subject) if certificate is not None else "-",
            ", ".join(row.addresses) or "-",
            _algorithm(certificate),
            certificate.serial if certificate is not None else "-",
            f"{certificate.not_before.astimezone(VIETNAM):%Y-%m-%d}" if certificate is not None else "-",
            f"{certificate.not_after.astimezone(VIETNAM):%Y-%m-%d}" if certificate is not None else "-",
            _days(row.days_left),
            Text(words, color),
        )
        table.add_row(*(Text(printable(each)) if isinstance(each, str) else each for each in cells))
    return table


def _days(days: int | None) -> Text:
    if days is None:
        return Text("-")
    return Text(str(days), "bold red" if days < _SOON else "yellow" if days < _NOTICE else "green")


def _algorithm(certificate: Certificate | None) -> str:
    match certificate.public_key if certificate is not None else None:
        case rsa.RSAPublicKey(key_size=size):
            return f"RSA-{size}"
        case ec.EllipticCurvePublicKey(curve=curve):
            return {"secp256r1": "P-256", "secp384r1": "P-384"}.get(curve.name, curve.name)
        case _:
            return "-"


def _lines(row: Row) -> list[tuple[str, str]]:
    lines = [("Loại / kind", row.file.kind), ("Tệp / file", str(certificate_place(row.file)))]
    if row.certificate is not None:
        days = row.days_left
        lines += [
            ("Chủ thể / subject", row.certificate.subject),
            ("Nơi cấp / issuer", row.certificate.issuer),
            ("Địa chỉ / addresses", ", ".join(row.addresses) or "-"),
            ("Số / serial", row.certificate.serial),
            ("SHA-256", row.certificate.fingerprint),
            ("Thuật toán / algorithm", _algorithm(row.certificate)),
            ("Từ / from", row.certificate.not_before.astimezone(VIETNAM).isoformat()),
            ("Đến / until", row.certificate.not_after.astimezone(VIETNAM).isoformat()),
            ("Còn / days left", str(days)),
        ]
    if row.key is not None:
        lines.append(("Ký bằng / signs by", f"{row.key.template.scheme} {row.key.template.digest}"))
        lines += [("  dưới / below", each.subject) for each in row.key.chain]
    if row.suspension is not None:
        lines.append(("Tạm ngừng / suspended", f"{row.suspension.at}, {row.suspension.who}: {row.suspension.reason}"))
    return lines


def _as_object(row: Row) -> dict[str, object]:
    certificate, key, suspension = row.certificate, row.key, row.suspension
    return {
        "label": row.file.label,
        "kind": row.file.kind,
        "state": row.state,
        "subject": certificate.subject if certificate is not None else None,
        "issuer": certificate.issuer if certificate is not None else None,
        "addresses": list(row.addresses),
        "algorithm": _algorithm(certificate),
        "scheme": str(key.template.scheme) if key is not None else None,
        "digest": key.template.digest if key is not None else None,
        "serial": certificate.serial if certificate is not None else None,
        "fingerprint": certificate.fingerprint if certificate is not None else None,
        "not_before": certificate.not_before.isoformat() if certificate is not None else None,
        "not_after": certificate.not_after.isoformat() if certificate is not None else None,
        "days_left": row.days_left,
        "suspension": {"at": suspension.at, "who": suspension.who, "reason": suspension.reason}
        if suspension is not None
        else None,
        "file": str(certificate_place(row.file)),
        "mistakes": list(row.mistakes),
    }

"""The certificates that `gateway trust add` took in: a directory with one file for each and the record of acts.

A file is named by its certificate's fingerprint and never written again; retiring a certificate adds a line to the
record and leaves the file. So what was trusted, and when, can be told for every day of the past.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.errors import SetupError
from gateway.durable import give, sync_directory
from gateway.pki.certificate import Certificate, CertificateError
from gateway.trust.index import FIRST, MAX_NOTE, Index, Line, PinKind, append, make, read_index

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

INDEX: Final = "index.jsonl"
_FILE: Final = re.compile(r"([0-9a-f]{64})\.der")


@dataclass(frozen=True, slots=True)
class Pin:
    """One certificate that stands."""

    certificate: Certificate
    line: Line
    """Of its adding."""


class Store:
    """A directory of pinned certificates; one that is not there pins nothing."""

    def __init__(self, directory: Path) -> None:
        """Name the directory; nothing is read yet."""
        self.directory = directory

    @property
    def index_file(self) -> Path:
        """The record of acts."""
        return self.directory / INDEX

    def index(self) -> Index:
        """Return the record; raises `SetupError` where it is damaged, or gone while certificates are there."""
        try:
            return read_index(self.index_file)
        except FileNotFoundError:
            if self._files():
                raise SetupError(f"{self.index_file}: is gone, and there are certificates beside it") from None
            return Index((), FIRST)

    def pins(self) -> tuple[Pin, ...]:
        """Return what stands, in the order it was added; raises one `SetupError` for all that cannot be read."""
        found: list[Pin] = []
        mistakes: list[str] = []
        for fingerprint, line in self.index().standing.items():
            try:
                found.append(Pin(self.certificate(fingerprint), line))
            except SetupError as error:
                mistakes += error.mistakes
        if mistakes:
            raise SetupError(*mistakes)
        return tuple(found)

    def add(
        self, certificate: Certificate, *, kind: PinKind, family: str, who: str, note: str, now: dt.datetime
    ) -> None:
        """Take a certificate in, and return when that survives a power failure; raises `SetupError`.

        `now` is aware. Whether it may be trusted is the caller's to find out before.
        """
        one_line(note, least=0)
        self._prepare()
        if certificate.fingerprint in self.index().standing:
            raise SetupError(f"{self.directory}: {certificate.fingerprint} is there already")
        self._write(certificate)
        at = now.isoformat(timespec="seconds")
        append(self.index_file, Line(at, who, "added", certificate.fingerprint, kind, family, note))

    def retire(self, fingerprint: str, *, who: str, reason: str, now: dt.datetime) -> None:
        """Trust a certificate no longer; raises `SetupError`, also where it does not stand."""
        one_line(reason, least=1)
        standing = self.index().standing.get(fingerprint)
        if standing is None:
            raise SetupError(f"{self.directory}: {fingerprint} is not there")
        at = now.isoformat(timespec="seconds")
        append(self.index_file, Line(at, who, "retired", fingerprint, standing.kind, standing.family, reason))

    def follow(self, line: Line, certificate: Certificate | None) -> None:
        """Write a line that holds on all machines, as it is; an adding comes with its certificate.

        Returns when it survives a power failure; raises `SetupError`.
        """
        self._prepare()
        self.index()
        if line.action == "added":
            if certificate is None or certificate.fingerprint != line.fingerprint:
                raise SetupError(f"{self.directory}: {line.fingerprint} came without its certificate")
            self._write(certificate)
        append(self.index_file, line)

    def findings(self, now: dt.datetime) -> tuple[str, ...]:
        """Return what is not as it should be, one line each; raises `SetupError` for a record that is damaged."""
        index = self.index()
        known = {each.fingerprint for each in index.lines}
        found = [
            f"{self.directory / name}: is in no line of the record" for name in self._files() if name[:64] not in known
        ]
        for fingerprint in sorted(known):
            try:
                certificate = self.certificate(fingerprint)
            except SetupError as error:
                found += error.mistakes
                continue
            if fingerprint in index.standing and certificate.not_after < now:
                found.append(f"{self._file(fingerprint)}: ended at {certificate.not_after.isoformat()}")
        return tuple(found)

    def _files(self) -> list[str]:
        try:
            return sorted(each.name for each in self.directory.iterdir() if _FILE.fullmatch(each.name))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SetupError(f"{self.directory}: cannot be read: {error.strerror}") from error

    def _file(self, fingerprint: str) -> Path:
        return self.directory / f"{fingerprint}.der"

    def certificate(self, fingerprint: str) -> Certificate:
        """Return one that stands, or stood; a file that does not fit its name is a mistake."""
        file = self._file(fingerprint)
        try:
            certificate = Certificate.load(file.read_bytes())
        except OSError as error:
            raise SetupError(f"{file}: cannot be read: {error.strerror}") from error
        except CertificateError as error:
            raise SetupError(f"{file}: is no certificate") from error
        if certificate.fingerprint != fingerprint:
            raise SetupError(f"{file}: holds another certificate than its name says")
        return certificate

    def _prepare(self) -> None:
        """Make directory and record, in this order and before any certificate: see `index`."""
        try:
            self.directory.mkdir(mode=0o700)
        except FileExistsError:
            pass
        except OSError as error:
            raise SetupError(f"{self.directory}: cannot be made: {error.strerror}") from error
        else:
            descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                give(descriptor, self.directory.parent)
            finally:
                os.close(descriptor)
            sync_directory(self.directory.parent)
        if not self.index_file.exists():
            self.index()
            make(self.index_file)

    def _write(self, certificate: Certificate) -> None:
        """Write the file as a whole or not at all, over nothing; raises `SetupError`."""
        file = self._file(certificate.fingerprint)
        if file.exists():  # it was retired, or its adding was cut short
            self.certificate(certificate.fingerprint)
            return
        beside = file.with_suffix(f".{os.getpid()}")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(certificate.der)
                opened.flush()
                give(descriptor, self.directory)
                os.fsync(descriptor)
            os.link(beside, file)
            beside.unlink()
            sync_directory(self.directory)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise SetupError(f"{file}: cannot be written: {error.strerror}") from error


def one_line(text: str, *, least: int) -> None:
    """Raise `SetupError` for a note that is no single short line of at least so many characters."""
    if not least <= len(text.strip()) or len(text) > MAX_NOTE or not text.isprintable():
        raise SetupError(f"a note is one line of at most {MAX_NOTE} characters")

"""Files of certificates and revocation lists that the settings or a command name (RFC 5280, RFC 7468).

Every file that cannot be used is named in one error; nothing here decides what to trust.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core.errors import InputError, SetupError
from gateway.pki.certificate import Certificate
from gateway.pki.lists import load_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypeVar

    T = TypeVar("T")


def read_certificates(paths: Sequence[Path]) -> tuple[Certificate, ...]:
    """Return all certificates in the files (PEM, DER, PKCS#7); raises one `SetupError` for all that cannot be read."""
    found, malformed = _read(paths, Certificate.load_all, "certificate")
    if malformed:
        raise SetupError(*malformed)
    return found


def read_untrusted(paths: Sequence[Path], complain: Callable[[str], None]) -> tuple[Certificate, ...]:
    """Return the certificates in the files that may complete a path; raises `SetupError` for files that are not there.

    A malformed one completes nothing, so it is complained of and left out: a bag of strangers' certificates is not the
    caller's to mend.
    """
    found, malformed = _read(paths, Certificate.load_all, "certificate")
    for line in malformed:
        complain(f"left out: {line}")
    return found


def read_crls(paths: Sequence[Path]) -> tuple[bytes, ...]:
    """Return all revocation lists (DER) in the files, which hold one or many, PEM or DER; raises one `SetupError`."""
    found, malformed = _read(paths, load_lists, "revocation list")
    if malformed:
        raise SetupError(*malformed)
    return found


def _read(paths: Sequence[Path], load: Callable[[bytes], Sequence[T]], what: str) -> tuple[tuple[T, ...], list[str]]:
    """Return what the files hold, and a line for each that holds nothing to read; raises one `SetupError`."""
    found: list[T] = []
    malformed: list[str] = []
    absent: list[str] = []
    for path in paths:
        try:
            loaded = load(path.read_bytes())
        except OSError as error:
            absent.append(f"{path}: cannot be read: {error.strerror}")
        except InputError as error:
            malformed.append(f"{path}: no {what} can be read ({error})")
        else:
            found += loaded
            if not loaded:
                malformed.append(f"{path}: holds no {what}")
    if absent:
        raise SetupError(*absent, *malformed)
    return tuple(found), malformed

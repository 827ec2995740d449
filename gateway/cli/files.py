"""Files named on the command line as messages and certificates (RFC 5322 2.1, RFC 7468).

A message is never read into memory as a whole, and no file given is ever changed.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from gateway.core.errors import GatewayError, SetupError
from gateway.core.message import Message
from gateway.core.octets import WINDOW
from gateway.pki.certificate import Certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STANDARD_INPUT: Final = "-"
_STRAY: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n|\x00")
_PEM_CRL: Final = re.compile(rb"-----BEGIN X509 CRL-----(.*?)-----END X509 CRL-----", re.DOTALL)


class FileSource:
    """A `Source` over a file that nobody writes to any more; has a descriptor of its own while it lives."""

    __slots__ = ("_descriptor", "_length")

    def __init__(self, file: BinaryIO) -> None:
        """Take an open file, which the caller closes; its size is taken now."""
        self._length = os.fstat(file.fileno()).st_size
        self._descriptor = os.dup(file.fileno())

    def __del__(self) -> None:
        os.close(self._descriptor)

    def __len__(self) -> int:
        return self._length

    def read(self, start: int, stop: int) -> bytes:
        """Return the octets of the half-open range, clipped to what exists."""
        blocks: list[bytes] = []
        position, end = start, min(stop, self._length)
        while position < end:
            block = os.pread(self._descriptor, end - position, position)
            if not block:
                raise OSError("the file became shorter while it was read")
            blocks.append(block)
            position += len(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)


class FileBuilder:
    """A `Builder` over an unlinked temporary file, for what does not belong into memory."""

    __slots__ = ("_file",)

    def __init__(self) -> None:
        """Make the file; it vanishes with the last reference to its source."""
        self._file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the builder

    def __del__(self) -> None:
        self._file.close()

    def write(self, block: bytes) -> None:
        """Append octets; raises `OSError` when the disk is full."""
        self._file.write(block)

    def finish(self) -> FileSource:
        """Return everything written."""
        self._file.flush()
        return FileSource(self._file)


def read_message(name: str) -> Message:
    """Return the message in a file, or on standard input for "-", as it would be on the wire.

    A file without any CRLF gets one for each LF; a file that has some is taken as it is, bare LF and all: they are
    what somebody wants to know about. Raises `OSError`.
    """
    if name == STANDARD_INPUT:
        source = _copied(sys.stdin.buffer)
    else:
        with Path(name).open("rb") as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            source = FileSource(file) if regular else _copied(file)  # a pipe has no size, and would look empty
    message = Message.from_source(source)
    if message.find(b"\r\n") >= 0 or message.find(b"\n") < 0:
        return message
    wire = FileBuilder()
    for window in message.windows():
        wire.write(window.replace(b"\n", b"\r\n"))
    return Message.from_source(wire.finish())


def _copied(stream: BinaryIO) -> FileSource:
    """Return what a stream holds; what arrives by a pipe can be read once only."""
    copy = FileBuilder()
    shutil.copyfileobj(stream, copy, WINDOW)
    return copy.finish()


def canonical(message: Message) -> bool:
    """Return whether every line ends in CRLF, with no CR, LF or NUL anywhere else: what a transport leaves alone."""
    carry = b""
    for window in message.windows():
        block = carry + window
        carry = b"\r" if block.endswith(b"\r") else b""
        if _STRAY.search(block.removesuffix(b"\r")):
            return False
    return not carry


def read_certificates(paths: Sequence[Path]) -> tuple[Certificate, ...]:
    """Return all certificates in the files (PEM or DER); raises one `SetupError` for all that cannot be read."""
    found, malformed = _read_certificates(paths)
    if malformed:
        raise SetupError(*malformed)
    return found


def read_untrusted(paths: Sequence[Path], complain: Callable[[str], None]) -> tuple[Certificate, ...]:
    """Return the certificates in the files that may complete a path; raises `SetupError` for files that are not there.

    A malformed one completes nothing, so it is complained of and left out: a bag of strangers' certificates is not the
    caller's to mend.
    """
    found, malformed = _read_certificates(paths)
    for line in malformed:
        complain(f"left out: {line}")
    return found


def _read_certificates(paths: Sequence[Path]) -> tuple[tuple[Certificate, ...], list[str]]:
    """Return all certificates, and a line for each file that has none to read; raises one `SetupError`."""
    found: list[Certificate] = []
    malformed: list[str] = []
    absent: list[str] = []
    for path in paths:
        try:
            certificates = Certificate.load_all(path.read_bytes())
        except OSError as error:
            absent.append(f"{path}: {error.strerror}")
        except GatewayError as error:
            malformed.append(f"{path}: no certificate can be read ({error})")
        else:
            found += certificates
            if not certificates:
                malformed.append(f"{path}: holds no certificate")
    if absent:
        raise SetupError(*absent, *malformed)
    return tuple(found), malformed


def read_crls(paths: Sequence[Path]) -> tuple[bytes, ...]:
    """Return all revocation lists (DER) in the files, which hold one or many, PEM or DER; raises one `SetupError`."""
    found: list[bytes] = []
    mistakes: list[str] = []
    for path in paths:
        try:
            found += _crls(path.read_bytes())
        except OSError as error:
            mistakes.append(f"{path}: {error.strerror}")
        except (ValueError, binascii.Error):
            mistakes.append(f"{path}: no revocation list can be read")
    if mistakes:
        raise SetupError(*mistakes)
    return tuple(found)


def _crls(octets: bytes) -> list[bytes]:
    blocks = [base64.b64decode(block) for block in _PEM_CRL.findall(octets)]
    rest = b"" if blocks else octets
    while rest:
        end = _sequence_end(rest)
        blocks.append(rest[:end])
        rest = rest[end:]
    if not blocks:
        raise ValueError("empty")
    return blocks


def _sequence_end(octets: bytes) -> int:
    """Return where the DER SEQUENCE at the beginning ends; raises `ValueError`."""
    if octets[:1] != b"\x30" or len(octets) < 2:  # noqa: PLR2004 - tag and length
        raise ValueError("no SEQUENCE")
    count = octets[1] & 0x7F if octets[1] & 0x80 else 0
    end = 2 + count + (int.from_bytes(octets[2 : 2 + count], "big") if count else octets[1])
    if count > 4 or end > len(octets):  # noqa: PLR2004 - four octets of length are 4 GB
        raise ValueError("cut off")
    return end

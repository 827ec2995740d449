"""The program of a password-checking process: argon2id, at low priority, one check after the other (RFC 9106).

Started as a script with this file's path, so that it imports nothing of the gateway. It reads frames on standard input
(length of the encoded hash, the hash, length of the password, the password; lengths are 4 octets, big endian) and
answers each with one octet. It must never write anything else, nor take a password from its arguments or environment.
"""

from __future__ import annotations

import os
import struct
import sys
from typing import BinaryIO, Final

FITS: Final = b"+"
FITS_NOT: Final = b"-"
CANNOT: Final = b"?"
_LENGTH: Final = struct.Struct(">I")
_NICE: Final = 10
"""Guessing passwords must not take processor time from mail."""


def frame(encoded: str, password: bytes) -> bytes:
    """Return the octets that ask for one check."""
    octets = encoded.encode("ascii")
    return b"".join((_LENGTH.pack(len(octets)), octets, _LENGTH.pack(len(password)), password))


def _read(source: BinaryIO) -> bytes | None:
    """Return one field, None at the end."""
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    length: int = _LENGTH.unpack(head)[0]
    octets = source.read(length)
    return octets if len(octets) == length else None


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer until the end of input: the gateway closing, or its death."""
    from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError  # noqa: PLC0415 - below
    from argon2.low_level import Type, verify_secret  # noqa: PLC0415 - the gateway imports this file for `frame` only

    while (encoded := _read(source)) is not None and (password := _read(source)) is not None:
        try:
            answer = FITS if verify_secret(encoded, password, Type.ID) else FITS_NOT
        except VerifyMismatchError:
            answer = FITS_NOT
        except (InvalidHashError, VerificationError, MemoryError):
            answer = CANNOT
        sink.write(answer)
        sink.flush()


if __name__ == "__main__":
    os.nice(_NICE)
    serve(sys.stdin.buffer, sys.stdout.buffer)

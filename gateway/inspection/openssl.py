"""A second opinion on what we signed: `openssl cms -verify`, a program that shares no line with us (RFC 5652 5.6).

Nothing touches a disk: content and certificates go through pipes and unnamed memory. A run that hangs is killed, and no
more than a few run at once. No private key and no password is ever near it.
"""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import os
import shutil
from base64 import encodebytes
from typing import TYPE_CHECKING, Final, Self

import structlog

from gateway.core.errors import ServiceError, SetupError
from gateway.smime.own_work import cut

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.core.message import Message
    from gateway.pki.certificate import Certificate
    from gateway.smime.own_work import Cut

PROGRAM: Final = "openssl"
AT_ONCE: Final = 2
"""Processes that may run at the same time."""
PATIENCE: Final = 20.0
"""Seconds for one answer, waiting for a place included."""
_MOST_WORDS: Final = 400
"""Octets of its complaint that are logged."""
_STDIN: Final = "/dev/stdin"
_ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "OPENSSL_CONF": os.devnull}
"""Nothing of the machine's configuration may make it more lenient."""


class OpenSsl:
    """A `ports.SecondOpinion`."""

    def __init__(self, program: str = PROGRAM, *, patience: float = PATIENCE) -> None:
        """Find the program, `patience` in seconds; raises `SetupError` where it is not installed."""
        found = shutil.which(program)
        if found is None:
            raise SetupError(f"{program}: not found; every new key's first message is checked with it: install openssl")
        self._program = found
        self._patience = patience
        self._places = asyncio.Semaphore(AT_ONCE)
        self._log = structlog.get_logger("gateway.inspection")

    async def verify(self, finished: Message, certificate: Certificate) -> str | None:
        """Return None if OpenSSL finds the signature good (see `ports.SecondOpinion`)."""
        pieces = cut(finished)
        if isinstance(pieces, str):
            return pieces
        try:
            async with asyncio.timeout(self._patience), self._places:
                return await self._ask(pieces, certificate)
        except binascii.Error:
            return "cms"
        except TimeoutError as error:
            raise ServiceError(f"{PROGRAM} gave no answer within {self._patience:g} s") from error
        except OSError as error:
            raise ServiceError(f"{PROGRAM} cannot be run: {error.strerror}") from error

    async def _ask(self, pieces: Cut, certificate: Certificate) -> str | None:
        """Run it: what may be large comes through its standard input, the rest lies in memory."""
        piped = pieces.content.windows() if pieces.content is not None else pieces.der()
        detached = b"" if pieces.content is None else b"".join(pieces.der())
        with contextlib.ExitStack() as held:
            cms = held.enter_context(_Memory("cms", detached))
            leaf = held.enter_context(_Memory("leaf", _pem(certificate.der)))
            given = ("-in", cms.path, "-content", _STDIN) if detached else ("-in", _STDIN)
            process = await asyncio.create_subprocess_exec(
                *(self._program, "cms", "-verify", "-binary", "-inform", "DER", *given, "-out", os.devnull),
                *("-CAfile", leaf.path, "-partial_chain", "-no-CApath", "-no-CAstore", "-purpose", "smimesign"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=_ENVIRONMENT,
                pass_fds=(cms.descriptor, leaf.descriptor),
            )
            try:
                words = await _converse(process, piped)
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()
        if process.returncode == 0:
            return None
        self._log.error("openssl calls our signature bad", code=process.returncode, words=words)
        return "openssl_disagrees"


async def _converse(process: asyncio.subprocess.Process, blocks: Iterator[bytes]) -> str:
    """Send octets, await the end, and return what was said about them."""
    stdin, stderr = process.stdin, process.stderr
    if stdin is None or stderr is None:
        raise ServiceError("no pipes")
    said = asyncio.ensure_future(stderr.read())
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it knows enough before it has read all
            for block in blocks:
                stdin.write(block)
                await stdin.drain()
            stdin.close()
            await stdin.wait_closed()
        words = await said
        await process.wait()
    finally:
        said.cancel()
    return words[:_MOST_WORDS].decode("ascii", "replace")


class _Memory:
    """Octets in unnamed memory that a child can open by a path."""

    def __init__(self, name: str, octets: bytes) -> None:
        self._name = name
        self._octets = octets

    def __enter__(self) -> Self:
        self.descriptor = os.memfd_create(self._name)
        with os.fdopen(os.dup(self.descriptor), "wb") as file:
            file.write(self._octets)
        return self

    @property
    def path(self) -> str:
        """Where the child finds it; a path, not a position, so that reading begins at the first octet."""
        return f"/proc/self/fd/{self.descriptor}"

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


def _pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + encodebytes(der) + b"-----END CERTIFICATE-----\n"

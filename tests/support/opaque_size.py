"""Judge a message in a file, and print verdict, processor time and how much memory it took: `opaque_size MAIL ROOT`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from gateway.core.message import Message
from gateway.core.verdict import row_of
from gateway.pki.certificate import Certificate
from gateway.pki.path import Revocation, TrustAnchors
from gateway.smime.verify import verify
from support.letters import NOW


class FileSource:
    """The octets of a file, read as they are asked for."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDONLY)

    def __len__(self) -> int:
        return os.fstat(self._file).st_size

    def read(self, start: int, stop: int) -> bytes:
        """Return the octets [start, stop)."""
        return os.pread(self._file, stop - start, start)


def kilobytes(field: str) -> int:
    """Return a figure of this process's memory."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(each for each in lines if each.startswith(field)).split()[1])


def main(mail: str, root: str) -> None:
    """Judge, after a small message has loaded everything that is loaded once."""
    trust = TrustAnchors((Certificate.load(Path(root).read_bytes()),), (), ())

    def judged(message: Message) -> str:
        found = verify(message, trust=trust, revocation=Revocation.OFF, at=NOW, untrusted=(), crls=())
        return row_of(found.verdict).name

    big = Message.from_source(FileSource(mail))
    judged(Message.of(big.read(0, 20_000)))
    before = kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    begun = time.process_time()
    verdict = judged(big)
    sys.stdout.write(f"{verdict} {time.process_time() - begun:.3f} {kilobytes('VmHWM') - before}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

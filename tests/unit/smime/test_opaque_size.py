"""20 MB of opaque signature, as stream writers make it, costs a second and three times its size at most."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cms.asn1 import tlv
from support.forger import DATA, DIGESTS, Forger, algorithm, oid
from support.letters import authority, lan, mail, opaque_entity

TESTS = Path(__file__).parents[2]
SIZE = 20 * 1024 * 1024
END = b"\0\0"
LINE = b"x" * 70 + b"\r\n"
CONTENT = b"Content-Type: text/plain\r\n\r\n" + LINE * (SIZE // len(LINE))


def streamed(pieces: int) -> bytes:
    """Return the ContentInfo in BER, its content in pieces of so many octets, every length indefinite."""
    cut = b"".join(tlv(0x04, CONTENT[start : start + pieces]) for start in range(0, len(CONTENT), pieces))
    data = (
        tlv(0x02, b"\x01") + tlv(0x31, algorithm(DIGESTS["sha256"])),
        b"\x30\x80" + oid(DATA) + b"\xa0\x80\x24\x80" + cut + END * 3,
        tlv(0xA0, lan().certificate, *lan().chain) + b"\x31\x80" + Forger(lan()).info(CONTENT) + END,
    )
    return b"\x30\x80" + oid("1.2.840.113549.1.7.2") + b"\xa0\x80\x30\x80" + b"".join(data) + END * 3


def definite() -> bytes:
    return Forger(lan()).cms(CONTENT, content=tlv(0x04, CONTENT))


@pytest.mark.parametrize("kind", ["BER in pieces of 1000", "BER in pieces of 4096", "DER"])
def test_big_opaque_signature(kind: str, tmp_path: Path) -> None:
    """Verified, at one second of a quiet machine and three times its size, in a process of its own."""
    cms = definite() if kind == "DER" else streamed(int(kind.rsplit(maxsplit=1)[-1]))
    (tmp_path / "mail").write_bytes(mail(opaque_entity(cms)))
    (tmp_path / "root").write_bytes(authority().root)
    done = subprocess.run(
        [sys.executable, "-m", "support.opaque_size", "mail", "root"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent))),
            "MALLOC_MMAP_THRESHOLD_": "131072",  # else it depends on what was freed while loading
        },
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    verdict, seconds, kilobytes = done.stdout.split()
    assert verdict == "verified"
    assert float(seconds) < 1
    assert int(kilobytes) * 1024 < 3 * SIZE

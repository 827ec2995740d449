"""Coverage-guided fuzzing of what reads cryptographic messages; `python fuzz_cms.py -max_total_time=60 -seed=1`.

A find is any exception but `CmsError`, a definite form that is not one, a signature that is good over what nobody
signed, a timestamp that names another time than its authority,
or a PDF taken apart in another way than it was put together.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

with atheris.instrument_imports(include=["gateway"]):
    from gateway.cms.asn1 import CmsError, definite, sorted_set, tlv
    from gateway.cms.timestamp import read_token
    from gateway.cms.verify import check_signer, open_signed
    from gateway.smime.pdf import PdfError, signed_pdf

from gateway.pki.certificate import Certificate
from support.forger import CONTENT, Forger, attribute, signed_data
from support.letters import binh, detached, lan
from support.signed_files import pdf
from support.stamping import TOKEN, stamp_over, stamper
from support.tree import root

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 1024 * 1024
AT = dt.datetime(2026, 11, 24, 1, 29, tzinfo=dt.UTC)
VALUE = b"a signature value"
CLOCK = stamper(root("Gốc thời gian"))
CERTIFICATES = [Certificate.load(each.certificate) for each in (lan(), lan("p256"), binh())]
DIGESTS = {name: hashlib.new(name, CONTENT).digest() for name in ("sha1", "sha256", "sha384", "sha512")}


def honest() -> tuple[bytes, ...]:
    """Return CMS over `CONTENT`: ours, with several signers, with a token, with the content inside."""
    both = [Forger(each).info(CONTENT) for each in (lan(), binh())]
    unsigned = tlv(0xA1, attribute(TOKEN, stamp_over(CLOCK, VALUE, AT)))
    return (
        detached(CONTENT, lan()),
        detached(CONTENT, lan("p256")),
        signed_data(both, certificates=[lan().certificate, binh().certificate]),
        Forger(binh(), unsigned=unsigned).cms(CONTENT),
        Forger(lan(), bare=True).cms(CONTENT),
        Forger(lan("p256")).cms(CONTENT, content=tlv(0x04, CONTENT)),
    )


HONEST = honest()
SIGNED = {
    sorted_set(signer.signed_attributes) if signer.signed_attributes is not None else b""
    for each in HONEST
    for signer in open_signed(each).signers
}
"""What the three have signed: nothing else may be good."""


def read(octets: bytes) -> None:
    """Make lengths definite: once is enough, and changes nothing else."""
    der = definite(octets, limit=LIMIT)
    assert definite(der, limit=LIMIT) is der


def judge(octets: bytes) -> None:
    """Try every signer against every certificate."""
    data = open_signed(octets)
    for signer in data.signers:
        for certificate in (*CERTIFICATES, *data.certificates[:4]):
            digest = DIGESTS.get(signer.digest, b"")
            fault = check_signer(signer, content_digest=digest, certificate=certificate)
            if fault is None and certificate in CERTIFICATES:
                attributes = signer.signed_attributes
                assert (sorted_set(attributes) if attributes is not None else b"") in SIGNED
        assert signer.signature_identity


def stamp(octets: bytes) -> None:
    """Read a token over a value: whoever made it, if its certificate is our authority's the time is what that said."""
    token = read_token(octets, value=VALUE, candidates=(CLOCK.certificate,))
    assert token.certificate != CLOCK.certificate or token.at == AT


def cut(octets: bytes) -> None:
    """Take a PDF apart: what is covered, and the gap, are the whole file."""
    try:
        found = signed_pdf(octets)
    except PdfError:
        return
    if found is not None:
        gap = len(octets) - len(found.content)
        assert octets.startswith(b"%PDF-")
        assert 2 * len(found.cms) + 2 <= gap
        assert found.cms.hex().encode() in octets.lower()


STEPS = (read, judge, stamp, cut)


def one(octets: bytes) -> None:
    """Take one input through what its first octet names."""
    try:
        STEPS[(octets[0] if octets else 0) % len(STEPS)](octets[1:])
    except CmsError:
        return


def as_ber(der: bytes) -> bytes:
    """Return an element with its outermost length indefinite."""
    skipped = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    return der[:1] + b"\x80" + der[skipped:] + b"\0\0"


def seeds() -> Iterator[bytes]:
    """Yield honest inputs for every step."""
    for each in HONEST:
        yield b"\0" + as_ber(each)
        yield b"\1" + each
        yield b"\1" + as_ber(each)
    yield b"\0\x24\x80\x04\x02ab\x24\x04\x04\x02cd\0\0"
    yield b"\2" + stamp_over(CLOCK, VALUE, AT)
    yield b"\3" + pdf(Forger(lan("p256")).cms, room=9000)


def main() -> None:
    """Fuzz, beginning with the seeds."""
    for each in seeds():
        one(each)
    with tempfile.TemporaryDirectory() as directory:
        for number, octets in enumerate(seeds()):
            Path(directory, f"seed{number}").write_bytes(octets)
        words = Path(directory).with_suffix(".dict")
        words.write_text("".join(f'"{each}"\n' for each in WORDS))
        atheris.Setup([*sys.argv, f"-dict={words}", "-timeout=10", "-max_len=20000", directory], one)
        atheris.Fuzz()


PAIRS = ("30", "80"), ("24", "80"), ("a0", "80"), ("00", "00"), ("31", "00"), ("05", "00"), ("30", "82"), ("04", "82")
OIDS = ("2a864886f70d010701", "2a864886f70d010702", "2a864886f70d010903", "2a864886f70d010904", "2a864886f70d01010a")
WORDS = (
    *(f"\\x{first}\\x{second}" for first, second in PAIRS),
    *("\\x06\\x09" + "".join(f"\\x{each[i : i + 2]}" for i in range(0, len(each), 2)) for each in OIDS),
)

if __name__ == "__main__":
    main()

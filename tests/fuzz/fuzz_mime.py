"""Coverage-guided fuzzing of what reads a stranger's octets (atheris): a minute in the tests, more by `make fuzz`.

    python tests/fuzz/fuzz_mime.py -max_total_time=60 [corpus directory]

Whatever comes in, reading ends soon and raises nothing but the faults it names; what we sign of it verifies.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
with atheris.instrument_imports(include=["gateway"]):
    from gateway.core.errors import InputError
    from gateway.core.message import Message
    from gateway.core.octets import MemoryBuilder
    from gateway.core.verdict import Verified
    from gateway.mime.entity import parse
    from gateway.mime.fields import author_of, read_header
    from gateway.pki.path import Revocation, TrustAnchors
    from gateway.smime.classify import traits_of
    from gateway.smime.sign import Left, content_digest, finish, prepare
    from gateway.smime.verify import verify
    from gateway.tagging import strip, tag

from gateway.cms.algorithms import raw_sign
from gateway.pki.certificate import Certificate
from support.letters import (
    HEAD,
    authority,
    clear_entity,
    detached,
    lan,
    mail,
    real_life,
    signed,
    template,
    text_part,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
_TRUST = TrustAnchors((Certificate.load(authority().root),), (), ())
_STRANGERS = TrustAnchors((Certificate.load(authority(1).root),), (), ())
"""The seeds are signed by people whom `judge` does not know: whatever grows out of them must not be verified."""
_KEY = lan("p256")
_TEMPLATE = template(_KEY)


def judge(octets: bytes) -> None:
    """Read, judge and tag a message of a stranger: nobody knows our key, so nothing may come out verified."""
    message = Message.of(octets)
    judgment = verify(message, trust=_STRANGERS, revocation=Revocation.OFF, at=_NOW, untrusted=(), crls=())
    assert not isinstance(judgment.verdict, Verified)
    clean = strip(message, authserv_id="mail.songlam.example")
    tag(clean, judgment, agency=None, authserv_id="mail.songlam.example", subject="on", received_at=_NOW)
    entity = parse(message)
    traits_of(message, entity)
    author_of(read_header(message))


def sign(octets: bytes) -> None:
    """Sign what a client could send, and judge it: it must be good, and its author's."""
    body = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", b"").replace(b"\n", b"\r\n")
    prepared = prepare(
        Message.of(HEAD + body), now=_NOW, new_message_id=lambda: "<f@f.example>", new_builder=MemoryBuilder
    )
    if isinstance(prepared, Left):
        return
    attributes = _TEMPLATE.to_be_signed(content_digest(prepared, _TEMPLATE.digest), _NOW)
    value = raw_sign(_KEY.key, attributes, scheme=_TEMPLATE.scheme, digest=_TEMPLATE.digest)
    try:
        finished = finish(
            prepared, cms=_TEMPLATE.finish(attributes, value), micalg=_TEMPLATE.micalg, boundary="=_fuzz0123456789"
        )
    except ValueError:  # the boundary occurs inside: the gateway takes another
        return
    judgment = verify(finished, trust=_TRUST, revocation=Revocation.OFF, at=_NOW, untrusted=(), crls=())
    if author_of(read_header(finished)) == author_of(read_header(Message.of(HEAD))):
        assert judgment.signature == "valid", judgment


def cms(octets: bytes) -> None:
    """Judge a message whose signature is these octets."""
    judge(clear_mail(octets))


def clear_mail(signature: bytes) -> bytes:
    """Return a clear-signed message around any signature."""
    return mail(clear_entity(text_part("Noi dung."), signature))


STEPS = (judge, sign, cms)


def one(octets: bytes) -> None:
    """Take one input through what its first octet names."""
    with contextlib.suppress(InputError):
        STEPS[(octets[0] if octets else 0) % len(STEPS)](octets[1:])


def seeds() -> Iterator[bytes]:
    """Yield honest inputs for every step."""
    for letter in real_life().values():
        yield b"\0" + letter
        yield b"\0" + signed(letter, _KEY)
        yield b"\1" + letter.partition(b"\r\n")[2]
    yield b"\2" + detached(text_part("Noi dung."), _KEY)
    yield b"\2" + detached(text_part("Noi dung."), lan())


def main() -> None:
    """Fuzz, beginning with the seeds."""
    with tempfile.TemporaryDirectory() as directory:
        for number, octets in enumerate(seeds()):
            Path(directory, f"seed{number}").write_bytes(octets)
        words = Path(directory).with_suffix(".dict")
        words.write_text("".join(f'"{each}"\n' for each in WORDS))
        atheris.Setup([*sys.argv, f"-dict={words}", "-timeout=20", "-max_len=20000", directory], one)
        atheris.Fuzz()


WORDS = (
    "multipart/signed", "multipart/mixed", "message/rfc822", "application/pkcs7-mime", "application/pkcs7-signature",
    "boundary=", "smime-type=signed-data", "Content-Type:", "Content-Transfer-Encoding:", "base64", "quoted-printable",
    "\\x0d\\x0a--", "--\\x0d\\x0a", "From:", "Authentication-Results:", "X-Verified-Sender:", "=?utf-8?B?", "?=",
    "filename*0*=utf-8''", "protocol=", "\\x30\\x80", "\\x24\\x80", "\\x00\\x00", "hp=clear",
)  # fmt: skip

if __name__ == "__main__":
    main()

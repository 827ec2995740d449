"""The forms beside plain clear signing, as four strangers read them: opaque, with copies of the header, 8-bit.

Also what both looks at our own work say when one octet of a prepared key has turned in memory.
"""

from __future__ import annotations

import base64
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from gateway.cms.algorithms import Scheme, raw_sign
from gateway.core.message import Message
from gateway.core.octets import MemoryBuilder
from gateway.demo.authority import pem
from gateway.inspection.openssl import OpenSsl
from gateway.pki.certificate import Certificate
from gateway.smime.opaque import finish_opaque
from gateway.smime.own_work import check_own_work
from gateway.smime.sign import PROTECTED, Body, Prepared, content_digest, finish, prepare
from support.letters import NOW, PLAIN, authority, clear, lan, mail, multipart, real_life, template, text_part
from support.splitter import split
from support.verifiers import Gpgsm, bouncycastle_verify, nss_verify, openssl_verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway.cms.sign import SigningTemplate
    from gateway.demo.authority import Credential

SHAPES: Final = [("rsa2048", None), ("rsa3072", None), ("rsa2048", Scheme.PSS), ("p256", None)]
LETTERS: Final = [name for name in sorted(real_life()) if not name.startswith("only")]


def taken_apart(message: bytes, *, body: Body = Body.SEVEN_BIT, protect: Sequence[str] = ()) -> Prepared:
    found = prepare(
        Message.of(message),
        now=NOW,
        new_message_id=lambda: "<made@here.example>",
        new_builder=MemoryBuilder,
        body=body,
        protect=protect,
    )
    assert isinstance(found, Prepared)
    return found


def made(prepared: Prepared, credential: Credential, chosen: SigningTemplate) -> tuple[bytes, bytes]:
    """Return the message finished in both forms; it names no time, since peers judge at that of today."""
    over = chosen.to_be_signed(content_digest(prepared, chosen.digest), None)
    value = raw_sign(credential.key, over, scheme=chosen.scheme, digest=chosen.digest)
    outside = finish(prepared, cms=chosen.finish(over, value), micalg=chosen.micalg, boundary="=_lan0123456789")
    inside = finish_opaque(prepared, template=chosen, to_be_signed=over, signature=value, new_builder=MemoryBuilder)
    return outside.octets(), inside.octets()


def root() -> bytes:
    return pem(authority().root)


def cms_of(message: bytes) -> bytes:
    return base64.b64decode(message.partition(b"\r\n\r\n")[2])


def ran(*command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, check=False, timeout=60, env=env)


@pytest.mark.parametrize(("shape", "scheme"), SHAPES)
@pytest.mark.parametrize("name", LETTERS)
def test_openssl_reads_the_opaque_form_as_mail(name: str, shape: str, scheme: Scheme | None, tmp_path: Path) -> None:
    """It finds the CMS in the message by itself, verifies path and purpose, and gives out what was signed."""
    prepared = taken_apart(real_life()[name])
    (tmp_path / "mail").write_bytes(made(prepared, lan(shape), template(lan(shape), scheme=scheme))[1])
    (tmp_path / "root").write_bytes(root())
    done = ran(
        *("openssl", "cms", "-verify", "-binary", "-inform", "SMIME", "-in", str(tmp_path / "mail")),
        *("-CAfile", str(tmp_path / "root"), "-purpose", "smimesign", "-out", str(tmp_path / "out")),
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_bytes() == prepared.entity.octets()


@pytest.mark.parametrize(("shape", "scheme"), SHAPES)
def test_gpgsm_and_nss_read_the_opaque_form(shape: str, scheme: Scheme | None, tmp_path: Path) -> None:
    """Both give out what was signed."""
    prepared = taken_apart(PLAIN)
    (tmp_path / "cms").write_bytes(cms_of(made(prepared, lan(shape), template(lan(shape), scheme=scheme))[1]))
    with Gpgsm(root()) as peer:
        done = ran(
            *("gpgsm", "--batch", "--status-fd", "1", "--disable-crl-checks", "--disable-dirmngr"),
            *("--output", str(tmp_path / "out"), "--verify", str(tmp_path / "cms")),
            env=peer._env,
        )
    assert done.returncode == 0, done.stderr
    assert b"GOODSIG" in done.stdout
    assert b"TRUST_FULLY" in done.stdout
    assert (tmp_path / "out").read_bytes() == prepared.entity.octets()
    (tmp_path / "root").write_bytes(root())
    (tmp_path / "nss").mkdir()
    database = f"sql:{tmp_path / 'nss'}"
    assert ran("certutil", "-N", "-d", database, "--empty-password").returncode == 0
    imported = ran("certutil", "-A", "-d", database, "-n", "root", "-t", "C,C,C", "-i", str(tmp_path / "root"))
    assert imported.returncode == 0
    done = ran("cmsutil", "-D", "-d", database, "-i", str(tmp_path / "cms"), "-o", str(tmp_path / "shown"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shown").read_bytes() == prepared.entity.octets()


def test_bouncy_castle_reads_the_opaque_form(tmp_path: Path) -> None:
    """Every kind of key, every kind of letter."""
    cases = []
    for shape, scheme in SHAPES:
        for name in LETTERS:
            prepared = taken_apart(real_life()[name])
            opaque = made(prepared, lan(shape), template(lan(shape), scheme=scheme))[1]
            cases.append((prepared.entity.octets(), cms_of(opaque), root()))
    assert bouncycastle_verify(cases, tmp_path) == [True] * len(cases)


FOREIGN: Final = clear("Content-Type: text/plain; charset=utf-8\r\n\r\nTiếng Việt\r\n".encode(), lan())
FORWARDED: Final = mail(multipart("mixed", text_part("x"), b"Content-Type: message/rfc822\r\n\r\n" + FOREIGN))
SPECIAL: Final = {
    "copies": taken_apart(PLAIN, protect=tuple(PROTECTED)),
    "8-bit": taken_apart(FORWARDED, body=Body.EIGHT_BIT),
    "binary": taken_apart(FORWARDED, body=Body.BINARY),
}


@pytest.mark.parametrize("kind", sorted(SPECIAL))
@pytest.mark.parametrize(("shape", "scheme"), SHAPES)
def test_all_four_verify_what_is_special(kind: str, shape: str, scheme: Scheme | None, tmp_path: Path) -> None:
    """Copies of header fields inside, and octets above 127 in what somebody else signed."""
    outside, _ = made(SPECIAL[kind], lan(shape), template(lan(shape), scheme=scheme))
    part, cms = split(outside)
    assert openssl_verify(part, cms, root(), tmp_path)
    assert nss_verify(part, cms, root(), tmp_path)
    with Gpgsm(root()) as peer:
        assert peer.verify(part, cms)
    assert bouncycastle_verify([(part, cms, root())], tmp_path) == [True]


@pytest.mark.parametrize("part", ["_versions", "_signer_head", "_certificates"])
async def test_a_turned_octet_of_a_template_is_seen_twice(part: str) -> None:
    """Our own look finds it and, asked by itself, OpenSSL does: a fault in the one is not one in the other."""
    credential, certificate = lan("p256"), Certificate.load(lan("p256").certificate)
    whole = template(credential)
    octets: bytes = getattr(whole, part)
    leaf = octets.find(certificate.der)
    turned = leaf + len(certificate.der) // 2 if leaf >= 0 else len(octets) - 3
    broken = replace(whole, **{part: octets[:turned] + bytes([octets[turned] ^ 1]) + octets[turned + 1 :]})
    for good, bad in zip(
        made(taken_apart(PLAIN), credential, whole), made(taken_apart(PLAIN), credential, broken), strict=True
    ):
        sent_along = whole.certificates
        assert check_own_work(Message.of(good), certificate=certificate, sent_along=sent_along) is None
        assert await OpenSsl().verify(Message.of(good), certificate) is None
        assert check_own_work(Message.of(bad), certificate=certificate, sent_along=sent_along) is not None
        assert await OpenSsl().verify(Message.of(bad), certificate) is not None

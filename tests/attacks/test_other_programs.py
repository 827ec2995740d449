"""What other people's programs sign, in the shape in which mail programs send it, through the running gateway.

OpenSSL, gpgsm, NSS and Bouncy Castle really sign; headers and boundaries around it are of the shapes that Thunderbird,
Outlook, Apple Mail and KMail write.
"""

from __future__ import annotations

import re
import subprocess
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import pytest

from gateway.demo.authority import pem, shared_key
from support.attacks import AUTHOR, head, part, signer
from support.gateway_process import authority, root_pem
from support.letters import base64_lines, multipart
from support.verifiers import Gpgsm, bouncycastle_sign, nss_sign, openssl_sign

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.demo.authority import Credential
    from support.attacks import Field

BOTH: Final = multipart("alternative", part(), part("<p>Moi hop</p>", subtype="html"), boundary="hai")
PREAMBLES: Final = {
    "thunderbird": b"This is a cryptographically signed message in MIME format.\r\n",
    "outlook": b"This is a multi-part message in MIME format.\r\n",
    "apple": b"",
    "kmail": b"",
}
BOUNDARIES: Final = {
    "thunderbird": "------------ms040506070809010203040506",
    "outlook": "----=_NextPart_000_0011_01DC5D00.1A2B3C40",
    "apple": "Apple-Mail=_0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0",
    "kmail": "nextPart1234567.aBcDeFgHiJ",
}
SIGNATURES: Final = {
    "thunderbird": b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
    b"Content-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="smime.p7s"\r\n'
    b"Content-Description: S/MIME Cryptographic Signature\r\n\r\n",
    "outlook": b'Content-Type: application/pkcs7-signature;\r\n\tname="smime.p7s"\r\n'
    b'Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n\tfilename="smime.p7s"\r\n\r\n',
    "apple": b"Content-Disposition: attachment;\r\n\tfilename=smime.p7s\r\n"
    b"Content-Type: application/pkcs7-signature;\r\n\tname=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    "kmail": b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Disposition: attachment; "
    b"filename=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n",
}
PARAMETERS: Final = {
    "thunderbird": 'protocol="application/pkcs7-signature"; micalg=sha-256; boundary="{}"',
    "outlook": 'protocol="application/x-pkcs7-signature";\r\n\tmicalg=SHA1;\r\n\tboundary="{}"',
    "apple": 'boundary="{}";\r\n\tprotocol="application/pkcs7-signature";\r\n\tmicalg=sha-256',
    "kmail": 'boundary="{}"; micalg="sha256"; protocol="application/pkcs7-signature"',
}
OPAQUE: Final = {
    "outlook": b'Content-Type: application/x-pkcs7-mime;\r\n\tsmime-type=signed-data;\r\n\tname="smime.p7m"\r\n'
    b"Content-Transfer-Encoding: base64\r\nX-MS-Has-Attach: yes\r\nX-MS-TNEF-Correlator:\r\n",
    "exchange": b'Content-Type: application/pkcs7-mime; smime-type="signed-data"; name="smime.p7m"\r\n'
    b'Content-Disposition: attachment; filename="smime.p7m"\r\nContent-Transfer-Encoding: base64\r\n',
    "by its name only": b'Content-Type: application/octet-stream; name="smime.p7m"\r\n'
    b"Content-Transfer-Encoding: base64\r\n",
    "without a type of its own": b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n",
}


def clear(shape: str, content: bytes, cms: bytes) -> bytes:
    """Return a clear-signed letter in the shape of a mail program."""
    boundary = BOUNDARIES[shape]
    line = b"--" + boundary.encode()
    return b"".join(
        (
            head(),
            b"MIME-Version: 1.0\r\nContent-Type: multipart/signed; ",
            PARAMETERS[shape].format(boundary).encode() + b"\r\n\r\n",
            PREAMBLES[shape] + (b"\r\n" if PREAMBLES[shape] else b""),
            line + b"\r\n" + content + b"\r\n" + line + b"\r\n",
            SIGNATURES[shape] + base64_lines(cms) + b"\r\n" + line + b"--\r\n",
        )
    )


def opaque(shape: str, cms: bytes) -> bytes:
    """Return an opaque letter in the shape of a mail program."""
    return head() + b"MIME-Version: 1.0\r\n" + OPAQUE[shape] + b"\r\n" + base64_lines(cms)


@lru_cache(maxsize=1)
def elliptic() -> Credential:
    """Return another certificate of the author, with a key on a curve."""
    return authority().issue("Người ký", AUTHOR, key=shared_key("p256", 90))


OPENSSL: Final[dict[str, dict[str, object]]] = {
    "plain": {},
    "key identifier": {"options": ("-keyid",)},
    "PSS": {"options": ("-keyopt", "rsa_padding_mode:pss")},
    "no attributes": {"options": ("-noattr",)},
    "no capabilities": {"options": ("-nosmimecap",)},
    "SHA-512": {"digest": "sha512"},
}


@pytest.mark.parametrize("kind", sorted(OPENSSL))
def test_openssl_beside_the_content(field: Field, kind: str, tmp_path: Path) -> None:
    """Its detached forms; the shapes take turns."""
    shape = sorted(BOUNDARIES)[sorted(OPENSSL).index(kind) % len(BOUNDARIES)]
    content = BOTH + kind.encode()
    cms = openssl_sign(content, signer(), tmp_path, **OPENSSL[kind])  # type: ignore[arg-type]
    field.honest(clear(shape, content, cms))


@pytest.mark.parametrize("shape", sorted(OPAQUE))
def test_openssl_around_the_content_in_ber(field: Field, shape: str, tmp_path: Path) -> None:
    """Indefinite lengths and a content in pieces, as Outlook sends it, under each of the four types in use."""
    content = part("Moi hop. " * 900) + shape.encode()
    cms = openssl_sign(content, signer(), tmp_path, form="opaque_ber")
    assert cms[:2] == b"\x30\x80"
    field.honest(opaque(shape, cms))


def test_openssl_with_a_key_on_a_curve(field: Field, tmp_path: Path) -> None:
    """ECDSA, detached and opaque."""
    content = part()
    field.honest(clear("thunderbird", content, openssl_sign(content, elliptic(), tmp_path)))
    field.honest(opaque("exchange", openssl_sign(part(), elliptic(), tmp_path, form="opaque")))


@pytest.mark.parametrize("form", [(), ("-stream",), ("-nodetach",), ("-nodetach", "-stream", "-indef")])
def test_openssl_as_a_mail_program(field: Field, form: tuple[str, ...], tmp_path: Path) -> None:
    """It writes the whole entity with preamble and boundary, BER too; line ends become those of the wire."""
    files = {
        "part": part(),
        "leaf": pem(signer().certificate),
        "key": signer().key_pem(),
    }
    files["more"] = b"".join(pem(each) for each in signer().chain)
    for name, octets in files.items():
        (tmp_path / name).write_bytes(octets)
    done = subprocess.run(
        (
            *("openssl", "cms", "-sign", "-binary", "-crlfeol", "-outform", "SMIME", *form),
            *("-in", "part", "-signer", "leaf", "-inkey", "key", "-certfile", "more"),
        ),
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    field.honest(head() + re.sub(rb"\r?\n", b"\r\n", done.stdout))


def test_gpgsm(field: Field) -> None:
    """In the shape of KMail; and opaque."""
    content, inside = BOTH + b"gpgsm", part()
    with Gpgsm(root_pem()) as peer:
        field.honest(clear("kmail", content, peer.sign(content, signer())))
        field.honest(opaque("exchange", peer.sign(inside, signer(), opaque=True)))


def test_nss(field: Field, tmp_path: Path) -> None:
    """In the shape of Thunderbird, which has this library; and opaque."""
    for credential in (signer(), elliptic()):
        content = BOTH + credential.certificate[-4:].hex().encode()
        field.honest(clear("thunderbird", content, nss_sign(content, credential, root_pem(), tmp_path)))
    field.honest(opaque("exchange", nss_sign(part(), signer(), root_pem(), tmp_path, opaque=True)))


def test_bouncy_castle(field: Field, tmp_path: Path) -> None:
    """As documents systems send: detached, and opaque in BER, of three algorithms."""
    kinds = [(signer(), "SHA256withRSA"), (signer(), "SHA256withRSAandMGF1"), (elliptic(), "SHA256withECDSA")]
    cases = [(part(), credential, name, inside) for credential, name in kinds for inside in (False, True)]
    for (content, _, _, inside), cms in zip(cases, bouncycastle_sign(cases, tmp_path), strict=True):
        assert not inside or cms[:2] == b"\x30\x80"
        field.honest(opaque("outlook", cms) if inside else clear("apple", content, cms))


@pytest.mark.parametrize("shape", sorted(BOUNDARIES))
def test_one_word_changed_in_each_shape(field: Field, shape: str, tmp_path: Path) -> None:
    """No shape lets a changed word through."""
    content = part("Moi hop " + shape)
    good = clear(shape, content, openssl_sign(content, signer(), tmp_path))
    found = field.attack(good, good.replace(content, content.replace(b"hop", b"tien")))
    assert found.why == ("invalid", "digest_mismatch")

"""`gateway sign` and `gateway verify` against other people's programs, as a user would run them (RFC 8551).

Peers get the exact octets, cut by a splitter that knows nothing of the gateway, and must refuse the same once with one
octet flipped: a peer that calls everything good proves nothing.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from gateway.demo.authority import Authority, Credential, pem, shared_key
from support.letters import LAN, PLAIN, clear_entity, mail, opaque_entity, text_part
from support.splitter import flipped, split
from support.verifiers import (
    Gpgsm,
    bouncycastle_sign,
    bouncycastle_verify,
    gpgsm_verify,
    nss_sign,
    nss_verify,
    openssl_sign,
    openssl_verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Peer = Callable[[bytes, bytes, bytes, Path], bool]

GATEWAY: Final = Path(sys.executable).with_name("gateway")
PART: Final = text_part("Kinh gui ba Mai,\r\n\r\nDa co ket qua.")
SHAPES: Final = ("rsa2048", "rsa3072", "p256", "p384")
PASSPHRASE: Final = b"only-for-tests"


@lru_cache(maxsize=1)
def authority() -> Authority:
    """Return an authority of today: peers judge at the real time."""
    return Authority(dt.datetime.now(dt.UTC), family=7)


@lru_cache(maxsize=8)
def lan(shape: str) -> Credential:
    """Return the author's credential with a key of this shape."""
    return authority().issue("Hoàng Thị Lan", LAN, key=shared_key(shape, 7))  # type: ignore[arg-type]


def private(path: Path, octets: bytes) -> Path:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_bytes(octets)
    return path


def signed_by_command(shape: str, tmp: Path) -> bytes:
    """Return what `gateway sign --p12` makes of a Vietnamese 8-bit message."""
    p12 = private(tmp / f"{shape}.p12", lan(shape).pkcs12(PASSPHRASE))
    password = private(tmp / "password", PASSPHRASE + b"\n")
    done = subprocess.run(
        [GATEWAY, "sign", "--p12", p12, "--password-file", password],
        input=PLAIN,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def outgoing(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[bytes, bytes]]:
    """Return by key shape what is to be verified: part and CMS, cut by the splitter."""
    tmp = tmp_path_factory.mktemp("outgoing")
    return {shape: split(signed_by_command(shape, tmp)) for shape in SHAPES}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("peer", [openssl_verify, gpgsm_verify, nss_verify], ids=["openssl", "gpgsm", "nss"])
def test_peers_take_what_the_command_signs(
    peer: Peer, shape: str, outgoing: Mapping[str, tuple[bytes, bytes]], tmp_path: Path
) -> None:
    """OpenSSL, gpgsm and NSS verify what `gateway sign` wrote, and refuse it with one octet flipped."""
    part, cms = outgoing[shape]
    root = pem(authority().root)
    assert peer(part, cms, root, tmp_path)
    assert not peer(flipped(part, len(part) // 2), cms, root, tmp_path)


def test_bouncy_castle_takes_what_the_command_signs(
    outgoing: Mapping[str, tuple[bytes, bytes]], tmp_path: Path
) -> None:
    """Bouncy Castle verifies every kind of key, and refuses each with one octet flipped."""
    root = pem(authority().root)
    good = [(part, cms, root) for part, cms in outgoing.values()]
    bad = [(flipped(part, len(part) // 2), cms, root) for part, cms in outgoing.values()]
    answers = bouncycastle_verify(good + bad, tmp_path)
    assert answers == [True] * len(good) + [False] * len(bad)


def signed_by_peers(tmp: Path) -> dict[str, bytes]:
    """Return whole messages by who signed how; nothing of the gateway is in them but base64 and boundaries."""
    root = pem(authority().root)
    rsa, p256, p384 = lan("rsa2048"), lan("p256"), lan("p384")
    pss = ("-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest")
    found = {
        "openssl_rsa": clear_entity(PART, openssl_sign(PART, rsa, tmp)),
        "openssl_rsa_sha512": clear_entity(PART, openssl_sign(PART, rsa, tmp, digest="sha512")),
        "openssl_pss": clear_entity(PART, openssl_sign(PART, rsa, tmp, options=pss)),
        "openssl_p256": clear_entity(PART, openssl_sign(PART, p256, tmp)),
        "openssl_p384": clear_entity(PART, openssl_sign(PART, p384, tmp, digest="sha384")),
        "openssl_keyid": clear_entity(PART, openssl_sign(PART, rsa, tmp, options=("-keyid",))),
        "openssl_opaque": opaque_entity(openssl_sign(PART, rsa, tmp, form="opaque")),
        "openssl_opaque_ber": opaque_entity(openssl_sign(PART, p256, tmp, form="opaque_ber")),
        "nss_p256": clear_entity(PART, nss_sign(PART, p256, root, tmp)),
    }
    with Gpgsm(root) as peer:
        found["gpgsm_ber"] = clear_entity(PART, peer.sign(PART, rsa))
        found["gpgsm_opaque"] = opaque_entity(peer.sign(PART, rsa, opaque=True))
    cases = {
        "bc_rsa": (PART, rsa, "SHA256withRSA", False),
        "bc_pss": (PART, rsa, "SHA256withRSAandMGF1", False),
        "bc_p384": (PART, p384, "SHA384withECDSA", False),
        "bc_opaque": (PART, p256, "SHA256withECDSA", True),
    }
    for name, cms in zip(cases, bouncycastle_sign(list(cases.values()), tmp), strict=True):
        found[name] = opaque_entity(cms) if cases[name][3] else clear_entity(PART, cms)
    return {name: mail(entity) for name, entity in found.items()}


def judged_by_command(files: list[Path], tmp: Path) -> tuple[int, list[dict[str, object]]]:
    """Return exit code and objects of one `gateway verify --json`."""
    root = tmp / "root.pem"
    root.write_bytes(pem(authority().root))
    done = subprocess.run(
        [GATEWAY, "verify", "--json", "--revocation", "off", "--trust", root, *files],
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_the_command_verifies_what_peers_sign(tmp_path: Path) -> None:
    """`gateway verify` takes every form peers write, BER and PSS included, and refuses each with one octet flipped."""
    messages = signed_by_peers(tmp_path)
    good, bad = [], []
    for name, octets in messages.items():
        clear = b"multipart/signed" in octets
        broken = flipped(octets, octets.index(b"ket qua")) if clear else _other_content(octets)
        for files, suffix, content in ((good, "eml", octets), (bad, "broken.eml", broken)):
            file = tmp_path / f"{name}.{suffix}"
            file.write_bytes(content)
            files.append(file)
    code, objects = judged_by_command(good, tmp_path)
    assert {Path(str(each["file"])).stem: each["verdict"] for each in objects} == dict.fromkeys(messages, "verified")
    assert code == 0
    code, objects = judged_by_command(bad, tmp_path)
    assert {each["verdict"] for each in objects} == {"invalid"}, objects
    assert (code, len(objects)) == (1, len(messages))


def _other_content(message: bytes) -> bytes:
    """Return an opaque message whose content inside the CMS has one octet flipped."""
    head, _, encoded = message.rpartition(b"\r\n\r\n")
    cms = base64.b64decode(encoded)
    return head + b"\r\n\r\n" + base64.encodebytes(flipped(cms, cms.index(b"ket qua"))).replace(b"\n", b"\r\n")

"""Other people's CMS programs as judges and as signers: OpenSSL, gpgsm, NSS cmsutil, Bouncy Castle (RFC 5652).

All take the exact octets that were signed and the decoded CMS: a peer that cuts the parts out itself may normalize
line ends first and call a broken message good. A peer that is missing fails the test, it is never skipped.

    openssl_verify(part, cms, root_pem, tmp)       -> bool
    nss_verify(part, cms, root_pem, tmp)           -> bool
    gpgsm_verify(part, cms, root_pem, tmp)         -> bool      for many: `with Gpgsm(root_pem) as peer: ...`
    bouncycastle_verify([(part, cms, root_pem), ...], tmp) -> list[bool]      one JVM (about 2 s) for all of them
    openssl_sign / nss_sign / gpgsm_sign / bouncycastle_sign                  -> DER or BER ContentInfo

`tmp` is a directory of the caller (pytest's tmp_path); every call makes its own inside, so calls may share one.
`part`: the signed entity as on the wire, without the CRLF that belongs to the delimiter. Peers judge at the real time.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from gateway.demo.authority import pem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from gateway.demo.authority import Credential

_PASSPHRASE: Final = "only-for-tests"
_TRIES: Final = 4
_JARS: Final = ":".join(f"/usr/share/java/{each}.jar" for each in ("bcmail", "bcpkix", "bcprov", "bcutil"))
_JAVA: Final = Path(__file__).with_name("BouncyCastlePeer.java")
_TIMEOUT: Final = 60


def _run(*command: str, env: dict[str, str] | None = None, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT, input=given, env=env)


def _must(*command: str, env: dict[str, str] | None = None, given: bytes = b"") -> bytes:
    """Run what has to work; a peer's failure to do its part is an error, not an answer."""
    done = _run(*command, env=env, given=given)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed ({done.returncode}): {done.stderr.decode(errors='replace')}")
    return done.stdout


def _place(tmp: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix="peer-", dir=tmp))


def _written(place: Path, **files: bytes) -> dict[str, str]:
    """Write files and return their paths by name."""
    paths = {}
    for name, octets in files.items():
        (place / name).write_bytes(octets)
        paths[name] = str(place / name)
    return paths


# --- OpenSSL ---------------------------------------------------------------------------------------------------------


def openssl_verify(part: bytes, cms: bytes, root_pem: bytes, tmp: Path) -> bool:
    """Return whether `openssl cms -verify` takes the signature, the path, and the purpose smimesign."""
    place = _place(tmp)
    file = _written(place, part=part, cms=cms, root=root_pem)
    done = _run(
        *("openssl", "cms", "-verify", "-inform", "DER", "-in", file["cms"], "-binary", "-content", file["part"]),
        *("-CAfile", file["root"], "-purpose", "smimesign", "-out", str(place / "out")),
    )
    return done.returncode == 0 and (place / "out").read_bytes() == part


def openssl_sign(
    part: bytes,
    credential: Credential,
    tmp: Path,
    *,
    digest: str = "sha256",
    form: Literal["detached", "opaque", "opaque_ber"] = "detached",
    options: Sequence[str] = (),
) -> bytes:
    """Return what `openssl cms -sign` makes; `opaque_ber` is its streaming, indefinite-length output.

    `options` such as ("-keyopt", "rsa_padding_mode:pss"), ("-keyid",), ("-noattr",), ("-nocerts",).
    """
    place = _place(tmp)
    chain = b"".join(pem(each) for each in credential.chain)
    file = _written(place, part=part, key=credential.key_pem(), leaf=pem(credential.certificate), chain=chain)
    _must(
        *("openssl", "cms", "-sign", "-binary", "-in", file["part"], "-signer", file["leaf"], "-inkey", file["key"]),
        *("-certfile", file["chain"], "-outform", "DER", "-md", digest, "-out", str(place / "out")),
        *{"detached": (), "opaque": ("-nodetach",), "opaque_ber": ("-nodetach", "-stream", "-indef")}[form],
        *options,
    )
    return (place / "out").read_bytes()


def openssl_encrypt(part: bytes, credential: Credential, tmp: Path) -> bytes:
    """Return an enveloped CMS for the credential's holder."""
    place = _place(tmp)
    file = _written(place, part=part, leaf=pem(credential.certificate))
    _must(
        *("openssl", "cms", "-encrypt", "-aes-256-cbc", "-binary", "-in", file["part"], "-outform", "DER"),
        *("-out", str(place / "out"), file["leaf"]),
    )
    return (place / "out").read_bytes()


# --- gpgsm -----------------------------------------------------------------------------------------------------------


class Gpgsm:
    """A private gpgsm home that trusts one root; leaving the context ends its agent.

    The home lies directly under /tmp: a path over about 100 characters breaks the agent's socket.
    """

    def __init__(self, root_pem: bytes) -> None:
        """Keep the root; nothing is started yet."""
        self._root = root_pem

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="gh-", dir="/tmp"))
        self._env = {"GNUPGHOME": str(self._home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        file = _written(self._home, root=self._root)
        shown = _must("openssl", "x509", "-in", file["root"], "-noout", "-fingerprint", "-sha1").decode()
        fingerprint = shown.partition("=")[2].strip().replace(":", "")
        (self._home / "trustlist.txt").write_text(f"{fingerprint} S relax\n")
        _must("gpgsm", "--batch", "--import", file["root"], env=self._env)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _run("gpgconf", "--kill", "all", env=self._env)
        shutil.rmtree(self._home, ignore_errors=True)

    def verify(self, part: bytes, cms: bytes) -> bool:
        """Return whether it says GOODSIG and TRUST_FULLY and exits 0; GOODSIG alone also comes with failure."""
        file = _written(_place(self._home), part=part, cms=cms)
        done = _run(
            *("gpgsm", "--batch", "--status-fd", "1", "--disable-crl-checks", "--disable-dirmngr"),
            *("--verify", file["cms"], file["part"]),
            env=self._env,
        )
        status = [line.split()[1] for line in done.stdout.decode().splitlines() if line.startswith("[GNUPG:] ")]
        return done.returncode == 0 and "GOODSIG" in status and "TRUST_FULLY" in status

    def sign(self, part: bytes, credential: Credential, *, opaque: bool = False) -> bytes:
        """Return its signature (BER, indefinite length where detached); RSA keys only: EC crashes its import."""
        place = _place(self._home)
        chain = b"".join(pem(each) for each in credential.chain)
        file = _written(
            place, part=part, key=credential.key_pem(), leaf=pem(credential.certificate), chain=chain, root=self._root
        )
        loopback = ("gpgsm", "--batch", "--pinentry-mode", "loopback", "--passphrase-fd", "0")
        secret = f"{_PASSPHRASE}\n".encode()
        for left in reversed(range(_TRIES)):  # one salt in some hundreds makes a file that gpgsm cannot take apart
            _must(
                *("openssl", "pkcs12", "-export", "-legacy", "-in", file["leaf"], "-inkey", file["key"]),
                *("-certfile", file["chain"], "-passout", f"pass:{_PASSPHRASE}", "-out", str(place / "p12")),
            )
            run = _run if left else _must
            found = run(*loopback, "--disable-dirmngr", "--import", str(place / "p12"), env=self._env, given=secret)
            if not isinstance(found, subprocess.CompletedProcess) or found.returncode == 0:
                break
        fingerprint = _must("openssl", "x509", "-in", file["leaf"], "-noout", "-fingerprint", "-sha1").decode()
        _must(
            *(*loopback, "--disable-crl-checks", "--disable-dirmngr", "--include-certs", "-2"),
            *("--local-user", fingerprint.partition("=")[2].strip().replace(":", "")),
            *("--output", str(place / "out"), "--sign"),
            *(() if opaque else ("--detach-sign",)),
            file["part"],
            env=self._env,
            given=secret,
        )
        return (place / "out").read_bytes()


def gpgsm_verify(part: bytes, cms: bytes, root_pem: bytes, tmp: Path) -> bool:
    """Return whether gpgsm takes it, in a home of its own."""
    del tmp  # its home has to be short
    with Gpgsm(root_pem) as peer:
        return peer.verify(part, cms)


def gpgsm_sign(part: bytes, credential: Credential, root_pem: bytes, *, opaque: bool = False) -> bytes:
    """Return gpgsm's signature, made in a home of its own."""
    with Gpgsm(root_pem) as peer:
        return peer.sign(part, credential, opaque=opaque)


# --- NSS -------------------------------------------------------------------------------------------------------------


def _nss(place: Path, root_pem: bytes) -> str:
    """Make a certificate database that trusts the root, and return its name."""
    (place / "nss").mkdir()
    database = f"sql:{place / 'nss'}"
    file = _written(place, root=root_pem)
    _must("certutil", "-N", "-d", database, "--empty-password")
    _must("certutil", "-A", "-d", database, "-n", "root", "-t", "C,C,C", "-i", file["root"])
    return database


def nss_verify(part: bytes, cms: bytes, root_pem: bytes, tmp: Path) -> bool:
    """Return whether `cmsutil -D` takes it (never with -h, which calls everything good)."""
    place = _place(tmp)
    database = _nss(place, root_pem)
    file = _written(place, part=part, cms=cms)
    return _run("cmsutil", "-D", "-d", database, "-n", "-i", file["cms"], "-c", file["part"]).returncode == 0


def nss_sign(part: bytes, credential: Credential, root_pem: bytes, tmp: Path, *, opaque: bool = False) -> bytes:
    """Return what `cmsutil -S` makes, with signing time."""
    place = _place(tmp)
    database = _nss(place, root_pem)
    file = _written(place, part=part, p12=credential.pkcs12(_PASSPHRASE.encode(), label="signer"))
    _must("pk12util", "-i", file["p12"], "-d", database, "-W", _PASSPHRASE)
    _must(
        *("cmsutil", "-S", "-G", "-Y", "NONE", "-d", database, "-N", "signer", *(() if opaque else ("-T",))),
        *("-i", file["part"], "-o", str(place / "out")),
    )
    return (place / "out").read_bytes()


# --- Bouncy Castle ---------------------------------------------------------------------------------------------------


def _bouncycastle(place: Path, lines: Sequence[str]) -> list[str]:
    (place / "lines").write_text("".join(f"{line}\n" for line in lines))
    answers = _must("java", "-XX:TieredStopAtLevel=1", "-cp", _JARS, str(_JAVA), str(place / "lines"))
    found = answers.decode().splitlines()
    if len(found) != len(lines):
        raise RuntimeError(f"Bouncy Castle answered {len(found)} of {len(lines)} lines")
    return found


def bouncycastle_verify(cases: Sequence[tuple[bytes, bytes, bytes]], tmp: Path) -> list[bool]:
    """Return for each (part, cms, root_pem) whether all signers and their paths are good."""
    place = _place(tmp)
    lines = []
    for number, (part, cms, root_pem) in enumerate(cases):
        file = _written(place, **{f"part{number}": part, f"cms{number}": cms, f"root{number}": root_pem})
        lines.append("\t".join(("verify", *file.values())))
    return [answer == "good" for answer in _bouncycastle(place, lines)]


def bouncycastle_sign(cases: Sequence[tuple[bytes, Credential, str, bool]], tmp: Path) -> list[bytes]:
    """Return for each (part, credential, algorithm, opaque) a CMS; algorithms as "SHA256withRSA", "SHA256withECDSA",
    "SHA256withRSAandMGF1". Opaque ones come as BER.
    """  # noqa: D205 - the names do not fit into one line
    place = _place(tmp)
    lines = []
    for number, (part, credential, algorithm, opaque) in enumerate(cases):
        p12 = credential.pkcs12(_PASSPHRASE.encode())
        file = _written(place, **{f"part{number}": part, f"p12{number}": p12})
        form = "inside" if opaque else "outside"
        lines.append("\t".join(("sign", *file.values(), _PASSPHRASE, str(place / f"out{number}"), algorithm, form)))
    for line, answer in zip(lines, _bouncycastle(place, lines), strict=True):
        if answer != "good":
            raise RuntimeError(f"Bouncy Castle cannot sign ({line}): {answer}")
    return [(place / f"out{number}").read_bytes() for number in range(len(cases))]

"""A site of revocation data on loopback that answers, lies, hangs, drips or never ends, as each path is told.

with Site() as site:
site.pages["/ca.crl"] = page(der)
site.pages["/hang"] = hang
site.url("/ca.crl"), site.name, site.asked["/ca.crl"]
"""

from __future__ import annotations

import contextlib
import datetime as dt
import subprocess
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from gateway.demo.authority import pem
from support.letters import NOW
from support.peers import free_port, need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.tree import Node

    Page = Callable[["Site", BaseHTTPRequestHandler, bytes], None]

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
HOUR: Final = dt.timedelta(hours=1)
_BLOCK: Final = b"0" * 65536


class Site:
    """An HTTP server on a port of its own."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: Counter[str] = Counter()
        self.heads: list[dict[str, str]] = []
        self.sent = 0
        """Octets of bodies."""
        self.ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self)
        self.port: int = self._server.server_address[1]
        self.name = f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.name}{path}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], site: Site) -> None:
        self.site = site
        super().__init__(address, _Handler)

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients go away here because they are meant to."""


class _Handler(BaseHTTPRequestHandler):
    timeout = 5

    def do_GET(self) -> None:
        self.close_connection = True
        site = self.server.site  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        site.asked[self.path] += 1
        site.heads.append(dict(self.headers))
        with contextlib.suppress(OSError):
            site.pages.get(self.path, missing)(site, self, body)

    do_POST = do_GET  # noqa: N815 - as above

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def send(handler: BaseHTTPRequestHandler, octets: bytes, **fields: str) -> None:
    """Answer 200 with a body."""
    handler.send_response(200)
    for name, value in {"Content_Length": str(len(octets)), **fields}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(octets)


def page(octets: bytes, **fields: str) -> Page:
    """Return what answers these octets."""
    return lambda _site, handler, _body: send(handler, octets, **fields)


def missing(_site: Site, handler: BaseHTTPRequestHandler, _body: bytes) -> None:
    """Answer 404."""
    handler.send_error(404)


def hang(site: Site, _handler: BaseHTTPRequestHandler, _body: bytes) -> None:
    """Say nothing until the end."""
    site.ended.wait(30)


def drip(site: Site, handler: BaseHTTPRequestHandler, _body: bytes) -> None:
    """Send an octet now and then, so that no single wait is long."""
    handler.send_response(200)
    handler.end_headers()
    while not site.ended.wait(0.02):
        handler.wfile.write(b"0")


def endless(site: Site, handler: BaseHTTPRequestHandler, _body: bytes) -> None:
    """Send a gigabyte, its length not told."""
    handler.send_response(200)
    handler.end_headers()
    while site.sent < 2**30 and not site.ended.is_set():
        handler.wfile.write(_BLOCK)
        site.sent += len(_BLOCK)


def redirect(to: str) -> Page:
    """Return what sends the client somewhere else."""

    def answer(_site: Site, handler: BaseHTTPRequestHandler, _body: bytes) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def ocsp_answer(
    about: Node,
    issuer: Node,
    *,
    signer: Node | None = None,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    start: dt.datetime = NOW - HOUR,
    end: dt.datetime | None = NOW + 12 * HOUR,
) -> bytes:
    """Return an OCSPResponse (DER), signed by the issuer unless somebody else is named."""
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    by = signer or issuer
    return (
        ocsp.OCSPResponseBuilder()
        .add_response(
            about.certificate.parsed,
            issuer.certificate.parsed,
            hashes.SHA1(),  # noqa: S303 - names, no proof
            status,
            start,
            end,
            start if revoked else None,
            x509.ReasonFlags.key_compromise if revoked else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, by.certificate.parsed)
        .certificates([by.certificate.parsed])
        .sign(by.key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


@contextlib.contextmanager
def openssl_responder(directory: Path, issuer: Node, good: Node, revoked: Node) -> Iterator[int]:
    """Run `openssl ocsp` for two certificates, and yield its port."""
    need("openssl")
    lines = []
    for state, node in (("V", good), ("R", revoked)):
        parsed = node.certificate.parsed
        end, gone = f"{parsed.not_valid_after_utc:%y%m%d%H%M%SZ}", f"{parsed.not_valid_before_utc:%y%m%d%H%M%SZ}"
        when = gone if state == "R" else ""
        lines.append(f"{state}\t{end}\t{when}\t{parsed.serial_number:04X}\tunknown\t/CN={state}\n")
    (directory / "index.txt").write_text("".join(lines), encoding="ascii")
    (directory / "ca.pem").write_bytes(pem(issuer.certificate.der))
    key = issuer.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "ca.key").write_bytes(key)
    port = free_port()
    arguments = ["openssl", "ocsp", "-port", str(port), "-index", "index.txt", "-CA", "ca.pem"]
    arguments += ["-rsigner", "ca.pem", "-rkey", "ca.key", "-nmin", "30", "-ignore_err"]
    with subprocess.Popen(arguments, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if b"waiting for" in line.lower():
                    break
            yield port
        finally:
            process.terminate()

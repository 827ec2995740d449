"""swaks as the mail client: STARTTLS, AUTH, and one message's exact octets (RFC 6409).

swaks announces neither 8BITMIME nor SMTPUTF8 and sends octets as they are, as much of the software in offices does.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support.peers import need

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it."""

    exit_code: int
    """0: accepted; 23 MAIL, 24 every RCPT, 25 DATA, 26 the message, 28 AUTH, 29 TLS was refused."""
    transcript: str

    @property
    def accepted(self) -> bool:
        """True if the reply to the dot was positive."""
        return self.exit_code == 0

    @property
    def refusal(self) -> str:
        """The first negative reply, "" if there is none."""
        found = re.search(r"^<[~*]\* +([45]\d\d.*)$", self.transcript, re.MULTILINE)
        return found[1] if found else ""

    @property
    def replies(self) -> tuple[str, ...]:
        """Every line the server said."""
        return tuple(re.findall(r"^<[~*\- ]*\s+(\d\d\d[ -].*)$", self.transcript, re.MULTILINE))


def swaks(
    port: int,
    sender: str,
    to: str | Sequence[str],
    message: bytes,
    *,
    login: tuple[str, str] | None = None,
    trusted: Path | None = None,
    options: Sequence[str] = (),
) -> Sent:
    """Send a message; `trusted` (PEM) asks for STARTTLS and a certificate that fits, `login` is user and password.

    `options` such as ("--tls-on-connect",), which takes the place of STARTTLS, or ("--protocol", "LMTP").
    """
    need("swaks")
    recipients = to if isinstance(to, str) else ",".join(to)
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    if login is not None:  # in the environment, as a password in a command line is everybody's
        environment |= {"SWAKS_OPT_auth": "PLAIN", "SWAKS_OPT_auth_user": login[0]}
        environment |= {"SWAKS_OPT_auth_password": login[1]}
    with tempfile.NamedTemporaryFile(prefix="swaks-") as data:
        Path(data.name).write_bytes(_on_the_wire(message))
        done = subprocess.run(
            (
                *("swaks", "--server", f"127.0.0.1:{port}", "--ehlo", "may-lan.songlam.example"),
                *("--from", sender, "--to", recipients, "--no-data-fixup", "--data", f"@{data.name}"),
                *("--suppress-data", "--timeout", "60s"),
                *(("--tls-verify", "--tls-ca-path", str(trusted)) if trusted is not None else ()),
                *(("--tls",) if trusted is not None and "--tls-on-connect" not in options else ()),
                *options,
            ),
            capture_output=True,
            check=False,
            timeout=120,
            env=environment,
        )
    return Sent(done.returncode, (done.stdout + done.stderr).decode(errors="replace"))


def _on_the_wire(message: bytes) -> bytes:
    """Return the message dot-stuffed, up to and with the dot; swaks adds the last line end itself."""
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b"." if stuffed.endswith(b"\r\n") else b"\r\n.")

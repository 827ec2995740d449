"""A private Dovecot on loopback: LMTP over TCP and over a UNIX socket, IMAP, Maildirs in its own directory.

    with dovecot() as mail:
        mail.lmtp_port, mail.lmtp_path, mail.imap_port
        mail.fetch("mai@congdan.example")            # the exact octets of the one message there, as IMAP gives them

Every mailbox exists, but those whose local part begins with "khong-co": LMTP refuses these with 550 5.1.1.
Dovecot 2.3's LMTP offers no SMTPUTF8.
"""

from __future__ import annotations

import imaplib
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.peers import POLL, PeerError, child, free_port, need, short_directory, wait_until_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY: Final = 65534
"""The user and group that mail belongs to."""
PASSWORD: Final = "chi-de-thu"
_CONFIG: Final = """\
base_dir = {top}/run
state_dir = {top}/state
instance_name = {name}
log_path = {top}/log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
protocols = imap lmtp
listen = 127.0.0.1
mail_location = maildir:{top}/mail/%Ld/%Ln
mail_uid = {nobody}
mail_gid = {nobody}
first_valid_uid = 1
first_valid_gid = 1
hostname = kho-thu.example
postmaster_address = postmaster@kho-thu.example
passdb {{
  driver = static
  username_filter = !khong-co*
  args = password={password}
}}
passdb {{
  driver = passwd-file
  args = {top}/nobody-else
}}
userdb {{
  driver = static
  args = uid={nobody} gid={nobody} home={top}/mail/%Ld/%Ln
}}
service auth {{
  client_limit = 2000
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
  service_count = 0
  process_min_avail = 1
}}
service imap {{
  service_count = 100
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
  unix_listener {top}/lmtp {{
    mode = 0666
  }}
  process_min_avail = 1
}}
namespace inbox {{
  inbox = yes
}}
"""


@dataclass(frozen=True, slots=True)
class Dovecot:
    """A running instance."""

    directory: Path
    lmtp_port: int
    imap_port: int

    @property
    def lmtp_path(self) -> Path:
        """The UNIX socket of LMTP."""
        return self.directory / "lmtp"

    def log(self) -> str:
        """Return its log so far."""
        file = self.directory / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def fetch(self, user: str, *, seconds: float = 60.0) -> bytes:
        """Return the exact octets of the one message in a mailbox, waiting so long for it; two are an error."""
        return self.fetch_all(user, 1, seconds=seconds)[0]

    def fetch_all(self, user: str, count: int, *, seconds: float = 60.0) -> list[bytes]:
        """Return the messages of a mailbox once there are `count`, oldest first; more are an error."""
        deadline = time.monotonic() + seconds
        with self._login(user) as imap:
            while (found := _exists(imap)) < count:
                if time.monotonic() > deadline:
                    raise PeerError(
                        f"{user} has {found} of {count} messages after {seconds:g} s:\n{self.log()[-2000:]}"
                    )
                time.sleep(POLL)
            if found > count:
                raise PeerError(f"{user} has {found} messages, not {count}")
            return [_octets(imap, number) for number in range(1, count + 1)]

    def present(self, user: str) -> list[bytes]:
        """Return the messages of a mailbox as it is now, oldest first."""
        with self._login(user) as imap:
            return [_octets(imap, number) for number in range(1, _exists(imap) + 1)]

    def count(self, user: str) -> int:
        """Return how many messages a mailbox holds now."""
        with self._login(user) as imap:
            return _exists(imap)

    @contextmanager
    def _login(self, user: str) -> Iterator[imaplib.IMAP4]:
        imap = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=120)
        try:
            imap.login(user, PASSWORD)
            yield imap
        finally:
            imap.logout()


def _exists(imap: imaplib.IMAP4) -> int:
    """Look again, reading only: nothing in the mailbox may change by looking."""
    kind, data = imap.select(readonly=True)
    if kind != "OK" or data[0] is None:
        raise PeerError(f"EXAMINE: {data!r}")
    return int(data[0])


def _octets(imap: imaplib.IMAP4, number: int) -> bytes:
    kind, data = imap.fetch(str(number), "(BODY.PEEK[])")
    if kind != "OK" or not isinstance(data[0], tuple):
        raise PeerError(f"FETCH: {data!r}")
    return data[0][1]


@contextmanager
def dovecot(more: Callable[[Path], str] | None = None) -> Iterator[Dovecot]:
    """Run an instance until the context ends; `more` writes further files and returns further settings."""
    need("dovecot", root=True)
    if not Path("/usr/lib/dovecot/lmtp").exists() or not Path("/usr/lib/dovecot/imap").exists():
        need("dovecot-imapd and dovecot-lmtpd")
    with short_directory("dc-") as directory:
        mail = Dovecot(directory, free_port(), free_port())
        for name in ("run", "state"):
            (directory / name).mkdir(mode=0o755)
        (directory / "mail").mkdir(mode=0o777)
        (directory / "mail").chmod(0o777)
        (directory / "nobody-else").touch(mode=0o644)
        config = directory / "dovecot.conf"
        config.write_text(
            _CONFIG.format(
                top=directory,
                name=directory.name,
                nobody=NOBODY,
                password=PASSWORD,
                imap=mail.imap_port,
                lmtp=mail.lmtp_port,
            )
            + (more(directory) if more is not None else "")
        )
        with child(("dovecot", "-F", "-c", str(config)), output=directory / "out") as process:
            places = (mail.lmtp_port, str(mail.lmtp_path), mail.imap_port)
            wait_until_up(process, "Dovecot", places, directory / "out", directory / "log")
            yield mail

"""A private Postfix on loopback: own configuration, queue and data directories, own log, nothing of the system's.

    with postfix(routes={"congdan.example": "lmtp:unix:/tmp/dc-1/lmtp"}) as mta:
        mta.port                              # accepts mail for every domain that has a route, from loopback
        mta.log()                             # what it logged
        mta.queue()                           # the queue ids that wait

`routes` maps domains to next hops in Postfix's words: "lmtp:inet:127.0.0.1:24", "lmtp:unix:/PATH",
"smtp:[127.0.0.1]:2525". There is no local delivery, and no header field is added or rewritten; what has no route is
refused with 550 5.7.1. `refused` maps forward-paths to the reply that RCPT gets.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.peers import child, free_port, need, short_directory, wait_for, wait_until_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LONG_AGO: Final = 1_000_000_000
"""A modification time: Postfix reads a file that is fresh again and again for seconds, lest it be half-written."""
_DAEMONS: Final = Path("/usr/lib/postfix/sbin")
_QUEUE: Final = (
    "active",
    "bounce",
    "corrupt",
    "defer",
    "deferred",
    "flush",
    "hold",
    "incoming",
    "private",
    "saved",
    "trace",
)
_MAIN: Final = """\
compatibility_level = 3.6
config_directory = {top}/etc
queue_directory = {top}/queue
data_directory = {top}/data
maillog_file = {top}/log
maillog_file_prefixes = {top}
myhostname = {hostname}
mydestination =
local_transport = error:5.1.1 no local delivery
alias_maps =
alias_database =
local_recipient_maps =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
biff = no
append_dot_mydomain = no
local_header_rewrite_clients =
relay_domains = {domains}
transport_maps = inline:{{ {transports} }}
default_transport = error:5.4.4 no route
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = {refusals}
smtpd_reject_footer =
message_size_limit = {size}
mailbox_size_limit = 0
smtp_host_lookup = native
smtp_dns_support_level = disabled
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
transport_retry_time = 1s
smtp_connection_cache_on_demand = no
smtp_tls_security_level = none
smtpd_tls_security_level = {tls}
"""
_MASTER: Final = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
_PAST_CHECKS: Final = """\
127.0.0.1:{port} inet n - n - - smtpd
  -o cleanup_service_name=cleanup-gateway
cleanup-gateway unix n - n - 0 cleanup
  -o header_checks=
"""


@dataclass(frozen=True, slots=True)
class Postfix:
    """A running instance."""

    directory: Path
    port: int

    def log(self) -> str:
        """Return its log so far."""
        file = self.directory / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def queue(self) -> tuple[str, ...]:
        """Return the ids of the messages that wait, active ones too."""
        done = subprocess.run(
            ("postqueue", "-c", str(self.directory / "etc"), "-p"), capture_output=True, check=True, timeout=60
        )
        return tuple(re.findall(r"^([0-9A-F]{6,})[*!]?\s", done.stdout.decode(), re.MULTILINE))


def smtp_source(port: int, sender: str, to: str, *, messages: int, sessions: int = 10, length: int = 3000) -> None:
    """Send so many messages in so many sessions at once, with Postfix's own load generator; any refusal raises."""
    need("smtp-source")
    subprocess.run(
        (
            *("smtp-source", "-s", str(sessions), "-m", str(messages), "-l", str(length)),
            *("-f", sender, "-t", to, f"inet:127.0.0.1:{port}"),
        ),
        check=True,
        capture_output=True,
        timeout=120,
    )


@contextmanager
def postfix(  # noqa: PLR0913 - one argument per setting that a test changes
    routes: Mapping[str, str],
    *,
    port: int | None = None,
    hostname: str = "mta.example",
    refused: Mapping[str, str] | None = None,
    tls: tuple[Path, Path] | None = None,
    size: int = 64 * 2**20,
    header_checks: Path | None = None,
    past_checks: int | None = None,
    more: str = "",
    master: str = "",
) -> Iterator[Postfix]:
    """Run an instance until the context ends; with `tls` (certificate and key, PEM) it offers STARTTLS.

    `header_checks` is a table, kind regexp, for all mail but that which comes by the port `past_checks`; `more` are
    further lines of main.cf, `master` of master.cf.
    """
    need("postfix", "postqueue", root=True)
    with short_directory("pf-") as directory:
        chosen = port or free_port()
        mta = Postfix(directory, chosen)
        _lay_out(directory)
        _configure(mta, routes, hostname=hostname, refused=refused or {}, tls=tls, size=size, more=more)
        if header_checks is not None:
            _amend(directory / "etc/main.cf", f"header_checks = regexp:{header_checks}\n")
        _amend(directory / "etc/master.cf", master)
        if past_checks is not None:
            _amend(directory / "etc/master.cf", _PAST_CHECKS.format(port=past_checks))
        command = (str(_DAEMONS / "master"), "-c", str(directory / "etc"), "-d")
        with child(command, output=directory / "master.out") as process:
            # a connection before its log daemon runs can stop all of it for ever, each process waiting to log: in 19 of
            # 750 starts, with any client; never in 750 where the first one came behind this line
            wait_for(lambda: process.poll() is not None or "daemon started" in mta.log(), "Postfix to log")
            wait_until_up(process, "Postfix", (chosen,), directory / "master.out", directory / "log")
            yield mta


def _lay_out(directory: Path) -> None:
    """Make the directories with the owners that Postfix insists on."""
    for name in ("etc", "queue", "queue/pid"):
        (directory / name).mkdir(mode=0o755)
    for name in _QUEUE:
        (directory / "queue" / name).mkdir(mode=0o700)
        shutil.chown(directory / "queue" / name, "postfix", "root")
    for name, mode in (("maildrop", 0o730), ("public", 0o710)):
        (directory / "queue" / name).mkdir()
        shutil.chown(directory / "queue" / name, "postfix", "postdrop")
        (directory / "queue" / name).chmod(mode)
    (directory / "data").mkdir(mode=0o700)
    shutil.chown(directory / "data", "postfix", "postfix")


def _amend(file: Path, line: str) -> None:
    """Add to a file of settings, which stays old."""
    file.write_text(file.read_text() + line)
    os.utime(file, (_LONG_AGO, _LONG_AGO))


def _configure(
    mta: Postfix,
    routes: Mapping[str, str],
    *,
    hostname: str,
    refused: Mapping[str, str],
    tls: tuple[Path, Path] | None,
    size: int,
    more: str,
) -> None:
    def inline(pairs: Mapping[str, str]) -> str:
        return ", ".join(f"{{ {key} = {value} }}" for key, value in pairs.items())

    refusals = f"check_recipient_access inline:{{ {inline(refused)} }}, permit" if refused else "permit"
    text = _MAIN.format(
        top=mta.directory,
        hostname=hostname,
        domains=", ".join(routes),
        transports=inline(routes),
        refusals=refusals,
        size=size,
        tls="may" if tls else "none",
    )
    if tls is not None:
        text += f"smtpd_tls_cert_file = {tls[0]}\nsmtpd_tls_key_file = {tls[1]}\n"
    for name, content in (("main.cf", text + more), ("master.cf", _MASTER.format(port=mta.port))):
        file = mta.directory / "etc" / name
        file.write_text(content)
        os.utime(file, (_LONG_AGO, _LONG_AGO))

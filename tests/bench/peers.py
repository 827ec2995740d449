"""What Debian offers in the gateway's place: Postfix alone, with opendkim, with `openssl cms -sign` behind a pipe.

And sigh (a milter in C++) where its program is named by the variable SIGH; nothing is fetched.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import serialization

from bench.targets import OUTSIDE, SAMPLES, Samples, Target, sink
from gateway.demo.authority import pem
from support.gateway_process import credentials
from support.letters import LAN
from support.peers import child, need, short_directory, wait_until_up
from support.postfix import postfix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.postfix import Postfix

SIGH: Final = os.environ.get("SIGH", "")
"""Path of the program, if it is to be measured."""
SIGH_PUBLISHED: Final = (
    "sigh was not given (SIGH=/path); measured earlier on a like machine: 4.6-5.5 CPU-ms, 361-378 msgs/s"
)
_AT_ONCE: Final = 4
"""Filters that run at one time."""
_FILTER: Final = """\
#!/bin/sh
# As in any how-to: the header goes around, the rest is signed, sendmail brings it back.
work=$(mktemp -d {top}/work/XXXXXX) || exit 75
trap 'rm -rf "$work"' EXIT
cat >"$work/all" || exit 75
sed '/^\\r*$/,$d' "$work/all" | grep -vi '^mime-version:\\|^content-' >"$work/head"
{{ printf 'Content-Type: text/plain; charset=us-ascii\\n\\n'; sed '1,/^\\r*$/d' "$work/all"; }} >"$work/part"
openssl cms -sign -md sha256 -in "$work/part" -out "$work/signed" \\
    -signer {top}/certificate.pem -inkey {top}/key.pem -certfile {top}/chain.pem || exit 75
sender=$1
shift
cat "$work/head" "$work/signed" | /usr/sbin/sendmail -G -i -f "$sender" -- "$@"
"""
_FILTERED: Final = """\
content_filter = signer:dummy
signer_destination_recipient_limit = 1
signer_destination_concurrency_limit = {at_once}
command_directory = {top}/commands
"""
_FILTER_SERVICES: Final = """\
signer unix - n n - {at_once} pipe
  flags=Rq user=nobody:nogroup null_sender= argv={top}/filter ${{sender}} ${{recipient}}
pickup unix n - n 60 1 pickup
  -o content_filter=
"""


@contextmanager
def plain_postfix(*, port: int | None = None) -> Iterator[Target]:
    """Run a Postfix that only relays; `port` is where it listens."""
    with _relay("", port=port) as target:
        yield target


@contextmanager
def piped() -> Iterator[Target]:
    """Run a Postfix whose mail goes through a program that signs with `openssl cms -sign`."""
    with short_directory("gp-") as top:
        _material(top, "nobody")
        for name in ("work", "commands"):
            (top / name).mkdir()
        shutil.chown(top / "work", "nobody", "nogroup")
        for program in Path("/usr/sbin").glob("post*"):
            shutil.copyfile(program, top / "commands" / program.name)  # without the rights of a group: see _admit
            (top / "commands" / program.name).chmod(0o755)
        (top / "filter").write_text(_FILTER.format(top=top), encoding="utf-8")
        (top / "filter").chmod(0o755)
        values = {"top": top, "at_once": _AT_ONCE}
        with _relay(_FILTERED.format(**values), master=_FILTER_SERVICES.format(**values)) as target:
            yield target


@contextmanager
def opendkim() -> Iterator[Target]:
    """Run a Postfix with opendkim: a reference, one RSA-2048 signature for each message."""
    with short_directory("gp-") as top, ExitStack() as stack:
        _material(top, "opendkim")
        domain = LAN.partition("@")[2]
        settings = top / "opendkim.conf"
        settings.write_text(
            f"Domain {domain}\nSelector thu\nKeyFile {top}/key.pem\nSocket local:{top}/milter\nUserID opendkim\n"
            "Mode s\nSyslog no\nCanonicalization relaxed/relaxed\nInternalHosts 127.0.0.0/8\nUMask 000\n"
            "Background no\nRequireSafeKeys no\n",
            encoding="utf-8",
        )
        with _milter(top, ("opendkim", "-f", "-x", str(settings)), stack) as target:
            yield target


@contextmanager
def sigh() -> Iterator[Target]:
    """Run a Postfix with sigh, the quickest S/MIME signer known to us beside the gateway."""
    with short_directory("gp-") as top, ExitStack() as stack:
        _material(top, "nobody")
        (top / "full.pem").write_bytes((top / "certificate.pem").read_bytes() + (top / "chain.pem").read_bytes())
        (top / "map").write_text(f"{LAN} cert:{top}/full.pem,key:{top}/key.pem\n", encoding="utf-8")
        (top / "sigh.cfg").write_text(
            f"[Milter]\nuser = nobody\ngroup = nogroup\npidfile = {top}/sigh.pid\nmapfile = {top}/map\n"
            f"socket = unix:{top}/milter\ntmpdir = {top}\n",
            encoding="utf-8",
        )
        words = ("-s", f"unix:{top}/milter", "-u", "nobody", "-g", "nogroup")
        with _milter(top, (SIGH, "-c", str(top / "sigh.cfg"), *words), stack) as target:
            yield target


@contextmanager
def _milter(top: Path, command: tuple[str, ...], stack: ExitStack) -> Iterator[Target]:
    """Run a milter and a Postfix that asks it."""
    need(command[0])
    log = top / "milter.log"
    process = stack.enter_context(child(command, output=log))
    wait_until_up(process, command[0], (str(top / "milter"),), log)
    (top / "milter").chmod(0o666)
    more = f"smtpd_milters = unix:{top}/milter\nmilter_default_action = tempfail\n"
    with _relay(more, beside=(process.pid,)) as target:
        yield target


@contextmanager
def _relay(more: str, *, master: str = "", port: int | None = None, beside: tuple[int, ...] = ()) -> Iterator[Target]:
    samples = Samples()
    with ExitStack() as stack:
        directory = stack.enter_context(short_directory("gb-"))
        stack.enter_context(samples.running())
        hop = stack.enter_context(sink(directory))
        routes = {OUTSIDE: f"smtp:[127.0.0.1]:{hop}", SAMPLES: f"smtp:[127.0.0.1]:{samples.port}"}
        it = stack.enter_context(postfix(routes, port=port, more=more, master=master))
        if master:
            _admit(it)
        yield Target(it.port, _master(it), lambda: not _queued(it), samples, beside=beside)


def _admit(it: Postfix) -> None:
    """Let programs without the rights of Postfix's group bring mail: ours may not be started with these."""
    (it.directory / "queue/maildrop").chmod(0o733)
    (it.directory / "queue/public").chmod(0o711)


def _master(it: Postfix) -> int:
    return int((it.directory / "queue/pid/master.pid").read_text().split()[0])


def _queued(it: Postfix) -> bool:
    """Return whether any message waits: asking Postfix itself would add to what it costs."""
    names = ("maildrop", "incoming", "active", "deferred")
    return any(each.is_file() for name in names for each in (it.directory / "queue" / name).rglob("*"))


def _material(top: Path, user: str) -> None:
    """Write the author's key and certificates, for programs of a user."""
    found = credentials()[LAN]
    shape = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files = {
        "key.pem": found.key.private_bytes(*shape),
        "certificate.pem": pem(found.certificate),
        "chain.pem": b"".join(map(pem, found.chain)),
    }
    for name, content in files.items():
        (top / name).write_bytes(content)
        (top / name).chmod(0o400)
        shutil.chown(top / name, user)
    shutil.chown(top, user)

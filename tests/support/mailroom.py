"""A Dovecot as config/dovecot sets one up: the shipped Sieve recipe, rights and master user, at paths of its own.

with mailroom() as mail:                    # a support.dovecot.Dovecot, Pigeonhole included
    deliver(mail, LAN, message)             # by LMTP, as the gateway does
    append(mail, LAN, message, "$Forged")   # by IMAP, as the owner
    flags_of(mail, LAN)                     # the keywords of each message in INBOX

What is tested is what an administrator copies.
"""

from __future__ import annotations

import imaplib
import re
import smtplib
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.dovecot import PASSWORD, Dovecot, dovecot
from support.peers import need, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHIPPED: Final = Path(__file__).parents[2] / "config" / "dovecot"
MASTER: Final = "gateway"
MASTER_PASSWORD: Final = "chi-doc-va-gan-nhan"


@contextmanager
def mailroom(more: str = "") -> Iterator[Dovecot]:
    """Run an instance until the context ends."""
    need("sievec", "dovecot", root=True)

    def set_up(directory: Path) -> str:
        for name in ("gateway-tags.sieve", "gateway-acl"):
            (directory / name).write_bytes((SHIPPED / name).read_bytes())
        (directory / "gateway-master").write_text(f"{MASTER}:{{PLAIN}}{MASTER_PASSWORD}::::::allow_nets=127.0.0.1/32\n")
        subprocess.run(("sievec", str(directory / "gateway-tags.sieve")), check=True, capture_output=True, timeout=120)
        shipped = (SHIPPED / "90-gateway.conf").read_text(encoding="utf-8")
        return shipped.replace("/etc/dovecot/", f"{directory}/") + more

    with dovecot(set_up) as mail:
        yield mail


def deliver(mail: Dovecot, to: str, message: bytes) -> None:
    """Hand a message over by LMTP."""
    with smtplib.LMTP("127.0.0.1", mail.lmtp_port, timeout=120) as lmtp:
        lmtp.sendmail("ai-do@hopthu.example", [to], message)


def append(mail: Dovecot, user: str, message: bytes, flags: str = "", *, folder: str = "INBOX") -> None:
    """Put a message into a mailbox as its owner, whatever it says."""
    with session(mail, user) as imap:
        kind, said = imap.append(folder, f"({flags})" if flags else "", "", message)
        assert kind == "OK", said


@contextmanager
def session(mail: Dovecot, user: str, password: str = PASSWORD) -> Iterator[imaplib.IMAP4]:
    """Log in by IMAP; `user` may be MAILBOX*MASTER."""
    imap = imaplib.IMAP4("127.0.0.1", mail.imap_port, timeout=120)
    try:
        imap.login(user, password)
        yield imap
    finally:
        imap.logout()


def flags_of(mail: Dovecot, user: str, folder: str = "INBOX") -> list[frozenset[str]]:
    """Return the flags of each message, oldest first, without that of being recent."""
    with session(mail, user) as imap:
        kind, (count,) = imap.select(folder, readonly=True)
        if kind != "OK" or count == b"0":
            return []
        _, data = imap.fetch("1:*", "(FLAGS)")
        texts = (each if isinstance(each, bytes) else each[0] for each in data if each is not None)
        found = (re.search(rb"FLAGS \(([^)]*)\)", each) for each in texts)
        return [frozenset(match[1].decode().split()) - {"\\Recent"} for match in found if match is not None]


def wait_for_flags(
    mail: Dovecot, user: str, fit: Callable[[list[frozenset[str]]], bool], *, seconds: float = 60.0
) -> list[frozenset[str]]:
    """Return the flags once they fit."""
    seen: list[frozenset[str]] = []

    def fitting() -> bool:
        seen[:] = flags_of(mail, user)
        return fit(seen)

    try:
        wait_for(fitting, f"flags in {user}", seconds=seconds)
    except Exception as error:
        raise AssertionError(f"{user} has {seen}: {error}\n{mail.log()[-1500:]}") from error
    return list(seen)

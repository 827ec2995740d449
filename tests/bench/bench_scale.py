"""Whether a message costs more where there are many rules, many keys, or much mail in the queue."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives import serialization

from bench import mail
from bench.bench_mail import TEN, MailRow, look, out, signed
from bench.sending import Load
from bench.targets import AWAY, TO, the_gateway
from gateway.core.address import Mailbox
from gateway.core.envelope import Envelope, Recipient
from gateway.core.queue import RecipientState
from gateway.demo.authority import shared_key
from gateway.spool.store import SqliteSpool
from support.gateway_process import AUTHORS, OURS, PASSPHRASE, POLICY, authority
from support.spooled import entry, octets, settings, with_consignment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.targets import Target
    from gateway.core.queue import Entry
    from support.gateway_process import House

RULES: Final = 1000
KEYS: Final = 30_000
QUEUED: Final = 100_000
PATIENCE: Final = 600.0
"""Seconds in which the gateway must be up, however many keys it opens."""
_AT_ONCE: Final = 64
"""Entries committed in one transaction."""
STAFF: Final = f"nhan-vien-0@{OURS}"
"""Somebody who has one of the many keys."""
MANY_KEYS: Final = (sys.executable, str(Path(__file__).parents[1] / "support/many_keys.py"))
"""Runs a gateway with all keys that `more_keys` made: its settings file may not be so long."""


def rows() -> list[MailRow]:
    """Return what is measured; the first is what the others are held against."""

    def row(name: str, about: str, *, long: bool = False, **given: Any) -> MailRow:
        return MailRow(name, about, lambda _: _gateway(**given), out(), long=long)

    return [
        row("rules-10", "10 rules, 5 keys, nothing queued", rules=10),
        row("rules-1000", f"{RULES:,} rules", rules=RULES),
        row(
            "keys-30000",
            f"{KEYS:,} keys in the catalog (one key, as many certificates)",
            prepare=more_keys,
            before=MANY_KEYS,
            long=True,
        ),
        row("queue-100000", f"{QUEUED:,} messages queued for a next hop that is away", prepare=full_queue, long=True),
    ]


@contextmanager
def _gateway(
    rules: int = 10, prepare: Callable[[House], None] | None = None, before: tuple[str, ...] = ()
) -> Iterator[Target]:
    with the_gateway(policy=policy(rules), prepare=prepare, before=before, patience=PATIENCE) as target:
        if before:
            look(target, Load(STAFF, (TO,), made=mail.Plain(TEN, STAFF)), signed)
        yield target if prepare is not full_queue else _never_empty(target)


def _never_empty(target: Target) -> Target:
    """Return a target whose queue is not asked: mail of the kind that is sent is taken and handed on in one."""
    return replace(target, idle=lambda: True)


def policy(count: int) -> str:
    """Return rules of the usual kinds, the last two of which are those that match."""
    head, rest = POLICY.split("rules:\n")
    lines = []
    for number in range(max(count - 2, 0)):
        match number % 4:
            case 0:
                asked = f'{{author: "u{number}@{OURS}"}}'
            case 1:
                asked = f'{{recipient: "@noi{number}.example"}}'
            case 2:
                asked = f'{{author: "u{number}@{OURS}", subject_contains: "quy {number}"}}'
            case _:
                asked = f'{{recipient: "@nha{number}.example", larger_than: 5 MiB}}'
        lines.append(f"  - {{name: rule-{number}, direction: outbound, when: {asked}, then: pass}}\n")
    return f"{head}rules:\n{''.join(lines)}{rest}"


def more_keys(house: House) -> None:
    """Add keys to a house: each has a certificate of its own, and a file of its own that is really opened."""
    key = shared_key("p256", 502)
    directory = house.directory / "keys/more"
    directory.mkdir(mode=0o700)
    secret = directory / "key.pem"
    secret.touch(mode=0o600)
    shape = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    # one round of stretching the passphrase, not 2,048: it is the catalog that is measured, not how it is protected
    words = ("-topk8", "-v2", "aes-256-cbc", "-iter", "1", "-passout", "stdin")
    with TemporaryDirectory() as place:
        plain = Path(place) / "key"
        plain.write_bytes(key.private_bytes(*shape))
        command = ("openssl", "pkcs8", *words, "-in", str(plain))
        secret.write_bytes(subprocess.run(command, input=PASSPHRASE, capture_output=True, check=True).stdout)
    for number in range(KEYS - len(AUTHORS)):
        issued = authority().issue(f"NV {number}", f"nhan-vien-{number}@{OURS}", key=key)
        (directory / f"nv-{number}.crt").write_bytes(issued.chain_pem())
    document = json.loads(house.config.read_text(encoding="utf-8"))
    for source in (each for listener in document["listeners"] for each in listener.get("sources", ())):
        source["authors"].append(STAFF)
    house.config.write_text(json.dumps(document), encoding="utf-8")


def full_queue(house: House) -> None:
    """Put messages of 10 KB into a house's spool, which will be tried tomorrow."""
    asyncio.run(_fill(house))


async def _fill(house: House) -> None:
    spool, body = SqliteSpool(settings(house.directory / "spool")), octets(10_000)
    waiting = iter(range(QUEUED))

    async def session() -> None:
        for _ in waiting:
            await spool.commit([_waiting(body)])

    await asyncio.gather(*(session() for _ in range(_AT_ONCE)))
    await spool.close()


def _waiting(body: bytes) -> Entry:
    now = datetime.now(UTC)
    times = {"received_at": now, "next_attempt_at": now + timedelta(days=1), "expires_at": now + timedelta(days=5)}
    made = entry(body, states=(RecipientState.READY,), attempts=3, last_replies=(None,), **times)
    envelope = Envelope(Mailbox("van-thu", OURS), (Recipient(Mailbox("dan", AWAY)),))
    return with_consignment(made, hop="vang", envelope=envelope)

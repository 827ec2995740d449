"""What one message costs on its way through the whole gateway, and through what Debian offers in its place."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from bench import mail, peers
from bench.sending import Load, run
from bench.table import CPU, MEMORY, RATE, Row, Sample, Scale
from bench.targets import (
    AWAY,
    BESIDE,
    INBOUND,
    SAMPLE,
    SAMPLE_INBOUND,
    TO,
    Target,
    plain_sink,
    signed_by,
    the_gateway,
)
from support.gateway_process import AUTHORS, NEIGHBOR, root_pem
from support.letters import LAN
from support.peers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from bench.sending import Figure

TEN: Final = 10_240
"""Octets of the messages that everything is compared by."""
WARMING: Final = 40
"""Messages before the first run: connections, keys and paths are known from here on."""


def signed(message: bytes) -> None:
    """Insist on a signature that OpenSSL finds good."""
    with TemporaryDirectory() as place:
        assert signed_by(message, root_pem(), Path(place)), message[:2000]


def tagged(message: bytes) -> None:
    """Insist on the tag of a verified message, and on a signature that is still good."""
    assert b"\nX-Gateway-Verdict: verified" in message, message[:2000]
    signed(message)


def stamped(message: bytes) -> None:
    """Insist on a DKIM signature being there."""
    assert b"DKIM-Signature:" in message, message[:2000]


def relayed(message: bytes) -> None:
    """Insist on nothing but that it came."""
    assert message


@dataclass(frozen=True, slots=True)
class MailRow:
    """Messages through a target."""

    name: str
    about: str
    target: Callable[[int], AbstractContextManager[Target]]
    """Called with a number of workers."""
    load: Load
    proof: Callable[[bytes], None] = signed
    """Raises for a delivered message that is not as it should be."""
    share: float = 1.0
    """Of the count: large messages, and those that cost much, are sent less often."""
    workers: int = 1
    sessions: int = 0
    """Otherwise those that were asked for."""
    long: bool = False
    """It takes minutes, so a quick run leaves it out."""

    def measure(self, scale: Scale) -> Iterator[Sample]:
        """Measure what was asked for."""
        sessions = self.sessions or scale.sessions
        with _target(self, self.workers) as target:
            for _ in range(scale.repeat):
                count = max(scale.of(self.share), sessions)
                yield columns(run(target, self.load, count=count, sessions=min(sessions, count)))

    def row(self) -> Row:
        """Return it as a line of a table."""
        return Row(self.name, self.about, self.measure, long=self.long)


def columns(figure: Figure) -> Sample:
    """Return what a table shows of a run."""
    return {CPU: figure.cpu, RATE: figure.rate, MEMORY: figure.resident / 2**20}


@contextmanager
def _target(row: MailRow, workers: int) -> Iterator[Target]:
    """Start a row's target, look at what it makes of one message, and warm it up."""
    with row.target(workers) as target:
        look(target, row.load, row.proof)
        run(target, row.load, count=min(WARMING, max(int(WARMING * 4 * row.share), 4)), sessions=4)
        yield target


def look(target: Target, load: Load, proof: Callable[[bytes], None]) -> None:
    """Send one message of a load to us, and insist on its being what it should be."""
    to = SAMPLE_INBOUND if load.to == (INBOUND,) else SAMPLE
    run(target, replace(load, to=(to,), waits=False), count=1, sessions=1)
    proof(target.samples.one())


def ours(workers: int) -> AbstractContextManager[Target]:
    """Return the gateway as listed hosts see it."""
    return the_gateway(workers=workers)


def submission(workers: int) -> AbstractContextManager[Target]:
    """Return the gateway as people see it: STARTTLS and AUTH."""
    return the_gateway(workers=workers, listener="submission")


def inward(workers: int) -> AbstractContextManager[Target]:
    """Return the gateway as other mail systems see it."""
    return the_gateway(workers=workers, listener="inbound")


@contextmanager
def before_postfix(workers: int) -> Iterator[Target]:
    """Run the gateway with a next hop that writes to its disk before it answers."""
    port = free_port()
    with peers.plain_postfix(port=port), the_gateway(workers=workers, hop=port) as target:
        yield target


def direct(_: int) -> AbstractContextManager[Target]:
    """Return nothing but the next hop."""
    return plain_sink()


def out(octets: int = TEN, *, author: str = LAN, kept: bool = True) -> Load:
    """Return a load that smtp-source makes."""
    return Load(author, (TO,), kept, octets)


def own(octets: int = TEN, *to: str, kept: bool = True, waits: bool = True) -> Load:
    """Return a load of letters that our own generator sends."""
    return Load(LAN, to or (TO,), kept, made=mail.Plain(octets), waits=waits)


def document(octets: int) -> Load:
    """Return a load of letters that are nearly all a document in base64."""
    return Load(LAN, (TO,), made=partial(mail.with_document, octets))


def peer_rows() -> Iterator[MailRow]:
    """Yield everything that is compared by 10 KB and RSA-2048."""
    others = [("postfix", "Postfix, relays only", peers.plain_postfix, relayed, 1.0)]
    others += [("dkim", "Postfix + opendkim, RSA-2048", peers.opendkim, stamped, 0.5)]
    if peers.SIGH:
        others += [("sigh", "Postfix + sigh", peers.sigh, signed, 0.5)]
    others += [("pipe", "Postfix + pipe to `openssl cms -sign`", peers.piped, signed, 0.05)]
    for kept, word in ((True, "kept"), (False, "new")):
        for name, about, target, proof, share in others:
            yield MailRow(
                f"{name}-10k-{word}", f"{about}, {word}", lambda _, it=target: it(), out(kept=kept), proof, share
            )
        for workers in (1, 2):
            name = f"out-10k-{word}" + ("-2" if workers > 1 else "")
            yield MailRow(name, f"gateway, {workers} worker(s), {word}", ours, out(kept=kept), workers=workers)


def way_rows() -> Iterator[MailRow]:
    """Yield other ways in and out."""
    both = (TO, f"dan@{BESIDE}")
    yield MailRow("out-10k-own", "our generator instead of smtp-source, kept", ours, own())
    yield MailRow("out-10k-login-kept", "STARTTLS + AUTH, kept", submission, own())
    yield MailRow(
        "out-10k-login-new", "STARTTLS + AUTH, new connection for each", submission, own(kept=False), share=0.5
    )
    yield MailRow("out-10k-syncing", "next hop is a Postfix", before_postfix, own())
    yield MailRow("out-10k-two-hops", "spool first, then two deliveries each", ours, own(TEN, *both), share=0.5)
    yield MailRow("out-10k-away", "next hop away: all stays in the spool", ours, own(TEN, f"dan@{AWAY}", waits=False))


def size_rows() -> Iterator[MailRow]:
    """Yield other keys and sizes."""
    offices = Load(LAN, (TO,), made=mail.offices)
    yield MailRow("out-10k-rsa3072", "RSA-3072", ours, out(author=AUTHORS["rsa3072"]), share=0.5)
    yield MailRow("out-10k-p256", "P-256", ours, out(author=AUTHORS["p256"]))
    yield MailRow("out-corpus", "real MIME, 95 KB on average", ours, offices, share=0.3)
    yield MailRow(
        "postfix-corpus", "the same, Postfix relays only", lambda _: peers.plain_postfix(), offices, relayed, 0.3
    )
    yield MailRow("out-1m", "1 MB of text", ours, own(1_000_000), share=0.1)
    yield MailRow("out-1m-file", "1 MB, nearly all a document", ours, document(1_000_000), share=0.1)
    yield MailRow("out-10m", "10 MB of text", ours, own(10_000_000), share=0.01, sessions=10)
    yield MailRow("out-10m-file", "10 MB, nearly all a document", ours, document(10_000_000), share=0.01, sessions=10)
    load = Load(LAN, (TO,), kept=False, made=mail.large)
    about = "50 mails of 15 to 24 MB at once, 2 workers"
    yield MailRow("out-large-50", about, ours, load, share=0.001, workers=2, sessions=50)


def inbound_rows() -> Iterator[MailRow]:
    """Yield what comes in: every message differs."""
    known, strangers = mail.Known(15_000), mail.Strangers(15_000)
    load = Load(NEIGHBOR, (INBOUND,), made=known)
    yield MailRow("in-15k-kept", "signers seen before, kept", inward, load, tagged)
    yield MailRow("in-15k-kept-2", "the same, 2 workers", inward, load, tagged, workers=2)
    yield MailRow("in-15k-new", "the same, new connection for each", inward, replace(load, kept=False), tagged)
    first = replace(load, made=strangers)
    yield MailRow("in-15k-first", "a certificate never seen, each", inward, first, tagged, 0.1, sessions=4)


def rows() -> list[MailRow]:
    """Return everything that can be measured so."""
    return [*peer_rows(), *way_rows(), *size_rows(), *inbound_rows()]

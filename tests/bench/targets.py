"""The gateway as it ships, with the next hops behind it, as something that is measured.

Every target takes mail from loopback without a login and hands it on to `sink`, which answers and keeps nothing; mail
for `SAMPLE` it hands on to us, who look at it.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from aiosmtpd.controller import Controller

from gateway.config.load import load_settings
from gateway.core.errors import ServiceError
from gateway.spool.desk import Desk
from support.gateway_process import AUTHORS, LOGIN, OURS, build_house, gateway
from support.peers import START, child, free_port, need, short_directory, wait_for, wait_until_up
from support.splitter import cut
from support.verifiers import openssl_verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from aiosmtpd.smtp import SMTP, Envelope, Session

    from support.gateway_process import Gateway, House

OUTSIDE: Final = "ngoai.example"
BESIDE: Final = "ben.example"
"""Behind another next hop: a message to both goes to the spool first."""
AWAY: Final = "vang.example"
"""Behind a next hop where nobody listens."""
TO: Final = f"dan@{OUTSIDE}"
INBOUND: Final = f"van-thu@{OURS}"
SAMPLES: Final = "mau.example"
"""What goes there is looked at."""
SAMPLE: Final = f"dan@{SAMPLES}"
SAMPLE_INBOUND: Final = "van-thu@mau.songlam.example"
LARGEST: Final = 40 * 2**20


@dataclass(frozen=True, slots=True)
class Target:
    """Something that takes mail at a port."""

    port: int
    pid: int
    idle: Callable[[], bool]
    """Returns whether everything that was taken has been handed on."""
    samples: Samples
    beside: Sequence[int] = ()
    """Other processes of it, that are none of its children."""
    faults: Callable[[], str] = str
    """Returns what went wrong since it was last asked."""
    trusted: str = ""
    """The certificate of its TLS."""
    login: tuple[str, str] | tuple[()] = ()

    @property
    def pids(self) -> tuple[int, ...]:
        """The tops of all its trees of processes."""
        return (self.pid, *self.beside)


class Samples:
    """A next hop that keeps what it takes."""

    def __init__(self) -> None:
        self.port = free_port()
        self._taken: list[bytes] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - theirs
        """Keep a message."""
        assert isinstance(envelope.content, bytes)
        self._taken.append(envelope.content)
        return "250 2.0.0 ok"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Listen."""
        controller = Controller(self, hostname="127.0.0.1", port=self.port, data_size_limit=LARGEST)
        controller.start()
        try:
            yield
        finally:
            controller.stop()

    def one(self) -> bytes:
        """Wait for a message, and return it."""
        wait_for(lambda: bool(self._taken), "a sample", seconds=60)
        return self._taken.pop()


def signed_by(message: bytes, root: bytes, place: Path) -> bool:
    """Return whether OpenSSL finds the message's signature good."""
    found = cut(message)
    return openssl_verify(found.part, found.cms, root, place)


@contextmanager
def sink(directory: Path) -> Iterator[int]:
    """Run a next hop that takes everything; gives its port."""
    need("smtp-sink")
    port = free_port()
    command = ("smtp-sink", "-u", "nobody", f"127.0.0.1:{port}", "1000")
    with child(command, output=directory / "sink.log") as process:
        wait_until_up(process, "the sink", (port,), directory / "sink.log")
        yield port


@contextmanager
def plain_sink() -> Iterator[Target]:
    """Run a next hop with nothing in front of it: what the generator and the hop take by themselves."""
    with short_directory("gb-") as directory, sink(directory) as port:
        yield Target(port, os.getpid(), lambda: True, Samples())


@contextmanager
def the_gateway(*, listener: str = "internal", **given: Any) -> Iterator[Target]:
    """Run the gateway and look at it as those see it who use one of its listeners; the rest as `running_gateway`."""
    with running_gateway(**given) as at:
        yield at(listener)


@contextmanager
def running_gateway(
    *,
    workers: int = 1,
    hop: int | None = None,
    prepare: Callable[[House], None] | None = None,
    before: tuple[str, ...] = (),
    patience: float = START,
    **settings: object,
) -> Iterator[Callable[[str], Target]]:
    """Run the gateway with everything on: policies, sender checks, self-check, events, one line per step in the log.

    `hop` is the port of its next hop, by default a sink of its own; `prepare` changes its files before it starts;
    `before` is what runs it, `patience` the seconds in which it must be up. Gives what returns the target that a
    listener is.
    """
    samples = Samples()
    with ExitStack() as stack:
        directory = stack.enter_context(short_directory("gb-"))
        stack.enter_context(samples.running())
        port = hop or stack.enter_context(sink(directory))
        house = build_house(
            directory,
            hops=hops(ra=port, ben=port, mau=samples.port, vang=free_port()),
            local_domains=[
                {"domain": OURS, "hop": "ra", "recipients": "any"},
                {"domain": SAMPLE_INBOUND.partition("@")[2], "hop": "mau", "recipients": "any"},
            ],
            outbound=[
                {"domain": SAMPLES, "hop": "mau"},
                {"domain": BESIDE, "hop": "ben"},
                {"domain": AWAY, "hop": "vang"},
                {"domain": "*", "hop": "ra"},
            ],
            **({"workers": workers} if workers > 1 else {}),
            **settings,
        )
        let_all_send(house.config)
        if prepare is not None:
            prepare(house)
        running = stack.enter_context(gateway(house, before=before, patience=patience))
        faults = Faults(running)
        yield lambda listener: as_target(running, listener, samples, faults)


def hops(**ports: int) -> list[dict[str, object]]:
    """Return next hops by name."""
    return [
        {"name": name, "protocol": "smtp", "addresses": [f"127.0.0.1:{port}"], "tls": "none"}
        for name, port in ports.items()
    ]


def as_target(running: Gateway, listener: str, samples: Samples, faults: Faults) -> Target:
    """Return a gateway that runs as a target."""
    assert running.process is not None
    house = running.house
    found = Target(house.port(listener), running.process.pid, emptied(house.config), samples, faults=faults)
    return replace(found, trusted=str(house.server_pem), login=LOGIN) if listener == "submission" else found


def emptied(config: Path) -> Callable[[], bool]:
    """Return what tells whether a gateway's queue is empty."""
    settings = load_settings(config).spool

    def empty() -> bool:
        with suppress(ServiceError), Desk(settings) as desk:
            return next(desk.entries(), None) is None
        return False

    return empty


class Faults:
    """Tells what a gateway's log says that must not be there while it is measured."""

    def __init__(self, running: Gateway) -> None:
        self._log = running.output
        self._read = 0

    def __call__(self) -> str:
        with self._log.open("rb") as log:
            log.seek(self._read)
            whole, end, _ = log.read().rpartition(b"\n")
        self._read += len(whole + end)
        told = (line for line in whole.split(b"\n") if b'"verdict"' in line or b'"error"' in line)
        found = map(json.loads, told)
        odd = [each for each in found if each["level"] == "error" or each.get("verdict", "verified") != "verified"]
        return json.dumps(odd[0], ensure_ascii=False) if odd else ""


def let_all_send(config: Path) -> None:
    """Let the listed host send as every author of the house, so that each kind of key can be measured."""
    document = json.loads(config.read_text(encoding="utf-8"))
    for each in document["listeners"]:
        each["max_connections_per_client"] = 500
        for source in each.get("sources", ()):
            source["authors"] = sorted({*source["authors"], *AUTHORS.values()})
    config.write_text(json.dumps(document), encoding="utf-8")

"""The real `gateway run` as a process of its own, on a configuration, keys and trust made for the test.

    with short_directory("gw-") as directory:
        house = build_house(directory, hops=[...], local_domains=[...], outbound=[...])
        with gateway(house) as running:                # waits until every listener is up
            running.house.port("submission")
            running.events("signed")                   # what its log says, by stage
            running.hup(); running.kill(); running.start(); running.stop() -> exit code

Leaving the context asks it to end (SIGTERM) and insists on exit code 0 and on a log without a traceback.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import signal
import sqlite3
import sys
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway.demo.authority import Authority, pem, shared_key
from gateway.smtp.auth.table import hash_password
from support.hops import tls_identity
from support.letters import LAN
from support.peers import START, PeerError, child, free_port, wait_for, wait_until_up

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.demo.authority import Credential

COMMAND: Final = str(Path(sys.executable).with_name("gateway"))
HOSTNAME: Final = "mail.songlam.example"
OURS: Final = "soyte.songlam.example"
FINANCE: Final = "sotaichinh.songlam.example"
NEIGHBOR: Final = "vanphong@thanhha.example"
LOGIN: Final = ("van-thu", "mat-khau-thu")
PASSPHRASE: Final = b"chi-de-thu"
"""Of every key file."""
DRAIN: Final = 40.0
"""Seconds in which a gateway that was asked to end must have ended."""
AUTHORS: Final = {
    "rsa2048": LAN,
    "rsa3072": f"dung.le@{OURS}",
    "pss": f"phuc.pham@{OURS}",
    "p256": f"giang.ho@{OURS}",
    "p384": f"son.dang@{OURS}",
}
"""Who signs with a key of which kind."""
POLICY: Final = f"""\
rules:
  - name: sign-official-mail
    direction: outbound
    when: {{author: "@{OURS}"}}
    then: {{sign: {{key: personal_else_organization, if_unable: refuse}}}}
  - name: deliver-with-tag
    direction: inbound
    then: deliver
"""


@lru_cache(maxsize=1)
def authority() -> Authority:
    """Return an authority of the present: the peers judge by the machine's clock."""
    return Authority(dt.datetime.now(dt.UTC))


@lru_cache(maxsize=1)
def credentials() -> Mapping[str, Credential]:
    """Return the credentials of our authors and of the neighbor's office, by mailbox."""
    found = {
        mailbox: authority().issue("Cán bộ thử", mailbox, key=shared_key("rsa3072" if kind == "pss" else kind, 40))  # type: ignore[arg-type]
        for kind, mailbox in AUTHORS.items()
    }
    found[NEIGHBOR] = authority().issue("VĂN PHÒNG", NEIGHBOR, key=shared_key("rsa2048", 41))
    return found


def root_pem() -> bytes:
    """Return the trust anchor."""
    return pem(authority().root)


@dataclass(frozen=True, slots=True)
class House:
    """A directory with everything that `gateway run` reads."""

    directory: Path
    ports: Mapping[str, int]
    """By listener."""

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.directory / "gateway.yaml"

    @property
    def server_pem(self) -> Path:
        """The listeners' certificate, for clients to trust; its name is localhost."""
        return self.directory / "localhost.pem"

    @property
    def server_key(self) -> Path:
        """Its key."""
        return self.directory / "localhost.key"

    def port(self, listener: str) -> int:
        """Return where a listener listens."""
        return self.ports[listener]


def build_house(
    directory: Path,
    *,
    hops: Sequence[Mapping[str, Any]],
    local_domains: Sequence[Mapping[str, Any]],
    outbound: Sequence[Mapping[str, Any]],
    policy: str = POLICY,
    **settings: Any,
) -> House:
    """Write configuration, keys, trust, policy and logins; hops and routes as in `gateway.yaml`."""
    ports = {name: free_port() for name in ("submission", "submissions", "inbound", "internal")}
    house = House(directory, ports)
    for name in ("keys", "trust", "policies", "spool"):
        (directory / name).mkdir(mode=0o700)
    tls_identity(directory, "localhost")
    house.server_key.chmod(0o600)
    _secret(directory / "keys/passphrase", PASSPHRASE)
    (directory / "policies/10-test.yaml").write_text(policy, encoding="utf-8")
    _secret(directory / "logins.txt", f"{LOGIN[0]}:{_hashed()}:@{OURS},{','.join(AUTHORS.values())}\n".encode())
    for name, certificate in (("root", authority().root), ("intermediate", authority().intermediate)):
        (directory / f"trust/{name}.pem").write_bytes(pem(certificate))
    for name, crl in zip(("root", "intermediate"), authority().revocation_lists(), strict=True):
        (directory / f"trust/{name}.crl").write_bytes(crl)
    document = {
        "hostname": HOSTNAME,
        "listeners": _listeners(house),
        "hops": hops,
        "local_domains": local_domains,
        "outbound": outbound,
        "policies": "policies",
        "auth": {"file": "logins.txt"},
        "keys": [_key(house, kind, mailbox) for kind, mailbox in AUTHORS.items()],
        "trust": {
            "anchors": ["trust/root.pem"],
            "intermediates": ["trust/intermediate.pem"],
            "crls": ["trust/root.crl", "trust/intermediate.crl"],
        },
        "tags": {"authserv_id": HOSTNAME},
        **settings,
        "spool": {"directory": "spool", "min_free": 0, **settings.get("spool", {})},
    }
    house.config.write_text(json.dumps(document, indent=2), encoding="utf-8")  # JSON is YAML
    return house


def _listeners(house: House) -> list[dict[str, Any]]:
    tls = {"certificate": house.server_pem.name, "key": house.server_key.name}
    more: dict[str, dict[str, Any]] = {
        "submission": {"kind": "submission", "tls": {"mode": "starttls", **tls}},
        "submissions": {"kind": "submission", "tls": {"mode": "implicit", **tls}},
        "inbound": {"kind": "inbound"},
        "internal": {
            "kind": "internal",
            "sources": [{"name": "may-quet", "networks": ["127.0.0.1/32"], "authors": [LAN]}],
        },
    }
    return [{"name": name, "address": f"127.0.0.1:{port}", **more[name]} for name, port in house.ports.items()]


def _key(house: House, kind: str, mailbox: str) -> dict[str, Any]:
    _secret(house.directory / f"keys/{kind}.p12", _pkcs12(mailbox))
    found = {
        "label": kind,
        "kind": "personal",
        "pkcs12": f"keys/{kind}.p12",
        "passphrase": f"file:{house.directory}/keys/passphrase",
    }
    return {**found, "scheme": "pss"} if kind == "pss" else found


@lru_cache(maxsize=16)
def _pkcs12(mailbox: str) -> bytes:
    return credentials()[mailbox].pkcs12(PASSPHRASE)


@lru_cache(maxsize=1)
def _hashed() -> str:
    return hash_password(LOGIN[1].encode())


def _secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


@dataclass
class Gateway:
    """A gateway that runs, or ran."""

    house: House
    process: subprocess.Popen[bytes] | None = None
    before: tuple[str, ...] = ()
    """What runs it, in some other world than ours."""
    patience: float = START
    """Seconds in which it must be up."""
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def output(self) -> Path:
        """What all its runs wrote, standard output and error."""
        return self.house.directory / "gateway.log"

    def start(self) -> None:
        """Start it and wait until it listens everywhere."""
        command = (*self.before, *run_command(self.house.config))
        self.process = self._stack.enter_context(child(command, output=self.output))
        wait_until_up(self.process, "the gateway", tuple(self.house.ports.values()), self.output, seconds=self.patience)

    def stop(self) -> int:
        """Ask it to end as an administrator would, and return its exit code."""
        process = self._running()
        process.terminate()
        try:
            return process.wait(DRAIN)
        finally:
            self._gone()

    def kill(self) -> None:
        """End it and its children in the midst of whatever they do."""
        process = self._running()
        process.kill()
        process.wait()
        self._gone()

    def hup(self) -> None:
        """Ask it to read its files again."""
        self._running().send_signal(signal.SIGHUP)

    @contextmanager
    def memory_below(self, octets: int) -> Iterator[None]:
        """Raise `PeerError` if its resident memory grows by more inside the context, at any moment."""
        status = Path(f"/proc/{self._running().pid}/status")
        Path(f"/proc/{self._running().pid}/clear_refs").write_text("5")  # the peak begins anew
        before = _kibibytes(status, "VmRSS")
        yield
        grown = (_kibibytes(status, "VmHWM") - before) * 1024
        if grown > octets:
            raise PeerError(f"resident memory grew by {grown} octets")

    def lines(self) -> list[dict[str, Any]]:
        """Return its JSON log lines so far; anything else it wrote is in `output` only."""
        text = self.output.read_text(encoding="utf-8", errors="replace").rpartition("\n")[0]
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def events(self, stage: str, **facts: object) -> list[dict[str, Any]]:
        """Return the log lines of one stage of the journey that have these facts."""
        return [line for line in self.lines() if line.get("event") == stage and facts.items() <= line.items()]

    def wait_for_event(self, stage: str, *, seconds: float = 60.0, **facts: object) -> dict[str, Any]:
        """Return the first log line of a stage with these facts, waiting so long for it."""
        wait_for(lambda: bool(self.events(stage, **facts)), f"the event {stage} {facts}", seconds=seconds)
        return self.events(stage, **facts)[0]

    def wait_for_signatures(self, number: int) -> None:
        """Return once it has written down that it saw so many signatures; it does so behind its answers."""
        place = f"file:{self.house.directory}/spool/sightings.sqlite3?mode=ro"

        def written() -> bool:
            with closing(sqlite3.connect(place, uri=True)) as connection:
                found: int = connection.execute("SELECT count(*) FROM signatures").fetchone()[0]
            return found == number

        wait_for(written, f"{number} signatures")

    def check_log(self) -> None:
        """Raise `PeerError` for a fault of its own, a line that is no JSON, or a secret in what it wrote."""
        text = self.output.read_text(encoding="utf-8")
        odd = [line for line in text.splitlines() if not line.startswith("{")]
        faults = [json.dumps(line, indent=1) for line in self.lines() if "exception" in line]
        plain = f"\0{LOGIN[0]}\0{LOGIN[1]}".encode()
        secrets = (LOGIN[1], PASSPHRASE.decode(), base64.b64encode(plain).decode(), "$argon2")
        shown = [f"a secret was logged: {each}" for each in secrets if each in text]
        if odd or faults or shown:
            raise PeerError("the gateway's log:\n" + "\n".join((*odd, *faults, *shown))[-8000:])

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise PeerError("the gateway does not run")
        return self.process

    def _gone(self) -> None:
        self.process = None
        self._stack.close()


def _kibibytes(status: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(f"{name}:"))


def house_towards(directory: Path, port: int, **settings: Any) -> House:
    """A house whose mail goes out to this port of loopback, `ngoai`, and whose own goes into `kho`, a Maildir."""
    (directory / "kho").mkdir(mode=0o700)
    return build_house(
        directory,
        hops=[
            {"name": "ngoai", "protocol": "smtp", "addresses": [f"127.0.0.1:{port}"], "tls": "none"},
            {"name": "kho", "protocol": "maildir", "directory": "kho"},
        ],
        local_domains=[{"domain": OURS, "hop": "kho", "recipients": "any"}],
        outbound=[{"domain": "*", "hop": "ngoai"}],
        **settings,
    )


def run_command(config: Path) -> tuple[str, ...]:
    """Return the command that an administrator would give."""
    return COMMAND, "run", "--config", str(config)


@contextmanager
def gateway(house: House, *, before: tuple[str, ...] = (), patience: float = START) -> Iterator[Gateway]:
    """Run the gateway until the context ends; it may be stopped and started inside."""
    running = Gateway(house, before=before, patience=patience)
    with running._stack:
        running.start()
        yield running
        if running.process is not None and (code := running.stop()) != 0:
            text = running.output.read_text(encoding="utf-8", errors="replace")
            raise PeerError(f"the gateway ended with exit code {code}:\n{text[-4000:]}")
        running.check_log()

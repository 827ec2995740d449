"""A gateway before one office: a director, a secretary, a clerk, a shared mailbox, and programs that cannot log in.

    with office(senders={"reactions": {...}}) as place:
        place.submit("thu-ky", DIRECTOR, letter)       # a person's mail client: STARTTLS, AUTH; returns what it heard
        place.inject(sender, letter, shows=PROGRAM)    # a program: STARTTLS with a client certificate, or without
        place.received(CITIZEN)                        # the octets at the next hop, a Maildir
        place.signer(octets)                           # whose certificate signed them, once OpenSSL took it

The gateway is the real process; the clients are swaks.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from gateway.core.address import Mailbox
from gateway.demo.authority import pem, shared_key
from gateway.relay.maildir import place_of
from gateway.smtp.auth.table import hash_password
from support.gateway_process import LOGIN, OURS, PASSPHRASE, Gateway, House, authority, build_house, gateway, root_pem
from support.letters import LAN
from support.peers import short_directory, wait_for
from support.splitter import cut
from support.swaks import Sent, swaks
from support.verifiers import openssl_verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gateway.demo.authority import Credential

DIRECTOR: Final = f"giam-doc@{OURS}"
SECRETARY: Final = f"thu-ky@{OURS}"
OFFICE: Final = f"van-thu@{OURS}"
"""A shared mailbox, with an organization's certificate."""
ALIAS: Final = f"lan@{OURS}"
"""Of `LAN`."""
OLD: Final = "soyte.vinhsong.example"
"""A domain that ours took over."""
PROGRAM: Final = f"qlvb@{OURS}"
CITIZEN: Final = "mai@congdan.example"
LOGINS: Final = {
    "lan": (LAN,),
    "thu-ky": (SECRETARY, OFFICE),
    "giam-doc": (DIRECTOR, OFFICE),
    "phan-mem": (f"@{OURS}",),
}
POLICY: Final = f"""\
rules:
  - name: sign-everything
    direction: outbound
    when: {{not: {{author: "khong-ky@{OURS}"}}}}
    then: {{sign: {{key: personal_else_organization, if_unable: refuse}}}}
  - name: pass
    direction: outbound
    then: pass
  - name: deliver
    direction: inbound
    then: deliver
"""


def letter(author: str, *fields: str, kind: str = "text/plain", body: str = "Ngan.\r\n", to: str = CITIZEN) -> bytes:
    """Return a letter; `author` is the text of its From field."""
    head = (f"From: {author}", f"To: {to}", "Subject: Bao cao", "MIME-Version: 1.0", *fields, f"Content-Type: {kind}")
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


@lru_cache(maxsize=8)
def credential(mailbox: str, index: int) -> Credential:
    """Return the credential of one more mailbox."""
    return authority().issue("Văn phòng thử", mailbox, key=shared_key("p256", 60 + index))


@dataclass
class Office:
    """The gateway and what was sent through it."""

    gate: Gateway

    @property
    def house(self) -> House:
        """Its files and ports."""
        return self.gate.house

    def submit(self, login: str, sender: str, message: bytes, *, to: str = CITIZEN, port: str = "submission") -> Sent:
        """Send as a person's mail client does."""
        trusted = self.house.server_pem
        return swaks(self.house.port(port), sender, to, message, login=(login, LOGIN[1]), trusted=trusted)

    def inject(self, sender: str, message: bytes, *, shows: str | None = None, to: str = CITIZEN) -> Sent:
        """Send as a program does; `shows` is the mailbox in the certificate that it shows."""
        options: tuple[str, ...] = ()
        if shows is not None:
            place = self.house.directory / "clients" / shows
            options = ("--tls-cert", f"{place}.pem", "--tls-key", f"{place}.key")
        return swaks(self.house.port("internal"), sender, to, message, trusted=self.house.server_pem, options=options)

    def received(self, mailbox: str) -> bytes:
        """Wait for one message in a mailbox, and return and delete it."""
        new = place_of(self.house.directory / "mail", Mailbox.parse(mailbox)) / "new"
        wait_for(lambda: new.is_dir() and any(new.iterdir()), f"mail for {mailbox}")
        (file,) = new.iterdir()
        octets = file.read_bytes()
        file.unlink()
        return octets

    def nothing_for(self, mailbox: str) -> bool:
        """Return True if a mailbox is empty."""
        new = place_of(self.house.directory / "mail", Mailbox.parse(mailbox)) / "new"
        return not new.is_dir() or not any(new.iterdir())

    def signer(self, message: bytes) -> str:
        """Return the mailbox in the certificate that signed a message, after OpenSSL found the signature good."""
        found = cut(message)
        assert openssl_verify(found.part, found.cms, root_pem(), self.house.directory)
        return signer_of(message)


def signer_of(message: bytes) -> str:
    """Return the mailbox in the first certificate with one, read without the gateway's own parser."""
    names = []
    for each in pkcs7.load_der_pkcs7_certificates(cut(message).cms):
        try:
            names += each.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
                x509.RFC822Name
            )
        except x509.ExtensionNotFound:
            continue
    (name,) = names
    return name


def told(sent: Sent) -> str:
    """Return code and whole text of the refusal, its lines joined, without enhanced status."""
    lines = re.findall(r"^<[~*\- ]*\s+([45]\d\d)[ -](?:[45]\.\d\.\d )?(.*)$", sent.transcript, re.MULTILINE)
    return " ".join((lines[0][0], *(text for _, text in lines))) if lines else ""


@contextmanager
def office(
    *, senders: Mapping[str, Any] | None = None, policy: str = POLICY, sources: Sequence[Mapping[str, Any]] = ()
) -> Iterator[Office]:
    """Run the gateway; `senders` is the section of that name, `sources` stand before a certificate's own."""
    with short_directory("gw-") as directory:
        house = build_house(
            directory,
            hops=[{"name": "hop", "protocol": "maildir", "directory": "mail"}],
            local_domains=[{"domain": OURS, "hop": "hop", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "hop"}],
            policy=policy,
            senders={**TABLES, **(senders or {})},
        )
        (directory / "mail").mkdir()
        _people(directory)
        _settings(house, sources)
        with gateway(house) as running:
            yield Office(running)


TABLES: Final[dict[str, Any]] = {
    "plus_addresses": True,
    "aliases": [{"address": ALIAS, "stands_for": LAN}],
    "successors": [{"old": OLD, "new": OURS, "not_for": [f"so@{OLD}"]}],
    "delegates": [{"author": DIRECTOR, "delegate": SECRETARY}],
}


@lru_cache(maxsize=1)
def _hashed() -> str:
    return hash_password(LOGIN[1].encode())


def _people(directory: Path) -> None:
    """Write the logins, more keys, and the certificates that programs show."""
    lines = (f"{login}:{_hashed()}:{','.join(authors)}\n" for login, authors in LOGINS.items())
    (directory / "logins.txt").write_text("".join(lines), encoding="utf-8")
    for index, mailbox in enumerate((DIRECTOR, OFFICE)):
        file = directory / f"keys/{mailbox}.p12"
        file.touch(mode=0o600)
        file.write_bytes(credential(mailbox, index).pkcs12(PASSPHRASE))
    (directory / "clients").mkdir(mode=0o700)
    for index, mailbox in enumerate((PROGRAM, f"la@{OURS}"), 8):
        shown = credential(mailbox, index)
        (directory / f"clients/{mailbox}.key").write_bytes(shown.key_pem())
        (directory / f"clients/{mailbox}.pem").write_bytes(shown.chain_pem())
    (directory / "clients/ca.pem").write_bytes(
        pem(authority().root) + pem(authority().intermediate)
    )  # swaks sends no chain


def _settings(house: House, sources: Sequence[Mapping[str, Any]]) -> None:
    """Add keys, and let the internal listener ask for certificates."""
    document = json.loads(house.config.read_text(encoding="utf-8"))
    for mailbox, kind in ((DIRECTOR, "personal"), (OFFICE, "organization")):
        document["keys"].append(
            {
                "label": mailbox.partition("@")[0],
                "kind": kind,
                "pkcs12": f"keys/{mailbox}.p12",
                "passphrase": f"file:{house.directory}/keys/passphrase",
            }
        )
    (internal,) = (each for each in document["listeners"] if each["kind"] == "internal")
    tls = {"mode": "starttls", "certificate": house.server_pem.name, "key": house.server_key.name, "required": False}
    internal["tls"] = {**tls, "client_ca": "clients/ca.pem"}
    shown = {"name": "qlvb", "certificates": [f"email:{PROGRAM}"], "authors": [PROGRAM, OFFICE]}
    internal["sources"] = [*sources, shown]
    house.config.write_text(json.dumps(document, indent=2), encoding="utf-8")

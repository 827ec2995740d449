"""The running gateway between a pinned root, a site of revocation data, and mail that brings nothing but its leaf.

`gateway trust add` pins the root; issuer, OCSP answer and list come over HTTP; then every server is down.
"""

from __future__ import annotations

import datetime as dt
import email
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from cryptography import x509
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID as Access
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.core.address import Mailbox
from gateway.demo.authority import Credential, pem
from gateway.relay.maildir import place_of
from support.gateway_process import COMMAND, OURS, build_house, gateway
from support.letters import HEAD, clear
from support.peers import short_directory, wait_for
from support.responder import LOOPBACK, Site, hang, ocsp_answer, page
from support.swaks import swaks
from support.tree import Node, root, usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.gateway_process import Gateway

READER: Final = f"doc@{OURS}"
AUTHOR: Final = "van-thu@doitac.example"
NOW: Final = dt.datetime.now(dt.UTC).replace(microsecond=0)
HOUR: Final = dt.timedelta(hours=1)
DAY: Final = dt.timedelta(days=1)
PART: Final = b"Content-Type: text/plain\r\n\r\nMoi hop luc 8 gio.\r\n"
PATIENCE: Final = 2.0


class Town:
    """An authority whose data stands on a site, and the gateway that asks for it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.root = root("Gốc thử", start=NOW - DAY, end=NOW + 900 * DAY)
        self.issuer = self.root.issue(
            "CA thử", ca=True, start=NOW - DAY, end=NOW + 300 * DAY, extensions=[self._points("/root.crl")]
        )
        site.pages["/ca.crt"] = page(self.issuer.certificate.der)
        site.pages["/root.crl"] = page(self.root.revocation_list(start=NOW - HOUR, end=NOW + DAY))

    def _points(self, path: str) -> x509.CRLDistributionPoints:
        place = x509.UniformResourceIdentifier(self.site.url(path))
        return x509.CRLDistributionPoints([x509.DistributionPoint([place], None, None, None)])

    def office(self, name: str, status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD) -> Node:
        """Return a new leaf whose responder answers so."""
        responder = x509.UniformResourceIdentifier(self.site.url(f"/ocsp/{name}"))
        above = x509.UniformResourceIdentifier(self.site.url("/ca.crt"))
        leaf = self.issuer.issue(
            name,
            start=NOW - DAY,
            end=NOW + 90 * DAY,
            extensions=[
                usage("digital_signature"),
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]),
                x509.SubjectAlternativeName([x509.RFC822Name(AUTHOR)]),
                x509.AuthorityInformationAccess(
                    [x509.AccessDescription(Access.OCSP, responder), x509.AccessDescription(Access.CA_ISSUERS, above)]
                ),
            ],
        )
        answer = ocsp_answer(leaf, self.issuer, status=status, start=NOW - HOUR, end=NOW + DAY)
        self.site.pages[f"/ocsp/{name}"] = page(answer)
        return leaf


@pytest.fixture
def town() -> Iterator[tuple[Town, Gateway]]:
    """Run the gateway with the root pinned, and nothing else of the authority in its settings."""
    with Site() as site, short_directory("gw-") as directory:
        made = Town(site)
        house = build_house(
            directory,
            hops=[{"name": "hop", "protocol": "maildir", "directory": "mail"}],
            local_domains=[{"domain": OURS, "hop": "hop", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "hop"}],
            trust={
                "revocation": "hard",
                "families": [{"name": "doi-tac", "vi": "đối tác", "en": "partner", "domains": ["doitac.example"]}],
                "fetch": {
                    "hosts": [site.name],
                    "private_networks": LOOPBACK,
                    "timeout": 1.0,
                    "patience": PATIENCE,
                },
            },
        )
        (directory / "mail").mkdir()
        (directory / "root.pem").write_bytes(pem(made.root.certificate.der))
        pin = ("--pin", made.root.certificate.fingerprint, "--family", "doi-tac", "--config", str(house.config))
        subprocess.run([COMMAND, "trust", "add", str(directory / "root.pem"), *pin], check=True, capture_output=True)
        with gateway(house) as running:
            yield made, running


def sent(gate: Gateway, leaf: Node, number: int) -> tuple[str, float]:
    """Send a letter that brings the leaf only; return the verdict in it and the seconds until it was accepted."""
    fields = HEAD.replace(b"hoang.lan@soyte.songlam.example", AUTHOR.encode()).replace(b"2026.17", b"%d" % number)
    letter = clear(PART, Credential(leaf.key, leaf.certificate.der, ()), head=fields)
    begun = time.monotonic()
    outcome = swaks(gate.house.port("inbound"), AUTHOR, READER, letter)
    took = time.monotonic() - begun
    assert outcome.accepted, outcome.transcript
    new = place_of(Path(gate.house.directory / "mail"), Mailbox.parse(READER)) / "new"
    wait_for(lambda: new.is_dir() and any(new.iterdir()), "the letter")
    (file,) = new.iterdir()
    found = email.message_from_bytes(file.read_bytes())
    file.unlink()
    return str(found["X-Gateway-Verdict"]).split(";")[0].split()[0], took


def test_from_nothing_but_a_pinned_root(town: tuple[Town, Gateway]) -> None:
    """Issuer, answer and list are fetched, and only what holds is green; when every server is down nothing is lost.

    Then nothing is green that was not known, nobody waits longer than the patience, and what is known outlives a
    restart; a root that was retired is not believed after the reload, whatever is in any cache.
    """
    made, gate = town
    good, revoked = made.office("tot"), made.office("thu-hoi", ocsp.OCSPCertStatus.REVOKED)
    late = made.office("muon")
    assert sent(gate, good, 1)[0] == "verified"
    assert made.site.asked == {"/ca.crt": 1, "/root.crl": 1, "/ocsp/tot": 1}
    assert sent(gate, revoked, 2)[0] == "not_trusted"
    for path in made.site.pages:
        made.site.pages[path] = hang
    verdict, took = sent(gate, late, 3)
    assert verdict == "indeterminate"
    assert took < PATIENCE + 10  # a client would wait for minutes
    assert sent(gate, good, 4)[0] == "verified"
    assert gate.stop() == 0
    gate.start()
    assert sent(gate, good, 5)[0] == "verified"
    assert sent(gate, revoked, 6)[0] == "not_trusted"
    assert sent(gate, late, 7)[0] == "indeterminate"
    call = (COMMAND, "trust", "retire", made.root.certificate.fingerprint, "--reason", "thử")
    subprocess.run([*call, "--config", str(gate.house.config)], check=True, capture_output=True)
    gate.hup()
    gate.wait_for_event("reloaded")
    assert sent(gate, good, 8)[0] != "verified"

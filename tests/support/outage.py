"""An authority whose revocation data stands on a site, for letters whose certificate names where to ask.

with Site() as site, asked(site) as (office, field):
    leaf = office.leaf("a")                    # names site.url("/ocsp/a") and site.url("/a.crl")
    office.serve("a", leaf)                    # both answer good, until `site.pages` says something else
    field.deliver(office.letter(leaf))
"""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID as Access
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.demo.authority import Credential, pem
from support.attacks import ground, head, part
from support.letters import clear
from support.peers import short_directory
from support.responder import LOOPBACK, Site, ocsp_answer, page
from support.tree import Node, root, usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from support.attacks import Field

OFFICE: Final = "van-thu@doitac.example"
HOUR: Final = dt.timedelta(hours=1)
DAY: Final = dt.timedelta(days=1)
TIMEOUT: Final = 1.0
"""Seconds for one answer: the servers share a busy machine with the gateway that asks them."""
PATIENCE: Final = 2.5
"""Seconds that one message waits for all servers together."""


class Office:
    """One root, one issuer with a list of its own, and leaves that each say where to ask about them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        self.root = root("Gốc thử", start=self.now - 900 * DAY, end=self.now + 900 * DAY)
        span = {"start": self.now - 400 * DAY, "end": self.now + 300 * DAY}
        self.issuer = self.root.issue("CA thử", ca=True, extensions=[self.points("/root.crl")], **span)
        site.pages["/root.crl"] = page(self.root.revocation_list(start=self.now - HOUR, end=self.now + DAY))

    def points(self, *paths: str, site: Site | None = None) -> x509.CRLDistributionPoints:
        """Return distribution points on a site; what is no path is a whole address."""
        places = [(site or self.site).url(each) if each.startswith("/") else each for each in paths]
        names = [x509.UniformResourceIdentifier(each) for each in places]
        return x509.CRLDistributionPoints([x509.DistributionPoint([each], None, None, None) for each in names])

    def leaf(
        self,
        name: str,
        *,
        site: Site | None = None,
        ocsp: bool = True,
        lists: Sequence[str] | None = None,
        start: dt.datetime | None = None,
        end: dt.datetime | None = None,
    ) -> Node:
        """Return a leaf of the office's mailbox; `lists` are paths, by default one of its own."""
        extensions: list[x509.ExtensionType] = [
            usage("digital_signature"),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]),
            x509.SubjectAlternativeName([x509.RFC822Name(OFFICE)]),
        ]
        chosen = (f"/{name}.crl",) if lists is None else lists
        if chosen:
            extensions.append(self.points(*chosen, site=site))
        if ocsp:
            responder = x509.UniformResourceIdentifier((site or self.site).url(f"/ocsp/{name}"))
            extensions.append(x509.AuthorityInformationAccess([x509.AccessDescription(Access.OCSP, responder)]))
        span = {"start": start or self.now - DAY, "end": end or self.now + 90 * DAY}
        return self.issuer.issue(name, extensions=extensions, **span)

    def answer(self, leaf: Node, **how: Any) -> bytes:
        """Return a responder's answer of now."""
        return ocsp_answer(leaf, self.issuer, **{"start": self.now - HOUR, "end": self.now + DAY, **how})

    def list(self, *revoked: Node, **how: Any) -> bytes:
        """Return the issuer's list of now."""
        span = {"start": self.now - HOUR, "end": self.now + DAY, **how}
        return self.issuer.revocation_list(*(each.certificate for each in revoked), **span)

    def serve(self, name: str, leaf: Node) -> None:
        """Let both places say that it is good."""
        self.site.pages[f"/ocsp/{name}"] = page(self.answer(leaf))
        self.site.pages[f"/{name}.crl"] = page(self.list())

    def letter(self, leaf: Node) -> bytes:
        """Return a new letter that brings its certificate and the issuer's."""
        signer = Credential(leaf.key, leaf.certificate.der, (self.issuer.certificate.der,))
        return clear(part(), signer, head=head(author=OFFICE))


@contextmanager
def asked(site: Site, *others: Site, **fetch: Any) -> Iterator[tuple[Office, Field]]:
    """Run a gateway that trusts the office's root and may ask these sites, and nobody else; hard revocation."""
    office = Office(site)
    with short_directory("gr-") as directory:
        (directory / "root.pem").write_bytes(pem(office.root.certificate.der))
        trust = {
            "anchors": [str(directory / "root.pem")],
            "revocation": "hard",
            "fetch": {
                "hosts": [each.name for each in (site, *others)],
                "private_networks": LOOPBACK,
                "timeout": TIMEOUT,
                "patience": PATIENCE,
                "max_octets": 1_000_000,
                **fetch,
            },
        }
        with ground(trust=trust) as field:
            yield office, field

"""What `gateway run --check` says of trust: why nobody could be verified, before the first message comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID as Access

from gateway.app.findings import trust_findings
from gateway.config.inbound import TrustSettings
from gateway.pki.path import TrustAnchors
from support.tree import root


def at(url: str) -> x509.UniformResourceIdentifier:
    """Return a URL as a certificate holds it."""
    return x509.UniformResourceIdentifier(url)


ROOT: Final = root()
ISSUER: Final = ROOT.issue(
    "CA cấp dưới",
    ca=True,
    extensions=[
        x509.AuthorityInformationAccess(
            [
                x509.AccessDescription(Access.OCSP, at("http://ocsp.ca.example")),
                x509.AccessDescription(Access.CA_ISSUERS, at("http://ca.example/pub/root.crt")),
                x509.AccessDescription(Access.CA_ISSUERS, at("ldap://ca.example/root")),
            ]
        ),
        x509.CRLDistributionPoints([x509.DistributionPoint([at("http://ca.example:8080/root.crl")], None, None, None)]),
    ],
)
TRUST: Final = TrustAnchors((ROOT.certificate,), (ISSUER.certificate,), ())
SUBJECT: Final = ISSUER.certificate.subject


def said(trust: TrustAnchors = TRUST, **settings: Any) -> list[str]:
    """Return the findings for settings."""
    return list(trust_findings(TrustSettings(**settings), trust))


def hosts(lines: list[str]) -> list[str]:
    """Return the hosts that are named as missing."""
    return [each.split()[1] for each in lines if each.startswith("trust.fetch.hosts: ")]


def test_nothing_is_trusted() -> None:
    """Neither settings nor store have an anchor."""
    assert said(TrustAnchors((), (), ())) == ["trust: no anchors, so no inbound signature is ever verified"]


def test_no_revocation_data_at_all() -> None:
    """Demanded, not given, and not fetched; the hosts to list are named, each once, with whoever names them."""
    lines = said()
    assert "revocation is hard, there are no crls, and fetch.hosts is empty" in lines[0]
    assert hosts(lines) == ["ocsp.ca.example", "ca.example:8080", "ca.example"]
    assert SUBJECT in lines[1]


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"fetch": {"hosts": ["ocsp.ca.example"]}}, ["ca.example:8080", "ca.example"]),
        ({"fetch": {"hosts": ["*.ca.example", "ca.example"]}}, ["ca.example:8080"]),
        ({"fetch": {"hosts": ["*.ca.example", "ca.example", "ca.example:8080"]}}, []),
        ({"crls": [Path("a.crl")]}, []),
        ({"revocation": "soft"}, []),
        ({"revocation": "off", "fetch": {"hosts": ["x.example"]}}, []),
    ],
)
def test_hosts_that_are_not_listed(settings: dict[str, Any], missing: list[str]) -> None:
    """Told where something is fetched, or must be; not where files are enough or nobody asks."""
    assert hosts(said(**settings)) == missing
    assert len(said(**settings)) == len(missing)

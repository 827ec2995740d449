"""Which URLs and addresses may be asked: everything in them was chosen by a stranger."""

from __future__ import annotations

import pytest

from gateway.revocation.places import Places

PLACES = Places(("ca.example", "*.pki.example", "ca.intranet:8080", "127.0.0.1:1234"), ("10.1.0.0/16", "fd00:1::/32"))


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://ca.example", "http://ca.example/"),
        ("HTTP://CA.Example/Pub/CRL/g2.crl", "http://ca.example/Pub/CRL/g2.crl"),
        ("http://ca.example:80/a%20b.crl?x=1", "http://ca.example/a%20b.crl?x=1"),
        ("https://ca.example/a", "https://ca.example/a"),
        ("http://ca.example:443/a", "http://ca.example:443/a"),
        ("http://ocsp.pki.example/", "http://ocsp.pki.example/"),
        ("http://a.b.pki.example/", "http://a.b.pki.example/"),
        ("http://ca.intranet:8080/x", "http://ca.intranet:8080/x"),
        ("http://127.0.0.1:1234/x", "http://127.0.0.1:1234/x"),
        ("http://ca.example?q", "http://ca.example/?q"),
    ],
)
def test_listed_hosts_may_be_asked(url: str, asked: str) -> None:
    """By name, below a name, on the usual ports or on the one that is listed."""
    place = PLACES.of(url)
    assert place is not None
    assert place.url == asked


@pytest.mark.parametrize(
    "url",
    [
        "http://other.example/",
        "http://pki.example/",  # "*." is what stands below
        "http://evilpki.example/",
        "http://xca.example/",
        "http://ca.example.evil.example/",
        "http://ca.example:8080/",
        "http://ca.example:22/",
        "http://ca.example:0/",
        "http://ca.example:99999/",
        "http://ca.example.:80/",
        "http://ca.intranet/",
        "http://127.0.0.1/",
        "http://user@ca.example/",
        "http://ca.example@evil.example/",
        "http://ca.example:80@evil.example/",
        "http://ca.example\\@evil.example/",
        "http://evil.example#@ca.example/",
        "http://evil.example\\.ca.example/",
        "http://ca.example/\r\nHost: evil.example",
        "http://ca.example/a b",
        "http://ca.example/#a",
        "http:/ca.example/",
        "//ca.example/",
        "ftp://ca.example/",
        "ldap://ca.example/cn=CA?certificateRevocationList",
        "file:///etc/passwd",
        "gopher://ca.example/",
        "http://\uff43\uff41.example/",
        "http://ca.example/é",
        "http://[::1]/",
        "http://[fe80::1%25eth0]/",
        "http://2130706433/",
        "http:///",
        "",
        " http://ca.example/",
        "http://ca.example/\n",
        "http://ca.example/" + "a" * 2048,
    ],
)
def test_nothing_else_may(url: str) -> None:
    """Neither by likeness, nor by what two readers read differently, nor on other ports or by other schemes."""
    assert PLACES.of(url) is None


def test_without_hosts_nothing_may() -> None:
    """Fetching is off until somebody lists a host."""
    assert Places((), ()).of("http://ca.example/") is None


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "10.1.2.3", "fd00:1::5"]
)
def test_public_and_listed_addresses(address: str) -> None:
    """Public ones, also where IPv6 only carries them, and what the settings list."""
    assert PLACES.may_connect(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0",  # noqa: S104 - refused
        "10.0.0.1", "10.2.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:2::1", "fec0::1", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:0a00:1::1",
        "2001::1", "100::1", "localhost", "", "127.1",
    ],
)  # fmt: skip
def test_no_other_address(address: str) -> None:
    """Nothing in our own networks, however it is written or wrapped."""
    assert not PLACES.may_connect(address)

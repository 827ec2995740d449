"""Domains that pass for a true one: look-alike letters, slips, hyphens, suffixes; honest domains never do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.agencies.domains import Domains
from gateway.core.address import domain_key

TRUE = ("songlam.example", "soyte.songlam.example", "thue.example", "tinhlon.gov.vn")
DOMAINS = Domains.of(TRUE, ("*.gov.vn",))


@pytest.mark.parametrize(
    ("domain", "true"),
    [
        ("s0nglam.example", "songlam.example"),
        ("song1am.example", "songlam.example"),
        ("sôngläm.example", "songlam.example"),
        ("s\u043engl\u0430m.example", "songlam.example"),
        ("songlarn.example", "songlam.example"),
        ("song-lam.example", "songlam.example"),
        ("sonlam.example", "songlam.example"),
        ("songglam.example", "songlam.example"),
        ("songlan.example", "songlam.example"),
        ("sognlam.example", "songlam.example"),
        ("onglam.example", "songlam.example"),
        ("songlams.example", "songlam.example"),
        ("mail.sonlam.example", "songlam.example"),
        ("songlam.example.com", "songlam.example"),
        ("mail.songlam.example.co.uk", "songlam.example"),
        ("songlam-example.com", "songlam.example"),
        ("www-songlam-example.com", "songlam.example"),
        ("songlamexample.com", "songlam.example"),
        ("thu\u00e9.example", "thue.example"),
        ("gov-vn.com", "gov.vn"),
        ("so-y-te-gov.vn", "gov.vn"),
        ("soytegov.vn", "gov.vn"),
        ("thue.gov.vn.xyz", "gov.vn"),
        ("tinhlon-gov-vn.com", "tinhlon.gov.vn"),
        ("tinhlon.gov.vn.example.net", "tinhlon.gov.vn"),
    ],
)
def test_look_alikes(domain: str, true: str) -> None:
    """Each is told with the domain it passes for, the second time as the first."""
    key = domain_key(domain)
    assert DOMAINS.imitated(key) == true
    assert DOMAINS.imitated(key) == true


@pytest.mark.parametrize(
    "domain",
    [
        *TRUE,
        "songlam.example.",
        "mail.songlam.example",
        "xa.huyen.songlam.example",
        "gov.vn",
        "thanhha.gov.vn",
        "a.b.gov.vn",
        "gmail.com",
        "thua.example",
        "hue.example",
        "thanhlam.example",
        "onglamx.example",
        "songlam.org",
        "govern.example",
        "governor.vn",
        "example",
        "example.com",
        "x" * 63 + ".example",
        "[192.0.2.1]",
        ".".join("a" * 60),
    ],
)
def test_honest_domains(domain: str) -> None:
    """True domains, all below them, short names one letter apart, and strangers."""
    assert DOMAINS.imitated(domain_key(domain).rstrip(".")) is None


@given(st.text(st.characters(codec="utf-8"), max_size=80))
def test_nothing_breaks_it(text: str) -> None:
    """A domain is a stranger's text: any answer, but an answer; and a true domain's own is never changed by it."""
    DOMAINS.imitated(domain_key(text))
    DOMAINS.imitated(f"xn--{text}.example")
    assert DOMAINS.imitated("songlam.example") is None


def test_answers_kept_are_bounded() -> None:
    """Strangers' domains fill no memory."""
    own = Domains.of(TRUE, ())
    for number in range(5000):
        own.imitated(f"m{number}.example.net")
    assert len(own.known) <= 4096

"""Settings of trust: what may be asked, and for which domains a family speaks, in the form in which it is compared."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.config.inbound import FamilySettings, FetchSettings, TrustSettings

FAMILY = {"name": "vgca", "vi": "chuyên dùng công vụ", "en": "official duty"}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("CA.gov.vn", "ca.gov.vn"),
        ("*.ca.gov.vn", "*.ca.gov.vn"),
        ("ca.btc:8080", "ca.btc:8080"),
        ("10.0.0.5:80", "10.0.0.5:80"),
        ("[FD00::5]:8080", "[fd00::5]:8080"),
        ("localhost", "localhost"),
    ],
)
def test_hosts(text: str, kept: str) -> None:
    """By name, by what stands below a name, with a port of their own; lower case."""
    assert FetchSettings(hosts=(text,)).hosts == (kept,)


@pytest.mark.parametrize(
    "text",
    ["http://ca.gov.vn", "ca.gov.vn/pki", "*", "*.", "ca.*.vn", "*ca.gov.vn", "ca.gov.vn:0", "a:70000", "", "a b"],
)
def test_what_is_no_host(text: str) -> None:
    """A URL, a path, or a star that would list everything or nothing."""
    with pytest.raises(ValidationError, match="write HOST"):
        FetchSettings(hosts=(text,))


def test_domains_of_a_family() -> None:
    """As mail domains are compared: lower case, one form of international names."""
    family = FamilySettings.model_validate(FAMILY | {"domains": ["Songlam.Example", "*.Tỉnh.example"]})
    plain = FamilySettings.model_validate(
        FAMILY | {"domains": ["songlam.example", f"*.{'tỉnh.example'.encode('idna').decode()}"]}
    )
    assert family.domains == plain.domains
    assert family.domains[0] == "songlam.example"


@pytest.mark.parametrize("text", ["*", "*.", "a@b.example", "*.*.example"])
def test_what_is_no_domain(text: str) -> None:
    """Every domain is said by saying none."""
    with pytest.raises(ValidationError, match="not a mail domain"):
        FamilySettings.model_validate(FAMILY | {"domains": [text]})


def test_a_family_defined_twice() -> None:
    """Which of the two held would depend on their order."""
    with pytest.raises(ValidationError, match="defined twice"):
        TrustSettings.model_validate({"families": [FAMILY, FAMILY]})

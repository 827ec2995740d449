"""The policy files of a directory: read with the registry, refused where a rule names what is not set up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.agencies.registry import Registry
from gateway.app.policies import RegistryDirectory, directory_of, read_policies
from gateway.config.load import parse_settings
from gateway.core.address import Mailbox
from gateway.core.errors import SetupError
from support.policies import signer

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config.model import Settings
    from gateway.policy.model import Policy

REGISTRY = Registry.load(
    "agencies.yaml",
    'agencies:\n  - {id: so-y-te, name: "Sở Y tế", mailboxes: [soyte@tinh.example], domains: ["@yte.example"]}\n',
)
SETTINGS = """\
hostname: mail.tinh.example
listeners: [{name: in, kind: inbound, address: "127.0.0.1:0"}]
hops: [{name: boxes, protocol: maildir, directory: mail}]
local_domains: [{domain: tinh.example, hop: boxes, recipients: any}]
spool: {directory: spool}
policies: policies
tags: {authserv_id: mail.tinh.example}
"""
MAIN = "rules:\n  - agencies\n  - {name: last, direction: outbound, then: pass}\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory of policies."""
    (tmp_path / "policies/agencies").mkdir(parents=True)
    (tmp_path / "policies/10.yaml").write_text(MAIN, encoding="utf-8")
    return tmp_path


def read(place: Path) -> Policy:
    """Return the policy, read as the gateway reads it."""
    settings: Settings = parse_settings("gateway.yaml", SETTINGS, directory=place)
    return read_policies(place / "policies", directory_of(settings, REGISTRY), settings)


def refusal(place: Path) -> list[str]:
    """Return the mistakes."""
    with pytest.raises(SetupError) as caught:
        read(place)
    return list(caught.value.mistakes)


def test_the_file_is_named_after_the_agency(place: Path) -> None:
    """`agencies/so-y-te.yaml` is the file of so-y-te; what does not end in .yaml is no policy."""
    (place / "policies/agencies/so-y-te.yaml").write_text(MAIN.replace("  - agencies\n", ""), encoding="utf-8")
    (place / "policies/agencies/so-y-te.yaml.example").write_text("nothing", encoding="utf-8")
    assert [each.name for each in read(place).rules] == ["so-y-te/last", "last"]
    (place / "policies/agencies/so-tai-chinh.yaml").write_text(MAIN, encoding="utf-8")
    assert any("so-tai-chinh.yaml:1:1: no agency in the registry" in each for each in refusal(place))


def test_agencies_are_known_by_the_registry() -> None:
    """By mailbox, by domain, and nobody else; ours is what comes in here, in any spelling."""
    directory = RegistryDirectory(REGISTRY, ["tinh.example"])
    assert directory.knows("so-y-te")
    assert not directory.knows("Sở Y tế")
    assert directory.agency_of(Mailbox.parse("SoYTe@Tinh.example")) == "so-y-te"
    assert directory.agency_of(Mailbox.parse("lan@yte.example")) == "so-y-te"
    assert directory.agency_of(Mailbox.parse("lan@tinh.example")) is None
    assert directory.is_local(Mailbox.parse("x@TINH.example"))
    assert not directory.is_local(Mailbox.parse("x@xa.tinh.example"))


def test_the_digest_of_a_directory_names_its_answers() -> None:
    """The same registry and domains have the same digest; one more domain is another policy."""
    assert RegistryDirectory(REGISTRY, ["a.example", "b.example"]).digest == (
        RegistryDirectory(REGISTRY, ["b.example", "a.example"]).digest
    )
    found = {
        RegistryDirectory(REGISTRY, ["a.example"]).digest,
        RegistryDirectory(REGISTRY, ["b.example"]).digest,
        RegistryDirectory(Registry.empty(), ["a.example"]).digest,
    }
    assert len(found) == 3


MORE = "agencies:\n  - {id: so-y-te, name: Sở Y tế, domains: ['@yte.example']}\n  - {id: bv, name: Bệnh viện, OTHER}\n"


def test_whose_a_certificate_is_belongs_to_the_answers() -> None:
    """Rules ask which agency signed: another list of certificates or subjects is another policy."""
    others = (
        "mailboxes: [x@bv.example]",
        f"fingerprints: [{'ab' * 32}]",
        f"fingerprints: [{'cd' * 32}]",
        "subjects: [{organization: BV, domain: a.example}]",
        "subjects: [{organization: BV, domain: b.example}]",
    )
    found = [RegistryDirectory(Registry.load("a.yaml", MORE.replace("OTHER", each)), ()) for each in others]
    assert len({each.digest for each in found}) == len(others)
    assert [each.agency_of_signer(signer("lan@yte.example")) for each in found[:2]] == ["so-y-te", "bv"]
    assert found[0].agency_of_signer(signer("lan@noi-khac.example")) is None


def test_who_took_a_domain_over_belongs_to_the_answers() -> None:
    """A mailbox in an old domain is its successor's agency's: another successor, or exception, is another policy."""
    text = "agencies:\n  - {id: a, name: A, domains: ['@a.example', '@b.example']}\n"
    others = (
        "",
        "successors: [{old: c.example, new: a.example}]",
        "successors: [{old: c.example, new: b.example}]",
        "successors: [{old: c.example, new: a.example, not_for: [x@c.example]}]",
    )
    found = [RegistryDirectory(Registry.load("a.yaml", text + each), ()) for each in others]
    assert len({each.digest for each in found}) == len(others)
    assert [each.agency_of(Mailbox.parse("x@c.example")) for each in found] == [None, "a", "a", None]


def test_a_rule_for_a_family_that_nobody_set_up_is_a_mistake(place: Path) -> None:
    """A misspelled family would let nobody's mail pass, or set nobody's apart."""
    (place / "policies/05.yaml").write_text(
        "rules:\n  - {name: x, direction: inbound, when: {not: {family: [gov, gvo]}}, then: deliver}\n",
        encoding="utf-8",
    )
    families = "trust: {families: [{name: gov, vi: Công vụ, en: Government}]}\n"
    settings = parse_settings("gateway.yaml", SETTINGS + families, directory=place)
    with pytest.raises(SetupError) as caught:
        read_policies(place / "policies", directory_of(settings, REGISTRY), settings)
    where = f"{place}/policies/05.yaml:2:12"
    assert caught.value.mistakes == (f"{where}: the rule names the family 'gvo', which is not set up (known: gov)",)
    with pytest.raises(SetupError, match=r"'gvo', .* \(known: there is none\)$"):
        read_policies(
            place / "policies",
            directory_of(settings, REGISTRY),
            parse_settings("gateway.yaml", SETTINGS, directory=place),
        )


def test_a_rule_for_what_is_not_set_up_is_a_mistake(place: Path) -> None:
    """A route to nowhere would fail on mail, and a listener that does not exist would never match."""
    (place / "policies/05.yaml").write_text(
        "rules:\n"
        "  - {name: x, direction: outbound, when: {listener: [in, out]}, then: {pass: {route: away}}}\n"
        "  - {name: y, direction: outbound, when: {listener: off}, then: pass, active: false}\n",
        encoding="utf-8",
    )
    where = f"{place}/policies/05.yaml:2:12"
    assert refusal(place) == [
        f"{where}: the rule names the hop 'away', which is not set up (known: boxes)",
        f"{where}: the rule names the listener 'out', which is not set up (known: in)",
    ]


def test_a_directory_without_rules_is_a_mistake(place: Path) -> None:
    """A wrong path must not become a policy that refuses everything."""
    (place / "policies/10.yaml").write_text("defaults: {}\n", encoding="utf-8")
    assert "holds a rule" in refusal(place)[0]
    (place / "policies/10.yaml").unlink()
    assert "holds a rule" in refusal(place)[0]
    (place / "policies/10.yaml").write_bytes(b"\xff")
    assert "10.yaml: not UTF-8" in refusal(place)[0]


def test_a_directory_that_cannot_be_read_is_not_an_empty_one(place: Path) -> None:
    """Agencies' rules must not silently be gone; what an editor leaves beside a file is no policy."""
    (place / "policies/.#10.yaml").symlink_to("lan@host:1")
    assert [each.name for each in read(place).rules] == ["last"]
    (place / "policies/20.yaml").symlink_to("gone.yaml")
    assert "cannot be read" in refusal(place)[0]
    (place / "policies/20.yaml").unlink()
    (place / "policies/agencies").rmdir()
    assert [each.name for each in read(place).rules] == ["last"]
    (place / "policies/agencies").write_text("not a directory", encoding="utf-8")
    assert "cannot be read" in refusal(place)[0]

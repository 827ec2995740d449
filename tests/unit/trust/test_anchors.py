"""What is trusted in the end: settings, families and store together, and what contradicts itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.config.inbound import TrustSettings
from gateway.core.errors import SetupError
from gateway.pki.family import ANY_FAMILY, Allowance, Use
from gateway.trust.anchors import for_own_keys, read_trust
from gateway.trust.store import Store
from support.letters import NOW
from support.tree import root

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.pki.path import TrustAnchors

FLAT: Final = root("Gốc lẻ").certificate
GOVERNMENT: Final = root("Gốc công vụ")
SECOND: Final = root("Gốc công vụ G2").certificate
PUBLIC: Final = root("Gốc công cộng").certificate
ISSUER: Final = GOVERNMENT.issue("CA trung gian", ca=True).certificate
FAMILY: Final = {
    "name": "vgca",
    "vi": "chuyên dùng công vụ",
    "en": "official duty",
    "anchors": ["g.der"],
    "intermediates": ["i.der"],
    "uses": ["mail", "own_keys"],
    "domains": ["Songlam.Example", "*.songlam.example"],
    "allow": ["no_extensions"],
}


def trust(directory: Path, **settings: Any) -> TrustAnchors:
    """Return what settings make, their files in a directory."""
    files = {"f.der": FLAT, "g.der": GOVERNMENT.certificate, "i.der": ISSUER, "p.der": PUBLIC}
    for name, certificate in files.items():
        (directory / name).write_bytes(certificate.der)
    made = TrustSettings.model_validate(settings)
    families = tuple(
        each.model_copy(
            update={
                "anchors": tuple(directory / name for name in each.anchors),
                "intermediates": tuple(directory / name for name in each.intermediates),
            }
        )
        for each in made.families
    )
    placed = {"anchors": tuple(directory / name for name in made.anchors), "families": families}
    return read_trust(made.model_copy(update=placed), directory / "trust")


def pin(directory: Path, family: str, certificate: Any = SECOND, kind: Any = "anchor") -> None:
    """Take a certificate into the store."""
    Store(directory / "trust").add(certificate, kind=kind, family=family, who="an", note="", now=NOW)


def test_all_three_together(tmp_path: Path) -> None:
    """Anchors of the settings, of a family, and of the store for a family; each known by its family."""
    pin(tmp_path, "vgca")
    found = trust(tmp_path, anchors=["f.der"], families=[FAMILY])
    assert set(found.anchors) == {FLAT, GOVERNMENT.certificate, SECOND}
    assert found.intermediates == (ISSUER,)
    family = found.family_of(SECOND)
    assert family == found.family_of(GOVERNMENT.certificate)
    assert (family.name, family.vietnamese) == ("vgca", "chuyên dùng công vụ")
    assert (family.uses, family.allowances) == ({Use.MAIL, Use.OWN_KEYS}, {Allowance.NO_EXTENSIONS})
    assert family.speaks_for("so.songlam.example")
    assert family.speaks_for("songlam.example")
    assert not family.speaks_for("songlam.example.evil")
    assert found.family_of(FLAT) is ANY_FAMILY


def test_the_store_alone(tmp_path: Path) -> None:
    """Pins without a family need no settings; an intermediate of the store completes paths and is no anchor."""
    pin(tmp_path, "")
    pin(tmp_path, "", ISSUER, "intermediate")
    found = trust(tmp_path)
    assert (found.anchors, found.intermediates, found.families) == ((SECOND,), (ISSUER,), ())


def test_an_anchor_of_two_families(tmp_path: Path) -> None:
    """What it may speak for would depend on the order: a mistake that names both."""
    other = FAMILY | {"name": "khac", "anchors": ["p.der", "g.der"]}
    with pytest.raises(SetupError, match=f"{GOVERNMENT.certificate.fingerprint} stands in vgca and khac"):
        trust(tmp_path, families=[FAMILY, other])
    pin(tmp_path, "vgca", PUBLIC)
    with pytest.raises(SetupError, match="stands in vgca and cong-cong"):
        trust(tmp_path, families=[FAMILY, FAMILY | {"name": "cong-cong", "anchors": ["p.der"]}])


def test_a_family_that_was_taken_out(tmp_path: Path) -> None:
    """Its pins do not become anchors without limits."""
    pin(tmp_path, "vgca")
    with pytest.raises(SetupError, match=r"pinned for the family 'vgca', which trust\.families does not have"):
        trust(tmp_path)


def test_an_anchor_listed_beside_its_family_keeps_its_limits(tmp_path: Path) -> None:
    """Being listed once more never widens what it may speak for."""
    found = trust(tmp_path, anchors=["g.der"], families=[FAMILY])
    assert found.anchors == (GOVERNMENT.certificate,)
    assert found.family_of(GOVERNMENT.certificate).name == "vgca"


def test_every_mistake_in_one_run(tmp_path: Path) -> None:
    """A damaged store and files that are not there, together."""
    pin(tmp_path, "")
    (tmp_path / "trust/index.jsonl").write_bytes(b"x\n")
    with pytest.raises(SetupError) as caught:
        trust(tmp_path, anchors=["a.der"], families=[FAMILY | {"anchors": ["b.der"]}])
    said = "\n".join(caught.value.mistakes)
    assert "index.jsonl:1" in said
    assert "a.der" in said
    assert "b.der" in said


def test_own_keys_are_judged_by_families_for_them(tmp_path: Path) -> None:
    """An authority that is believed for other people's mail only says nothing about our keys."""
    partner = FAMILY | {"name": "doi-tac", "anchors": ["p.der"], "uses": ["mail"], "intermediates": []}
    found = trust(tmp_path, anchors=["f.der"], families=[FAMILY, partner])
    assert set(for_own_keys(found).anchors) == {FLAT, GOVERNMENT.certificate}
    assert for_own_keys(found).families == found.families

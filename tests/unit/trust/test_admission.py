"""What must not be pinned, and what may be with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.pki.known import KNOWN
from gateway.trust.admission import objections
from support.letters import LAN, NOW
from support.tree import DAY, root

if TYPE_CHECKING:
    from gateway.trust.index import PinKind
    from support.tree import Node

ROOT: Final = root()
ISSUER: Final = ROOT.issue("CA trung gian", ca=True)
G2: Final = KNOWN[1].common_name


def against(node: Node, kind: PinKind = "anchor") -> dict[str, bool]:
    """Return what speaks against a certificate, and whether that is final."""
    return {each.english: each.final for each in objections(node.certificate, kind=kind, now=NOW)}


def test_a_root_and_an_intermediate() -> None:
    """Nothing speaks against them."""
    assert against(ROOT) == {}
    assert against(ISSUER, "intermediate") == {}


@pytest.mark.parametrize(
    "name", [G2, G2.upper(), f"  {G2.replace(' ', '  ')}", "RootCA chuyen dung Chinh phu G2", KNOWN[0].common_name]
)
@pytest.mark.parametrize("kind", ["anchor", "intermediate"])
def test_the_name_of_a_published_root(name: str, kind: PinKind) -> None:
    """Anybody can make a certificate of that name: the pin may have been copied from the same forged page."""
    made = root(name) if kind == "anchor" else ROOT.issue(name, ca=True)
    assert against(made, kind) == {
        "it bears the name of a published root, with another fingerprint: it is not that root": True
    }


def test_dates() -> None:
    """An anchor that ended or has not begun is of no use now; with a reason it may be pinned."""
    assert against(root(end=NOW - DAY)) == {"it has ended": False}
    assert against(root(start=NOW + DAY)) == {"it has not begun": False}


def test_a_weak_key() -> None:
    """No reason makes it strong."""
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - on purpose
    assert against(root(key=weak)) == {"its key is too weak, or of a kind that is not used": True}


def test_no_authority() -> None:
    """A person's certificate can be an anchor for itself, if somebody means it; it never completes a path."""
    leaf = ROOT.issue("Lan", email=LAN)
    assert against(leaf) == {"it is not an authority's (CA)": False, "it is not self-signed": False}
    assert against(leaf, "intermediate") == {"it is not an authority's (CA)": True}


def test_roots_and_intermediates_are_not_confused() -> None:
    """A root is never an intermediate; an intermediate as an anchor needs a reason."""
    assert against(ROOT, "intermediate") == {"it is self-signed: a root, to be added without --intermediate": True}
    assert against(ISSUER) == {"it is not self-signed": False}

"""Our own keys against the revocation lists in files: who is stopped, by what, and how soon."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Final

import pytest
import structlog

from gateway.keys.revocation import RevocationWatch
from gateway.pki.path import TrustAnchors
from support.letters import LAN, NOW
from support.pace import soon
from support.tree import DAY, Node, root

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config.keys import KeysRevocation
    from gateway.pki.certificate import Certificate

ROOT: Final = root()
ISSUER: Final = ROOT.issue("CA trung gian", ca=True, end=NOW + 900 * DAY)
LEAF: Final = ISSUER.issue("Hoàng Thị Lan", email=LAN)
OTHER: Final = ISSUER.issue("Người khác", email="khac@soyte.songlam.example")
CHAIN: Final = (LEAF.certificate, ISSUER.certificate)


class Lists:
    """The files of both authorities' lists, and a watch over them."""

    def __init__(self, directory: Path, demand: KeysRevocation, *, anchors: tuple[Certificate, ...]) -> None:
        """Write lists that name nobody, and watch them."""
        self.files = (directory / "root.crl", directory / "issuer.crl")
        self.write(ROOT)
        self.write(ISSUER)
        trust = TrustAnchors(anchors, (), tuple(each.read_bytes() for each in self.files))
        self.watch = RevocationWatch(trust, files=self.files, demand=demand, now=NOW)

    def write(self, issuer: Node, *revoked: Node, end: dt.datetime = NOW + 7 * DAY) -> None:
        """Replace an authority's list as a careful timer does: written beside, then renamed."""
        file = self.files[issuer is ISSUER]
        beside = file.with_suffix(".new")
        beside.write_bytes(issuer.revocation_list(*(each.certificate for each in revoked), end=end))
        beside.rename(file)

    def fault(self, at: dt.datetime = NOW, chain: tuple[Certificate, ...] = CHAIN) -> str | None:
        """Return what the watch says after a look at the files."""
        self.watch.fault(chain, at)  # somebody asked before: the answer must not stick
        self.watch.refresh(at)
        return self.watch.fault(chain, at)


def lists(directory: Path, demand: KeysRevocation, *anchors: Certificate) -> Lists:
    """Return lists watched under the root, or under other anchors."""
    return Lists(directory, demand, anchors=anchors or (ROOT.certificate,))


@pytest.mark.parametrize("demand", ["hard", "soft"])
def test_a_list_that_comes_names_the_key_and_stops_it(demand: KeysRevocation, tmp_path: Path) -> None:
    """No reload is needed, and nobody else is stopped."""
    found = lists(tmp_path, demand)
    assert found.fault() is None
    found.write(ISSUER, LEAF)
    assert found.fault() == "revoked"
    assert found.fault(chain=(OTHER.certificate, ISSUER.certificate)) is None


def test_off_asks_nobody(tmp_path: Path) -> None:
    """The settings may say so in so many words."""
    found = lists(tmp_path, "off")
    found.write(ISSUER, LEAF)
    assert found.fault() is None


@pytest.mark.parametrize("demand", ["hard", "soft"])
def test_a_revoked_issuer_stops_the_key(demand: KeysRevocation, tmp_path: Path) -> None:
    """Nobody believes what stands under it."""
    found = lists(tmp_path, demand)
    found.write(ROOT, ISSUER)
    assert found.fault() == "issuer_revoked"


def test_hard_demands_fresh_data_for_the_whole_path(tmp_path: Path) -> None:
    """Stale stops at the moment a list ends, without a change of any file."""
    found = lists(tmp_path, "hard")
    assert found.fault(NOW + 7 * DAY - dt.timedelta(seconds=1)) is None
    assert found.fault(NOW + 7 * DAY + dt.timedelta(seconds=1)) == "stale_revocation_data"
    found.write(ISSUER, end=NOW + 14 * DAY)
    found.write(ROOT, end=NOW + 14 * DAY)
    assert found.fault(NOW + 7 * DAY + dt.timedelta(seconds=2)) is None


def test_soft_goes_on_where_data_is_stale_or_missing(tmp_path: Path) -> None:
    """A list server that is down must not stop a province's mail, unless the settings want that."""
    found = lists(tmp_path, "soft")
    assert found.fault(NOW + 30 * DAY) is None
    without = RevocationWatch(TrustAnchors((ROOT.certificate,), (), ()), files=(), demand="soft", now=NOW)
    assert without.fault(CHAIN, NOW) is None


def test_hard_without_any_list_stops_every_key(tmp_path: Path) -> None:
    """Who demands an answer and has nobody to give it does not sign."""
    trust = TrustAnchors((ROOT.certificate,), (), ())
    assert RevocationWatch(trust, files=(), demand="hard", now=NOW).fault(CHAIN, NOW) == "no_revocation_data"
    stranger = lists(tmp_path, "hard", root("Gốc khác").certificate)
    assert stranger.fault() in {"no_path", "unknown_root"}


@pytest.mark.parametrize("demand", ["hard", "soft"])
def test_a_list_past_its_end_still_revokes(demand: KeysRevocation, tmp_path: Path) -> None:
    """Whoever holds the newer lists back cannot bring a revoked key to life again."""
    found = lists(tmp_path, demand)
    found.write(ISSUER, LEAF, end=NOW + DAY)
    assert found.fault(NOW + 2 * DAY) == "revoked"


def test_soft_hears_of_a_key_whose_root_is_no_anchor(tmp_path: Path) -> None:
    """Anchors are for other people's mail; who issued our key stands in its file."""
    found = lists(tmp_path, "soft", root("Gốc khác").certificate)
    assert found.fault() is None
    found.write(ISSUER, LEAF)
    assert found.fault() == "revoked"


@pytest.mark.parametrize("demand", ["hard", "soft"])
def test_a_list_by_nobody_we_know_stops_nobody(demand: KeysRevocation, tmp_path: Path) -> None:
    """The same serial number under another authority, or a list with a forged name, is not about our key."""
    found = lists(tmp_path, demand)
    forger = root("CA trung gian")
    forged = forger.revocation_list(LEAF.certificate)
    found.files[1].write_bytes(found.files[1].read_bytes() + forged)
    assert found.fault() is None


def test_a_list_that_cannot_be_read_leaves_the_last_one_standing(tmp_path: Path) -> None:
    """Half a download revokes nobody and clears nobody; it is said once for each state of the file."""
    found = lists(tmp_path, "soft")
    found.write(ISSUER, LEAF)
    assert found.fault() == "revoked"
    with structlog.testing.capture_logs() as logs:
        found.files[1].write_bytes(found.files[1].read_bytes()[:-10])
        assert found.fault() == "revoked"
        found.files[1].unlink()
        assert found.fault() == "revoked"
        assert found.fault() == "revoked"
    assert [each["event"] for each in logs] == ["revocation lists are unfit, the last good ones stand"] * 2
    found.write(ISSUER)
    assert found.fault() is None


def test_a_list_from_tomorrow_counts_from_tomorrow(tmp_path: Path) -> None:
    """A clock that is behind does not hide a list for ever: it is asked again when the list begins."""
    found = lists(tmp_path, "soft")
    octets = ISSUER.revocation_list(LEAF.certificate, start=NOW + DAY, end=NOW + 9 * DAY)
    found.files[1].write_bytes(octets)
    assert found.fault() is None
    assert found.fault(NOW + DAY + dt.timedelta(seconds=1)) == "revoked"


def test_the_revoked_are_stopped_before_thousands_of_others_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a long refresh still runs, the key that is named by a list signs no more."""
    found = lists(tmp_path, "soft")
    others = [(ISSUER.issue(f"Người {number}").certificate, ISSUER.certificate) for number in range(5)]
    for each in (*others, CHAIN):
        assert found.watch.fault(each, NOW) is None
    found.write(ISSUER, LEAF)
    during: list[str | None] = []
    monkeypatch.setattr(time, "sleep", lambda _: during.append(found.watch.fault(CHAIN, NOW)))
    found.watch.refresh(NOW)
    assert during == ["revoked"] * 6


def test_an_answer_is_a_look_up(tmp_path: Path) -> None:
    """Signing pays nothing for the question."""
    found = lists(tmp_path, "hard")
    found.fault()
    with soon(0.2):
        for _ in range(10_000):
            found.watch.fault(CHAIN, NOW)

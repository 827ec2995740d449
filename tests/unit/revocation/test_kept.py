"""What is kept of answers: for how long, through a restart, within bounds, and made new before it is missed."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from gateway.revocation import cache as cache_module
from gateway.revocation import fetching
from gateway.revocation.cache import Cache, Kept, Kind
from gateway.revocation.turns import Pauses
from support.asking import BESIDE, LEAF, ROOT, Clock, asking, settings, status
from support.letters import NOW
from support.responder import HOUR, ocsp_answer, page
from support.splitter import flipped
from support.tree import DAY
from support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from support.responder import Site

CRL = ROOT.revocation_list()
GOOD = ocsp_answer(LEAF, ROOT)


async def test_kept_through_a_restart(tmp_path: Path, site: Site) -> None:
    """A gateway that starts while every server is down still knows what it knew."""
    site.pages["/a.crl"] = page(CRL)
    needs = status(lists=(site.url("/a.crl"),))
    async with asking(tmp_path, settings(site)) as found:
        before = await found.gather(needs)
    async with asking(tmp_path, settings(site)) as found:
        assert await found.gather(needs) == before
    assert site.asked == {"/a.crl": 1}


@pytest.mark.parametrize(("minutes", "believed"), [(59, True), (60, False), (-4, True), (-6, False)])
async def test_believed_for_its_age_only(tmp_path: Path, site: Site, minutes: int, believed: bool) -> None:  # noqa: FBT001 - a table
    """A responder's answer for an hour; a clock that was set back by more than minutes ends it as well."""
    clock = Clock()
    site.pages["/ocsp"] = page(GOOD)
    needs = status(ocsp=(site.url("/ocsp"),))
    async with asking(tmp_path, settings(site), clock) as found:
        await found.gather(needs)
        site.pages.clear()
        clock.move(minutes=minutes)
        assert bool((await found.gather(needs)).ocsps) is believed


async def test_never_past_its_own_end(tmp_path: Path, site: Site) -> None:
    """A list that ends in an hour is not believed for four."""
    clock = Clock()
    site.pages["/a.crl"] = page(ROOT.revocation_list(end=NOW + HOUR))
    needs = status(lists=(site.url("/a.crl"),))
    async with asking(tmp_path, settings(site), clock) as found:
        assert (await found.gather(needs)).crls
        clock.move(minutes=61)
        evidence = await found.gather(needs)
    assert (evidence.crls, evidence.troubles) == ((), (f"{site.name}: list_ended",))


async def test_an_old_revoked_still_says_so(tmp_path: Path, site: Site) -> None:
    """A responder whose "revoked" is past its next update has not taken it back."""
    revoked = ocsp_answer(LEAF, ROOT, status=ocsp.OCSPCertStatus.REVOKED, start=NOW - DAY, end=NOW - HOUR)
    site.pages["/ocsp"] = page(revoked)
    async with asking(tmp_path, settings(site)) as found:
        assert (await found.gather(status(ocsp=(site.url("/ocsp"),)))).ocsps == (revoked,)


@pytest.mark.parametrize("way", ["ocsp", "lists"])
async def test_whoever_keeps_newer_data_away_gains_nothing(tmp_path: Path, site: Site, way: str) -> None:
    """Who was known to be revoked stays so when no newer data comes; nobody else is cleared by the old."""
    clock = Clock()
    revoked = ocsp_answer(LEAF, ROOT, status=ocsp.OCSPCertStatus.REVOKED)
    der = {"ocsp": revoked, "lists": ROOT.revocation_list(LEAF.certificate)}[way]
    site.pages["/a"] = page(der)
    needs = status(**{way: (site.url("/a"),)})
    async with asking(tmp_path, settings(site), clock) as found:
        assert (await found.gather(needs)).until is not None
        site.pages.clear()
        for hours in (5, 24 * 30):
            clock.move(hours=hours)
            evidence = await found.gather(needs)
            assert (*evidence.ocsps, *evidence.crls) == (der,)
            assert evidence.until is not None
            assert evidence.until < clock.now, "nothing that rests on it is remembered"
        beside = await found.gather(status(about=BESIDE, **{way: (site.url("/a"),)}))
        assert (beside.ocsps, beside.crls) == ((), ())


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "swap"])
async def test_a_damaged_file_is_removed(tmp_path: Path, site: Site, damage: str) -> None:
    """Whatever happened to the disk, or to a file that somebody moved: it is fetched again, nothing stops."""
    site.pages["/a.crl"] = page(CRL)
    site.pages["/b.crl"] = page(ROOT.revocation_list())
    async with asking(tmp_path, settings(site)) as found:
        await found.gather(status(lists=(site.url("/a.crl"), site.url("/b.crl"))))
    one, two = (tmp_path / "revocation").iterdir()
    octets = one.read_bytes()
    spoiled = {"cut": octets[:-1], "flip": flipped(octets, len(octets) - 9), "empty": b"", "swap": two.read_bytes()}
    one.write_bytes(spoiled[damage])
    (tmp_path / "revocation" / "left-over").write_bytes(b"x")
    async with asking(tmp_path, settings(site)) as found:
        evidence = await found.gather(status(lists=(site.url("/a.crl"), site.url("/b.crl"))))
        assert len(evidence.crls) == 2
    assert sum(site.asked.values()) == 3
    assert {each.name for each in (tmp_path / "revocation").iterdir()} == {one.name, two.name}
    assert one.read_bytes() != spoiled[damage]


async def test_made_new_at_half_of_its_life(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What mail used lately is got anew before it ends, without any mail waiting; what nobody used is let go."""
    monkeypatch.setattr(fetching, "_LOOK_EVERY", 0.02)
    clock = Clock()
    site.pages["/ocsp"] = page(GOOD)
    needs = status(ocsp=(site.url("/ocsp"),))
    async with asking(tmp_path, settings(site), clock) as found:
        await found.gather(needs)
        clock.move(minutes=29)
        await asyncio.sleep(0.1)
        assert site.asked["/ocsp"] == 1
        clock.move(minutes=2)
        await until(lambda: site.asked["/ocsp"] == 2)
        await until(lambda: not found._flights)
        clock.move(minutes=45)
        site.pages.clear()
        assert (await found.gather(needs)).ocsps == (GOOD,), "an hour after the first"
        asked = site.asked["/ocsp"]
        clock.move(minutes=61)
        await asyncio.sleep(0.1)
        clock.move(minutes=61)
        await asyncio.sleep(0.1)
        assert site.asked["/ocsp"] <= asked + 1


def kept(number: int, kind: Kind = Kind.OCSP, octets: bytes = b"0" * 100) -> Kept:
    """Return an answer under a key of its own."""
    return Kept(kind, f"{number:064x}", "http://ca.example/", NOW, NOW, NOW + HOUR, (octets,))


def test_bounded_in_number_and_octets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was used least recently goes first, kind by kind: issuers that strangers name push out no list."""
    bounds = {Kind.OCSP: (5, 10_000), Kind.LIST: (5, 10_000), Kind.ISSUERS: (5, 2_000)}
    monkeypatch.setattr(cache_module, "_BOUNDS", bounds)
    monkeypatch.setattr(cache_module, "_IN_MEMORY", 0)
    cache = Cache(tmp_path)
    cache.load()
    cache.put(kept(1000, Kind.LIST))
    for number in range(8):
        cache.put(kept(number))
        cache.put(kept(100 + number, Kind.ISSUERS, b"0" * 900))
        cache.read(Kind.OCSP, kept(0).key)
    assert cache.read(Kind.LIST, kept(1000).key) == kept(1000, Kind.LIST)
    names = {int(each.name, 16) for each in tmp_path.iterdir()}
    assert names == {0, 4, 5, 6, 7, 107, 1000}
    again = Cache(tmp_path)
    again.load()
    assert again.read(Kind.OCSP, kept(7).key) == kept(7)
    assert again.read(Kind.OCSP, kept(107).key) is None, "of another kind"


def test_a_full_disk_costs_nothing(tmp_path: Path) -> None:
    """What cannot be written is kept in memory."""
    cache = Cache(tmp_path / "gone")
    cache.put(kept(1))
    assert cache.remembered(kept(1).key) == kept(1)


async def test_a_long_list_does_not_stall_the_loop(tmp_path: Path, site: Site) -> None:
    """150,000 entries are checked beside the event loop: nothing else waits for 50 ms of our processor time."""
    stalls = []
    for number in range(3):  # once of three: the kernel may pass over our loop; each list is new to every cache
        der = long_list(10**20 + number)
        site.pages["/a.crl"] = page(der)
        async with asking(tmp_path / f"{number}", settings(site, timeout=5, patience=10)) as found:
            watching = asyncio.create_task(longest_stall())
            evidence = await found.gather(status(lists=(site.url("/a.crl"),)))
            watching.cancel()
            stalls.append(await watching)
        assert evidence.crls == (der,)
        if stalls[-1] < 0.05:
            break
    assert min(stalls) < 0.05


def long_list(serial: int) -> bytes:
    """Return a list of 150,000 serial numbers from this one on."""
    entries = [
        x509.RevokedCertificateBuilder().serial_number(serial + each).revocation_date(NOW - DAY).build()
        for each in range(150_000)
    ]
    subject = ROOT.certificate.parsed.subject
    made = x509.CertificateRevocationListBuilder(subject, NOW - HOUR, NOW + DAY, [], entries)
    return made.sign(ROOT.key, hashes.SHA256()).public_bytes(Encoding.DER)


async def longest_stall() -> float:
    """Return the most processor time that we took, with all threads, during a short sleep, in seconds, when cancelled.

    What other programs take of the machine is not counted.
    """
    worst = 0.0
    while True:
        begun = time.process_time()
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            return worst
        worst = max(worst, time.process_time() - begun)


def test_a_pause_grows_and_ends() -> None:
    """After failures in a row nobody tries for a while; then one may, and the next pause is longer, up to the limit."""
    now = 0.0
    pauses = Pauses(after=2, first=5, longest=12, clock=lambda: now)
    assert not pauses.failed("a")
    assert pauses.enter("a")
    assert pauses.failed("a"), "a pause begins, and is told of once"
    assert not pauses.failed("a")
    for length in (5, 10, 12, 12):
        now += length - 0.1
        assert not pauses.enter("a")
        now += 0.1
        assert pauses.enter("a")
        assert not pauses.enter("a"), "one at a time"
        pauses.failed("a")
        assert pauses.enter("b"), "others are not meant"
    pauses.succeeded("a")
    assert pauses.enter("a")
    assert not pauses.failed("a")
    assert pauses.enter("a")


def test_an_answer_without_an_end_of_its_own_ends_by_age() -> None:
    """Certificates say nothing of when to ask again."""
    one = Kept(Kind.ISSUERS, "0" * 64, "http://ca.example/", NOW, None, None, (b"x",))
    assert one.until(dt.timedelta(days=1)) == NOW + DAY

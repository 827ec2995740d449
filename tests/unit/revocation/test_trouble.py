"""Servers that hang, lie about their length, never end or lead elsewhere; names that lead inside; the mail goes on."""

from __future__ import annotations

import asyncio
import gzip
import threading
from typing import TYPE_CHECKING

import pytest

from gateway.core.errors import SetupError
from gateway.pki.needs import NOTHING_FOUND, Needs
from gateway.revocation.client import FetchError
from gateway.revocation.turns import Turns
from support.asking import BESIDE, LEAF, ROOT, asking, settings, status
from support.peers import free_port
from support.responder import drip, endless, hang, ocsp_answer, page, redirect
from support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from support.responder import Site

CRL = ROOT.revocation_list()
GOOD = ocsp_answer(LEAF, ROOT)


@pytest.mark.parametrize("page_of_trouble", [hang, drip])
async def test_a_server_that_hangs_or_drips(tmp_path: Path, site: Site, page_of_trouble: object) -> None:
    """One answer takes the time limit at most, however busily it trickles."""
    site.pages["/a.crl"] = page_of_trouble  # type: ignore[assignment]
    async with asking(tmp_path, settings(site)) as found:
        async with asyncio.timeout(30):  # it would go on for ever
            evidence = await found.gather(status(lists=(site.url("/a.crl"),)))
    assert (evidence.crls, evidence.troubles) == ((), (f"{site.name}: no_answer_in_time",))


async def test_a_gigabyte_is_cut_off(tmp_path: Path, site: Site) -> None:
    """No more is read than the settings allow, whether or not the length is told; nothing is kept."""
    site.pages["/a.crl"] = endless
    site.pages["/b.crl"] = page(CRL, Content_Length="1073741824")
    async with asking(tmp_path, settings(site, max_octets=65536, timeout=5, patience=5)) as found:
        evidence = await found.gather(status(lists=(site.url("/a.crl"), site.url("/b.crl"))))
    assert evidence.troubles == (f"{site.name}: too_large",)
    assert site.sent < 32 * 2**20, "what the sockets hold at most"


async def test_a_bomb_is_not_unpacked(tmp_path: Path, site: Site) -> None:
    """Compression is not asked for, and not taken."""
    site.pages["/a.crl"] = page(gzip.compress(bytes(2**20)), Content_Encoding="gzip")
    site.pages["/b.crl"] = page(gzip.compress(CRL), Content_Encoding="gzip")
    async with asking(tmp_path, settings(site)) as found:
        evidence = await found.gather(status(lists=(site.url("/a.crl"), site.url("/b.crl"))))
    assert (evidence.crls, evidence.troubles) == ((), (f"{site.name}: compressed",))


async def test_a_redirect_is_not_followed(tmp_path: Path, site: Site) -> None:
    """Neither to the cloud's own addresses nor to the next page of the same site."""
    site.pages["/a.crl"] = redirect("http://169.254.169.254/latest/meta-data/")
    site.pages["/b.crl"] = redirect(site.url("/c.crl"))
    site.pages["/c.crl"] = page(CRL)
    async with asking(tmp_path, settings(site)) as found:
        evidence = await found.gather(status(lists=(site.url("/a.crl"), site.url("/b.crl"))))
    assert evidence.troubles == (f"{site.name}: redirect",)
    assert site.asked["/c.crl"] == 0


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_listed_name_that_leads_inside(tmp_path: Path, site: Site, host: str) -> None:
    """The address counts, not the name: without a listed network nothing private is connected to, nothing is sent."""
    site.pages["/a.crl"] = page(CRL)
    needs = status(lists=(f"http://{host}:{site.port}/a.crl",))
    async with asking(tmp_path, settings(site, hosts=[f"{host}:{site.port}"], private_networks=[])) as found:
        evidence = await found.gather(needs)
    assert evidence.troubles == (f"{host}:{site.port}: not_a_public_address",)
    assert site.asked == {}
    async with asking(tmp_path, settings(site, hosts=[f"{host}:{site.port}"])) as found:
        assert (await found.gather(needs)).crls == (CRL,)


async def test_a_proxy_of_the_environment_is_not_used(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would connect wherever it likes."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    site.pages["/a.crl"] = page(CRL)
    async with asking(tmp_path, settings(site)) as found:
        assert (await found.gather(status(lists=(site.url("/a.crl"),)))).crls == (CRL,)


async def test_a_site_that_is_down_costs_two_messages_at_most(tmp_path: Path, site: Site) -> None:
    """After two troubles in a row it is left alone for a while: mail must not wait for it again and again."""
    site.pages["/a"] = hang
    needs = [status(lists=(site.url("/a"),), about=ROOT.issue(f"{number}")) for number in range(12)]
    async with asking(tmp_path, settings(site, timeout=0.2)) as found:
        for each in needs:
            assert (await found.gather(each)).crls == ()
    assert site.asked["/a"] == 2


async def test_all_servers_down(tmp_path: Path, site: Site) -> None:
    """Many messages at once end in bounded time with nothing, each told what was in the way."""
    dead = free_port()
    hosts = [f"127.0.0.1:{dead}", site.name]
    site.pages["/ocsp"] = hang
    needs = [
        status(ocsp=(site.url("/ocsp"),), lists=(f"http://127.0.0.1:{dead}/{number}.crl",), about=ROOT.issue("x"))
        for number in range(60)
    ]
    async with asking(tmp_path, settings(site, hosts=hosts)) as found:
        async with asyncio.timeout(30):  # one after the other would take a minute
            evidence = await asyncio.gather(*map(found.gather, needs))
    assert all((each.ocsps, each.crls, each.until) == ((), (), None) and each.troubles for each in evidence)


async def test_a_hanging_responder_does_not_keep_the_lists_away(tmp_path: Path, site: Site) -> None:
    """They are got while it hangs, and are enough."""
    site.pages["/ocsp"] = hang
    site.pages["/a.crl"] = page(CRL)
    async with asking(tmp_path, settings(site, timeout=3, patience=1)) as found:
        evidence = await found.gather(status(ocsp=(site.url("/ocsp"),), lists=(site.url("/a.crl"),)))
    assert evidence.crls == (CRL,)


async def test_a_late_responder_is_not_asked_again(tmp_path: Path, site: Site) -> None:
    """Its answer, which the lists made needless for one message, serves the next one."""
    got = threading.Event()

    def slowly(site: Site, handler: object, body: bytes) -> None:
        assert got.wait(30)
        page(GOOD)(site, handler, body)  # type: ignore[arg-type]

    site.pages["/ocsp"] = slowly
    site.pages["/a.crl"] = page(CRL)
    needs = status(ocsp=(site.url("/ocsp"),), lists=(site.url("/a.crl"),))
    async with asking(tmp_path, settings(site, timeout=30, patience=3)) as found:
        assert (await found.gather(needs)).crls == (CRL,)
        got.set()
        await until(lambda: not found._flights)
        assert (await found.gather(needs)).ocsps == (GOOD,)
    assert site.asked == {"/a.crl": 1, "/ocsp": 1}


async def test_what_comes_late_serves_the_next_message(tmp_path: Path, site: Site) -> None:
    """Nobody waits longer than the patience, and the work is not lost."""
    waited_for = threading.Event()

    def slowly(site: Site, handler: object, body: bytes) -> None:
        assert waited_for.wait(30)
        page(CRL)(site, handler, body)  # type: ignore[arg-type]

    site.pages["/a.crl"] = slowly
    needs = status(lists=(site.url("/a.crl"),))
    async with asking(tmp_path, settings(site, timeout=30, patience=0.2)) as found:
        first = await found.gather(needs)
        assert first.troubles == ("patience: ended before an answer came",)
        waited_for.set()
        await until(lambda: not found._flights)
        assert (await found.gather(needs)).crls == (CRL,)
    assert site.asked == {"/a.crl": 1}


async def test_an_impatient_message_does_not_stop_the_others(tmp_path: Path, site: Site) -> None:
    """A client that goes away cancels its own waiting only."""
    gone = threading.Event()

    def slowly(site: Site, handler: object, body: bytes) -> None:
        assert gone.wait(30)
        page(GOOD)(site, handler, body)  # type: ignore[arg-type]

    site.pages["/ocsp"] = slowly
    needs = status(ocsp=(site.url("/ocsp"),))
    async with asking(tmp_path, settings(site, timeout=30, patience=30)) as found:
        first = asyncio.create_task(found.gather(needs))
        second = asyncio.create_task(found.gather(needs))
        await until(lambda: site.asked["/ocsp"])
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gone.set()
        assert (await second).ocsps == (GOOD,)
    assert site.asked == {"/ocsp": 1}


async def test_a_hundred_messages_are_one_request(tmp_path: Path, site: Site) -> None:
    """Whoever needs the same at the same time shares one download; the next one takes it from the cache."""
    site.pages["/a.crl"] = page(CRL)
    site.pages["/ocsp"] = page(GOOD)
    needs = [status(ocsp=(site.url("/ocsp"),)), status(lists=(site.url("/a.crl"),), about=BESIDE)] * 50
    async with asking(tmp_path, settings(site)) as found:
        evidence = await asyncio.gather(*map(found.gather, needs))
        await found.gather(needs[0])
    assert {each.crls or each.ocsps for each in evidence} == {(CRL,), (GOOD,)}
    assert site.asked == {"/a.crl": 1, "/ocsp": 1}


async def test_strangers_issuers_do_not_take_the_turns_of_lists(tmp_path: Path, site: Site) -> None:
    """Whoever sends mail can name many places of a listed host that is slow; lists of others are still got."""
    site.pages["/a.crl"] = page(CRL)
    for number in range(64):
        site.pages[f"/{number}"] = hang
    async with asking(tmp_path, settings(site, timeout=60, patience=60)) as found:
        flood = [
            asyncio.create_task(found.gather(Needs(issuers=tuple(site.url(f"/{each * 8 + n}") for n in range(8)))))
            for each in range(8)
        ]
        await until(lambda: sum(site.asked.values()) == 2)
        async with asyncio.timeout(30):  # each of the others is waited for a minute
            assert (await found.gather(status(lists=(site.url("/a.crl"),)))).crls == (CRL,)
        assert sum(site.asked.values()) - 1 <= 2, "two at a time of one site"
        for each in flood:
            each.cancel()
        await asyncio.gather(*flood, return_exceptions=True)


async def test_a_reload_changes_who_may_be_asked(tmp_path: Path, site: Site) -> None:
    """A host that was taken out is not asked from then on, one that was put in is."""
    site.pages["/a.crl"] = page(CRL)
    needs = status(lists=(site.url("/a.crl"),))
    async with asking(tmp_path, settings(site, hosts=["other.example"])) as found:
        assert (await found.gather(needs)).crls == ()
        found.use(settings(site))
        assert (await found.gather(needs)).crls == (CRL,)
        found.use(settings(site, hosts=[]))
        assert (await found.gather(status(lists=(site.url("/b.crl"),)))).crls == ()
    assert site.asked == {"/a.crl": 1}


async def test_a_directory_that_cannot_be_used(tmp_path: Path, site: Site) -> None:
    """The start says so, with its name: an administrator must mend it."""
    (tmp_path / "revocation").write_bytes(b"")
    with pytest.raises(SetupError, match="revocation: cannot be used"):
        async with asking(tmp_path, settings(site)):
            pass


async def test_nobody_floods_an_authority_through_us() -> None:
    """Whoever sends mail chooses what issuers are asked for, but not how often: so many begin in a minute."""
    now = 600.0
    turns = Turns(for_each=2, for_all=4, waiting=64, a_minute=3, clock=lambda: now)

    async def begun() -> bool:
        try:
            async with turns.turn("ca.example:80"):
                return True
        except FetchError:
            return False

    assert [await begun() for _ in range(5)] == [True, True, True, False, False]
    now += 60
    assert await begun()


async def test_before_the_start_nothing_is_found(tmp_path: Path, site: Site) -> None:
    """No fault, and no request."""
    from gateway.revocation.fetching import Revocation  # noqa: PLC0415 - the one test that does not start it
    from support.asking import Clock  # noqa: PLC0415 - as above

    found = Revocation(settings(site), tmp_path, Clock())
    assert await found.gather(status(lists=(site.url("/a.crl"),))) == NOTHING_FOUND
    assert site.asked == {}

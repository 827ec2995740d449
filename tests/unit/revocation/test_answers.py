"""What is fetched and believed: right answers of real servers, and every lie refused."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.demo.authority import pem
from gateway.pki.certificate import Certificate
from gateway.pki.needs import Needs
from gateway.pki.ocsp import OcspStatus, read_answer
from gateway.revocation.fetching import NOT_LISTED
from support.asking import BESIDE, LEAF, OTHER, ROOT, Clock, asking, settings, status
from support.letters import NOW
from support.responder import HOUR, Site, ocsp_answer, openssl_responder, page
from support.tree import DAY, root

if TYPE_CHECKING:
    from pathlib import Path

GOOD = ocsp_answer(LEAF, ROOT)
CRL = ROOT.revocation_list()


async def test_a_responders_answer_is_evidence(tmp_path: Path, site: Site) -> None:
    """Its octets, unchanged, and until when they may be believed: the age of the settings, or their own end."""
    site.pages["/ocsp"] = page(GOOD)
    async with asking(tmp_path, settings(site)) as found:
        evidence = await found.gather(status(ocsp=(site.url("/ocsp"),), lists=(site.url("/a.crl"),)))
    assert (evidence.ocsps, evidence.crls, evidence.troubles) == ((GOOD,), (), ())
    assert evidence.until == NOW + HOUR
    assert site.asked == {"/ocsp": 1}


async def test_the_request_tells_little(tmp_path: Path, site: Site) -> None:
    """A POST with the registered type; no compression is offered, no cookie, and nothing about us."""
    site.pages["/ocsp"] = page(GOOD, Set_Cookie="a=b")
    site.pages["/a.crl"] = page(CRL)
    async with asking(tmp_path, settings(site)) as found:
        await found.gather(status(ocsp=(site.url("/ocsp"),)))
        await found.gather(status(lists=(site.url("/a.crl"),)))
    post, get = site.heads
    assert post["Content-Type"] == "application/ocsp-request"
    for head in (post, get):
        assert head["Accept-Encoding"] == "identity"
        assert not {"Cookie", "Referer", "Authorization", "Proxy-Authorization"} & head.keys()


async def test_lists_stand_in_for_a_responder(tmp_path: Path, site: Site) -> None:
    """Every distribution point is asked; a PEM list is taken, as DER; the first list alone would not be all."""
    site.pages["/a.crl"] = page(CRL)
    site.pages["/b.crl"] = page(pem_crl(CRL))
    asked = status(ocsp=(site.url("/ocsp"),), lists=(site.url("/a.crl"), site.url("/b.crl")))
    async with asking(tmp_path, settings(site)) as found:
        evidence = await found.gather(asked)
    assert evidence.crls == (CRL, CRL)
    assert evidence.troubles == (f"{site.name}: status_404",)
    assert evidence.until is None, "the responder may answer next time"


def pem_crl(der: bytes) -> bytes:
    """Return a list as PEM."""
    return x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)


async def test_a_list_is_believed_for_its_own_age(tmp_path: Path, site: Site) -> None:
    """Four hours by the settings, never past its next update."""
    site.pages["/a.crl"] = page(CRL)
    site.pages["/b.crl"] = page(ROOT.revocation_list(end=NOW + HOUR))
    async with asking(tmp_path, settings(site)) as found:
        assert (await found.gather(status(lists=(site.url("/a.crl"),)))).until == NOW + 4 * HOUR
        assert (await found.gather(status(lists=(site.url("/b.crl"),)))).until == NOW + HOUR


DELEGATE_OF_ANOTHER = OTHER.issue("Responder", extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])])
NAMESAKE = root("Gốc")
LIES = {
    "garbage": (b"garbage", "malformed"),
    "empty": (b"", "malformed"),
    "try later": (b"\x30\x03\x0a\x01\x03", "not_successful"),
    "another certificate": (ocsp_answer(BESIDE, ROOT), "other_certificate"),
    "another issuer": (ocsp_answer(LEAF, OTHER), "other_certificate"),
    "a stranger's signature": (ocsp_answer(LEAF, ROOT, signer=OTHER), "responder_not_authorized"),
    "another issuer's delegate": (ocsp_answer(LEAF, ROOT, signer=DELEGATE_OF_ANOTHER), "responder_of_another_issuer"),
    "unknown": (ocsp_answer(LEAF, ROOT, status=ocsp.OCSPCertStatus.UNKNOWN), "unknown"),
    "ended": (ocsp_answer(LEAF, ROOT, start=NOW - DAY, end=NOW - HOUR), "stale"),
    "no end": (ocsp_answer(LEAF, ROOT, end=None), "no_next_update"),
    "not begun": (ocsp_answer(LEAF, ROOT, start=NOW + HOUR), "not_yet_valid"),
    "a longer life": (GOOD.replace(b"20261124133000Z", b"20261130133000Z"), "responder_not_authorized"),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_of_a_responder_is_not_kept(tmp_path: Path, site: Site, lie: str) -> None:
    """It is no evidence, and the truth is taken as soon as it is there."""
    octets, reason = LIES[lie]
    site.pages["/ocsp"] = page(octets)
    asked = status(ocsp=(site.url("/ocsp"),))
    async with asking(tmp_path, settings(site)) as found:
        evidence = await found.gather(asked)
        assert (evidence.ocsps, evidence.until) == ((), None)
        assert evidence.troubles == (f"{site.name}: {reason}",)
    site.pages["/ocsp"] = page(GOOD)
    async with asking(tmp_path, settings(site)) as found:  # another process: nothing of the lie was kept
        assert (await found.gather(asked)).ocsps == (GOOD,)


FORGED_LISTS = {
    "garbage": (b"garbage", "malformed_list"),
    "garbage that begins well": (b"\x30\x82\xff\xff", "malformed_list"),
    "a certificate": (ROOT.certificate.der, "malformed_list"),
    "another issuer's": (OTHER.revocation_list(), "list_of_another_issuer"),
    "a namesake's": (NAMESAKE.revocation_list(), "list_signature"),
    "ended": (ROOT.revocation_list(start=NOW - 9 * DAY, end=NOW - HOUR), "list_ended"),
    "not begun": (ROOT.revocation_list(start=NOW + HOUR), "malformed_list"),
    "two lists": (pem_crl(CRL) + pem_crl(OTHER.revocation_list()), "malformed_list"),
}


@pytest.mark.parametrize("lie", FORGED_LISTS)
async def test_a_forged_list_is_not_kept(tmp_path: Path, site: Site, lie: str) -> None:
    """Neither another authority's nor an old one takes the place of the issuer's own."""
    octets, reason = FORGED_LISTS[lie]
    site.pages["/a.crl"] = page(octets)
    async with asking(tmp_path, settings(site)) as found:
        evidence = await found.gather(status(lists=(site.url("/a.crl"),)))
    assert (evidence.crls, evidence.troubles) == ((), (f"{site.name}: {reason}",))
    assert list((tmp_path / "revocation").iterdir()) == []


async def test_yesterdays_answer_does_not_replace_todays(tmp_path: Path, site: Site) -> None:
    """Over plain HTTP anybody on the way can send an older list that is still in date, without the revoked one."""
    clock = Clock()
    today = ROOT.revocation_list(BESIDE.certificate, start=NOW - HOUR)
    site.pages["/a.crl"] = page(today)
    lists = (site.url("/a.crl"),)
    async with asking(tmp_path, settings(site), clock) as found:
        assert (await found.gather(status(lists=lists))).crls == (today,)
        site.pages["/a.crl"] = page(ROOT.revocation_list(start=NOW - DAY))
        clock.move(hours=5)
        evidence = await found.gather(status(lists=lists))
        assert (evidence.crls, evidence.troubles) == ((), (f"{site.name}: older_than_before",))
        assert (await found.gather(status(lists=lists, about=BESIDE))).crls == (today,)


async def test_an_indirect_list_is_kept_for_whoever_names_its_issuer(tmp_path: Path, site: Site) -> None:
    """A certificate may say that another authority lists it (cRLIssuer); whether that may count is judged later."""
    point = x509.DistributionPoint(
        [x509.UniformResourceIdentifier(site.url("/a.crl"))],
        None,
        None,
        [x509.DirectoryName(OTHER.certificate.parsed.subject)],
    )
    named = ROOT.issue("Lan", extensions=[x509.CRLDistributionPoints([point])])
    octets = OTHER.revocation_list()
    site.pages["/a.crl"] = page(octets)
    async with asking(tmp_path, settings(site)) as found:
        assert (await found.gather(status(lists=(site.url("/a.crl"),), about=named))).crls == (octets,)


async def test_a_place_serves_each_issuer_its_own(tmp_path: Path, site: Site) -> None:
    """What one authority was answered at a place is no answer for another that names the same place."""
    other_leaf = OTHER.issue("Lạ")
    site.pages["/a.crl"] = page(OTHER.revocation_list())
    async with asking(tmp_path, settings(site)) as found:
        assert (await found.gather(status(lists=(site.url("/a.crl"),), about=other_leaf, issuer=OTHER))).crls
        site.pages["/a.crl"] = page(CRL)
        assert (await found.gather(status(lists=(site.url("/a.crl"),)))).crls == (CRL,)


async def test_issuers_come_as_der_pem_or_pkcs7(tmp_path: Path, site: Site) -> None:
    """As authorities publish them; more than ten are none."""
    ders = {"/a.crt": ROOT.certificate.der, "/a.pem": pem(OTHER.certificate.der)}
    both = [ROOT.certificate.parsed, OTHER.certificate.parsed]
    bag = pkcs7.serialize_certificates(both, Encoding.DER)
    for path, octets in {**ders, "/a.p7c": bag, "/many": ROOT.certificate.der * 11, "/bad": b"garbage"}.items():
        site.pages[path] = page(octets)

    async def found_at(*paths: str) -> tuple[set[str], tuple[str, ...]]:
        evidence = await found.gather(Needs(issuers=tuple(map(site.url, paths))))
        return {Certificate.load(each).fingerprint for each in evidence.certificates}, evidence.troubles

    async with asking(tmp_path, settings(site)) as found:
        assert await found_at("/a.crt", "/a.pem") == ({ROOT.certificate.fingerprint, OTHER.certificate.fingerprint}, ())
        assert await found_at("/a.p7c") == ({ROOT.certificate.fingerprint, OTHER.certificate.fingerprint}, ())
        assert await found_at("/many") == (set(), (f"{site.name}: too_many_certificates",))
        assert await found_at("/bad") == (set(), (f"{site.name}: malformed_certificate",))


async def test_hosts_that_are_not_listed(tmp_path: Path, site: Site) -> None:
    """They are never asked; what is listed still is, and nothing more could be had."""
    site.pages["/a.crl"] = page(CRL)
    strange = f"http://localhost:{site.port}/b.crl"
    async with asking(tmp_path, settings(site)) as found:
        evidence = await found.gather(status(lists=(strange, site.url("/a.crl"))))
    assert evidence.crls == (CRL,)
    assert evidence.troubles == (f"{strange}: {NOT_LISTED}",)
    assert evidence.until == NOW + 4 * HOUR
    assert site.asked == {"/a.crl": 1}


async def test_a_real_responder(tmp_path: Path) -> None:
    """`openssl ocsp` answers for a good and for a revoked certificate, and both answers are kept."""
    now = dt.datetime.now(dt.UTC)
    authority = root(start=now - DAY, end=now + DAY)
    good, revoked = (authority.issue(each, start=now - HOUR, end=now + DAY) for each in ("good", "revoked"))
    clock = Clock()
    clock.now = now + dt.timedelta(seconds=2)
    with openssl_responder(tmp_path, authority, good, revoked) as port, Site() as site:
        allowed = settings(site, hosts=[f"127.0.0.1:{port}"], timeout=10, patience=15)
        async with asking(tmp_path, allowed, clock) as found:
            for node, said in ((good, OcspStatus.GOOD), (revoked, OcspStatus.REVOKED)):
                needs = status(ocsp=(f"http://127.0.0.1:{port}",), about=node, issuer=authority)
                evidence = await found.gather(needs)
                assert evidence.troubles == ()
                (octets,) = evidence.ocsps
                issuer = authority.certificate
                answer = read_answer(octets, certificate=node.certificate, issuer=issuer, at=clock.now)
                assert answer.status is said

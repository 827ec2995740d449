"""Certificates before, after and taken back in between; and what signers claim about when they signed.

A letter is judged at its receipt. What a signature says of its own time proves nothing, and is noted where it is odd.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from gateway.cms.asn1 import tlv
from gateway.demo.authority import Credential
from support.attacks import GREEN, head, part, signer
from support.forger import SIGNING_TIME, Forger, attribute
from support.letters import clear_entity, mail
from support.outage import DAY, HOUR, OFFICE, asked
from support.responder import Site, page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.attacks import Delivered, Field
    from support.outage import Office
    from support.tree import Node

WRITTEN: Final = dt.datetime(2026, 11, 24, 1, 29, tzinfo=dt.UTC)
"""The Date of every letter: 08:29 of +07:00."""
SECOND: Final = dt.timedelta(seconds=1)


@pytest.fixture(scope="module")
def room() -> Iterator[tuple[Office, Field]]:
    """A gateway that believes what it fetched for a second only."""
    with Site() as site, asked(site, ocsp_max_age=1.0, crl_max_age=1.0) as found:
        yield found


def deliver(room: tuple[Office, Field], name: str, **span: Any) -> Delivered:
    """Deliver a letter of a leaf of this span, about which both servers say that it is good."""
    office, field = room
    leaf = office.leaf(name, **span)
    office.serve(name, leaf)
    return field.deliver(office.letter(leaf), sender=OFFICE)


@pytest.mark.parametrize(
    ("start", "end"),
    [(-300 * DAY, -10 * DAY), (-300 * DAY, -2 * SECOND), (10 * DAY, 90 * DAY), (HOUR, 90 * DAY)],
    ids=["long ago", "just now", "not yet", "in an hour"],
)
def test_a_certificate_out_of_its_time(room: tuple[Office, Field], start: dt.timedelta, end: dt.timedelta) -> None:
    """Expired, or not yet valid: not trusted, whatever the servers say of it, and whatever Date says."""
    office, _ = room
    assert deliver(room, f"tot{start.days}{end.days}").greens == GREEN
    found = deliver(room, f"ngoai{start.days}{end.days}", start=office.now + start, end=office.now + end)
    assert found.greens == frozenset()
    assert found.verdict == "not_trusted"


def test_signed_while_it_was_valid_is_only_a_claim(room: tuple[Office, Field]) -> None:
    """Whoever has a key that expired can sign today and say that it was last month."""
    office, field = room
    leaf = office.leaf("cu", start=office.now - 300 * DAY, end=office.now - DAY)
    office.serve("cu", leaf)
    claim = _claim(office.now - 30 * DAY)
    content = part()
    forger = Forger(_credential(office, leaf), more=[claim])
    found = field.harmless(mail(clear_entity(content, forger.cms(content)), head=head(author=OFFICE)), sender=OFFICE)
    assert found.verdict == "not_trusted"


@pytest.mark.parametrize("by", ["responder", "list"])
def test_revoked_after_a_letter_was_verified(room: tuple[Office, Field], by: str) -> None:
    """The next one is not, as soon as the age is over for which data are believed; nor is a copy of the first."""
    office, field = room
    name = f"thu-hoi-{by}"
    leaf = office.leaf(name, ocsp=by == "responder")
    office.serve(name, leaf)
    good = office.letter(leaf)
    assert field.deliver(good, sender=OFFICE).greens == GREEN
    revoked = {
        "responder": (f"/ocsp/{name}", office.answer(leaf, status=ocsp.OCSPCertStatus.REVOKED)),
        "list": (f"/{name}.crl", office.list(leaf)),
    }
    path, answer = revoked[by]
    office.site.pages[path] = page(answer)
    time.sleep(1.2)
    assert field.harmless(office.letter(leaf), sender=OFFICE).why == ("not_trusted", "revoked")
    assert field.harmless(good, sender=OFFICE).verdict == "not_trusted"


def test_held_back_for_a_while_is_revoked(room: tuple[Office, Field]) -> None:
    """Of a certificate on hold nobody knows whether it comes back."""
    office, field = room
    leaf = office.leaf("tam-giu", ocsp=False)
    office.serve("tam-giu", leaf)
    assert field.deliver(office.letter(leaf), sender=OFFICE).greens == GREEN
    held = office.list(leaf, reason=x509.ReasonFlags.certificate_hold)
    office.site.pages["/tam-giu.crl"] = page(held)
    time.sleep(1.2)
    assert field.harmless(office.letter(leaf), sender=OFFICE).verdict == "not_trusted"


def _claim(moment: dt.datetime) -> bytes:
    return attribute(SIGNING_TIME, tlv(0x17, f"{moment:%y%m%d%H%M%S}Z".encode()))


def _credential(office: Office, leaf: Node) -> Credential:
    return Credential(leaf.key, leaf.certificate.der, (office.issuer.certificate.der,))


@pytest.mark.parametrize(
    ("claimed", "note"),
    [
        (WRITTEN, None),
        (WRITTEN + dt.timedelta(minutes=50), None),
        (WRITTEN + 7 * HOUR, "signing_time_local"),
        (WRITTEN + 7 * HOUR + dt.timedelta(minutes=20), "signing_time_local"),
        (WRITTEN - 2 * DAY, "date_far_from_signing"),
        (WRITTEN + 3 * HOUR, "date_far_from_signing"),
        (dt.datetime(2049, 1, 1, tzinfo=dt.UTC), "signing_time_future"),
    ],
)
def test_a_claimed_signing_time(field: Field, claimed: dt.datetime, note: str | None) -> None:
    """Local time written as UTC is a known quirk and named as such; what is far off is told, and is no proof."""
    content = part()
    message = mail(clear_entity(content, Forger(signer(), more=[_claim(claimed)]).cms(content)), head=head())
    found = field.honest(message)
    odd = found.notes & {"signing_time_local", "signing_time_future", "date_far_from_signing"}
    assert note in odd if note is not None else not odd

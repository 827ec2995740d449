"""Servers of revocation data that hang, lie, never end, lead elsewhere or are down: nothing is green that is not known.

No message is lost, none waits longer than the patience that is set, and once a server is back its word counts again.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from support.attacks import GREEN
from support.outage import DAY, HOUR, OFFICE, PATIENCE, Office, asked
from support.responder import Site, drip, endless, hang, missing, ocsp_answer, page, redirect
from support.tree import root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.attacks import Delivered, Field
    from support.responder import Page
    from support.tree import Node

METADATA: Final = "http://169.254.169.254/latest/meta-data/"
SLACK: Final = 10.0
"""Seconds for everything else on a busy machine; a client would wait for minutes."""
SITES: Final[dict[str, Site]] = {}
"""What failed is left alone for a while, so no two tests may share it."""
Room = tuple[Office, "Field"]


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """A gateway that has to ask about every certificate; each way to fail has a site of its own."""
    with ExitStack() as stack:
        sites = [stack.enter_context(Site()) for _ in range(len(ANSWERS) + 1)]
        SITES.update(zip(ANSWERS, sites[1:], strict=True))
        with asked(sites[0], *sites[1:]) as found:
            yield found


def deliver(room: Room, leaf: Node) -> Delivered:
    """Deliver a new letter of a leaf; it is delivered, and in time."""
    office, field = room
    begun = time.monotonic()
    found = field.deliver(office.letter(leaf), sender=OFFICE)
    assert time.monotonic() - begun < PATIENCE + SLACK
    assert found.code == 250
    return found


def verified(room: Room, name: str) -> Node:
    """Return a leaf about which both servers say that it is good; a letter of it is green."""
    leaf = room[0].leaf(name)
    room[0].serve(name, leaf)
    assert deliver(room, leaf).greens == GREEN
    return leaf


def _other(office: Office) -> Node:
    """Return an authority of the issuer's name, and of another key."""
    return root("CA thử", start=office.now - DAY, end=office.now + DAY)


def _changed(answer: bytes) -> bytes:
    """Return an answer with another signature."""
    signature = ocsp.load_der_ocsp_response(answer).signature
    return answer.replace(signature, signature[:-1] + bytes([signature[-1] ^ 1]))


ANSWERS: Final[dict[str, Callable[[Site], Page]]] = {
    "hangs": lambda _site: hang,
    "drips": lambda _site: drip,
    "never ends": lambda _site: endless,
    "is not there": lambda _site: missing,
    "leads to the metadata server": lambda _site: redirect(METADATA),
    "leads to itself": lambda site: redirect(site.url("/loop")),
    "leads to a file": lambda _site: redirect("file:///etc/passwd"),
    "leads to another port": lambda _site: redirect("http://127.0.0.1:22/"),
    "is empty": lambda _site: page(b""),
    "is noise": lambda _site: page(b"\x30\x82\xff\xff" + b"\x5a" * 5000),
    "is a web page": lambda _site: page(b"<html>Bao tri he thong</html>"),
}
LIES: Final[dict[str, Callable[[Office, Node], bytes]]] = {
    "about another": lambda office, _leaf: office.answer(office.leaf("khac")),
    "of yesterday": lambda office, leaf: office.answer(leaf, start=office.now - 3 * DAY, end=office.now - HOUR),
    "of tomorrow": lambda office, leaf: office.answer(leaf, start=office.now + HOUR, end=office.now + DAY),
    "without an end": lambda office, leaf: office.answer(leaf, end=None),
    "unknown": lambda office, leaf: office.answer(leaf, status=ocsp.OCSPCertStatus.UNKNOWN),
    "signed by another": lambda office, leaf: ocsp_answer(
        leaf, office.issuer, signer=office.leaf("ai-do"), start=office.now - HOUR, end=office.now + DAY
    ),
    "signed by itself": lambda office, leaf: office.answer(leaf, signer=leaf),
    "try later": lambda _office, _leaf: ocsp.OCSPResponseBuilder.build_unsuccessful(
        ocsp.OCSPResponseStatus.TRY_LATER
    ).public_bytes(Encoding.DER),
    "unauthorized": lambda _office, _leaf: ocsp.OCSPResponseBuilder.build_unsuccessful(
        ocsp.OCSPResponseStatus.UNAUTHORIZED
    ).public_bytes(Encoding.DER),
    "one bit changed": lambda office, leaf: _changed(office.answer(leaf)),
}
LISTS: Final[dict[str, Callable[[Office], bytes]]] = {
    "ended": lambda office: office.list(start=office.now - 3 * DAY, end=office.now - HOUR),
    "of tomorrow": lambda office: office.list(start=office.now + HOUR, end=office.now + DAY),
    "of the root": lambda office: office.root.revocation_list(start=office.now - HOUR, end=office.now + DAY),
    "of the same name": lambda office: _other(office).revocation_list(start=office.now - HOUR, end=office.now + DAY),
    "one bit changed": lambda office: office.list()[:-20] + bytes(20),
    "half of it": lambda office: office.list()[:-40],
}
_count: Final = iter(range(10_000))


def new_name() -> str:
    """Return a name that no leaf has."""
    return f"so-{next(_count)}"


@pytest.mark.parametrize("how", ANSWERS)
def test_both_servers_answer_badly(room: Room, how: str) -> None:
    """Responder and list: neither says anything, and the letter is delivered without a color, in time."""
    office, _ = room
    verified(room, new_name())
    name = new_name()
    site = SITES[how]
    leaf = office.leaf(name, site=site)
    site.pages |= {f"/ocsp/{name}": ANSWERS[how](site), f"/{name}.crl": ANSWERS[how](site)}
    site.pages["/loop"] = redirect(site.url("/loop"))
    found = deliver(room, leaf)
    assert found.verdict == "indeterminate"
    assert found.greens == frozenset()
    assert "smime=temperror" in found.results
    assert site.asked[f"/ocsp/{name}"] == 1
    assert site.asked["/loop"] < 4
    assert site.sent < 2**27  # of the gigabyte: what sockets hold, and no more


@pytest.mark.parametrize("lie", LIES)
def test_the_responder_lies_and_there_is_no_list(room: Room, lie: str) -> None:
    """An answer that fails any check is none."""
    office, _ = room
    verified(room, new_name())
    name = new_name()
    leaf = office.leaf(name)
    office.site.pages[f"/ocsp/{name}"] = page(LIES[lie](office, leaf))
    found = deliver(room, leaf)
    assert found.verdict == "indeterminate"
    assert found.greens == frozenset()


@pytest.mark.parametrize("lie", LISTS)
def test_the_list_lies_and_there_is_no_responder(room: Room, lie: str) -> None:
    """The same of lists: of another issuer, of another time, damaged."""
    office, _ = room
    verified(room, new_name())
    name = new_name()
    leaf = office.leaf(name, ocsp=False)
    office.site.pages[f"/{name}.crl"] = page(LISTS[lie](office))
    found = deliver(room, leaf)
    assert found.verdict == "indeterminate"
    assert found.greens == frozenset()


@pytest.mark.parametrize("lie", LIES)
def test_where_the_responder_fails_the_list_counts(room: Room, lie: str) -> None:
    """A bad answer stops nobody from asking for the list, whatever it then says."""
    office, _ = room
    for revoked, verdict in ((False, "verified"), (True, "not_trusted")):
        name = new_name()
        leaf = office.leaf(name)
        office.site.pages[f"/ocsp/{name}"] = page(LIES[lie](office, leaf))
        office.site.pages[f"/{name}.crl"] = page(office.list(*([leaf] if revoked else [])))
        assert deliver(room, leaf).verdict == verdict


def test_revoked_by_either_is_revoked(room: Room) -> None:
    """Neither hides the other: a good answer does not undo a list that says revoked, once that is known."""
    office, _ = room
    verified(room, new_name())
    name = new_name()
    leaf = office.leaf(name)
    office.serve(name, leaf)
    office.site.pages[f"/ocsp/{name}"] = page(office.answer(leaf, status=ocsp.OCSPCertStatus.REVOKED))
    found = deliver(room, leaf)
    assert found.why == ("not_trusted", "revoked")
    name = new_name()
    leaf = office.leaf(name, ocsp=False)
    office.site.pages[f"/{name}.crl"] = page(office.list(leaf))
    assert deliver(room, leaf).why == ("not_trusted", "revoked")


def test_a_certificate_that_names_nowhere_to_ask(room: Room) -> None:
    """Data is required of every certificate, whether or not it says where they are."""
    office, _ = room
    verified(room, new_name())
    found = deliver(room, office.leaf(new_name(), ocsp=False, lists=()))
    assert found.verdict == "indeterminate"


@pytest.mark.parametrize(
    "place",
    [
        METADATA,
        "http://169.254.169.254:80/x.crl",
        "http://[::ffff:169.254.169.254]/x.crl",
        "http://0xa9fea9fe/x.crl",
        "http://2852039166/x.crl",
        "http://localhost:22/x.crl",
        "http://10.0.0.1/x.crl",
        "file:///etc/passwd",
        "ldap://127.0.0.1/x",
        "gopher://127.0.0.1/x",
        "http://user:secret@169.254.169.254/x.crl",
    ],
)
def test_a_certificate_that_names_a_place_inside(room: Room, place: str) -> None:
    """Whoever can get a certificate chooses no address that the gateway asks."""
    office, _ = room
    verified(room, new_name())
    assert deliver(room, office.leaf(new_name(), ocsp=False, lists=(place,))).verdict == "indeterminate"


def test_all_servers_down_and_back_again() -> None:
    """Down: nothing new is green, nothing is lost, nobody waits long; what is known holds; back: verified at once."""
    with Site() as site, asked(site) as room:
        office, field = room
        known = verified(room, "biet")
        names = [f"moi-{number}" for number in range(4)]
        leaves = [office.leaf(name) for name in names]
        for path in [*site.pages, *(f"/ocsp/{name}" for name in names), *(f"/{name}.crl" for name in names)]:
            site.pages[path] = hang
        for leaf in leaves:
            found = deliver(room, leaf)
            assert found.verdict == "indeterminate"
            assert found.greens == frozenset()
        assert deliver(room, known).greens == GREEN
        site.pages["/root.crl"] = page(office.root.revocation_list(start=office.now - HOUR, end=office.now + DAY))
        for name, leaf in zip(names, leaves, strict=True):
            office.serve(name, leaf)
        end = time.monotonic() + 120
        while deliver(room, leaves[0]).greens != GREEN:  # a server that failed is left alone for a while
            assert time.monotonic() < end
            time.sleep(0.5)
        assert field.gate.process is not None

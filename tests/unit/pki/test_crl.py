"""Revocation lists read once (RFC 5280 5): big ones are quick, false ones never remembered, what they say counts."""

from __future__ import annotations

import datetime as dt
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from asn1crypto import core as asn1_core
from asn1crypto import crl as asn1_crl
from cryptography import x509

from gateway.demo.authority import shared_key
from gateway.pki import crl
from gateway.pki.crl import Entry, RevocationList, entry_of, fresh, genuine, read_lists, speaks_for
from support.forger import raw
from support.letters import NOW
from support.pace import soon
from support.tree import DAY, Node, root, usage

if TYPE_CHECKING:
    from gateway.pki.certificate import Certificate

TOP = root("Gốc")
SUB = TOP.issue("Cấp hai", ca=True)
LEAF = SUB.issue("lan").certificate
OTHER = SUB.issue("minh").certificate


def read(der: bytes, at: dt.datetime = NOW) -> RevocationList:
    (one,) = read_lists((), (der,), at=at)
    return one


def says(der: bytes, certificate: Certificate = LEAF, at: dt.datetime = NOW) -> Entry:
    return entry_of(read(der, at), SUB.certificate, certificate, at=at)


def big(entries: int, *, extra: Certificate | None = None) -> bytes:
    """Return a list of the issuer with so many entries of realistic size, built in a second rather than ten."""
    seeded = random.Random(7)  # noqa: S311 - serial numbers of nobody
    built = asn1_crl.CertificateList.load(SUB.revocation_list(LEAF, reason=x509.ReasonFlags.key_compromise))
    entry = built["tbs_cert_list"]["revoked_certificates"][0].dump()
    serial = asn1_core.Integer(LEAF.serial_number).dump()
    at = entry.index(serial)
    behind = entry[at + len(serial) :]

    def one(number: int) -> bytes:
        content = asn1_core.Integer(number).dump() + behind
        return bytes([0x30, len(content)]) + content

    numbers = [seeded.getrandbits(126) | 1 << 126 for _ in range(entries)]
    content = b"".join(map(one, numbers + ([extra.serial_number] if extra else [])))
    header = b"\x30\x83" + len(content).to_bytes(3, "big")
    tbs = built["tbs_cert_list"]
    tbs["revoked_certificates"] = asn1_crl.RevokedCertificates.load(header + content)
    octets = tbs.dump()
    built["signature"] = raw(SUB.key, octets)
    return bytes(built.dump())


@pytest.fixture(scope="module")
def large() -> bytes:
    return big(50_000, extra=OTHER)


def test_large_lists_are_read_once(large: bytes) -> None:
    """50,000 entries: under 150 ms the first time, and a millisecond whenever somebody asks again."""
    crl._CACHE.__init__()  # type: ignore[misc]
    with soon(0.15):
        assert says(large) is Entry.NONE
    begin = time.process_time()
    for _ in range(10):
        assert speaks_for(read(large), SUB.certificate)
        assert says(large) is Entry.NONE
    assert (time.process_time() - begin) / 10 < 0.001
    assert says(large, OTHER) is Entry.REVOKED


def test_lists_are_read_by_several_threads_at_once(large: bytes) -> None:
    """Every thread gets the same answer while entries come and go."""
    crl._CACHE.__init__()  # type: ignore[misc]
    small = [SUB.revocation_list(LEAF, start=NOW - DAY - dt.timedelta(seconds=number)) for number in range(80)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(says, [*small, large] * 3))
    assert found == ([Entry.REVOKED] * 80 + [Entry.NONE]) * 3
    assert len(crl._CACHE._kept) <= crl._KEPT_LISTS
    assert crl._CACHE._octets == sum(map(len, crl._CACHE._kept))


def test_false_lists_are_never_kept() -> None:
    """Only a list that an issuer really signed gets into the cache, so that strangers' push nothing out of it."""
    crl._CACHE.__init__()  # type: ignore[misc]
    twin = TOP.issue("Cấp hai", ca=True)
    false = Node(SUB.certificate, twin.key).revocation_list(LEAF)
    assert not genuine(read(false), (SUB.certificate, TOP.certificate))
    assert not speaks_for(read(false), SUB.certificate)
    assert says(false) is Entry.NONE
    assert not crl._CACHE._kept
    assert genuine(read(false), (twin.certificate,))
    assert says(false) is Entry.NONE  # kept now, under its own key only


def test_the_name_counts_as_much_as_the_key() -> None:
    """A list under another name of the same key is not the issuer's."""
    renamed = TOP.issue("Tên khác", ca=True, key=SUB.key)
    assert not genuine(read(renamed.revocation_list(LEAF)), (SUB.certificate,))


@pytest.mark.parametrize(
    ("reason", "ended", "expected"),
    [
        (None, False, Entry.REVOKED),
        (None, True, Entry.REVOKED),
        (x509.ReasonFlags.key_compromise, True, Entry.REVOKED),
        (x509.ReasonFlags.certificate_hold, False, Entry.ON_HOLD),
        (x509.ReasonFlags.certificate_hold, True, Entry.NONE),
    ],
)
def test_entries(reason: x509.ReasonFlags | None, ended: object, expected: Entry) -> None:
    """Revoked stays revoked; a hold ends with its list."""
    end = NOW - DAY if ended else NOW + DAY
    made = SUB.revocation_list(LEAF, start=NOW - 9 * DAY, end=end, reason=reason)
    assert says(made) is expected
    assert says(made, OTHER) is Entry.NONE
    assert fresh(read(made), NOW) is not ended


def test_entries_of_later_do_not_count_yet() -> None:
    """Whoever was revoked later was not at the time that is judged; a list from the future falls out."""
    made = SUB.revocation_list(LEAF, start=NOW + DAY, end=NOW + 9 * DAY)
    assert read_lists((made,), (made,), at=NOW) == ()
    assert says(made, at=NOW + 2 * DAY) is Entry.REVOKED


def test_who_may_not_sign_lists_signs_none() -> None:
    """RFC 5280 4.2.1.3: cRLSign."""
    mute = TOP.issue("Không ký CRL", ca=True, extensions=[usage("key_cert_sign")])
    made = mute.revocation_list()
    assert genuine(read(made), (mute.certificate,))
    assert not speaks_for(read(made), mute.certificate)


def test_algorithms_inside_and_outside_must_agree() -> None:
    """RFC 5280 5.1.1.2: what is signed must name the algorithm that is checked."""
    made = asn1_crl.CertificateList.load(SUB.revocation_list())
    made["tbs_cert_list"]["signature"]["algorithm"] = "sha384_ecdsa"
    made["signature"] = raw(SUB.key, made["tbs_cert_list"].dump())
    assert read_lists((), (made.dump(force=True),), at=NOW) == ()
    made["tbs_cert_list"]["signature"]["algorithm"] = "sha256_ecdsa"
    made["signature"] = raw(SUB.key, made["tbs_cert_list"].dump())
    assert genuine(read(made.dump(force=True)), (SUB.certificate,))


@pytest.mark.parametrize("shape", ["rsa2048", "p384"])
def test_kinds_of_keys(shape: str) -> None:
    """Lists are signed with whatever kind of key certificates are."""
    issuer = TOP.issue("Khác", ca=True, key=shared_key(shape, 41))  # type: ignore[arg-type]
    assert speaks_for(read(issuer.revocation_list()), issuer.certificate)


def test_damaged_lists_say_nothing() -> None:
    """Any changed octet leaves a list of nobody, and nothing is raised."""
    made = SUB.revocation_list(LEAF)
    unused_bits = len(made) - len(x509.load_der_x509_crl(made).signature) - 1  # its length is another one each time
    for position in range(len(made)):
        octets = bytearray(made)
        octets[position] ^= 0x01
        for one in read_lists((), (bytes(octets),), at=NOW):
            assert not genuine(one, (SUB.certificate, TOP.certificate)) or position == unused_bits

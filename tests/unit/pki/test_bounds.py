"""Bombs: certificates whose counts multiply (RFC 9618 3), and bags whose paths do, end soon and never green."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.core.verdict import ChainState
from gateway.demo.authority import shared_key
from gateway.pki.certificate import Certificate
from gateway.pki.graph import MAX_CANDIDATES, Search
from gateway.pki.path import PathAnswer, PolicyInputs, Purpose, Revocation, TrustAnchors, validate
from support.forger import raw
from support.letters import NOW
from support.pace import soon
from support.tree import DAY, Node, root

if TYPE_CHECKING:
    from collections.abc import Sequence

TOP = root("Gốc")
HALF: float = 0.5
"""Seconds of processor time."""


def judged(leaf: Certificate, bag: Sequence[Certificate], *, within: float = HALF) -> PathAnswer:
    trust = TrustAnchors((TOP.certificate,), (), ())
    with soon(within):
        return validate(
            leaf, trust=trust, untrusted=bag, crls=(), at=NOW, purpose=Purpose.EMAIL, revocation=Revocation.SOFT
        )


def told(leaf: Certificate, bag: Sequence[Certificate], *, within: float = HALF) -> str:
    answer = judged(leaf, bag, within=within)
    assert (answer.state is ChainState.VALID) == (answer.reason == "valid")
    return answer.reason


def policies(count: int) -> x509.CertificatePolicies:
    return x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier(f"1.2.3.{each}"), None) for each in range(count)]
    )


def mappings(count: int) -> x509.UnrecognizedExtension:
    """Return mappings of each policy to each, as far as the count goes: the tree doubles and doubles."""
    side = max(1, int(count**0.5))
    pairs = [
        {"issuer_domain_policy": f"1.2.3.{each // side}", "subject_domain_policy": f"1.2.3.{each % side}"}
        for each in range(count)
    ]
    octets = asn1_x509.PolicyMappings(pairs).dump()
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), octets)


def chain(length: int, *extensions: x509.ExtensionType) -> tuple[Node, list[Certificate]]:
    node, bag = TOP, []
    for number in range(length):
        node = node.issue(f"Bậc {number}", ca=True, extensions=extensions)
        bag.append(node.certificate)
    return node, bag


@pytest.mark.parametrize(
    ("count", "mapped", "expected"),
    [
        (5, 4, "valid"), (32, 32, "valid"), (33, 0, "path_too_complex"), (4, 33, "path_too_complex"),
        (1500, 1000, "path_too_complex"),
    ],
)  # fmt: skip
def test_policy_trees(count: int, mapped: int, expected: str) -> None:
    """RFC 9618: policies and mappings multiply from certificate to certificate; a handful are judged, thousands not."""
    extensions = [policies(count), *([mappings(mapped)] if mapped else [])]
    node, bag = chain(9, *extensions)
    assert told(node.issue("lan", extensions=[policies(count)]).certificate, bag) == expected


def test_policy_trees_in_the_leaf() -> None:
    """The last certificate counts as much as those above."""
    node, bag = chain(1, policies(4))
    assert told(node.issue("lan", extensions=[policies(2000)]).certificate, bag) == "path_too_complex"


def test_as_much_as_is_judged_at_all() -> None:
    """The worst within the bounds: eight paths of eleven, with all the policies and mappings, and all of them fail."""
    above, bag = [TOP], []
    for layer in range(9):
        key = shared_key("p256", 850 + layer)
        extensions = [policies(32), mappings(32)]
        above = [
            above[0].issue(f"B{layer}", ca=True, key=key, extensions=extensions) for _ in range(3 if layer < 2 else 1)
        ]
        bag += [each.certificate for each in above]
    leaf = above[0].issue("lan", extensions=[policies(32)]).certificate
    trust = TrustAnchors((TOP.certificate,), (), ())
    assert len(Search(trust.anchors, (), bag, at=NOW).run(leaf).candidates) == MAX_CANDIDATES
    unmet = PolicyInputs(("2.999.1",), require_explicit=True)
    with soon(HALF):
        answer = validate(
            leaf, trust=trust, untrusted=bag, crls=(), at=NOW, purpose=Purpose.EMAIL, revocation=Revocation.SOFT,
            policies=unmet,
        )  # fmt: skip
    assert (answer.state, answer.reason) == (ChainState.INVALID, "certificate_policy")


def subtrees(count: int) -> x509.NameConstraints:
    names: list[x509.GeneralName] = [x509.DNSName(f"h{each}.example") for each in range(count // 2)]
    names += [x509.RFC822Name(f".m{each}.example") for each in range(count - count // 2)]
    return x509.NameConstraints(None, names)


def many_names(count: int) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.RFC822Name("lan@tinh.example")]
    names += [x509.RFC822Name(f"a{each}@x.example") for each in range(count // 2)]
    names += [x509.DNSName(f"x{each}.example") for each in range(count - 1 - count // 2)]
    return x509.SubjectAlternativeName(names)


@pytest.mark.parametrize(
    ("limits", "names", "expected"),
    [
        (20, 10, "valid"),
        (128, 25, "valid"),
        (129, 2, "path_too_complex"),
        (1000, 800, "path_too_complex"),
        (2, 101, "path_too_complex"),
        (100, 99, "path_too_complex"),
    ],
)
def test_name_constraints(limits: int, names: int, expected: str) -> None:
    """Constraints are compared with every name of everybody below: their product is bounded, not only each."""
    node, bag = chain(1, subtrees(limits))
    assert told(node.issue("lan", extensions=[many_names(names)]).certificate, bag) == expected


def test_name_constraints_at_every_step() -> None:
    """Bounded over the whole path: eight authorities with a hundred subtrees each are one with eight hundred."""
    node, bag = chain(8, subtrees(100))
    assert told(node.issue("lan", extensions=[many_names(50)]).certificate, bag) == "path_too_complex"
    addresses = [x509.IPAddress(ipaddress.ip_network(f"10.{each}.0.0/16")) for each in range(120)]
    node, bag = chain(8, x509.NameConstraints(None, addresses))
    assert told(node.issue("lan", extensions=[many_names(2)]).certificate, bag) in {"valid", "path_too_complex"}


def test_other_counts() -> None:
    """Attributes of a subject, distribution points and extensions are counted as well."""
    points = x509.CRLDistributionPoints(
        [
            x509.DistributionPoint([x509.UniformResourceIdentifier(f"http://x{each}.example/")], None, None, None)
            for each in range(40)
        ]
    )
    node, bag = chain(1)
    assert told(node.issue("lan", extensions=[points]).certificate, bag) == "path_too_complex"
    odd = [x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.{each}"), b"\x05\x00") for each in range(80)]
    assert told(node.issue("lan", extensions=odd).certificate, bag) == "path_too_complex"


def test_bag_of_layers() -> None:
    """Six layers of six certificates that all issue one another: 30 s in a library that walks them all."""
    keys = [shared_key("p256", 800 + number) for number in range(7)]
    above = [Node(TOP.certificate, TOP.key)] * 6
    bag: list[Certificate] = []
    for layer in range(6):
        made = [
            above[number % len(above)].issue(f"Lớp {layer}", ca=True, key=keys[layer], end=NOW - DAY)
            for number in range(6)
        ]
        bag += [each.certificate for each in made]
        above = made
    leaf = above[0].issue("lan", key=keys[6]).certificate
    assert sum(len(each.der) for each in bag) > 11_000
    assert told(leaf, bag, within=0.3) in {"expired", "path_too_complex"}


def test_bag_of_layers_that_reaches_no_anchor() -> None:
    """The same under a root that nobody pinned."""
    keys = [shared_key("p256", 800 + number) for number in range(7)]
    above = [root("Lạ")]
    bag: list[Certificate] = []
    for layer in range(6):
        made = [above[0].issue(f"Lớp {layer}", ca=True, key=keys[layer]) for _ in range(6)]
        bag += [each.certificate for each in made]
        above = made
    assert told(above[0].issue("lan", key=keys[6]).certificate, bag, within=0.3) in {"no_path", "path_too_complex"}


EXPLICIT = bytes.fromhex(
    "3082014b3082010306072a8648ce3d02013081f7020101302c06072a8648ce3d0101022100ffffffff00000001000000000000000000000000"
    "ffffffffffffffffffffffff305b0420ffffffff00000001000000000000000000000000fffffffffffffffffffffffc04205ac635d8aa3a93"
    "e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b031500c49d360886e704936a6678e1139d26b7819f7e900441046b17d1f2e12c"
    "4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51"
    "f5022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc63255102010103420004846cbee05a00be628665aba05962"
    "4c7dd7214c2de121fca92be6ff8dbdc3c514bf90cfd3e6175ab842eb00f610ebdaf2958af342587b2b0e0bf807f2daca2d07"
)
"""A P-256 key that spells its curve out: openssl ec -param_enc explicit (OpenSSL 3.0)."""


def with_key(spki: bytes, *, ca: bool) -> Certificate:
    """Return a certificate of TOP for a key nobody has here."""
    made = asn1_x509.Certificate.load(TOP.issue("Khóa lạ", ca=ca, key_ids=False).certificate.der)
    made["tbs_certificate"]["subject_public_key_info"] = asn1_x509.PublicKeyInfo.load(spki)
    made["signature_value"] = asn1_x509.OctetBitString(raw(TOP.key, made["tbs_certificate"].dump(force=True)))
    return Certificate.load(made.dump(force=True))


def rsa_key(bits: int, exponent: int = 65537) -> bytes:
    numbers = rsa.RSAPublicNumbers(exponent, (1 << bits) - 159)
    return numbers.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize(
    ("spki", "reasons"),
    [
        (EXPLICIT, {"unknown_key", "weak_key"}),
        (rsa_key(9000), {"weak_key"}),
        (rsa_key(16000), {"weak_key", "unknown_key"}),
        (rsa_key(4096, (1 << 80) + 1), {"weak_key"}),
        (rsa_key(4096), {"valid"}),
    ],
    ids=["explicit curve", "RSA 9000", "RSA 16000", "huge exponent", "RSA 4096"],
)
def test_keys_that_are_not_tried(spki: bytes, reasons: set[str]) -> None:
    """CVE-2020-0601: curves that spell themselves out; keys whose size is chosen to cost: none, at any place."""
    assert told(with_key(spki, ca=False), ()) in reasons
    above = with_key(spki, ca=True)
    below = Node(above, shared_key("p256", 890)).issue("lan", key_ids=False).certificate
    assert told(below, (above,)) == "no_path"

"""The search for paths (RFC 4158): finds what is there, in a bag that a stranger packed, with work that is bounded."""

from __future__ import annotations

from gateway.cms.asn1 import tlv
from gateway.demo.authority import shared_key
from gateway.pki.certificate import Certificate
from gateway.pki.graph import (
    MAX_CANDIDATES,
    MAX_LENGTH,
    MAX_UNTRUSTED,
    Found,
    Search,
    issuer_key,
    signed_by,
    subject_key,
)
from support.forger import raw, sequence
from support.letters import NOW
from support.pace import soon
from support.tree import DAY, Node, root

TOP = root("Gốc")
SUB = TOP.issue("Cấp hai", ca=True)
LEAF = SUB.issue("lan").certificate


def search(
    leaf: Certificate = LEAF,
    *untrusted: Certificate,
    anchors: tuple[Certificate, ...] = (TOP.certificate,),
    pinned: tuple[Certificate, ...] = (),
) -> Found:
    return Search(anchors, pinned, untrusted, at=NOW).run(leaf)


def test_paths_run_from_the_anchor_to_the_leaf() -> None:
    """Whether the intermediate is pinned or came along, in whatever order the bag is."""
    path = (TOP.certificate, SUB.certificate, LEAF)
    assert search(LEAF, SUB.certificate).candidates == (path,)
    assert search(pinned=(SUB.certificate,)).candidates == (path,)
    assert search(LEAF, LEAF, TOP.certificate, root("Khác").certificate, SUB.certificate).candidates == (path,)
    assert search(SUB.certificate).candidates == ((TOP.certificate, SUB.certificate),)


def test_shortest_first() -> None:
    """A longer way round never hides the short one."""
    middle = TOP.issue("Giữa", ca=True)
    again = middle.issue("Cấp hai", ca=True, key=SUB.key)
    found = search(LEAF, middle.certificate, again.certificate, SUB.certificate).candidates
    assert [len(each) for each in found] == [3, 4]


def test_names_are_compared_as_rfc_5280_says() -> None:
    """RFC 5280 7.1: case and runs of blanks do not count, other letters do."""
    upper = TOP.issue("CẤP  hai", ca=True, key=SUB.key)
    assert subject_key(upper.certificate) == subject_key(SUB.certificate)
    assert search(LEAF, upper.certificate).candidates
    other = TOP.issue("Cap hai", ca=True, key=SUB.key)
    assert subject_key(other.certificate) != issuer_key(LEAF)
    assert search(LEAF, other.certificate) == Found((), "name_mismatch", (LEAF,), (LEAF,))


def test_dead_ends_are_told_apart() -> None:
    """What is missing may come; what is there and wrong will not get better."""
    stranger = root("Lạ")
    assert search(LEAF).dead_end == "no_path"
    assert search(stranger.certificate).dead_end == "unknown_root"
    assert search(stranger.issue("x").certificate, stranger.certificate).dead_end == "unknown_root"
    twin = root("Cấp hai", key=SUB.key)
    assert search(LEAF, twin.certificate).dead_end == "unknown_root"
    look_alike = TOP.issue("Cấp hai", ca=True)
    assert search(LEAF, look_alike.certificate).dead_end == "no_path"
    forged = look_alike.issue("lan", key_ids=False).certificate
    assert search(forged, pinned=(SUB.certificate,)).dead_end == "bad_certificate_signature"


def test_longest_way_is_shown() -> None:
    """An administrator who asks why sees how far the path was found."""
    deep = SUB.issue("Cấp ba", ca=True)
    leaf = deep.issue("lan").certificate
    assert search(leaf, deep.certificate).longest == (deep.certificate, leaf)


def test_signature_is_what_counts() -> None:
    """Equal names and key identifiers make no edge where the signature does not fit."""
    look_alike = TOP.issue("Cấp hai", ca=True)
    assert signed_by(LEAF, SUB.certificate)
    assert not signed_by(LEAF, look_alike.certificate)
    assert not signed_by(LEAF, TOP.certificate)
    assert not signed_by(SUB.certificate, SUB.certificate)
    assert signed_by(TOP.certificate, TOP.certificate)


def test_algorithm_outside_the_signature_must_be_the_one_inside() -> None:
    """RFC 5280 4.1.1.2: else what is signed says another algorithm than what is checked."""
    size = 4 + int.from_bytes(LEAF.der[6:8], "big")
    tbs = LEAF.der[4 : 4 + size]
    sha256, sha384 = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d040303")
    for inside, fits in ((sha256, True), (sha384, False)):
        changed = tbs.replace(sha256, inside)
        signature = b"\0" + raw(SUB.key, changed)
        made = Certificate.load(sequence(changed, sequence(sha256), tlv(0x03, signature)))
        assert signed_by(made, SUB.certificate) is fits


def test_loops_end() -> None:
    """Two authorities that certify one another are no way anywhere."""
    one = root("Một")
    two = one.issue("Hai", ca=True)
    back = two.issue("Một", ca=True, key=one.key)
    leaf = one.issue("lan").certificate
    found = search(leaf, two.certificate, back.certificate, one.certificate)
    assert not found.candidates
    assert found.dead_end == "unknown_root"


def test_bag_of_look_alikes_costs_a_bounded_number_of_operations() -> None:
    """Hundreds of certificates under the issuer's name and key identifier: the search gives up, soon and honestly."""
    key = shared_key("rsa4096", 900)
    bag = [TOP.issue("Cấp hai", ca=True, key=key, key_ids=False).certificate for _ in range(300)]
    leaf = SUB.issue("lan", key_ids=False).certificate
    looking = Search((TOP.certificate,), (), bag, at=NOW)
    with soon(2):
        found = looking.run(leaf)
    assert not found.candidates
    assert found.dead_end in {"path_too_complex", "bad_certificate_signature", "no_path"}
    assert looking._checks <= 64


def test_look_alikes_never_hide_what_is_pinned() -> None:
    """What the administrator gave is tried first, however full the bag is."""
    bag = [TOP.issue("Cấp hai", ca=True, key_ids=False).certificate for _ in range(200)]
    leaf = SUB.issue("lan", key_ids=False).certificate
    found = search(leaf, *bag, pinned=(SUB.certificate,))
    assert found.candidates == ((TOP.certificate, SUB.certificate, leaf),)


def test_true_issuers_are_bounded_too() -> None:
    """Certificates that all really fit make no more paths than are judged, and reach no more strangers than is said."""
    bag = [TOP.issue("Cấp hai", ca=True, key=SUB.key).certificate for _ in range(100)]
    assert 1 <= len(search(LEAF, *bag).candidates) <= MAX_CANDIDATES
    names = [f"Bậc {number}" for number in range(8)]
    keys = [shared_key("p256", 700 + number) for number in range(8)]
    mesh: list[Certificate] = []
    for above, key_above in zip(names, keys, strict=True):
        node = Node(TOP.issue(above, ca=True, key=key_above).certificate, key_above)
        mesh += [node.issue(below, ca=True, key=key).certificate for below, key in zip(names, keys, strict=True)]
    leaf = Node(TOP.issue(names[0], ca=True, key=keys[0]).certificate, keys[0]).issue("lan").certificate
    looking = Search((root("Khác").certificate,), (), mesh, at=NOW)
    with soon(2):
        assert not looking.run(leaf).candidates
    assert len(looking._reached) <= MAX_UNTRUSTED
    assert looking._checks <= 64


def test_length_is_bounded() -> None:
    """A path of twelve is followed, a longer one is not."""

    def chain(length: int) -> tuple[Certificate, list[Certificate]]:
        node, bag = TOP, []
        for number in range(length - 2):
            node = node.issue(f"Bậc {number}", ca=True)
            bag.append(node.certificate)
        return node.issue("lan").certificate, bag

    leaf, bag = chain(MAX_LENGTH)
    assert len(search(leaf, *bag).candidates[0]) == MAX_LENGTH
    leaf, bag = chain(MAX_LENGTH + 3)
    assert search(leaf, *bag).dead_end == "path_too_complex"


def test_those_in_date_come_first() -> None:
    """A renewed intermediate is found before its expired older copy, whatever the order in the bag."""
    old = TOP.issue("Cấp hai", ca=True, key=SUB.key, end=NOW - DAY).certificate
    assert search(LEAF, old, SUB.certificate).candidates[0][1] == SUB.certificate
    assert search(LEAF, SUB.certificate, old).candidates[0][1] == SUB.certificate

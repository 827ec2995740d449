"""Judging paths (RFC 5280 6, RFC 8550 4): a reason for each fault, missing told apart from wrong."""

from __future__ import annotations

import datetime as dt
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.core.verdict import ChainState
from gateway.demo.authority import shared_key
from gateway.pki.certificate import Certificate
from gateway.pki.path import PathAnswer, Purpose, Revocation, TrustAnchors, validate
from support.letters import NOW
from support.pace import soon
from support.tree import DAY, Node, root, usage, utf8_mailbox

VALID, INVALID, INDETERMINATE = ChainState.VALID, ChainState.INVALID, ChainState.INDETERMINATE
TOP = root("Gốc")
SUB = TOP.issue("Cấp hai", ca=True)
LEAF = SUB.issue("lan").certificate


def ask(
    leaf: Certificate = LEAF,
    *untrusted: Certificate,
    anchors: tuple[Certificate, ...] = (TOP.certificate,),
    pinned: tuple[Certificate, ...] = (SUB.certificate,),
    crls: tuple[bytes, ...] = (),
    at: dt.datetime = NOW,
    purpose: Purpose = Purpose.EMAIL,
    revocation: Revocation = Revocation.OFF,
) -> PathAnswer:
    trust = TrustAnchors(anchors, pinned, ())
    return validate(leaf, trust=trust, untrusted=untrusted, crls=crls, at=at, purpose=purpose, revocation=revocation)


def told(*leaf: Certificate, **world: object) -> tuple[ChainState, str]:
    answer = ask(*leaf, **world)  # type: ignore[arg-type]
    return answer.state, answer.reason


def test_good_path() -> None:
    """Anchor, pinned or sent intermediate, leaf."""
    answer = ask()
    assert (answer.state, answer.reason, answer.path) == (VALID, "valid", (TOP.certificate, SUB.certificate, LEAF))
    assert told(LEAF, SUB.certificate, pinned=()) == (VALID, "valid")


def test_unknown_root_is_not_a_missing_intermediate() -> None:
    """A path to a root nobody pinned has failed; a path that stops may be completed by more material."""
    assert told(pinned=()) == (INDETERMINATE, "no_path")
    assert told(LEAF, SUB.certificate, TOP.certificate, anchors=(root("Khác").certificate,)) == (
        INVALID,
        "unknown_root",
    )
    assert told(LEAF, SUB.certificate, anchors=(root("Khác").certificate,)) == (INDETERMINATE, "no_path")
    assert told(LEAF, SUB.certificate, TOP.certificate, anchors=()) == (INVALID, "unknown_root")


def test_anchor_under_a_copied_name_is_none() -> None:
    """Names can be copied, keys cannot."""
    twin = root("Gốc")
    leaf = twin.issue("Cấp hai", ca=True).issue("lan").certificate
    assert told(leaf)[0] is not VALID
    assert told(twin.issue("lan", key_ids=False).certificate)[0] is not VALID


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (NOW - 30 * DAY, "valid"),
        (NOW - 30 * DAY - dt.timedelta(seconds=1), "not_yet_valid"),
        (NOW + 300 * DAY, "valid"),
        (NOW + 300 * DAY + dt.timedelta(seconds=1), "expired"),
    ],
)
def test_dates_of_the_leaf(moment: dt.datetime, reason: str) -> None:
    """RFC 5280 4.1.2.5: both ends belong to the span."""
    assert told(at=moment)[1] == reason


def test_dates_of_others() -> None:
    """An expired intermediate or anchor holds nothing, even where the leaf is in date."""
    old = TOP.issue("Cũ", ca=True, end=NOW - DAY)
    assert told(old.issue("lan").certificate, old.certificate) == (INVALID, "expired")
    new = TOP.issue("Mới", ca=True, start=NOW + DAY)
    assert told(new.issue("lan").certificate, new.certificate) == (INVALID, "not_yet_valid")
    gone = root("Hết", end=NOW - DAY)
    assert told(gone.issue("lan").certificate, anchors=(gone.certificate,)) == (INVALID, "anchor_expired")
    coming = root("Chưa", start=NOW + DAY)
    assert told(coming.issue("lan").certificate, anchors=(coming.certificate,)) == (INVALID, "anchor_not_yet_valid")


def test_renewed_intermediate_saves_the_path() -> None:
    """The best of several candidate paths is the answer."""
    old = TOP.issue("Cấp hai", ca=True, key=SUB.key, end=NOW - DAY).certificate
    assert told(LEAF, old) == (VALID, "valid")
    assert told(LEAF, old, pinned=()) == (INVALID, "expired")


def test_pinned_leaf() -> None:
    """An anchor that is the leaf itself is a path of length zero: in date and fit for the purpose."""
    assert ask(anchors=(LEAF,)).path == (LEAF,)
    assert told(anchors=(LEAF,)) == (VALID, "valid")
    assert told(anchors=(LEAF,), at=NOW + 400 * DAY) == (INVALID, "expired")
    server = SUB.issue("x", extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])]).certificate
    assert told(server, anchors=(server,)) == (INVALID, "not_for_email")
    assert told(server, anchors=(server,), purpose=Purpose.ANY) == (VALID, "valid")


def test_usage_of_the_leaf() -> None:
    """Mail needs emailProtection or no such extension, and a key usage for signatures; any purpose needs neither."""
    server = SUB.issue("x", extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])]).certificate
    assert told(server) == (INVALID, "not_for_email")
    cipher = SUB.issue("x", extensions=[usage("key_encipherment")]).certificate
    assert told(cipher) == (INVALID, "not_for_signatures")
    assert told(server, purpose=Purpose.ANY) == told(cipher, purpose=Purpose.ANY) == (VALID, "valid")


def test_only_authorities_issue() -> None:
    """RFC 5280 6.1.4: a leaf, or an authority whose key must not sign certificates, issues nothing."""
    person = SUB.issue("Người")
    assert told(person.issue("lan").certificate, person.certificate) == (INVALID, "not_a_ca")
    bound = TOP.issue("Không ký", ca=True, extensions=[usage("crl_sign")])
    assert told(bound.issue("lan").certificate, bound.certificate) == (INVALID, "not_a_ca")


def test_path_length() -> None:
    """RFC 5280 4.2.1.9, of intermediates and of the anchor itself."""
    flat = TOP.issue("Một bậc", ca=True, path_length=0)
    assert told(flat.issue("lan").certificate, flat.certificate) == (VALID, "valid")
    below = flat.issue("Hai bậc", ca=True)
    assert told(below.issue("lan").certificate, flat.certificate, below.certificate) == (INVALID, "path_too_long")


def test_unknown_critical_extension() -> None:
    """RFC 5280 4.2: what must be understood and is not, fails; what need not be understood does not."""
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    assert told(SUB.issue("x", extensions=[odd]).certificate) == (VALID, "valid")
    assert told(SUB.issue("x", extensions=[odd], critical=True).certificate) == (INVALID, "unknown_critical_extension")


def test_weak_keys_and_digests() -> None:
    """RFC 8550 4.3: RSA below 2048 bits, unusual curves and SHA-1 hold nothing, at any place below the anchor."""
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - a weak key is the point
    assert told(SUB.issue("x", key=short).certificate) == (INVALID, "weak_key")
    weak = TOP.issue("Yếu", ca=True, key=short)
    assert told(weak.issue("lan").certificate, weak.certificate) == (INVALID, "weak_key")
    base = root("Gốc yếu", key=short)
    assert told(base.issue("lan").certificate, anchors=(base.certificate,)) == (INVALID, "weak_key")


def test_weak_digests() -> None:
    """What is signed with less than SHA-256 is not believed, below the anchor."""
    assert told(SUB.issue("x", digest=hashes.SHA224()).certificate) == (INVALID, "weak_digest")
    old = TOP.issue("Đời đầu", ca=True, digest=hashes.SHA224())
    assert told(old.issue("lan").certificate, old.certificate) == (INVALID, "weak_digest")


# --- revocation ---


@pytest.mark.parametrize(
    ("mode", "lists", "expected"),
    [
        (Revocation.OFF, "none", (VALID, "valid")),
        (Revocation.OFF, "revoked", (VALID, "valid")),
        (Revocation.SOFT, "none", (VALID, "valid")),
        (Revocation.SOFT, "clear", (VALID, "valid")),
        (Revocation.SOFT, "revoked", (INVALID, "revoked")),
        (Revocation.SOFT, "issuer_revoked", (INVALID, "issuer_revoked")),
        (Revocation.SOFT, "stale", (VALID, "valid")),
        (Revocation.SOFT, "stale_revoked", (INVALID, "revoked")),
        (Revocation.SOFT, "garbage", (VALID, "valid")),
        (Revocation.SOFT, "stranger_revoked", (VALID, "valid")),
        (Revocation.SOFT, "odd", (VALID, "valid")),
        (Revocation.SOFT, "odd_and_revoked", (INVALID, "revoked")),
        (Revocation.HARD, "odd", (INDETERMINATE, "no_revocation_data")),
        (Revocation.HARD, "odd_and_clear", (VALID, "valid")),
        (Revocation.SOFT, "future_revoked", (VALID, "valid")),
        (Revocation.HARD, "none", (INDETERMINATE, "no_revocation_data")),
        (Revocation.HARD, "leaf_only", (INDETERMINATE, "no_revocation_data")),
        (Revocation.HARD, "clear", (VALID, "valid")),
        (Revocation.HARD, "revoked", (INVALID, "revoked")),
        (Revocation.HARD, "issuer_revoked", (INVALID, "issuer_revoked")),
        (Revocation.HARD, "stale", (INDETERMINATE, "stale_revocation_data")),
        (Revocation.HARD, "stale_revoked", (INVALID, "revoked")),
        (Revocation.HARD, "garbage", (INDETERMINATE, "no_revocation_data")),
        (Revocation.HARD, "stranger_clear", (INDETERMINATE, "no_revocation_data")),
        (Revocation.HARD, "old_clear_new_revoked", (INVALID, "revoked")),
        (Revocation.SOFT, "old_clear_new_revoked", (INVALID, "revoked")),
        (Revocation.HARD, "new_revoked_old_clear", (INVALID, "revoked")),
    ],
)
def test_revocation(mode: Revocation, lists: str, expected: tuple[ChainState, str]) -> None:
    """HARD demands fresh data for all below the anchor, SOFT believes what it has, OFF asks nobody.

    A stranger's list under the issuer's name counts for nothing; an older list never clears whom a newer one revoked.
    """
    top, sub = TOP.revocation_list(), SUB.revocation_list()
    stale = {"start": NOW - 9 * DAY, "end": NOW - DAY}
    stranger = Node(TOP.issue("Cấp hai", ca=True).certificate, shared_key("p256", 950))
    odd = Node(stranger.certificate, shared_key("rsa2048", 951)).revocation_list(
        LEAF
    )  # RSA under the name of a P-256 key
    known: dict[str, tuple[bytes, ...]] = {
        "none": (),
        "clear": (top, sub),
        "leaf_only": (sub,),
        "revoked": (top, SUB.revocation_list(LEAF)),
        "issuer_revoked": (TOP.revocation_list(SUB.certificate), sub),
        "stale": (top, SUB.revocation_list(**stale)),
        "stale_revoked": (top, SUB.revocation_list(LEAF, **stale)),
        "garbage": (b"", b"x", sub[:-1], SUB.certificate.der),
        "stranger_revoked": (top, stranger.revocation_list(LEAF)),
        "odd": (odd,),
        "odd_and_revoked": (odd, top, SUB.revocation_list(LEAF)),
        "odd_and_clear": (odd, top, sub),
        "stranger_clear": (top, stranger.revocation_list()),
        "future_revoked": (top, SUB.revocation_list(LEAF, start=NOW + DAY)),
        "old_clear_new_revoked": (top, SUB.revocation_list(start=NOW - 2 * DAY), SUB.revocation_list(LEAF)),
        "new_revoked_old_clear": (SUB.revocation_list(LEAF), SUB.revocation_list(start=NOW - 2 * DAY), top),
    }
    assert told(crls=known[lists], revocation=mode) == expected


def test_lists_in_the_message_are_like_others() -> None:
    """Thousands of useless lists cost little and hide nothing."""
    junk = tuple(root(f"R{number}").revocation_list() for number in range(60))
    with soon(2):
        answer = told(crls=(*junk, TOP.revocation_list(), SUB.revocation_list(LEAF)), revocation=Revocation.HARD)
        assert answer == (INVALID, "revoked")


def test_no_other_path_goes_round_a_revoked_leaf() -> None:
    """A second intermediate for the same issuer does not bring back whom the issuer revoked."""
    again = TOP.issue("Cấp hai", ca=True, key=SUB.key)
    lists = (TOP.revocation_list(), SUB.revocation_list(LEAF))
    for mode in (Revocation.SOFT, Revocation.HARD):
        assert told(LEAF, again.certificate, crls=lists, revocation=mode) == (INVALID, "revoked")


# --- names ---


def bound(*permitted: str, excluded: tuple[str, ...] = ()) -> Node:
    constraints = x509.NameConstraints(
        [x509.RFC822Name(each) for each in permitted] or None, [x509.RFC822Name(each) for each in excluded] or None
    )
    return TOP.issue("Bị giới hạn", ca=True, extensions=[constraints])


def names(*mailboxes: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [x509.RFC822Name(each) if each.isascii() else utf8_mailbox(each) for each in mailboxes]
    )


@pytest.mark.parametrize(
    ("mailboxes", "email", "holds"),
    [
        (("lan@a.example",), None, True),
        (("lan@b.example",), None, False),
        (("lan@x.a.example",), None, False),
        (("lan@a.example", "lan@b.example"), None, False),
        (("sếp@a.example",), None, True),
        (("sếp@b.example",), None, False),
        (("lan@a.example", "sếp@b.example"), None, False),
        ((), "lan@a.example", True),
        ((), "lan@b.example", False),
        (("sếp@a.example",), "lan@b.example", False),
        (("lan@a.example",), "lan@b.example", False),
    ],
)
def test_constraints_hold_for_every_mailbox_that_is_believed(
    mailboxes: tuple[str, ...], email: str | None, holds: object
) -> None:
    """RFC 5280 4.2.1.10, RFC 9598 6: an authority bound to its domain names no mailbox elsewhere, by no spelling."""
    issuer = bound("a.example")
    extensions = [names(*mailboxes)] if mailboxes else []
    leaf = issuer.issue("lan", extensions=extensions, email=email).certificate
    assert told(leaf, issuer.certificate) == ((VALID, "valid") if holds else (INVALID, "name_constraints"))


def test_constraints_of_every_kind() -> None:
    """A host, a domain with its leading dot, one mailbox; what is excluded; what an anchor itself says."""
    for base, good, bad in (
        (".a.example", "sếp@x.a.example", "sếp@a.example"),
        ("a.example", "sếp@A.Example", "sếp@xa.example"),
    ):
        issuer = bound(base)
        assert told(issuer.issue("x", extensions=[names(good)]).certificate, issuer.certificate)[0] is VALID
        assert told(issuer.issue("x", extensions=[names(bad)]).certificate, issuer.certificate)[0] is INVALID
    issuer = bound(excluded=("b.example",))
    assert told(issuer.issue("x", extensions=[names("sếp@a.example")]).certificate, issuer.certificate)[0] is VALID
    assert told(issuer.issue("x", extensions=[names("sếp@b.example")]).certificate, issuer.certificate)[0] is INVALID
    leaf = issuer.issue("x", extensions=[names("sếp@b.example")]).certificate
    assert told(leaf, anchors=(issuer.certificate,))[0] is INVALID


def test_hostile_certificates_never_raise() -> None:
    """Damaged octets anywhere in the bag end in an answer, and never in VALID by another path than the true one."""
    for position in range(0, len(SUB.certificate.der), 7):
        octets = bytearray(SUB.certificate.der)
        octets[position] ^= 0x15
        try:
            damaged = Certificate.load(bytes(octets))
        except Exception:  # noqa: BLE001, S112 - what cannot be loaded never gets here
            continue
        assert told(LEAF, damaged, pinned=())[0] is not VALID


@pytest.mark.parametrize(
    ("crls", "hard", "soft"),
    [
        ((), (INDETERMINATE, "no_revocation_data"), (VALID, "valid")),
        ((SUB.revocation_list(),), (VALID, "valid"), (VALID, "valid")),
        ((SUB.revocation_list(LEAF),), (INVALID, "revoked"), (INVALID, "revoked")),
        ((TOP.revocation_list(SUB.certificate),), (INDETERMINATE, "no_revocation_data"), (VALID, "valid")),
        ((root("Khác").revocation_list(LEAF),), (INDETERMINATE, "no_revocation_data"), (VALID, "valid")),
    ],
    ids=["no list", "clear", "revoked", "of nobody above the anchor", "of a stranger"],
)
def test_an_anchor_that_is_no_root_is_asked_for_its_own_list(
    crls: tuple[bytes, ...], hard: tuple[ChainState, str], soft: tuple[ChainState, str]
) -> None:
    """Whoever pins an issuing authority itself still hears of what it revoked."""
    pinned = (SUB.certificate,)
    assert told(anchors=pinned, pinned=(), crls=crls, revocation=Revocation.HARD) == hard
    assert told(anchors=pinned, pinned=(), crls=crls, revocation=Revocation.SOFT) == soft


def test_an_old_list_of_such_an_anchor_clears_nobody() -> None:
    """Past its next update it is stale; what it revoked stays revoked."""
    later = NOW + 60 * DAY
    world = {"anchors": (SUB.certificate,), "pinned": (), "at": later, "revocation": Revocation.HARD}
    assert told(crls=(SUB.revocation_list(),), **world) == (INDETERMINATE, "stale_revocation_data")
    assert told(crls=(SUB.revocation_list(LEAF),), **world) == (INVALID, "revoked")


def test_threads_get_the_same_answers() -> None:
    """What is remembered of certificates is shared: a critical extension is seen by whoever looks, at any moment."""
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    leaves = [SUB.issue("x", extensions=[odd], critical=True).certificate for _ in range(20)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(told, [each for each in leaves for _ in range(8)]))
    finally:
        sys.setswitchinterval(before)
    assert set(found) == {(INVALID, "unknown_critical_extension")}


def test_issuers_are_seen_whole_by_every_thread_and_every_time() -> None:
    """What is kept of an issuer is kept for one thread: no other one sees it half parsed, and it never changes."""
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    issuers = [TOP.issue("x", ca=True, extensions=[odd], critical=True) for _ in range(24)]
    leaves = [(each.issue("lan").certificate, each.certificate) for each in issuers]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda pair: told(*pair), [pair for pair in leaves for _ in range(8)]))
    finally:
        sys.setswitchinterval(before)
    assert set(found) == {(INVALID, "unknown_critical_extension")}


@pytest.mark.parametrize(
    ("base", "mailbox", "holds"),
    [
        ("xn--bcher-kva.example", "sếp@bücher.example", True),
        ("xn--bcher-kva.example", "sếp@bucher.example", False),
        ("xn--bcher-kva.example", "lan@XN--BCHER-KVA.example", True),
        ("xn--a.example", "lan@xn--b.example", False),
        ("xn--a.example", "lan@a.example", False),
        ("a.example", "lan@xn--a.example", False),
        ("a.example", "sếp@xn--\N{LATIN SMALL LETTER E WITH ACUTE}.example", False),
        ("a.example", "sếp@a\N{FULLWIDTH FULL STOP}example", False),
        ("a.example", "sếp@\N{CYRILLIC SMALL LETTER A}.example", False),
    ],
)
def test_labels_of_other_scripts(base: str, mailbox: str, holds: object) -> None:
    """A-labels and U-labels are one domain; malformed ones, look-alikes and odd dots are never inside."""
    issuer = bound(base)
    leaf = issuer.issue("lan", extensions=[names(mailbox)]).certificate
    assert (told(leaf, issuer.certificate)[0] is VALID) == holds

"""Signatures on attached files are told apart (domain R19): who signed the file, and never a color for the mail."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.cms.asn1 import tlv
from gateway.core.message import Message
from gateway.core.verdict import AttachmentSignature, Judgment, row_of
from gateway.demo.authority import Credential, make_key
from gateway.pki.certificate import Certificate
from gateway.pki.family import Family, Use
from gateway.pki.path import Revocation, TrustAnchors
from gateway.smime.trust import Trust
from gateway.smime.verify import judge, needs_of, open_message
from support.forger import Forger, oid, sequence, signed_data
from support.letters import NOW, authority, binh, clear, lan, mail, multipart, opaque_entity, text_part
from support.pace import soon
from support.signed_files import file_part, pdf
from support.stamping import stamp_over, stamped, stamper, value_of
from support.tree import DAY, root, usage

VECTORS = Path(__file__).parents[2] / "vectors" / "pdf"
FILE = b"Cong van so 12.\r\n"
PLACE = x509.CRLDistributionPoints(
    [x509.DistributionPoint([x509.UniformResourceIdentifier("http://gio.example/a.crl")], None, None, None)]
)


@lru_cache(maxsize=1)
def signed_pdf() -> bytes:
    return pdf(Forger(binh()).cms)


def trust(revocation: Revocation = Revocation.OFF) -> Trust:
    return Trust(TrustAnchors((Certificate.load(authority().root),), (), ()), (), (), NOW, revocation)


def found(*parts: bytes, given: Trust | None = None, around: bytes | None = None) -> Judgment:
    """Return the judgment of an unsigned message with these parts."""
    message = around or mail(multipart("mixed", text_part("Xin gui tep."), *parts))
    return judge(open_message(Message.of(message)), given or trust())


def told(judgment: Judgment) -> list[tuple[str, str, str, str]]:
    return [(each.name, each.kind, each.state.value, each.reason) for each in judgment.attachments]


def only(octets: bytes, *, given: Trust | None = None) -> AttachmentSignature:
    """Return what is said of one PDF."""
    judgment = found(file_part("a.pdf", octets, kind="application/pdf"), given=given)
    assert row_of(judgment.verdict).name == "unsigned"
    assert judgment.broken == found(text_part("b")).broken
    assert judgment.notes == ()
    (one,) = judgment.attachments
    return one


def state(octets: bytes, *, given: Trust | None = None) -> tuple[str, str]:
    one = only(octets, given=given)
    return one.state.value, one.reason


def test_signed_pdf_in_unsigned_mail() -> None:
    """The file's signer is named; the message stays unsigned, without a note or a finding more."""
    one = only(signed_pdf())
    assert (one.state.value, one.reason) == ("valid", "valid")
    assert one.signer is not None
    assert one.signer.fingerprint == Certificate.load(binh().certificate).fingerprint


def test_signed_mail_keeps_its_own_verdict() -> None:
    """Verified mail with a broken file is verified, broken mail with a good file broken, whoever signed which."""
    broken = signed_pdf().replace(b"Catalog", b"catalog")
    for octets, expected in ((signed_pdf(), "valid"), (broken, "invalid")):
        part = multipart("mixed", text_part("Xin gui tep."), file_part("a.pdf", octets), boundary="in")
        judgment = found(around=clear(part, lan()))
        assert row_of(judgment.verdict).name == "verified"
        assert [each.state.value for each in judgment.attachments] == [expected]
        changed = found(around=clear(part, lan()).replace(b"Xin gui", b"Xin dua"))
        assert row_of(changed.verdict).name == "invalid"
        opaque = mail(opaque_entity(Forger(lan()).cms(part, content=tlv(0x04, part))))
        assert told(found(around=opaque)) == told(judgment)


def test_cms_beside_and_around_a_file() -> None:
    """`.p7s` is about the one file of the same name, or about what is inside; `.p7m` about what is inside."""
    beside = file_part("cv.txt.p7s", Forger(binh()).cms(FILE), kind="application/pkcs7-signature")
    around = file_part("cv.txt.p7m", Forger(binh()).cms(FILE, content=tlv(0x04, FILE)))
    assert told(found(file_part("cv.txt", FILE), beside)) == [("cv.txt.p7s", "cms", "valid", "valid")]
    assert told(found(file_part("cv.txt", b"else"), beside)) == [("cv.txt.p7s", "cms", "invalid", "digest_mismatch")]
    assert told(found(beside)) == [("cv.txt.p7s", "cms", "unreadable", "signed_file_missing")]
    two = found(file_part("cv.txt", FILE), file_part("cv.txt", b"else"), beside)
    assert told(two) == [("cv.txt.p7s", "cms", "unreadable", "signed_file_missing")]
    assert told(found(around)) == [("cv.txt.p7m", "cms", "valid", "valid")]
    both = file_part("cv.txt.p7s", Forger(binh()).cms(FILE, content=tlv(0x04, FILE)))
    assert told(found(file_part("cv.txt", FILE), both)) == [("cv.txt.p7s", "cms", "unreadable", "content_twice")]


def test_every_signer_of_a_file_is_told() -> None:
    """Two signers are two results: a good one does not cover for a broken one."""
    infos = [Forger(lan()).info(FILE), Forger(binh()).info(b"else")]
    certificates = [lan().certificate, binh().certificate, *lan().chain]
    cms = signed_data(infos, certificates=certificates, content=tlv(0x04, FILE))
    assert [each[2] for each in told(found(file_part("a.p7m", cms)))] == ["valid", "invalid"]
    kind = "1.2.840.113549.1.9.16.1.4"
    other = signed_data([Forger(lan()).info(FILE, kind)], content=tlv(0x04, FILE), content_type=kind)
    assert told(found(file_part("a.p7m", other))) == [("a.p7m", "cms", "unreadable", "not_data")]
    nobody = signed_data([], certificates=certificates, content=tlv(0x04, FILE))
    assert told(found(file_part("a.p7m", nobody))) == [("a.p7m", "cms", "unreadable", "no_signers")]


def test_files_without_signatures_are_not_told() -> None:
    """Nor the mail's own signature, nor what is encrypted, nor files of letters inside."""
    assert told(found(file_part("a.pdf", b"%PDF-1.7\nnothing"), file_part("b.txt", FILE))) == []
    signed = clear(text_part("a"), lan())
    assert told(found(around=signed)) == []
    assert told(found(around=signed.replace(b"name=smime.p7s", b"name=chu-ky.p7s"))) == []
    sealed = sequence(oid("1.2.840.113549.1.7.3"), tlv(0xA0, sequence()))
    assert told(found(file_part("a.p7m", sealed))) == []
    inside = mail(multipart("mixed", text_part("b"), file_part("a.pdf", signed_pdf()), boundary="letter"))
    forwarded = b"Content-Type: message/rfc822\r\n\r\n" + inside
    assert told(found(forwarded)) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda octets: octets.replace(b"Catalog", b"catalog"), ("invalid", "digest_mismatch")),
        (lambda octets: octets + b"4 0 obj\n<<>>\nendobj\n%%EOF\n", ("unreadable", "pdf_changed_after_signing")),
        (lambda octets: octets + b"\n", ("unreadable", "pdf_changed_after_signing")),
        (lambda octets: b"%PDF-1.7\n" + octets, ("unreadable", "pdf_changed_after_signing")),
        (lambda octets: b"MZ" + octets[2:], ("unreadable", "pdf_shape")),
        (lambda octets: octets.replace(b"00>>>", b"0 >>>"), ("unreadable", "pdf_shape")),
        (lambda octets: octets.replace(b"00>>>", b"01>>>"), ("unreadable", "pdf_shape")),
        (lambda octets: octets.replace(b"Contents <30", b"Contents <31"), ("unreadable", "malformed_cms")),
        (lambda octets: octets.replace(b"/Contents <", b"/Contents ("), ("unreadable", "pdf_shape")),
        (lambda octets: octets.replace(b"[0 ", b"[1 "), ("unreadable", "pdf_changed_after_signing")),
        (lambda octets: octets.replace(b"/ByteRange [", b"/ByteRange ("), ("unreadable", "pdf_changed_after_signing")),
    ],
)
def test_pdf_of_another_shape_is_not_judged(change: object, expected: tuple[str, str]) -> None:
    """Whatever does not cover every octet but the signature's own says nothing, and so it is told."""
    assert state(signed_pdf()) == ("valid", "valid")
    assert state(change(signed_pdf())) == expected  # type: ignore[operator]


def test_signature_wrapping() -> None:
    """A range whose gap holds more than the signature (moved range, objects in the gap) is refused."""
    octets = signed_pdf()
    end = octets.index(b"0>>>") + 2
    smuggled = b"4 0 obj\n<</Evil true>>\nendobj\n"
    start = octets.index(b"<30", octets.index(b"/Contents"))
    wrapped = octets[:end] + smuggled + octets[end:]
    numbers = f"{start:010d} {end:010d}".encode()
    assert numbers in octets
    moved = wrapped.replace(numbers, f"{start:010d} {end + len(smuggled):010d}".encode())
    assert state(moved)[0] in {"unreadable", "invalid"}
    both = wrapped.replace(b"1 0 obj", b"/ByteRange [0 %d %d %d] 1 0 obj" % (start, end, 50), 1)
    assert state(both)[0] == "unreadable"


def test_second_signature_covers_the_first() -> None:
    """An officer signs, then the agency's seal is added: the last one, around everything, is judged."""
    first = signed_pdf()
    second = pdf(Forger(lan()).cms, before=first)
    one = only(second)
    assert (one.state.value, one.signer and one.signer.fingerprint) == (
        "valid",
        Certificate.load(lan().certificate).fingerprint,
    )


@pytest.mark.parametrize(("name", "signer"), [("pades", "CN=Sở Y tế tỉnh Sông Lam"), ("twice", "CN=Văn thư Sở Y tế")])
def test_files_signed_by_another_program(name: str, signer: str) -> None:
    """What pyHanko signs is judged; with another page size it is broken, with one octet more nothing is said."""
    octets = (VECTORS / f"{name}.pdf").read_bytes()
    known = TrustAnchors((Certificate.load((VECTORS / "root.der").read_bytes()),), (), ())
    given = Trust(known, (), (), NOW, Revocation.OFF)
    one = only(octets, given=given)
    assert one.state.value == "valid"
    assert one.signer is not None
    assert one.signer.subject.endswith(signer)
    assert state(octets.replace(b"MediaBox", b"CropBox "), given=given) == ("invalid", "digest_mismatch")
    assert state(octets + b"\n", given=given) == ("unreadable", "pdf_changed_after_signing")


def test_two_ranges_around_everything() -> None:
    """Of two gaps nobody knows which a viewer takes for the signature."""

    def twice(length: int) -> bytes:
        return pdf(Forger(binh()).cms, before=b"%%PDF-1.7\n%%/ByteRange [0 1 2 %010d]\n" % (length - 2))

    assert state(twice(len(twice(0)) - 1)) == ("valid", "valid")
    assert state(twice(len(twice(0)))) == ("unreadable", "pdf_shape")
    assert state(b"%PDF-1.7\n" + b"/ByteRange" * 32) == ("unreadable", "pdf_changed_after_signing")
    assert state(b"%PDF-1.7\n" + b"/ByteRange" * 33) == ("unreadable", "pdf_shape")


def test_ranges_that_are_many_end_soon() -> None:
    """Thousands of ranges, or digits without end, are refused before they are read."""
    for octets in (
        b"%PDF-1.7\n" + b"/ByteRange [0 1 2 3]" * 100_000,
        b"%PDF-1.7\n/ByteRange [" + b"0" * 4_000_000,
        b"%PDF-1.7\n" + b"/ByteRange" + b" " * 4_000_000,
    ):
        with soon(2):
            assert only(octets).state.value == "unreadable"


def signer(*extensions: x509.ExtensionType, end: dt.datetime = NOW + 90 * DAY) -> Forger:
    """Return somebody below a root of their own, and that root as their chain."""
    top = root("Gốc công cộng")
    leaf = top.issue("Công ty", key=make_key("rsa2048"), extensions=extensions, end=end)
    return Forger(Credential(leaf.key, leaf.certificate.der, (top.certificate.der,)))


def below(made: Forger, *uses: Use, at: dt.datetime = NOW, more: tuple[Certificate, ...] = ()) -> Trust:
    top = Certificate.load(made.credential.chain[0])
    public = Family("public", "công cộng", "public", frozenset({top.fingerprint}), frozenset(uses), frozenset())
    return Trust(TrustAnchors((top, *more), (), (), (public,)), (), (), at, Revocation.OFF)


def test_who_may_sign_files() -> None:
    """Trusted for mail, with a usage for signatures; a web server's or a timestamp authority's key signs no files."""
    mine = signer(usage("content_commitment"))
    assert state(pdf(mine.cms), given=below(mine, Use.MAIL)) == ("valid", "valid")
    assert state(pdf(mine.cms), given=below(mine, Use.TIMESTAMPS)) == ("not_trusted", "family_use")
    assert state(pdf(mine.cms)) == ("not_trusted", "unknown_root")
    for usages, expected in (
        ((usage("key_encipherment"),), "not_for_signatures"),
        ((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),), "not_for_documents"),
        ((x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")]),), "valid"),
    ):
        other = signer(*usages)
        assert state(pdf(other.cms), given=below(other, Use.MAIL))[1] == expected
    assert state(pdf(mine.cms), given=Trust(TrustAnchors((), (), ()), (), (), NOW, Revocation.OFF)) == (
        "indeterminate",
        "no_trust_anchors",
    )


def test_files_are_older_than_mail() -> None:
    """A timestamp dates the signature of an expired certificate on a file as it does on mail."""
    made, late = signer(usage("digital_signature"), end=NOW + DAY), NOW + 90 * DAY
    clock = root("Gốc thời gian")
    stamping = stamper(clock)

    def sign(octets: bytes) -> bytes:
        return stamped(made, octets, stamp_over(stamping, value_of(made.cms(octets)), NOW))

    given = below(made, Use.MAIL, at=late, more=(clock.certificate,))
    assert state(pdf(made.cms), given=given) == ("not_trusted", "expired")
    one = only(pdf(sign), given=given)
    assert (one.state.value, one.signer and one.signer.timestamped_at) == ("valid", NOW)
    older = pdf(lambda octets: stamped(made, octets, stamp_over(stamping, value_of(made.cms(octets)), NOW - 31 * DAY)))
    assert state(older, given=given) == ("not_trusted", "expired")


def test_timestamp_excuses_no_revocation_of_a_file_signer() -> None:
    """Whoever was revoked since stays so: the list of today is asked about the past."""
    top, clock = root("Gốc công cộng"), root("Gốc thời gian")
    leaf, stamping = top.issue("Công ty", key=make_key("rsa2048"), end=NOW + DAY), stamper(clock)
    made = Forger(Credential(leaf.key, leaf.certificate.der, ()))
    signed = pdf(lambda octets: stamped(made, octets, stamp_over(stamping, value_of(made.cms(octets)), NOW)))
    for revoked, expected in (((), "valid"), ((leaf.certificate,), "not_trusted")):
        lists = (top.revocation_list(*revoked, start=NOW + 80 * DAY, end=NOW + 99 * DAY),)
        anchors = TrustAnchors((top.certificate, clock.certificate), (), lists)
        given = Trust(anchors, (), (), NOW + 90 * DAY, Revocation.SOFT)
        assert state(signed, given=given)[0] == expected


def test_what_is_missing_about_files_is_named() -> None:
    """Revocation data of a file's signer can be fetched; for a signature that does not fit nobody asks."""
    made = signer(usage("digital_signature"), PLACE)
    given = below(made, Use.MAIL)
    hard = Trust(given.anchors, (), (), NOW, Revocation.HARD)
    assert state(pdf(made.cms), given=hard) == ("indeterminate", "no_revocation_data")

    def asked(octets: bytes) -> list[bytes]:
        message = mail(multipart("mixed", text_part("a"), file_part("a.pdf", octets)))
        return [each.certificate for each in needs_of(open_message(Message.of(message)), hard).statuses]

    assert asked(pdf(made.cms)) == [made.credential.certificate]
    assert asked(pdf(made.cms).replace(b"Catalog", b"catalog")) == []


def test_counts_are_bounded() -> None:
    """Eight files, and eight results, whatever a message carries."""
    parts = [file_part(f"{number}.pdf", signed_pdf()) for number in range(12)]
    assert len(found(*parts).attachments) == 8
    four = signed_data([Forger(binh()).info(FILE)] * 4, certificates=[binh().certificate], content=tlv(0x04, FILE))
    assert len(found(*[file_part(f"{number}.p7m", four) for number in range(5)]).attachments) == 8


def test_file_that_cannot_be_decoded() -> None:
    """It is told as unreadable, and costs nothing else."""
    broken = file_part("a.pdf", signed_pdf()).replace(b"\r\n\r\n", b"\r\n\r\n=", 1)
    assert told(found(broken)) == [("a.pdf", "pdf", "unreadable", "malformed_base64")]


@pytest.mark.parametrize(("hours", "expected"), [(3, ("valid", "valid")), (5, ("indeterminate", "no_revocation_data"))])
def test_a_list_that_came_along_clears_nobody_for_long(hours: int, expected: tuple[str, str]) -> None:
    """The rule for letters is the rule for files: a thief would bring the list from before the key was revoked."""
    top = root()
    signer = top.issue("Lan", extensions=[usage("digital_signature")])
    made = top.revocation_list(start=NOW - dt.timedelta(hours=hours))
    cms = Forger(Credential(signer.key, signer.certificate.der, ())).cms(FILE, content=tlv(0x04, FILE), crls=(made,))
    anchors = TrustAnchors((top.certificate,), (), (), attached_age=dt.timedelta(hours=4))
    judgment = found(file_part("cv.p7m", cms), given=Trust(anchors, (), (), NOW, Revocation.HARD))
    assert told(judgment) == [("cv.p7m", "cms", *expected)]

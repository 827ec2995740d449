"""Messages made to cost whoever reads them much: of MIME, of ASN.1, of certificates; each by one idea, at full size.

`support.hostile` has the small ones. Certificates here lead to the trusted authority where that makes them worse.
"""

from __future__ import annotations

import hashlib
import random
import zlib
from functools import cache
from typing import TYPE_CHECKING, Final

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.cms.asn1 import tlv
from gateway.demo.authority import Credential, make_key
from gateway.pki.certificate import Certificate
from support.attacks import AUTHOR, head, part, signer
from support.forger import DATA, DIGESTS, Forger, algorithm, attribute, oid, sequence, signed_data
from support.gateway_process import authority
from support.letters import clear, clear_entity, mail, multipart, opaque_entity
from support.tree import Node, root, usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.demo.authority import PrivateKey

MEGA: Final = 1_000_000
_MAIL: Final = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
_NAMED: Final = x509.SubjectAlternativeName([x509.RFC822Name(AUTHOR)])
_RANDOM: Final = random.Random(7)  # noqa: S311 - no secrets are made of it


def _span() -> dict[str, object]:
    certificate = x509.load_der_x509_certificate(authority().intermediate)
    return {"start": authority().now, "end": certificate.not_valid_after_utc}


def trusted() -> Node:
    """Return the authority that issues what we believe, as a node under which anything can be issued."""
    return Node(Certificate.load(authority().intermediate), authority()._issuer_key)


def _signed_by(leaf: Node, *more: bytes) -> bytes:
    """Return a clear-signed letter with this leaf and these certificates."""
    return clear(part(), Credential(leaf.key, leaf.certificate.der, more), head=head())


def _leaf(above: Node, *extensions: x509.ExtensionType, key: PrivateKey | None = None) -> Node:
    return above.issue(
        "Người ký", key=key, extensions=[usage("digital_signature"), _MAIL, _NAMED, *extensions], **_span()  # type: ignore[arg-type]
    )  # fmt: skip


def _detached(cms: bytes, content: bytes | None = None) -> bytes:
    return mail(clear_entity(part() if content is None else content, cms), head=head())


def _opaque(octets: bytes) -> bytes:
    return mail(opaque_entity(octets), head=head())


def _certificate_with_key(spki: bytes) -> bytes:
    """Return the honest leaf with another public key; its own signature is no longer good."""
    found = asn1_x509.Certificate.load(signer().certificate)
    found["tbs_certificate"]["subject_public_key_info"] = asn1_x509.PublicKeyInfo.load(spki)
    return found.dump(force=True)


def _integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _weighty_key(bits: int, exponent: int = 65537) -> bytes:
    """Return a letter whose signer, issued by the trusted authority, has an RSA key of so many bits."""
    modulus = _RANDOM.getrandbits(bits) | 1 | 1 << (bits - 1)
    public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.load_der_x509_certificate(authority().intermediate).subject)
        .public_key(public)
        .serial_number(77)
        .not_valid_before(authority().now)
        .not_valid_after(_span()["end"])  # type: ignore[arg-type]
        .add_extension(_NAMED, critical=True)
        .add_extension(usage("digital_signature"), critical=True)
        .add_extension(_MAIL, critical=False)
        .sign(trusted().key, hashes.SHA256())
    )
    leaf = made.public_bytes(serialization.Encoding.DER)
    forger = Forger(Credential(signer().key, leaf, ()), signature_algorithm=algorithm("1.2.840.113549.1.1.1"))
    content = part()
    return _detached(forger.but(sign=lambda _: b"\x5a" * (bits // 8)).cms(content), content)


def _explicit_curve() -> bytes:
    """Return P-256 with its parameters written out, and a generator of the attacker's (CVE-2020-0601)."""
    p = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
    field = sequence(oid("1.2.840.10045.1.1"), _integer(p))
    curve = sequence(tlv(0x04, (p - 3).to_bytes(32, "big")), tlv(0x04, b"\x5a" * 32))
    point = b"\x04" + b"\x6b" * 64
    explicit = sequence(_integer(1), field, curve, tlv(0x04, point), _integer(p - 9), _integer(1))
    key = sequence(sequence(oid("1.2.840.10045.2.1"), explicit), tlv(0x03, b"\x00", point))
    certificate = _certificate_with_key(key)
    content = part()
    info = Forger(Credential(signer().key, certificate, ())).info(content)
    return _detached(signed_data([info], certificates=[certificate, authority().intermediate]), content)


def _bag() -> bytes:
    """Six layers of six authorities of one name and key, the lowest of them signed by the trusted one too."""
    above, certificates = [root("Không ai", **_span())], []  # type: ignore[arg-type]
    for depth in range(6):
        key = make_key("p256")
        above = [
            each.issue(f"Tầng {depth}", key=key, ca=True, key_ids=False, **_span())  # type: ignore[arg-type]
            for each in (above * 6)[:6]
        ]
        certificates += above
    return _signed_by(_leaf(above[0]), *(each.certificate.der for each in certificates))


def _policies() -> bytes:
    """A chain in which every authority maps every policy onto others (CVE-2023-0464)."""
    names = [x509.ObjectIdentifier(f"1.3.6.1.4.1.55555.{number}") for number in range(30)]
    policies = x509.CertificatePolicies([x509.PolicyInformation(each, None) for each in names])
    pairs = b"".join(sequence(oid(a.dotted_string), oid(b.dotted_string)) for a in names for b in names)
    mappings = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), tlv(0x30, pairs))
    above, chain = trusted(), []
    for depth in range(8):
        above = above.issue(f"Tầng {depth}", ca=True, extensions=[policies, mappings], **_span())  # type: ignore[arg-type]
        chain.append(above.certificate.der)
    return _signed_by(_leaf(above, policies), *chain)


def _constraints() -> bytes:
    """Authorities with thousands of subtrees above a leaf of thousands of names."""
    trees = [x509.RFC822Name(f"a{number}.example") for number in range(2500)]
    names = x509.SubjectAlternativeName([x509.RFC822Name(f"x@b{number}.example") for number in range(2500)])
    above = trusted().issue(
        "Tầng", ca=True, extensions=[x509.NameConstraints(trees[:1250], trees[1250:])], **_span()  # type: ignore[arg-type]
    )  # fmt: skip
    leaf = above.issue("Nhiều tên", extensions=[usage("digital_signature"), _MAIL, names], **_span())  # type: ignore[arg-type]
    return _signed_by(leaf, above.certificate.der)


def _hundred_certificates() -> bytes:
    above = trusted()
    more = [above.issue(f"Số {number}", key=signer().key, **_span()).certificate.der for number in range(100)]  # type: ignore[arg-type]
    return clear(part(), Credential(signer().key, signer().certificate, tuple(more)), head=head())


def _hundred_signers() -> bytes:
    content = part()
    info = Forger(signer()).info(content)
    return _detached(signed_data([info] * 100, certificates=[signer().certificate, authority().intermediate]), content)


def _lists_inside() -> bytes:
    content = part()
    (_, crl) = authority().revocation_lists()
    certificates = [signer().certificate, authority().intermediate]
    info = Forger(signer()).info(content)
    return _detached(signed_data([info], certificates=certificates, crls=[crl] * 2000), content)


def _attributes() -> bytes:
    content = part()
    more = [attribute(f"1.3.6.1.4.1.55555.{number}", b"\x05\x00") for number in range(20_000)]
    return _detached(Forger(signer()).but(more=more).cms(content), content)


def _object_identifiers() -> bytes:
    long = tlv(0x06, b"\x2a" + b"\xff" * MEGA + b"\x7f")
    content = part()
    return _detached(Forger(signer()).but(more=[sequence(long, tlv(0x31, b"\x05\x00"))]).cms(content), content)


def _object_identifiers_many() -> bytes:
    content = part()
    arcs = b"".join(tlv(0x06, b"\x2a" + b"\xff" * 500 + b"\x7f") for _ in range(4000))
    return _detached(Forger(signer()).but(more=[attribute("1.3.6.1.4.1.55555.1", arcs)]).cms(content), content)


def _digest_algorithms() -> bytes:
    many = b"".join(algorithm(f"1.3.6.1.4.1.55555.{number}") for number in range(45_000))
    data = sequence(_integer(1), tlv(0x31, many), sequence(oid(DATA)), tlv(0x31))
    return _detached(sequence(oid("1.2.840.113549.1.7.2"), tlv(0xA0, data)))


def _deep_definite() -> bytes:
    inner = b""
    for _ in range(20_000):
        inner = b"\x30\x84" + len(inner).to_bytes(4, "big") + inner
    return _opaque(inner)


def _length(octets: str) -> bytes:
    return _opaque(bytes.fromhex("30" + octets) + b"a" * 100)


def _compressed(content: bytes, *, signed: bool = False) -> bytes:
    """Return compressed-data (RFC 3274) of 200 MB in 200 KB."""
    data = sequence(
        _integer(0),
        algorithm("1.2.840.113549.1.9.16.3.8"),
        sequence(oid(DATA), tlv(0xA0, tlv(0x04, content))),
    )
    cms = sequence(oid("1.2.840.113549.1.9.16.1.9"), tlv(0xA0, data))
    entity = opaque_entity(cms, smime_type="compressed-data")
    return clear(entity, signer(), head=head()) if signed else mail(entity, head=head())


@cache
def _zeros() -> bytes:
    packer = zlib.compressobj(9)
    block = bytes(MEGA)
    return b"".join(packer.compress(block) for _ in range(200)) + packer.flush()


def _messages_in_messages(depth: int) -> bytes:
    return head() + b"Content-Type: message/rfc822\r\n\r\n" * depth + b"x\r\n"


def _parts_in_parts(depth: int) -> bytes:
    opened = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (each, each) for each in range(depth)
    )
    return mail(opened, head=head())


def _field(name: bytes, value: bytes) -> bytes:
    return mail(part(), head=name + b": " + value + b"\r\n" + head())


def _html(text: bytes) -> bytes:
    """Return a signed part beside an HTML one that somebody has to look into."""
    signed = clear_entity(part(), Forger(signer()).cms(part()))
    return mail(multipart("mixed", signed, b"Content-Type: text/html\r\n\r\n" + text + b"\r\n"), head=head())


def _boundaries() -> bytes:
    name = b"a" * 70
    lines = b"".join(b"--" + name[:-1] + b"\r\n--" + name + b"x\r\n" for _ in range(7000))
    entity = b'Content-Type: multipart/mixed; boundary="' + name + b'"\r\n\r\n' + lines + b"--" + name + b"--\r\n"
    return mail(entity, head=head())


MIME: Final[Mapping[str, Callable[[], bytes]]] = {
    "10,000 parts": lambda: mail(multipart("mixed", *[b"\r\na"] * 10_000), head=head()),
    "10,000 parts, signed": lambda: clear(multipart("mixed", *[b"\r\na"] * 10_000), signer(), head=head()),
    "depth 1,000": lambda: _parts_in_parts(1000),
    "depth 1,000, messages": lambda: _messages_in_messages(1000),
    "depth 1,000, signed": lambda: clear(_parts_in_parts(1000).partition(b"1.0\r\n")[2], signer(), head=head()),
    "1 MB field": lambda: _field(b"X-Long", b"a" * MEGA),
    "1 MB field, folded": lambda: _field(b"X-Long", b"a\r\n " * (MEGA // 4)),
    "1 MB in fields": lambda: mail(part(), head=b"X-A: a\r\n" * (MEGA // 8) + head()),
    "1 MB header in a part": lambda: mail(multipart("mixed", b"X-A: " + b"a" * MEGA + b"\r\n\r\nx"), head=head()),
    "200 KB From": lambda: head().replace(b"From: ", b"From: " + b"a@b.example, " * 15_000) + b"\r\nx\r\n",
    "200 KB comment": lambda: head().replace(b"From: ", b"From: " + b"(" * 100_000 + b")" * 100_000) + b"\r\nx\r\n",
    "200 KB of quotes": lambda: head().replace(b"From: ", b'From: "' + b"\\a" * 100_000 + b'" ') + b"\r\nx\r\n",
    "200 KB of encoded words": lambda: _field(b"Subject", b"=?utf-8?Q?=5B?= " * 12_000),
    "200 KB of broken words": lambda: _field(b"Subject", b"=?utf-8?Q?" * 20_000),
    "200 KB of tags": lambda: _field(b"Subject", "[Đã xác thực: ".encode() * 10_000),
    "200 KB of brackets": lambda: _field(b"Subject", b"[" * 200_000 + "Chữ ký KHÔNG hợp lệ".encode()),
    "results, comments": lambda: _field(b"Authentication-Results", b"(" * 200_000),
    "results, words": lambda: _field(b"Authentication-Results", b"smime (" * 30_000),
    "many results": lambda: mail(part(), head=b"Authentication-Results: a.example; smime=pass\r\n" * 900 + head()),
    "parameters": lambda: mail(b"Content-Type: text/plain" + b"; a*0=b" * 30_000 + b"\r\n\r\nx\r\n", head=head()),
    "parameters in pieces": lambda: mail(
        b"Content-Type: text/plain" + b"".join(b"; name*%d*=%%41" % each for each in range(12_000)) + b"\r\n\r\nx\r\n",
        head=head(),
    ),
    "boundaries": _boundaries,
    "1 MB of tags in HTML": lambda: _html(b"<" * MEGA),
    "1 MB of comments in HTML": lambda: _html(b"<!--" * (MEGA // 4)),
    "1 MB of styles in HTML": lambda: _html(b"<style>" * (MEGA // 7)),
    "1 MB of attributes in HTML": lambda: _html(b"<a " + b"b='" * (MEGA // 3)),
    "1 MB of depth in HTML": lambda: _html(b"<div>" * (MEGA // 5)),
    "1 MB of entities in HTML": lambda: _html(b"&" * MEGA),
    "2 MB of blank lines": lambda: mail(multipart("mixed", part(), b"\r\n" * MEGA), head=head()),
    "2 MB of =": lambda: mail(
        multipart("mixed", b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=" * 2 * MEGA), head=head()
    ),
}
CMS: Final[Mapping[str, Callable[[], bytes]]] = {
    "object identifier of 1 MB": _object_identifiers,
    "object identifiers of 500 octets": _object_identifiers_many,
    "45,000 digest algorithms": _digest_algorithms,
    "20,000 attributes": _attributes,
    "deep, definite": _deep_definite,
    "deep, indefinite": lambda: _opaque(b"\x30\x80" * 100_000),
    "deep, content": lambda: _opaque(bytes.fromhex("308006092a864886f70d010702a080") + b"\x24\x80" * 100_000),
    "length of 4 GB": lambda: _length("84ffffffff"),
    "length of 2^63": lambda: _length("887fffffffffffffff"),
    "length of 126 octets": lambda: _length("fe" + "ff" * 126),
    "length with zeros": lambda: _length("fe" + "00" * 125 + "20"),
    "reserved length": lambda: _length("ff"),
    "tag of 1 MB": lambda: _opaque(b"\x3f" + b"\xff" * MEGA + b"\x7f\x00"),
    "integer of 1 MB": lambda: _opaque(sequence(tlv(0x02, b"\x01" * MEGA))),
    "empty pieces": lambda: _opaque(bytes.fromhex("308006092a864886f70d010702a0802480") + b"\x04\x00" * 500_000),
    "compressed": lambda: _compressed(_zeros()),
    "compressed, signed": lambda: _compressed(_zeros(), signed=True),
    "100 signers": _hundred_signers,
    "2,000 lists": _lists_inside,
}
CERTIFICATES: Final[Mapping[str, Callable[[], bytes]]] = {
    "bag of 6 x 6": _bag,
    "100 certificates": _hundred_certificates,
    "policies": _policies,
    "name constraints": _constraints,
    "RSA of 16,384 bits": lambda: _weighty_key(16_384),
    "RSA of 8,192 bits and a large exponent": lambda: _weighty_key(8192, (1 << 8190) | 1),
    "RSA of 4,096 bits, value is noise": lambda: _weighty_key(4096),
    "explicit curve": _explicit_curve,
}


def ber(octets: int, *, piece: int = 4096) -> bytes:
    """Return a good opaque letter of so many octets of content, streamed in pieces of indefinite length."""
    text = hashlib.sha256(str(octets).encode()).hexdigest().encode() + b" "
    line = (text * 2)[:76] + b"\r\n"
    body = b"Content-Type: text/plain\r\n\r\n" + line * (octets // len(line))
    info = Forger(signer()).info(body)
    pieces = b"".join(tlv(0x04, body[at : at + piece]) for at in range(0, len(body), piece))
    end = b"\x00\x00"
    data = b"".join(
        (
            bytes.fromhex("308006092a864886f70d010702a0803080"),
            tlv(0x02, b"\x01"),
            tlv(0x31, algorithm(DIGESTS["sha256"])),
            b"\x30\x80" + oid(DATA) + b"\xa0\x80\x24\x80" + pieces + end * 3,
            b"\xa0\x80" + signer().certificate + authority().intermediate + end,
            tlv(0x31, info),
            end * 3,
        )
    )
    return _opaque(data)

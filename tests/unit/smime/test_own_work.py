"""The look at our own work: it takes nothing but the shape we make, and sees one wrong octet anywhere in it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest

from gateway.cms.algorithms import Scheme, raw_sign
from gateway.cms.asn1 import tlv
from gateway.core.message import Message
from gateway.core.octets import WINDOW, MemoryBuilder
from gateway.pki.certificate import Certificate
from gateway.smime.opaque import finish_opaque
from gateway.smime.own_attributes import _CAPABILITIES, _CONTENT_TYPE, fault_in
from gateway.smime.own_work import _Fault, _head, check_own_work, cut
from gateway.smime.sign import Left, content_digest, finish, prepare
from support.letters import ASCII, HEAD, NOW, PLAIN, lan, real_life, template

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.cms.sign import SigningTemplate
    from gateway.demo.authority import Credential

BOUNDARY = "=_lan0123456789"
OID = bytes.fromhex("060b2a864886f70d0109100207")
"""contentIdentifier (RFC 2634 2.7)."""
TIMES = (b"261124013000Z", b"261124013001Z")


def made(
    message: bytes, credential: Credential, chosen: SigningTemplate, *, at: object = NOW
) -> tuple[Message, Message]:
    """Return the message finished in both forms."""
    prepared = prepare(
        Message.of(message), now=NOW, new_message_id=lambda: "<made@here.example>", new_builder=MemoryBuilder
    )
    assert not isinstance(prepared, Left)
    signed_over = chosen.to_be_signed(content_digest(prepared, chosen.digest), at)  # type: ignore[arg-type]
    value = raw_sign(credential.key, signed_over, scheme=chosen.scheme, digest=chosen.digest)
    clear = finish(prepared, cms=chosen.finish(signed_over, value), micalg=chosen.micalg, boundary=BOUNDARY)
    opaque = finish_opaque(
        prepared, template=chosen, to_be_signed=signed_over, signature=value, new_builder=MemoryBuilder
    )
    return clear, opaque


def fault(finished: Message | bytes, credential: Credential, chosen: SigningTemplate) -> str | None:
    message = Message.of(finished) if isinstance(finished, bytes) else finished
    certificate = Certificate.load(credential.certificate)
    return check_own_work(message, certificate=certificate, sent_along=chosen.certificates)


SHAPES = [
    ("rsa2048", Scheme.PKCS1V15, "sha256"),
    ("rsa2048", Scheme.PSS, "sha512"),
    ("rsa3072", Scheme.PKCS1V15, "sha384"),
    ("rsa3072", Scheme.PSS, "sha256"),
    ("p256", Scheme.ECDSA, "sha256"),
    ("p384", Scheme.ECDSA, "sha384"),
    ("p384", Scheme.ECDSA, "sha512"),
]


@pytest.mark.parametrize(("shape", "scheme", "digest"), SHAPES)
@pytest.mark.parametrize("at", [NOW, None, NOW.replace(year=2050)], ids=["utc", "no time", "generalized"])
def test_everything_we_can_make_is_good(shape: str, scheme: Scheme, digest: str, at: object) -> None:
    """Each key, scheme and digest that we sign with, with and without a time, in both forms."""
    credential = lan(shape)
    chosen = template(credential, scheme=scheme, digest=digest)
    assert [fault(each, credential, chosen) for each in made(PLAIN, credential, chosen, at=at)] == [None, None]


@pytest.mark.parametrize("name", sorted(real_life()))
def test_every_kind_of_letter_is_good(name: str) -> None:
    """What stands inside says nothing about the signature."""
    credential = lan("p256")
    chosen = template(credential)
    assert [fault(each, credential, chosen) for each in made(real_life()[name], credential, chosen)] == [None, None]


@pytest.mark.parametrize("more", [*range(76, 80), WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW])
def test_any_length_is_good(more: int) -> None:
    """Ends of lines, of windows and of blocks of base64 may stand anywhere."""
    credential = lan("p256")
    chosen = template(credential)
    lines = b"x" * 60 + b"\r\n"
    message = HEAD + b"Content-Type: text/plain\r\n\r\n" + lines * (more // 62) + b"y" * (more % 62) + b"\r\n"
    for each in made(message, credential, chosen):
        assert fault(each, credential, chosen) is None
        place = len(each) // 3
        changed = Message.join(
            (each.slice(0, place), bytes([each.read(place, place + 1)[0] ^ 1]), each.slice(place + 1, len(each)))
        )
        assert fault(changed, credential, chosen) is not None


@pytest.mark.parametrize("form", [0, 1], ids=["clear", "opaque"])
def test_no_changed_octet_behind_the_header_is_overlooked(form: int) -> None:
    """One bit of any octet from the blank line to the end, preamble apart: never good."""
    credential = lan("p256")
    chosen = template(credential)
    good = made(ASCII, credential, chosen)[form].octets()
    begin = good.index(b"\r\n--" + BOUNDARY.encode()) if form == 0 else good.index(b"\r\n\r\n")
    for place in range(begin, len(good)):
        changed = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        assert fault(changed, credential, chosen) is not None, place


def test_no_changed_octet_of_a_template_is_overlooked() -> None:
    """Whatever a fault in memory does to a prepared key, its next message is not good, though its value fits."""
    credential = lan("p256")
    whole = template(credential)
    for name in ("_versions", "_certificates", "_signer_head", "_signature_algorithm"):
        octets: bytes = getattr(whole, name)
        for place in range(len(octets)):
            broken = replace(whole, **{name: octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :]})
            assert fault(made(ASCII, credential, broken)[0], credential, whole) is not None, (name, place)
    for number, octets in enumerate(whole._fixed_attributes):
        for place in range(len(octets)):
            attributes = list(whole._fixed_attributes)
            attributes[number] = octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :]
            broken = replace(whole, _fixed_attributes=tuple(attributes))
            assert fault(made(ASCII, credential, broken)[0], credential, whole) is not None, (number, place)


def test_the_test_above_knows_every_part_of_a_template() -> None:
    """A part that is added to templates is added to the test of their faults."""
    assert [each.name for each in fields(template(lan("p256"))) if each.name.startswith("_")] == [
        "_versions",
        "_certificates",
        "_signer_head",
        "_signature_algorithm",
        "_fixed_attributes",
    ]


def test_each_kind_of_damage_has_its_code() -> None:
    """The alarm says where to look."""
    credential = lan()
    chosen = template(credential)
    good = made(PLAIN, credential, chosen)[0].octets()

    def found(octets: bytes) -> str | None:
        return fault(octets, credential, chosen)

    start = good.index(b"\r\n\r\n", good.index(b"\r\n--=_lan0123456789\r\n")) + 4
    assert found(good[:start] + bytes([good[start] ^ 1]) + good[start + 1 :]) == "digest_mismatch"
    assert found(good.replace(b"MIME-Version: 1.0\r\n", b"")) == "header"
    assert found(b"Content-Type: text/html\r\n" + good) == "header"
    assert found(good.replace(b"micalg=sha-256", b"micalg=sha1")) == "header"
    assert found(good.replace(b"micalg=sha-256", b"micalg=sha-512")) == "header"  # strict readers hash as it says
    assert found(good + b"x") == "structure"
    assert found(good[:-4]) == "structure"
    assert (
        found(good.replace(b"\r\n\r\n--=_lan0123456789\r\n", b"\r\n\r\n--=_lan0123456789\r\n\r\n--=_lan0123456789x", 1))
        == "structure"
    )
    assert found(good.replace(b"\r\n\r\n--=_lan0123456789\r\n", b"\r\n\r\n--=_lan\r\n", 1)) == "structure"
    letters = good.index(b"\r\n\r\n", good.index(b"application/pkcs7-signature; name=")) + 4
    assert found(good[:letters] + b"AAAA" + good[letters + 4 :]) == "cms"
    assert found(good[:letters] + good[letters : letters + 40] + b"\r\n" + good[letters + 40 :]) == "cms"


def test_a_certificate_that_is_missing_or_another_is_seen() -> None:
    """Readers need the intermediates, and the signature must be the key's whose message it is."""
    credential = lan()
    chosen = template(credential)
    lonely = replace(template(credential), certificates=frozenset({credential.certificate}))
    clear, _ = made(PLAIN, credential, chosen)
    assert fault(clear, credential, lonely) == "certificates"
    other = lan("p256")
    certificate = Certificate.load(other.certificate)
    assert check_own_work(clear, certificate=certificate, sent_along=chosen.certificates) == "certificate"


def test_what_is_not_der_is_seen() -> None:
    """Certificates and attributes in another order than DER's: strict readers refuse them, though the value fits."""
    credential = lan("p256")
    chosen = template(credential)
    octets = chosen._certificates
    inside = sorted(chosen.certificates)
    head = octets[: len(octets) - sum(map(len, inside))]
    swapped = replace(chosen, _certificates=head + b"".join(reversed(inside)))
    assert fault(made(ASCII, credential, swapped)[0], credential, chosen) == "certificates"
    twice = replace(chosen, _fixed_attributes=(*chosen._fixed_attributes, chosen._fixed_attributes[0]))
    assert fault(made(ASCII, credential, twice)[0], credential, chosen) == "attributes"


@pytest.mark.parametrize("time", [b"261124013000+", b"2611240130000", b"2611240130.0Z"])
def test_a_time_that_readers_would_take_in_several_ways_is_seen(time: bytes) -> None:
    """A signing time is written in the one way that RFC 5652 11.3 allows."""
    credential = lan("p256")
    chosen = template(credential)
    prepared = prepare(
        Message.of(ASCII), now=NOW, new_message_id=lambda: "<made@here.example>", new_builder=MemoryBuilder
    )
    assert not isinstance(prepared, Left)
    over = chosen.to_be_signed(content_digest(prepared, chosen.digest), NOW).replace(b"261124013000Z", time)
    value = raw_sign(credential.key, over, scheme=chosen.scheme, digest=chosen.digest)
    finished = finish(prepared, cms=chosen.finish(over, value), micalg=chosen.micalg, boundary=BOUNDARY)
    assert fault(finished, credential, chosen) == "attributes"


def with_attributes(change: Callable[[bytes], bytes]) -> str | None:
    """Return what is found in a message with an identifier whose attributes were changed before they were signed."""
    credential = lan("p256")
    chosen = template(credential)
    prepared = prepare(
        Message.of(ASCII), now=NOW, new_message_id=lambda: "<made@here.example>", new_builder=MemoryBuilder
    )
    assert not isinstance(prepared, Left)
    over = change(chosen.to_be_signed(content_digest(prepared, chosen.digest), NOW, identifier=b"0123456789abcdef"))
    value = raw_sign(credential.key, over, scheme=chosen.scheme, digest=chosen.digest)
    finished = finish(prepared, cms=chosen.finish(over, value), micalg=chosen.micalg, boundary=BOUNDARY)
    return fault(finished, credential, chosen)


def test_an_identifier_may_be_there() -> None:
    """It makes the signature one of its kind."""
    assert with_attributes(lambda attributes: attributes) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda octets: octets.replace(b"\x04\x100123", b"\x0c\x100123"),
        lambda octets: octets.replace(b"\x31\x12\x04\x100123", b"\x30\x12\x04\x100123"),
        lambda octets: octets.replace(bytes.fromhex("0109100207"), bytes.fromhex("0109100208")),
    ],
    ids=["another kind of value", "no set", "another attribute"],
)
def test_an_identifier_has_one_form(change: Callable[[bytes], bytes]) -> None:
    """What is not exactly what the template makes is not our work."""
    assert with_attributes(change) == "attributes"


def test_an_attribute_stands_once() -> None:
    """Two identifiers, or two times, are none."""
    identifiers = [bytes([0x30, 0x21]) + OID + bytes([0x31, 0x12, 0x04, 0x10]) + bytes([each] * 16) for each in (1, 2)]
    times = [tlv(0x30, bytes.fromhex("06092a864886f70d010905"), tlv(0x31, tlv(0x17, each))) for each in TIMES]
    digest = bytes(32)
    message_digest = tlv(0x30, bytes.fromhex("06092a864886f70d010904"), tlv(0x31, tlv(0x04, digest)))
    fixed = (_CONTENT_TYPE, _CAPABILITIES, b"named")

    def found(*attributes: bytes) -> str | None:
        return fault_in(b"".join(sorted((*fixed, *attributes))), fixed=fixed, content_digest=digest)

    for some in ((), *((each,) for each in identifiers), *((each,) for each in times)):
        assert found(message_digest, *some) is None
    for more in (identifiers, times, [message_digest], [b"another"], [_CONTENT_TYPE]):
        assert found(message_digest, *more) == "attributes"
    assert found() == "digest_mismatch"
    octets = b"".join(sorted((*fixed, message_digest, identifiers[0], times[0])))
    for place in range(len(octets)):
        assert fault_in(octets[:place] + octets[place + 1 :], fixed=fixed, content_digest=digest) is not None
    backwards = b"".join(sorted((*fixed, message_digest), reverse=True))
    assert fault_in(backwards, fixed=fixed, content_digest=digest) == "attributes"


@pytest.mark.parametrize("octets", [0, 1, 127, 128, 255, 256, 65_535, 65_536, 2**24 - 1, 2**24])
def test_what_stands_before_an_element_of_a_size_is_der(octets: int) -> None:
    """The shortest length there is (X.690 10.1); some sizes no element has."""
    whole = tlv(0x30, bytes(octets))
    assert _head(0x30, len(whole)) == whole[: len(whole) - octets]
    for size in (-1, 0, 1, 130, 259, 65_540):
        with pytest.raises(_Fault):
            _head(0x30, size)


def test_a_wrong_value_is_seen() -> None:
    """A key that returns rubbish."""
    credential = lan()
    chosen = template(credential)
    prepared = prepare(
        Message.of(PLAIN), now=NOW, new_message_id=lambda: "<made@here.example>", new_builder=MemoryBuilder
    )
    assert not isinstance(prepared, Left)
    attributes = chosen.to_be_signed(content_digest(prepared, chosen.digest), NOW)
    finished = finish(prepared, cms=chosen.finish(attributes, bytes(256)), micalg=chosen.micalg, boundary=BOUNDARY)
    assert fault(finished, credential, chosen) == "bad_signature"


def test_what_others_make_is_not_ours() -> None:
    """A message that nobody signed, and one whose header never ends."""
    assert cut(Message.of(PLAIN)) == "header"
    assert cut(Message.of(b"From: a@b.example\r\n")) == "header"
    assert cut(Message.of(b"")) == "header"


@pytest.mark.parametrize("form", [0, 1], ids=["clear", "opaque"])
def test_no_bit_of_the_last_letter_is_overlooked(form: int) -> None:
    """Base64 ends in a letter of which some bits mean nothing: ours are zero, whatever the signature's length."""
    credential = lan("p256")
    chosen = template(credential)
    for _ in range(40):  # signatures of P-256 have 70 to 72 octets
        good = made(ASCII, credential, chosen)[form].octets()
        place = len(good[: good.rindex(b"=\r\n")].rstrip(b"=")) - 1 if b"=\r\n" in good[-200:] else -1
        if place > 0:
            break
    assert place > 0
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for bit in (1, 2):
        other = letters[letters.index(good[place]) ^ bit]
        changed = good[:place] + bytes([other]) + good[place + 1 :]
        assert fault(changed, credential, chosen) is not None

"""Find the signatures of a message, what each covers, and what is shown without being covered (RFC 1847, RFC 8551 3).

Only structure is looked at here, never a key. Every count an attacker chooses is bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.cms.verify import CmsError, open_signed
from gateway.core.message import Message
from gateway.core.remembered import remembered
from gateway.core.sevenbit import has_lone_line_end
from gateway.core.verdict import Encrypted, Invalid, Partial, Unreadable, Unsigned
from gateway.mime.attached import names_of
from gateway.mime.fields import MimeError
from gateway.mime.parameters import read_parameters
from gateway.mime.transfer import decode_body
from gateway.smime.argument import Finding
from gateway.smime.beside import places, why_partial, why_unsigned
from gateway.smime.classify import CMS_TYPES, SIGNATURE_TYPES, Form, form_of, is_cms, is_signature
from gateway.smime.inside import layer_findings, read_content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.cms.verify import SignedData
    from gateway.mime.entity import Entity

_DATA: Final = "1.2.840.113549.1.7.1"
"""The only content type that mail is signed as (RFC 8551 2.4.1): a timestamp token must not pass for a letter."""
_SIGNATURE_OCTETS: Final = 1024 * 1024
"""Most octets of a detached signature, certificates and CRLs included."""
_MOST_SIGNATURES: Final = 4
"""Most signatures judged in one message; more are refused, not skipped."""
_MOST_LAYERS: Final = 4
"""Most signatures around one another that are looked into."""
_NEAR: Final = "near_boundary"
_LIMITS: Final = frozenset(
    {
        "body_too_large",
        "cms_too_large",
        "cms_too_complex",
        "oversized_value",
        "signer_too_large",
        "too_many_attributes",
        "too_many_certificates",
        "too_many_crls",
        "too_many_signers",
        "unknown_encoding",
    }
)
"""Reasons that say that we do not read it, not that it is broken."""
_BLANK_LINE: Final = re.compile(rb"\r\n[ \t]+\r\n(?!\r\n)")
"""A line of blanks inside a header: it continues a field (RFC 5322 4.2), and ends the header for readers that trim
lines first; these show the fields below as words of the message."""
_PREAMBLE_OCTETS: Final = 512
_PREAMBLE_WORDS: Final = frozenset(
    """this is an a s/mime mime signed cryptographically digitally encoded message in format multi-part multipart
    mime-encapsulated mime-formatted since your mail reader does not understand some or all of may be legible if you see
    text it means that e-mail software support are reading want to consider changing gateway understands how properly
    handle messages Đây là một thư được kí ký mật mã hóa trong ở định dạng""".encode().split()
)
"""Of the sentences that mail programs write for readers without MIME, Thunderbird once in the language of its user:
nothing else can be said in these."""
_CMS_NAME: Final = re.compile(r"[a-z._-]{1,20}[0-9]{0,3}\.p7[a-z]", re.ASCII | re.IGNORECASE)
"""File names that programs give to signatures: smime.p7s, smime.p7m, signature.p7s. No sentence, no account fits."""
_BASES: Final = ("content-base", "content-location")
"""Fields that say where relative links and pictures below lead (RFC 2557 5): outside, anybody can write them."""
_UNSIGNED_FORMS: Final = {
    Form.PGP_SIGNED: "pgp_not_checked",
    Form.PGP_INLINE: "pgp_not_checked",
    Form.OTHER_SIGNED: "unknown_protocol",
    Form.CERTIFICATES_ONLY: "certificates_only",
}
_ENCRYPTED_FORMS: Final = {
    Form.ENCRYPTED: "enveloped",
    Form.PGP_ENCRYPTED: "pgp_encrypted",
    Form.OTHER_ENCRYPTED: "unknown_encryption",
}


_SEALED_INSIDE: Final = 6
"""The condition that ends the look inwards."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Octets that a signature covers, parsed; `entity` is None where they are no MIME."""

    message: Message
    entity: Entity | None


@dataclass(frozen=True, slots=True)
class Nested:
    """A signature inside what is signed: content, whoever made it; `data` is None where it could not be opened."""

    data: SignedData | None
    content: Message


class FoundSignature(NamedTuple):
    """One signature: its CMS (None if it could not be opened) and the octets it is about."""

    data: SignedData | None
    content: Message
    layers: tuple[Layer, ...]
    """What is signed; then, where that is a signature again, what is signed inside, and so on."""
    nested: Nested | None = None
    """The next signature inwards, as in a message that is triple wrapped (RFC 2634 1.1)."""


@dataclass(frozen=True, slots=True)
class Structure:
    """The signatures to be judged, and the findings that hold whatever they say."""

    signatures: tuple[FoundSignature, ...]
    findings: tuple[Finding, ...]

    @property
    def covers_everything(self) -> bool:
        """True if one signature, at the top, is around all that is shown."""
        return len(self.signatures) == 1 and not any(each.condition <= _LAST_OF_COVERAGE for each in self.findings)


_LAST_OF_COVERAGE: Final = 6
"""The conditions up to this one speak of what is covered."""


def examine(message: Message, entity: Entity) -> Structure:
    """Return the structure of a message; raises `MimeError` where something inside is over a limit."""
    form = form_of(message, entity)
    if form not in {Form.CLEAR_SIGNED, Form.OPAQUE_SIGNED} and _signed_to_others(entity):  # condition 1
        return Structure((), (Finding(1, Unreadable, "ambiguous_structure"),))
    if form in _ENCRYPTED_FORMS:  # condition 2
        return Structure((), (Finding(2, Encrypted, _ENCRYPTED_FORMS[form]),))
    if form is Form.COMPRESSED:  # condition 2
        return Structure((), (Finding(2, Unreadable, "compressed"),))
    if form in _UNSIGNED_FORMS:  # condition 2
        return Structure((), (Finding(2, Unsigned, _UNSIGNED_FORMS[form]),))
    if form is Form.PLAIN:
        return _below(message, entity)
    found, findings = _open(message, entity, form)
    findings = [*_ambiguities(message, entity), *findings]  # condition 1
    if any(map(entity.header.first, _BASES)):  # condition 5
        findings.append(Finding(5, Partial, "content_elsewhere"))
    return Structure((found,), tuple(findings))


def _signed_to_others(top: Entity) -> bool:
    """Return True if a reader that takes another Content-Type field than the first one would look for a signature."""
    if "duplicate_content_type" not in top.defects:
        return False
    kinds = {read_parameters(field.value).value for field in top.header.all("content-type")}
    return not kinds.isdisjoint(CMS_TYPES | {"multipart/signed"})


def _ambiguities(message: Message, top: Entity) -> Iterator[Finding]:
    """Condition 1 for what stands outside the signed octets."""
    if set(top.defects) - {_NEAR} or any(child.defects for child in top.children[1:]):
        yield Finding(1, Unreadable, "ambiguous_structure")
    clear = len(top.children) > 1
    before = message.read(0, top.children[0].start if clear else top.body)
    if _BLANK_LINE.search(before, 0, top.body):
        yield Finding(1, Unreadable, "ambiguous_structure")
    after = b""
    if clear:
        after = message.read(top.children[0].stop, top.children[0].stop + 2 * _SIGNATURE_OCTETS)
        # a line that only begins like the delimiter is a third part to careless readers; inside the signed part
        # it is signed, and harmless
        if _NEAR in top.defects:
            delimiter = b"--" + top.parameters.get("boundary", "").encode()
            if before.count(delimiter, top.body) + after.count(delimiter) != len(top.children) + 1:
                yield Finding(1, Unreadable, "ambiguous_structure")
    if _has_bare_line_end(before) or _has_bare_line_end(after):
        yield Finding(1, Unreadable, "bare_line_end")


def _has_bare_line_end(octets: bytes) -> bool:
    """A bare CR or LF ends a line for some readers, and NUL a text: they would see fields and parts that we do not."""
    return has_lone_line_end(octets) or 0 in octets


def _open(message: Message, entity: Entity, form: Form) -> tuple[FoundSignature, list[Finding]]:
    if form is Form.CLEAR_SIGNED:
        return _open_clear(message, entity)
    return _open_opaque(message, entity)


def _open_clear(message: Message, entity: Entity) -> tuple[FoundSignature, list[Finding]]:
    """Conditions 3 to 8 for multipart/signed."""
    children = entity.children
    if len(children) < 2 or children[0].media_type in SIGNATURE_TYPES:  # noqa: PLR2004 - condition 3
        return FoundSignature(None, Message(()), ()), [Finding(3, Invalid, "signature_missing")]
    if not is_signature(children[1]):  # condition 3
        return FoundSignature(None, Message(()), ()), [Finding(3, Invalid, "signature_misplaced")]
    findings = []
    if entity.parameters.get("protocol", "").strip().lower() not in SIGNATURE_TYPES:  # condition 3
        findings.append(Finding(3, Invalid, "protocol_mismatch"))
    if len(children) > 2:  # noqa: PLR2004 - condition 3
        findings.append(Finding(3, Partial, "part_after_signature"))
    if not (_harmless(message, entity.preamble) and _blank(message, entity.epilogue)):  # condition 4
        findings.append(Finding(4, Partial, "text_outside_signature"))
    if not (_named_as_cms(entity) and _named_as_cms(children[1])):  # condition 4
        findings.append(Finding(4, Partial, "misnamed_signature"))
    content = message.slice(children[0].start, children[0].stop)
    try:
        data = open_signed(decode_body(message, children[1], limit=_SIGNATURE_OCTETS))
    except (CmsError, MimeError) as error:  # condition 7
        findings.append(_unopened(error))
        return FoundSignature(None, content, ()), findings
    if data.content_type != _DATA:  # condition 7
        findings.append(Finding(7, Invalid, "not_data"))
    if data.content is not None:  # condition 8
        findings.append(Finding(8, Invalid, "content_twice"))
    layers, nested = _layers(message, children[0], findings)
    return FoundSignature(data, content, layers, nested), findings


def _open_opaque(message: Message, entity: Entity) -> tuple[FoundSignature, list[Finding]]:
    """Conditions 4 to 8 for SignedData with its content."""
    try:
        data = open_signed(decode_body(message, entity, limit=len(message)))
    except (CmsError, MimeError) as error:  # condition 7
        return FoundSignature(None, Message(()), ()), [_unopened(error)]
    if data.content is None:  # condition 8
        if not data.signers:
            return FoundSignature(None, Message(()), ()), [Finding(2, Unsigned, "certificates_only")]
        return FoundSignature(None, Message(()), ()), [Finding(8, Invalid, "content_missing")]
    findings: list[Finding] = []
    if not _named_as_cms(entity):  # condition 4
        findings.append(Finding(4, Partial, "misnamed_signature"))
    if data.content_type != _DATA:  # condition 7
        findings.append(Finding(7, Invalid, "not_data"))
    content = Message.of(data.content)
    shown, top, disputes = read_content(data.content)  # condition 1
    findings += disputes
    layers, nested = _layers(shown, top, findings)
    return FoundSignature(data, content, layers, nested), findings


def _is_mail(entity: Entity) -> bool:
    """Return True for a MIME entity as mail programs sign it (RFC 8551 3.1): its header has Content-* fields, or none.

    Agencies sign files with the same certificates, PDF among them (ISO 32000-2 12.8.3): whoever has a file has content
    and CMS, and could show both as a letter, under a Subject of his own.
    """
    header = entity.header
    return "content-" in {each.key[:8] for each in header.fields} or not (header.fields or header.defects)


def _named_as_cms(entity: Entity) -> bool:
    """Return True if each name of the part, which nobody signed, is that of a CMS, if there is any.

    Who knows no S/MIME shows it as a file: "so-tai-khoan-moi.html" is words of its own, and opens as what stands among
    the unsigned attributes.
    """
    return all(_CMS_NAME.fullmatch(each) for each in names_of(entity))


def _unopened(error: CmsError | MimeError) -> Finding:
    if error.reason == "encrypted":
        return Finding(2, Encrypted, "enveloped")
    return Finding(7, Unreadable if error.reason in _LIMITS else Invalid, error.reason)


def _layers(message: Message, entity: Entity, findings: list[Finding]) -> tuple[tuple[Layer, ...], Nested | None]:
    """Return what is signed, layer by layer inwards, and the next signature; adds findings of conditions 1, 5 to 7."""
    layers: list[Layer] = []
    nested: Nested | None = None
    if not _is_mail(entity):  # condition 7
        findings.append(Finding(7, Unreadable, "signed_for_no_mail"))
    for _ in range(_MOST_LAYERS):
        layers.append(Layer(message, entity))
        if _has_bare_line_end(message.read(entity.start, entity.body)):  # condition 1
            findings.append(Finding(1, Unreadable, "bare_line_end"))
        found = tuple(layer_findings(message, entity))
        findings += found
        if any(each.condition == _SEALED_INSIDE for each in found):
            return tuple(layers), nested
        inner = _next_layer(message, entity)
        if inner is None:
            return tuple(layers), nested
        message, entity, signature, disputes = inner
        findings += disputes
        nested = nested or signature
    findings.append(Finding(1, Unreadable, "too_many_layers"))
    return tuple(layers), nested


def _next_layer(message: Message, entity: Entity) -> tuple[Message, Entity, Nested, tuple[Finding, ...]] | None:
    """Return what a signature inside a signature is about, that signature, and how its content is disputed."""
    if entity.media_type != "multipart/signed" and not is_cms(entity):
        return None  # what form it may have is not asked
    form = form_of(message, entity)
    if form is Form.CLEAR_SIGNED:
        if not entity.children:
            return None
        first = entity.children[0]
        return message, first, Nested(_inner_cms(message, entity), message.slice(first.start, first.stop)), ()
    if form is not Form.OPAQUE_SIGNED:
        return None
    try:
        data = open_signed(decode_body(message, entity, limit=len(message)))
    except CmsError:
        return None
    if data.content is None:
        return None
    shown, top, disputes = read_content(data.content)
    return shown, top, Nested(data, Message.of(data.content)), disputes


def _inner_cms(message: Message, entity: Entity) -> SignedData | None:
    signature = next((each for each in entity.children[1:2] if is_signature(each)), None)
    if signature is None:
        return None
    try:
        data = open_signed(decode_body(message, signature, limit=_SIGNATURE_OCTETS))
    except (CmsError, MimeError):
        return None
    return data if data.content is None else None


def _blank(message: Message, span: tuple[int, int] | None) -> bool:
    if span is None:
        return True
    return all(not window.strip(b" \t\r\n") for window in message.slice(*span).windows())


def _harmless(message: Message, span: tuple[int, int] | None) -> bool:
    """Return True for a preamble that is blank, or such a sentence as mail programs write there."""
    if span is None:
        return True
    if span[1] - span[0] > _PREAMBLE_OCTETS:
        return _blank(message, span)
    return _is_sentence(message.read(*span))


@remembered(64, octets=_PREAMBLE_OCTETS)
def _is_sentence(octets: bytes) -> bool:
    """Return True for the words of mail programs, and blanks between them: each program writes the same every time."""
    words = (word.rstrip(b".,") for word in octets.lower().split())
    return all(word in _PREAMBLE_WORDS for word in words if word)


def _below(message: Message, top: Entity) -> Structure:
    """Condition 2 for a message whose top is no signature: look for signatures that cover parts of it."""
    found = list(places(message, top))
    if len(found) > _MOST_SIGNATURES:
        return Structure((), (Finding(1, Unreadable, "too_many_signatures"),))
    if not found:
        return Structure((), (Finding(2, Unsigned, why_unsigned(top)),))
    signatures, findings = [], []
    for place in found:
        signature, faults = _open(message, place.entity, form_of(message, place.entity))
        signatures.append(signature)
        findings += [each for each in faults if each.kind not in {Encrypted, Unsigned}]
        reason = "two_signed_parts" if len(found) > 1 else why_partial(message, top, place)
        findings.append(Finding(2, Partial, reason))
    return Structure(tuple(signatures), tuple(findings))

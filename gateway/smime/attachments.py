"""Signatures on attached files, listed apart: they say who signed a file, and never who sent the message (RFC 5652).

The file is somebody's, the message may be anybody's: so nothing here becomes a finding, a note or a color of the mail.
Read are CMS beside a file (`.p7s`), CMS around one (`.p7m`), and PDF of one simple shape (`pdf`). Whoever signed must
be trusted for mail, with a certificate that is for mail, documents, or everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from gateway.cms.verify import CmsError, open_signed
from gateway.core.errors import InputError
from gateway.core.message import Message
from gateway.core.verdict import AttachmentSignature, AttachmentState, ChainState
from gateway.mime.attached import names_of
from gateway.mime.transfer import decode_body
from gateway.pki.family import Use
from gateway.pki.needs import Needs, joined
from gateway.pki.path import Purpose
from gateway.smime.beside import attached
from gateway.smime.classify import CMS_TYPES, is_signature
from gateway.smime.pdf import MARK, signed_pdf
from gateway.smime.signers import fault_of, shown
from gateway.smime.timestamps import stamp_of
from gateway.smime.trust import answer_for, certificate_of, needs_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from gateway.cms.verify import SignedData, SignerInfo
    from gateway.mime.entity import Entity
    from gateway.pki.certificate import Certificate
    from gateway.pki.path import PathAnswer
    from gateway.smime.structure import Structure
    from gateway.smime.trust import Trust

MOST: Final = 8
"""Files looked into, and signatures told, in one message."""
_MOST_PARTS: Final = 200
_LONGEST_NAME: Final = 200
_OCTETS: Final = 36 * 1024 * 1024
"""Of all files together, decoded."""
_DATA: Final = "1.2.840.113549.1.7.1"
_USAGES: Final = frozenset(
    {
        "1.3.6.1.5.5.7.3.4",  # emailProtection
        "2.5.29.37.0",  # any
        "1.3.6.1.5.5.7.3.36",  # documentSigning (RFC 9336)
        "1.2.840.113583.1.1.5",  # Adobe's
        "1.3.6.1.4.1.311.10.3.12",  # Microsoft's
    }
)
_STATES: Final = {
    "weak_digest": AttachmentState.NOT_TRUSTED,
    "weak_key": AttachmentState.NOT_TRUSTED,
    "unknown_algorithm": AttachmentState.UNREADABLE,
    "unknown_key": AttachmentState.UNREADABLE,
}
"""Of `fault_of`; all others say that a file or its signature was changed."""
_BY_CHAIN: Final = {
    ChainState.VALID: AttachmentState.VALID,
    ChainState.INVALID: AttachmentState.NOT_TRUSTED,
    ChainState.INDETERMINATE: AttachmentState.INDETERMINATE,
    ChainState.NONE: AttachmentState.INDETERMINATE,
}


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that may bear a signature, by its name or type; nobody has looked inside."""

    name: str
    kind: str
    """ "pdf" or "cms"."""
    message: Message
    entity: Entity
    signed: Entity | None = None
    """The file beside it that a detached signature is about."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """The signatures of one file, and what they are about."""

    data: SignedData
    content: Message


def attached_files(message: Message, top: Entity, structure: Structure) -> tuple[Attached, ...]:
    """Return the files of a message, and of what its opaque signatures hold, that may bear signatures."""
    roots = [(message, top)]
    for found in structure.signatures:
        roots += [(each.message, each.entity) for each in found.layers if each.entity and each.message is not message]
    return tuple(islice((each for holder, root in roots for each in _files(holder, root)), MOST))


def may_be_signed(each: Attached) -> bool:
    """Return whether a small file is worth looking into at all."""
    if each.kind != "pdf":
        return True
    try:
        return MARK in decode_body(each.message, each.entity, limit=_OCTETS)
    except InputError:
        return False


def attachment_signatures(files: Sequence[Attached], trust: Trust) -> tuple[AttachmentSignature, ...]:
    """Return what can be said of the files' signatures; never raises."""
    return tuple(islice(_judged(files, trust), MOST))


def attachment_needs(files: Sequence[Attached], trust: Trust) -> Needs:
    """Return what would have to be fetched before more can be said of signatures that fit."""
    if not trust.anchors.anchors:
        return Needs()
    return joined(
        needs_for(certificate, data, trust, at=trust.at) for certificate, data in islice(_fitting(files, trust), MOST)
    )


def _fitting(files: Sequence[Attached], trust: Trust) -> Iterator[tuple[Certificate, SignedData]]:
    """Yield the certificates whose signatures fit, with what came along."""
    for _, opened in _opened(files):
        if isinstance(opened, _Opened):
            for signer, certificate in _signers(opened, trust):
                if certificate is not None and _fault(signer, opened, certificate) is None:
                    yield certificate, opened.data


def _files(message: Message, root: Entity) -> Iterator[Attached]:
    """Yield the files below an entity; messages inside are other people's letters."""
    leaves = list(islice(_leaves(root), _MOST_PARTS))
    named = [
        (next(iter(names_of(each)), "")[:_LONGEST_NAME], each)
        for each in leaves
        if each is not root or _is_pdf("", each)
    ]
    for name, each in named:
        lower = name.lower()
        if _is_pdf(lower, each):
            yield Attached(name, "pdf", message, each)
        elif lower.endswith(".p7m") and (attached(each) or each.media_type not in CMS_TYPES):
            yield Attached(name, "cms", message, each)
        elif lower.endswith(".p7s"):
            beside = [other for other_name, other in named if other_name == name[:-4] and other is not each]
            if len(beside) == 1 or lower != "smime.p7s":  # of two files with one name nobody knows which is meant
                yield Attached(name, "cms", message, each, beside[0] if len(beside) == 1 else None)


def _leaves(root: Entity) -> Iterator[Entity]:
    waiting = [root]
    while waiting:
        current = waiting.pop()
        if not current.media_type.startswith("multipart/"):
            yield current
            continue
        mail = current.media_type == "multipart/signed"
        waiting += [each for each in reversed(current.children) if not (mail and is_signature(each))]


def _is_pdf(lower: str, entity: Entity) -> bool:
    return entity.media_type == "application/pdf" or lower.endswith(".pdf")


def _judged(files: Sequence[Attached], trust: Trust) -> Iterator[AttachmentSignature]:
    for each, opened in _opened(files):
        if not isinstance(opened, _Opened):
            yield AttachmentSignature(each.name, each.kind, AttachmentState.UNREADABLE, opened)
            continue
        for signer, certificate in _signers(opened, trust):
            try:
                yield _signature(each, opened, signer, certificate, trust)
            except Exception:  # noqa: BLE001 - a file must not cost the message its verdict
                yield AttachmentSignature(each.name, each.kind, AttachmentState.UNREADABLE, "internal_fault")


def _opened(files: Sequence[Attached]) -> Iterator[tuple[Attached, _Opened | str]]:
    """Yield each file that bears signatures, opened, or the reason why it cannot be."""
    left = _OCTETS
    for each in files:
        try:
            octets = decode_body(each.message, each.entity, limit=left)
            left -= len(octets)
            signed = decode_body(each.message, each.signed, limit=left) if each.signed is not None else None
            left -= len(signed or b"")
            found = _open(each, octets, signed)
        except InputError as error:
            if error.reason != "encrypted":  # what is encrypted claims no signer
                yield each, error.reason
            continue
        except Exception:  # noqa: BLE001 - as above
            yield each, "internal_fault"
            continue
        if found is not None:
            yield each, found


def _open(each: Attached, octets: bytes, signed: bytes | None) -> _Opened | None:
    """Open a file; None where it bears no signature."""
    if each.kind == "pdf":
        pdf = signed_pdf(octets)
        if pdf is None:
            return None
        octets = pdf.cms
    data = open_signed(octets)
    if each.kind == "pdf":
        assert pdf is not None  # noqa: S101 - of the same kind
        content: Message | None = pdf.content
    else:
        content = Message.of(signed) if signed is not None else None
    if data.content is not None:
        if content is not None:
            raise CmsError("content_twice")
        content = Message.of(data.content)
    if content is None:
        raise CmsError("signed_file_missing")
    if data.content_type != _DATA or not data.signers:
        raise CmsError("not_data" if data.signers else "no_signers")
    return _Opened(data, content)


def _signers(opened: _Opened, trust: Trust) -> Iterator[tuple[SignerInfo, Certificate | None]]:
    for signer in opened.data.signers:
        yield signer, certificate_of(signer, opened.data, trust)


def _fault(signer: SignerInfo, opened: _Opened, certificate: Certificate) -> str | None:
    try:
        digest = opened.content.digest(signer.digest)
    except ValueError:  # an algorithm hashlib does not know: it is named all the same
        digest = b""
    return fault_of(signer, opened.content, digest, certificate)


def _signature(
    each: Attached, opened: _Opened, signer: SignerInfo, certificate: Certificate | None, trust: Trust
) -> AttachmentSignature:
    if certificate is None:
        return AttachmentSignature(each.name, each.kind, AttachmentState.INDETERMINATE, "no_signer_certificate")
    fault = _fault(signer, opened, certificate)
    if fault is not None:
        state = _STATES.get(fault, AttachmentState.INVALID)
        return AttachmentSignature(each.name, each.kind, state, fault, shown(signer, certificate, None, None))
    answer, stamped = _path(signer, opened.data, certificate, trust)
    state, reason = (AttachmentState.INDETERMINATE, "no_trust_anchors")
    if answer is not None:
        state, reason = _BY_CHAIN[answer.state], answer.reason
        unfit = _unfit(certificate, answer)
        if unfit is not None and state is AttachmentState.VALID:
            state, reason = AttachmentState.NOT_TRUSTED, unfit
    good = answer if state is AttachmentState.VALID else None
    return AttachmentSignature(each.name, each.kind, state, reason, shown(signer, certificate, good, stamped))


def _unfit(certificate: Certificate, answer: PathAnswer) -> str | None:
    """Return why a good path is not good for a file: a web server's key signs no documents."""
    if not certificate.for_signatures:
        return "not_for_signatures"
    if certificate.extended_key_usage is not None and not certificate.extended_key_usage & _USAGES:
        return "not_for_documents"
    return None if Use.MAIL in answer.family.uses else "family_use"


def _path(
    signer: SignerInfo, data: SignedData, certificate: Certificate, trust: Trust
) -> tuple[PathAnswer | None, datetime | None]:
    """Return the answer about the path, and the time of the timestamp that it rests on."""
    if not trust.anchors.anchors:
        return None, None
    answer = answer_for(certificate, data, trust, purpose=Purpose.ANY)
    if answer.reason != "expired":
        return answer, None
    stamp = stamp_of(signer, data, trust)
    if stamp is None or stamp.at is None or stamp.at < certificate.not_before:
        return answer, None
    then = answer_for(certificate, data, trust, purpose=Purpose.ANY, then=stamp.at)
    return (then, stamp.at) if then.state is ChainState.VALID else (answer, None)

"""Judge a message's signatures: every condition of `argument.ARGUMENT`, in its order (RFC 8550, RFC 8551, RFC 5652).

Three steps, so that whoever can wait may fetch between them: open the message, say what is needed, judge. Nothing here
raises and nothing fetches: what is missing or unexpected has its own verdict, and none of those is green.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.core.address import Mailbox
from gateway.core.errors import InputError
from gateway.core.verdict import (
    Broken,
    ChainState,
    Invalid,
    Judgment,
    Note,
    SignatureState,
    Unreadable,
    Verified,
)
from gateway.mime.entity import parse
from gateway.mime.fields import AuthorDefect, author_of, read_header
from gateway.pki.needs import Needs, joined
from gateway.smime.argument import Finding, gravest, verdict_of
from gateway.smime.attachments import Attached, attached_files, attachment_needs, attachment_signatures
from gateway.smime.authors import author_findings, changed_headers, header_findings, headers_signed, named
from gateway.smime.remarks import in_order, remarks
from gateway.smime.signers import Judged, fault_of, judge_signer, path_answer
from gateway.smime.structure import Structure, examine
from gateway.smime.timestamps import stamp_needs
from gateway.smime.trust import PathOf, Trust, certificate_of, needs_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from gateway.cms.verify import SignedData, SignerInfo
    from gateway.core.message import Message
    from gateway.core.verdict import AttachmentSignature
    from gateway.mime.entity import Entity
    from gateway.mime.fields import Header
    from gateway.pki.certificate import Certificate
    from gateway.pki.path import Revocation, TrustAnchors

__all__ = [
    "Opened",
    "PathOf",
    "Trust",
    "has_timestamps",
    "judge",
    "needs_beside",
    "needs_of",
    "open_message",
    "path_answer",
    "unreadable",
    "verify",
    "verify_against",
]


class Opened(NamedTuple):
    """A message taken apart and hashed, ready to be judged as often as revocation data change."""

    author: Mailbox | AuthorDefect
    header: Header
    structure: Structure
    digests: tuple[tuple[bytes, ...], ...]
    """For each signature the content digest of each of its signers, in their order."""
    attached: tuple[Attached, ...] = ()
    """Files that may bear signatures of their own."""


def open_message(message: Message, entity: Entity | None = None) -> Opened:
    """Take a message apart and hash what its signers signed; raises `MimeError` over a limit.

    `entity` is its part tree, where that is known.
    """
    if entity is None:
        entity = parse(message)
    structure = examine(message, entity)
    digests = tuple([_digests(found.data, found.content) for found in structure.signatures])
    attached = attached_files(message, entity, structure)
    return Opened(author_of(entity.header), entity.header, structure, digests, attached)


def _digests(data: SignedData | None, content: Message) -> tuple[bytes, ...]:
    """Hash the content once per algorithm: four signers must not cost four readings."""
    if data is None:
        return ()
    known: dict[str, bytes] = {}
    for signer in data.signers:
        if signer.digest not in known:
            try:
                known[signer.digest] = content.digest(signer.digest)
            except ValueError:  # an algorithm hashlib does not know: check_signer names it
                known[signer.digest] = b""
    return tuple([known[signer.digest] for signer in data.signers])


def judge(opened: Opened, trust: Trust) -> Judgment:
    """Go through the argument; "verified" is what is left when no condition fails."""
    signatures = opened.structure.signatures
    findings = list(opened.structure.findings)  # conditions 1 to 8
    results: list[Judged] = []
    for found, digests in zip(signatures, opened.digests, strict=True):
        data = found.data
        if data is None:
            continue
        if not data.signers:
            findings.append(Finding(9, Invalid, "no_signers"))
        for signer, digest in zip(data.signers, digests, strict=True):
            results.append(judge_signer(signer, data, found.content, digest, trust))  # conditions 10 to 12, and 17
    for each in results:
        findings += each.findings
    findings += author_findings(opened.author, signatures, results)  # conditions 13, 14, 15, 17
    changed: tuple[str, ...] = ()
    if _is_intact(opened, results):
        changed = changed_headers(opened.header, signatures)
        findings += header_findings(changed)  # condition 16
    notes = [Note("headers_changed", ", ".join(changed))] if changed else []
    author = opened.author if isinstance(opened.author, Mailbox) else None
    notes += remarks(opened.header, author, results, trust.at)
    notes += _nested_notes(opened.structure, trust)
    return _conclude(opened, results, findings, in_order(notes), attachment_signatures(opened.attached, trust))


def needs_of(opened: Opened, trust: Trust) -> Needs:
    """Return what somebody would have to fetch before `judge` can say more; bounded, and nothing twice.

    Nobody fetches anything for a signature that does not fit: no data would make it better.
    """
    if not trust.anchors.anchors:
        return Needs()
    found = [needs_for(certificate, data, trust, at=trust.at) for _, certificate, data in _fitting(opened, trust)]
    return joined((*found, needs_beside(opened, trust)))


def needs_beside(opened: Opened, trust: Trust) -> Needs:
    """Return what is missing beside the paths of the mail's signers: about timestamps, and signatures on files."""
    return joined((_stamp_needs(opened, trust), attachment_needs(opened.attached, trust)))


def _stamp_needs(opened: Opened, trust: Trust) -> Needs:
    """Return what is missing about authorities for timestamps, and about signers who have expired since."""
    found: list[Needs] = []
    if not trust.anchors.anchors or not has_timestamps(opened):
        return Needs()
    for signer, certificate, data in _fitting(opened, trust):
        if signer.timestamps:
            found.append(stamp_needs(signer, data, trust))
            if certificate.not_after < trust.at:
                found.append(needs_for(certificate, data, trust, at=certificate.not_after))
    return joined(found)


def has_timestamps(opened: Opened) -> bool:
    """Return whether a signature came with a timestamp, good or bad."""
    every = [each.data.signers for each in opened.structure.signatures if each.data is not None]
    return any(signer.timestamps for signers in every for signer in signers)


def _fitting(opened: Opened, trust: Trust) -> Iterator[tuple[SignerInfo, Certificate, SignedData]]:
    """Yield the signers whose signatures fit, with their certificates and what came along."""
    for found, digests in zip(opened.structure.signatures, opened.digests, strict=True):
        if found.data is None:
            continue
        for signer, digest in zip(found.data.signers, digests, strict=True):
            certificate = certificate_of(signer, found.data, trust)
            if certificate is not None and fault_of(signer, found.content, digest, certificate) in _FIT:
                yield signer, certificate, found.data


_FIT: Final = frozenset({None, "weak_digest"})
"""Of `fault_of`: a weak digest may be excused by a setting, so what else there is to know counts."""


def _is_intact(opened: Opened, results: Sequence[Judged]) -> bool:
    """Return True where header fields inside are what the signer put there; a weak digest may be excused later."""
    good = all(each.signature is SignatureState.VALID or each.sha1 for each in results)
    return bool(results) and good and opened.structure.covers_everything


def _nested_notes(structure: Structure, trust: Trust) -> Iterator[Note]:
    """Say of a signature inside the signed content whether its octets are intact, and whom it claims to be by.

    The outer signature decides, whatever the inner one is; so no path is asked for, which would be work for strangers.
    """
    for found in structure.signatures:
        if found.nested is None:
            continue
        data, content = found.nested.data, found.nested.content
        if data is None or not data.signers:
            yield Note("nested_signature", "unreadable")
            continue
        faults: list[str | None] = []
        claims: list[str] = []
        for signer, digest in zip(data.signers, _digests(data, content), strict=True):
            certificate = certificate_of(signer, data, trust)
            if certificate is None:
                faults.append("no_signer_certificate")
                continue
            faults.append(fault_of(signer, content, digest, certificate))
            claims += certificate.addresses[:1]
        state = "intact" if not any(faults) else "broken"
        yield Note("nested_signature", " ".join((state, *claims)))


def _conclude(
    opened: Opened,
    results: Sequence[Judged],
    findings: Sequence[Finding],
    notes: tuple[Note, ...],
    attachments: tuple[AttachmentSignature, ...],
) -> Judgment:
    author = opened.author if isinstance(opened.author, Mailbox) else None
    signers = tuple([each.signer for each in results if each.signer is not None])
    if author is not None:
        signers = tuple([named(each, author) for each in signers])
    signature = _signature_state(opened, results)
    covers = opened.structure.covers_everything and signature is SignatureState.VALID
    finding = gravest(findings)
    if finding is not None:
        verdict = verdict_of(finding, signers, author)
    elif not results or author is None or signature is not SignatureState.VALID or not covers:
        # cannot be reached while every way to here leaves a finding; green must not hang on that alone
        verdict = Unreadable("unjudged", signers)
    else:
        verdict = Verified("verified", signers, author)
    broken = tuple(dict.fromkeys([Broken(each.condition, each.reason) for each in sorted(findings, key=_CONDITION)]))
    return Judgment(
        verdict,
        _chain_state(results),
        signature,
        covers,
        covers and headers_signed(opened.header, opened.structure.signatures),
        author,
        broken=broken,
        notes=notes,
        attachments=attachments,
    )


_CONDITION: Final = attrgetter("condition")


def _signature_state(opened: Opened, results: Sequence[Judged]) -> SignatureState:
    """Invalid if any is; valid only if there is one and all are."""
    broken = any(each.kind is Invalid for each in opened.structure.findings)
    states = {each.signature for each in results}
    if broken or SignatureState.INVALID in states or (opened.structure.signatures and not results):
        return SignatureState.INVALID
    return SignatureState.VALID if states == {SignatureState.VALID} else SignatureState.NONE


def _chain_state(results: Sequence[Judged]) -> ChainState:
    """The worst of all signers."""
    states = {each.chain for each in results}
    for worst in (ChainState.INVALID, ChainState.INDETERMINATE, ChainState.VALID):
        if worst in states:
            return worst
    return ChainState.NONE


def verify(
    message: Message,
    *,
    trust: TrustAnchors,
    revocation: Revocation,
    at: datetime,
    untrusted: Sequence[Certificate],
    crls: Sequence[bytes],
    ocsps: Sequence[bytes] = (),
) -> Judgment:
    """Open and judge in one step; never raises.

    `at` is the (aware) time that certificates and revocation data must be good for; `untrusted`, `crls` and `ocsps`
    are those that did not come with the message.
    """
    return verify_against(message, Trust(trust, tuple(untrusted), tuple(crls), at, revocation, tuple(ocsps)))


def verify_against(message: Message, trust: Trust) -> Judgment:
    """Do what `verify` does, by everything that can be trusted or listened to."""
    try:
        return judge(open_message(message), trust)
    except InputError as error:  # condition 1
        return unreadable(message, error.reason)
    except Exception:  # noqa: BLE001 - a bug of ours, or of a library on hostile octets, must end in a verdict
        return unreadable(message, "internal_fault")


def unreadable(message: Message, reason: str) -> Judgment:
    """Return the judgment of a message that cannot be judged; never raises."""
    author: Mailbox | None = None
    try:
        found = author_of(read_header(message))
        author = found if isinstance(found, Mailbox) else None
    except Exception:  # noqa: BLE001 - as above: the verdict stands, without an author
        author = None
    return Judgment(
        Unreadable(reason), ChainState.NONE, SignatureState.NONE, False, False, author, broken=(Broken(1, reason),)
    )

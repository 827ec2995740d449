"""Judge a message's signatures: every condition of `argument.ARGUMENT`, in its order (RFC 8550, RFC 8551, RFC 5652).

Nothing here raises and nothing fetches: what is missing or unexpected has its own verdict, and none of those is green.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gateway.cms.asn1 import CmsError, head
from gateway.cms.verify import check_signer
from gateway.core.address import Mailbox
from gateway.core.errors import InputError
from gateway.core.verdict import (
    Broken,
    ChainState,
    Indeterminate,
    Invalid,
    Judgment,
    NotTrusted,
    SignatureState,
    Signer,
    SignerMismatch,
    Unreadable,
    Verified,
)
from gateway.mime.entity import parse
from gateway.mime.fields import AuthorDefect, author_of, read_header
from gateway.pki.needs import Needs
from gateway.pki.path import Purpose, Revocation, TrustAnchors, validate
from gateway.smime.argument import Finding, FindingKind, gravest, verdict_of
from gateway.smime.headers import headers_match, names_other_author, protected_header
from gateway.smime.structure import FoundSignature, Structure, examine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gateway.cms.verify import SignedData, SignerInfo
    from gateway.core.message import Message
    from gateway.mime.fields import Header
    from gateway.pki.certificate import Certificate
    from gateway.pki.path import PathAnswer

_FAULTS: Final[dict[str, tuple[FindingKind, SignatureState]]] = {
    "weak_digest": (NotTrusted, SignatureState.INVALID),
    "weak_key": (NotTrusted, SignatureState.VALID),
    "unknown_algorithm": (Unreadable, SignatureState.NONE),
    "unknown_key": (Unreadable, SignatureState.NONE),
}
"""Reasons of `check_signer` that are no forgery: too weak to be believed, or unknown to us. All others are."""
_SET: Final = 0x31
_MOST_UNTRUSTED: Final = 40
"""Most certificates outside the message that are tried as its signers' own."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A message taken apart and hashed, ready to be judged as often as revocation data change."""

    author: Mailbox | AuthorDefect
    header: Header
    structure: Structure
    digests: tuple[tuple[bytes, ...], ...]
    """For each signature the content digest of each of its signers, in their order."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What signers are judged against: everything that is not in the message."""

    anchors: TrustAnchors
    untrusted: tuple[Certificate, ...]
    crls: tuple[bytes, ...]
    at: datetime
    revocation: Revocation
    ocsps: tuple[bytes, ...] = ()
    """Answers of responders (DER)."""
    path_of: PathOf | None = None
    """Who answers condition 12 instead of `path_answer`: one that remembers its answers."""


PathOf = Callable[["Certificate", "SignedData"], "PathAnswer"]
"""Answers for a signer's certificate, and the SignedData it signed: more certificates and revocation lists."""


@dataclass(frozen=True, slots=True)
class _Signed:
    """What is known about one SignerInfo."""

    signer: Signer | None
    certificate: Certificate | None
    chain: ChainState
    signature: SignatureState
    findings: tuple[Finding, ...]


def open_message(message: Message) -> Opened:
    """Take a message apart and hash what its signers signed; raises `MimeError` over a limit."""
    entity = parse(message)
    structure = examine(message, entity)
    digests = tuple(_digests(found) for found in structure.signatures)
    return Opened(author_of(entity.header), entity.header, structure, digests)


def _digests(found: FoundSignature) -> tuple[bytes, ...]:
    """Hash the content once per algorithm: four signers must not cost four readings."""
    if found.data is None:
        return ()
    known: dict[str, bytes] = {}
    for signer in found.data.signers:
        if signer.digest not in known:
            try:
                known[signer.digest] = found.content.digest(signer.digest)
            except ValueError:  # an algorithm hashlib does not know: check_signer names it
                known[signer.digest] = b""
    return tuple(known[signer.digest] for signer in found.data.signers)


def needs_of(opened: Opened, trust: Trust) -> Needs:
    """Return what would have to be fetched before the signers' paths can be judged; never raises."""
    del opened, trust  # nothing is known of paths yet
    return Needs()


def judge(opened: Opened, trust: Trust) -> Judgment:
    """Go through the argument; "verified" is what is left when no condition fails."""
    findings = list(opened.structure.findings)  # conditions 1 to 8
    results: list[_Signed] = []
    for found, digests in zip(opened.structure.signatures, opened.digests, strict=True):
        if found.data is None:
            continue
        if not found.data.signers:
            findings.append(Finding(9, Invalid, "no_signers"))
        results += [
            _judge_signer(found, signer, digest, trust)  # conditions 10 to 12
            for signer, digest in zip(found.data.signers, digests, strict=True)
        ]
    findings += [finding for each in results for finding in each.findings]
    findings += _author_findings(opened, results)  # conditions 13 to 15
    return _conclude(opened, results, findings)


def _judge_signer(found: FoundSignature, signer: SignerInfo, digest: bytes, trust: Trust) -> _Signed:
    """Conditions 10, 11 and 12 for one SignerInfo."""
    assert found.data is not None  # noqa: S101 - the caller saw it
    candidates = (*found.data.certificates, *trust.anchors.intermediates, *trust.untrusted[:_MOST_UNTRUSTED])
    certificate = signer.certificate(candidates)
    if certificate is None:  # condition 10
        finding = Finding(10, Indeterminate, "no_signer_certificate")
        return _Signed(None, None, ChainState.INDETERMINATE, SignatureState.NONE, (finding,))
    findings = []
    fault = check_signer(signer, content_digest=digest, certificate=certificate)
    if fault is None and signer.signed_attributes is None and _are_attributes(found.content):
        fault = "attributes_as_content"
    signature = SignatureState.VALID
    if fault is not None:  # condition 11
        kind, signature = _FAULTS.get(fault, (Invalid, SignatureState.INVALID))
        findings.append(Finding(11, kind, fault))
    chain, reason = _path(certificate, found, trust)
    if chain is ChainState.INVALID:  # condition 12
        findings.append(Finding(12, NotTrusted, reason))
    elif chain is not ChainState.VALID:  # condition 12
        findings.append(Finding(12, Indeterminate, reason))
    shown = Signer(
        subject=certificate.subject,
        issuer=certificate.issuer,
        serial=certificate.serial,
        addresses=tuple(certificate.addresses),
        agency=None,
        claimed_signing_time=signer.claimed_signing_time,
        algorithm=signer.algorithm_with(certificate),
        fingerprint=certificate.fingerprint,
        san_addresses=tuple(certificate.san_addresses),
        signature_digest=hashlib.sha256(signer.signature).hexdigest(),
    )
    return _Signed(shown, certificate, chain, signature, tuple(findings))


def _are_attributes(content: Message) -> bool:
    """Return True for one DER SET: somebody's signed attributes, whose signature would fit them as a content, too."""
    try:
        tag, _, end = head(content.read(0, 16), 0, len(content))
    except CmsError:
        return False
    return tag == _SET and end == len(content)


def _path(certificate: Certificate, found: FoundSignature, trust: Trust) -> tuple[ChainState, str]:
    """Condition 12; without any anchor there is no question to ask."""
    if not trust.anchors.anchors:
        return ChainState.INDETERMINATE, "no_trust_anchors"
    assert found.data is not None  # noqa: S101 - the caller saw it
    answer = (
        trust.path_of(certificate, found.data)
        if trust.path_of is not None
        else path_answer(certificate, found.data, trust)
    )
    return answer.state, answer.reason


def path_answer(certificate: Certificate, data: SignedData, trust: Trust) -> PathAnswer:
    """Return what path validation says of a signer's certificate, beside what came with its signature."""
    return validate(
        certificate,
        trust=trust.anchors,
        untrusted=(*data.certificates, *trust.untrusted),
        crls=(*data.crls, *trust.crls),
        at=trust.at,
        purpose=Purpose.EMAIL,
        revocation=trust.revocation,
    )


def _author_findings(opened: Opened, results: Sequence[_Signed]) -> list[Finding]:
    """Conditions 13 to 15; only a good signature can be anybody's."""
    if not results:
        return []
    if isinstance(opened.author, AuthorDefect):  # condition 13
        return [Finding(13, SignerMismatch, str(opened.author))]
    author = opened.author
    findings = []
    strangers = [each for each in results if each.certificate is not None and not names(each.certificate, author)]
    if strangers:  # condition 14
        reason = "signer_is_not_author" if len(strangers) == len(results) else "cosigner_is_not_author"
        bare = all(not each.certificate.addresses for each in strangers if each.certificate is not None)
        findings.append(Finding(14, SignerMismatch, "certificate_without_address" if bare else reason))
    if any(
        layer.entity is not None and names_other_author(layer.entity, author)
        for found in opened.structure.signatures
        for layer in found.layers
    ):  # condition 15
        findings.append(Finding(15, SignerMismatch, "inner_from_differs"))
    return findings


def names(certificate: Certificate, author: Mailbox) -> bool:
    """Return True if the certificate names the mailbox: subjectAltName, or the subject's E where that has none.

    A subjectAltName with addresses outdates the subject (RFC 8550 3); compared as `Mailbox.key` does.
    """
    return _matching(certificate, author) is not None


def _matching(certificate: Certificate, author: Mailbox) -> str | None:
    for address in certificate.san_addresses or certificate.legacy_addresses:
        try:
            if Mailbox.parse(address).key == author.key:
                return address
        except ValueError:
            continue
    return None


def _conclude(opened: Opened, results: Sequence[_Signed], findings: Sequence[Finding]) -> Judgment:
    signers = tuple(each.signer for each in results if each.signer is not None)
    author = opened.author if isinstance(opened.author, Mailbox) else None
    signature = _signature_state(opened, results)
    covers = opened.structure.covers_everything and signature is SignatureState.VALID
    finding = gravest(findings)
    if finding is not None:
        verdict = verdict_of(finding, signers)
    elif not results or author is None or signature is not SignatureState.VALID or not covers:
        # cannot be reached while every way to here leaves a finding; green must not hang on that alone
        verdict = Unreadable("unjudged", signers)
    else:
        verdict = Verified("verified", tuple(_named(each, author) for each in signers), author)
    ordered = sorted(findings, key=lambda each: each.condition)
    return Judgment(
        verdict,
        _chain_state(results),
        signature,
        covers,
        covers and _headers_signed(opened),
        author,
        broken=tuple(dict.fromkeys(Broken(each.condition, each.reason) for each in ordered)),
    )


def _named(signer: Signer, author: Mailbox) -> Signer:
    """Return the signer with its matching address in the form that compares equal (IDN, case)."""

    def plain(addresses: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(author.key if _key(each) == author.key else each for each in addresses)

    return replace(signer, addresses=plain(signer.addresses), san_addresses=plain(signer.san_addresses))


def _key(address: str) -> str:
    try:
        return Mailbox.parse(address).key
    except ValueError:
        return address


def _signature_state(opened: Opened, results: Sequence[_Signed]) -> SignatureState:
    """Invalid if any is; valid only if there is one and all are."""
    broken = any(each.kind is Invalid for each in opened.structure.findings)
    states = {each.signature for each in results}
    if broken or SignatureState.INVALID in states or (opened.structure.signatures and not results):
        return SignatureState.INVALID
    return SignatureState.VALID if states == {SignatureState.VALID} else SignatureState.NONE


def _chain_state(results: Sequence[_Signed]) -> ChainState:
    """The worst of all signers."""
    states = {each.chain for each in results}
    for worst in (ChainState.INVALID, ChainState.INDETERMINATE, ChainState.VALID):
        if worst in states:
            return worst
    return ChainState.NONE


def _headers_signed(opened: Opened) -> bool:
    (found,) = opened.structure.signatures
    layers = [each.entity for each in found.layers if each.entity is not None]
    inner = [header for header in map(protected_header, layers) if header is not None]
    return bool(inner) and all(headers_match(opened.header, each) for each in inner)


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

    `at` is the (aware) time that certificates and revocation data must be good for; `untrusted` and `crls` are those
    that did not come with the message.
    """
    try:
        opened = open_message(message)
        return judge(opened, Trust(trust, tuple(untrusted), tuple(crls), at, revocation, tuple(ocsps)))
    except InputError as error:  # condition 1
        return unreadable(message, error.reason)
    except Exception:  # noqa: BLE001 - a bug of ours, or of a library on hostile octets, must end in a verdict
        return unreadable(message, "internal_fault")


def unreadable(message: Message, reason: str) -> Judgment:
    """Return the judgment of a message that could not be judged; never raises."""
    author: Mailbox | None = None
    try:
        found = author_of(read_header(message))
        author = found if isinstance(found, Mailbox) else None
    except Exception:  # noqa: BLE001 - as above: the verdict stands, without an author
        author = None
    return Judgment(
        Unreadable(reason), ChainState.NONE, SignatureState.NONE, False, False, author, broken=(Broken(1, reason),)
    )

"""OCSP answers of any shape, signed by whomever, for tests of what is believed (RFC 6960)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from support.letters import NOW
from support.tree import DAY

if TYPE_CHECKING:
    import datetime as dt

    from cryptography import x509

    from gateway.pki.certificate import Certificate
    from support.tree import Node


def ocsp_answer(  # noqa: PLR0913 - an answer has that many parts that can be wrong
    about: Certificate,
    *,
    issuer: Node,
    by: Node | None = None,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    this: dt.datetime = NOW - DAY,
    until: dt.datetime | None = NOW + DAY,
    reason: x509.ReasonFlags | None = None,
    certificates: tuple[Certificate, ...] | None = None,
    named: hashes.HashAlgorithm | None = None,
    digest: hashes.HashAlgorithm | None = None,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
) -> bytes:
    """Return an OCSPResponse (DER), by default the issuer's own good one."""
    by = by or issuer
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=about.parsed,
        issuer=issuer.certificate.parsed,
        algorithm=named or hashes.SHA1(),  # noqa: S303 - names, no proof
        cert_status=status,
        this_update=this,
        next_update=until,
        revocation_time=NOW - DAY if status is ocsp.OCSPCertStatus.REVOKED else None,
        revocation_reason=reason,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, by.certificate.parsed)
    sent = certificates if certificates is not None else () if by is issuer else (by.certificate,)
    if sent:
        builder = builder.certificates([each.parsed for each in sent])
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(by.key, digest or hashes.SHA256()).public_bytes(serialization.Encoding.DER)  # type: ignore[arg-type]

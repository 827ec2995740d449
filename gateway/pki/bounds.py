"""Counts in a path whose product is the work of judging it: refused before any library multiplies them (RFC 9618 3).

Policies and mappings multiply from certificate to certificate, name constraints multiply with names. Real authorities
have a handful of each; a subordinate authority that wants to hurt has thousands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from asn1crypto import x509 as asn1_x509
from cryptography import x509

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.pki.certificate import Certificate

_MAX_POLICIES: Final = 32
_MAX_MAPPINGS: Final = 32
_POLICY_MAPPINGS: Final = x509.ObjectIdentifier("2.5.29.33")
_MAX_NAMES: Final = 100
"""In one subjectAltName, or attributes of one subject."""
_MAX_SUBTREES: Final = 128
_MAX_COMPARISONS: Final = 4096
"""Subtrees of the whole path times names of the whole path."""
_MAX_EXTENSIONS: Final = 64
_MAX_POINTS: Final = 32
"""Distribution points of one certificate, and names in all of them."""


def too_complex(path: Sequence[Certificate]) -> bool:
    """Return whether a path (anchor first) has more of something than will be looked at.

    Raises what the parser raises where an extension cannot be read.
    """
    subtrees = names = 0
    for each in path:
        count = _Counts(each.parsed)
        if count.beyond:
            return True
        subtrees += count.subtrees
        names += count.names
    return subtrees * names > _MAX_COMPARISONS


class _Counts:
    """What one certificate has of each."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self.names = sum(1 for _ in certificate.subject)
        self.subtrees = 0
        self.beyond = len(certificate.extensions) > _MAX_EXTENSIONS
        for extension in certificate.extensions:
            match extension.value:
                case x509.CertificatePolicies() as policies:
                    qualifiers = sum(len(each.policy_qualifiers or ()) for each in policies)
                    self.beyond |= len(policies) + qualifiers > 2 * _MAX_POLICIES or len(policies) > _MAX_POLICIES
                case x509.UnrecognizedExtension() as other if other.oid == _POLICY_MAPPINGS:
                    self.beyond |= len(asn1_x509.PolicyMappings.load(other.value, strict=True)) > _MAX_MAPPINGS
                case x509.SubjectAlternativeName() as alternative:
                    self.names += len(alternative)
                case x509.NameConstraints() as limits:
                    self.subtrees = len(limits.permitted_subtrees or ()) + len(limits.excluded_subtrees or ())
                case x509.CRLDistributionPoints() as points:
                    listed = sum(len(each.full_name or ()) + len(each.crl_issuer or ()) for each in points)
                    self.beyond |= max(len(points), listed) > _MAX_POINTS
        self.beyond |= self.names > _MAX_NAMES or self.subtrees > _MAX_SUBTREES

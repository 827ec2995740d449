"""NIST PKITS, every end-entity test of 4.1 to 4.16 with its sub-tests, through our own path building (RFC 5280 6).

Each test gets the whole bag at once: all CA certificates as untrusted, all revocation lists. Only the anchor is pinned.
The two exceptions are the valid paths with DSA keys (4.1.4, 4.1.5), which our own rules refuse.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import cryptography_vectors
import pytest

from gateway.core.verdict import ChainState
from gateway.pki.certificate import Certificate, CertificateError
from gateway.pki.path import PathAnswer, PolicyInputs, Purpose, Revocation, TrustAnchors, validate

_DATA: Final = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
_AT: Final = dt.datetime(2012, 6, 1, tzinfo=dt.UTC)
_P: Final = {number: f"2.16.840.1.101.3.2.1.48.{number}" for number in range(1, 7)}
"""NIST-test-policy-1 to -6."""

_SECTIONS: Final = {
    "4.1": "ValidCertificatePathTest1 InvalidCASignatureTest2 InvalidEESignatureTest3 ValidDSASignaturesTest4 "
    "ValidDSAParameterInheritanceTest5 InvalidDSASignatureTest6",
    "4.2": "InvalidCAnotBeforeDateTest1 InvalidEEnotBeforeDateTest2 Validpre2000UTCnotBeforeDateTest3 "
    "ValidGeneralizedTimenotBeforeDateTest4 InvalidCAnotAfterDateTest5 InvalidEEnotAfterDateTest6 "
    "Invalidpre2000UTCEEnotAfterDateTest7 ValidGeneralizedTimenotAfterDateTest8",
    "4.3": "InvalidNameChainingTest1 InvalidNameChainingOrderTest2 ValidNameChainingWhitespaceTest3 "
    "ValidNameChainingWhitespaceTest4 ValidNameChainingCapitalizationTest5 ValidNameUIDsTest6 "
    "ValidRFC3280MandatoryAttributeTypesTest7 ValidRFC3280OptionalAttributeTypesTest8 "
    "ValidUTF8StringEncodedNamesTest9 ValidRolloverfromPrintableStringtoUTF8StringTest10 "
    "ValidUTF8StringCaseInsensitiveMatchTest11",
    "4.4": "InvalidMissingCRLTest1 InvalidRevokedCATest2 InvalidRevokedEETest3 InvalidBadCRLSignatureTest4 "
    "InvalidBadCRLIssuerNameTest5 InvalidWrongCRLTest6 ValidTwoCRLsTest7 InvalidUnknownCRLEntryExtensionTest8 "
    "InvalidUnknownCRLExtensionTest9 InvalidUnknownCRLExtensionTest10 InvalidOldCRLnextUpdateTest11 "
    "Invalidpre2000CRLnextUpdateTest12 ValidGeneralizedTimeCRLnextUpdateTest13 ValidNegativeSerialNumberTest14 "
    "InvalidNegativeSerialNumberTest15 ValidLongSerialNumberTest16 ValidLongSerialNumberTest17 "
    "InvalidLongSerialNumberTest18 ValidSeparateCertificateandCRLKeysTest19 "
    "InvalidSeparateCertificateandCRLKeysTest20 InvalidSeparateCertificateandCRLKeysTest21",
    "4.5": "ValidBasicSelfIssuedOldWithNewTest1 InvalidBasicSelfIssuedOldWithNewTest2 "
    "ValidBasicSelfIssuedNewWithOldTest3 ValidBasicSelfIssuedNewWithOldTest4 InvalidBasicSelfIssuedNewWithOldTest5 "
    "ValidBasicSelfIssuedCRLSigningKeyTest6 InvalidBasicSelfIssuedCRLSigningKeyTest7 "
    "InvalidBasicSelfIssuedCRLSigningKeyTest8",
    "4.6": "InvalidMissingbasicConstraintsTest1 InvalidcAFalseTest2 InvalidcAFalseTest3 "
    "ValidbasicConstraintsNotCriticalTest4 InvalidpathLenConstraintTest5 InvalidpathLenConstraintTest6 "
    "ValidpathLenConstraintTest7 ValidpathLenConstraintTest8 InvalidpathLenConstraintTest9 "
    "InvalidpathLenConstraintTest10 InvalidpathLenConstraintTest11 InvalidpathLenConstraintTest12 "
    "ValidpathLenConstraintTest13 ValidpathLenConstraintTest14 ValidSelfIssuedpathLenConstraintTest15 "
    "InvalidSelfIssuedpathLenConstraintTest16 ValidSelfIssuedpathLenConstraintTest17",
    "4.7": "InvalidkeyUsageCriticalkeyCertSignFalseTest1 InvalidkeyUsageNotCriticalkeyCertSignFalseTest2 "
    "ValidkeyUsageNotCriticalTest3 InvalidkeyUsageCriticalcRLSignFalseTest4 "
    "InvalidkeyUsageNotCriticalcRLSignFalseTest5",
    "4.9": "ValidrequireExplicitPolicyTest1 ValidrequireExplicitPolicyTest2 InvalidrequireExplicitPolicyTest3 "
    "ValidrequireExplicitPolicyTest4 InvalidrequireExplicitPolicyTest5 ValidSelfIssuedrequireExplicitPolicyTest6 "
    "InvalidSelfIssuedrequireExplicitPolicyTest7 InvalidSelfIssuedrequireExplicitPolicyTest8",
    "4.10": "InvalidPolicyMappingTest4 InvalidMappingFromanyPolicyTest7 InvalidMappingToanyPolicyTest8 "
    "ValidPolicyMappingTest9 InvalidPolicyMappingTest10 ValidPolicyMappingTest11 ValidPolicyMappingTest13 "
    "ValidPolicyMappingTest14",
    "4.11": "InvalidinhibitPolicyMappingTest1 ValidinhibitPolicyMappingTest2 InvalidinhibitPolicyMappingTest3 "
    "ValidinhibitPolicyMappingTest4 InvalidinhibitPolicyMappingTest5 InvalidinhibitPolicyMappingTest6 "
    "ValidSelfIssuedinhibitPolicyMappingTest7 InvalidSelfIssuedinhibitPolicyMappingTest8 "
    "InvalidSelfIssuedinhibitPolicyMappingTest9 InvalidSelfIssuedinhibitPolicyMappingTest10 "
    "InvalidSelfIssuedinhibitPolicyMappingTest11",
    "4.12": "InvalidinhibitAnyPolicyTest1 ValidinhibitAnyPolicyTest2 InvalidinhibitAnyPolicyTest4 "
    "InvalidinhibitAnyPolicyTest5 InvalidinhibitAnyPolicyTest6 ValidSelfIssuedinhibitAnyPolicyTest7 "
    "InvalidSelfIssuedinhibitAnyPolicyTest8 ValidSelfIssuedinhibitAnyPolicyTest9 "
    "InvalidSelfIssuedinhibitAnyPolicyTest10",
    "4.13": "ValidDNnameConstraintsTest1 InvalidDNnameConstraintsTest2 InvalidDNnameConstraintsTest3 "
    "ValidDNnameConstraintsTest4 ValidDNnameConstraintsTest5 ValidDNnameConstraintsTest6 "
    "InvalidDNnameConstraintsTest7 InvalidDNnameConstraintsTest8 InvalidDNnameConstraintsTest9 "
    "InvalidDNnameConstraintsTest10 ValidDNnameConstraintsTest11 InvalidDNnameConstraintsTest12 "
    "InvalidDNnameConstraintsTest13 ValidDNnameConstraintsTest14 InvalidDNnameConstraintsTest15 "
    "InvalidDNnameConstraintsTest16 InvalidDNnameConstraintsTest17 ValidDNnameConstraintsTest18 "
    "ValidDNnameConstraintsTest19 InvalidDNnameConstraintsTest20 ValidRFC822nameConstraintsTest21 "
    "InvalidRFC822nameConstraintsTest22 ValidRFC822nameConstraintsTest23 InvalidRFC822nameConstraintsTest24 "
    "ValidRFC822nameConstraintsTest25 InvalidRFC822nameConstraintsTest26 ValidDNandRFC822nameConstraintsTest27 "
    "InvalidDNandRFC822nameConstraintsTest28 InvalidDNandRFC822nameConstraintsTest29 "
    "ValidDNSnameConstraintsTest30 InvalidDNSnameConstraintsTest31 ValidDNSnameConstraintsTest32 "
    "InvalidDNSnameConstraintsTest33 ValidURInameConstraintsTest34 InvalidURInameConstraintsTest35 "
    "ValidURInameConstraintsTest36 InvalidURInameConstraintsTest37 InvalidDNSnameConstraintsTest38",
    "4.14": "ValiddistributionPointTest1 InvaliddistributionPointTest2 InvaliddistributionPointTest3 "
    "ValiddistributionPointTest4 ValiddistributionPointTest5 InvaliddistributionPointTest6 "
    "ValiddistributionPointTest7 InvaliddistributionPointTest8 InvaliddistributionPointTest9 "
    "ValidNoissuingDistributionPointTest10 InvalidonlyContainsUserCertsTest11 InvalidonlyContainsCACertsTest12 "
    "ValidonlyContainsCACertsTest13 InvalidonlyContainsAttributeCertsTest14 InvalidonlySomeReasonsTest15 "
    "InvalidonlySomeReasonsTest16 InvalidonlySomeReasonsTest17 ValidonlySomeReasonsTest18 "
    "ValidonlySomeReasonsTest19 InvalidonlySomeReasonsTest20 InvalidonlySomeReasonsTest21 "
    "ValidIDPwithindirectCRLTest22 InvalidIDPwithindirectCRLTest23 ValidIDPwithindirectCRLTest24 "
    "ValidIDPwithindirectCRLTest25 InvalidIDPwithindirectCRLTest26 InvalidcRLIssuerTest27 ValidcRLIssuerTest28 "
    "ValidcRLIssuerTest29 ValidcRLIssuerTest30 InvalidcRLIssuerTest31 InvalidcRLIssuerTest32 ValidcRLIssuerTest33 "
    "InvalidcRLIssuerTest34 InvalidcRLIssuerTest35",
    "4.15": "InvaliddeltaCRLIndicatorNoBaseTest1 ValiddeltaCRLTest2 InvaliddeltaCRLTest3 InvaliddeltaCRLTest4 "
    "ValiddeltaCRLTest5 InvaliddeltaCRLTest6 ValiddeltaCRLTest7 ValiddeltaCRLTest8 InvaliddeltaCRLTest9 "
    "InvaliddeltaCRLTest10",
    "4.16": "ValidUnknownNotCriticalCertificateExtensionTest1 InvalidUnknownCriticalCertificateExtensionTest2",
}
"""Tests with the default settings; the name says what is expected."""


class Case(NamedTuple):
    """One test or sub-test."""

    section: str
    name: str
    valid: bool
    inputs: PolicyInputs = PolicyInputs()


def _with(*policies: int, explicit: bool = False, no_mapping: bool = False, no_any: bool = False) -> PolicyInputs:
    return PolicyInputs(tuple(_P[each] for each in policies), explicit, no_mapping, no_any)


_SETTINGS: Final = (
    Case("4.8", "ValidCertificatePathTest1", True, _with(explicit=True)),
    Case("4.8", "ValidCertificatePathTest1", True, _with(1, explicit=True)),
    Case("4.8", "ValidCertificatePathTest1", False, _with(2, explicit=True)),
    Case("4.8", "ValidCertificatePathTest1", True, _with(1, 2, explicit=True)),
    Case("4.8", "AllCertificatesNoPoliciesTest2", True),
    Case("4.8", "AllCertificatesNoPoliciesTest2", False, _with(explicit=True)),
    Case("4.8", "DifferentPoliciesTest3", True),
    Case("4.8", "DifferentPoliciesTest3", False, _with(explicit=True)),
    Case("4.8", "DifferentPoliciesTest3", False, _with(1, 2, explicit=True)),
    Case("4.8", "DifferentPoliciesTest4", False),
    Case("4.8", "DifferentPoliciesTest5", False),
    Case("4.8", "OverlappingPoliciesTest6", True),
    Case("4.8", "OverlappingPoliciesTest6", True, _with(1)),
    Case("4.8", "OverlappingPoliciesTest6", False, _with(2)),
    Case("4.8", "DifferentPoliciesTest7", False),
    Case("4.8", "DifferentPoliciesTest8", False),
    Case("4.8", "DifferentPoliciesTest9", False),
    Case("4.8", "AllCertificatesSamePoliciesTest10", True),
    Case("4.8", "AllCertificatesSamePoliciesTest10", True, _with(1)),
    Case("4.8", "AllCertificatesSamePoliciesTest10", True, _with(2)),
    Case("4.8", "AllCertificatesanyPolicyTest11", True),
    Case("4.8", "AllCertificatesanyPolicyTest11", True, _with(1)),
    Case("4.8", "DifferentPoliciesTest12", False),
    Case("4.8", "AllCertificatesSamePoliciesTest13", True, _with(1)),
    Case("4.8", "AllCertificatesSamePoliciesTest13", True, _with(2)),
    Case("4.8", "AllCertificatesSamePoliciesTest13", True, _with(3)),
    Case("4.8", "AnyPolicyTest14", True, _with(1)),
    Case("4.8", "AnyPolicyTest14", False, _with(2)),
    Case("4.8", "UserNoticeQualifierTest15", True),
    Case("4.8", "UserNoticeQualifierTest16", True),
    Case("4.8", "UserNoticeQualifierTest17", True),
    Case("4.8", "UserNoticeQualifierTest18", True, _with(1)),
    Case("4.8", "UserNoticeQualifierTest18", True, _with(2)),
    Case("4.8", "UserNoticeQualifierTest19", True),
    Case("4.8", "CPSPointerQualifierTest20", True, _with(1, explicit=True)),
    Case("4.10", "ValidPolicyMappingTest1", True, _with(1)),
    Case("4.10", "ValidPolicyMappingTest1", False, _with(2)),
    Case("4.10", "ValidPolicyMappingTest1", False, _with(1, no_mapping=True)),
    Case("4.10", "InvalidPolicyMappingTest2", False),
    Case("4.10", "InvalidPolicyMappingTest2", False, _with(no_mapping=True)),
    Case("4.10", "ValidPolicyMappingTest3", False, _with(1)),
    Case("4.10", "ValidPolicyMappingTest3", True, _with(2)),
    Case("4.10", "ValidPolicyMappingTest5", True, _with(1)),
    Case("4.10", "ValidPolicyMappingTest5", False, _with(6)),
    Case("4.10", "ValidPolicyMappingTest6", True, _with(1)),
    Case("4.10", "ValidPolicyMappingTest6", False, _with(6)),
    Case("4.10", "ValidPolicyMappingTest12", True, _with(1)),
    Case("4.10", "ValidPolicyMappingTest12", True, _with(2)),
    Case("4.12", "inhibitAnyPolicyTest3", True),
    Case("4.12", "inhibitAnyPolicyTest3", False, _with(no_any=True)),
)
_DSA: Final = {"ValidDSASignaturesTest4", "ValidDSAParameterInheritanceTest5"}
_CASES: Final = (
    *(
        Case(section, name, name.startswith("Valid") and name not in _DSA)
        for section, names in _SECTIONS.items()
        for name in names.split()
    ),
    *_SETTINGS,
)


@lru_cache(maxsize=1)
def _world() -> tuple[TrustAnchors, tuple[Certificate, ...]]:
    """Return the anchor with all revocation lists, and the bag of all CA certificates that can be read."""
    bag = []
    for file in sorted((_DATA / "certs").glob("*.crt")):
        if not file.name.endswith("EE.crt") and file.name != "TrustAnchorRootCertificate.crt":
            try:
                bag.append(Certificate.load(file.read_bytes()))
            except CertificateError:  # DSA without parameters
                assert file.name == "DSAParametersInheritedCACert.crt"
    anchor = Certificate.load((_DATA / "certs" / "TrustAnchorRootCertificate.crt").read_bytes())
    lists = tuple(file.read_bytes() for file in sorted((_DATA / "crls").glob("*.crl")))
    return TrustAnchors((anchor,), (), lists), tuple(bag)


def _judged(case: Case) -> PathAnswer | None:
    trust, bag = _world()
    try:
        leaf = Certificate.load((_DATA / "certs" / f"{case.name}EE.crt").read_bytes())
    except CertificateError:
        return None
    return validate(
        leaf,
        trust=trust,
        untrusted=bag,
        crls=(),
        at=_AT,
        purpose=Purpose.ANY,
        revocation=Revocation.HARD,
        policies=case.inputs,
    )


@pytest.mark.parametrize(
    "case", _CASES, ids=lambda case: f"{case.section}-{case.name}-{''.join(case.inputs.policies)[-2:]}"
)
def test_pkits(case: Case) -> None:
    """A path is valid exactly where NIST says so; nothing ends in a fault of ours."""
    answer = _judged(case)
    if answer is None:
        assert case.name == "ValidDSAParameterInheritanceTest5"
        return
    assert (answer.state is ChainState.VALID) == case.valid, answer.reason
    assert answer.reason not in {"path_fault", "path_too_complex", "path_invalid"}


def test_the_table_is_complete() -> None:
    """Every end-entity certificate of the collection is in the table, and sections count without gaps."""
    names = {each.name for each in _CASES}
    assert names == {file.name.removesuffix("EE.crt") for file in (_DATA / "certs").glob("*EE.crt")}
    for section in (*_SECTIONS, "4.8"):
        numbers = {
            int(match[1])
            for each in _CASES
            if each.section == section and (match := re.search(r"Test(\d+)", each.name))
        }
        assert numbers == set(range(1, len(numbers) + 1)), section


def test_reasons_are_true() -> None:
    """What an administrator reads names the cause, and what is merely missing is no verdict about the certificate."""
    told = {
        "InvalidCASignatureTest2": (ChainState.INVALID, "bad_certificate_signature"),
        "InvalidEESignatureTest3": (ChainState.INVALID, "bad_certificate_signature"),
        "InvalidCAnotBeforeDateTest1": (ChainState.INVALID, "not_yet_valid"),
        "InvalidEEnotAfterDateTest6": (ChainState.INVALID, "expired"),
        "InvalidNameChainingTest1": (ChainState.INVALID, "name_mismatch"),
        "InvalidNameChainingOrderTest2": (ChainState.INVALID, "name_mismatch"),
        "InvalidMissingCRLTest1": (ChainState.INDETERMINATE, "no_revocation_data"),
        "InvalidRevokedCATest2": (ChainState.INVALID, "issuer_revoked"),
        "InvalidRevokedEETest3": (ChainState.INVALID, "revoked"),
        "InvalidBadCRLSignatureTest4": (ChainState.INDETERMINATE, "no_revocation_data"),
        "InvalidOldCRLnextUpdateTest11": (ChainState.INDETERMINATE, "stale_revocation_data"),
        "InvalidcAFalseTest2": (ChainState.INVALID, "not_a_ca"),
        "InvalidpathLenConstraintTest5": (ChainState.INVALID, "path_too_long"),
        "InvalidkeyUsageCriticalkeyCertSignFalseTest1": (ChainState.INVALID, "not_a_ca"),
        "InvalidrequireExplicitPolicyTest3": (ChainState.INVALID, "certificate_policy"),
        "InvalidDNnameConstraintsTest2": (ChainState.INVALID, "name_constraints"),
        "InvalidUnknownCriticalCertificateExtensionTest2": (ChainState.INVALID, "unknown_critical_extension"),
        "ValidDSASignaturesTest4": (ChainState.INVALID, "weak_key"),
    }
    answers = {name: _judged(Case("", name, False)) for name in told}
    assert {name: (each.state, each.reason) for name, each in answers.items() if each is not None} == told

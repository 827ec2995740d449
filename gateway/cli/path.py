"""`gateway verify-path`: why is this certificate trusted, or not (RFC 5280 6)? No message, no running gateway.

Exit codes: 0 a valid path was found, 1 none was, 2 the call or its files are wrong. Nothing is fetched.
"""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.call import complain, moment, say_json, stop
from gateway.cli.screen import STATES, show
from gateway.config.trust import read_certificates, read_crls, read_untrusted
from gateway.core.errors import Mistakes, SetupError
from gateway.core.local import VIETNAM
from gateway.core.verdict import ChainState
from gateway.pki.certificate import Certificate, CertificateError
from gateway.pki.path import PathAnswer, PolicyInputs, Purpose, Revocation, TrustAnchors, validate

if TYPE_CHECKING:
    from collections.abc import Sequence

_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9]\d{0,38})){1,30}")
_COLORS: Final = {ChainState.VALID: "bold green", ChainState.INDETERMINATE: "bold yellow"}
_MALFORMED: Final = PathAnswer(ChainState.INVALID, "malformed_certificate", ())
_WORDS: Final = {
    "valid": (
        "Có đường dẫn chứng thực hợp lệ tới gốc tin cậy.",
        "A valid path to a trust anchor was found.",
    ),
    "malformed_certificate": (
        "Chứng thư hỏng, không đọc được.",
        "The certificate is malformed and cannot be read.",
    ),
    "unknown_key": (
        "Khóa công khai thuộc loại không đọc được.",
        "The public key is of a kind that is not read.",
    ),
    "weak_key": (
        "Một khóa trên đường dẫn quá yếu (RSA dưới 2048 bit, hoặc loại không dùng).",
        "A key in the path is too weak (RSA below 2048 bits, or of a kind that is not used).",
    ),
    "weak_digest": (
        "Một chứng thư được ký bằng hàm băm không còn tin được (SHA-1, MD5).",
        "A certificate is signed over a digest that is not believed any more (SHA-1, MD5).",
    ),
    "not_for_email": (
        "Chứng thư không cấp cho thư điện tử (thiếu emailProtection).",
        "The certificate is not for mail (emailProtection is missing).",
    ),
    "not_for_timestamps": (
        "Chứng thư không chỉ cấp để đóng dấu thời gian (timeStamping duy nhất, critical).",
        "The certificate is not for timestamps only (timeStamping alone, and critical).",
    ),
    "no_extensions": (
        "Chứng thư kiểu cũ, không có phần mở rộng nào.",
        "The certificate is of an old kind, without any extension.",
    ),
    "signer_is_a_ca": (
        "Chứng thư của một nơi cấp chứng thư, không dùng để ký thư.",
        "The certificate is an authority's own, and signs no mail.",
    ),
    "not_for_signatures": (
        "Chứng thư không cấp để ký (thiếu digitalSignature và nonRepudiation).",
        "The certificate is not for signatures (digitalSignature and nonRepudiation are missing).",
    ),
    "not_yet_valid": (
        "Một chứng thư chưa đến ngày có hiệu lực.",
        "A certificate is not valid yet.",
    ),
    "expired": (
        "Một chứng thư đã hết hạn.",
        "A certificate has expired.",
    ),
    "anchor_expired": (
        "Chứng thư gốc đã hết hạn.",
        "The trust anchor has expired.",
    ),
    "anchor_not_yet_valid": (
        "Chứng thư gốc chưa đến ngày có hiệu lực.",
        "The trust anchor is not valid yet.",
    ),
    "revoked": (
        "Chứng thư đã bị thu hồi.",
        "The certificate is revoked.",
    ),
    "issuer_revoked": (
        "Chứng thư của nơi cấp đã bị thu hồi.",
        "An issuer's certificate is revoked.",
    ),
    "no_revocation_data": (
        "Thiếu dữ liệu thu hồi của một chứng thư: đưa vào bằng --crls hoặc --ocsp TỆP, hoặc chọn --revocation soft.",
        "Revocation data of a certificate is missing: give it by --crls or --ocsp FILE, or choose --revocation soft.",
    ),
    "stale_revocation_data": (
        "Dữ liệu thu hồi của một chứng thư đã quá hạn: cần bản mới (--crls hoặc --ocsp TỆP).",
        "Revocation data of a certificate is past its next update: newer data is needed (--crls or --ocsp FILE).",
    ),
    "name_constraints": (
        "Một tên không nằm trong phạm vi mà nơi cấp được phép cấp.",
        "A name is outside what its issuer may certify (name constraints).",
    ),
    "unknown_critical_extension": (
        "Có phần mở rộng bắt buộc mà phần mềm không hiểu.",
        "There is a critical extension that is not understood.",
    ),
    "path_too_long": (
        "Đường dẫn dài hơn giới hạn của một nơi cấp.",
        "The path is longer than an issuer allows.",
    ),
    "not_a_ca": (
        "Một chứng thư trên đường dẫn không có quyền cấp chứng thư.",
        "A certificate in the path may not issue certificates.",
    ),
    "certificate_policy": (
        "Không có chính sách chứng thư chung như yêu cầu.",
        "No certificate policy holds along the path as it is demanded.",
    ),
    "name_mismatch": (
        "Tên nơi cấp không khớp với chứng thư cấp trên.",
        "The issuer's name does not match the certificate above.",
    ),
    "bad_certificate_signature": (
        "Chữ ký của nơi cấp trên một chứng thư không đúng.",
        "An issuer's signature on a certificate is wrong.",
    ),
    "unknown_root": (
        "Đường dẫn kết thúc ở một gốc không nằm trong danh sách tin cậy.",
        "The path ends at a root that is not trusted here.",
    ),
    "no_path": (
        "Thiếu chứng thư của nơi cấp: đưa vào bằng --untrusted TỆP.",
        "An issuer's certificate is missing: give it by --untrusted FILE.",
    ),
    "path_too_complex": (
        "Quá nhiều chứng thư, hoặc đường dẫn quá dài để xét.",
        "There are too many certificates, or too long a path, to judge.",
    ),
    "path_fault": (
        "Không xét được đường dẫn.",
        "The path could not be judged.",
    ),
    "path_invalid": (
        "Đường dẫn chứng thực không hợp lệ.",
        "The path does not hold.",
    ),
}
"""Reason -> what to tell an administrator, Vietnamese and English."""


def verify_path(  # noqa: PLR0913, PLR0917 - one argument per option
    certificate: Annotated[Path, typer.Argument(metavar="CERT", help="The certificate, PEM or DER.")],
    purpose: Annotated[Purpose, typer.Option("--purpose", help="What it is to be good for.")],
    trust: Annotated[list[Path], typer.Option("--trust", help="Trust anchors, PEM or DER.")],
    untrusted: Annotated[list[Path] | None, typer.Option("--untrusted", help="Other certificates.")] = None,
    crls: Annotated[list[Path] | None, typer.Option("--crls", help="Revocation lists, PEM or DER.")] = None,
    ocsp: Annotated[list[Path] | None, typer.Option("--ocsp", help="Answers of OCSP responders, DER.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="ISO 8601 time to judge at; UTC without offset.")] = None,
    revocation: Annotated[Revocation, typer.Option("--revocation", help="How data is asked for.")] = Revocation.HARD,
    policies: Annotated[list[str] | None, typer.Option("--policy", metavar="OID", help="Acceptable policy.")] = None,
    require_explicit: Annotated[bool, typer.Option("--require-explicit-policy", help="RFC 5280 6.1.1 (f).")] = False,  # noqa: FBT002 - a flag
    inhibit_mapping: Annotated[bool, typer.Option("--inhibit-mapping", help="RFC 5280 6.1.1 (e).")] = False,  # noqa: FBT002 - a flag
    inhibit_any: Annotated[bool, typer.Option("--inhibit-any", help="RFC 5280 6.1.1 (g).")] = False,  # noqa: FBT002 - a flag
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Say whether a path from a trust anchor to the certificate holds, and which; exits 0 only if one does."""
    mistakes = Mistakes()
    accepted = mistakes.read(lambda: _oids(policies or ()))
    judged_at = mistakes.read(lambda: moment(at))
    anchors = mistakes.read(lambda: read_certificates(trust))
    others = mistakes.read(lambda: read_untrusted(untrusted or (), complain))
    lists = mistakes.read(lambda: read_crls(crls or ()))
    answers = mistakes.read(lambda: tuple(_octets(each) for each in ocsp or ()))
    asked = mistakes.read(lambda: _asked(certificate))
    try:
        mistakes.finish()
    except SetupError as error:
        stop(2, *error.mistakes)
    answer = _MALFORMED
    if asked:
        answer = validate(
            asked[0],
            trust=TrustAnchors(anchors or (), (), lists or ()),
            untrusted=(*(others or ()), *asked[1:]),
            crls=(),
            ocsps=answers or (),
            at=judged_at or moment(None),
            purpose=purpose,
            revocation=revocation,
            policies=PolicyInputs(accepted or (), require_explicit, inhibit_mapping, inhibit_any),
        )
    if as_json:
        say_json(_as_object(str(certificate), answer))
    else:
        _print_report(str(certificate), answer)
    raise typer.Exit(0 if answer.state is ChainState.VALID else 1)


def _oids(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the policies asked for; raises `SetupError` for each that is no dotted OID."""
    wrong = [f"--policy {each}: not an object identifier such as 2.16.704.1.1.1.1.1" for each in texts]
    wrong = [line for line, each in zip(wrong, texts, strict=True) if _OID.fullmatch(each) is None]
    if wrong:
        raise SetupError(*wrong)
    return tuple(texts)


def _asked(file: Path) -> tuple[Certificate, ...]:
    """Return the certificate that is asked about, first, and what else its file has; nothing for a malformed one.

    Raises `SetupError` where there is no certificate at all: that is no answer about one.
    """
    octets = _octets(file)
    try:
        found = Certificate.load_all(octets)
    except CertificateError as error:
        if octets[:1] == b"\x30" or b"-----BEGIN CERTIFICATE" in octets:
            return ()
        raise SetupError(f"{file}: is no certificate") from error
    if not found:
        raise SetupError(f"{file}: holds no certificate")
    return found


def _octets(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SetupError(f"{file}: {error.strerror}") from error


def _as_object(name: str, answer: PathAnswer) -> dict[str, object]:
    vietnamese, english = _words(answer)
    return {
        "file": name,
        "chain": str(answer.state),
        "reason": answer.reason,
        "text": {"vi": vietnamese, "en": english},
        "path": [_certificate_object(each) for each in answer.path],
        "until": answer.until.astimezone(VIETNAM).isoformat() if answer.until is not None else None,
        "notes": list(answer.notes),
    }


def _words(answer: PathAnswer) -> tuple[str, str]:
    return _WORDS.get(answer.reason, _WORDS["path_invalid"])


def _certificate_object(certificate: Certificate) -> dict[str, object]:
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "addresses": list(certificate.addresses),
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "fingerprint": certificate.fingerprint,
    }


def _print_report(name: str, answer: PathAnswer) -> None:
    """Print the answer for people: anchor first, as far as a path was found."""
    vietnamese, english = _words(answer)
    lines = [("Chứng thư / chain", f"{STATES[answer.state]} ({answer.reason})")]
    for depth, each in enumerate(answer.path):
        begin, end = (when.astimezone(VIETNAM).isoformat() for when in (each.not_before, each.not_after))
        lines += [
            (f"{depth}", each.subject),
            ("  Nơi cấp / issuer", each.issuer),
            ("  Số / serial", each.serial),
            ("  Hiệu lực / validity", f"{begin} - {end}"),
            ("  SHA-256", each.fingerprint),
        ]
    color = _COLORS.get(answer.state, "bold red")
    show(name, vietnamese=vietnamese, english=english, color=color, lines=lines)

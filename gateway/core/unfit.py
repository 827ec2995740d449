"""Why a key of ours may not sign now, in words for people: stable code -> Vietnamese, English."""

from __future__ import annotations

from typing import Final

UNFIT: Final = {
    "suspended": ("khóa ký đang tạm ngừng", "the signing key is suspended"),
    "removed": ("khóa ký đã bị gỡ", "the signing key was removed"),
    "revoked": ("chứng thư của khóa ký đã bị thu hồi", "the certificate of the signing key is revoked"),
    "issuer_revoked": ("chứng thư nơi cấp đã bị thu hồi", "the issuer's certificate is revoked"),
    "expired": ("chứng thư của khóa ký đã hết hạn", "the certificate of the signing key has expired"),
    "issuer_expired": ("chứng thư nơi cấp đã hết hạn", "the issuer's certificate has expired"),
    "not_yet_valid": ("chứng thư của khóa ký chưa có hiệu lực", "the signing key's certificate is not valid yet"),
    "issuer_not_yet_valid": ("chứng thư nơi cấp chưa có hiệu lực", "the issuer's certificate is not valid yet"),
    "no_revocation_data": (
        "chưa biết chứng thư của khóa ký có bị thu hồi không",
        "it is not known whether the certificate of the signing key is revoked",
    ),
    "stale_revocation_data": (
        "dữ liệu thu hồi chứng thư của khóa ký đã cũ",
        "what is known of the revocation of the signing key's certificate is out of date",
    ),
}
"""What `KeyCatalog.unfit` finds; the reasons for which a path does not hold stand for themselves."""

"""The invented province of the demonstration: people, keys, certificates, and the very configuration that `run` reads.

Everything lies in one directory that is made fresh and can be thrown away; every person and agency is invented.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from gateway.demo.authority import Authority, Credential, name, pem, shared_key
from gateway.smtp.auth.table import hash_password

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DOMAIN: Final = "songlam.example"
NEIGHBOR: Final = "thanhha.example"
OUTSIDE: Final = "congdan.example"


@dataclass(frozen=True, slots=True)
class Holder:
    """A mailbox with a certificate."""

    mailbox: str
    common_name: str
    organization: str
    kind: str
    agency: str


HEALTH: Final = Holder(f"soyte@{DOMAIN}", "SỞ Y TẾ", "TỈNH SÔNG LAM", "organization", "Sở Y tế Sông Lam")
FINANCE: Final = Holder(
    f"sotaichinh@{DOMAIN}", "SỞ TÀI CHÍNH", "TỈNH SÔNG LAM", "organization", "Sở Tài chính Sông Lam"
)
OFFICER: Final = Holder(
    f"lan.hoang@{DOMAIN}", "Chuyên viên Hoàng Thị Lan", "SỞ Y TẾ TỈNH SÔNG LAM", "personal", "Sở Y tế Sông Lam"
)
DIRECTOR: Final = Holder(
    f"minh.vu@{DOMAIN}", "Giám đốc Vũ Văn Minh", "SỞ TÀI CHÍNH TỈNH SÔNG LAM", "personal", "Sở Tài chính Sông Lam"
)
NEIGHBOR_OFFICE: Final = Holder(
    f"vanphong@{NEIGHBOR}", "VĂN PHÒNG ỦY BAN NHÂN DÂN", "TỈNH THANH HÀ", "organization", "Văn phòng UBND Thanh Hà"
)
NEIGHBOR_CLERK: Final = Holder(
    f"hung.do@{NEIGHBOR}", "Văn thư Đỗ Mạnh Hùng", "VĂN PHÒNG UBND TỈNH THANH HÀ", "personal", "Văn phòng UBND Thanh Hà"
)
OURS: Final = (HEALTH, FINANCE, OFFICER, DIRECTOR)
NEIGHBORS: Final = (NEIGHBOR_OFFICE, NEIGHBOR_CLERK)

_CONFIG: Final = """\
# Written by `gateway demo`: a small but complete configuration, the same that `gateway run` reads.
hostname: mail.{domain}
listeners:
  - {{name: submission, kind: submission, address: "127.0.0.1:{submission}", tls: {{mode: starttls, {tls}}}}}
  - {{name: submissions, kind: submission, address: "127.0.0.1:{submissions}", tls: {{mode: implicit, {tls}}}}}
  - {{name: inbound, kind: inbound, address: "127.0.0.1:{inbound}"}}
hops:
  - {{name: mailboxes, protocol: maildir, directory: mailboxes}}
  - {{name: outside, protocol: maildir, directory: outside}}
local_domains:
  - {{domain: {domain}, hop: mailboxes, recipients: table, table: [{table}]}}
outbound:
  - {{domain: {domain}, hop: mailboxes}}
  - {{domain: "*", hop: outside}}
spool: {{directory: spool, min_free: 0}}
policies: policies
agencies: agencies.yaml
auth: {{file: logins.txt}}
keys:
{keys}
trust:
  anchors: [trust/root.pem]
  intermediates: [trust/intermediate.pem]
  crls: [trust/root.crl, trust/intermediate.crl]
tags: {{authserv_id: mail.{domain}}}
log_level: {log_level}
"""

_POLICY: Final = """\
# The demonstration's policy: official mail is signed with the personal key, else the agency's.
rules:
  - name: sign-official-mail
    direction: outbound
    when: {{author: "@{domain}"}}
    then: {{sign: {{key: personal_else_organization, if_unable: refuse}}}}
  - name: deliver-with-tag
    direction: inbound
    then: deliver
"""


@dataclass(frozen=True, slots=True)
class Province:
    """The directory, who lives there, and the login that a mail client may use."""

    directory: Path
    credentials: Mapping[str, Credential]
    """By mailbox."""
    password: str
    """Of every login; a login is its mailbox."""

    def __repr__(self) -> str:
        return f"Province({self.directory})"

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.directory / "gateway.yaml"


def build(directory: Path, *, ports: tuple[int, int, int], log_level: str = "warning") -> Province:
    """Make the province in an empty directory; `ports` are those of submission, implicit TLS, and inbound."""
    now = dt.datetime.now(dt.UTC)
    authority = Authority(now)
    credentials = {
        holder.mailbox: authority.issue(holder.common_name, holder.mailbox, organization=holder.organization)
        for holder in (*OURS, *NEIGHBORS)
    }
    password, passphrase = secrets.token_urlsafe(9), secrets.token_urlsafe(24)
    for each in ("keys", "trust", "policies", "spool", "mailboxes", "outside"):
        (directory / each).mkdir(mode=0o700)
    _secret(directory / "keys/passphrase", passphrase.encode())
    for holder in OURS:
        content = credentials[holder.mailbox].pkcs12(passphrase.encode(), label=holder.common_name)
        _secret(directory / f"keys/{_label(holder)}.p12", content)
    (directory / "trust/root.pem").write_bytes(pem(authority.root))
    (directory / "trust/intermediate.pem").write_bytes(pem(authority.intermediate))
    for part, content in zip(("root", "intermediate"), authority.revocation_lists(), strict=True):
        (directory / f"trust/{part}.crl").write_bytes(content)
    hashed = hash_password(password.encode())
    logins = "".join(f"{each.mailbox}:{hashed}:{_authors(each)}\n" for each in OURS)
    _secret(directory / "logins.txt", logins.encode())
    _server_certificate(directory, now)
    (directory / "agencies.yaml").write_text(_agencies(), encoding="utf-8")
    (directory / "policies/10-demo.yaml").write_text(_POLICY.format(domain=DOMAIN), encoding="utf-8")
    submission, submissions, inbound = ports
    (directory / "gateway.yaml").write_text(
        _CONFIG.format(
            domain=DOMAIN,
            submission=submission,
            submissions=submissions,
            inbound=inbound,
            tls="certificate: server.pem, key: server.key",
            table=", ".join(f'"{each.mailbox}"' for each in OURS),
            keys="".join(
                f"  - {{label: {_label(each)}, kind: {each.kind}, pkcs12: keys/{_label(each)}.p12, "
                f'passphrase: "file:{directory}/keys/passphrase"}}\n'
                for each in OURS
            ),
            log_level=log_level,
        ),
        encoding="utf-8",
    )
    return Province(directory, credentials, password)


def _label(holder: Holder) -> str:
    return holder.mailbox.partition("@")[0].replace(".", "-")


def _authors(holder: Holder) -> str:
    """The officer may also write as her agency; everybody else only as themselves."""
    return f"{holder.mailbox},{HEALTH.mailbox}" if holder is OFFICER else holder.mailbox


def _agencies() -> str:
    lines = ["# The agencies of the demonstration, all invented.", "agencies:"]
    for number, holder in enumerate((HEALTH, FINANCE, NEIGHBOR_OFFICE), start=1):
        people = [each.mailbox for each in (*OURS, *NEIGHBORS) if each.agency == holder.agency]
        lines.append(f'  - {{id: a{number}, name: "{holder.agency}", mailboxes: [{", ".join(people)}]}}')
    return "\n".join(lines) + "\n"


def _secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, from its first moment on."""
    path.touch(mode=0o600)
    path.write_bytes(content)


def _server_certificate(directory: Path, now: dt.datetime) -> None:
    """Write the listeners' own certificate: self-signed for localhost, so a mail client asks once."""
    key = shared_key("p256")
    subject = name(CN="localhost")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (directory / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _secret(directory / "server.key", Credential(key, b"", ()).key_pem())

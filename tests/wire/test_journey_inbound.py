"""The way in, nothing mocked: signed by other programs -> Postfix -> gateway -> Dovecot (LMTP) -> IMAP, tagged.

Mail for one domain goes on by Dovecot's UNIX socket, for the other by TCP.
"""

from __future__ import annotations

import email
import email.policy
import re
import smtplib
from typing import TYPE_CHECKING, Final

import pytest

from gateway.demo.authority import Authority, shared_key
from support.gateway_process import FINANCE, HOSTNAME, NEIGHBOR, OURS, authority, credentials, root_pem
from support.letters import HEAD, LAN, base64_lines, clear_entity, mail, multipart, opaque_entity, real_life, text_part
from support.peers import wait_for
from support.postfix import smtp_source
from support.splitter import body_of, cut, flipped
from support.swaks import swaks
from support.verifiers import bouncycastle_sign, gpgsm_sign, nss_sign, openssl_encrypt, openssl_sign, openssl_verify

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.town import Town

SUBJECT: Final = "Kết quả giải quyết hồ sơ"
OUTER: Final = HEAD.replace(LAN.encode(), NEIGHBOR.encode())
PART: Final = (
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    + "Kính gửi Sở Y tế,\r\n\r\n.\r\nMời dự họp lúc 08:00 ngày 02/12.\r\n".encode()
)
DETACHED: Final = ("openssl", "openssl_pss", "gpgsm", "bouncycastle", "nss")
CHANGED_BY_PEERS: Final = ("no_final_line_end", "long_lines", "binary_leaf")
"""Letters of which `test_peers` shows that Postfix or Dovecot changes them."""
OPAQUE: Final = ("openssl_opaque", "openssl_opaque_ber", "gpgsm_opaque", "bouncycastle_opaque")


@pytest.fixture(scope="module")
def signatures(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """The CMS of every program over the same part, by the neighbor's office."""
    office, tmp = credentials()[NEIGHBOR], tmp_path_factory.mktemp("signers")
    castle = bouncycastle_sign([(PART, office, "SHA256withRSA", False), (PART, office, "SHA256withRSA", True)], tmp)
    return {
        "openssl": openssl_sign(PART, office, tmp),
        "openssl_pss": openssl_sign(
            PART, office, tmp, options=("-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest")
        ),
        "openssl_opaque": openssl_sign(PART, office, tmp, form="opaque"),
        "openssl_opaque_ber": openssl_sign(PART, office, tmp, form="opaque_ber"),
        "gpgsm": gpgsm_sign(PART, office, root_pem()),
        "gpgsm_opaque": gpgsm_sign(PART, office, root_pem(), opaque=True),
        "bouncycastle": castle[0],
        "bouncycastle_opaque": castle[1],
        "nss": nss_sign(PART, office, root_pem(), tmp),
    }


def message_of(name: str, cms: bytes, *, part: bytes = PART, outer: bytes = OUTER) -> bytes:
    return mail(opaque_entity(cms) if name in OPAQUE else clear_entity(part, cms), head=outer)


def relayed(town: Town, to: str, message: bytes, *, sender: str = NEIGHBOR) -> bytes:
    """Send through Postfix, as mail from outside comes, and return what the mailbox holds then."""
    sent = swaks(town.mta.port, sender, to, message)
    assert sent.accepted, sent.transcript
    return town.mail.fetch(to)


def told(received: bytes) -> tuple[str, str, str]:
    """Return the verdict, the `smime=` result and the subject that the recipient sees; each must stand there once."""
    header = email.message_from_bytes(received, policy=email.policy.default)
    verdicts, results = header.get_all("X-Gateway-Verdict", []), header.get_all("Authentication-Results", [])
    ours = [str(each) for each in results if str(each).split(";")[0].split()[0].lower() == HOSTNAME]
    assert len(verdicts) == len(ours) == 1, (verdicts, results)
    smime = re.findall(r"\bsmime=(\w+)", ours[0])
    assert len(smime) == 1, ours
    return re.split(r"[\s;]", str(verdicts[0]))[0], smime[0], str(header["Subject"])


@pytest.mark.parametrize("domain", [OURS, FINANCE])
@pytest.mark.parametrize("name", [*DETACHED, *OPAQUE])
def test_good_signatures_arrive_verified(
    name: str, domain: str, town: Town, signatures: Mapping[str, bytes], tmp_path: Path
) -> None:
    """Whoever made it, DER or BER: the tag says verified, and no octet below the header is another one."""
    sent = message_of(name, signatures[name])
    received = relayed(town, f"tot-{name}@{domain}", sent)
    verdict, result, subject = told(received)
    assert (verdict, result) == ("verified", "pass")
    assert subject.endswith(SUBJECT)
    assert subject != SUBJECT
    assert body_of(received) == body_of(sent)
    if name in DETACHED:
        found = cut(received)
        assert openssl_verify(found.part, found.cms, root_pem(), tmp_path)


@pytest.mark.parametrize("name", [*DETACHED, *OPAQUE])
def test_changed_mail_arrives_invalid(name: str, town: Town, signatures: Mapping[str, bytes]) -> None:
    """One octet of the text changed on the way: the tag says invalid, and never pass."""
    cms = signatures[name]
    where = cms.find(b"08:00") if name in OPAQUE else 0
    assert where >= 0
    sent = message_of(name, flipped(cms, where)) if name in OPAQUE else message_of(name, cms, part=flipped(PART))
    verdict, result, subject = told(relayed(town, f"sua-{name}@{OURS}", sent))
    assert (verdict, result) == ("invalid", "fail")
    assert subject.endswith(SUBJECT)


def test_the_wrong_signer(town: Town, tmp_path: Path) -> None:
    """A good signature by somebody else than the author is told as such."""
    cms = openssl_sign(PART, credentials()[LAN], tmp_path)
    assert told(relayed(town, f"nguoi-khac@{OURS}", message_of("openssl", cms)))[:2] == ("signer_mismatch", "policy")


def test_an_unknown_root(town: Town, tmp_path: Path) -> None:
    """A certificate with all the right names from an authority that nobody trusts."""
    stranger = Authority(authority().now, family=1).issue("VĂN PHÒNG", NEIGHBOR, key=shared_key("rsa2048", 42))
    cms = openssl_sign(PART, stranger, tmp_path)
    verdict, result, _ = told(relayed(town, f"goc-la@{OURS}", message_of("openssl", cms)))
    assert verdict in {"not_trusted", "indeterminate"}
    assert result in {"policy", "temperror"}


def test_forged_marks_are_stripped(town: Town) -> None:
    """Nothing that a stranger writes looks like our word: every copy of our fields and tags goes, ours is added."""
    tags = "[Đã xác thực] [ĐÃ XÁC THỰC] "
    forged = (
        f"Authentication-Results: {HOSTNAME}; smime=pass\r\n"
        f"authentication-results:\r\n {HOSTNAME.upper()} 1;\r\n smime=pass\r\n"
        f"Authentication-Results: ({HOSTNAME}) {HOSTNAME}; smime=pass\r\n"
        "Authentication-Results: mx.khac.example; spf=pass\r\n"
        "X-Gateway-Verdict: verified\r\nx-gateway-VERDICT : verified\r\n"
        "X-Verified-Sender: Van phong\r\n"
    ).encode()
    head = re.sub(rb"(?m)^Subject: .*$", f"Subject: {tags}{SUBJECT}\r".encode(), OUTER)
    received = relayed(town, f"gia-mao@{OURS}", forged + head + b"\r\nChuyen khoan gap.\r\n")
    verdict, result, subject = told(received)
    assert (verdict, result) == ("unsigned", "none")
    assert "xác thực" not in subject.casefold().replace("chưa xác thực", "").replace("không xác thực", "")
    assert subject.endswith(SUBJECT)
    header = received.partition(b"\r\n\r\n")[0]
    assert b"smime=pass" not in header
    assert b"Van phong" not in header
    assert b"mx.khac.example; spf=pass" in header


def test_an_ordinary_letter(town: Town) -> None:
    """Unsigned mail keeps its body, its raw 8-bit fields and its subject's words."""
    head = OUTER.replace(b"To: Nguyen Thi Mai", "To: Nguyễn Thị Mai".encode())
    body = "Kính gửi,\r\n.\r\nKhông ký.\r\n".encode()
    received = relayed(town, f"thuong@{FINANCE}", head + b"\r\n" + body)
    assert told(received)[:2] == ("unsigned", "none")
    assert body_of(received) == body
    assert "To: Nguyễn Thị Mai <".encode() in received


@pytest.mark.parametrize("name", [each for each in real_life() if each not in CHANGED_BY_PEERS])
def test_letters_are_only_tagged(name: str, town: Town) -> None:
    """Whatever an office writes: the tag says unsigned, and apart from the subject nothing of the letter changes."""
    letter = real_life()[name]
    received = relayed(town, f"thu-{name}@{OURS}", letter)
    assert told(received)[:2] == ("unsigned", "none")
    assert body_of(received) == body_of(letter)
    for line in letter.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        assert line.startswith(b"Subject:") or line + b"\r\n" in received


def test_many_at_once(town: Town) -> None:
    """Ten sessions at once, two next hops: everything arrives once and tagged."""
    count = 60
    for domain in (OURS, FINANCE):
        smtp_source(town.gate.house.port("inbound"), NEIGHBOR, f"nhieu-vao@{domain}", messages=count)
    for domain in (OURS, FINANCE):
        found = town.mail.fetch_all(f"nhieu-vao@{domain}", count)
        assert {told(each)[0] for each in found} == {"unsigned"}


def test_encrypted_mail(town: Town, tmp_path: Path) -> None:
    """What is enveloped cannot be judged: it says so and arrives as it was."""
    cms = openssl_encrypt(PART, credentials()[LAN], tmp_path)
    sent = mail(opaque_entity(cms, smime_type="enveloped-data"), head=OUTER)
    received = relayed(town, f"ma-hoa@{OURS}", sent)
    assert told(received)[:2] == ("encrypted", "permerror")
    assert body_of(received) == body_of(sent)


def test_a_big_signed_attachment(town: Town, tmp_path: Path) -> None:
    """25 MB are judged and delivered like any other message, and the gateway never holds them in memory."""
    pdf = base64_lines(b"%PDF-1.7\n" + bytes(range(256)) * (25_000_000 // 256))
    head = b"Content-Type: application/pdf; name=ban-do.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    part = multipart("mixed", text_part("Ban do."), head + pdf)[:-2]
    sent = message_of("openssl", openssl_sign(part, credentials()[NEIGHBOR], tmp_path), part=part)
    with town.gate.memory_below(16 * 2**20):
        received = relayed(town, f"lon@{OURS}", sent)
    assert told(received)[:2] == ("verified", "pass")
    assert body_of(received) == body_of(sent)


def test_two_recipients_at_two_next_hops(town: Town, signatures: Mapping[str, bytes]) -> None:
    """One transaction whose recipients live at different next hops: kept first, then both have it, tagged alike."""
    message = message_of("openssl", signatures["openssl"])
    sent = swaks(town.mta.port, NEIGHBOR, [f"hai-noi@{OURS}", f"hai-noi@{FINANCE}"], message)
    assert sent.accepted
    assert told(town.mail.fetch(f"hai-noi@{OURS}")) == told(town.mail.fetch(f"hai-noi@{FINANCE}"))


def test_unknown_recipients_are_refused_at_rcpt(town: Town) -> None:
    """The probe asks Dovecot: what it does not know never gets in, and strangers cannot relay."""
    port = town.gate.house.port("inbound")
    unknown = swaks(port, NEIGHBOR, f"khong-co@{OURS}", OUTER)
    assert unknown.exit_code == 24
    assert unknown.refusal[:9] == "550 5.1.1"
    unasked = swaks(port, NEIGHBOR, f"khong-co@{FINANCE}", OUTER)
    assert unasked.exit_code == 26, "this domain is not probed: Dovecot's refusal becomes the reply to the dot"
    assert unasked.refusal[:9] == "550 5.1.1"
    foreign = swaks(port, NEIGHBOR, "ai-do@hopthu.example", OUTER)
    assert foreign.exit_code == 24
    assert foreign.refusal[:9] == "550 5.7.1"


def utf8_mail(town: Town, sender: str, to: str, message: bytes) -> None:
    """Send with SMTPUTF8 through Postfix, which swaks cannot."""
    with smtplib.SMTP("127.0.0.1", town.mta.port, timeout=120) as client:
        client.ehlo("may-khac.example")
        for line in (f"MAIL FROM:<{sender}> SMTPUTF8 BODY=8BITMIME", f"RCPT TO:<{to}>"):
            client.send(f"{line}\r\n".encode())
            code, text = client.getreply()
            assert code == 250, text
        assert client.data(message)[0] == 250


def test_internationalized_mail_to_lmtp_without_smtputf8(town: Town, signatures: Mapping[str, bytes]) -> None:
    """Dovecot's LMTP has no SMTPUTF8: with ASCII addresses the header is encoded, and the signature still counts."""
    head = OUTER.replace(b"To: Nguyen Thi Mai", "To: Nguyễn Thị Mai".encode())
    utf8_mail(town, NEIGHBOR, f"utf8@{OURS}", message_of("openssl", signatures["openssl"], outer=head))
    received = town.mail.fetch(f"utf8@{OURS}")
    assert told(received)[:2] == ("verified", "pass")
    assert received.partition(b"\r\n\r\n")[0].isascii()
    header = email.message_from_bytes(received, policy=email.policy.default)
    assert str(header["To"]) == "Nguyễn Thị Mai <nguyen.thi.mai@hopthu.example>"


@pytest.mark.parametrize(
    ("sender", "to"), [("vănphòng@thanhha.example", f"ascii@{OURS}"), (NEIGHBOR, f"ngườinhận@{OURS}")]
)
def test_internationalized_addresses_are_refused(sender: str, to: str, town: Town) -> None:
    """An address that LMTP cannot carry is refused with 550 5.6.7 (or unknown at RCPT): Postfix tells the sender."""
    utf8_mail(town, sender, to, OUTER + b"\r\nXin chao.\r\n")
    wait_for(lambda: re.search(rf"to=<{to}>.* status=bounced ", town.mta.log()) is not None, "the refusal")
    line = re.findall(rf"to=<{to}>.*", town.mta.log())[0]
    assert re.search(r"said: 55[03] 5\.6\.7 ", line), line

"""The way out, nothing mocked: swaks -> gateway -> Postfix -> Dovecot -> IMAP, judged by four other programs.

What IMAP returns is cut by the tests' own splitter; the peers get exactly those octets.
"""

from __future__ import annotations

import email
import email.policy
import re
import smtplib
import ssl
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from support.gateway_process import AUTHORS, FINANCE, HOSTNAME, LOGIN, NEIGHBOR, OURS, credentials, root_pem
from support.letters import (
    ASCII,
    HEAD,
    LAN,
    PLAIN,
    base64_lines,
    clear_entity,
    mail,
    multipart,
    opaque_entity,
    real_life,
    text_part,
)
from support.postfix import smtp_source
from support.splitter import Cut, body_of, cut, flipped
from support.swaks import Sent, swaks
from support.verifiers import Gpgsm, bouncycastle_verify, nss_verify, openssl_encrypt, openssl_sign, openssl_verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import EmailMessage, Message
    from pathlib import Path

    from support.dovecot import Dovecot
    from wire.conftest import Town

OUTSIDE: Final = "hopthu.example"
BIG: Final = 25_000_000
"""Octets of the big attachment, before base64."""
VERIFIERS: Final = ("openssl", "gpgsm", "nss", "bouncycastle")
REENCODED: Final = frozenset(
    {
        "plain_8bit",
        "no_mime_8bit",
        "long_lines",
        "alternative",
        "attachment",
        "calendar",
        "forwarded",
        "related_html",
        "no_final_line_end",
        "latin_body",
        "raw_8bit_names",
        "unicode_parameter",
        "traps",
        "flowed",
    }
)
"""Letters whose body a transport could change: 8-bit, lines over 998 octets, no end of the last line, a lone dot,
blanks at the end of a line, "From " at its begin."""
LETTERS: Final = {
    **{name: letter for name, letter in real_life().items() if b"\0" not in letter},
    "raw_8bit_names": PLAIN.replace(HEAD.split(b"\r\n")[0], f"From: Hoàng Thị Lan <{LAN}>".encode()).replace(
        b"To: Nguyen Thi Mai", "To: Nguyễn Thị Mai".encode()
    ),
    "latin_body": mail(b"Content-Type: text/plain\r\n\r\nK\xednh g\xedi\r\n"),
    "empty": HEAD + b"\r\n",
    "unicode_parameter": mail(
        multipart(
            "mixed",
            text_part("Xem tep."),
            'Content-Type: application/pdf; name="Quyết định.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'.encode()
            + base64_lines(b"%PDF-1.7"),
        )
    ),
}


class Found(NamedTuple):
    """What the recipient has."""

    sent: bytes
    received: bytes
    cut: Cut


def submit(town: Town, to: str, message: bytes, *, sender: str = LAN) -> Sent:
    """Send as the clerk's mail client: STARTTLS with a certificate that fits, AUTH."""
    port, house = town.gate.house.port("submission"), town.gate.house
    return swaks(port, sender, to, message, login=LOGIN, trusted=house.server_pem)


def delivered(mail_store: Dovecot, user: str, sent: bytes) -> Found:
    received = mail_store.fetch(user)
    return Found(sent, received, cut(received))


@pytest.fixture(scope="module")
def by_key(town: Town) -> Mapping[str, Found]:
    """One letter signed with each kind of key."""
    letters = {kind: PLAIN.replace(LAN.encode(), author.encode()) for kind, author in AUTHORS.items()}
    for kind, letter in letters.items():
        sent = submit(town, f"key-{kind}@{OUTSIDE}", letter, sender=AUTHORS[kind])
        assert sent.accepted, sent.transcript
    return {kind: delivered(town.mail, f"key-{kind}@{OUTSIDE}", letter) for kind, letter in letters.items()}


@pytest.fixture(scope="module")
def by_letter(town: Town) -> Mapping[str, Found]:
    """Each kind of letter, signed with the clerk's key."""
    for name, letter in LETTERS.items():
        sent = submit(town, f"letter-{name}@{OUTSIDE}", letter)
        assert sent.accepted, (name, sent.transcript)
    return {name: delivered(town.mail, f"letter-{name}@{OUTSIDE}", letter) for name, letter in LETTERS.items()}


@pytest.fixture(scope="module")
def castle(
    by_key: Mapping[str, Found], by_letter: Mapping[str, Found], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[tuple[str, bool], bool]:
    """What Bouncy Castle says of everything, by name and whether an octet was flipped; one JVM for all."""
    found = {**by_key, **by_letter}
    cases = {
        (name, broken): (flipped(each.cut.part) if broken else each.cut.part, each.cut.cms, root_pem())
        for name, each in found.items()
        for broken in (False, True)
    }
    answers = bouncycastle_verify(list(cases.values()), tmp_path_factory.mktemp("castle"))
    return dict(zip(cases, answers, strict=True))


@pytest.fixture(scope="module")
def gpgsm() -> Iterator[Gpgsm]:
    """One gpgsm for all."""
    with Gpgsm(root_pem()) as peer:
        yield peer


@pytest.mark.parametrize("verifier", VERIFIERS)
@pytest.mark.parametrize("kind", AUTHORS)
def test_every_verifier_takes_every_kind_of_key(
    kind: str,
    verifier: str,
    by_key: Mapping[str, Found],
    castle: Mapping[tuple[str, bool], bool],
    gpgsm: Gpgsm,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """What Postfix relayed and Dovecot stored still verifies, and with one octet flipped no longer does."""
    found = by_key[kind].cut
    tmp = tmp_path_factory.mktemp(verifier)

    def judge(part: bytes) -> bool:
        match verifier:
            case "openssl":
                return openssl_verify(part, found.cms, root_pem(), tmp)
            case "nss":
                return nss_verify(part, found.cms, root_pem(), tmp)
            case "gpgsm":
                return gpgsm.verify(part, found.cms)
        return castle[kind, part != found.part]

    assert judge(found.part)
    assert not judge(flipped(found.part))


def test_the_key_and_the_certificate_are_the_authors(by_key: Mapping[str, Found]) -> None:
    """Each author's message is signed with that author's own key: five different certificates, none of them shared."""
    for kind, found in by_key.items():
        assert AUTHORS[kind].encode() in found.cut.cms
        assert not any(other.encode() in found.cut.cms for key, other in AUTHORS.items() if key != kind)


@pytest.mark.parametrize("name", LETTERS)
def test_real_letters_verify(
    name: str, by_letter: Mapping[str, Found], castle: Mapping[tuple[str, bool], bool], tmp_path: Path
) -> None:
    """Whatever an office writes arrives signed and whole, and 7-bit: nothing on the way has a reason to touch it."""
    found = by_letter[name]
    assert openssl_verify(found.cut.part, found.cut.cms, root_pem(), tmp_path)
    assert castle[name, False]
    assert not castle[name, True]
    assert found.cut.part.isascii()
    assert b"\0" not in found.cut.part
    assert max(map(len, found.received.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("name", LETTERS)
def test_bodies_are_the_clients(name: str, by_letter: Mapping[str, Found]) -> None:
    """A body that can travel as it is arrives octet for octet; of another one every leaf decodes to the same octets."""
    found = by_letter[name]
    if name not in REENCODED:
        assert found.cut.body == body_of(found.sent)
        return
    assert found.cut.body != body_of(found.sent)
    ours, theirs = leaves(found.cut.part), leaves(found.sent)
    assert [kind for kind, _ in ours] == [kind for kind, _ in theirs]
    for (_, mine), (_, original) in zip(ours, theirs, strict=True):
        assert mine.rstrip(b"\r\n") == original.rstrip(b"\r\n")


def test_file_names_survive(by_letter: Mapping[str, Found]) -> None:
    """A name with raw Vietnamese letters in a part's header reads the same after it was made ASCII for signing."""
    tree = email.message_from_bytes(by_letter["unicode_parameter"].cut.part, policy=email.policy.default)
    assert [part.get_filename() for part in tree.walk() if part.get_filename()] == ["Quyết định.pdf"]


def leaves(octets: bytes) -> list[tuple[str, bytes]]:
    """Return type and decoded content of every leaf, as Python's own reader sees them."""
    tree: Message = email.message_from_bytes(octets, policy=email.policy.compat32)
    return [
        (part.get_content_type(), part.get_payload(decode=True))  # type: ignore[misc]
        for part in tree.walk()
        if not part.is_multipart()
    ]


@pytest.mark.parametrize("name", LETTERS)
def test_readers_see_the_same_header(name: str, by_letter: Mapping[str, Found]) -> None:
    """Subject and people read the same after signing; raw 8-bit is RFC 2047 now, ASCII fields are untouched."""
    found = by_letter[name]
    assert found.cut.header.isascii()
    raw, sent = header_of(found.received), header_of(found.sent)
    for field in ("Subject", "From", "To"):
        assert str(raw[field]) == readable(found.sent, field), field
    for line in fields_of(found.sent):
        if line.isascii() and not line.lower().startswith(b"content-"):
            assert line in found.received
    assert len(raw.get_all("Date", [])) == len(raw.get_all("Message-ID", [])) == 1
    if sent["Message-ID"] is not None:
        assert raw["Message-ID"] == sent["Message-ID"]


def header_of(octets: bytes) -> EmailMessage:
    return email.message_from_bytes(octets, policy=email.policy.default)  # type: ignore[return-value]


def readable(octets: bytes, field: str) -> str:
    """Return a field's text, raw UTF-8 read as UTF-8."""
    return str(email.message_from_string(octets.decode(errors="replace"), policy=email.policy.default)[field])


def fields_of(octets: bytes) -> list[bytes]:
    header = octets.partition(b"\r\n\r\n")[0]
    return [each for each in re.split(rb"(?<=\r\n)(?![ \t])", header + b"\r\n") if each]


def test_missing_date_and_message_id_are_added(by_letter: Mapping[str, Found]) -> None:
    """They are ours, not Postfix's: it found nothing to add, as it would after the signature was made."""
    received = by_letter["no_date_no_id"].received
    added = re.search(rb"^Message-ID: <[^>]+@([^>]+)>\r$", received, re.MULTILINE)
    assert added is not None
    assert added[1].decode() == HOSTNAME


def test_our_trace_field_names_the_client(by_letter: Mapping[str, Found]) -> None:
    """Exactly one Received field is ours, with ESMTPSA: TLS and a login (RFC 3848)."""
    received = by_letter["plain_ascii"].received
    ours = [line for line in fields_of(received) if f"by {HOSTNAME}".encode() in line]
    assert len(ours) == 1
    assert b"ESMTPSA" in ours[0]
    assert re.search(rb"by mta\.example \(Postfix\) with ESMTPS ", received), "the way to Postfix is encrypted"


def test_one_trace_id_through_the_whole_journey(town: Town) -> None:
    """An administrator finds every step of a message by one id, which is in the reply the client got."""
    assert submit(town, f"dau-vet@{OUTSIDE}", ASCII).accepted
    first = town.gate.wait_for_event("received", recipients=[f"dau-vet@{OUTSIDE}"])
    steps = [line for line in town.gate.lines() if line.get("trace_id") == first["trace_id"]]
    assert [line["event"] for line in steps] == ["received", "ruled", "signed", "handed_over", "answered"]
    assert steps[-1]["code"] == 250


def test_implicit_tls(town: Town) -> None:
    """The port with TLS from the first octet offers AUTH as well."""
    house = town.gate.house
    port, to = house.port("submissions"), f"ngam@{OUTSIDE}"
    sent = swaks(port, LAN, to, ASCII, login=LOGIN, trusted=house.server_pem, options=("--tls-on-connect",))
    assert sent.accepted, sent.transcript
    delivered(town.mail, to, ASCII)


def test_what_the_client_signed_stays(town: Town, tmp_path: Path) -> None:
    """A message signed with the author's own token, or encrypted, keeps every octet below its header."""
    part, author = text_part("Ky bang token."), credentials()[LAN]
    messages = {
        "token": mail(clear_entity(part, openssl_sign(part, author, tmp_path))),
        "enveloped": mail(opaque_entity(openssl_encrypt(part, author, tmp_path), smime_type="enveloped-data")),
    }
    for name, message in messages.items():
        assert submit(town, f"{name}@{OUTSIDE}", message).accepted
        assert body_of(town.mail.fetch(f"{name}@{OUTSIDE}")) == body_of(message)


def test_many_at_once(town: Town, tmp_path: Path) -> None:
    """Ten sessions at once over kept connections: everything arrives once and with a good signature."""
    count, user = 60, f"nhieu@{OUTSIDE}"
    smtp_source(town.gate.house.port("internal"), LAN, user, messages=count)
    found = [cut(each) for each in town.mail.fetch_all(user, count, seconds=30)]
    assert all(openssl_verify(each.part, each.cms, root_pem(), tmp_path) for each in found[:: count // 6])


@pytest.mark.parametrize("octet", [b"\0", b"\r", b"\n"])
def test_octets_that_mail_cannot_hold(octet: bytes, town: Town) -> None:
    """NUL, a bare CR and a bare LF are refused 550 5.6.0: the next readers would disagree on what was signed."""
    sent = submit(town, f"octet@{OUTSIDE}", ASCII.replace(b"Da co", b"Da" + octet + b"co"))
    assert sent.refusal[:9] == "550 5.6.0", sent.transcript
    assert town.mail.count(f"octet@{OUTSIDE}") == 0


def test_a_big_attachment(town: Town, tmp_path: Path) -> None:
    """25 MB arrive unchanged and signed."""
    pdf = base64_lines(b"%PDF-1.7\n" + bytes(range(256)) * (BIG // 256))
    head = b"Content-Type: application/pdf; name=ban-do.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    letter = mail(multipart("mixed", text_part("Ban do quy hoach."), head + pdf))
    sent = submit(town, f"big@{OUTSIDE}", letter)
    assert sent.accepted, sent.transcript
    found = delivered(town.mail, f"big@{OUTSIDE}", letter)
    assert found.cut.body == body_of(letter)
    assert openssl_verify(found.cut.part, found.cut.cms, root_pem(), tmp_path)
    assert not openssl_verify(flipped(found.cut.part), found.cut.cms, root_pem(), tmp_path)


def test_a_next_hop_without_smtputf8(town: Town) -> None:
    """Raw UTF-8 fields reach Dovecot's LMTP encoded, before signing; a non-ASCII address is refused 550 5.6.7."""
    letter = LETTERS["raw_8bit_names"]
    assert submit(town, "raw@lmtp.example", letter).accepted
    found = delivered(town.mail, "raw@lmtp.example", letter)
    assert found.cut.header.isascii()
    assert str(header_of(found.received)["To"]) == "Nguyễn Thị Mai <nguyen.thi.mai@hopthu.example>"
    code, text = submit_utf8(town, "ngườinhận@lmtp.example", letter)
    assert code == 550
    assert text.startswith(b"5.6.7 ")


def submit_utf8(town: Town, to: str, message: bytes) -> tuple[int, bytes]:
    """Submit with SMTPUTF8 over implicit TLS, which swaks cannot; return the reply to the dot."""
    context = ssl.create_default_context(cafile=str(town.gate.house.server_pem))
    context.check_hostname = False  # the certificate names localhost, the address is a number
    with smtplib.SMTP_SSL("127.0.0.1", town.gate.house.port("submissions"), timeout=30, context=context) as client:
        client.login(*LOGIN)
        assert client.mail(LAN, ["SMTPUTF8", "BODY=8BITMIME"])[0] == 250
        code, text = client.docmd(f"RCPT TO:<{to}>") if to.isascii() else _raw_rcpt(client, to)
        return client.data(message) if code == 250 else (code, text)


def _raw_rcpt(client: smtplib.SMTP_SSL, to: str) -> tuple[int, bytes]:
    client.send(f"RCPT TO:<{to}>\r\n".encode())
    return client.getreply()


def test_a_refusal_by_the_next_hop_is_the_clients(town: Town) -> None:
    """The next hop's 5xx at RCPT passes through with its code and words; nothing is kept, nothing bounces."""
    sent = submit(town, f"khong@{OUTSIDE}", ASCII)
    assert sent.exit_code == 26, sent.transcript
    assert sent.refusal.startswith("550 5.1.1")
    assert "no such user here" in sent.refusal


def test_nobody_sends_as_somebody_else(town: Town) -> None:
    """A login signs only as the authors it has, whatever the From field says; the refusal names no key."""
    foreign = ASCII.replace(LAN.encode(), NEIGHBOR.encode())
    assert submit(town, f"foreign@{OUTSIDE}", foreign).refusal[:9] == "550 5.7.1"
    assert submit(town, f"foreign@{OUTSIDE}", ASCII, sender=NEIGHBOR).refusal[:9] == "550 5.7.1"
    nobody = ASCII.replace(LAN.encode(), f"khong.khoa@{OURS}".encode())
    assert submit(town, f"foreign@{OUTSIDE}", nobody).refusal[:9] == "550 5.7.1"
    assert town.mail.count(f"foreign@{OUTSIDE}") == 0


def test_login_is_needed_and_checked(town: Town) -> None:
    """Without TLS no login, without the right password no mail."""
    house = town.gate.house
    port = house.port("submission")
    assert swaks(port, LAN, f"nobody@{OUTSIDE}", ASCII).exit_code == 23
    wrong = swaks(port, LAN, f"nobody@{OUTSIDE}", ASCII, login=(LOGIN[0], "sai"), trusted=house.server_pem)
    assert wrong.exit_code == 28
    assert wrong.refusal[:9] == "535 5.7.8"
    assert swaks(port, LAN, f"nobody@{OUTSIDE}", ASCII, login=LOGIN).exit_code == 28


def test_a_listed_host_needs_no_login(town: Town) -> None:
    """A scanner that cannot log in sends through the internal listener, as the authors it is listed with, signed."""
    port = town.gate.house.port("internal")
    assert swaks(port, LAN, f"scan@{OUTSIDE}", ASCII).accepted
    delivered(town.mail, f"scan@{OUTSIDE}", ASCII)
    other = ASCII.replace(LAN.encode(), AUTHORS["p256"].encode())
    assert swaks(port, LAN, f"scan@{OUTSIDE}", other).refusal[:9] == "550 5.7.1"


def test_two_next_hops(town: Town) -> None:
    """One message for two next hops is kept first, then delivered to both: the same signed octets."""
    sent = submit(town, f"hai@{OUTSIDE},hai@lmtp.example", ASCII)
    assert sent.accepted, sent.transcript
    first, second = (delivered(town.mail, f"hai@{domain}", ASCII) for domain in (OUTSIDE, "lmtp.example"))
    assert (first.cut.part, first.cut.cms) == (second.cut.part, second.cut.cms)


def test_internal_mail_is_signed_too(town: Town) -> None:
    """Mail between two of our agencies comes back in through Postfix, verified and tagged."""
    assert submit(town, f"noi-bo@{FINANCE}", ASCII).accepted
    received = town.mail.fetch(f"noi-bo@{FINANCE}")
    assert re.search(rb"^X-Gateway-Verdict: verified", received, re.MULTILINE)

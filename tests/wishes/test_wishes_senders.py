"""What users of the peers wished for about senders (peers.md 4), each as a test on the running gateway.

Judged by the octets at the next hop, the certificate that signed them, and the reply that the client got.
"""

from __future__ import annotations

import email
import email.policy
import re
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from support.gateway_process import HOSTNAME, OURS, run_command
from support.letters import BINH, LAN
from support.offices import (
    ALIAS,
    CITIZEN,
    DIRECTOR,
    OFFICE,
    PROGRAM,
    SECRETARY,
    Office,
    letter,
    office,
    told,
)
from support.peers import wait_for
from support.swaks import swaks

if TYPE_CHECKING:
    from collections.abc import Iterator

SCANNER: Final = {"name": "may-quet", "networks": ["127.0.0.1/32"], "authors": [OFFICE]}
LENT: Final = f"""\
rules:
  - name: lent-by-a-rule-in-so-many-words
    direction: outbound
    when: {{author: "{ALIAS}"}}
    then: {{sign: {{key: {{label: van-thu}}, if_unable: refuse, for_other_addresses: true}}}}
  - name: the-office-key-for-everybody
    direction: outbound
    when: {{not: {{author: "{DIRECTOR}"}}}}
    then: {{sign: {{key: {{label: van-thu}}, if_unable: refuse}}}}
  - name: their-own-key-and-a-field
    direction: outbound
    then:
      sign:
        key: personal_else_organization
        if_unable: refuse
        add_header: {{X-Don-Vi: So Y te}}
  - name: deliver
    direction: inbound
    then: deliver
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Office]:
    """An office with a scanner that cannot log in, whose secretary may sign as the director."""
    delegates = [{"author": DIRECTOR, "delegate": SECRETARY, "personal_key": True}]
    with office(senders={"delegates": delegates}, sources=[SCANNER]) as running:
        yield running


@pytest.fixture(scope="module")
def lending() -> Iterator[Office]:
    """An office whose rules ask for the office's key where they should not."""
    with office(policy=LENT) as running:
        yield running


def author_of(received: bytes) -> str:
    """Return the From address that a mail client shows."""
    shown = email.message_from_bytes(received, policy=email.policy.default)["From"]
    return str(shown.addresses[0].addr_spec)


# wish 1: a valid signature by somebody else must not be shown as fine


@pytest.mark.parametrize(
    ("login", "author"),
    [("lan", LAN), ("thu-ky", OFFICE), ("giam-doc", DIRECTOR), ("phan-mem", OFFICE)],
)
def test_wish_01_whoever_signed_is_who_is_shown(login: str, author: str, place: Office) -> None:
    """The certificate names the address that the mail client shows, always."""
    to = f"mot-{login}-{author.partition('@')[0]}@congdan.example"
    assert place.submit(login, author, letter(author), to=to).accepted
    received = place.received(to)
    assert author_of(received) == place.signer(received) == author


def test_wish_01_a_key_is_not_lent_to_another_author(lending: Office) -> None:
    """A rule that names a key for whose certificate the author is a stranger is no signature, unless it says so."""
    sent = lending.submit("lan", LAN, letter(LAN))
    assert sent.refusal.startswith("550 5.7.1")
    assert f"key van-thu is not for {LAN}" in told(sent)
    assert lending.nothing_for(CITIZEN)
    assert lending.gate.wait_for_event("signed", reason="key_not_for_author")["done"] is False


def test_wish_01_a_rule_may_lend_it_in_so_many_words(lending: Office) -> None:
    """`for_other_addresses: true` is the one way: the signature is good, and by the office."""
    assert lending.submit("lan", LAN, letter(ALIAS), to="cho-muon@congdan.example").accepted
    received = lending.received("cho-muon@congdan.example")
    assert (author_of(received), lending.signer(received)) == (ALIAS, OFFICE)


# wish 2: a user who logged in must not be able to send, and be signed, as anybody


@pytest.mark.parametrize("sender", [LAN, DIRECTOR], ids=["own envelope", "forged envelope"])
@pytest.mark.parametrize("author", [DIRECTOR, BINH, f"{DIRECTOR} <{LAN}>", f"{LAN}, {DIRECTOR}"])
def test_wish_02_nobody_is_signed_as_somebody_else(author: str, sender: str, place: Office) -> None:
    """Neither by the header, nor by the envelope, nor by a name that is shown in place of the address."""
    sent = place.submit("lan", sender, letter(author))
    assert re.match(r"550 5\.[67]\.[01] ", sent.refusal), sent.transcript
    assert place.nothing_for(CITIZEN)


def test_wish_02_a_login_that_lost_an_address_has_lost_it_now(place: Office) -> None:
    """The line in the file of logins is what counts, a second after it changed."""
    file = place.house.directory / "logins.txt"
    before = file.read_text(encoding="utf-8")
    to = "truoc@congdan.example"
    assert place.submit("giam-doc", OFFICE, letter(OFFICE), to=to).accepted
    lines = [line.replace(f"{DIRECTOR},{OFFICE}", DIRECTOR) for line in before.splitlines()]
    try:
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        wait_for(lambda: not place.submit("giam-doc", DIRECTOR, letter(OFFICE), to=to).accepted, "a refusal")
        assert place.submit("giam-doc", DIRECTOR, letter(OFFICE), to=to).refusal.startswith("550 5.7.1")
        assert place.submit("giam-doc", DIRECTOR, letter(DIRECTOR), to=to).accepted
    finally:
        file.write_text(before, encoding="utf-8")


def test_wish_02_a_whole_domain_lends_nobodys_own_key(place: Office) -> None:
    """A program that may send as everybody is not thereby able to sign as the director."""
    sent = place.submit("phan-mem", DIRECTOR, letter(DIRECTOR))
    assert sent.refusal.startswith("550 5.7.1"), sent.transcript
    assert "needs a login that has the address by name" in told(sent)
    assert place.gate.wait_for_event("signed", reason="personal_key_not_for_domain")["done"] is False
    assert place.nothing_for(CITIZEN)


# wish 3: programs that cannot log in must go on working


def test_wish_03_a_listed_host_needs_no_login_and_no_tls(place: Office) -> None:
    """The scanner sends as before, and its mail is signed with the key of the address it may use."""
    to = "quet@congdan.example"
    sent = swaks(place.house.port("internal"), OFFICE, to, letter(OFFICE))
    assert sent.accepted, sent.transcript
    assert place.signer(place.received(to)) == OFFICE


def test_wish_03_but_it_is_bound_to_its_own_addresses(place: Office) -> None:
    """A list per host, not an open door: the scanner is not the director."""
    for sender, author in ((OFFICE, DIRECTOR), (DIRECTOR, OFFICE), (LAN, LAN)):
        sent = swaks(place.house.port("internal"), sender, CITIZEN, letter(author))
        assert sent.refusal.startswith("550 5.7.1"), sent.transcript
    assert place.nothing_for(CITIZEN)


def test_wish_03_a_host_may_be_known_by_a_certificate(place: Office) -> None:
    """The same network, another program: its certificate says who it is, and what it may send as."""
    to = "qlvb@congdan.example"
    assert place.inject(PROGRAM, letter(OFFICE), shows=PROGRAM, to=to).accepted
    assert place.signer(place.received(to)) == OFFICE
    assert place.gate.wait_for_event("received", recipients=[to])["login"] == "qlvb"


# wish 28: From the director, Sender the secretary, and it must verify


def test_wish_28_what_a_secretary_sends_for_the_director_verifies(place: Office) -> None:
    """Signed with the director's key, as the table says; when it comes back in, the gateway calls it verified."""
    to = "thay-mat@congdan.example"
    sent = place.submit("thu-ky", SECRETARY, letter(DIRECTOR, f"Sender: {SECRETARY}", to=f"lan@{OURS}"), to=to)
    assert sent.accepted, sent.transcript
    received = place.received(to)
    assert place.signer(received) == author_of(received) == DIRECTOR
    assert f"Sender: {SECRETARY}\r\n".encode() in received
    assert place.gate.wait_for_event("authorized", author=DIRECTOR, by="delegate")["sender"] == SECRETARY
    back = swaks(place.house.port("inbound"), DIRECTOR, f"lan@{OURS}", received)
    assert back.accepted, back.transcript
    results = email.message_from_bytes(place.received(f"lan@{OURS}"), policy=email.policy.default)
    assert re.search(r"\bsmime=pass\b", str(results["Authentication-Results"]))
    assert str(results["Authentication-Results"]).startswith(HOSTNAME)


def test_wish_28_without_the_directors_consent_there_is_no_personal_signature(lending: Office) -> None:
    """`personal_key: false`, the default: the secretary may send, the director's own key does not sign."""
    sent = lending.submit("thu-ky", SECRETARY, letter(DIRECTOR, f"Sender: {SECRETARY}"))
    assert sent.refusal.startswith("550 5.7.1"), sent.transcript
    assert f"người gửi thay không được dùng khóa của {DIRECTOR}" in told(sent)
    assert f"cannot sign: a delegate may not use the key of {DIRECTOR}" in told(sent)
    assert lending.gate.wait_for_event("signed", reason="personal_key_not_for_delegate")["done"] is False
    assert lending.nothing_for(CITIZEN)


def test_wish_28_somebody_elses_secretary_is_nobody(place: Office) -> None:
    """Sender alone gives no right: the clerk cannot send for the director by writing Sender."""
    for fields in ((f"Sender: {LAN}",), (f"Sender: {SECRETARY}",)):
        sent = place.submit("lan", LAN, letter(DIRECTOR, *fields))
        assert sent.refusal.startswith("550 5.7.1"), sent.transcript
    assert place.nothing_for(CITIZEN)


# wish 35: no rule may change From after the key was chosen


def test_wish_35_the_key_fits_the_from_that_travels(lending: Office) -> None:
    """Where a rule adds a field, From still has every octet that was submitted, and the certificate names it."""
    message = letter(f"=?utf-8?q?Gi=C3=A1m_=C4=91=E1=BB=91c?=\r\n <{DIRECTOR}>")
    assert lending.submit("giam-doc", DIRECTOR, message, to="khop@congdan.example").accepted
    received = lending.received("khop@congdan.example")
    assert b"X-Don-Vi: So Y te\r\n" in received
    assert received.count(b"\r\nFrom: ") + received.startswith(b"From: ") == 1
    assert message.partition(b"\r\nTo:")[0] in received
    assert lending.signer(received) == DIRECTOR


@pytest.mark.parametrize("name", ["From", "Sender", "Reply-To", "Resent-From", "Subject", "from"])
def test_wish_35_no_rule_can_write_who_speaks(name: str, lending: Office) -> None:
    """A policy that would is refused before it is used, with its place."""
    directory = lending.house.directory / f"check-{name}"
    directory.mkdir()
    text = LENT.replace("X-Don-Vi: So Y te", f'{name}: "{DIRECTOR}"')
    (directory / "10.yaml").write_text(text, encoding="utf-8")
    config = lending.house.directory / f"check-{name}.yaml"
    document = lending.house.config.read_text(encoding="utf-8")
    config.write_text(document.replace('"policies": "policies"', f'"policies": "{directory.name}"'), encoding="utf-8")
    done = subprocess.run((*run_command(config), "--check"), capture_output=True, check=False, timeout=60)
    assert done.returncode == 2
    assert f"a policy may not write {name}" in (done.stdout + done.stderr).decode()

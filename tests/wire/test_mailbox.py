"""Colored tags, nothing mocked: Dovecot with Pigeonhole as shipped, and `gateway mailbox watch` as a process."""

from __future__ import annotations

import imaplib
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from gateway.core.address import Mailbox
from gateway.core.message import Message
from gateway.mailbox.keywords import ALARMS, BY_VERDICT, IMPERSONATION, INVALID, UNKNOWN, VERIFIED
from gateway.tagging.seal import Sealing, SealKeys, SealState, check, sealed
from support.dovecot import NOBODY
from support.gateway_process import HOSTNAME, NEIGHBOR, authority, credentials
from support.gateway_process import OURS as DOMAIN
from support.letters import HEAD, LAN, clear_entity
from support.letters import mail as letter
from support.mailroom import (
    MASTER,
    MASTER_PASSWORD,
    SHIPPED,
    append,
    deliver,
    flags_of,
    mailroom,
    session,
    wait_for_flags,
)
from support.peers import free_port, short_directory, wait_for
from support.postfix import postfix
from support.splitter import flipped
from support.swaks import swaks
from support.verifiers import openssl_sign
from support.watching import SEAL_SECRET, watching
from support.wire_cutter import wire_cutter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.dovecot import Dovecot

PART: Final = b"Content-Type: text/plain; charset=us-ascii\r\n\r\nMoi du hop luc 08:00.\r\n"
PLAIN: Final = letter(PART, head=HEAD.replace(LAN.encode(), NEIGHBOR.encode()))
MARK: Final = b"X-Gateway-Verdict: %s; reason=ok; chain=valid; notes=%s; at=2026-11-24T08:30:00+07:00 (ghi)\r\n"
SEAL: Final = b"X-Gateway-Seal: v=1; k=khac; b=AAAA\r\n"
GREEN_MARKS: Final = b"X-Verified-Sender: Kho bac\r\n" + MARK % (b"verified", b"") + SEAL


@pytest.fixture(scope="module")
def room() -> Iterator[Dovecot]:
    with mailroom() as running:
        yield running


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A message that verifies, by the neighbor's office."""
    cms = openssl_sign(PART, credentials()[NEIGHBOR], tmp_path_factory.mktemp("signed"))
    return letter(clear_entity(PART, cms), head=HEAD.replace(LAN.encode(), NEIGHBOR.encode()))


def seal(message: bytes, to: str) -> bytes:
    """Return a message as the gateway hands it over to one recipient."""
    keys = SealKeys((("k1", SEAL_SECRET),))
    return sealed(Message.of(message), Sealing(keys, (Mailbox.parse(to),), authority().now, HOSTNAME)).octets()


@pytest.mark.parametrize("verdict", BY_VERDICT)
def test_delivery_colors_by_the_verdict(verdict: str, room: Dovecot) -> None:
    """The shipped recipe sets the keyword of the table, and for no verdict a second one."""
    to = f"sieve-{verdict}@{DOMAIN}"
    deliver(room, to, SEAL + MARK % (verdict.encode(), b"") + PLAIN)
    deliver(room, to, SEAL + MARK % (verdict.encode(), b"first_contact,tag_words") + PLAIN)
    wanted = {BY_VERDICT[verdict]} - {None}
    alarmed = {each for each in wanted if each not in {VERIFIED, "$VerifiedLesser"}} | {IMPERSONATION}
    assert flags_of(room, to) == [wanted, alarmed]


@pytest.mark.parametrize("alarm", sorted(ALARMS))
def test_delivery_is_not_green_with_an_alarm(alarm: str, room: Dovecot) -> None:
    """A verified message that imitates somebody else is red."""
    to = f"sieve-{alarm.replace('_', '-')}@{DOMAIN}"
    deliver(room, to, SEAL + MARK % (b"verified", alarm.encode()) + PLAIN)
    assert flags_of(room, to) == [{IMPERSONATION}]


@pytest.mark.parametrize(
    "marks",
    [
        MARK % (b"verified", b""),
        SEAL + MARK % (b"unsigned", b"") + MARK % (b"verified", b""),
        SEAL + SEAL + MARK % (b"verified", b""),
        SEAL + MARK % (b"not verified", b""),
        SEAL + MARK % (b"unsigned; verified", b""),
        SEAL + b"X-Gateway-Verdict: (verified; )unsigned; reason=x\r\n",
    ],
    ids=["no seal", "two verdicts", "two seals", "other word", "later word", "comment"],
)
def test_delivery_does_not_color_what_is_not_ours(marks: bytes, room: Dovecot, request: pytest.FixtureRequest) -> None:
    """Marks as the gateway never writes them get no color at all."""
    to = f"sieve-{abs(hash(request.node.name))}@{DOMAIN}"
    deliver(room, to, marks + PLAIN)
    assert flags_of(room, to) == [frozenset()]


def test_a_script_of_the_owner_keeps_the_color(room: Dovecot) -> None:
    """Mail that the owner's own rules file elsewhere is colored there: nobody is asked to change them."""
    me = f"loc@{DOMAIN}"
    deliver(room, me, PLAIN)
    with session(room, me) as imap:
        imap.create("Sent")
    home = room.directory / "mail" / DOMAIN / "loc"
    (home / ".dovecot.sieve").write_text('require "fileinto"; fileinto "Sent";')
    shutil.chown(home / ".dovecot.sieve", NOBODY, NOBODY)
    deliver(room, me, SEAL + MARK % (b"verified", b"") + PLAIN)
    assert flags_of(room, me, "Sent") == [{VERIFIED}]


def test_mail_is_colored_as_it_deserves(room: Dovecot, signed: bytes) -> None:
    """Whatever it claims: a seal is believed, all else is judged, what was forged comes off; too large is unknown."""
    me, other = f"nhan@{DOMAIN}", f"khac@{DOMAIN}"
    marked = MARK % (b"verified", b"") + PLAIN
    cases = [
        (seal(marked, me), "", {VERIFIED}),
        (seal(MARK % (b"replayed", b"") + PLAIN, me), VERIFIED, {INVALID}),
        (seal(marked, other), VERIFIED, set()),
        (flipped(seal(marked, me)), VERIFIED, {IMPERSONATION}),
        (GREEN_MARKS + PLAIN, VERIFIED, {IMPERSONATION}),
        (PLAIN.replace(b"Subject: ", "Subject: [Đã xác thực: Kho bạc] ".encode()), "", {IMPERSONATION}),
        (PLAIN, "$verifiedagency $SignatureInvalid", set()),
        (signed, "", {VERIFIED}),
        (signed.replace(b"08:00", b"09:00"), VERIFIED, {INVALID}),
        (GREEN_MARKS + signed, VERIFIED, {IMPERSONATION}),
        (signed + b"x" * 70_000 + b"\r\n", VERIFIED, {UNKNOWN}),
    ]
    with wire_cutter(room.imap_port) as line, watching(line.port, me, max_octets=65536):
        for octets, before, _ in cases:
            append(room, me, octets, f"\\Flagged {before}".strip())
        wanted = [frozenset({"\\Flagged", *after}) for _, _, after in cases]
        wait_for_flags(room, me, lambda found: found == wanted)


def test_a_new_mailbox_is_not_read_to_its_beginning(room: Dovecot) -> None:
    """The first look goes so many messages back; from then on nothing is looked at twice, after a restart neither."""
    me = f"cu@{DOMAIN}"
    with short_directory("st-") as state, wire_cutter(room.imap_port) as line:
        for _ in range(4):
            append(room, me, PLAIN, VERIFIED)
        with watching(line.port, me, first_most=2, state=str(state)):
            wait_for_flags(room, me, lambda found: found == [{VERIFIED}, {VERIFIED}, set(), set()])
        with session(room, me) as imap:
            imap.select()
            imap.store("3", "+FLAGS", f"({VERIFIED})")
        with watching(line.port, me, first_most=2, state=str(state)):
            append(room, me, PLAIN, VERIFIED)
            wait_for_flags(room, me, lambda found: found[-1] == set())
        assert flags_of(room, me)[2] == {VERIFIED}


def test_a_lost_connection_is_noticed(room: Dovecot) -> None:
    """Cut, or silent for ever with nobody told: the watch comes back, and finds what arrived meanwhile."""
    me = f"dut@{DOMAIN}"
    with wire_cutter(room.imap_port) as line, watching(line.port, me) as watch:
        append(room, me, PLAIN, VERIFIED)
        wait_for_flags(room, me, lambda found: found == [set()])
        os.kill(watch.pid, signal.SIGHUP)
        wait_for(lambda: any(each["event"] == "reloaded" for each in watch.said()), "new trust")
        for times, lose in enumerate((line.cut, line.freeze), 1):
            before = line.accepted
            lose()
            append(room, me, PLAIN, VERIFIED)
            wait_for_flags(room, me, lambda found, wanted=times + 1: found == [set()] * wanted)
            assert line.accepted == before + 1
        assert [each["event"] for each in watch.said()].count("mailbox not watched for a while") == 2


def test_the_login_cannot_delete(room: Dovecot) -> None:
    """Who takes over the watch can read and color, and that is all: no mark for deletion, no expunge, no new mail."""
    me = f"quyen@{DOMAIN}"
    append(room, me, PLAIN)
    with session(room, me) as imap:
        imap.create("Sent")
        imap.create("Rieng")
    with session(room, f"{me}*{MASTER}", MASTER_PASSWORD) as imap:
        assert imap.select("INBOX")[0] == "OK"
        assert imap.store("1", "+FLAGS", f"({VERIFIED})")[0] == "OK"
        imap.store("1", "+FLAGS", "(\\Deleted \\Seen)")
        imap.expunge()
        assert imap.append("INBOX", "", "", PLAIN)[0] == "NO"
        assert imap.select("Rieng")[0] == "NO"
        assert imap.delete("Sent")[0] == "NO"
        assert imap.rename("Sent", "Khac")[0] == "NO"
        assert imap.create("Moi")[0] == "NO"
        imap.select("INBOX")
        imap.close()
        with pytest.raises(imaplib.IMAP4.error):
            imap.setacl("INBOX", MASTER, "lrwte")
    assert flags_of(room, me) == [{VERIFIED}]


def test_the_owner_can_still_delete(room: Dovecot) -> None:
    """The rights of the gateway's login take nothing from anybody else."""
    me = f"chu@{DOMAIN}"
    append(room, me, PLAIN)
    with session(room, me) as imap:
        imap.select()
        imap.store("1", "+FLAGS", "(\\Deleted)")
        imap.expunge()
    assert flags_of(room, me) == []


def test_other_paths_are_stripped(room: Dovecot, tmp_path: Path) -> None:
    """Postfix takes our fields off mail that passes the gateway by, and leaves what the gateway hands over sealed."""
    table = tmp_path / "gateway_header_checks"
    shipped = (SHIPPED.parent / "postfix" / "gateway_header_checks").read_text(encoding="utf-8")
    table.write_text(shipped, encoding="utf-8")
    tmp_path.chmod(0o755)
    me = f"vong@{DOMAIN}"
    folded = GREEN_MARKS.replace(b"X-Gateway-Verdict: ", b"x-gateway-verdict:\r\n ")
    mine = b"Authentication-Results:\r\n mail.songlam.example; smime=pass\r\nAuthentication-Results: khac; spf=pass\r\n"
    by_gateway, to_gateway = free_port(), f"thang@{DOMAIN}"
    ours = seal(MARK % (b"verified", b"") + PLAIN, to_gateway)
    with postfix({DOMAIN: f"lmtp:inet:127.0.0.1:{room.lmtp_port}"}, header_checks=table, past_checks=by_gateway) as mta:
        assert swaks(mta.port, NEIGHBOR, me, folded + mine + b"X_Verified_Sender: Kho bac\r\n" + PLAIN).accepted
        assert swaks(by_gateway, NEIGHBOR, to_gateway, ours).accepted
        wait_for(lambda: room.count(me) == room.count(to_gateway) == 1, "delivery")
    received = room.fetch(me).lower()
    assert b"gateway" not in received
    assert b"verified" not in received
    assert b"smime=pass" not in received
    assert b"khac; spf=pass" in received
    assert flags_of(room, me) == [frozenset()]
    assert flags_of(room, to_gateway) == [{VERIFIED}]
    keys = SealKeys((("k1", SEAL_SECRET),))
    assert check(Message.of(room.fetch(to_gateway)), Mailbox.parse(to_gateway), keys) is SealState.GOOD


def test_many_mailboxes_share_a_process(room: Dovecot) -> None:
    """A connection each, judged in turns: mail to all of them at once is colored, and costs little memory a mailbox."""
    names = [f"dong-{number}@{DOMAIN}" for number in range(40)]
    with watching(room.imap_port, *names, liveness=60.0, timeout=20.0) as watch:
        wait_for(lambda: watch.places() == len(names), "connections")
        before = resident(watch.pid)
        for name in names:
            append(room, name, GREEN_MARKS + PLAIN, VERIFIED)
        wait_for(lambda: watch.looked_at() == len(names), "all of them")
        assert resident(watch.pid) - before < 30 * 2**20
    assert [flags_of(room, name) for name in names] == [[{IMPERSONATION}]] * len(names)


def resident(pid: int) -> int:
    """Return the octets of memory that a process has."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024

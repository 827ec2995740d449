"""The peers of the wire tests by themselves: what goes in comes out unchanged, so that a changed octet is ours."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.letters import ASCII, real_life
from support.peers import PeerError, child, free_port, listening, need, wait_for, wait_until_up
from support.postfix import postfix
from support.swaks import swaks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.dovecot import Dovecot
    from support.postfix import Postfix

SENDER = "hoang.lan@soyte.songlam.example"
CHANGED = {
    "no_final_line_end": "SMTP cannot carry it",
    "long_lines": "Postfix breaks lines after 998 octets",
    "binary_leaf": "Dovecot's IMAP turns NUL into 0x80",
}


@pytest.fixture(scope="module")
def relay(mail_store: Dovecot) -> Iterator[Postfix]:
    """A Postfix between swaks and both of Dovecot's LMTP sockets."""
    routes = {
        "tcp.example": f"lmtp:inet:127.0.0.1:{mail_store.lmtp_port}",
        "unix.example": f"lmtp:unix:{mail_store.lmtp_path}",
    }
    with postfix(routes, refused={"khong@tcp.example": "550 5.1.1 no such user"}) as mta:
        yield mta


@pytest.mark.parametrize("socket", ["tcp", "unix"])
def test_octets_survive_the_peers(socket: str, relay: Postfix, mail_store: Dovecot) -> None:
    """Swaks -> Postfix -> Dovecot -> IMAP changes no octet of header or body, whatever an office writes."""
    letters = {name: octets for name, octets in real_life().items() if name not in CHANGED}
    assert len(letters) > 15
    for name, octets in letters.items():
        assert swaks(relay.port, SENDER, f"{name}@{socket}.example", octets).accepted
    for name, octets in letters.items():
        assert mail_store.fetch(f"{name}@{socket}.example").endswith(b"\r\n" + octets), name


@pytest.mark.parametrize("name", CHANGED)
def test_what_the_peers_cannot_carry(name: str, relay: Postfix, mail_store: Dovecot) -> None:
    """The known exceptions are changes by the peers; the journeys may not be judged by these octets unsigned."""
    octets = real_life()[name]
    assert swaks(relay.port, SENDER, f"{name}@tcp.example", octets).accepted
    assert not mail_store.fetch(f"{name}@tcp.example").endswith(octets)


def test_a_refusal_is_told(relay: Postfix) -> None:
    """Swaks reports the exact refusal at RCPT, so a test can see whose words reach the client."""
    sent = swaks(relay.port, SENDER, "khong@tcp.example", ASCII)
    assert (sent.exit_code, sent.accepted) == (24, False)
    assert sent.refusal == "550 5.1.1 <khong@tcp.example>: Recipient address rejected: no such user"
    assert swaks(relay.port, SENDER, "ai@khac.example", ASCII).refusal[:9] == "554 5.7.1"


def test_an_unknown_mailbox_is_refused_at_lmtp(mail_store: Dovecot) -> None:
    """Dovecot answers RCPT for a mailbox that does not exist with 550 5.1.1, which recipient probes rely on."""
    options = ("--protocol", "LMTP")
    sent = swaks(mail_store.lmtp_port, SENDER, "khong-co@tcp.example", ASCII, options=options)
    assert sent.refusal[:9] == "550 5.1.1"
    assert swaks(mail_store.lmtp_port, SENDER, "co@tcp.example", ASCII, options=options).accepted
    assert mail_store.count("co@tcp.example") == 1


def test_a_queue_waits_for_its_next_hop(mail_store: Dovecot) -> None:
    """A Postfix whose next hop is down keeps the message, and logs where nothing of the system's is touched."""
    with postfix({"tcp.example": f"smtp:[127.0.0.1]:{free_port()}"}) as mta:
        assert swaks(mta.port, SENDER, "ai@tcp.example", ASCII).accepted
        wait_for(lambda: "status=deferred" in mta.log(), "the first attempt")
        assert len(mta.queue()) == 1


def test_a_missing_peer_fails_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is skipped in silence: a missing program, or a user who is not root, fails with the line to run."""
    with pytest.raises(pytest.fail.Exception, match=r"khong-cai-dat not found; run: apt-get install -y postfix "):
        need("sh", "khong-cai-dat")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(pytest.fail.Exception, match="root"), postfix({"tcp.example": "discard:"}):
        pass


def test_a_peer_that_ends_at_once_says_why(tmp_path: Path) -> None:
    """A broken configuration of a peer fails its test with the peer's own words."""
    command = (sys.executable, "-c", "raise SystemExit('sai cau hinh')")
    with child(command, output=tmp_path / "out") as process, pytest.raises(PeerError, match="sai cau hinh"):
        wait_until_up(process, "the peer", (free_port(),), tmp_path / "out")


def test_no_peer_outlives_its_test(tmp_path: Path) -> None:
    """A killed test run takes its peers, and what these started, with it."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from support.postfix import postfix\n"
        "with postfix({'a.example': 'smtp:[127.0.0.1]:9'}) as mta: print(mta.port, mta.directory, flush=True), input()"
    )
    command = (sys.executable, "-c", script, str(Path(__file__).parents[1]))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path)
    assert process.stdout is not None
    port, directory = process.stdout.readline().split()
    assert listening(int(port))
    process.kill()
    process.communicate()
    wait_for(lambda: not listening(int(port)), "its end")
    shutil.rmtree(directory)

"""What goes wrong around a real gateway: next hops away, wrong files, signals, `kill -9`. Nothing may be lost or left.

Every test runs a gateway of its own; what was answered 250 must arrive, what was not must not.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import smtplib
import ssl
import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from support.gateway_process import (
    AUTHORS,
    FINANCE,
    LOGIN,
    NEIGHBOR,
    OURS,
    PASSPHRASE,
    Gateway,
    House,
    authority,
    build_house,
    credentials,
    gateway,
    root_pem,
    run_command,
)
from support.letters import ASCII, HEAD, LAN, clear_entity, mail
from support.peers import free_port, listening, short_directory, wait_for
from support.postfix import postfix
from support.splitter import cut
from support.swaks import Sent, swaks
from support.verifiers import openssl_sign, openssl_verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.dovecot import Dovecot

OUTSIDE: Final = "hopthu.example"
QUICK: Final = {"retry_first": 0.2, "retry_most": 0.5, "answer_within": 5.0}
WRONG_POLICY: Final = "rules:\n  - name: x\n    direction: sideways\n    then: deliver\n"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short name."""
    with short_directory("gw-") as directory:
        yield directory


def house_in(directory: Path, mail_store: Dovecot, hop: int, **settings: Any) -> House:
    """A house whose way out is a Postfix at a port where nobody may be yet."""
    return build_house(
        directory,
        hops=[
            {"name": "ngoai", "protocol": "smtp", "addresses": [f"127.0.0.1:{hop}"], "tls": "none"},
            {"name": "kho", "protocol": "lmtp", "addresses": [f"unix:{mail_store.lmtp_path}"], "tls": "none"},
        ],
        local_domains=[
            {"domain": OURS, "hop": "kho", "recipients": "any"},
            {"domain": FINANCE, "hop": "ngoai", "recipients": "probe"},
        ],
        outbound=[{"domain": OURS, "hop": "kho"}, {"domain": "*", "hop": "ngoai"}],
        **{"spool": QUICK, **settings},
    )


def outside(mail_store: Dovecot, port: int, **options: Any) -> Any:
    """The Postfix of the outside world."""
    return postfix({OUTSIDE: f"lmtp:inet:127.0.0.1:{mail_store.lmtp_port}"}, port=port, **options)


def submit(running: Gateway, to: str, message: bytes = ASCII, *, sender: str = LAN) -> Sent:
    house = running.house
    return swaks(house.port("submission"), sender, to, message, login=LOGIN, trusted=house.server_pem)


def by(author: str) -> bytes:
    return ASCII.replace(LAN.encode(), author.encode())


def test_a_next_hop_that_is_down(place: Path, mail_store: Dovecot, tmp_path: Path) -> None:
    """250 after the commit; delivered once, with a good signature, as soon as the hop is there."""
    hop = free_port()
    with gateway(house_in(place, mail_store, hop)) as running:
        sent = submit(running, f"sau@{OUTSIDE}")
        assert sent.accepted, sent.transcript
        assert running.events("spooled")
        with outside(mail_store, hop):
            found = cut(mail_store.fetch(f"sau@{OUTSIDE}"))
            running.wait_for_event("delivered")
        assert openssl_verify(found.part, found.cms, root_pem(), tmp_path)


def test_killed_after_250(place: Path, mail_store: Dovecot, tmp_path: Path) -> None:
    """`kill -9` after 250 with the hop down: everything arrives once after the next start, bodies in files too."""
    hop = free_port()
    large = ASCII + b"Dong dai cho du lon.\r\n" * 40_000
    with gateway(house_in(place, mail_store, hop)) as running:
        assert submit(running, f"nho@{OUTSIDE}").accepted
        assert submit(running, f"lon@{OUTSIDE}", large).accepted
        running.kill()
        running.start()
        with outside(mail_store, hop):
            for user in (f"nho@{OUTSIDE}", f"lon@{OUTSIDE}"):
                found = cut(mail_store.fetch(user))
                assert openssl_verify(found.part, found.cms, root_pem(), tmp_path)
            wait_for(lambda: len(running.events("delivered")) == 2, "both deliveries")
            assert running.stop() == 0
            assert (mail_store.count(f"nho@{OUTSIDE}"), mail_store.count(f"lon@{OUTSIDE}")) == (1, 1)


def test_a_late_refusal_becomes_a_notification(place: Path, mail_store: Dovecot) -> None:
    """What was answered 250 and is refused later comes back to its sender: from the null reverse-path, in the spool's
    own words, with the hop's reply, and never for a message that had none.
    """  # noqa: D205 - the rule needs two lines
    hop, sender = free_port(), f"bao-muon@{OURS}"
    with gateway(house_in(place, mail_store, hop)) as running:
        assert submit(running, f"khong@{OUTSIDE}", sender=sender).accepted
        with outside(mail_store, hop, refused={f"khong@{OUTSIDE}": "550 5.1.1 no such user"}):
            notice = mail_store.fetch(sender)
    assert notice.startswith(b"Return-Path: <>\r\n")
    assert re.search(rb"(?i)^Content-Type: multipart/report;", notice, re.MULTILINE)
    assert re.search(rf"(?i)^Final-Recipient: rfc822; ?khong@{OUTSIDE}\r$".encode(), notice, re.MULTILINE)
    assert re.search(rb"(?i)^Action: failed\r$", notice, re.MULTILINE)
    assert re.search(rb"(?i)^Status: 5\.1\.1\r$", notice, re.MULTILINE)
    assert b"no such user" in notice


def test_a_message_that_expires(place: Path, mail_store: Dovecot) -> None:
    """A hop that never comes: given up in the end, and the sender is told."""
    sender = f"bao-het-han@{OURS}"
    with gateway(house_in(place, mail_store, free_port(), spool={**QUICK, "expire_after": 1.0})) as running:
        assert submit(running, f"mai-mai@{OUTSIDE}", sender=sender).accepted
        notice = mail_store.fetch(sender)
    assert re.search(rb"(?i)^Action: failed\r$", notice, re.MULTILINE)
    assert re.search(rb"(?i)^Status: [45]\.\d\.\d\r$", notice, re.MULTILINE)


def test_a_message_too_big_for_the_next_hop(place: Path, mail_store: Dovecot) -> None:
    """What the hop cannot take once it is signed is refused before 250 with 552 5.3.4: by the SIZE that is announced,
    and where the hop takes less than it said before, by the finished size, with both figures.
    """  # noqa: D205 - the rule needs two lines
    hop = free_port()
    large = ASCII + b"Dong nay dai cho du lon.\r\n" * 20_000
    with ExitStack() as stack:
        with outside(mail_store, hop, size=2_000_000):
            running = stack.enter_context(gateway(house_in(place, mail_store, hop)))
            assert submit(running, f"vua@{OUTSIDE}", large).accepted
            sent = submit(running, f"to@{OUTSIDE}", ASCII + b"x" * 76 * 30_000)
            assert sent.refusal.startswith("552 5.3.4"), sent.transcript
            announced = re.search(r"250[ -]SIZE (\d+)", sent.transcript)
            assert announced is not None
            assert len(large) < int(announced[1]) < 2_000_000
        with outside(mail_store, hop, size=200_000):
            sent = submit(running, f"to@{OUTSIDE}", large)
            assert sent.refusal.startswith("552 5.3.4"), sent.transcript
            finished, limit = map(int, re.findall(r"\d{6}", sent.refusal)[:2])
            assert len(large) < finished < len(large) + 20_000
            assert limit == 200_000
            assert submit(running, f"vua-du@{OUTSIDE}").accepted
    assert mail_store.count(f"to@{OUTSIDE}") == 0


def test_too_little_room(place: Path, mail_store: Dovecot) -> None:
    """A disk below its watermark: MAIL is answered 452 4.3.1, so that the client keeps the message."""
    house = house_in(place, mail_store, free_port(), spool={"min_free": 10**13})
    with gateway(house) as running:
        sent = submit(running, f"day@{OUTSIDE}")
        assert sent.exit_code == 23, sent.transcript
        assert sent.refusal.startswith("452 4.3.1")


@contextmanager
def client_of(running: Gateway) -> Iterator[smtplib.SMTP]:
    """A logged-in session that is spoken to by hand; it ends without QUIT."""
    context = ssl.create_default_context(cafile=str(running.house.server_pem))
    context.check_hostname = False  # the certificate names localhost, the address is a number
    client = smtplib.SMTP("127.0.0.1", running.house.port("submission"), timeout=120)
    try:
        client.starttls(context=context)
        client.login(*LOGIN)
        yield client
    finally:
        client.close()


def test_sigterm_drains(place: Path, mail_store: Dovecot) -> None:
    """After SIGTERM nobody new gets in; the message under way is answered 250 and kept, the exit code is 0, and the
    next start delivers it once.
    """  # noqa: D205 - the rule needs two lines
    hop = free_port()
    with outside(mail_store, hop), gateway(house_in(place, mail_store, hop)) as running:
        process, port = running.process, running.house.port("submission")
        assert process is not None
        with client_of(running) as client:
            client.mail(LAN)
            client.rcpt(f"cuoi@{OUTSIDE}")
            assert client.docmd("DATA")[0] == 354
            client.send(ASCII)
            process.terminate()
            wait_for(lambda: not listening(port), "the listener to close")
            assert process.poll() is None
            client.send(b"Het.\r\n.\r\n")
            assert client.getreply()[0] == 250
        assert process.wait(20) == 0
        running.stop()
        running.start()
        assert cut(mail_store.fetch(f"cuoi@{OUTSIDE}")).body.endswith(b"Het.\r\n")
        assert running.stop() == 0
        assert mail_store.count(f"cuoi@{OUTSIDE}") == 1


def test_sigterm_with_idle_sessions(place: Path, mail_store: Dovecot) -> None:
    """A session that does nothing is told 421 at once, and does not keep the gateway from ending."""
    with gateway(house_in(place, mail_store, free_port())) as running, client_of(running) as client:
        process = running.process
        assert process is not None
        process.terminate()
        code, text = client.getreply()
        assert (code, text[:6]) == (421, b"4.3.2 ")
        client.close()
        assert process.wait(20) == 0  # it would be waited for thirty seconds
        running.stop()


# --- files that are wrong --------------------------------------------------------------------------------------------


def refused(house: House) -> str:
    """Start on wrong files: exit code 2, nothing listened, and return what it said."""
    done = subprocess.run(run_command(house.config), capture_output=True, check=False, timeout=120)
    assert done.returncode == 2, done.stderr.decode()
    assert not any(listening(port) for port in house.ports.values())
    assert b"Traceback" not in done.stderr
    return done.stderr.decode()


def test_every_mistake_of_the_configuration_at_once(place: Path, mail_store: Dovecot) -> None:
    """Unknown keys, wrong types and wrong names are all told in one run, each with file:line:column."""
    house = house_in(place, mail_store, free_port())
    document = json.loads(house.config.read_text())
    document["spool"]["retry_frist"] = 5
    document["max_message_size"] = "lots"
    document["outbound"][1]["hop"] = "khong-co"
    house.config.write_text(json.dumps(document, indent=2))
    said = refused(house)
    for words in ("retry_frist", "max_message_size", "khong-co"):
        line = next(each for each in said.splitlines() if words in each)
        place_in_file = re.match(rf"{re.escape(str(house.config))}:(\d+):(\d+): ", line)
        assert place_in_file is not None, line
        shown = house.config.read_text().splitlines()[int(place_in_file[1]) - 1]
        assert words in shown
    assert "3 mistake(s)" in said


def test_wrong_passphrase_expired_key_unreadable_policy(place: Path, mail_store: Dovecot) -> None:
    """Each file that cannot be used is named with the reason, all in one run; no passphrase is shown."""
    house = house_in(place, mail_store, free_port())
    (place / "policies/20-more.yaml").write_text(WRONG_POLICY)
    (place / "keys/sai").touch(mode=0o600)
    (place / "keys/sai").write_bytes(b"mat-khau-sai")
    document = json.loads(house.config.read_text())
    document["keys"][0]["passphrase"] = f"file:{place}/keys/sai"
    house.config.write_text(json.dumps(document, indent=2))
    said = refused(house)
    assert re.search(r"20-more\.yaml:3:\d+: ", said)
    assert re.search(r"rsa2048.*passphrase", said)
    assert "mat-khau-sai" not in said
    assert PASSPHRASE.decode() not in said


def test_an_expired_certificate(place: Path, mail_store: Dovecot) -> None:
    """An expired certificate is told at start, at `--check` and to whoever needs it; nothing leaves unsigned, and all
    other keys sign on.
    """  # noqa: D205 - the rule needs two lines
    hop = free_port()
    house = house_in(place, mail_store, hop)
    now = dt.datetime.now(dt.UTC)
    old = authority().issue(
        "Hết hạn", LAN, key=credentials()[LAN].key, not_before=now - dt.timedelta(9), not_after=now - dt.timedelta(1)
    )
    (place / "keys/rsa2048.p12").write_bytes(old.pkcs12(PASSPHRASE))
    with outside(mail_store, hop), gateway(house) as running:
        done = subprocess.run((*run_command(house.config), "--check"), capture_output=True, check=False, timeout=120)
        assert done.returncode == 1
        assert re.search(rb"rsa2048.*expired", done.stdout), done.stdout
        assert any(line.get("label") == "rsa2048" and line.get("reason") == "expired" for line in running.lines())
        sent = submit(running, f"het-han@{OUTSIDE}")
        assert sent.refusal.startswith("550 5.7.1")
        assert "expired" in sent.refusal
        sender = AUTHORS["p256"]
        assert submit(running, f"con-han@{OUTSIDE}", by(sender), sender=sender).accepted
        assert mail_store.count(f"het-han@{OUTSIDE}") == 0
        cut(mail_store.fetch(f"con-han@{OUTSIDE}"))


def test_an_address_in_use(place: Path, mail_store: Dovecot) -> None:
    """A listener that cannot listen ends the start with 2 and names the address; nothing else keeps listening."""
    house = house_in(place, mail_store, free_port())
    with postfix({OUTSIDE: "discard:"}, port=house.port("inbound")):
        done = subprocess.run(run_command(house.config), capture_output=True, check=False, timeout=60)
        assert done.returncode == 2
        assert str(house.port("inbound")).encode() in done.stderr
        assert not listening(house.port("submission"))


def test_check(place: Path, mail_store: Dovecot) -> None:
    """`--check` asks the hops and says what hurts, without starting anything: 1 with findings, 0 without."""
    hop = free_port()
    house = house_in(place, mail_store, hop)

    def check() -> tuple[int, str]:
        done = subprocess.run((*run_command(house.config), "--check"), capture_output=True, check=False, timeout=120)
        return done.returncode, done.stdout.decode()

    code, said = check()
    assert code == 1
    assert "ngoai" in said
    routes = {OUTSIDE: "discard:", FINANCE: "discard:"}
    # Postfix without a recipient table takes everyone, which --check tells: so this one refuses all but a few
    with postfix(routes, port=hop, refused={FINANCE: "550 5.1.1 no such user"}):
        code, said = check()
    assert code == 0, said
    assert not any(listening(port) for port in house.ports.values())


# --- reload ----------------------------------------------------------------------------------------------------------


def reload(running: Gateway, outcome: str) -> dict[str, Any]:
    """Send SIGHUP and return the log line of this outcome, a new one."""
    before = len(running.events(outcome))
    running.hup()
    wait_for(lambda: len(running.events(outcome)) > before, outcome)
    return running.events(outcome)[-1]


def test_sighup(place: Path, mail_store: Dovecot, tmp_path: Path) -> None:
    """A new revocation list and a new rule count from the next message on; a mistake in a file is logged with its
    place, and what stood before stands.
    """  # noqa: D205 - the rule needs two lines
    office, hop = credentials()[NEIGHBOR], free_port()
    part = b"Content-Type: text/plain\r\n\r\nXin chao.\r\n"
    letter = mail(
        clear_entity(part, openssl_sign(part, office, tmp_path)), head=HEAD.replace(LAN.encode(), NEIGHBOR.encode())
    )

    def verdict(user: str) -> bytes:
        sent = swaks(running.house.port("inbound"), NEIGHBOR, f"{user}@{OURS}", letter)
        assert sent.accepted, sent.transcript
        found = re.search(rb"^X-Gateway-Verdict: (\w+)", mail_store.fetch(f"{user}@{OURS}"), re.MULTILINE)
        assert found is not None
        return found[1]

    with outside(mail_store, hop), gateway(house_in(place, mail_store, hop)) as running:
        assert verdict("truoc-hup") == b"verified"
        (place / "trust/intermediate.crl").write_bytes(authority().revocation_lists([office.certificate])[1])
        reload(running, "reloaded")
        assert verdict("sau-hup") == b"not_trusted"

        wrong = place / "policies/20-more.yaml"
        wrong.write_text(WRONG_POLICY)
        line = reload(running, "reload refused, the old state stands")
        assert "20-more.yaml:3:" in str(line["mistakes"])
        assert submit(running, f"van-chay@{OUTSIDE}").accepted
        wrong.unlink()

        (place / "policies/00-stop.yaml").write_text(
            f"rules:\n  - name: stop\n    direction: outbound\n    when: {{author: {LAN}}}\n"
            "    then: {refuse: {vi: 'Tạm dừng', en: 'stopped for now'}}\n"
        )
        reload(running, "reloaded")
        sent = submit(running, f"dung@{OUTSIDE}")
        assert sent.refusal.startswith("550 5.7.1")
        assert "stopped for now" in sent.refusal

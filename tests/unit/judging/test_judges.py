"""Judges with real processes: what they say, what they may cost, and what is left when they die."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.config.base import MEBI
from gateway.config.inbound import VerifySettings
from gateway.config.model import SpoolSettings
from gateway.core.message import Message
from gateway.core.verdict import Indeterminate, Invalid, NotTrusted, Unreadable, Verified
from gateway.demo.authority import Credential
from gateway.judging import worker
from gateway.judging.judges import KEPT, Judges
from gateway.judging.terms import Terms
from gateway.pki.needs import Evidence
from gateway.pki.path import Revocation, TrustAnchors
from gateway.spool.bodies import SpoolBodies
from support.forger import Forger
from support.judging import Found, terms
from support.letters import HEAD, LAN, NOW, PLAIN, authority, clear, lan, multipart, signed
from support.peers import wait_for
from support.signed_files import file_part
from support.tree import root, usage
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core.verdict import Judgment

BUSY = 200.0
"""As `WALL` where only processor time is to count: 0.3 s on the clock may be too short for an honest message."""
LETTER = Message.of(signed(PLAIN, lan()))
LARGE = Message.of(signed(PLAIN + b"0123456789" * 7 + b"\r\n" + (b"0123456789" * 7 + b"\r\n") * 6_000, lan()))


@contextlib.asynccontextmanager
async def running(
    trust: Terms | None = None, *, data: Found | None = None, **settings: object
) -> AsyncIterator[Judges]:
    """Run judges until the context ends."""
    judges = Judges(VerifySettings(**settings), trust or terms(), data or Found())  # type: ignore[arg-type]
    await judges.start()
    try:
        yield judges
    finally:
        await judges.close()


async def judged(judges: Judges, message: Message = LETTER, *, at: dt.datetime = NOW, source: str = "a") -> Judgment:
    return await judges.judge(message, at=at, source=source)


@pytest.fixture(scope="module")
def costly(tmp_path_factory: pytest.TempPathFactory) -> Message:
    """Return a signed message of 300 MB over a file of 1 MB: reading it takes longer than a process gets here."""
    builder = SpoolBodies(SpoolSettings(directory=tmp_path_factory.mktemp("spool"), min_free=0)).builder(2**30)
    builder.write(signed(PLAIN + (b"0123456789" * 7 + b"\r\n") * 14_000, lan()))
    whole = Message.from_source(builder.finish())
    middle = whole.slice(100_000, 1_000_000)
    return Message.join((whole.slice(0, 100_000), *[middle] * 333, whole.slice(100_000, len(whole))))


def opaque(der: bytes) -> Message:
    return Message.of(
        HEAD
        + b"MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\n"
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(der).replace(b"\n", b"\r\n")
    )


async def test_the_second_message_of_a_signer_is_judged_here() -> None:
    """The first one asks a process; what it found about the path is remembered, and the answer is the same."""
    async with running() as judges:
        first = await judged(judges)
        assert isinstance(first.verdict, Verified)
        for each in judges.pids:
            os.kill(each, signal.SIGSTOP)  # whoever asks one now waits
        async with asyncio.timeout(5.0):
            assert await judged(judges) == first
        for each in judges.pids:
            os.kill(each, signal.SIGCONT)


async def test_what_was_remembered_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while, under other terms, and for mail that is older than the answer, a process is asked again."""
    async with running() as judges:
        await judged(judges)
        asked: list[object] = []
        there = judges._judged_there

        async def counted(*arguments: object) -> Judgment:
            asked.append(arguments)
            return await there(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(judges, "_judged_there", counted)
        await judged(judges)
        assert not asked
        await judged(judges, at=NOW - dt.timedelta(hours=1))
        assert len(asked) == 1
        await judged(judges, at=NOW + KEPT + dt.timedelta(hours=1))
        assert len(asked) == 2
        judges.use(terms(Revocation.SOFT))
        await judged(judges)
        assert len(asked) == 3


async def test_a_reload_counts_from_the_next_message_on() -> None:
    """Trust that was taken away is gone: for known signers, too."""
    async with running() as judges:
        assert isinstance((await judged(judges)).verdict, Verified)
        judges.use(terms(lists=False))
        assert isinstance((await judged(judges)).verdict, Indeterminate)
        judges.use(terms())
        assert isinstance((await judged(judges)).verdict, Verified)


async def test_a_large_message_is_judged_by_its_file() -> None:
    """Beyond what is opened here, the verdict is the same."""
    async with running() as judges:
        assert isinstance((await judged(judges, LARGE)).verdict, Verified)


def office(part: bytes = b"Content-Type: text/plain\r\n\r\nMoi hop.\r\n") -> tuple[Message, Terms, Evidence, Evidence]:
    """Return a letter whose certificates name lists, terms without any, those lists, and some that revoke it."""

    def listed(name: str) -> x509.CRLDistributionPoints:
        place = x509.UniformResourceIdentifier(f"http://ca.example/{name}.crl")
        return x509.CRLDistributionPoints([x509.DistributionPoint([place], None, None, None)])

    top = root()
    issuer = top.issue("CA thử", ca=True, extensions=[listed("root")])
    names = x509.SubjectAlternativeName([x509.RFC822Name(LAN)])
    mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    leaf = issuer.issue("VĂN PHÒNG", extensions=[usage("digital_signature"), mail, names, listed("ca")])
    letter = clear(
        part,
        Credential(leaf.key, leaf.certificate.der, (issuer.certificate.der,)),
    )
    trust = Terms(TrustAnchors((top.certificate,), (), ()), Revocation.HARD)
    lists = (top.revocation_list(), issuer.revocation_list())
    until = NOW + dt.timedelta(minutes=5)
    revoked = (lists[0], issuer.revocation_list(leaf.certificate))
    return Message.of(letter), trust, Evidence(crls=lists, until=until), Evidence(crls=revoked, until=until)


async def test_what_was_fetched_counts_and_is_remembered_for_its_time() -> None:
    """Asked for once; the second message of the signer asks nobody until the first of the data is too old."""
    letter, trust, evidence, _ = office()
    data = Found(evidence)
    async with running(trust, data=data) as judges:
        for after in (0, 4):
            assert isinstance((await judged(judges, letter, at=NOW + dt.timedelta(minutes=after))).verdict, Verified)
        (needs,) = data.asked
        assert [each.lists for each in needs.statuses] == [
            ("http://ca.example/root.crl",),
            ("http://ca.example/ca.crl",),
        ]
        await judged(judges, letter, at=NOW + dt.timedelta(minutes=5))
        assert len(data.asked) == 2


async def test_a_revocation_that_a_process_hears_of_counts_at_once() -> None:
    """Mail with a signed file goes to a process, which asks anew: what is remembered is not believed over that."""
    file = file_part("a.txt.p7m", Forger(lan()).cms(b"x", content=b"\x04\x01x"))
    letter, trust, evidence, revoked = office(multipart("mixed", b"Content-Type: text/plain\r\n\r\nx\r\n", file))
    data = Found(evidence)
    async with running(trust, data=data) as judges:
        assert isinstance((await judged(judges, letter)).verdict, Verified)
        data.evidence = revoked
        assert isinstance((await judged(judges, letter, at=NOW + dt.timedelta(minutes=1))).verdict, NotTrusted)


async def test_what_is_of_unknown_age_is_not_remembered() -> None:
    """Good for one message only."""
    letter, trust, evidence, _ = office()
    data = Found(replace(evidence, until=None))
    async with running(trust, data=data) as judges:
        for _ in range(2):
            assert isinstance((await judged(judges, letter)).verdict, Verified)
        assert len(data.asked) == 2


async def test_nobody_waits_twice_for_what_did_not_come() -> None:
    """One list of two came: the other is not asked for again for this message, and nothing is remembered."""
    letter, trust, evidence, _ = office()
    data = Found(replace(evidence, crls=evidence.crls[:1]))
    async with running(trust, data=data) as judges:
        assert isinstance((await judged(judges, letter)).verdict, Indeterminate)
        assert len(data.asked) == 1
        assert not len(judges._paths)


async def test_nothing_is_green_without_data_and_nothing_is_fetched_for_forgers() -> None:
    """No answer: indeterminate, asked once a message. A value that does not fit: nobody is asked anything."""
    letter, trust, *_ = office()
    data = Found()
    async with running(trust, data=data) as judges:
        assert isinstance((await judged(judges, letter)).verdict, Indeterminate)
        assert len(data.asked) == 1
        forged = Message.of(letter.octets().replace(b"Moi hop.", b"Moi tra tien."))
        assert isinstance((await judged(judges, forged)).verdict, Invalid)
        assert len(data.asked) == 1


async def test_a_revoked_signer_is_not_trusted() -> None:
    """A list that came by any way and revokes the signer makes the message untrusted, here as in `smime.verify`."""
    made = authority()
    revoked = tuple(made.revocation_lists(revoked=(lan().certificate,)))
    known = terms().trust
    trust = Terms(TrustAnchors(known.anchors, known.intermediates, revoked), Revocation.HARD)
    async with running(trust) as judges:
        for _ in range(2):
            assert isinstance((await judged(judges)).verdict, NotTrusted)
        assert not len(judges._paths)


async def test_a_message_that_costs_too_much_is_unreadable_and_the_next_one_is_judged(
    costly: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel ends the process; its place is taken by one that was warm."""
    monkeypatch.setattr(worker, "WALL", BUSY)
    async with running(time_limit=0.1, workers=1) as judges:
        found = await judged(judges, costly)
        assert found.verdict == Unreadable("judge_timeout")
        assert str(found.author) == "hoang.lan@soyte.songlam.example"
        assert isinstance((await judged(judges, source="b")).verdict, Verified)


async def test_a_process_that_sleeps_is_ended_too() -> None:
    """Wall time counts as well: a process that was taken over might do nothing at all."""
    async with running(time_limit=0.2, workers=1) as judges:
        for each in judges.pids:
            os.kill(each, signal.SIGSTOP)
        assert (await judged(judges)).verdict == Unreadable("judge_timeout")


async def test_a_killed_process_is_an_unreadable_message_and_nothing_more() -> None:
    """Its place is taken at once, and the crew is whole again soon."""
    async with running(workers=1) as judges:
        before = judges.pids
        for each in before:
            os.kill(each, signal.SIGSTOP)
        waiting = asyncio.create_task(judged(judges))
        await until(lambda: any(each._listening for each in judges._crew._all))
        for each in before:
            os.kill(each, signal.SIGKILL)
        assert (await waiting).verdict == Unreadable("judge_died")
        assert isinstance((await judged(judges, source="b")).verdict, Verified)  # the dead spare was not asked
        await asyncio.to_thread(wait_for, lambda: len(judges.pids) == 2, "two processes")


async def test_a_message_that_takes_too_much_memory_is_unreadable() -> None:
    """128 MiB are not enough for content of 100 MB in one value: the process says so, or is ended, and is replaced."""
    value = b"\x04\x84" + (60 * MEBI).to_bytes(4, "big") + b"a" * (60 * MEBI)
    start = bytes.fromhex("308006092a864886f70d010702a08030800201013100308006092a864886f70d010701a080")
    async with running(memory_limit=128 * MEBI, time_limit=10.0) as judges:
        found = await judged(judges, opaque(start + value + b"\x00\x00" * 6))
        assert found.verdict == Unreadable("judge_out_of_memory")
        assert isinstance((await judged(judges, source="b")).verdict, Verified)


def killed_for(flood: list[asyncio.Task[Judgment]]) -> int:
    """Return how many of these messages cost a process its life so far."""
    return sum(each.done() and each.result().verdict == Unreadable("judge_timeout") for each in flood)


async def test_hostile_mail_does_not_delay_another_source(costly: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 at once, each worth being killed for: the honest message of somebody else comes after those at work only."""
    monkeypatch.setattr(worker, "WALL", BUSY)
    async with running(time_limit=0.1) as judges:
        flood = [asyncio.create_task(judged(judges, costly, source="flood")) for _ in range(200)]
        await until(lambda: any(each._listening for each in judges._crew._all))
        before = killed_for(flood)
        found = await judged(judges, source="honest")
        assert isinstance(found.verdict, Verified)
        assert killed_for(flood) - before < 10
        for each in flood:
            each.cancel()
        await asyncio.gather(*flood, return_exceptions=True)


def _bounds(process: Path) -> dict[str, str]:
    """Return the soft limits of a process."""
    lines = (process / "limits").read_text(encoding="ascii").splitlines()[1:]
    return {line[:26].strip(): line[26:47].strip() for line in lines}


async def test_the_processes_get_no_secrets_and_end_with_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """No environment, no descriptor but its socket, no file to write; closing ends them."""
    monkeypatch.setenv("GATEWAY_SECRET", "chi-de-thu")
    async with running() as judges:
        await judged(judges)
        pids = judges.pids
        for pid in pids:
            held = Path(f"/proc/{pid}")
            assert b"SECRET" not in (held / "environ").read_bytes()
            await asyncio.to_thread(wait_for, lambda held=held: _bounds(held)["Max open files"] == "64", "its bounds")
            kinds = {str(each.readlink()).partition(":")[0] for each in (held / "fd").iterdir()}
            assert kinds <= {"/dev/null", "socket", "/proc/self/statm"}
            bounds = _bounds(held)
            assert (bounds["Max file size"], bounds["Max core file size"]) == ("0", "0")
            assert bounds["Max address space"] != "unlimited"
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_process_does_not_stay_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many messages another one takes its place: whoever took it over begins anew."""
    monkeypatch.setattr(worker, "MOST_MESSAGES", 2)  # the terms, and one message
    async with running(workers=1) as judges:
        first = judges.pids
        for number in range(4):
            found = await judges.judge(LETTER, at=NOW - dt.timedelta(minutes=number), source="a")  # never remembered
            assert isinstance(found.verdict, Verified)
        assert not set(first) & set(judges.pids)

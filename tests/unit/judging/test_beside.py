"""What a process says beside the verdict: signatures on files, and timestamps, through real processes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.config.inbound import VerifySettings
from gateway.core.message import Message
from gateway.core.verdict import AttachmentState, Unsigned, Verified
from gateway.demo.authority import Credential, make_key
from gateway.judging.judges import Judges
from gateway.judging.terms import Terms
from gateway.judging.turns import BusyError
from gateway.judging.worker import JudgeError
from gateway.pki.path import Revocation, TrustAnchors
from support.forger import Forger
from support.judging import Found, terms
from support.letters import LAN, NOW, clear, clear_entity, lan, mail, multipart, text_part
from support.signed_files import file_part, pdf
from support.stamping import stamp_over, stamped, stamper, value_of
from support.tree import DAY, root, usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core.verdict import Judgment

FILE = file_part("a.pdf", pdf(Forger(lan()).cms), kind="application/pdf")
PART = multipart("mixed", text_part("Xin gui tep."), FILE, boundary="in")


@contextlib.asynccontextmanager
async def running(trust: Terms | None = None) -> AsyncIterator[Judges]:
    judges = Judges(VerifySettings(), trust or terms(), Found())
    await judges.start()
    try:
        yield judges
    finally:
        await judges.close()


async def test_signed_file_is_told_by_a_process() -> None:
    """In unsigned mail, and in mail of a signer who is known already: its own verdict comes from here."""
    async with running() as judges:
        unsigned = await judges.judge(Message.of(mail(PART)), at=NOW, source="a")
        assert isinstance(unsigned.verdict, Unsigned)
        assert [each.state for each in unsigned.attachments] == [AttachmentState.VALID]
        for _ in range(2):
            known = await judges.judge(Message.of(clear(PART, lan())), at=NOW, source="a")
            assert isinstance(known.verdict, Verified)
            assert [each.state for each in known.attachments] == [AttachmentState.VALID]


@pytest.mark.parametrize("fault", [BusyError("a"), JudgeError("judge_died")])
async def test_file_never_costs_the_message_its_verdict(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has no turn, or dies of a file, leaves the message as it is without the file."""
    async with running() as judges:

        async def failing(*_: object) -> Judgment:
            raise fault

        monkeypatch.setattr(judges, "_judged_there", failing)
        found = await judges.judge(Message.of(mail(PART)), at=NOW, source="a")
        assert isinstance(found.verdict, Unsigned)
        assert found.attachments == ()


async def test_timestamp_is_read_by_a_process() -> None:
    """A letter whose signer has expired since is verified by a good timestamp, told with its time."""
    top, clock, late = root("Gốc thư"), root("Gốc thời gian"), NOW + 30 * DAY
    usages = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), usage("digital_signature"))
    names = x509.SubjectAlternativeName([x509.RFC822Name(LAN)])
    node = top.issue("Lan", key=make_key("rsa2048"), extensions=(*usages, names), end=NOW + DAY)
    made = Forger(Credential(node.key, node.certificate.der, ()))
    part = text_part("Da co ket qua.")
    token = stamp_over(stamper(clock), value_of(made.cms(part)), NOW)
    anchors = TrustAnchors((top.certificate, clock.certificate), (), ())
    async with running(Terms(anchors, Revocation.OFF)) as judges:
        for given, expected in ((token, "verified"), (token[:-1] + bytes([token[-1] ^ 1]), "expired")):
            message = Message.of(mail(clear_entity(part, stamped(made, part, given))))
            found = await judges.judge(message, at=late, source="a")
            assert found.verdict.reason == expected
            stamps = [each.timestamped_at for each in found.verdict.signers]
            assert stamps == ([NOW] if expected == "verified" else [None])

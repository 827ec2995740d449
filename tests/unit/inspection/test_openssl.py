"""The second opinion: what OpenSSL takes and does not take of ours, and what happens where it gives no answer."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import pytest

from gateway.cms.algorithms import Scheme, raw_sign
from gateway.core.errors import ServiceError, SetupError
from gateway.core.message import Message
from gateway.core.octets import MemoryBuilder
from gateway.inspection.openssl import AT_ONCE, OpenSsl
from gateway.pki.certificate import Certificate
from gateway.smime.opaque import finish_opaque
from gateway.smime.sign import Body, Left, content_digest, finish, prepare
from support.letters import ASCII, HEAD, NOW, PLAIN, lan, template

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.cms.sign import SigningTemplate
    from gateway.demo.authority import Credential


def made(
    message: bytes, credential: Credential, chosen: SigningTemplate | None = None, *, body: Body = Body.SEVEN_BIT
) -> tuple[Message, Message]:
    """Return the message finished in both forms, without a signing time: its certificate is of today."""
    chosen = chosen or template(credential)
    prepared = prepare(
        Message.of(message), now=NOW, new_message_id=lambda: "<made@here.example>", new_builder=MemoryBuilder, body=body
    )
    assert not isinstance(prepared, Left)
    over = chosen.to_be_signed(content_digest(prepared, chosen.digest), None)
    value = raw_sign(credential.key, over, scheme=chosen.scheme, digest=chosen.digest)
    clear = finish(prepared, cms=chosen.finish(over, value), micalg=chosen.micalg, boundary="=_lan")
    return clear, finish_opaque(
        prepared, template=chosen, to_be_signed=over, signature=value, new_builder=MemoryBuilder
    )


@pytest.mark.parametrize(
    ("shape", "scheme"),
    [("rsa2048", None), ("rsa2048", Scheme.PSS), ("rsa3072", None), ("p256", None), ("p384", None)],
)
async def test_what_we_make_is_good(shape: str, scheme: Scheme | None) -> None:
    """Both forms, each kind of key."""
    credential = lan(shape)
    certificate = Certificate.load(credential.certificate)
    for each in made(PLAIN, credential, template(credential, scheme=scheme)):
        assert await OpenSsl().verify(each, certificate) is None


@pytest.mark.parametrize("body", list(Body))
async def test_octets_of_every_kind_are_good(body: Body) -> None:
    """Large, 8-bit, with lines of any length: what is piped is what was signed."""
    long = b"" if body is Body.SEVEN_BIT else "ế".encode() * 3000
    message = (
        HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + (b"Dong \xe1\xba\xbf\r\n" + long) * 3000 + b"\r\n"
    )
    credential = lan("p256")
    certificate = Certificate.load(credential.certificate)
    for each in made(message, credential, body=body):
        assert await OpenSsl().verify(each, certificate) is None


async def test_what_is_not_good_is_said_to_be() -> None:
    """A changed content, somebody else's certificate, and what is no message of ours at all."""
    credential = lan("p256")
    certificate = Certificate.load(credential.certificate)
    clear, opaque = made(ASCII, credential)
    changed = Message.of(clear.octets().replace(b"Da co ket qua", b"Da co ket quA"))
    assert await OpenSsl().verify(changed, certificate) == "openssl_disagrees"
    for each in (clear, opaque):
        assert await OpenSsl().verify(each, Certificate.load(lan().certificate)) == "openssl_disagrees"
    assert await OpenSsl().verify(Message.of(ASCII), certificate) == "header"


async def test_a_program_that_is_missing_stops_the_start() -> None:
    """An administrator learns it at the start, with what to install."""
    with pytest.raises(SetupError, match="install openssl"):
        OpenSsl("no-such-program-anywhere")


def program(place: Path, text: str) -> str:
    """Return a program that is run in the place of OpenSSL."""
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)
    return str(place)


async def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    """In bounded time, and nothing of it is left running."""
    slow = program(tmp_path / "slow", f"echo $$ > {tmp_path}/pid; exec sleep 60")
    began = time.monotonic()
    with pytest.raises(ServiceError, match="no answer"):
        await OpenSsl(slow, patience=0.5).verify(made(ASCII, lan("p256"))[0], Certificate.load(lan("p256").certificate))
    assert time.monotonic() - began < 20
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_one_that_does_not_read_does_not_stop_us(tmp_path: Path) -> None:
    """It may know enough before it has read everything."""
    deaf = program(tmp_path / "deaf", "exit 4")
    message = HEAD + b"\r\n" + b"x" * 60 * 100_000 + b"\r\n"
    for each in made(message.replace(b"x" * 60, b"x" * 58 + b"\r\n"), lan("p256")):
        assert await OpenSsl(deaf).verify(each, Certificate.load(lan("p256").certificate)) == "openssl_disagrees"


async def test_no_more_than_a_few_run_at_once(tmp_path: Path) -> None:
    """A burst of first messages does not become a burst of processes."""
    counting = program(
        tmp_path / "counting",
        f"cd {tmp_path} && mkdir run-$$ && ls -d run-* | wc -l >> counts; sleep 0.2; rmdir run-$$",
    )
    opinion = OpenSsl(counting)
    clear, certificate = made(ASCII, lan("p256"))[0], Certificate.load(lan("p256").certificate)
    assert await asyncio.gather(*(opinion.verify(clear, certificate) for _ in range(6))) == [None] * 6
    counts = [int(each) for each in (tmp_path / "counts").read_text().split()]
    assert len(counts) == 6
    assert max(counts) <= AT_ONCE

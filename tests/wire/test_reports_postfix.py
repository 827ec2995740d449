"""The reports in `tests/vectors/dsn`, octet for octet, through a real Postfix into a real Dovecot."""

from __future__ import annotations

import smtplib
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from support.postfix import postfix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.dovecot import Dovecot
    from support.postfix import Postfix

REPORTS: Final = sorted((Path(__file__).parents[1] / "vectors/dsn").glob("*.eml"))
HOME: Final = "bao-cao.example"


@pytest.fixture(scope="module")
def mta(mail_store: Dovecot) -> Iterator[Postfix]:
    """Return a Postfix in front of the mail store."""
    store = f"lmtp:inet:127.0.0.1:{mail_store.lmtp_port}"
    with postfix({HOME: store, "s\u1edf.example": store}) as run:
        yield run


def handed(mta: Postfix, to: str, message: bytes, *options: str) -> None:
    """Give a report to Postfix as dispatch does: from the null reverse-path, without a report of its own."""
    with smtplib.SMTP("127.0.0.1", mta.port, timeout=120) as client:
        client.ehlo("mail.songlam.example")
        client.command_encoding = "utf-8"
        assert client.mail("", [f"BODY={'7BIT' if message.isascii() else '8BITMIME'}", *options])[0] == 250
        code, text = client.rcpt(to, ["NOTIFY=NEVER"])
        assert code == 250, text
        code, text = client.data(message)
        assert code == 250, text


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.stem)
def test_arrives_as_it_is(mta: Postfix, mail_store: Dovecot, path: Path) -> None:
    """Postfix takes every kind of report and changes nothing below its own trace fields; it parses without a defect."""
    report = path.read_bytes()
    user = f"{path.stem}@{HOME}"
    handed(mta, user, report)
    stored = mail_store.fetch(user)
    assert stored.startswith(b"Return-Path: <>\r\n")
    assert stored.endswith(report)
    message = message_from_bytes(stored, policy=policy.default.clone(raise_on_defect=True))
    assert [each.get_content_type() for each in message.iter_parts()][:2] == ["text/plain", "message/delivery-status"]


def test_to_an_international_sender(mta: Postfix) -> None:
    """A report to an address beyond ASCII needs SMTPUTF8 for its envelope, and nothing else of it does."""
    report = next(path for path in REPORTS if path.stem == "international").read_bytes()
    handed(mta, "<l\u00e2n@s\u1edf.example>", report, "SMTPUTF8")

"""Delivery status notifications: golden octets, 7-bit, and nothing injected (`mime/report.py`).

The files in `tests/vectors/dsn` are the octets of every kind of notification, read by a person when they were made. Set
`WRITE_GOLDEN=1` to write them anew after a change on purpose, and read them again.
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import Mailbox
from gateway.core.envelope import Recipient, Ret
from gateway.core.message import Message
from gateway.core.reply import Reply
from gateway.delivery.returning import kept_too_long, returned
from gateway.mime.report import MOST_HEADER, MOST_RETURNED, Action, Outcome, Report, delivery_report, without_content

if TYPE_CHECKING:
    from email.message import EmailMessage

VECTORS = Path(__file__).parents[2] / "vectors" / "dsn"
ARRIVED = dt.datetime(2026, 3, 2, 1, 30, tzinfo=dt.UTC)
ORIGINAL = Message.of(
    b"From: Lan <lan@so-a.example>\r\nTo: an@noi-b.example\r\nSubject: =?utf-8?B?QsOhbyBjw6Fv?=\r\n"
    b"Message-ID: <m1@so-a.example>\r\n\r\nxin chao\r\n"
)
UNKNOWN = Outcome(
    Recipient(Mailbox.parse("an@noi-b.example"), orcpt="rfc822;an+2Bx@noi-b.example"),
    Action.FAILED,
    "5.1.1",
    Reply(550, "5.1.1", ("<an@noi-b.example>: không có người này",)),
    "out",
)


def report(*outcomes: Outcome, **changes: Any) -> Report:
    """Return what a notification needs."""
    plain = Report(
        to=Mailbox.parse("lan@so-a.example"),
        hostname="gw.so-a.example",
        arrived_at=ARRIVED,
        now=ARRIVED + dt.timedelta(hours=4),
        retry_until=ARRIVED + dt.timedelta(days=5),
        token="t0k3n",
        envid="E1+3D",
        ret=None,
        message=ORIGINAL,
        outcomes=outcomes or (UNKNOWN,),
    )
    return replace(plain, **changes)


def to(address: str) -> Recipient:
    """Return a forward-path without wishes."""
    return Recipient(Mailbox.parse(address))


EIGHT_BIT = Message.of("Subject: Báo cáo\r\nX-Note: a=b\r\n\r\nNội dung\r\n".encode())
EIGHT_BIT_BODY = Message.of(
    "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n\r\nxin chao, Nội dung\r\n".encode()
)
DELAYED = Outcome(to("hoa@noi-b.example"), Action.DELAYED, "4.4.1")
RELAYED = Outcome(to("minh@noi-c.example"), Action.RELAYED, "2.0.0", Reply(250, "2.0.0", ("queued",)), "out")
GOLDEN = {
    "failed": report(),
    "failed-full": report(ret=Ret.FULL),
    "delayed": report(DELAYED, envid=None),
    "relayed": report(RELAYED),
    "mixed": report(
        UNKNOWN,
        DELAYED,
        RELAYED,
        Outcome(to("lớn@tỉnh.example"), Action.FAILED, "5.3.4", Reply(552, "5.3.4", ("too large",))),
    ),
    "eight-bit": report(message=EIGHT_BIT),
    "eight-bit-full": report(message=EIGHT_BIT_BODY, ret=Ret.FULL),
    "international-full": report(message=EIGHT_BIT, ret=Ret.FULL),
    "delivered": report(replace(RELAYED, action=Action.DELIVERED)),
    "international": report(
        Outcome(
            replace(to("nhận@tỉnh.example"), orcpt="utf-8;nhận@tỉnh.example"),
            Action.FAILED,
            "5.1.1",
            Reply(550, "5.1.1", ("no such user",)),
            "out",
        ),
        to=Mailbox.parse("lân@sở.example"),
    ),
    "returned": report(replace(UNKNOWN, status="5.7.1", reply=returned("Sai người nhận"), remote="")),
    "kept-too-long": report(replace(UNKNOWN, status="5.4.7", reply=kept_too_long(30), remote=""), ret=Ret.FULL),
    "expired": report(
        replace(UNKNOWN, status="4.4.7", reply=Reply(451, "4.7.1", ("greylisted, try again",))),
        now=ARRIVED + dt.timedelta(days=5),
    ),
}


def parsed(octets: bytes) -> EmailMessage:
    """Return the message as another reader sees it; a defect is an error."""
    return message_from_bytes(octets, policy=policy.default.clone(raise_on_defect=True))


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_octets(name: str) -> None:
    """Each kind of notification is octet for octet what a person has read."""
    octets = delivery_report(GOLDEN[name]).octets()
    if os.environ.get("WRITE_GOLDEN"):
        (VECTORS / f"{name}.eml").write_bytes(octets)
    assert octets == (VECTORS / f"{name}.eml").read_bytes()


@pytest.mark.parametrize("name", GOLDEN)
def test_another_reader_understands_it(name: str) -> None:
    """RFC 6522: three parts of the right types, 7-bit, lines that fit, CRLF only; RFC 3464 fields in blocks."""
    given = GOLDEN[name]
    octets = delivery_report(given).octets()
    assert octets.isascii() is (name not in {"eight-bit-full", "international-full"})
    assert octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r")
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    message = parsed(octets)
    assert message["Auto-Submitted"] == "auto-replied"
    assert message.get_param("report-type") == "delivery-status"
    text, status, returned = message.get_payload()
    assert text.get_content_type() == "text/plain"
    words = text.get_content()
    assert words.index("Kính gửi") < words.index("Dear Sir")
    assert status.get_content_type() == "message/delivery-status"
    overall, *blocks = status.get_payload()
    assert overall["Reporting-MTA"] == "dns; gw.so-a.example"
    assert overall["Original-Envelope-Id"] == (None if given.envid is None else "E1=")
    assert [each["Action"] for each in blocks] == [str(each.action) for each in given.outcomes]
    assert returned.get_content_type() in {"text/rfc822-headers", "message/rfc822", "message/global"}
    for each in (message, returned):  # RFC 2045 6.4: what holds octets above 127 says so on every level
        assert (each["Content-Transfer-Encoding"] == "8bit") is not octets.isascii()


def test_fields_of_a_recipient() -> None:
    """ORCPT is decoded, the hop's reply is the diagnostic code without what is not ASCII."""
    _, status, _ = parsed(delivery_report(report()).octets()).get_payload()
    block = status.get_payload(1)
    assert block["Original-Recipient"] == "rfc822;an+x@noi-b.example"
    assert block["Final-Recipient"] == "rfc822; an@noi-b.example"
    assert block["Status"] == "5.1.1"
    assert block["Remote-MTA"] == "x-hop; out"
    assert block["Diagnostic-Code"] == "smtp; 550 5.1.1 <an@noi-b.example>: kh?ng c? ng??i n?y"


def test_a_mailbox_beyond_ascii() -> None:
    """An international address is written as utf-8-addr-xtext (RFC 6533 3)."""
    octets = delivery_report(GOLDEN["mixed"]).octets()
    assert rb"Final-Recipient: utf-8; l\x{1EDB}n@t\x{1EC9}nh.example" in octets
    assert b"To: undisclosed-recipients:;" in delivery_report(report(to=Mailbox.parse("lân@so-a.example"))).octets()


@pytest.mark.parametrize(
    ("changes", "whole"),
    [
        ({"ret": Ret.FULL}, True),
        ({}, False),
        ({"ret": Ret.HDRS}, False),
        ({"ret": Ret.FULL, "outcomes": (RELAYED,)}, False),
        ({"ret": Ret.FULL, "message": Message.of(b"A: b\r\n\r\n" + b"xin chao\r\n" * (MOST_RETURNED // 8))}, False),
        ({"ret": Ret.FULL, "message": EIGHT_BIT_BODY}, True),
        ({"ret": Ret.FULL, "message": Message.of(b"A: b\r\n\r\nxin chao\0\r\n")}, False),
        ({"ret": Ret.FULL, "message": Message.of(b"Subject: \xe9t\xe9\r\n\r\nxin chao\r\n")}, False),
        ({"ret": Ret.FULL, "message": Message.of(b"A: b\r\n\r\n" + b"x" * 1200)}, False),
    ],
)
def test_how_much_is_returned(changes: dict[str, Any], whole: bool) -> None:  # noqa: FBT001 - expected
    """The whole message only of a failure, if asked for, small, and fit for a part; else the header (RFC 3461 4.3)."""
    octets = delivery_report(report(**changes)).octets()
    assert (b"Content-Type: message/rfc822" in octets) is whole
    assert (b"xin chao" in octets) is whole


def test_a_header_beyond_ascii_has_a_type_of_its_own() -> None:
    """What is no `message/rfc822` is returned whole as `message/global` (RFC 6532 3.7), octet for octet."""
    octets = delivery_report(GOLDEN["international-full"]).octets()
    expected = b"Content-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + EIGHT_BIT.octets()
    assert expected + b"\r\n--=_t0k3n--\r\n" in octets


@pytest.mark.parametrize("name", GOLDEN)
def test_without_the_content(name: str) -> None:
    """A notification that cannot travel whole becomes the one that returns the header only, and no other changes."""
    given = GOLDEN[name]
    lighter = without_content(delivery_report(given))
    if given.ret is not Ret.FULL:
        assert lighter is None
        return
    assert lighter is not None
    assert lighter.octets() == delivery_report(replace(given, ret=Ret.HDRS)).octets()
    assert without_content(lighter) is None


@given(st.binary(max_size=300))
def test_whatever_is_returned(octets: bytes) -> None:
    """Whole or not, the part ends where ours ends, and the lighter form is that which was never whole."""
    given = report(message=Message.of(b"Subject: x\r\n\r\n" + octets), ret=Ret.FULL)
    whole = delivery_report(given)
    assert whole.octets().count(b"\r\n--=_t0k3n--\r\n") == 1
    lighter = without_content(whole)
    assert (lighter or whole).octets() == delivery_report(replace(given, ret=None)).octets()


def test_other_mail_has_no_lighter_form() -> None:
    """Only our own structure is taken apart."""
    for octets in (b"Subject: x\r\n\r\nx\r\n", b'a: b; boundary="=_x"\r\n\r\n--=_x\r\n', b""):
        assert without_content(Message.of(octets)) is None


def test_an_endless_header_is_cut() -> None:
    """No more than a bounded part of a header is returned, cut behind a whole line."""
    endless = Message.of(b"X-A: " + b"y" * 70 + b"\r\n" + b"X-B: zzzzzzzz\r\n" * 10_000)
    octets = delivery_report(report(message=endless)).octets()
    assert len(octets) < MOST_HEADER + 8192
    assert b"X-B: zzzzzzzz\r\n\r\n--" in octets


def test_nobody_to_report_about() -> None:
    """A notification without recipients is a bug."""
    with pytest.raises(ValueError, match="somebody"):
        delivery_report(replace(report(), outcomes=()))


NASTY = st.text(st.characters(codec="utf-8"), max_size=80)


@given(envid=NASTY, orcpt=NASTY, said=NASTY, subject=NASTY, remote=NASTY)
def test_nothing_is_injected(envid: str, orcpt: str, said: str, subject: str, remote: str) -> None:
    """Whatever a sender or a hop wrote, the structure is ours: same fields, same parts, one line each."""
    outcome = Outcome(
        Recipient(Mailbox.parse("an@noi-b.example"), orcpt=orcpt + "+0D+0AAction: relayed"),
        Action.FAILED,
        "5.0.0",
        Reply.of(550, "5.0.0", said),
        f"{remote}\r\nAction: relayed",
    )
    line = subject.replace("\r", "").replace("\n", "").encode()
    message = Message.of(b"Subject: " + line + b"\r\n\r\nx\r\n")
    octets = delivery_report(report(outcome, envid=envid + "+0D+0A", message=message, ret=Ret.FULL)).octets()
    returned = octets.find(b"Content-Type: message/")
    assert octets[:returned].isascii()
    _, status, _ = message_from_bytes(octets, policy=policy.compat32).get_payload()
    overall, block = status.get_payload()
    assert set(overall.keys()) == {"Original-Envelope-Id", "Reporting-MTA", "Arrival-Date"}
    assert block.keys() == [
        "Original-Recipient",
        "Final-Recipient",
        "Action",
        "Status",
        "Remote-MTA",
        "Diagnostic-Code",
        "Last-Attempt-Date",
    ]
    assert block["Action"] == "failed"

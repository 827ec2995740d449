"""What a sender asked to be told (RFC 3461) against what he is told: every combination, read by another parser.

NOTIFY (not given, NEVER, each set) x what became of the message x RET x ENVID x ORCPT.
"""

from __future__ import annotations

import datetime as dt
import itertools
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Final

import pytest

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Envelope, Notify, Recipient, Ret
from gateway.core.message import Message
from gateway.core.queue import Consignment, Entry, Kind
from gateway.core.reply import Reply
from gateway.delivery.settle import Attempt, Moment, Settled, Terms, new_entry, settle
from support.consigning import SENDER, consignment
from support.handing import SETTINGS, START, answer
from support.spooled import with_consignment

if TYPE_CHECKING:
    from email.message import EmailMessage

TERMS: Final = Terms(SETTINGS, "gw.example", lambda _: "home")
WISHES: Final = (
    None,
    *(frozenset(some) for count in range(4) for some in itertools.combinations(Notify, count)),
)
LETTER: Final = Message.of(b"Subject: x\r\nMessage-ID: <m1@so-a.example>\r\n\r\nthe whole text\r\n")
BECAME: Final = {
    "refused": (Attempt({0: answer(550, "hop")}, remote="out"), dt.timedelta(minutes=1)),
    "expired": (Attempt({}, "refused"), dt.timedelta(seconds=SETTINGS.expire_after)),
    "late": (Attempt({0: answer(450, "hop")}, remote="out"), dt.timedelta(seconds=SETTINGS.warn_after)),
    "soon again": (Attempt({0: answer(450, "hop")}, remote="out"), dt.timedelta(minutes=1)),
    "taken by a hop without DSN": (Attempt({0: answer(250, "hop")}, remote="out"), dt.timedelta(minutes=1)),
    "taken by a hop with DSN": (
        Attempt({0: answer(250, "hop")}, remote="out", reports_success=True),
        dt.timedelta(minutes=1),
    ),
    "in the mailbox": (Attempt({0: answer(250, "hop")}, remote="out", final=True), dt.timedelta(minutes=1)),
}
"""What became of it -> the attempt, and when."""
OWED: Final = {
    "refused": (Notify.FAILURE, "failed", "5.1.1"),
    "expired": (Notify.FAILURE, "failed", "4.4.7"),
    "late": (Notify.DELAY, "delayed", "4.2.0"),
    "taken by a hop without DSN": (Notify.SUCCESS, "relayed", "2.0.0"),
    "in the mailbox": (Notify.SUCCESS, "delivered", "2.0.0"),
}
"""What became of it -> who is told, the action and the status; nobody is told of the others."""
BY_DEFAULT: Final = frozenset({Notify.FAILURE, Notify.DELAY})
ORCPTS: Final = {
    None: None,
    "rfc822;an+2Bx@noi-b.example": "rfc822;an+x@noi-b.example",
    "utf-8;nh\u1eadn@noi-b.example": r"utf-8;nh\x{1EAD}n@noi-b.example",
    r"UTF-8;nh\x{1EAD}n@noi-b.example": r"UTF-8;nh\x{1EAD}n@noi-b.example",
}
"""As given -> as reported."""


def sent(
    notify: frozenset[Notify] | None,
    *,
    ret: Ret | None = None,
    envid: str | None = None,
    orcpt: str | None = None,
    sender: Mailbox = SENDER,
    to: str = "an@noi-b.example",
) -> Entry:
    """Return an entry with these wishes."""
    envelope = Envelope(sender, (Recipient(Mailbox.parse(to), notify, orcpt),), ret=ret, envid=envid)
    return with_consignment(new_entry(consignment(1), "e1", SETTINGS, START), envelope=envelope, message=LETTER)


def settled(before: Entry, became: str) -> Settled:
    """Settle what became of it."""
    attempt, after = BECAME[became]
    return settle(before, attempt, Moment(START + after, 0.0, "n1"), TERMS)


def parsed(message: Message) -> EmailMessage:
    """Return a report as another reader sees it; a defect is an error."""
    return message_from_bytes(message.octets(), policy=policy.default.clone(raise_on_defect=True))


@pytest.mark.parametrize("became", list(BECAME))
@pytest.mark.parametrize(
    "notify", WISHES, ids=lambda each: "none" if each is None else "+".join(sorted(each)) or "NEVER"
)
def test_every_combination(notify: frozenset[Notify] | None, became: str) -> None:
    """Who asked is told, who did not is not; ENVID, ORCPT and RET come back as they were asked for."""
    wish, action, status = OWED.get(became, (None, "", ""))
    wanted = wish is not None and wish in (BY_DEFAULT if notify is None else notify)
    for ret, envid, orcpt in itertools.product((None, *Ret), (None, "QQ+2B1"), ORCPTS):
        found = settled(sent(notify, ret=ret, envid=envid, orcpt=orcpt), became)
        assert len(found.notices) == wanted
        if not wanted:
            continue
        notice = found.notices[0].consignment
        assert notice.envelope == Envelope(NULL_PATH, (Recipient(SENDER, frozenset()),)), "no report of a report"
        assert (notice.kind, notice.hop) == (Kind.DELIVER, "home")
        _, told, returned = parsed(notice.message).get_payload()
        overall, block = told.get_payload()
        assert overall["Original-Envelope-Id"] == (None if envid is None else "QQ+1")
        assert block["Original-Recipient"] == ORCPTS[orcpt]
        assert (block["Final-Recipient"], block["Action"], block["Status"]) == (
            "rfc822; an@noi-b.example",
            action,
            status,
        )
        assert ("Will-Retry-Until" in block) is (action == "delayed")
        whole = ret is Ret.FULL and action == "failed"
        assert returned.get_content_type() == ("message/rfc822" if whole else "text/rfc822-headers")
        assert ("the whole text" in returned.as_string()) is whole


@pytest.mark.parametrize("became", list(BECAME))
def test_nobody_else_is_told(became: str) -> None:
    """Whatever was asked for: never the null reverse-path, never a sender nobody answers for (no backscatter)."""
    all_wishes = frozenset(Notify)
    null = with_consignment(
        sent(all_wishes), envelope=Envelope(NULL_PATH, sent(all_wishes).consignment.envelope.recipients)
    )
    stranger = with_consignment(sent(all_wishes), answered_for=False)
    assert settled(null, became).notices == ()
    after = settled(stranger, became)
    assert after.notices == ()
    failed = became in {"refused", "expired"}
    assert (after.entry.consignment.kind is Kind.QUARANTINED) is failed
    assert after.entry.consignment.reason.startswith("undeliverable ") is failed


WHOLE: Final = Message.of("Subject: x\r\n\r\ntoàn bộ nội dung\r\n".encode())


def refused(reply: Reply, *, message: Message = WHOLE, ret: Ret = Ret.FULL) -> tuple[Consignment, Settled]:
    """Return the report on a message that was refused, and what its own refusal makes of it."""
    (report,) = settled(with_consignment(sent(None, ret=ret), message=message), "refused").notices
    after = settle(report, Attempt({0: reply}, remote=""), Moment(START, 0.0, "n2"), TERMS)
    return report.consignment, after


@pytest.mark.parametrize("status", ["5.6.3", "5.6.1", "5.3.4", "5.2.3"])
def test_a_report_that_cannot_travel_whole(status: str) -> None:
    """It is offered whole, with BODY=8BITMIME; refused for that, it goes at once with the header only, and once."""
    whole, after = refused(Reply.of(554, status, "no"))
    assert whole.envelope.eight_bit
    assert "toàn bộ nội dung".encode() in whole.message.octets()
    (again,) = after.notices
    assert again.entry_id == "n2"
    assert again.consignment.envelope == Envelope(NULL_PATH, (Recipient(SENDER, frozenset()),))
    assert again.consignment.message.octets().isascii()
    assert parsed(again.consignment.message).get_payload(2).get_content_type() == "text/rfc822-headers"  # type: ignore[union-attr]
    assert again.consignment.hop == whole.hop
    assert settle(again, Attempt({0: Reply.of(554, status, "no")}), Moment(START, 0.0, "n3"), TERMS).notices == ()


@pytest.mark.parametrize(
    ("reply", "ret"),
    [
        (Reply.of(550, "5.1.1", "no such user"), Ret.FULL),
        (Reply.of(554, "5.6.3", "no"), Ret.HDRS),
        (Reply.of(451, "4.3.0", "later"), Ret.FULL),
        (Reply.of(250, "2.0.0", "ok"), Ret.FULL),
    ],
)
def test_no_report_of_a_report(reply: Reply, ret: Ret) -> None:
    """Whatever else becomes of a report is its end."""
    _, after = refused(reply, ret=ret)
    assert after.notices == ()


def test_mail_that_looks_like_a_report() -> None:
    """Mail of others is not taken apart, whatever it holds and whoever refuses it."""
    report, _ = refused(Reply.of(250, "2.0.0", "ok"))
    foreign = with_consignment(new_entry(report, "e9", SETTINGS, START), reason="")
    attempt = Attempt({0: Reply.of(554, "5.6.3", "no")})
    assert settle(foreign, attempt, Moment(START, 0.0, "n2"), TERMS).notices == ()


def test_international_addresses() -> None:
    """Addresses beyond ASCII are of type utf-8 in a report that stays 7-bit, and only its envelope needs SMTPUTF8."""
    before = sent(
        None, sender=Mailbox.parse("lân@so-a.example"), to="nhận@tỉnh.example", orcpt="utf-8;nhận@tỉnh.example"
    )
    (notice,) = settled(before, "refused").notices
    assert notice.consignment.envelope.smtputf8
    assert notice.consignment.message.octets().isascii()
    block = parsed(notice.consignment.message).get_payload(1).get_payload(1)  # type: ignore[union-attr]
    assert block["Final-Recipient"] == r"utf-8; nh\x{1EAD}n@t\x{1EC9}nh.example"
    assert block["Original-Recipient"] == r"utf-8;nh\x{1EAD}n@t\x{1EC9}nh.example"

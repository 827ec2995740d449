"""MAIL and RCPT lines: what they mean, and what they must not be read as (RFC 5321 4.1.2, RFC 3461, RFC 6531)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Notify, Recipient, Ret
from gateway.core.errors import InputError
from gateway.smtp.grammar import MailCommand, parse_mail, parse_rcpt

A = Mailbox("a", "b.example")


def mail(argument: str, *, extended: bool = True) -> MailCommand:
    """Return what a MAIL line says."""
    return parse_mail(argument, extended=extended)


def rcpt(argument: str, *, extended: bool = True, smtputf8: bool = False) -> Recipient:
    """Return what a RCPT line says."""
    return parse_rcpt(argument, extended=extended, smtputf8=smtputf8, postmaster_domain="gateway.example")


def refusal(parse: Any, argument: str, **more: bool) -> str:
    """Return code and status of the refusal."""
    with pytest.raises(InputError) as caught:
        parse(argument, **more)
    assert caught.value.reply is not None
    return f"{caught.value.reply.code} {caught.value.reply.status}"


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("FROM:<a@b.example>", MailCommand(A)),
        ("from:<a@b.example>", MailCommand(A)),
        ("FROM: <a@b.example>", MailCommand(A)),
        ("FROM:a@b.example", MailCommand(A)),
        ("FROM:<>", MailCommand(NULL_PATH)),
        ("FROM:<@x.example,@y.example:a@b.example>", MailCommand(A)),
        ('FROM:<"a>b c"@b.example>', MailCommand(Mailbox('"a>b c"', "b.example"))),
        (r'FROM:<"a\"<b"@b.example>', MailCommand(Mailbox(r'"a\"<b"', "b.example"))),
        ("FROM:<A@B.Example>", MailCommand(Mailbox("A", "B.Example"))),
        ("FROM:<a@[192.0.2.1]>", MailCommand(Mailbox("a", "[192.0.2.1]"))),
        ("FROM:<a@[IPv6:2001:db8::1]>", MailCommand(Mailbox("a", "[IPv6:2001:db8::1]"))),
        ("FROM:<a@b.example>  SIZE=100", MailCommand(A, size=100)),
        ("FROM:<a@b.example> size=0", MailCommand(A, size=0)),
        ("FROM:<a@b.example> BODY=8bitmime", MailCommand(A, eight_bit=True)),
        ("FROM:<a@b.example> BODY=7BIT", MailCommand(A)),
        ("FROM:<á@b.example> SMTPUTF8", MailCommand(Mailbox("á", "b.example"), smtputf8=True)),
        ("FROM:<> RET=hdrs ENVID=Qq+2B1", MailCommand(NULL_PATH, ret=Ret.HDRS, envid="Qq+2B1")),
        ("FROM:<a@b.example> AUTH=<>", MailCommand(A)),
        ("FROM:<a@b.example> AUTH=c+40d.example", MailCommand(A)),
    ],
)
def test_mail_lines(argument: str, expected: MailCommand) -> None:
    """Everything the RFCs allow is read, values and cases kept as given; what clients get wrong harmlessly is taken."""
    assert mail(argument) == expected


@pytest.mark.parametrize(
    ("argument", "answer"),
    [
        ("", "501 5.5.4"),
        ("TO:<a@b.example>", "501 5.5.4"),
        ("FROM<a@b.example>", "501 5.5.4"),
        ("FROM:", "501 5.1.7"),
        ("FROM:<a@b.example", "501 5.1.7"),
        ("FROM:<a@b.example>SIZE=1", "501 5.1.7"),
        ("FROM:<a@b.example>>", "501 5.1.7"),
        ("FROM:<<a@b.example>>", "501 5.1.7"),
        ("FROM:<a>", "501 5.1.7"),
        ("FROM:<a@>", "501 5.1.7"),
        ("FROM:<@b.example>", "501 5.1.7"),
        ("FROM:<@x.example:>", "501 5.1.7"),
        ("FROM:<@x.example> X:y@z.example>", "501 5.5.4"),
        ("FROM:<@>:a@b.example>", "501 5.1.7"),
        ("FROM:<@!:a@b.example>", "501 5.1.7"),
        ("FROM:<a b@c.example>", "501 5.1.7"),
        ("FROM:<a@b.example\0>", "501 5.1.7"),
        ("FROM:<a\0@b.example>", "501 5.1.7"),
        ("FROM:<a@b..example>", "501 5.1.7"),
        ("FROM:<.a@b.example>", "501 5.1.7"),
        (f"FROM:<{'a' * 65}@b.example>", "501 5.1.7"),
        (f"FROM:<a@{'b' * 250}.example>", "501 5.1.7"),
        ("FROM:<á@b.example>", "553 5.6.7"),
        ("FROM:<a@b.example> SIZE", "501 5.5.4"),
        ("FROM:<a@b.example> SIZE=", "501 5.5.4"),
        ("FROM:<a@b.example> SIZE=-1", "501 5.5.4"),
        ("FROM:<a@b.example> SIZE=1k", "501 5.5.4"),
        ("FROM:<a@b.example> SIZE=" + "9" * 21, "501 5.5.4"),
        ("FROM:<a@b.example> SIZE=1 size=2", "501 5.5.4"),
        ("FROM:<a@b.example> BODY=BINARYMIME", "501 5.5.4"),
        ("FROM:<a@b.example> BODY", "501 5.5.4"),
        ("FROM:<a@b.example> SMTPUTF8=1", "501 5.5.4"),
        ("FROM:<a@b.example> RET=ALL", "501 5.5.4"),
        ("FROM:<a@b.example> RET", "501 5.5.4"),
        ("FROM:<a@b.example> ENVID", "501 5.5.4"),
        ("FROM:<a@b.example> ENVID=a+zz", "501 5.5.4"),
        ("FROM:<a@b.example> ENVID=a+2b", "501 5.5.4"),
        ("FROM:<a@b.example> ENVID=a+0D+0Ab", "501 5.5.4"),
        ("FROM:<a@b.example> ENVID=" + "x" * 101, "501 5.5.4"),
        ("FROM:<a@b.example> AUTH", "501 5.5.4"),
        ("FROM:<a@b.example> =x", "501 5.5.4"),
        ("FROM:<a@b.example> SIZE=1=2", "501 5.5.4"),
        ("FROM:<a@b.example> X\0=1", "501 5.5.4"),
        ("FROM:<a@b.example> NOTIFY=NEVER", "555 5.5.4"),
        ("FROM:<a@b.example> REQUIRETLS", "555 5.5.4"),
    ],
)
def test_mail_lines_that_are_refused(argument: str, answer: str) -> None:
    """What is not exactly a reverse-path and known parameters is refused with its class, never half-read."""
    assert refusal(mail, argument) == answer


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("TO:<a@b.example>", Recipient(A)),
        ("to: a@b.example", Recipient(A)),
        ("TO:<@x.example:a@b.example>", Recipient(A)),
        ("TO:<Postmaster>", Recipient(Mailbox("Postmaster", "gateway.example"))),
        ("TO:<a@b.example> NOTIFY=never", Recipient(A, frozenset())),
        ("TO:<a@b.example> NOTIFY=FAILURE,success", Recipient(A, frozenset({Notify.FAILURE, Notify.SUCCESS}))),
        ("TO:<a@b.example> NOTIFY=DELAY,DELAY", Recipient(A, frozenset({Notify.DELAY}))),
        ("TO:<a@b.example> ORCPT=rfc822;A+2B@B.Example", Recipient(A, orcpt="rfc822;A+2B@B.Example")),
        ("TO:<a@b.example> ORCPT=utf-8;a@b.example", Recipient(A, orcpt="utf-8;a@b.example")),
    ],
)
def test_rcpt_lines(argument: str, expected: Recipient) -> None:
    """Everything the RFCs allow is read; NEVER is the empty set and "not given" is None."""
    assert rcpt(argument) == expected


@pytest.mark.parametrize(
    ("argument", "answer"),
    [
        ("TO:<>", "501 5.1.3"),
        ("TO:", "501 5.1.3"),
        ("TO:<a>", "501 5.1.3"),
        ("TO:<postmaster@>", "501 5.1.3"),
        ("TO:<a@b.example> NOTIFY", "501 5.5.4"),
        ("TO:<a@b.example> NOTIFY=NEVER,FAILURE", "501 5.5.4"),
        ("TO:<a@b.example> NOTIFY=FAILURE,", "501 5.5.4"),
        ("TO:<a@b.example> NOTIFY=SOMETIMES", "501 5.5.4"),
        ("TO:<a@b.example> ORCPT=a@b.example", "501 5.5.4"),
        ("TO:<a@b.example> ORCPT=rfc822;", "501 5.5.4"),
        ("TO:<a@b.example> ORCPT=;a@b.example", "501 5.5.4"),
        ("TO:<a@b.example> ORCPT=rfc822;a+0Ab", "501 5.5.4"),
        ("TO:<a@b.example> ORCPT=rfc822;a+1Bb", "501 5.5.4"),
        ("TO:<a@b.example> ORCPT=rfc822;a+85b", "501 5.5.4"),
        ("TO:<a@b.example> ORCPT=rfc822;" + "x" * 500, "501 5.5.4"),
        ("TO:<a@b.example> SIZE=1", "555 5.5.4"),
        ("TO:<ả@b.example>", "553 5.6.7"),
    ],
)
def test_rcpt_lines_that_are_refused(argument: str, answer: str) -> None:
    """What is not exactly a forward-path and known parameters is refused with its class."""
    assert refusal(rcpt, argument) == answer


def test_parameters_need_ehlo() -> None:
    """A client that said HELO has no extensions, and no path beyond ASCII without SMTPUTF8."""
    assert mail("FROM:<a@b.example>", extended=False) == MailCommand(A)
    assert refusal(mail, "FROM:<a@b.example> SIZE=1", extended=False) == "555 5.5.4"
    assert refusal(rcpt, "TO:<a@b.example> NOTIFY=NEVER", extended=False) == "555 5.5.4"
    assert rcpt("TO:<á@b.example>", smtputf8=True).mailbox == Mailbox("á", "b.example")


@given(st.sampled_from(["FROM:", "TO:", ""]), st.text(st.sampled_from('<>@:,.ab"\\ =+;[]\0é'), max_size=30))
def test_any_line_is_read_or_refused(keyword: str, rest: str) -> None:
    """No line is a fault, and no path that comes out holds what a next hop could read as something else."""
    for parse in (mail, rcpt):
        try:
            found = parse(keyword + rest)
        except InputError as error:
            reply = error.reply
        else:
            path = found.reverse_path if isinstance(found, MailCommand) else found.mailbox
            reply = None
            assert isinstance(path, Mailbox) is (str(path) != "")
            assert not set(str(path)) & set("\0\r\n")
            assert str(path) in rest or path == Mailbox.parse(f"{path}")
        assert reply is None or reply.permanent

"""Replies, mailboxes, envelopes and verdicts that cannot be wrong."""

from __future__ import annotations

import pytest

from gateway.core.address import NULL_PATH, Mailbox, NullPath, domain_key
from gateway.core.envelope import Envelope, Notify, Recipient
from gateway.core.reply import Reply
from gateway.core.verdict import VERDICTS, Invalid, Signer, Unsigned, VerdictRow, Verified, row_of


@pytest.mark.parametrize(
    ("code", "status", "text"),
    [(250, "4.0.0", "x"), (550, "2.0.0", "x"), (199, None, "x"), (250, "2.0", "x"), (250, "2.0.0", "a\r\nQUIT")],
)
def test_a_reply_cannot_lie(code: int, status: str, text: str) -> None:
    """250 with 4.x.x, and line ends in text, are refused."""
    with pytest.raises(ValueError, match=r"repl|status|code|text"):
        Reply(code, status, (text,))


def test_reply_from_a_peer_is_cleaned() -> None:
    """A next hop's text is shown to our client without control characters, its status once."""
    reply = Reply.parse(550, ("5.1.1 no\x00such", "5.1.1 user\x1b[31m"))
    assert reply.status == "5.1.1"
    assert reply.wire == b"550-5.1.1 no such\r\n550 5.1.1 user [31m\r\n"
    assert Reply.parse(250, ("4.0.0 odd",)).status is None


def test_a_text_that_cannot_be_sent_is_no_reply() -> None:
    """UTF-7 in a name makes lone surrogates: it is refused with what can be said, and not with a fault of ours."""
    assert Reply.of(550, "5.7.1", "a\ud800b").wire == b"550 5.7.1 a b\r\n"
    with pytest.raises(ValueError, match="control"):
        Reply(550, None, ("a\udcffb",))


def test_long_text_is_broken_into_lines() -> None:
    """No line of a reply is over 512 octets (RFC 5321 4.5.3.1.5)."""
    wire = Reply.of(550, "5.7.1", "đ" * 2000).wire
    assert all(len(line) <= 512 for line in wire.split(b"\r\n"))
    assert wire.decode().count("đ") == 2000


@pytest.mark.parametrize(
    "text", ["a@b", "a.b+c@xn--d.example", '"a b"@c.example', "a@[127.0.0.1]", "người@tỉnh.example", "o'x@b.c"]
)
def test_mailboxes(text: str) -> None:
    """RFC 5321 and 6531 mailboxes keep their octets."""
    assert str(Mailbox.parse(text)) == text


NOT_MAILBOXES = ["", "a", "@b", "a@", "a b@c", "a@b@c", "a..b@c", ".a@b", "a@b..c", "a@-b", "<a@b>", "a@b\r\n"]


@pytest.mark.parametrize("text", [*NOT_MAILBOXES, "a\0@b", "@x:a@b", "a" * 65 + "@b"])
def test_not_mailboxes(text: str) -> None:
    """Source routes, blanks, control characters and doubled dots are no mailbox."""
    with pytest.raises(ValueError, match=r"mailbox|domain"):
        Mailbox.parse(text)


def test_mailbox_keys() -> None:
    """Comparing folds ASCII case and IDNA, and unneeded quotes; not more."""
    assert Mailbox.parse("A.B@Ex.Example").key == Mailbox.parse('"a.b"@ex.example').key
    assert Mailbox.parse("x@tỉnh.example").key == "x@xn--tnh-9fz.example" or domain_key("tỉnh.example").startswith(
        "xn--"
    )
    assert Mailbox.parse("É@b").key != Mailbox.parse("é@b").key
    assert NullPath() == NULL_PATH
    assert not str(NULL_PATH)


def test_notify() -> None:
    """NEVER is the empty set; "not given" asks for failures."""
    box = Mailbox.parse("a@b.c")
    assert Recipient(box).wants_failure
    assert not Recipient(box, frozenset()).wants_failure
    assert Recipient(box, frozenset({Notify.SUCCESS})).wants_success
    envelope = Envelope(NULL_PATH, (Recipient(box), Recipient(Mailbox.parse("d@b.c"))), envid="x")
    assert envelope.only([1]).recipients == (envelope.recipients[1],)
    assert envelope.only([1]).envid == "x"


def test_domains_of_idna_2008_are_their_own() -> None:
    """What IDNA 2003 folds into another domain is another mailbox; what both know as one is one."""
    for odd, folded in (
        ("straße", "strasse"),
        ("STRAẞE", "strasse"),
        ("ὅς", "ὅσ"),
        ("a\u200db", "ab"),
        ("a\u200cb", "ab"),
        ("\uff53oyte", "soyte"),
        ("so\u00adyte", "soyte"),
        ("so\u200byte", "soyte"),
        ("\ufb01le", "file"),
        ("a\u3002b", "a.b"),
        ("a\uff0eb", "a.b"),
        ("\u00b2", "2"),
        ("\u210c", "h"),
    ):
        assert domain_key(f"{odd}.example") != domain_key(f"{folded}.example")
    for one, other in (
        ("SÔNG.example", "xn--sng-kna.EXAMPLE"),
        ("so\u0302ng.example", "sông.example"),
        ("ĐÀ-NẴNG.vn", "đà-nẵng.VN"),
        ("xn--sng-kna.tỉnh.example", "sông.tỉnh.example"),
    ):
        assert domain_key(one) == domain_key(other)


def signer(*addresses: str) -> Signer:
    """Return a signer whose certificate names the addresses."""
    return Signer("CN=x", "CN=y", "01", addresses, None, None, "RSA", "00")


def test_a_verdict_has_no_truth_value() -> None:
    """`if verdict:` would take every state for green."""
    with pytest.raises(TypeError):
        bool(Unsigned("none"))


def test_verified_needs_a_signer_that_names_the_author() -> None:
    """Verified cannot be built otherwise."""
    author = Mailbox.parse("a@b.c")
    assert Verified("ok", (signer("A@b.c"),), author).author == author
    assert Verified("ok", (signer("a@xn--sng-kna.c"),), Mailbox.parse("A@sông.c")).reason == "ok"
    for signers in ((), (signer(),), (signer("x@b.c"),), (signer("a@b.c\0"),), (signer("not an address"),)):
        with pytest.raises(ValueError, match="names the author"):
            Verified("ok", signers, author)
    with pytest.raises(ValueError, match="names the author"):
        Verified("ok", (signer("a@b.c"),))


def test_the_table_of_verdicts() -> None:
    """Precedence and RFC 8601 result of each verdict; only `verified` is pass."""
    assert [(row.name, row.result) for row in VERDICTS] == [
        ("invalid", "fail"),
        ("unreadable", "permerror"),
        ("encrypted", "permerror"),
        ("not_trusted", "policy"),
        ("indeterminate", "temperror"),
        ("partial", "neutral"),
        ("signer_mismatch", "policy"),
        ("replayed", "policy"),
        ("verified_lesser", "policy"),
        ("verified", "pass"),
        ("unsigned", "none"),
    ]
    assert row_of(Invalid("x")) == VerdictRow(Invalid, "invalid", "fail")

"""Forged marks: what must go, and what must stay octet for octet."""

from __future__ import annotations

import pytest

from gateway.core.message import Message
from gateway.mime.fields import MimeError, decode_text, read_header
from gateway.tagging import Stripped, forged, strip
from gateway.tagging import stripped as count
from gateway.tagging.names import KEYWORD_KEYS, holds_results, is_ours
from support.pace import soon

OURS = "thư.songlam.example"
HEAD = b"From: a@b.example\r\nTo: c@d.example\r\n"
BODY = b"\r\nX-Verified-Sender: in the body\r\nSubject: [\xc4\x90\xc3\xa3 x\xc3\xa1c th\xe1\xbb\xb1c: X]\r\n"


def stripped(lines: bytes, ours: str = "mail.songlam.example") -> bytes:
    """Return what is left of some header lines among others; all else must be as it was."""
    result = strip(Message.of(HEAD + lines + b"Date: today\r\n" + BODY), authserv_id=ours).octets()
    assert result.startswith(HEAD)
    assert result.endswith(b"Date: today\r\n" + BODY)
    return result[len(HEAD) : len(result) - len(BODY) - 13]


@pytest.mark.parametrize(
    "lines",
    [
        b"X-Verified-Sender: x\r\n",
        b"x-VERIFIED-sender: x\r\n",
        b"X-Verified-Sender : x\r\n",
        b"X-Verified-Sender\t \t: x\r\n",
        b"X-Verified-Sender:\r\n x\r\n\ty\r\n",
        b"X-Verified-Sender:x\r\nX-Verified-Sender:y\r\n",
        b"X-Gateway-Verdict: verified\r\nX-Gateway-Anything: else\r\nX-GATEWAY-: x\r\n",
        b"X-Verified-Sender\r\n : folded before the colon\r\n",
        b"X-Verified-\r\n Sender: folded in the name\r\n",
        b"X-Mozilla-Keys: $VerifiedAgency\r\nx-keywords : $VerifiedAgency NonJunk\r\n",
        b"\xef\xbb\xbfX-Mozilla-Keys: $VerifiedAgency\r\n",
        b"X-Verified-Sender\0: x\r\n",
        b"X-Veri\0fied-Sender: x\r\n",
        b"\xef\xbb\xbfX-Verified-Sender: byte order mark\r\n",
        b"\xc2\xa0X-Verified-Sender: x\r\n",
        b"X-Verified-Sender\xc2\xa0: x\r\n",
        b"X-Verified\xe2\x80\x90Sender: another hyphen\r\n",
        b"X-Verified-Sender\xef\xbc\x9a another colon\r\n",
        b"X-Verified\xff-Sender: x\r\n",
        b"X_Verified_Sender: x\r\nX-Verified.Sender: x\r\nX_Gateway--Verdict: verified\r\n",
        "\u0425-V\u0435r\u0456fi\u0435d-S\u0435nd\u0435r: Cyrillic\r\n".encode(),
        "X-G\u0430t\u0435w\u0430y-V\u0435rdict: verified\r\n".encode(),
        "\uff38\uff0d\uff27\uff41\uff54\uff45\uff57\uff41\uff59\uff0d\uff33\uff45\uff41\uff4c: full width\r\n".encode(),
        "X-Veri\u0301fied-Sender: a mark on a letter\r\n".encode(),
        "X-Verified\u00ad-Sender: a soft hyphen\r\n".encode(),
        "\u202eX-Verified-Sender: x\r\n".encode(),
    ],
)
def test_our_fields_go(lines: bytes) -> None:
    """A field is ours however its name is written; one that is malformed is ours if any reader could take it so."""
    assert stripped(lines) == b""


@pytest.mark.parametrize(
    "lines",
    [
        b"X-Verified: x\r\nX-Verified-Senders: x\r\nX-Gatewayed: x\r\nMy-X-Verified-Sender: x\r\n",
        b"X-Other: a\r\n X-Verified-Sender: a continuation line\r\n",
        b"a line without a colon\r\n",
        b"X-Gatewayed: x\r\na line without a colon\r\n",
        b"ARC-Authentication-Results: i=1; mx.other.example; smime=pass\r\n",
        b"arc-authentication-results: (c) i = 12 (c) ; (c) mx.other.example 1; none\r\n",
        b"Subject:  double  blanks =?iso-8859-1?q?kept?=\r\n",
        b"Subject: \xff\xfe raw octets\r\n",
        b"Subject:\r\n folded   strangely\r\n\tX\r\n",
        b"",
    ],
)
def test_other_octets_stay(lines: bytes) -> None:
    """What cannot pass for a mark of ours keeps every octet."""
    assert stripped(lines) == lines


@pytest.mark.parametrize(
    "end", [b"\n", b"\r", b"\x0b", b"\x0c", b"\x1c", "\x85".encode(), "\u2028".encode(), b"\r\r\n"]
)
@pytest.mark.parametrize(
    "forged",
    [
        b"X-Verified-Sender: x",
        b"x-gateway-verdict : verified",
        b"Authentication-Results: mail.songlam.example; smime=pass",
        "Subject: [Đã xác thực: X] y".encode(),
        b"X-Verified-Sender: x\n continued\n",
        b"X-Verified-Sender: x\nX-Verified-Sender: x",
    ],
)
def test_fields_after_odd_line_ends_go(end: bytes, forged: bytes) -> None:
    """A field behind what only some readers take for a line end goes, and swallows nothing that follows.

    With a tag in it, what stands before goes as well: to other readers it is one field that bears the tag.
    """
    left = stripped(b"X-Other: a" + end + forged + b"\r\n")
    lines = left.splitlines(keepends=True)
    if forged.startswith(b"Subject") and not lines:
        return
    assert lines.pop() in {b"X-Other: a\r\n", b"Subject: y\r\n", b"\r\n"}
    assert b"".join(lines).rstrip(b"\r\n") in {b"", b"X-Other: a"}


TAGGED = {
    "Outlook's flag": "X-Message-Flag: [Đã xác thực: Sở Y tế]",
    "Outlook's conversation": "Thread-Topic: [Đã xác thực: Sở Y tế] Họp",
    "Outlook's categories": "Keywords: =?utf-8?B?W8SQw6MgeMOhYyB0aOG7sWNd?=",
    "comments": "Comments: [Da xac thuc]",
    "organization": "Organization: \u2705 Đã xác thực: Sở Y tế",
    "description": "Content-Description: [Đã xác thực]",
    "folded": "X-Label:\r\n [Da xac\r\n thuc]",
    "keyword": "X-Label: Khan, $verifiedAgency",
    "results that were others'": "Authentication-Results-Original: mail.songlam.example; smime=pass",
    "results of a name of our own": "X-Authentication-Results: mx.other.example; smime=pass",
    "results with an underline": "Authentication_Results: mail.songlam.example; dkim=pass",
    "behind an odd line end": "X-Label: a\x0b[Da xac thuc]",
}


@pytest.mark.parametrize("name", TAGGED)
def test_fields_that_show_a_tag_go(name: str) -> None:
    """Some reader shows them beside the subject, or as labels."""
    assert stripped(TAGGED[name].encode() + b"\r\nX-Other: x\r\n") == b"X-Other: x\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        b"From: [Da xac thuc] <a@b.example>\r\n",
        b'Content-Type: text/plain; name="[Da xac thuc].txt"\r\n',
        b"Message-ID: <[da-xac-thuc]@b.example>\r\n",
        "Comments: Hồ sơ (đã xác thực) số 17\r\n".encode(),
        "Thread-Topic: Re: [Chữ ký KHÔNG hợp lệ] Họp\r\n".encode(),
        b"X-Other: =?ibm037?Q?=BA=C4?=\r\n",
        b"X-Original-Authentication-Results: mx.other.example; dkim=pass\r\n",
    ],
)
def test_fields_that_programs_or_people_need_stay(lines: bytes) -> None:
    """Names are noted and not changed; a message must stay what it is; words without a tag's brackets are words."""
    assert stripped(lines) == lines


def test_no_name_that_is_passed_over_is_one_of_a_mark() -> None:
    """What stands in these fields is not looked at: none may be ours, hold keywords or results, or be a subject."""
    marks = [
        name for name in forged._KEPT if is_ours(name) or holds_results(name) or name in {*KEYWORD_KEYS, "subject"}
    ]
    assert marks == []


def test_forged_lines_beside_a_forged_subject_go() -> None:
    """A subject written anew and a line taken out may touch: both happen, and the line below stays its own."""
    tag = "[Đã xác thực: X]".encode()
    assert stripped(b"Subject: " + tag + b" y\nX-Verified-Sender: x\r\n") == b"Subject: y\r\n"
    assert stripped(b"X-Verified-Sender: x\nSubject: " + tag + b" y\r\n") == b"Subject: y\r\n"


def test_lines_above_the_first_field_go() -> None:
    """Continuation lines on top would continue the field that we put above them."""
    result = strip(Message.of(b" x\r\n\ty\r\nFrom: a@b.example\r\n\r\nbody"), authserv_id="x.example").octets()
    assert result == b"From: a@b.example\r\n\r\nbody"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\r\nX-Verified-Sender: x\r\n",
        b"no header\r\n\r\nX-Gateway-Verdict: x",
        b"From: a\n\nX-Verified-Sender: a body with bare line feeds\n",
    ],
)
def test_bodies_stay(message: bytes) -> None:
    """Below the header block nothing is a mark, whatever it says."""
    assert strip(Message.of(message), authserv_id="x.example").octets() == message


@pytest.mark.parametrize(
    "value",
    [
        b"mail.songlam.example; smime=pass",
        b"MAIL.SongLam.Example ; none",
        b"mail.songlam.example.; none",
        b'"mail.songlam.example"; none',
        b'"mail\\.songlam.exam\\ple"; none',
        b"(a (nested) \\) comment) mail.songlam.example (another); none",
        b"mail.songlam.example 1; none",
        b"mail.songlam.example (c) 1 (c) ; none",
        b"\r\n\tmail.songlam.example\r\n\t;smime=pass",
        b"mail.songlam.example;",
        "ｍail。songlam.example; none".encode(),  # noqa: RUF001 - IDNA reads these as ours
        b"mail.song\xc2\xadlam.example; none",
        "m\u0430il.songlam.ex\u0430mple; none".encode(),  # Cyrillic
        # whose they are cannot be read
        b"",
        b";",
        b"; smime=pass",
        b"smime=pass",
        b"other.example",
        b"other.example mail.songlam.example; smime=pass",
        b"other.example, mail.songlam.example; smime=pass",
        b"=?utf-8?q?mail.songlam.example?=; smime=pass",
        b'"other.example; smime=pass',
        b"(other.example; smime=pass",
        b"other.example 1 2; none",
        b"\xff.example; none",
        b'"" ; none',
    ],
)
def test_results_in_our_name_go(value: bytes) -> None:
    """Results that claim to be ours go, and those of which nobody can say whose they are (RFC 8601 5)."""
    assert stripped(b"Authentication-Results: " + value + b"\r\n") == b""
    assert stripped(b"authentication-RESULTS :" + value + b"\r\n") == b""
    assert stripped(b"ARC-Authentication-Results: i=1; " + value + b"\r\n") == b""
    assert stripped("\u0410uthentic\u0430tion-Results: ".encode() + value + b"\r\n") == b""


@pytest.mark.parametrize(
    "result", [b"smime=pass", b"SMIME = pass", b"spf=pass; smime/1=pass", b"smime (x) =fail", b'x="; smime=pass"']
)
def test_results_of_signatures_go_whoever_wrote_them(result: bytes) -> None:
    """No other server judges signatures for these recipients, and clients do not ask whose results they show."""
    assert stripped(b"Authentication-Results: mx.other.example; " + result + b"\r\n") == b""
    arc = b"ARC-Authentication-Results: i=1; mx.other.example; " + result + b"\r\n"
    assert stripped(arc) == arc


@pytest.mark.parametrize("value", [b"", b"1", b"i=1", b"mx.other.example; none", b"i=x; mx.other.example; none"])
def test_arc_results_without_a_number_go(value: bytes) -> None:
    """Results of an ARC set that cannot be read may be read as ours by somebody (RFC 8617 4.1.1)."""
    assert stripped(b"ARC-Authentication-Results: " + value + b"\r\n") == b""


def test_results_of_a_server_that_was_not_passed_go() -> None:
    """The server in front is believed by its name: on mail from elsewhere that name is a forgery."""
    theirs = b"Authentication-Results: mx.cuanho.example; dmarc=pass\r\n"
    arc = b"ARC-Authentication-Results: i=1; MX.cuanho.example.; dmarc=pass\r\n"
    message = Message.of(HEAD + theirs + arc + BODY)
    kept = strip(message, authserv_id="mail.songlam.example")
    assert kept.octets() == message.octets()
    gone = count(message, authserv_id="mail.songlam.example", others=("mx.cuanho.example",))
    assert gone.message.octets() == HEAD + BODY
    assert gone.removed == {"results": 2}


def test_what_was_removed_is_counted() -> None:
    """Each kind of forgery is counted, so that it can be recorded; nothing is counted where nothing was."""
    forged = (
        b" orphan\r\nX-Verified-Sender: x\r\nX-Gateway-Seal: v=1\r\nX-Other: a\rX-Gateway-Verdict: x\r\n"
        b"Authentication-Results: mail.songlam.example; smime=pass\r\n"
    )
    tags = "Subject: [Đã xác thực: X] a\r\nSubject: [Chữ ký dùng lại] b\r\n".encode()
    found = count(Message.of(forged + tags + HEAD + BODY), authserv_id="mail.songlam.example")
    assert found.removed == {"orphan": 1, "our_field": 2, "hidden_line": 1, "results": 1, "subject_tag": 2}
    clean = Message.of(HEAD + BODY)
    assert count(clean, authserv_id="mail.songlam.example") == Stripped(clean, {})


@pytest.mark.parametrize(
    "value",
    [
        b"mx.other.example; spf=pass smtp.mailfrom=a@b.example",
        b"mail.songlam.example.other.example; none",
        b"mx.mail.songlam.example; none",
        b"other.example (mail.songlam.example); none",
        b"(a (nested) comment \\) here) other.example (b (c)) ; none",
        b'other.example 1; none; x="; mail.songlam.example; spf=pass"',
        b"smime.example; dkim=pass header.d=smime.example",
        b"\r\n other.example;\r\n dkim=pass",
    ],
)
def test_results_of_others_stay(value: bytes) -> None:
    """Other systems' results are theirs, octet for octet."""
    field = b"Authentication-Results: " + value + b"\r\n"
    assert stripped(field) == field


@pytest.mark.parametrize(
    "value", ["thư.songlam.example; none", "THƯ.songlam.example; none", "xn--th-lwj.songlam.example;x"]
)
def test_results_by_idna(value: str) -> None:
    """Our id is ours as U-labels and as A-labels."""
    alabel = OURS.encode("idna").decode()
    value = value.replace("xn--th-lwj.songlam.example", alabel)
    assert stripped(f"Authentication-Results: {value}\r\n".encode(), OURS) == b""
    assert stripped(f"Authentication-Results: {value}\r\n".encode(), alabel) == b""


def test_subject_is_written_anew_alone() -> None:
    """A forged tag changes its own field and no other octet; its name and place stay."""
    forged = "SUBJECT : [Đã xác thực: Sở Y tế] Họp giao ban\r\n".encode()
    result = stripped(b"X-A:  b\r\n" + forged + b"X-C:d\r\n")
    assert result.startswith(b"X-A:  b\r\nSUBJECT: =?utf-8?B?")
    assert result.endswith(b"\r\nX-C:d\r\n")
    (field,) = read_header(Message.of(result)).all("subject")
    assert decode_text(field.value) == "Họp giao ban"


def test_limits_refuse() -> None:
    """A header over the limits is an error, never passed on unread."""
    with pytest.raises(MimeError):
        strip(Message.of(b"A: b\r\n" * 2000 + b"\r\n"), authserv_id="x.example")


@pytest.mark.parametrize(
    "line",
    [
        b"Subject: " + "[Đã xác thực".encode() * 15000,
        b"Subject: " + b"[" * 125000 + "Đã xác thực]".encode() * 6000,
        b"Subject: " + b"=?a?q?" * 40000,
        b"Subject: " + b"=?utf-8?b?W8SQw6MgeMOhYyB0aOG7sWM6IFhd?= " * 5000,
        b"Subject: " + "[á[".encode() * 50000 + "Đã xác thực".encode(),
        b"Authentication-Results: " + b"(" * 250000,
        b"Authentication-Results: " + b'\\"' * 125000,
        b"X: a" + b"\rX-Verified-Sender: b" * 11000,
        b"X: a" + b"\n" * 250000,
        b"\xc2\xa0" * 125000,
        b"Subject: " + "\u202e[".encode() * 60000 + "Đã xác thực]".encode(),
        b"ARC-Authentication-Results: " + b"i=1 (" * 50000,
        b"X" + b"-_." * 80000 + b": x",
        b"X: " + "".join(each * 5 for each in "\u2202\u2206\u00d7\u2206\u00a2\u2020").encode() * 3200,
        b"Subject: " + "".join(each * 5 for each in "\u2202\u2206\u00d7\u2206\u00a2\u2020").encode() * 380,
    ],
    ids=range(15),
)
def test_work_is_bounded(line: bytes) -> None:
    """The largest header takes a moment, however its author wrote it."""
    with soon(3):
        stripped(line + b"\r\n")

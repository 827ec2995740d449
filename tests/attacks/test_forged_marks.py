"""Marks of ours that a sender writes: fields, results, tags in subjects, seals taken from elsewhere; none arrives.

Each is put on a letter that was verified just before and then lost one octet of its signed part, and on one that
nobody signed. What is left is read as careless readers do, not by the code that removes it.
"""

from __future__ import annotations

import base64
import quopri
import re
import smtplib
import unicodedata
from typing import TYPE_CHECKING, Final

import pytest

from gateway.core.address import Mailbox
from gateway.core.message import Message
from gateway.tagging.seal import SealState, check
from support.attacks import AGENCY, AUTHOR, KEYS, STRANGER, head, letter, part
from support.gateway_process import HOSTNAME, LOGIN, OURS
from support.letters import LAN, mail, multipart

if TYPE_CHECKING:
    from support.attacks import Delivered, Field

TAG: Final = f"[Đã xác thực: {AGENCY}]"
LOOKALIKES: Final = str.maketrans(
    "\ua4d3\ua4ee\ua4eb\ua4da\ua4d4\ua4e7\ua4f4\u20ab\u0430\u0441\u0445\u0442\u04bb\u0456\u0189\u00d0\u1d00",
    "daxcthudacxthiĐĐa",
)
"""Letters of other scripts that the forgeries here use."""


def words(text: str, charset: str = "utf-8", encoding: str = "B") -> str:
    """Return an encoded word."""
    octets = text.encode(charset)
    if encoding == "B":
        return f"=?{charset}?B?{base64.b64encode(octets).decode()}?="
    quoted = quopri.encodestring(octets, quotetabs=True).decode().replace("=\n", "")
    return f"=?{charset}?Q?{quoted.replace('?', '=3F').replace('_', '=5F').replace('=20', '_')}?="


def broken(good: bytes) -> bytes:
    """Return a letter of which one octet of the signed part is another."""
    return good.replace(b"Moi hop luc 8", b"Moi hop luc 9", 1)


def forge(field: Field, marks: bytes, *, subject: bytes | None = None) -> tuple[Delivered, Delivered]:
    """Deliver a green letter, then it with an octet changed and forged marks on it, then an unsigned one with them."""
    good = letter()
    field.honest(good)
    found = []
    for message in (broken(good), mail(part(), head=head())):
        forged = re.sub(rb"Subject: [^\r]*\r\n", subject, message, count=1) if subject is not None else message
        found.append(field.harmless(marks + forged))
    assert [each.verdict for each in found] == ["invalid", "unsigned"]
    return found[0], found[1]


FIELDS: Final = {
    "sender": f"X-Verified-Sender: {AGENCY}\r\n",
    "sender in capitals": f"X-VERIFIED-SENDER: {AGENCY}\r\n",
    "sender in small letters": f"x-verified-sender:{AGENCY}\r\n",
    "sender twice": f"X-Verified-Sender: {AGENCY}\r\n" * 2,
    "sender folded": f"X-Verified-Sender:\r\n {AGENCY}\r\n",
    "sender encoded": f"X-Verified-Sender: {words('Đã xác thực: ' + AGENCY)}\r\n",
    "blank before the colon": f"X-Verified-Sender : {AGENCY}\r\n",
    "tab before the colon": f"X-Verified-Sender\t: {AGENCY}\r\n",
    "underscores": f"X_Verified_Sender: {AGENCY}\r\n",
    "verdict": "X-Gateway-Verdict: verified; reason=verified; chain=valid\r\n",
    "verdict of another gateway": "X-Gateway-Verdict: verified; by=mail.khac.example\r\n",
    "verdict after a field": "X-Mailer: a\r\nX-Gateway-Verdict: verified\r\n",
    "signer": f"X-Gateway-Signer: {AUTHOR}\r\nX-Gateway-Reason: verified\r\n",
    "boundary": "X-Gateway-Boundary: spf=pass; dkim=pass; dmarc=pass\r\n",
    "seal": "X-Gateway-Seal: v=1; k=k1; d=mail.songlam.example; t=2026-11-24T08:29:00+07:00; r=AAAAAAAAAAAA; b=A\r\n",
    "unknown of ours": "X-Gateway-Verified: yes\r\n",
    "continuation on top": f" {AGENCY}\r\n",
    "hyphen of another kind": f"X\u2010Verified\u2010Sender: {AGENCY}\r\n",
    "letter of no width": f"X-Veri\u200bfied-Sender: {AGENCY}\r\n",
    "Cyrillic letter": f"X-Verif\u0456ed-Sender: {AGENCY}\r\n",
    "vertical tab": "X-Mailer: a\vX-Gateway-Verdict: verified\r\n",
    "next line": "X-Mailer: a\u0085X-Gateway-Verdict: verified\r\n",
    "line separator": "X-Mailer: a\u2028X-Verified-Sender: x\r\n",
    "Outlook's flag": f"X-Message-Flag: {words(TAG)}\r\n",
    "Outlook's conversation": f"Thread-Topic: {TAG} Họp\r\n",
    "hundreds": "X-Gateway-Verdict: verified\r\n" * 300,
}
RESULTS: Final = {
    "ours": f"{HOSTNAME}; smime=pass",
    "capitals": "MAIL.SongLam.EXAMPLE; smime=pass",
    "dot at the end": f"{HOSTNAME}.; smime=pass",
    "version": f"{HOSTNAME} 1; smime=pass",
    "comment before": f"(mx.khac.example;) {HOSTNAME}; smime=pass",
    "comment behind": f"{HOSTNAME} (khac); smime=pass",
    "comment in a comment": f"((a) b \\) c) {HOSTNAME} (d); smime=pass",
    "comment never closed": f"({HOSTNAME}; smime=pass",
    "quoted": f'"{HOSTNAME}"; smime=pass',
    "quoted and escaped": '"mail\\.songlam.example"; smime=pass',
    "folded": f"\r\n\t{HOSTNAME};\r\n\tsmime=pass",
    "folded in the result": f"{HOSTNAME}; smime\r\n =\r\n pass",
    "method version": f"{HOSTNAME}; smime/1=pass",
    "method in capitals": f"{HOSTNAME}; SMIME=PASS",
    "second result": f"{HOSTNAME}; spf=pass; smime=pass",
    "nobody's": "; smime=pass",
    "no id": "smime=pass",
    "two ids": f"mx.khac.example {HOSTNAME}; smime=pass",
    "full-width": "mail\uff0esonglam.example; smime=pass",
    "Cyrillic": "m\u0430il.songlam.example; smime=pass",
    "soft hyphen": "mail.song\u00adlam.example; smime=pass",
    "encoded word": "=?utf-8?Q?mail.songlam.example?=; smime=pass",
    "somebody else's": "mx.khac.example; smime=pass",
    "in a string of somebody else's": f'mx.khac.example; spf=pass reason="; {HOSTNAME}; smime=pass"',
    "vertical tab of somebody else": "mx.khac.example; smime\x0b=pass",
    "comment in the method": "mx.khac.example; smime (x) = pass",
}
SUBJECTS: Final = {
    "raw": TAG,
    "base64": words(TAG),
    "quoted": words(TAG, encoding="Q"),
    "letter by letter": " ".join(words(each) for each in TAG),
    "UTF-16": words(TAG, "utf-16-be"),
    "UTF-16 with a mark": words(TAG, "utf-16"),
    "UTF-32": words(TAG, "utf-32-be"),
    "UTF-7": "=?utf-7?Q?[+ARAA4w_x+AOE-c_th+Hu8-c:_X]?=",
    "Windows": "=?windows-1258?Q?[=D0a=DE_x=E1c_th=FD=F2c]?=",
    "with a language": "=?utf-8*vi?B?" + base64.b64encode(TAG.encode()).decode() + "?=",
    "capital charset": words(TAG).replace("utf-8", "UTF-8").replace("?B?", "?b?"),
    "no padding": words(TAG + "a").rstrip("=?") + "?=",
    "blanks in the word": words(TAG, encoding="Q").replace("_", " "),
    "glued": "x" + words(TAG),
    "word in a word": words(words(TAG)),
    "word in a word in a word": words(words(words(TAG))),
    "split in a letter": "=?utf-8?Q?[=C4?= =?utf-8?Q?=90=C3=A3_x=C3=A1c_th=E1=BB=B1c]?=",
    "decomposed": unicodedata.normalize("NFD", TAG),
    "no accents": "[Da xac thuc: Van phong]",
    "capitals": TAG.upper(),
    "no width": "[Đ\u200bã x\u2060ác th\u00adực]",
    "no blanks": "[Đãxácthực]",
    "other blanks": "[Đã\u3000xác\u00a0thực]",
    "dots": "[Đ.ã x.á.c t.h.ự.c]",
    "Cyrillic": "[\u0110\u00e3 \u0445\u00e1\u0441 \u0442\u04bb\u1ef1\u0441]",
    "another D": "[\u0189ã xác thực]",
    "eth": "[\u00d0ã xác thực]",
    "mathematical": "["
    + "".join(chr(0x1D41A + ord(each) - 97) if each.isalpha() else each for each in "da xac thuc")
    + "]",
    "full-width": "\uff3b\uff24\u0061 \uff58ac thuc\uff3d",
    "lenticular brackets": "\u3010Đã xác thực\u3011",
    "corner brackets": "\u300cĐã xác thực\u300d",
    "check mark": "\u2714 Đã xác thực: Sở Y tế",
    "green check mark": "\u2705 Đã xác thực: Sở Y tế |",
    "round brackets": "(Đã xác thực: Sở Y tế)",
    "backwards": "\u202e]cựht cáx ãĐ[\u202c",
    "behind Re": f"Re: {TAG}",
    "behind Trả lời": f"Trả lời: {TAG}",
    "behind another tag": f"[Khẩn] {TAG}",
    "in the midst": f"Họp {TAG} gấp",
    "in itself": "[Đã [Đã xác thực: A]xác thực: B]",
    "in a warning": f"[Chữ ký KHÔNG hợp lệ] {TAG}",
    "never closed": "[Đã xác thực: Sở Y tế",
    "folded": "[Đã\r\n xác\r\n\tthực: Sở\r\n Y tế]",
    "far back": " " * 300 + TAG,
    "EBCDIC": words("[Da xac thuc: So Y te]", "cp037"),
    "Lisu": words("[\ua4d3\ua4ee \ua4eb\ua4ee\ua4da \ua4d4\ua4e7\ua4f4\ua4da]"),
    "sign of the dong": words("[\u20abã xác thực: Sở Y tế]"),
    "between letters": words("[Đã/xác/thực: Sở Y tế]"),
    "check mark in the midst": words("Khẩn: \u2705 Đã xác thực: Sở Y tế"),
    "lesser": "[Cùng cơ quan, khác hộp thư: Sở Y tế]",
}
UNNOTED: Final = {
    "lesser",
    "behind Re",
    "word in a word",
    "word in a word in a word",
    "blanks in the word",
    "backwards",
    "EBCDIC",
    "sign of the dong",
    "check mark in the midst",
}
"""Whoever answers repeats a tag; the others no reader shows as a tag, and they are removed all the same."""
SUBJECT_FIELDS: Final = {
    "two": "Subject: a\r\nSubject: {t} b\r\n",
    "two, first": "Subject: {t} b\r\nSubject: a\r\n",
    "capitals": "SUBJECT: {t}\r\n",
    "blank before the colon": "Subject : {t}\r\n",
    "no blank": "Subject:{t}\r\n",
    "tab": "Subject:\t{t}\r\n",
    "begins folded": "Subject:\r\n {t}\r\n",
    "letter of no width": "Sub\u200bject: {t}\r\nSubject: a\r\n",
    "vertical tab": "X-Mailer: a\vSubject: {t}\r\nSubject: a\r\n",
    "Cyrillic": "Subje\u0441t: {t}\r\nSubject: a\r\n",
}


def read(text: str) -> str:
    """Return text as a reader in a hurry takes it: letters only, no accents, and what passes for Latin is Latin."""
    plain = unicodedata.normalize("NFKD", text.translate(LOOKALIKES).casefold()).replace("đ", "d")
    return "".join(each for each in plain.translate(LOOKALIKES) if each.isalnum())


@pytest.mark.parametrize("name", FIELDS)
def test_fields_of_ours(field: Field, name: str) -> None:
    """A field of our names, or of a name that passes for one, is ours or it is gone."""
    for found in forge(field, FIELDS[name].encode()):
        assert len(found.all("X-Gateway-Verdict")) == 1
        assert len(found.all("X-Gateway-Seal")) == 1
        assert found.octets is not None
        assert check(Message.of(found.octets), found.recipient, KEYS) is SealState.GOOD
        assert AGENCY not in found.octets.decode(errors="replace").partition("\r\n\r\n")[0].replace("\r\n", "")


@pytest.mark.parametrize("name", ["X-Mozilla-Keys", "x-mozilla-keys ", "X-Keywords", "X-\u200bKeywords"])
def test_colored_tags_in_the_header(field: Field, name: str) -> None:
    """Thunderbird, and stores of mbox files, take keywords from the header: that is where the color comes from."""
    for found in forge(field, f"{name}: $VerifiedAgency\r\n".encode()):
        assert found.octets is not None
        assert b"$VerifiedAgency" not in found.octets


@pytest.mark.parametrize("kind", ["Authentication-Results", "authentication-results ", "AUTHENTICATION-RESULTS"])
@pytest.mark.parametrize("name", RESULTS)
def test_results_in_our_name(field: Field, name: str, kind: str) -> None:
    """Results of signatures are ours, or they are gone; there is one field of them."""
    (found, _) = forge(field, f"{kind}: {RESULTS[name]}\r\n".encode())
    own = [each for each in found.all("authentication-results") if "smime" in each]
    assert len(own) == 1
    assert own[0].startswith(f"{HOSTNAME}; smime=fail")


@pytest.mark.parametrize("name", [each for each in RESULTS if "else" not in each and each != "comment in the method"])
def test_results_in_our_name_of_an_arc_set(field: Field, name: str) -> None:
    """A set of ARC fields that bears our name was not made by us."""
    (found, _) = forge(
        field, f"ARC-Authentication-Results: i=1; {RESULTS[name]}\r\nARC-Seal: i=1; cv=none\r\n".encode()
    )
    assert found.all("arc-authentication-results") == ()


@pytest.mark.parametrize("name", SUBJECTS)
def test_tags_in_the_subject(field: Field, name: str) -> None:
    """Whatever a reader could take for our tag is out of the subject, and one that warns stands there."""
    subject = f"Subject: {SUBJECTS[name]} Hop\r\n".encode()
    for found in forge(field, b"", subject=subject):
        assert "daxacthuc" not in read(found.subject)
        assert "\u202e" not in found.subject
        assert "Cùng cơ quan" not in found.subject
    assert "tag_words" in found.notes or name in UNNOTED


@pytest.mark.parametrize("name", SUBJECT_FIELDS)
def test_fields_that_pass_for_the_subject(field: Field, name: str) -> None:
    """Of two subjects readers show one; of odd names some do."""
    for found in forge(field, b"", subject=SUBJECT_FIELDS[name].format(t=TAG).encode()):
        assert found.octets is not None
        assert "daxacthuc" not in read(found.octets.decode(errors="replace").partition("\r\n\r\n")[0])


@pytest.mark.parametrize(
    "subject",
    ["Đã xác thực hồ sơ số 17", "Hồ sơ (đã xác thực) số 17", "Re: Đã xác thực hồ sơ", "[Khẩn] Xác thực tài khoản"],
)
def test_ordinary_words_stay(field: Field, subject: str) -> None:
    """People write of verified files: without square brackets this is no tag, and our warning stands in front."""
    good = letter()
    field.honest(good)
    found = field.deliver(re.sub(rb"Subject: [^\r]*", f"Subject: {words(subject)}".encode(), broken(good), count=1))
    assert found.greens <= {"words"}
    assert found.subject.endswith(subject)
    assert "Chữ ký KHÔNG hợp lệ] " in found.subject


@pytest.mark.parametrize(
    "name",
    [
        f"{TAG} Giam doc",
        "\u2705 Giám đốc",
        "\u2714 Giám đốc",
        "Giám đốc [verified]",
        "Da xac thuc: Giam doc",
        "\U0001f512 Giám đốc",
    ],
)
def test_tag_words_in_a_display_name(field: Field, name: str) -> None:
    """From is not ours to change: the reader is warned, in the subject too, and a rule can act."""
    good = letter()
    field.honest(good)
    found = field.deliver(broken(good).replace(b"From: Van phong", f"From: {words(name)}".encode(), 1))
    assert found.greens <= {"words"}
    assert "tag_words" in found.notes
    assert found.subject.startswith("[")
    assert found.verdict == "invalid"


@pytest.mark.parametrize("where", ["part", "rfc822", "nested rfc822"])
def test_marks_inside_change_nothing_outside(field: Field, where: str) -> None:
    """Below the header block nothing is changed; what stands there is no mark of ours, and it is noted."""
    inner = (
        f"From: {AUTHOR}\r\nSubject: {words(TAG)}\r\nX-Verified-Sender: {AGENCY}\r\n"
        f"X-Gateway-Verdict: verified\r\nAuthentication-Results: {HOSTNAME}; smime=pass\r\n"
    ).encode()
    message = b"Content-Type: message/rfc822\r\n\r\n" + inner + part()
    bodies = {
        "part": multipart("mixed", part(), inner + part()),
        "rfc822": multipart("mixed", part(), message),
        "nested rfc822": multipart("mixed", part(), multipart("mixed", message, boundary="in")),
    }
    field.honest(letter())
    found = field.harmless(mail(bodies[where], head=head()))
    assert found.verdict == "unsigned"
    assert "tag_words" in found.notes
    assert found.octets is not None
    assert found.octets.endswith(bodies[where])


def test_marks_of_a_verified_letter_on_another(field: Field) -> None:
    """All that we wrote on a good letter, seal included, is copied on a bad one: by the front door it is removed."""
    good = letter()
    seen = field.honest(good)
    assert seen.octets is not None
    marks = seen.octets[: seen.octets.index(b"From: ")]
    assert b"X-Gateway-Seal" in marks
    for body in (broken(good), mail(part(), head=head())):
        found = field.harmless(marks + body, to=str(seen.recipient))
        assert len(found.all("X-Gateway-Seal")) == 1


def test_seals_hold_for_one_letter_and_one_recipient(field: Field) -> None:
    """On a path that passes us by all marks can be copied; who checks the seal is not fooled."""
    good = letter()
    seen, other = field.honest(good), field.honest(letter())
    assert seen.octets is not None
    assert other.octets is not None
    marks = seen.octets[: seen.octets.index(b"From: ")]
    true = Message.of(seen.octets)
    assert check(true, seen.recipient, KEYS) is SealState.GOOD
    assert check(true, other.recipient, KEYS) is SealState.WRONG_RECIPIENT
    forged = {
        "another letter": marks + good.replace(b"Moi hop", b"Moi di"),
        "other marks": other.octets[: other.octets.index(b"From: ")] + seen.octets[seen.octets.index(b"From: ") :],
        "one octet more": seen.octets + b"x\r\n",
        "from": seen.octets.replace(AUTHOR.encode(), STRANGER.encode()),
        "second from": seen.octets.replace(b"From: ", f"From: {STRANGER}\r\nFrom: ".encode(), 1),
        "subject": seen.octets.replace(b"Moi hop so", b"Moi hop s0", 1),
        "message-id": re.sub(rb"Message-ID: <", b"Message-ID: <0", seen.octets),
        "second seal": _seal(other.octets) + seen.octets,
        "another seal": seen.octets.replace(_seal(seen.octets), _seal(other.octets)),
        "no seal": seen.octets.replace(_seal(seen.octets), b""),
        "verdict added": b"X-Gateway-Verdict: verified\r\n" + seen.octets,
        "sender added": f"X-Verified-Sender: {AGENCY}\r\n".encode() + seen.octets,
        "results added": f"Authentication-Results: {HOSTNAME}; smime=pass\r\n".encode() + seen.octets,
    }
    for name, octets in forged.items():
        assert octets != seen.octets, name
        assert check(Message.of(octets), seen.recipient, KEYS) is not SealState.GOOD, name


def _seal(octets: bytes) -> bytes:
    match = re.search(rb"X-Gateway-Seal:[^\r]*\r\n(?:[ \t][^\r]*\r\n)*", octets)
    assert match is not None
    return match[0]


def test_a_submission_carries_no_marks(field: Field) -> None:
    """What an employee's machine writes is removed on the way out, as on the way in."""
    to = f"ngoai{len(LAN)}@ngoai.example"
    marks = "".join(FIELDS[each] for each in ("sender", "verdict", "seal", "underscores")) + (
        f"Authentication-Results: {HOSTNAME}; smime=pass\r\n"
    )
    fields = head(author=LAN).replace(b"Subject: ", f"Subject: {words(TAG)} ".encode())
    with smtplib.SMTP("127.0.0.1", field.gate.house.port("internal"), "may-quet.example", timeout=120) as client:
        client.sendmail(LAN, [to], marks.encode() + mail(part(), head=fields), ["BODY=8BITMIME"])
    octets = field.taken(Mailbox.parse(to))
    assert octets is not None
    header = octets.partition(b"\r\n\r\n")[0].lower()
    for forged in (b"x-gateway", b"verified", b"smime=pass", b"x_verified"):
        assert forged not in header
    assert "daxacthuc" not in read(octets.decode(errors="replace").partition("\r\n\r\n")[0])
    assert LOGIN[1].encode() not in octets
    assert OURS.encode() in octets

"""From in every form by which two readers come to two authors, signed by somebody who may be one of them.

After Mailsploit (2017), espoofer ("Composition Kills", USENIX Security 2020) and the ID class of "Johnny, you are
fired!" (USENIX Security 2019). Each is a letter that was verified just before with nothing but its From field changed.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import pytest

from support.attacks import AGENCY, AUTHOR, STRANGER, head, letter, signer

if TYPE_CHECKING:
    from support.attacks import Delivered, Field

PEOPLE: Final = ((STRANGER, AUTHOR), (AUTHOR, STRANGER))
"""Whose signature it is, and whom somebody else may read as the author."""


def word(text: str, encoding: str = "B") -> str:
    """Return an encoded word; its text may hold anything."""
    octets = text.encode()
    if encoding == "B":
        return f"=?utf-8?B?{base64.b64encode(octets).decode()}?="
    return "=?utf-8?Q?" + "".join(f"={each:02X}" for each in octets) + "?="


SEVERAL: Final = {
    "other first": "From: <{o}>\r\nFrom: <{s}>\r\n",
    "other last": "From: <{s}>\r\nFrom: <{o}>\r\n",
    "cases": "FROM: <{s}>\r\nfrom: <{o}>\r\n",
    "blank before the colon": "From : <{o}>\r\nFrom: <{s}>\r\n",
    "tab before the colon": "From: <{s}>\r\nFrom\t: <{o}>\r\n",
    "blanks before the colon": "From    : <{o}>\r\nFrom: <{s}>\r\n",
    "three": "From: <{s}>\r\nFrom: <{o}>\r\nFrom: <{s}>\r\n",
    "the same twice": "From: <{s}>\r\nFrom: <{s}>\r\n",
    "empty second": "From: <{s}>\r\nFrom:\r\n",
}
LISTS: Final = {
    "other first": "From: <{o}>, <{s}>\r\n",
    "other last": "From: <{s}>, <{o}>\r\n",
    "bare": "From: {s}, {o}\r\n",
    "folded": "From: <{s}>,\r\n\t<{o}>\r\n",
    "empty entries": "From: ,<{s}>,<{o}>,\r\n",
    "with sender": "From: <{s}>, <{o}>\r\nSender: <{s}>\r\n",
}
MALFORMED: Final = {
    "no comma": "From: <{s}> <{o}>\r\n",
    "no comma, other first": "From: <{o}> <{s}>\r\n",
    "no comma, folded": "From: Van phong\r\n <{o}>\r\n\t<{s}>\r\n",
    "semicolon": "From: {o}; <{s}>\r\n",
    "bare, then angle": "From: {o} <{s}>\r\n",
    "angle, then bare": "From: <{s}> {o}\r\n",
    "angle in angle": "From: <{o}<{s}>>\r\n",
    "angle in angle before": "From: <<{s}>{o}>\r\n",
    "two closing": "From: <{s}>> <{o}>\r\n",
    "never closed": "From: <{s}\r\n",
    "never opened": "From: {s}>\r\n",
    "source route": "From: <@thanhha.example:{s}>\r\n",
    "two hops": "From: <@a.example,@b.example:{s}>\r\n",
    "a mailbox as route": "From: <{o},@a.example:{s}>\r\n",
    "route, other last": "From: <@congty.example:{o}>\r\n",
    "group": "From: Van phong: <{s}>;\r\n",
    "group named by the other": "From: {o}: {s};\r\n",
    "group of both": "From: Van phong: <{s}>, <{o}>;\r\n",
    "group of nobody": "From: {o}:;\r\n",
    "group after": "From: <{s}>, Van phong: <{o}>;\r\n",
    "comment splits the address": "From: <van(x)phong@thanhha.example>\r\n",
    "comment never closed": "From: <{s}> (x\r\n",
    "quotation never closed": 'From: "x <{o}> <{s}>\r\n',
    "quote ends early": 'From: "x" <{o}> "y" <{s}>\r\n',
    "encoded words are the address": "From: {wo}@congty.example\r\n",
    "mailsploit": "From: {wo}{wnul}{wo}@congty.example\r\n",
    "mailsploit with a line end": "From: {wo}{wlf}@congty.example\r\n",
    "only an encoded address": "From: {ws}\r\n",
    "an encoded address in angles": "From: <{ws}>\r\n",
    "encoded angles, NUL": "From: {wnulled} <{s}>\r\n",
    "encoded line end": "From: {wline} <{s}>\r\n",
    "encoded field": "From: {wfield} <{s}>\r\n",
    "quoted local part is a mailbox": 'From: <"{o}"@congty.example>\r\n',
    "quoted local part with angle": 'From: <"<{o}>"@congty.example>\r\n',
    "quoted local part ends": 'From: <"{o}>,x"@congty.example>\r\n',
    "blank in the address": "From: <giam-doc @congty.example>\r\n",
    "fold in the address": "From: <giam-doc@\r\n congty.example>\r\n",
    "two ats": "From: <{o}@congty.example>\r\n",
    "two ats, other last": "From: <{s}@thanhha.example>\r\n",
    "dot at the end": "From: <{s}.>\r\n",
    "dot in front": "From: <.{s}>\r\n",
    "escape in the address": "From: <giam\\\\-doc@congty.example>\r\n",
    "vertical tab in the value": "From: <{s}>\v<{o}>\r\n",
    "blank before the colon": "From : <{s}>\r\n",
    "full-width at": "From: <giam-doc\uff20congty.example>\r\n",
    "full-width angle": "From: \uff1c{o}\uff1e {s}\r\n",
    "turned around": "From: \u202e{o} <{s}>\r\n",
    "far away": "From: {o}{far}<{s}>\r\n",
}
DISPUTED: Final = {
    "blank in front": " From: <{o}>\r\nFrom: <{s}>\r\n",
    "blank in front, below": "From: <{s}>\r\n From: <{o}>\r\n",
    "folded before the colon": "From\r\n : <{o}>\r\nFrom: <{s}>\r\n",
    "letter of no width": "\u200bFrom: <{o}>\r\nFrom: <{s}>\r\n",
    "byte order mark": "\ufeffFrom: <{o}>\r\nFrom: <{s}>\r\n",
    "full-width colon": "From\uff1a <{o}>\r\nFrom: <{s}>\r\n",
    "Cyrillic letter": "Fr\u043em: <{o}>\r\nFrom: <{s}>\r\n",
    "blank in the name": "Fr om: <{o}>\r\nFrom: <{s}>\r\n",
    "no colon": "From <{o}>\r\nFrom: <{s}>\r\n",
    "mbox line": "From {o} Tue Nov 24 08:29:00 2026\r\nFrom: <{s}>\r\n",
    "vertical tab": "X-A: a\vFrom: <{o}>\r\nFrom: <{s}>\r\n",
    "form feed": "X-A: a\fFrom: <{o}>\r\nFrom: <{s}>\r\n",
    "next line": "X-A: a\u0085From: <{o}>\r\nFrom: <{s}>\r\n",
    "line separator": "X-A: a\u2028from : <{o}>\r\nFrom: <{s}>\r\n",
    "paragraph separator": "X-A: a\u2029 From: <{o}>\r\nFrom: <{s}>\r\n",
    "file separator": "X-A: a\x1cFrom: <{o}>\r\nFrom: <{s}>\r\n",
}
REFUSED: Final = {
    "NUL in the name": "From\0: <{o}>\r\nFrom: <{s}>\r\n",
    "NUL in the address": "From: <{o}\0{s}>\r\n",
    "NUL behind the address": "From: {o}\0 <{s}>\r\n",
    "bare CR": "X-A: a\rFrom: <{o}>\r\nFrom: <{s}>\r\n",
    "bare LF": "X-A: a\nFrom: <{o}>\r\nFrom: <{s}>\r\n",
    "bare LF in the value": "From: <{s}>\n <{o}>\r\n",
}
ABSENT: Final = {
    "no From": "",
    "empty From": "From:\r\n",
    "blank From": "From: \t\r\n",
    "only a comment": "From: ({s})\r\n",
    "only Sender": "Sender: <{s}>\r\n",
    "only Reply-To": "Reply-To: <{s}>\r\n",
    "only Resent-From": "Resent-From: <{s}>\r\n",
    "only Return-Path": "Return-Path: <{s}>\r\n",
}
ELSEWHERE: Final = {
    "plain": "From: <{o}>\r\n",
    "Sender is the signer": "From: <{o}>\r\nSender: <{s}>\r\n",
    "Sender before": "Sender: <{s}>\r\nFrom: <{o}>\r\n",
    "Resent-From is the signer": "Resent-From: <{s}>\r\nFrom: <{o}>\r\n",
    "Resent-Sender is the signer": "Resent-Sender: <{s}>\r\nResent-From: <{s}>\r\nFrom: <{o}>\r\n",
    "Reply-To is the signer": "From: <{o}>\r\nReply-To: <{s}>\r\n",
    "Return-Path is the signer": "Return-Path: <{s}>\r\nFrom: <{o}>\r\n",
    "List-Post is the signer": "From: <{o}>\r\nList-Post: <mailto:{s}>\r\nList-Id: <{s}>\r\n",
    "X-Original-From is the signer": "From: <{o}>\r\nX-Original-From: <{s}>\r\nOriginal-From: <{s}>\r\n",
    "signer as display name": "From: {s_quoted} <{o}>\r\n",
    "signer as encoded name": "From: {ws} <{o}>\r\n",
    "signer as encoded angles": "From: {wangle} <{o}>\r\n",
    "signer as comment": "From: <{o}> ({s})\r\n",
    "signer as comment in front": "From: (<{s}>) {o}\r\n",
    "signer in Q encoding": "From: {qs} <{o}>\r\n",
    "signer in several words": "From: {ws1} {ws2} <{o}>\r\n",
    "signer far in front": 'From: "{s}{far}" <{o}>\r\n',
}
NEARLY: Final = {
    "percent": "van-phong%thanhha.example@congty.example",
    "bang": "thanhha.example!giam-doc@congty.example",
    "tag": "giam-doc+x@congty.example",
    "sub-domain": "giam-doc@x.congty.example",
    "domain above": "giam-doc@example",
    "longer domain": "giam-doc@congty.example.thu.example",
    "Cyrillic domain": "giam-doc@c\u043engty.example",
    "full-width domain": "giam-doc@congt\uff59.example",
    "soft hyphen": "giam-doc@cong\u00adty.example",
    "joiner": "giam-doc@cong\u200dty.example",
    "sharp s": "giam-doc@congty.example\u00df",
    "ideographic dot": "giam-doc@congty\u3002example",
    "Cyrillic local part": "gi\u0430m-doc@congty.example",
    "accent": "giám-doc@congty.example",
    "combining accent": "giam-do\u0323c@congty.example",
    "dotless i": "g\u0131am-doc@congty.example",
    "Kelvin sign": "giam-doc@\u212aongty.example",
    "punycode": "giam-doc@xn--cngty-jye.example",
    "literal": "giam-doc@[127.0.0.1]",
}


def written(form: str, s: str, o: str) -> bytes:
    """Return a form with the signer and the other one in it."""
    filled = form.format(
        s=s, o=o, ws=word(s), wo=word(o), qs=word(s, "Q"), wangle=word(f"<{s}>"), ws1=word(s[:6]), ws2=word(s[6:]),
        wnul=word("\0", "Q"), wlf=word("\n\0", "Q"), wnulled=word(f"<{o}>\0"), wline=word(f"Van phong <{o}>\n"),
        wfield=word(f"x\r\nFrom: {o}"), s_quoted=f'"{s}"', far=" " * 200,
    )  # fmt: skip
    return filled.replace("\\\\", "\\").encode()


def changed(field: Field, form: str, s: str, o: str) -> Delivered:
    """Deliver a letter of the signer, which is green, and then the same with another From, which must not be."""
    fields = head(author=s, name="Van thu")
    good = letter(fields=fields, by=signer(s))
    own = fields[: fields.index(b"\r\n") + 2]
    return field.attack(good, good.replace(own, written(form, s, o), 1), sender=s)


@pytest.mark.parametrize("people", PEOPLE, ids=("stranger", "author"))
@pytest.mark.parametrize("name", SEVERAL)
def test_several_from_fields_have_no_author(field: Field, name: str, people: tuple[str, str]) -> None:
    """Readers take the first or the last: none is believed, whichever the signature is good for."""
    assert changed(field, SEVERAL[name], *people).why == ("signer_mismatch", "several_from")


@pytest.mark.parametrize("people", PEOPLE, ids=("stranger", "author"))
@pytest.mark.parametrize("name", LISTS)
def test_several_mailboxes_have_no_author(field: Field, name: str, people: tuple[str, str]) -> None:
    """Who of two wrote it nobody signed; some readers show the first only."""
    found = changed(field, LISTS[name], *people)
    assert found.verdict == "signer_mismatch"
    assert found.reason in {"several_from_mailboxes", "malformed_from"}


@pytest.mark.parametrize("people", PEOPLE, ids=("stranger", "author"))
@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_from_has_no_author(field: Field, name: str, people: tuple[str, str]) -> None:
    """What is not one mailbox by the grammar is read by each reader in its own way."""
    found = changed(field, MALFORMED[name], *people)
    assert found.why in {("signer_mismatch", "malformed_from"), ("signer_mismatch", "signer_is_not_author")}


@pytest.mark.parametrize("people", PEOPLE, ids=("stranger", "author"))
@pytest.mark.parametrize("name", DISPUTED)
def test_a_line_that_some_take_for_from(field: Field, name: str, people: tuple[str, str]) -> None:
    """A second author in a line that is a field to some readers and to others is not."""
    assert changed(field, DISPUTED[name], *people).verdict in {"unreadable", "signer_mismatch"}


@pytest.mark.parametrize("name", REFUSED)
def test_octets_that_end_text_for_some_are_refused(field: Field, name: str) -> None:
    """A NUL, or half a line end, in a header is no mail."""
    assert changed(field, REFUSED[name], STRANGER, AUTHOR).code == 550


@pytest.mark.parametrize("name", ABSENT)
def test_without_from_nothing_takes_its_place(field: Field, name: str) -> None:
    """Readers show Sender, or the reverse-path, or nothing."""
    assert changed(field, ABSENT[name], STRANGER, AUTHOR).verdict == "signer_mismatch"


@pytest.mark.parametrize("people", PEOPLE, ids=("stranger", "author"))
@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_signer_named_anywhere_else_is_not_the_author(field: Field, name: str, people: tuple[str, str]) -> None:
    """A good signature of one who is named in a display name, a comment or another field speaks for nobody in From."""
    found = changed(field, ELSEWHERE[name], *people)
    assert found.why == ("signer_mismatch", "signer_is_not_author")


@pytest.mark.parametrize("name", NEARLY)
def test_an_address_that_looks_nearly_the_same(field: Field, name: str) -> None:
    """A certificate's mailbox is compared by its letters, never by how they look or by what was meant."""
    found = changed(field, f"From: <{NEARLY[name]}>\r\n", STRANGER, AUTHOR)
    assert found.verdict in {"signer_mismatch", "verified_lesser"}


@pytest.mark.parametrize("envelope", [AUTHOR, STRANGER, "", f"giam-doc@{'x' * 60}.example"])
def test_the_envelope_neither_helps_nor_harms(field: Field, envelope: str) -> None:
    """Nobody signs a reverse-path: a letter is as good by a forwarder's as by its own, and a forged one as bad."""
    good = letter()
    field.honest(good, sender=envelope)
    own = good[: good.index(b"\r\n") + 2]
    forged = good.replace(own, f"From: Van thu <{STRANGER}>\r\n".encode(), 1)
    assert field.harmless(forged, sender=envelope).why == ("signer_mismatch", "signer_is_not_author")


IMITATING: Final = {
    "display name": 'From: "{o}" <{s}>\r\n',
    "display name with angles": 'From: "<{o}>" <{s}>\r\n',
    "encoded name": "From: {wo} <{s}>\r\n",
    "encoded name in quotes": 'From: "{wo}" <{s}>\r\n',
    "comment in front": "From: ({o}) <{s}>\r\n",
    "comment behind": "From: {s} ({o})\r\n",
    "far in front": 'From: "{o}{far}" <{s}>\r\n',
    "comment in the address": "From: <{s}({o})>\r\n",
    "agency": f'From: "{AGENCY}" <{{s}}>\r\n',
    "agency without accents": 'From: "VAN PHONG TINH THANH HA" <{s}>\r\n',
    "agency and address": f'From: "{AGENCY} ({{o}})" <{{s}}>\r\n',
}


@pytest.mark.parametrize("name", IMITATING)
def test_another_one_in_the_display_name_is_never_what_is_verified(field: Field, name: str) -> None:
    """The signature is the author's own: it is told whose, the reader is warned in the subject, and a rule can act.

    What was verified is named by the certificate; the imitated agency stands in no mark but the warning.
    """
    fields = head(author=STRANGER, name="Van thu")
    good = letter(fields=fields, by=signer(STRANGER))
    field.honest(good)
    own = fields[: fields.index(b"\r\n") + 2]
    found = field.deliver(good.replace(own, written(IMITATING[name], STRANGER, AUTHOR), 1), sender=STRANGER)
    assert "impersonation" in found.notes
    assert found.subject.startswith("[Nghi mạo danh: ")
    assert "Đã xác thực" not in found.subject
    for mark in (*found.all("x-verified-sender"), found.results):
        assert "Công ty Cấp nước" in mark or STRANGER in mark
        assert AUTHOR not in mark.split("Nghi mạo danh", maxsplit=1)[0]
        assert AGENCY not in mark.split("Nghi mạo danh", maxsplit=1)[0]

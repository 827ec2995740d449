"""What a message carries: files under every name, links, marks in any encoding; and limits that hide nothing."""

from __future__ import annotations

import base64
import io
import quopri
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.contents import NOTHING, UNKNOWN_HOST, Attachment, Contents, Marking
from gateway.core.message import Message
from gateway.mime.contents import read_contents
from gateway.mime.entity import parse
from gateway.mime.fields import encode_text
from gateway.mime.sniff import media_type_of
from support.pace import soon

MAT, TUYET = Marking.MAT, Marking.TUYET_MAT
PDF = b"%PDF-1.7\n1 0 obj\n"
SIGNED = PDF + b"<</Type /Sig /Filter /Adobe.PPKLite /ByteRange [0 1 2 3] /Contents <00>>>"


def read(octets: bytes) -> Contents:
    message = Message.of(octets)
    return read_contents(message, parse(message))


def part(kind: str, body: bytes, *fields: str) -> bytes:
    return "\r\n".join((f"Content-Type: {kind}", *fields, "", "")).encode() + body


def mixed(*parts: bytes, kind: str = "mixed", boundary: str = "=_b", subject: bytes = b"x") -> bytes:
    inside = b"".join(f"--{boundary}\r\n".encode() + each + b"\r\n" for each in parts)
    head = b"Subject: " + subject + f'\r\nContent-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'.encode()
    return head + inside + f"--{boundary}--\r\n".encode()


def b64(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


def archive(*names: str) -> bytes:
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w") as made:
        for name in names:
            made.writestr(name, "x")
    return place.getvalue()


def names(contents: Contents) -> set[str]:
    return {each.name for each in contents.attachments}


def types(contents: Contents) -> set[str]:
    return {each.media_type for each in contents.attachments}


@pytest.mark.parametrize(
    "octets",
    [
        b"Subject: x\r\n\r\nhi\r\n",
        b"",
        b"\r\n",
        mixed(part("text/plain", b"hi"), part("text/html", b"<p>hi"), kind="alternative"),
        part("application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", b"x"),
        mixed(part("text/plain", b"x"), part("application/pkcs7-signature; name=smime.p7s", b"x"), kind="signed"),
        mixed(
            part("text/html", b"<img src=cid:l>"),
            part("image/png; name=logo.png", b"\x89PNG\r\n\x1a\nx", "Content-ID: <l>"),
            kind="related",
        ),
    ],
)
def test_nothing_to_see(octets: bytes) -> None:
    """Text, how it is protected, and pictures that belong to its HTML are no attachments."""
    assert read(octets) == NOTHING


def test_one_attachment() -> None:
    """A file is listed with its name, type and octets as transferred."""
    body = b64(b"x" * 100)
    octets = mixed(
        part("text/plain", b"hi"), part("application/zip; name=a.zip", body, "Content-Transfer-Encoding: base64")
    )
    assert read(octets) == Contents((Attachment("a.zip", "application/zip", len(body), False),))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["Content-Disposition: attachment"], {""}),
        (['Content-Disposition: attachment; filename="b.exe"'], {"b.exe"}),
        (["Content-Disposition: inline; filename*=utf-8''B%C3%A1o%20c%C3%A1o.pdf"], {"Báo cáo.pdf"}),
        (["Content-Disposition: attachment; filename*0*=utf-8''B%C3%A1o; filename*1=.pdf"], {"Báo.pdf"}),
        (['Content-Disposition: attachment; filename="=?utf-8?B?QsOhbw==?=.pdf"'], {"Báo.pdf"}),
        (["Content-Disposition: attachment; filename=a.txt; filename=b.exe"], {"a.txt", "b.exe"}),
        (["Content-Disposition: attachment; filename=a.txt; filename*=utf-8''b.exe"], {"a.txt", "b.exe"}),
        (
            ["Content-Disposition: attachment; filename=a.txt", "Content-Disposition: inline; filename=b.exe"],
            {"a.txt", "b.exe"},
        ),
        (["Content-Disposition: ; filename=b.exe"], {"b.exe"}),
        (["Content-Disposition: attachment; filename=Báo cáo.pdf"], {"Báo cáo.pdf"}),
    ],
)
def test_every_name_counts(fields: list[str], expected: set[str]) -> None:
    """Names in any notation are decoded, and of several none is passed over: readers disagree on which one counts."""
    assert expected <= names(read(mixed(part("text/plain", b"x", *fields))))


def test_names_that_differ_between_fields() -> None:
    """A name in Content-Type and another in Content-Disposition are two attachments."""
    octets = mixed(part("application/pdf; name=a.pdf", b"x", "Content-Disposition: attachment; filename=b.exe"))
    assert names(read(octets)) == {"a.pdf", "b.exe"}


def test_a_name_is_cut_in_its_middle() -> None:
    """An endless name keeps its begin and its suffix, and the look counts as not complete."""
    found = read(mixed(part(f"application/pdf; name={'a' * 5000}.exe", b"x")))
    (name,) = names(found)
    assert (len(name), name.endswith(".exe"), found.complete) == (241, True, False)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PDF, "application/pdf"),
        (b"\xef\xbb\xbf\r\n" + PDF, "application/pdf"),
        (archive("a.txt"), "application/zip"),
        (
            archive("[Content_Types].xml", "word/document.xml"),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        (archive("xl/a"), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (b"MZ\x90\x00", "application/vnd.microsoft.portable-executable"),
        (b"\x7fELF\x02", "application/x-executable"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
        (b"#!/bin/sh\n", "application/x-sh"),
    ],
)
def test_a_type_by_content(content: bytes, kind: str) -> None:
    """A file is also what its octets say, whatever it is declared as."""
    octets = mixed(part("image/png; name=a.png", b64(content), "Content-Transfer-Encoding: base64"))
    assert types(read(octets)) == {"image/png", kind}
    assert media_type_of(content) == kind


def test_an_honest_type_stands_once() -> None:
    """A declaration that says what the octets say, or more, adds nothing."""
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    assert types(read(mixed(part("application/msword; name=a.doc", old)))) == {"application/msword"}
    assert types(read(mixed(part("application/vnd.oasis.opendocument.text", archive("a"))))) == {
        "application/vnd.oasis.opendocument.text"
    }


def test_two_declared_types_count_both() -> None:
    """Of two Content-Type fields readers take either."""
    octets = mixed(b"Content-Type: text/plain; name=a\r\nContent-Type: application/x-msdownload\r\n\r\nx")
    assert types(read(octets)) == {"text/plain", "application/x-msdownload"}


@pytest.mark.parametrize("place", [0, 1000, 3 * 1024 * 1024])
@pytest.mark.parametrize("rest", [0, 1, 2, 3, 500_000])
@pytest.mark.parametrize("encoding", ["base64", "binary"])
def test_a_signed_pdf(place: int, rest: int, encoding: str) -> None:
    """A signature's value is found at the begin of a PDF, and near the end of a large one, in any alignment."""
    content = PDF + b"x" * place + SIGNED[len(PDF) :] + b"y" * rest
    body = b64(content) if encoding == "base64" else content
    octets = mixed(part("application/octet-stream; name=a", body, f"Content-Transfer-Encoding: {encoding}"))
    assert all(each.signed_pdf for each in read(octets).attachments)


@pytest.mark.parametrize(
    "content", [PDF, SIGNED.replace(b"/ByteRange", b"/Bytes"), SIGNED.replace(b"/Sig ", b"/Signed "), b""]
)
def test_an_unsigned_pdf(content: bytes) -> None:
    """A PDF without a signature's value is none that is signed."""
    body = b64(content.ljust(20_000, b"x"))
    (found,) = read(mixed(part("application/pdf", body, "Content-Transfer-Encoding: base64"))).attachments
    assert not found.signed_pdf


@pytest.mark.parametrize(
    ("kind", "text", "host"),
    [
        ("plain", "xem https://Dichvu.Songlam.EXAMPLE/a?b.", "dichvu.songlam.example"),
        ("plain", "xem www.songlam.example, nhé", "www.songlam.example"),
        ("plain", "http://ví-dụ.example", "xn--v-d-rma6749a.example"),
        ("html", '<a href="HTTPS://u:p@songlam.example:8443/x">y</a>', "songlam.example"),
        ("html", "<a href = 'https:\\\\songlam.example'>y</a>", "songlam.example"),
        ("html", "<a href=//songlam.example>y</a>", "songlam.example"),
        ("html", '<a href="ht\ntps://songl&#97;m.ex%61mple">y</a>', "songlam.example"),
        ("html", "<p>http://songlam<b>.example</b>/</p>", "songlam.example"),
        ("html", "<map><area shape=rect href=http://songlam.example></map>", "songlam.example"),
    ],
)
def test_links(kind: str, text: str, host: str) -> None:
    """The host of every link that is shown or followed, as a browser reads it: A-labels, no user, no port."""
    assert read(part(f"text/{kind}; charset=utf-8", text.encode())).links == {host}


@pytest.mark.parametrize("text", ["a@songlam.example", "https://", "ftp://songlam.example", "http:songlam"])
def test_what_is_no_link(text: str) -> None:
    """Addresses and other schemes are no web links."""
    assert read(part("text/plain", text.encode())).links == frozenset()


LINE = "Kính gửi\r\nTUYỆT MẬT\r\nNội dung\r\n"


@pytest.mark.parametrize(
    "octets",
    [
        b"Subject: " + encode_text("Tuyệt mật: kế hoạch") + b"\r\n\r\nx",
        "Subject: Tuyệt mật\r\n\r\nx".encode(),
        b"Subject: "
        + "Tuyệt mật".encode().replace("ậ".encode(), b"\xe2\xf2").replace("ệ".encode(), b"\xea\xf2")
        + b"\r\n\r\nx",
        b"Subject: x\r\nSubject: tuyet mat\r\n\r\nx",
        part("text/plain; charset=utf-8", LINE.encode()),
        part("text/plain; charset=utf-8", b64(LINE.encode()), "Content-Transfer-Encoding: base64"),
        part(
            "text/plain; charset=utf-8",
            quopri.encodestring(LINE.encode()),
            "Content-Transfer-Encoding: quoted-printable",
        ),
        part("text/plain; charset=utf-16", b64(LINE.encode("utf-16")), "Content-Transfer-Encoding: base64"),
        part("text/plain; charset=iso-8859-1", LINE.encode()),
        part("text/plain", LINE.encode()),
        part(
            "text/plain; charset=utf-8", b64(b"a") + b64(b"\r\n" + LINE.encode()), "Content-Transfer-Encoding: base64"
        ),
        part("text/plain; charset=utf-8", b"a\r\n" * 28 + b"\r\n" * 50 + "TUYỆT MẬT\r\n".encode()),
        part("text/html; charset=utf-8", b"<p>x</p><div>TUY<b>&#7878;T</b>&nbsp;M&Acirc;&#803;T</div>"),
        part("text/html; charset=utf-8", "<style>x</style><p a'b>TUYỆT MẬT<p c'd>".encode()),
        part("text/html; charset=utf-8", ("<style>" + "x" * 100_000 + "</style><!-- y --><p>TUYỆT<br>MẬT").encode()),
        mixed(part("text/plain", b"x"), part("text/html; charset=utf-8", "TUYỆT MẬT".encode()), kind="alternative"),
        mixed(part("text/plain", b"x"), part("application/pdf; name=tuyet_mat.pdf", b"x")),
        mixed(part("text/plain", b"x"), part("application/pdf; name=a.pdf; name=tuyet_mat.pdf", b"x")),
        mixed(part("text/plain", b"x"), part("message/rfc822", b"Subject: tuyet mat\r\n\r\nx")),
        mixed(part("text/plain", b"x"), part("message/rfc822", b"Subject: x\r\n\r\ntuyet mat")),
        mixed(part("message/rfc822", b64(b"Subject: tuyet mat\n\nx"), "Content-Transfer-Encoding: base64")),
        b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\ntuyet mat\r\n",
    ],
)
def test_marks_are_found_everywhere(octets: bytes) -> None:
    """A mark counts in subjects, first lines and names, in any encoding, in forwarded messages too."""
    found = read(octets)
    assert found.markings == {TUYET}
    assert found.complete


@pytest.mark.parametrize(
    "octets",
    [
        part("text/plain; charset=utf-8", b"a\r\n" * 30 + LINE.encode()),
        mixed(
            part("text/plain", b"x"),
            part("text/plain; charset=utf-8", LINE.encode(), "Content-Disposition: attachment"),
        ),
        part("text/html; charset=utf-8", "<!-- TUYỆT MẬT --><title>TUYỆT MẬT</title><p class='TUYỆT MẬT'>x".encode()),
    ],
)
def test_marks_elsewhere_do_not_count(octets: bytes) -> None:
    """Behind the first lines, in files, and where nobody reads, a mark is not looked for."""
    assert read(octets).markings == frozenset()


@pytest.mark.parametrize(
    "octets",
    [
        part("text/plain", b"x" * (1024 * 1024 + 1)),
        part("text/html", b"<style>" + b"x" * (1024 * 1024) + b"</style>tuyet mat"),
        part("text/plain", b"x", "Content-Transfer-Encoding: x-uuencode"),
        part("text/plain", b"x", "Content-Transfer-Encoding: 7bit", "Content-Transfer-Encoding: base64"),
        part("text/plain", b64(b"a") * 2000, "Content-Transfer-Encoding: base64"),
        part("text/plain", b"=" * 4_000_000, "Content-Transfer-Encoding: base64"),
        b"Subject: " + b"x" * 200_000 + b"\r\nSubject: " + b"x" * 50_000 + b"\r\n\r\n" + b"x" * 20_000,
        mixed(*[part("message/rfc822", b64(b"a: b\n\nx"), "Content-Transfer-Encoding: base64")] * 21),
        mixed(part("application/pdf; " + "; ".join(f"name=n{each}" for each in range(20)), b"x")),
    ],
)
def test_a_limit_hides_no_mark(octets: bytes) -> None:
    """Where text stays unread every mark counts as there, and the look as not complete."""
    found = read(octets)
    assert found.markings == set(Marking)
    assert not found.complete


def test_a_limit_hides_no_link() -> None:
    """Behind the limit of links, or in text that is not read to its end, there may be any host."""
    many = b" ".join(b"http://h%d.example" % each for each in range(3000))
    assert UNKNOWN_HOST in read(part("text/plain", many)).links
    long = read(part("text/plain", b"a\r\n" * 500_000))
    assert (long.links, long.markings, long.complete) == ({UNKNOWN_HOST}, frozenset(), False)


@given(
    st.lists(
        st.sampled_from(
            [
                b"Content-Type: ", b"text/html", b"multipart/mixed; boundary=b", b"message/rfc822", b"application/pdf",
                b"; name=", b"; name*0*=", b'"', b"\r\n", b"\r\n\r\n", b"--b\r\n", b"--b--", b"Subject: ", b"tuyet mat",
                b"Content-Disposition: attachment", b"Content-Transfer-Encoding: base64", b"<a href=", b"//h",
                b"\xff", b"=?", b"'",
            ]
        ),
        max_size=40,
    ).map(b"".join)
)  # fmt: skip
def test_anything_can_be_read(octets: bytes) -> None:
    """No octets make the look fail: a policy always gets its facts."""
    read(octets)


@pytest.mark.parametrize(
    "octets",
    [
        part("text/html", b"<a>" * 350_000),
        part("text/html", b'<a href="//x' * 80_000),
        part("text/html", b"&amp" * 260_000),
        part("text/plain", b"http:/" * 170_000),
        part("text/plain", b"mat " * 260_000),
        mixed(*[part("text/plain", b"mat x " * 5000)] * 300),
        mixed(*[part("application/pdf; " + "name=a;" * 3000, b"x")] * 40),
        mixed(*[part("message/rfc822", b"Subject: " + b"mat " * 1000 + b"\r\n\r\nx")] * 300),
        mixed(*[part("application/pdf", b64(PDF + b"x" * 60_000), "Content-Transfer-Encoding: base64")] * 100),
    ],
    ids=range(9),
)
def test_hostile_messages_take_no_time(octets: bytes) -> None:
    """Whatever a message is made of, the look is over soon."""
    message = Message.of(octets)
    entity = parse(message)
    with soon(5):
        read_contents(message, entity)

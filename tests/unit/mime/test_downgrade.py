"""Raw 8-bit header fields made ASCII (RFC 2047, RFC 2231, RFC 1428): the same to readers, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.message import Message
from gateway.mime.downgrade import downgrade_header
from gateway.mime.fields import decode_text, mailboxes, parameters, read_header


def downgraded(field: bytes) -> bytes | None:
    """Return the whole header section after downgrading, None where an address has no ASCII form."""
    message = Message.of(field + b"\r\n\r\nth\xc3\xa2n\r\n")
    changed = downgrade_header(message, read_header(message))
    if changed is None:
        return None
    octets = changed.octets()
    assert octets.endswith(b"\r\n\r\nth\xc3\xa2n\r\n")
    section = octets[: -len(b"\r\nth\xc3\xa2n\r\n")]
    assert section.isascii()
    assert max(map(len, section.split(b"\r\n"))) <= 998
    return section


def value(section: bytes | None) -> bytes:
    assert section is not None
    (field,) = read_header(Message.of(section + b"\r\n")).fields
    return field.value


@pytest.mark.parametrize(
    "text",
    ["Kết quả", "Re: Kết quả hồ sơ số 17/2026 (bản sao)", "đ" * 400, "a " * 100 + "à", 'à "b" <c@d.example>, e'],
)
def test_unstructured_fields_read_the_same(text: str) -> None:
    """A subject is the same text to every reader."""
    assert decode_text(value(downgraded(f"Subject: {text}".encode()))) == text


def test_ascii_fields_keep_their_octets() -> None:
    """Only fields with such octets change, not even their folding does elsewhere."""
    before = b"Received: a\r\n\t(b)  c\r\nSUBJECT:x \r\nX-B: =?odd\r\n"
    message = Message.of(before + b"X-A: \xc3\xa0\r\n\r\n")
    changed = downgrade_header(message, read_header(message))
    assert changed is not None
    assert changed.octets().startswith(before + b"X-A: =?")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Nguyễn Ánh <a@b.example>", ["Nguyễn Ánh"]),
        ('"Nguyễn, Ánh" <a@b.example>, Lan <c@d.example>', ["Nguyễn, Ánh", "Lan"]),
        ("Lan Ánh Lan <a@b.example>", ["Lan Ánh Lan"]),
        ('Ánh "Tèo" <a@b.example>', ["Ánh Tèo"]),
        ('"Ánh \\"Tèo\\" \\\\" <a@b.example>', ['Ánh "Tèo" \\']),
        ('"A"Ánh <a@b.example>', ["A Ánh"]),
        ('"sếp@b.example" <a@b.example>', ["sếp@b.example"]),
        ("Nhóm: a@b.example, Ánh <c@d.example>;", ["", "Ánh"]),
        ("a@b.example (Ánh)", [""]),
        ("a@b.example (Ánh (Lan) Tèo)", [""]),
        ("a@b.example (x (Ánh (y)) z), Tèo <c@d.example>", ["", "Tèo"]),
        ("a@b.example (Ánh, <x>; \\) Tèo)", [""]),
    ],
)
def test_names_and_comments_read_the_same(text: str, names: list[str]) -> None:
    """In address fields only phrases and comments become words: the mailboxes are the same octets as before."""
    changed = value(downgraded(f"To: {text}".encode()))
    found = mailboxes(changed)
    assert [each.display_name for each in found] == names
    assert [each.mailbox for each in found] == [each.mailbox for each in mailboxes(text.encode())]


@pytest.mark.parametrize(
    "text",
    [
        "ánh@b.example",
        "<ánh@b.example>",
        "Lan <a@ví-dụ.example>",
        "Ánh <a@b.example>, c@ví-dụ.example",
        '"ánh"@b.example',
        'lan."ánh"@b.example',
        '"ánh"@b.example, c@d.example',
        "a@b.example (x), ánh@b.example",
    ],
)
@pytest.mark.parametrize("name", ["From", "to", "Cc", "Reply-To", "Resent-To"])
def test_addresses_are_refused_never_changed(name: str, text: str) -> None:
    """RFC 6532 addresses have no ASCII form: mail to a mailbox nobody named must not be made."""
    assert downgraded(f"{name}: {text}".encode()) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('attachment; filename="Quyết định.pdf"', "filename"),
        ("attachment; filename=Quyết.pdf; size=1", "filename"),
        ('attachment; size=1; filename="Quyết; \\"định\\".pdf"', "filename"),
    ],
)
def test_parameters_read_the_same(text: str, name: str) -> None:
    """Parameters take RFC 2231, not encoded words: readers must not see another file name."""
    changed = value(downgraded(f"Content-Disposition: {text}".encode()))
    assert parameters(changed) == parameters(text.encode())
    assert parameters(changed)[1][name]
    assert b"=?" not in changed


def test_octets_that_are_no_utf8_are_kept() -> None:
    """RFC 1428 3: old charsets are declared unknown; every octet comes back."""
    words = value(downgraded(b"Subject: Th\xf4ng b\xe1o")).split()
    assert all(word.startswith(b"=?unknown-8bit?B?") for word in words)
    assert b"unknown-8bit''%F4" in value(downgraded(b"Content-Type: a/b; name=\xf4"))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=120))
def test_any_text_reads_the_same(text: str) -> None:
    """For every subject that is not ASCII already."""
    if text.isascii() or text.strip(" \t") != text or "=?" in text:
        return
    assert decode_text(value(downgraded(f"Subject: {text}".encode()))) == text


@given(st.lists(st.sampled_from(["à", '"', "\\", "(", ")", "<", ">", ",", "@", " ", "a", ";", ":", "."]), max_size=30))
def test_any_address_field_becomes_ascii_or_is_refused(pieces: list[str]) -> None:
    """However broken a field is, the result is ASCII, one field, or nothing; mailboxes never change."""
    octets = "".join(pieces).encode()
    section = downgraded(b"To: " + octets)
    if section is None or octets.isascii():
        return
    try:
        before = [each.mailbox for each in mailboxes(octets.strip())]
    except Exception:  # noqa: BLE001 - malformed lists have no meaning to keep
        return
    assert [each.mailbox for each in mailboxes(value(section))] == before

"""Headers read by short ways: the same fields, authors and parameters as by the long ones, and the second time too."""

from __future__ import annotations

from inspect import unwrap
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.message import Message
from gateway.mime.fields import Header, MimeError, read_header
from gateway.mime.mailboxes import AddressError, mailbox_list
from gateway.mime.parameters import main_value, parameters, read_parameters

SOUP: Final = st.lists(
    st.sampled_from(
        [
            b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\r\n ", b"\n\t", b":", b"From", b"from:", b"To: ", b"x",
            b"Content-Type:", b"\x0b", b"\x0c", b"\x1c", b"\x1e", b"\x85", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2", b"\0",
        ]
    ),
    max_size=25,
).map(b"".join)  # fmt: skip
HIDDEN: Final = (b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9")
MATTERS: Final = (b"from", b"sender", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id", b"mime-version")


def line_by_line(section: bytes) -> list[bytes]:
    """Return the logical lines of a header section as RFC 5322 2.2.3 has it, one physical line after the other."""
    lone = b"\r" in section.replace(b"\r\n", b"")
    ends = b"\r\n" if lone else b"\n"
    physical = [line + ends for line in section.split(ends)]
    physical[-1] = physical[-1][: -len(ends)]
    logical: list[bytes] = []
    for line in physical:
        if logical and line[:1] in {b" ", b"\t"}:
            logical[-1] += line
        elif line:
            logical.append(line)
    return logical


def hides(line: bytes) -> bool:
    """Return whether a field that matters stands behind one of the odd line ends."""
    for end in HIDDEN:
        for after in line.lower().split(end)[1:]:
            name, colon, _ = after.lstrip(b" \t").partition(b":")
            name = name.rstrip(b" \t")
            if colon and (name in MATTERS or (name.startswith(b"content-") and name[8:].isalpha())):
                return True
    return False


@given(SOUP, st.sampled_from([b"", b"\r\n", b"before: \r\n"]))
def test_fields_are_those_of_a_reader_of_lines(octets: bytes, before: bytes) -> None:
    """Names, places and octets, what is no field, and what hides one: as if line after line were looked at."""
    header = read_header(Message.of(before + octets), len(before))
    section = b"" if octets.startswith(b"\r\n") else octets[: header.stop - len(before)]
    fields, defects, position = [], [], len(before)
    for line in line_by_line(section):
        name, colon, _ = line.partition(b":")
        name = name.rstrip(b" \t")
        if colon and name and all(0x21 <= each <= 0x7E for each in name):
            fields.append((name.decode(), position, position + len(line), line, name.decode().lower()))
            defects += ["hidden_field"] if hides(line) else []
        else:
            defects.append("malformed_header_line")
        position += len(line)
    assert [tuple(each) for each in header.fields] == fields
    assert header.defects == tuple(defects[:10])
    for name in ("From", "to", "CONTENT-TYPE", "x"):
        found = tuple(each for each in header.fields if each.name.lower() == name.lower())
        assert header.all(name) == found
        assert header.first(name) == (found[0] if found else None)


VALUES: Final = st.lists(
    st.sampled_from(
        [
            b"lan@a.example", b"<lan@a.example>", b'"a, b"', b"Lan", b",", b"nhom:", b";", b"<", b">", b"(x)", b" ",
            b"text/plain", b"; charset=utf-8", b'; name="a b"', b"; a*0=x", b"; a*1=y", b"; a=1", b"\xc3\xa1",
            b"=?utf-8?q?L=C3=A0n?=", b"y" * 120,
        ]
    ),
    max_size=7,
).map(b"".join)  # fmt: skip


def listed(value: bytes, *, groups: bool) -> object:
    try:
        return mailbox_list(value, groups=groups)
    except AddressError as error:
        return str(error)


def freshly_listed(value: bytes, *, groups: bool) -> object:
    try:
        return unwrap(mailbox_list)(value, groups=groups)
    except AddressError as error:
        return str(error)


@given(VALUES, st.booleans())
def test_what_is_remembered_is_what_is_read(value: bytes, groups: bool) -> None:  # noqa: FBT001 - drawn
    """Lists and parameters are the same the second time, and nobody who was given them has changed them."""
    assert [listed(value, groups=groups) for _ in range(2)] == [freshly_listed(value, groups=groups)] * 2
    assert listed(value, groups=not groups) == freshly_listed(value, groups=not groups)
    given_first = parameters(value)[1]
    given_first["charset"] = "changed by who was given it"
    assert read_parameters(value) == unwrap(read_parameters)(value)
    assert main_value(value) == read_parameters(value).value


@given(st.integers(990, 1010))
def test_a_header_has_so_many_fields(count: int) -> None:
    """The thousandth is read, one more is refused, wherever they come from."""
    octets = b"a: b\r\n" * count + b"\r\n"
    found: Header | str
    try:
        found = read_header(Message.of(octets))
    except MimeError as error:
        found = error.reason
    assert (found.fields[-1].stop if isinstance(found, Header) else found) == (
        6 * count if count <= 1000 else "too_many_fields"
    )

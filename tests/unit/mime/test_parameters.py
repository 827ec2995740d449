"""Content-Type and its parameters (RFC 2045 5.1, RFC 2231)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime.parameters import parameters, read_parameters


@pytest.mark.parametrize(
    ("value", "name", "found"),
    [
        (b"text/plain", "text/plain", {}),
        (b" Text/PLAIN ", "text/plain", {}),
        (b"text/plain; charset=UTF-8", "text/plain", {"charset": "UTF-8"}),
        (b'a/b;CHARSET="u t f;\\"8\\""; x = y', "a/b", {"charset": 'u t f;"8"', "x": "y"}),
        (b"a/b; x=y;", "a/b", {"x": "y"}),
        (b"a/b;; x=y", "a/b", {"x": "y"}),
        (b"a/b (note); x=y (note) ; z=w (a)(b)", "a/b", {"x": "y", "z": "w"}),
        (b"a/b; x=----=_Part:0/1?", "a/b", {"x": "----=_Part:0/1?"}),
        (b'a/b; x=""', "a/b", {"x": ""}),
        ('a/b; name="Quyết định.pdf"'.encode(), "a/b", {"name": "Quyết định.pdf"}),
        (b"a/b; name*=utf-8'vi'Quy%E1%BA%BFt%20.pdf", "a/b", {"name": "Quyết .pdf"}),
        (b"a/b; name*=iso-8859-1''%E9", "a/b", {"name": "é"}),
        (b'a/b; name*0="mot "; name*1="hai"', "a/b", {"name": "mot hai"}),
        (b'a/b; name*1="hai"; name*0="mot "', "a/b", {"name": "mot hai"}),
        (b"a/b; name*0*=utf-8''%E1%BA; name*1*=%BF; name*2=\"'100%41'\"", "a/b", {"name": "ế'100%41'"}),
        (b"a/b; name*0=x; name*1*=%20y", "a/b", {"name": "x y"}),
        (b"a/b; name*=no-quotes", "a/b", {"name": "no-quotes"}),
        (b"a/b; name=x; name*=utf-8''x", "a/b", {"name": "x"}),
    ],
)
def test_read(value: bytes, name: str, found: dict[str, str]) -> None:
    """Names without case, values with it; quotes, comments, continuations and charsets are taken away."""
    assert parameters(value) == (name, found)
    assert read_parameters(value).defects == ()


@pytest.mark.parametrize(
    ("value", "defect"),
    [
        (b"", "malformed_value"),
        (b"; x=y", "malformed_value"),
        (b'"a/b"', "malformed_value"),
        (b"a/b x", "malformed_parameters"),
        (b"a/b; x", "malformed_parameters"),
        (b"a/b; x=", "malformed_parameters"),
        (b"a/b; =y", "malformed_parameters"),
        (b'a/b; x="y', "malformed_parameters"),
        (b'a/b; x="y"z', "malformed_parameters"),
        (b"a/b; x=y z", "malformed_parameters"),
        (b"a/b; x=y (open", "malformed_parameters"),
        (b'a/b; x="\x00"', "malformed_parameters"),
        (b"a/b" + b";" * 101, "malformed_parameters"),
        (b"a/b; x=1; X=2", "duplicate_parameter"),
        (b"a/b; x=1; x*=utf-8''2", "ambiguous_parameter"),
        (b"a/b; x=1; x*0=2", "ambiguous_parameter"),
        (b"a/b; x*=utf-8''1; x*0=2", "ambiguous_parameter"),
        (b"a/b; x*0=1; x*00=2", "ambiguous_parameter"),
        (b"a/b; x*0=1; x*0*=utf-8''2", "ambiguous_parameter"),
        (b"a/b; x*1=1", "ambiguous_parameter"),
        (b"a/b; x*0=1; x*2=3", "ambiguous_parameter"),
    ],
)
def test_what_readers_disagree_on_is_a_defect(value: bytes, defect: str) -> None:
    """A boundary that two readers see differently shows two messages: the caller must be told."""
    assert defect in read_parameters(value).defects


def test_first_of_two_counts() -> None:
    """The value of a doubled parameter is the first one, the plain form before all others; nothing depends on order."""
    assert parameters(b"a/b; x=1; x=2")[1] == {"x": "1"}
    assert parameters(b"a/b; x*=utf-8''2; x=1")[1] == {"x": "1"}


def test_number_of_parameters_is_bounded() -> None:
    """A hundred are read, and the rest is said to be missing."""
    value = b"a/b" + b"".join(b";p%d=v" % number for number in range(150))
    found = read_parameters(value)
    assert len(found.parameters) == 100
    assert found.defects == ("malformed_parameters",)
    assert read_parameters(b"a/b" + b";x=y" * 90).defects == ("duplicate_parameter",)


@given(st.binary(max_size=300))
def test_never_raises(value: bytes) -> None:
    """Whatever stands there is read as far as it goes."""
    read_parameters(value)
    read_parameters(b"a/b;" + value)

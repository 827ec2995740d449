"""Part trees: read or refused with one fault, exact in their spans, bounded, and the same in any pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.message import Message
from gateway.mime.entity import Entity, parse, parse_under
from gateway.mime.fields import MimeError, author_of, read_header
from support.letters import real_life
from support.pieces import apart

WORDS = st.sampled_from(
    [
        b"\r\n", b"\r\n\r\n", b"\r", b"\n", b" ", b"\t", b"--b", b"--b--", b"--bb", b"--", b":", b";", b'"', b"(",
        b"\\", b"Content-Type: ", b"multipart/mixed; boundary=b", b'multipart/signed; boundary="bb"',
        b"message/rfc822", b"text/plain", b"Content-Transfer-Encoding: base64", b"From: a@b.example", b"From", b"@",
        b"<", b">", b",", b"=?utf-8?Q?", b"?=", b"\xc3\xa0", b"\x00", b"x",
    ]
)  # fmt: skip
SOUP = st.lists(WORDS, max_size=60).map(b"".join)
GRAMMAR = st.recursive(
    st.sampled_from([b"\r\nx\r\n", b"Content-Type: text/html\r\n\r\ny", b"\r\n", b"", b"A: 1\r\n\r\n\xc3\xa0\r\n"]),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from([b"b", b"bb", b"c"]), st.lists(inner, min_size=1, max_size=3)).map(
            lambda made: (
                b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n" % made[0]
                + b"".join(b"--%s\r\n%s\r\n" % (made[0], part) for part in made[1])
                + b"--%s--\r\n" % made[0]
            )
        ),
        inner.map(lambda part: b"Content-Type: message/rfc822\r\n\r\n" + part),
    ),
    max_leaves=8,
)


def tree(message: Message) -> Entity | str:
    try:
        return parse(message)
    except MimeError as error:
        return error.reason


@given(st.one_of(SOUP, GRAMMAR, st.binary(max_size=300), st.sampled_from(sorted(real_life().values()))), st.data())
def test_trees_are_exact_and_independent_of_pieces(octets: bytes, data: st.DataObject) -> None:
    """Nothing but `MimeError` is raised; spans nest and never overlap; however it is cut, the tree is the same."""
    found = tree(Message.of(octets))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=6)))
    pieces = [octets[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
    assert tree(apart(pieces)) == found
    if isinstance(found, str):
        return
    assert (found.start, found.stop) == (0, len(octets))
    for entity in found.walk():
        assert entity.start <= entity.header.stop <= entity.body <= entity.stop
        assert all(octets[field.start : field.stop] == field.raw for field in entity.header.fields)
        position = entity.body
        for child in entity.children:
            assert position <= child.start <= child.stop <= entity.stop
            position = child.stop


@given(st.one_of(SOUP, st.binary(max_size=200)))
def test_authors_of_anything(octets: bytes) -> None:
    """Any header has one author, or says why not; what is no single unambiguous From never names one."""
    header = read_header(Message.of(octets))
    found = author_of(header)
    if not isinstance(found, str):
        lines = octets[: header.stop].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        named = [line for line in lines if line.lower().startswith(b"from:")]
        assert len(header.all("from")) == 1
        assert named
        assert str(found).encode() in octets


HEADS = st.sampled_from(
    [b"", b"Content-Type: multipart/mixed; boundary=b\r\n", b"A: 1\r\nB: 2\r\n", b"Content-Type: x\r\n"]
)


@given(
    st.one_of(SOUP, GRAMMAR, st.sampled_from(sorted(real_life().values()))), HEADS, st.sampled_from(["content-", "-"])
)
def test_a_body_known_already_has_the_same_tree_under_another_header(octets: bytes, head: bytes, keep: str) -> None:
    """Whether its parts are read again or moved: the tree is that of the octets as they stand."""
    known = tree(Message.of(octets))
    if isinstance(known, str):
        return
    kept = b"".join(each.raw for each in known.header.fields if each.key.startswith(keep))
    message = Message.of(head + kept + b"\r\n" + octets[known.body :])
    assert parse_under(message, known) == parse(message)

"""The checker: every mistake at once, in words with a place, and no value it complained about."""

from __future__ import annotations

import pytest

from gateway.core.errors import SetupError
from gateway.yamlcheck import MAX_TEXT, Checker, unknown_key
from gateway.yamltext import Items, Node, Place, Table, read_yaml


def checker(text: str) -> Checker:
    """Return a checker over a document."""
    return Checker(read_yaml("f.yaml", text))


def node(check: Checker, *path: str | int) -> Node:
    """Return the node at a path."""
    current = check.root
    for step in path:
        if isinstance(step, int):
            assert isinstance(current, Items)
            current = current.nodes[step]
        else:
            assert isinstance(current, Table)
            current = next(each.node for each in current.entries if each.key == step)
    return current


def test_reading_mistakes_come_first() -> None:
    """What the reading found is not lost, and `finish` raises all of it in one error."""
    check = checker("a: 007\nb: x")
    check.complain(Place(2, 4), "no good")
    with pytest.raises(SetupError) as caught:
        check.finish()
    assert [each.partition(": ")[0] for each in caught.value.mistakes] == ["f.yaml:1:4", "f.yaml:2:4"]
    checker("a: 1").finish()


def test_a_section_says_what_it_lacks_and_what_it_does_not_know() -> None:
    """Unknown keys stand at their own place with the nearest known one; missing keys at the section's."""
    check = checker("top:\n  nmae: x\n  other: y")
    assert check.table(node(check, "top"), known=("name", "kind", "other"), required=("name", "kind")) is None
    assert check.mistakes == [
        "f.yaml:2:3: unknown key 'nmae', did you mean 'name'?",
        "f.yaml:2:3: key 'name' is missing",
        "f.yaml:2:3: key 'kind' is missing",
    ]
    check = checker("a: 1\nb: 2")
    found = check.table(check.root, known=("a",))
    assert found is not None
    assert list(found) == ["a"]
    assert check.table(node(check, "a"), known=("x", "y")) is None
    assert check.mistakes[1:] == ["f.yaml:1:4: must be a section with keys (x, y)"]


def test_a_hint_is_given_only_where_one_is_near() -> None:
    """A far guess would mislead; an endless key is cut."""
    assert unknown_key("zzz", ("name", "kind")) == "unknown key 'zzz'"
    assert len(unknown_key("x" * 10_000, ("name",))) < 120


@pytest.mark.parametrize("text", ["a: []", "a: x", "a: {b: 1}", "a:"])
def test_a_list_needs_items(text: str) -> None:
    """An empty list means nothing, and "nothing" is never what a rule is about."""
    check = checker(text)
    assert check.items(node(check, "a")) == ()
    assert check.mistakes == ["f.yaml:1:4: must be a list with at least one item"] or text == "a:"
    assert len(check.mistakes) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 7", "must be text: put it in quotes"),
        ("a: true", "must be text: put it in quotes"),
        ("a: [x]", "must be text"),
        ("a: ''", f"must be a text of 1 to {MAX_TEXT} characters"),
        ("a: '   '", f"must be a text of 1 to {MAX_TEXT} characters"),
        (f"a: {'x' * (MAX_TEXT + 1)}", f"must be a text of 1 to {MAX_TEXT} characters"),
        ('a: "x\\r\\nBcc: y"', "holds line breaks or control characters"),
        ('a: "x\\x1b[31m"', "holds line breaks or control characters"),
        ('a: "x\\u2028y"', "holds line breaks or control characters"),
        ('a: "x\\ud800y"', "holds line breaks or control characters"),
        ('a: "x\\x85y"', "holds line breaks or control characters"),
    ],
)
def test_a_text_is_one_line(text: str, words: str) -> None:
    """A text may stand in an SMTP reply or a header field: no line ends, no control characters, not endless."""
    check = checker(text)
    assert check.text(node(check, "a")) is None
    assert [each.partition(": ")[2] for each in check.mistakes] == [words]


def test_texts_take_one_or_many() -> None:
    """One word needs no list; in a list every wrong item is told, and the right ones are returned."""
    check = checker("a: x\nb: [' y ', 7, z]")
    assert [text for text, _ in check.texts(node(check, "a"))] == ["x"]
    assert check.texts(node(check, "b")) == (("y", Place(2, 5)), ("z", Place(2, 15)))
    assert check.mistakes == ["f.yaml:2:12: must be text: put it in quotes"]


def test_choices_and_flags() -> None:
    """A choice is one of its words, a flag true or false; `on` is neither."""
    check = checker("a: hold\nb: hodl\nc: on\nd: true\ne: 1")
    words = ("hold", "refuse")
    assert check.choice(node(check, "a"), words) == "hold"
    assert check.choice(node(check, "b"), words) is None
    assert check.flag(node(check, "c")) is None
    assert check.flag(node(check, "d")) is True
    assert check.flag(node(check, "e")) is None
    assert check.mistakes == [
        "f.yaml:2:4: must be one of: hold, refuse, did you mean 'hold'?",
        "f.yaml:3:4: must be true or false",
        "f.yaml:5:4: must be true or false",
    ]


def test_mailboxes_and_domains_become_their_keys() -> None:
    """What is compared later is stored as it is compared; what is neither is told with its place."""
    check = checker("a: x")
    assert check.mailbox("Lan@SO.Example", Place(1, 1)) == "lan@so.example"
    assert check.domain("Bücher.Example", Place(1, 1)) == "xn--bcher-kva.example"
    assert check.mailbox("lan", Place(3, 4)) is None
    assert check.domain("a b", Place(5, 6)) is None
    assert check.mistakes == ["f.yaml:3:4: not a mailbox: 'lan'", "f.yaml:5:6: not a mail domain: 'a b'"]

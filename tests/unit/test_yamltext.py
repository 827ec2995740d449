"""YAML read with places: what it makes of words and numbers, what it refuses, and that nothing else ever comes out."""

from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import SetupError
from gateway.yamltext import MAX_CHARACTERS, MAX_DEPTH, MAX_NODES, Place, Scalar, plain, read_yaml


def value(text: str) -> object:
    """Return the plain value of a document without mistakes."""
    document = read_yaml("f.yaml", text)
    assert document.mistakes == ()
    return plain(document.root)


def refusal(text: str) -> tuple[str, ...]:
    """Return the mistakes of a document that cannot be read."""
    with pytest.raises(SetupError) as caught:
        read_yaml("f.yaml", text)
    return caught.value.mistakes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(
            (word, word)
            for word in ("yes", "no", "on", "off", "y", "N", "On", "NO", "trUe", "nUll", "12:30:45", "1_000", "0b1")
        ),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        *((word, None) for word in ("", "~", "null", "Null", "NULL")),
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("'true'", "true"),
        ('"7"', "7"),
        ("'on'", "on"),
        ("2026-11-24", "2026-11-24"),
        ("=", "="),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("\ufeffa: 1", {"a": 1}),
        ("[a, {b: [1]}]", ["a", {"b": [1]}]),
    ],
)
def test_the_core_schema_and_nothing_more(text: str, expected: object) -> None:
    """Words stay words: only YAML 1.2's true, false, null and numbers are anything else, and quotes make text."""
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 007", "1:4", "leading zeros"),
        ("a: -00", "1:4", "leading zeros"),
        ("a: 1234567890123456789", "1:4", "too many digits"),
        ("a: 0x" + "f" * 17, "1:4", "too many digits"),
        ("a:\n  - .inf", "2:5", "infinite"),
        ("a: .nan", "1:4", "infinite"),
        ("a: 1e999", "1:4", "infinite"),
        ("a: 1\nb: 2\na: 3", "3:1", "key 'a' stands here again; it is first at line 1"),
        ("x: {a: 1, 'a': 2}", "1:11", "key 'a' stands here again"),
        ("1: a", "1:1", "a key must be text"),
        ("true: a", "1:1", "a key must be text"),
        (": a", "1:1", "a key must be text"),
        ("a: &b {c: 1}\nd:\n  <<: *b", "3:3", "merge keys"),
    ],
)
def test_mistakes_that_do_not_stop_the_reading(text: str, place: str, words: str) -> None:
    """What is wrong in one value is noted at its place, and the rest is read, so that all mistakes show in one run."""
    document = read_yaml("f.yaml", text + "\nzz: 010")
    assert len(document.mistakes) == 2
    assert document.mistakes[0].startswith(f"f.yaml:{place}: ")
    assert words in document.mistakes[0]


def test_the_first_of_two_equal_keys_stays() -> None:
    """A doubled key is a mistake, and never silently the last one."""
    assert plain(read_yaml("f", "a: 1\na: 2").root) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: !!python/object/apply:os.system [x]", "1:4", "tags"),
        ("a: !!int '7'", "1:4", "tags"),
        ("- !local {a: 1}", "1:3", "tags"),
        ("!!binary x", "1:1", "tags"),
        ("a: ! 7", "1:4", "tags"),
        ("! [a]", "1:1", "tags"),
        ("a: 1\n---\nb: 2", "2:1", "a second document"),
        ("%YAML 1.1\n---\na: on", "2:1", "directives"),
        ("%TAG ! tag:x,2000:\n---\na: 1", "2:1", "directives"),
        ("a: *b", "1:4", "*b repeats"),
        ("a: &b [1, *b]", "1:11", "*b repeats"),
        ("? [a, b]\n: c", "1:3", "a key must be one word"),
        ("? {a: b}\n: c", "1:3", "a key must be one word"),
        ("a: [1, 2", "1:9", "not valid YAML"),
        ("a: 'x\nb: c\n", "1:4", "unexpected end of stream while scanning a quoted scalar"),
        ("a: 'x\nb: 'y'\n", "2:5", "is the quote of line 1, column 4 closed on its line?"),
        ('- a: "x\n  b: 1\n- c: "y"\n', "3:7", "is the quote of line 1, column 6 closed on its line?"),
        ("a: b: c", "1:5", "not valid YAML"),
        ("a:\n\t- b", "2:1", "not valid YAML"),
        ("a: x\x07y", "1:5", "control character"),
        ("ok: 1\na: x\u202ey", "2:5", "direction control"),
        ("# \u2066", "1:3", "direction control"),
    ],
)
def test_what_ends_the_reading(text: str, place: str, words: str) -> None:
    """Tags, directives, second documents, dangling aliases, invisible characters: refused with their place."""
    (mistake,) = refusal(text)
    assert mistake.startswith(f"f.yaml:{place}: ")
    assert words in mistake


def test_earlier_mistakes_are_told_with_the_one_that_ends_the_reading() -> None:
    """An administrator sees both."""
    first, second = refusal("a: 007\nb: !!x 1")
    assert first.startswith("f.yaml:1:4: a number")
    assert second.startswith("f.yaml:2:4: tags")


def nested(depth: int) -> str:
    """Return a list in a list in a list."""
    return "[" * depth + "]" * depth


def test_depth_is_bounded() -> None:
    """32 levels are read, 33 refused, and 20,000 brackets are refused as soon."""
    assert value(nested(MAX_DEPTH)) is not None
    for text in (nested(MAX_DEPTH + 1), "[" * 20_000, "{a: " * 20_000, "- " * 5_000 + "a"):
        (mistake,) = refusal(text)
        assert f"nested deeper than {MAX_DEPTH} levels" in mistake


def test_depth_is_bounded_through_aliases() -> None:
    """An alias brings the height of what it repeats: depth cannot be hidden behind a name."""
    half = MAX_DEPTH // 2
    inside = f"- &a {nested(half)}\n- " + "[" * (half - 1) + "*a" + "]" * (half - 1)
    assert value(inside) is not None
    (mistake,) = refusal(f"- &a {nested(half)}\n- " + "[" * half + "*a" + "]" * half)
    assert "nested deeper" in mistake


def test_the_number_of_values_is_bounded_through_aliases() -> None:
    """Ten lines that stand for a billion values ("billion laughs") are refused, and so are very many real ones."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (mistake,) = refusal("\n".join(lines))
    assert mistake.startswith("f.yaml:5:")
    assert f"more than {MAX_NODES} values" in mistake
    (mistake,) = refusal("[" + "a," * (MAX_NODES + 1) + "]")
    assert f"more than {MAX_NODES} values" in mistake


def test_size_is_bounded() -> None:
    """More than a mebi of characters is not even looked at."""
    (mistake,) = refusal("#" * (MAX_CHARACTERS + 1))
    assert "longer than" in mistake
    assert value("#" * MAX_CHARACTERS) is None


def test_an_alias_is_the_same_value() -> None:
    """Repeating by name works for lists and words."""
    assert value("a: &x [1]\nb: *x\nc: &y 7\nd: *y") == {"a": [1], "b": [1], "c": 7, "d": 7}


def test_places() -> None:
    """Lines and columns count from 1, columns in characters; a key's place is where it begins."""
    document = read_yaml("f.yaml", "đơn vị: 1\nb:\n  - x\n  - {c: 'd'}\n")
    assert document.find(["b", 1, "c"]) == (Scalar("d", Place(4, 9)), Place(4, 6))
    assert document.find(["b", 0]) == (Scalar("x", Place(3, 5)), Place(3, 5))
    assert document.find(["b", 7])[1] == Place(2, 1)  # the deepest that exists
    assert document.find(["b", "c"])[1] == Place(2, 1)
    assert document.find([])[1] == Place(1, 1)
    assert document.at(Place(2, 3), "no") == "f.yaml:2:3: no"


SOUP = st.text(st.sampled_from("ab1.:-?[]{}&*!|>'\"%#,~<=\n \t\x00\x85\u2028\ud800é@`"), max_size=60)


@given(SOUP)
def test_whatever_is_read_ends_in_a_document_or_a_setup_error(text: str) -> None:
    """The scanner's own faults on odd input never come out; every mistake begins with its place."""
    mistakes: tuple[str, ...] = ()
    try:
        document = read_yaml("f.yaml", text)
    except SetupError as error:
        mistakes = error.mistakes or ("none given",)
    else:
        mistakes = document.mistakes
        plain(document.root)
    assert all(re.match(r"f\.yaml:[1-9]\d*:[1-9]\d*: .", each) for each in mistakes)


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(TREES)
def test_json_is_read_as_it_was_written(tree: object) -> None:
    """JSON is YAML: every tree of values comes back, floats to the last bit."""
    found = value(json.dumps(tree))
    assert found == tree
    assert not isinstance(tree, float) or math.copysign(1, tree) == math.copysign(1, found)  # type: ignore[arg-type]

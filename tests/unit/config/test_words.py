"""The types' own mistakes in words: each kind has its sentence, and the nearest key is offered."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.config.model import HopLogin, Settings
from gateway.config.words import fields_at, in_words


class Inner(BaseModel):
    """A section."""

    model_config = ConfigDict(extra="forbid")
    number: int = Field(default=1, ge=1, le=9)
    share: float = Field(default=0.5, gt=0, lt=1)


class Outer(BaseModel):
    """A section with sections."""

    model_config = ConfigDict(extra="forbid")
    inner: Inner | None = None
    many: tuple[Inner, ...] = Field(default=(Inner(),), min_length=1, max_length=2)
    flag: bool = False
    word: Literal["one", "two", "three"] = "one"
    text: str = ""


def told(**values: Any) -> list[str]:
    """Return the sentences for some wrong values."""
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(values, strict=True)
    return [in_words(each, Outer) for each in caught.value.errors()]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"flag": "on"}, "'flag' must be true or false"),
        ({"text": 7}, "'text' must be text: put it in quotes"),
        ({"word": "four"}, "'word' must be one of: one, two, three"),
        ({"inner": 7}, "'inner' must be a section with keys"),
        ({"inner": {"number": "x"}}, "'number' must be a whole number"),
        ({"inner": {"number": 0}}, "'number' must be at least 1"),
        ({"inner": {"number": 10}}, "'number' must be at most 9"),
        ({"inner": {"share": 0}}, "'share' must be greater than 0.0"),
        ({"inner": {"share": 1.0}}, "'share' must be less than 1.0"),
        ({"inner": {"numbre": 1}}, "unknown key 'numbre', did you mean 'number'?"),
        ({"many": ()}, "'many' needs at least 1 item(s)"),
        ({"many": ({}, {}, {})}, "'many' takes at most 2 item(s)"),
        ({"many": 7}, "'many' must be a list: one item per line with '- ', or [a, b]"),
        ({"many": ({}, {"x": 1})}, "unknown key 'x'"),
        ({"oops": 1}, "unknown key 'oops'"),
    ],
)
def test_sentences(values: dict[str, Any], wanted: str) -> None:
    """Every kind of mistake is a sentence about its key."""
    assert told(**values) == [wanted]


def test_a_missing_key_is_named() -> None:
    """What is required and not there is named."""
    with pytest.raises(ValidationError) as caught:
        HopLogin.model_validate({"user": "x"})
    assert [in_words(each, HopLogin) for each in caught.value.errors()] == ["key 'password' is missing"]


def test_an_unknown_kind_of_mistake_still_has_words() -> None:
    """A future version of the types must not break the telling, nor repeat the value."""
    sentence = in_words({"type": "brand_new", "loc": ("x",), "msg": "secret", "input": "secret"}, Outer)
    assert sentence == "'x' is not what belongs here"


def test_keys_of_a_section_by_its_place() -> None:
    """The nearest key is looked for in the section where the mistake stands, in lists and alternatives too."""
    assert fields_at(Outer, ()) == ("inner", "many", "flag", "word", "text")
    assert fields_at(Outer, ("inner",)) == ("number", "share")
    assert fields_at(Outer, ("many", 3)) == ("number", "share")
    assert fields_at(Outer, ("flag", "x")) == ()
    assert fields_at(Outer, ("nothing", "x")) == ()
    assert "passphrase" in fields_at(Settings, ("keys", 0))
    assert fields_at(Settings, ("hops", 0, "login")) == ("user", "password")

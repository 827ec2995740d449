"""How senders may ask for a signature, or decline one: subject words and a header field."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from gateway.config.base import Strict
from gateway.core.unicode import normalized

_MOST: Final = 64
_FIELD: Final = re.compile(r"[Xx]-[A-Za-z0-9-]{1,60}")


def _word(text: str) -> str:
    """Check a subject word: one line, and not made of letters and digits only, so that no sentence ends in it."""
    if not text.isprintable() or text != text.strip() or not text or len(text) > _MOST:
        raise ValueError(f"a subject word is one line of at most {_MOST} characters, without blanks around it")
    if text.replace(" ", "").isalnum():
        raise ValueError('a subject word needs a sign such as "!" or brackets: ordinary subjects end in plain words')
    if "\ufffd" in text or any(unicodedata.category(each) == "Cf" for each in text):
        raise ValueError("a subject word has no invisible characters")
    return text


def _field(text: str) -> str:
    if not _FIELD.fullmatch(text):
        raise ValueError("the field's name begins with X- and has letters, digits and - only")
    if text.lower().startswith(("x-gateway-", "x-verified-")):
        raise ValueError("fields of this name are taken off all mail before anybody reads them: choose another")
    return text


SubjectWord = Annotated[str, AfterValidator(_word)]
FieldName = Annotated[str, AfterValidator(_field)]


class WishSettings(Strict):
    """What an authenticated local sender may write to ask for a signature or to decline one."""

    ask: Annotated[tuple[SubjectWord, ...], Field(max_length=20)] = ()
    """Words at the begin or the end of a subject; case and blanks do not count."""
    decline: Annotated[tuple[SubjectWord, ...], Field(max_length=20)] = ()
    field: FieldName | None = None
    """A header field with the value yes (ask) or no (decline)."""

    @model_validator(mode="after")
    def _clear(self) -> WishSettings:
        if not (self.ask or self.decline or self.field):
            raise ValueError("give ask, decline or field")
        both = {key_of(each) for each in self.ask} & {key_of(each) for each in self.decline}
        if both:
            raise ValueError(f"{', '.join(sorted(both))} cannot both ask and decline")
        return self


def key_of(text: str) -> str:
    """Return text as wishes are compared: compatibility-composed, case-folded, without blanks."""
    return "".join(normalized("NFKC", normalized("NFKC", text).casefold()).split())

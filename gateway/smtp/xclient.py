"""XCLIENT as Postfix speaks it: the address of the client that a listed host passes mail on for.

Only the address is taken. A login is not: nobody is logged in here by another's word.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.core.errors import InputError
from gateway.smtp import replies
from gateway.smtp.presence import plain_address

XCLIENT_ATTRIBUTES: Final = ("NAME", "ADDR", "PORT", "PROTO", "HELO")
"""What is offered; all but ADDR is taken and ignored."""
_UNKNOWN: Final = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_WORD: Final = re.compile(r"([A-Za-z]{1,16})=([\x21-\x7e]{1,255})")


def parse_xclient(argument: str) -> str | None:
    """Return the IP address that is given, None if none is; raises `InputError`."""
    words = [_WORD.fullmatch(each) for each in argument.split(" ") if each]
    given = {each[1].upper(): each[2] for each in words if each is not None}
    if not given or None in words or not given.keys() <= set(XCLIENT_ATTRIBUTES):
        raise InputError("unfit_xclient", replies.UNFIT_XCLIENT)
    text = given.get("ADDR", "[UNAVAILABLE]")
    if text.upper() in _UNKNOWN:
        return None
    if text[:5].upper() == "IPV6:":
        text = text[5:]
    try:
        return plain_address((text, 0))
    except ValueError as error:
        raise InputError("unfit_xclient", replies.UNFIT_XCLIENT) from error

"""Whatever stands in a header: who is let through as one author is that author to every other reader, too."""

from __future__ import annotations

import email
import email.policy
import email.utils
import re
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.address import Mailbox
from gateway.core.envelope import Envelope, Recipient
from gateway.core.message import Message
from gateway.core.received import Arrival, Client, Submission, Submitter
from gateway.mime.fields import MimeError
from gateway.service.arrivals import open_arrival
from gateway.service.authorship import Authorship, authorship_of
from gateway.service.senders import STRICT
from support.examples import examples
from support.letters import BINH, LAN, NOW

PIECES: Final = (
    LAN,
    BINH,
    f"<{LAN}>",
    f"<{BINH}>",
    "Lan",
    '"Lan"',
    f'"{BINH}"',
    f"({BINH})",
    f"=?utf-8?q?{BINH.replace('@', '=40')}?=",
    f"=?utf-8?q?=3C{BINH.replace('@', '=40')}=3E?=",
    "=?utf-8?b?",
    "?=",
    '"',
    "\\",
    "(",
    ")",
    "<",
    ">",
    ",",
    ";",
    ":",
    "@",
    ".",
    " ",
    "\t",
    "\r\n ",
    "nhom:",
    "\u200b",
    "\uff20",
    "á",
)
VALUES: Final = st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join)
SHOWN: Final = st.tuples(VALUES, st.sampled_from(["{}", f"{{}}<{LAN}>", f"<{LAN}>{{}}"])).map(
    lambda it: it[1].format(it[0])
)
"""Most of them around an address that is allowed: what is let through should not be rare."""
NAMES: Final = st.sampled_from(
    ["From", "from", "From ", "From\t", "Sender", "X-From", "Fr\u043em", " From", "Resent-From"]
)
HEADS: Final = st.lists(st.tuples(NAMES, SHOWN), min_size=1, max_size=3)
FINDS: Final = re.compile(r"[\w.+-]+@[\w.-]+\w")


def let_through(message: bytes) -> bool:
    """Return whether a login that has Lan's address only may send the message."""
    envelope = Envelope(Mailbox.parse(LAN), (Recipient(Mailbox.parse("mai@congdan.example")),))
    arrival = Arrival("t1", NOW, Client("x", "127.0.0.1", "may", "ESMTPSA"), envelope, Message.of(message))
    submission = Submission(arrival, Submitter("lan", frozenset({LAN})))
    try:
        return isinstance(authorship_of(STRICT, submission, open_arrival(Message.of(message))), Authorship)
    except MimeError:
        return False


def others_see(message: bytes) -> set[str]:
    """Return every address that other readers take for one of From, Sender or Resent-From, by three ways of reading."""
    found: set[str] = set()
    for policy in (email.policy.default, email.policy.compat32):
        parsed = email.message_from_bytes(message, policy=policy)
        for name in ("From", "Sender", "Resent-From"):
            try:
                values = parsed.get_all(name, [])
            except Exception:  # noqa: BLE001 - that parser's own faults on odd names; the other one is asked, too
                values = []
            for value in values:
                text = str(value)
                found |= {each for _, each in email.utils.getaddresses([text]) if "@" in each}
                found |= {each.addr_spec for each in getattr(value, "addresses", ()) if "@" in each.addr_spec}
    return {match for each in found for match in FINDS.findall(each)}


@settings(max_examples=examples(600))
@given(HEADS)
def test_other_readers_see_nobody_else(head: list[tuple[str, str]]) -> None:
    """Python's two parsers and its lenient list of addresses find no address but Lan's in what was let through."""
    message = "".join(f"{name}: {value}\r\n" for name, value in head).encode() + b"Subject: x\r\n\r\nNgan.\r\n"
    if let_through(message):
        assert {each.lower() for each in others_see(message)} <= {LAN}, message


@given(VALUES)
def test_a_second_from_is_never_let_through(value: str) -> None:
    """Whatever it holds, and whichever comes first."""
    for fields in (f"From: {LAN}\r\nFrom: {value}\r\n", f"From: {value}\r\nFrom: {LAN}\r\n"):
        assert not let_through(f"{fields}Subject: x\r\n\r\nNgan.\r\n".encode())


def test_the_letters_of_these_tests_can_pass() -> None:
    """The properties above are not true because nothing is ever let through."""
    assert let_through(f'From: "Lan" <{LAN}>\r\nSender: {LAN}\r\n\r\nx\r\n'.encode())
    assert others_see(f"From: Lan <{BINH}>\r\n\r\nx\r\n".encode()) == {BINH}

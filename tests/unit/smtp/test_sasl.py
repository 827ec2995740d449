"""AUTH PLAIN and LOGIN as exchanges: every way a client may go, and nothing telling in what is left behind."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import InputError
from gateway.smtp.auth.sasl import MECHANISMS, parse_auth

PASSWORD = "mật-khẩu".encode()


def b64(octets: bytes) -> str:
    """Return base64."""
    return base64.b64encode(octets).decode()


def credentials(argument: str, *answers: bytes | str) -> tuple[str, bytes]:
    """Go through an exchange and return what it found; every answer must be asked for."""
    exchange = parse_auth(argument)
    for each in answers:
        assert exchange.challenge is not None
        exchange.answer(each.encode() if isinstance(each, str) else each)
    assert exchange.challenge is None
    return exchange.credentials()


def refusal(argument: str, *answers: bytes | str) -> str:
    """Return code and status of the refusal."""
    with pytest.raises(InputError) as caught:
        credentials(argument, *answers)
    assert caught.value.reply is not None
    assert caught.value.__cause__ is None, "the cause would quote the response"
    return f"{caught.value.reply.code} {caught.value.reply.status}"


def test_plain() -> None:
    """With an initial response or without one; the authorization identity is empty or the login itself."""
    response = b64(b"\0lan\0" + PASSWORD)
    assert credentials(f"PLAIN {response}") == ("lan", PASSWORD)
    assert credentials(f"plain {response}") == ("lan", PASSWORD)
    assert credentials("PLAIN", response) == ("lan", PASSWORD)
    assert credentials("PLAIN", b64(b"lan\0lan\0" + PASSWORD)) == ("lan", PASSWORD)


def test_login() -> None:
    """Two prompts in the words old clients look for, the first answered at once if the client likes."""
    exchange = parse_auth("LOGIN")
    assert str(exchange.challenge) == f"334 {b64(b'Username:')}"
    exchange.answer(b64(b"lan").encode())
    assert str(exchange.challenge) == f"334 {b64(b'Password:')}"
    exchange.answer(b64(PASSWORD).encode())
    assert exchange.credentials() == ("lan", PASSWORD)
    assert credentials(f"LOGIN {b64(b'lan')}", b64(PASSWORD)) == ("lan", PASSWORD)


@pytest.mark.parametrize(
    ("argument", "answers", "answer"),
    [
        ("", (), "504 5.5.4"),
        ("CRAM-MD5", (), "504 5.5.4"),
        ("PLAINX", (), "504 5.5.4"),
        ("PLAIN =", (), "501 5.5.2"),
        ("PLAIN !!", (), "501 5.5.2"),
        ("PLAIN", ("*",), "501 5.7.0"),
        ("LOGIN", ("*",), "501 5.7.0"),
        ("LOGIN", (b64(b"lan"), "*"), "501 5.7.0"),
        ("PLAIN", (b"\xff",), "501 5.5.2"),
        ("PLAIN", (b64(b"lan"),), "501 5.5.2"),
        ("PLAIN", (b64(b"lan\0x"),), "501 5.5.2"),
        ("PLAIN", (b64(b"\0lan\0a\0b"),), "501 5.5.2"),
        ("PLAIN", (b64(b"mai\0lan\0x"),), "535 5.7.8"),
        ("PLAIN", (b64(b"\0\0x"),), "535 5.7.8"),
        ("PLAIN", (b64(b"\0la\nn\0x"),), "535 5.7.8"),
        ("PLAIN", (b64(b"\0la\x1bn\0x"),), "535 5.7.8"),
        ("PLAIN", (b64(b"\0" + b"x" * 256 + b"\0x"),), "535 5.7.8"),
        ("PLAIN", (b64(b"\0\xff\0x"),), "501 5.5.2"),
        ("LOGIN =", (b64(b"x"),), "535 5.7.8"),
        ("LOGIN", (b64(b"la\0n"), b64(b"x")), "535 5.7.8"),
    ],
)
def test_exchanges_that_end_badly(argument: str, answers: tuple[bytes | str, ...], answer: str) -> None:
    """Each is refused with its class; nobody may act for another, and a login is a short line of text."""
    assert refusal(argument, *answers) == answer


def test_an_empty_password_is_handed_on_as_it_is() -> None:
    """Whether it fits is decided in one place, where empty ones never do."""
    assert credentials("PLAIN", b64(b"\0lan\0")) == ("lan", b"")
    assert credentials("LOGIN", b64(b"lan"), b"") == ("lan", b"")


def test_an_exchange_shows_nothing() -> None:
    """Its representation may reach a log in a traceback."""
    for name in MECHANISMS:
        exchange = parse_auth(f"{name} {b64(PASSWORD)}")
        assert b64(PASSWORD) not in repr(exchange)
        assert not hasattr(exchange, "__dict__")


@given(st.sampled_from(sorted(MECHANISMS)), st.lists(st.binary(max_size=30), min_size=2, max_size=2))
def test_any_answers_are_read_or_refused(name: str, answers: list[bytes]) -> None:
    """No response is a fault."""
    exchange = parse_auth(name)
    try:
        for each in answers:
            if exchange.challenge is not None:
                exchange.answer(each)
        login, _ = exchange.credentials()
    except InputError as error:
        login = "refused"
        assert error.reply is not None  # noqa: PT017 - either way is right
    assert login

"""What a message is known to be since it came changes nothing but the time it takes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import InputError
from gateway.core.message import SMALL, Message
from gateway.core.octets import MemoryBuilder, MemorySource
from gateway.mime.entity import parse
from gateway.mime.transfer import CannotEncode, seven_bit
from gateway.smtp.data import DataScanner, DataSink
from support.examples import examples

FILE = b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUJDRA==\r\n" * (SMALL // 8)
TEXT = b"Content-Type: text/plain; charset=utf-8\r\n"
LINES = st.lists(
    st.sampled_from(
        ["Kính gửi quý cơ quan".encode(), b"From me", b".", b"blank ", b"", b"x" * 998, b"y" * 999, b"plain", b"--"]
    ),
    max_size=6,
)
PARTS = st.lists(
    st.one_of(
        st.just(FILE),
        st.just(FILE + "\u1eadt\r\n".encode()),
        st.just(b"Content-Type: application/pdf\r\n\r\n" + b"%PDF plain\r\n" * 4000),
        LINES.map(lambda lines: TEXT + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + b"\r\n".join(lines)),
        LINES.map(lambda lines: TEXT + b"\r\n" + b"\r\n".join(lines) + b"\r\n"),
    ),
    min_size=1,
    max_size=4,
)


def outcome(message: Message) -> bytes | str:
    """Return the message made 7-bit safe, or why it cannot be."""
    try:
        return seven_bit(message, parse(message), new_builder=MemoryBuilder).octets()
    except CannotEncode as error:
        return str(error)


@settings(max_examples=examples(60), deadline=None)
@given(PARTS, st.integers(1000, 70_000))
def test_what_is_known_of_octets_is_so(parts: list[bytes], size: int) -> None:
    """Received in whatever blocks, a message is made 7-bit safe as one of which nothing is known."""
    head = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=x"\r\n\r\n'
    octets = head + b"".join(b"--=x\r\n" + each + b"\r\n" for each in parts) + b"--=x--\r\n"
    sink, scanner, rest = DataSink(MemoryBuilder(), limit=10**8), DataScanner(), None
    sent = octets.replace(b"\r\n.", b"\r\n..") + b".\r\n"
    for start in range(0, len(sent), size):
        content, rest = scanner.feed(sent[start : start + size])
        sink.take(content)
    assert rest == b""
    try:
        message = sink.finish()
    except InputError:
        raise AssertionError(octets[:200]) from None
    assert message.octets() == octets
    for known in (message, Message.join(("Nơi gửi: x\r\n".encode(), message))):  # as when our trace field is put on
        for each in parse(known).walk():
            body = known.slice(each.body, each.stop)
            if body.seven_bit:
                assert body.octets().isascii()
        assert outcome(known) == outcome(Message.from_source(MemorySource(known.octets())))

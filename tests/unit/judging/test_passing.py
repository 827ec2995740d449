"""Messages on their way to a judge's process: large ones by a descriptor that nobody can write by."""

from __future__ import annotations

import os
import socket

import pytest

from gateway.config.model import SpoolSettings
from gateway.core.message import Message
from gateway.core.octets import WINDOW
from gateway.judging.passing import REQUEST, parcel, receive, unparcel
from gateway.spool.bodies import SpoolBodies


def large(tmp_path: object) -> Message:
    builder = SpoolBodies(SpoolSettings(directory=tmp_path, min_free=0)).builder(2**30)  # type: ignore[arg-type]
    for number in range(40_000):
        builder.write(b"line %09d\r\n" % number)
    return Message.from_source(builder.finish())


def test_a_large_body_arrives_by_its_file(tmp_path: object) -> None:
    """Spans of it and octets between them come together again, without a copy of the file."""
    body = large(tmp_path)
    sent = parcel(Message.join((body.slice(0, 300_000), body.slice(400_000, 500_000))))
    assert (len(sent.files), sent.octets) == (1, b"")
    there = unparcel(sent.pieces, b"", tuple(map(os.dup, sent.files)))
    sent.close()
    assert there.octets() == body.read(0, 300_000) + body.read(400_000, 500_000)


def test_what_is_passed_cannot_be_written(tmp_path: object) -> None:
    """Whoever takes the process over cannot change the message that was judged."""
    sent = parcel(large(tmp_path))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pwrite(sent.files[0], b"forged", 0)
    sent.close()


def test_large_octets_in_memory_are_passed_by_a_file_too() -> None:
    """One copy, into memory without a name, that cannot be written either."""
    message = Message.join((b"a" * WINDOW, b"b" * 10))
    sent = parcel(message)
    assert (len(sent.files), sent.octets) == (1, b"")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pwrite(sent.files[0], b"forged", 0)
    assert unparcel(sent.pieces, b"", sent.files).octets() == message.octets()


def test_a_small_message_goes_along() -> None:
    """No descriptor for what is small."""
    sent = parcel(Message.of(b"From: a\r\n\r\n"))
    assert (sent.files, sent.octets) == ((), b"From: a\r\n\r\n")
    assert unparcel(sent.pieces, sent.octets, ()).octets() == b"From: a\r\n\r\n"


def test_a_request_in_pieces_is_read_whole() -> None:
    """Words, octets and descriptors arrive however the socket cuts them; a closed socket is the end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        descriptor = os.memfd_create("x")
        octets = REQUEST.pack(2, 3) + b"{}abc"
        socket.send_fds(ours, [octets[:3]], [descriptor])
        os.close(descriptor)
        for index in range(3, len(octets)):
            ours.sendall(octets[index : index + 1])
        found = receive(theirs)
        assert found is not None
        assert found[:2] == (b"{}", b"abc")
        assert len(found[2]) == 1
        os.close(found[2][0])
        ours.close()
        assert receive(theirs) is None

"""Bounds on everything that a client chooses in a session (RFC 5321 4.5.3, RFC 4954 4, RFC 3461 4).

A bound must never be lower than what the RFCs promise clients; each is the same for every listener.
"""

from __future__ import annotations

from typing import Final

COMMAND_OCTETS: Final = 512
"""A command line with its CRLF (RFC 5321 4.5.3.1.4)."""
LONGER_COMMANDS: Final = {
    "MAIL": 512 + 26 + 17 + 10 + 500 + 8 + 107,
    # SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), AUTH (RFC 4954), RET and ENVID (RFC 3461)
    "RCPT": 512 + 28 + 500,  # NOTIFY and ORCPT (RFC 3461)
    "AUTH": 12288,  # RFC 4954 4: long tokens
}
READ_AHEAD: Final = 16 * 1024
"""Octets the reader buffers before the peer is slowed down; no line may be longer."""
OVERLONG_LINE: Final = 1024 * 1024
"""Octets of one endless command line that are read and dropped before the connection is closed."""
BLOCK: Final = 64 * 1024
"""Octets received in one go; with what was read ahead, it bounds how long one session keeps the loop."""
READING: Final = 256 * 1024
"""Octets that one message takes while it is read, whatever its size: what the socket, the reader and the sink hold."""
LANDING: Final = READING - READ_AHEAD - 2 * BLOCK
"""Octets received in one go while the session waits for nothing but its message: what reader and sink leave of that."""
SMALL_SEGMENT: Final = 2048
"""Octets of a message below which they are gathered before they are written."""
SMALL_CHUNK: Final = 1024
"""Octets below which a BDAT counts as a command that may be idle."""
DRAINED_BEYOND: Final = 256 * 1024 * 1024
"""Octets beyond the size limit that are read and dropped to stay in step; then the connection is closed."""
SLOWEST: Final = 100
"""Octets per second, on the average of a message, below which a client only holds a connection (slowloris)."""
FAILED_LOGINS: Final = 3
MISTAKES: Final = 20
"""Commands answered 5xx between two messages."""
IDLE_COMMANDS: Final = 1000
"""Commands between two messages; a pipelined RCPT is one."""
REFUSED_RECIPIENTS: Final = 500
"""Forward-paths that do not exist, per session: a directory harvest."""
SURPLUS_RECIPIENTS: Final = 10_000
"""Forward-paths answered 452 4.5.3 in one transaction: an honest client that pipelines may send many."""
MESSAGES: Final = 1000
"""Transactions per session."""
COMMANDS_PER_TURN: Final = 64
"""Pipelined commands handled before other sessions get their turn."""
HANDSHAKE_SECONDS: Final = 30.0
LINGER_SECONDS: Final = 5.0
"""Seconds a closed connection may take to swallow our last reply."""
PENDING_REPLIES: Final = 16 * 1024
"""Octets of replies to pipelined commands held back to be sent at once."""

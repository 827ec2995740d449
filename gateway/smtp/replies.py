"""The replies a session gives by itself (RFC 5321 4.2, RFC 3463, RFC 4954 6, RFC 3207, RFC 6531 3.5).

None of them may tell more than the class of the trouble.
"""

from __future__ import annotations

from typing import Final

from gateway.core.reply import Reply

GREETED: Final = Reply.of(250, "2.0.0", "OK")
SENDER_OK: Final = Reply.of(250, "2.1.0", "sender OK")
RECIPIENT_OK: Final = Reply.of(250, "2.1.5", "recipient OK")
GOODBYE: Final = Reply.of(221, "2.0.0", "goodbye")
CANNOT_VERIFY: Final = Reply.of(252, "2.5.0", "cannot VRFY, but will take the message and try")
HELP: Final = Reply.of(214, "2.0.0", "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT STARTTLS AUTH BDAT: RFC 5321")
READY_FOR_TLS: Final = Reply.of(220, "2.0.0", "ready to start TLS")
LOGGED_IN: Final = Reply.of(235, "2.7.0", "authentication successful")
GO_AHEAD: Final = Reply(354, None, ("end data with <CR><LF>.<CR><LF>",))

TIMEOUT: Final = Reply.of(421, "4.4.2", "timeout, closing connection")
DRAINING: Final = Reply.of(421, "4.3.2", "service is restarting, closing connection")
TOO_MANY_CONNECTIONS: Final = Reply.of(421, "4.7.0", "too many connections, try again later")
TOO_MANY_MISTAKES: Final = Reply.of(421, "4.7.0", "too many errors, closing connection")
TOO_MANY_COMMANDS: Final = Reply.of(421, "4.7.0", "too many commands without a message, closing connection")
TOO_MANY_MESSAGES: Final = Reply.of(421, "4.7.0", "enough messages for one session, please connect again")
TOO_MANY_LOGINS: Final = Reply.of(421, "4.7.0", "too many failed logins, closing connection")
FAULT: Final = Reply.of(451, "4.3.0", "Lỗi tạm thời, xin gửi lại sau / temporary fault, please try again")
TOO_MANY_RECIPIENTS: Final = Reply.of(452, "4.5.3", "too many recipients, send the rest in another transaction")
STORAGE_FULL: Final = Reply.of(452, "4.3.1", "Hết chỗ lưu tạm, xin gửi lại sau / out of storage, please try again")
CANNOT_CHECK: Final = Reply.of(454, "4.7.0", "authentication is busy, please try again later")

LINE_TOO_LONG: Final = Reply.of(500, "5.5.2", "line too long")
AUTH_TOO_LONG: Final = Reply.of(500, "5.5.6", "authentication exchange line is too long")
BAD_OCTETS: Final = Reply.of(500, "5.5.2", "control characters or octets that are not UTF-8")
UNKNOWN: Final = Reply.of(500, "5.5.2", "command not recognized")
NOT_CRLF: Final = Reply.of(
    521, "5.5.2", "command lines end in CRLF and hold no other CR, LF or NUL; closing connection"
)
NOT_SMTP: Final = Reply.of(521, "5.5.1", "this is not a web server; closing connection")
NOT_IMPLEMENTED: Final = Reply.of(502, "5.5.1", "command not implemented")
NO_ARGUMENT: Final = Reply.of(501, "5.5.4", "this command takes no argument")
GREETING_NEEDS_NAME: Final = Reply.of(501, "5.5.4", "your name is missing or unfit")
GREET_FIRST: Final = Reply.of(503, "5.5.1", "send EHLO first")
NESTED_MAIL: Final = Reply.of(503, "5.5.1", "nested MAIL command")
NEED_MAIL: Final = Reply.of(503, "5.5.1", "need MAIL command")
CHUNKS_BEGUN: Final = Reply.of(503, "5.5.1", "DATA after BDAT; send RSET first")
CHUNK_FAILED: Final = Reply.of(503, "5.5.1", "a chunk was refused; send RSET first")
UNFIT_CHUNK: Final = Reply.of(521, "5.5.4", "syntax: BDAT octets [LAST], within the size limit; closing connection")
NOT_ALLOWED: Final = Reply.of(550, "5.7.1", "not allowed from your address")
UNFIT_XCLIENT: Final = Reply.of(501, "5.5.4", "syntax: XCLIENT attribute=value ..., attributes as offered")
NEED_RECIPIENT: Final = Reply.of(503, "5.5.1", "no valid recipients")
TLS_ALREADY: Final = Reply.of(503, "5.5.1", "TLS is active already")
AUTH_ALREADY: Final = Reply.of(503, "5.5.1", "authenticated already")
AUTH_IN_TRANSACTION: Final = Reply.of(503, "5.5.1", "AUTH is not permitted during a mail transaction")
BAD_MECHANISM: Final = Reply.of(504, "5.5.4", "unrecognized authentication mechanism")
BAD_BASE64: Final = Reply.of(501, "5.5.2", "cannot decode the response")
AUTH_CANCELED: Final = Reply.of(501, "5.7.0", "authentication canceled")
NEED_TLS: Final = Reply.of(530, "5.7.0", "must issue a STARTTLS command first")
NEED_AUTH: Final = Reply.of(530, "5.7.0", "Phải đăng nhập / authentication required")
AUTH_NEEDS_TLS: Final = Reply.of(538, "5.7.11", "encryption required for this authentication mechanism")
BAD_LOGIN: Final = Reply.of(535, "5.7.8", "Sai tên đăng nhập hoặc mật khẩu / authentication credentials invalid")
BARE_LINE_END: Final = Reply.of(550, "5.6.0", "message holds a bare CR, a bare LF or NUL; lines end in CRLF")


def too_large(size: int, limit: int) -> Reply:
    """Return the refusal of a message of `size` octets where `limit` is the most (RFC 1870 6)."""
    text = f"Thư quá lớn / message is too large: {size} octets, the limit is {limit}"
    return Reply.of(552, "5.3.4", text)

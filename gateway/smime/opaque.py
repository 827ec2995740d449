"""Turn a message into application/pkcs7-mime around one signature and its content (RFC 8551 3.5.2).

It survives systems that re-encode bodies, and shows nothing without S/MIME. The content is read once, in windows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.core.message import Message
from gateway.mime.transfer import base64_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.cms.sign import SigningTemplate
    from gateway.core.octets import Builder
    from gateway.smime.sign import Prepared

_HEADER: Final = (
    b'Content-Type: application/pkcs7-mime; smime-type=signed-data; name="smime.p7m"\r\n'
    b"Content-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="smime.p7m"\r\n'
    b"Content-Description: S/MIME Cryptographic Signature\r\n"
    b"\r\n"
)
_LINE: Final = 57
"""Octets in one line of 76 base64 letters."""


def finish_opaque(
    prepared: Prepared,
    *,
    template: SigningTemplate,
    to_be_signed: bytes,
    signature: bytes,
    new_builder: Callable[[], Builder],
) -> Message:
    """Return the finished message; raises what the builder raises when its place is full."""
    before, after = template.enclose(to_be_signed, signature, octets=len(prepared.entity))
    builder = new_builder()
    carry = before
    for window in prepared.entity.windows():
        carry += window
        whole = len(carry) - len(carry) % _LINE
        builder.write(base64_lines(carry[:whole]))
        carry = carry[whole:]
    builder.write(base64_lines(carry + after))
    return Message.join((prepared.outer + _HEADER, Message.from_source(builder.finish())))

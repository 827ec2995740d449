"""MAIL and RCPT as a hop can take them (RFC 5321 4.1.1, RFC 1870, RFC 6152, RFC 6531, RFC 3461 4).

Nothing that could end a line may get into a command.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gateway.core.address import Mailbox
from gateway.core.reply import Reply

if TYPE_CHECKING:
    from gateway.core.envelope import Envelope, Recipient
    from gateway.relay.replies import Offers

NEEDS_UTF8: Final = Reply.of(553, "5.6.7", "Chặng sau không nhận SMTPUTF8 / the next hop does not offer SMTPUTF8")

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def mail_command(envelope: Envelope, offers: Offers, size: int | None) -> bytes | Reply:
    """Return the MAIL command; the refusal if the envelope asks for SMTPUTF8, or needs it, and the hop lacks it."""
    path = envelope.reverse_path
    utf8 = (
        envelope.smtputf8
        or (isinstance(path, Mailbox) and not path.ascii)
        or not all(each.mailbox.ascii for each in envelope.recipients)
    )
    if utf8 and not offers.smtputf8:
        return NEEDS_UTF8
    words = [f"MAIL FROM:<{path}>"]
    if size is not None and offers.declares_size:
        words.append(f"SIZE={size}")
    if envelope.eight_bit and offers.eight_bit:
        words.append("BODY=8BITMIME")
    if utf8:
        words.append("SMTPUTF8")
    if offers.dsn and envelope.ret is not None:
        words.append(f"RET={envelope.ret}")
    if offers.dsn and envelope.envid is not None:
        words.append(f"ENVID={envelope.envid}")
    return _line(words)


def rcpt_command(recipient: Recipient, offers: Offers) -> bytes:
    """Return the RCPT command; NOTIFY and ORCPT go only to a hop that offers DSN."""
    words = [f"RCPT TO:<{recipient.mailbox}>"]
    if offers.dsn and recipient.notify is not None:
        words.append(f"NOTIFY={','.join(sorted(recipient.notify)) or 'NEVER'}")
    if offers.dsn and recipient.orcpt is not None:
        words.append(f"ORCPT={recipient.orcpt}")
    return _line(words)


def _line(words: list[str]) -> bytes:
    line = " ".join(words)
    if _CONTROL.search(line):
        raise ValueError("control characters in a command")
    return line.encode() + b"\r\n"

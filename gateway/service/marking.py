"""What recipients see of a judgment: the fields, the tag in the subject, and the seal over both.

A seal is made last, for the very octets and recipients that are handed over: whatever is changed later breaks it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.core.octets import WINDOW
from gateway.tagging import tag
from gateway.tagging.seal import Sealing, sealed

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.core.boundary import BoundaryResults
    from gateway.core.decision import SubjectTag
    from gateway.core.envelope import Envelope
    from gateway.core.message import Message
    from gateway.core.verdict import Judgment
    from gateway.service.arrivals import Opened
    from gateway.service.intake import World


def marked(
    world: World,
    opened: Opened,
    judgment: Judgment,
    *,
    at: datetime,
    boundary: BoundaryResults,
    subject: SubjectTag | None,
) -> Message:
    """Return the message with its marks, and our trace field below them.

    `at` is the aware time of receipt, `subject` what a rule says of the tag.
    """
    return tag(
        opened.message,
        judgment,
        header=opened.header,
        below=opened.trace,
        agency=agency_of(judgment),
        authserv_id=world.tags.authserv_id,
        subject=subject if subject is not None else world.tags.subject,
        received_at=at,
        boundary=boundary,
        families=world.trust.families,
    )


def agency_of(judgment: Judgment) -> str | None:
    """Return the agency of the one signer known to the registry; two different ones have no common name."""
    names = {each.agency for each in judgment.verdict.signers if each.agency is not None}
    return names.pop() if len(names) == 1 else None


async def with_seal(world: World, message: Message, envelope: Envelope, *, at: datetime) -> Message:
    """Return the message with a seal for these recipients, where there is a key for one; large ones in a thread."""
    if world.seals is None:
        return message
    recipients = tuple(each.mailbox for each in envelope.recipients)
    sealing = Sealing(world.seals, recipients, at, world.tags.authserv_id)
    if len(message) > WINDOW:
        return await asyncio.to_thread(sealed, message, sealing)
    return sealed(message, sealing)

"""What an authenticated sender asks for by a subject word or a header field; both are taken out before sending.

Must never be asked about inbound mail: there such words are text of a stranger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.config.wishes import WishSettings
    from gateway.core.contents import Wish
    from gateway.core.message import Edit
    from gateway.mime.fields import Header


def read_wish(header: Header, words: WishSettings) -> tuple[Wish | None, tuple[Edit, ...]]:
    """Return the wish and the edits that take it out of the message's header; asking wins over declining."""
    return None, ()

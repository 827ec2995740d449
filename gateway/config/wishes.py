"""The settings by which a sender's wish is recognized."""

from __future__ import annotations

from gateway.config.base import Strict


class WishSettings(Strict):
    """How an authenticated local sender asks for a signature, or declines one; nothing given means never."""

    ask: tuple[str, ...] = ()
    """Words at the begin or end of a subject."""
    decline: tuple[str, ...] = ()
    field: str | None = None
    """Name of a header field with the value yes or no."""

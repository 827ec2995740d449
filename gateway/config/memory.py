"""The settings of past mail: what is remembered so that a draft policy can be tried on it.

Facts and rulings are personal data: they must never be kept longer than somebody decided.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.config.base import Strict


class MemorySettings(Strict):
    """How much of past mail is remembered: the facts that rules ask for and what was decided, no content."""

    days: Annotated[float, Field(ge=0)] = 30.0
    """Age in days at which a message is forgotten; 0 remembers nothing."""
    most: Annotated[int, Field(ge=0, le=100_000_000)] = 1_000_000
    """Messages at most, the latest ones; about 1 KB each; 0 remembers nothing."""

"""The time of the country whose people read what we write."""

from __future__ import annotations

import datetime as dt
from typing import Final

VIETNAM: Final = dt.timezone(dt.timedelta(hours=7))
"""The one time zone of the country; it has no summer time."""


def in_words(moment: dt.datetime) -> str:
    """Return a moment (aware) as it stands in a letter: "14:05 30/11/2026 (UTC+7)"."""
    return f"{moment.astimezone(VIETNAM):%H:%M %d/%m/%Y} (UTC+7)"

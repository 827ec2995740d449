"""How many examples a property test tries: as written, or many times that in a long run (`make fuzz`)."""

from __future__ import annotations

import os
from typing import Final

TIMES: Final = int(os.environ.get("GATEWAY_EXAMPLES", "1"))


def examples(number: int) -> int:
    """Return the number for `max_examples`."""
    return number * TIMES

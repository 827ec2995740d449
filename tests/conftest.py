"""What holds for every test.

None may leave a set-up of the logs behind for those that come after it. And hypothesis gives every run the same
examples and no deadline: a run that fails tells of what was changed, not of the day's luck or of a machine that is
busy. New examples are looked for in a long run (`make fuzz`), as with the fuzzers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, settings

from support.examples import TIMES

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile("house", deadline=None, derandomize=TIMES == 1, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture(autouse=True)
def _fresh_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()

"""What tests of commands share: a province made once, and logging left as it was."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from gateway.demo.province import Province, build

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Leave logging as it was: a command sets it up for its whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)


@pytest.fixture(scope="session")
def province(tmp_path_factory: pytest.TempPathFactory) -> Province:
    """The demonstration's province: real files, keys and trust, which no test changes."""
    return build(tmp_path_factory.mktemp("province"), ports=(1587, 1465, 1525), log_level="error")

"""What tests of commands share: a province made once, and logging left as it was."""

from __future__ import annotations

import pytest

from gateway.demo.province import Province, build
from support.logs import logging_as_before

__all__ = ["logging_as_before"]


@pytest.fixture(scope="session")
def province(tmp_path_factory: pytest.TempPathFactory) -> Province:
    """The demonstration's province: real files, keys and trust, which no test changes."""
    return build(tmp_path_factory.mktemp("province"), ports=(1587, 1465, 1525), log_level="error")

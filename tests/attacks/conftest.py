"""The gateway that is attacked, started once for all tests that change nothing about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.attacks import Field, ground

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def field() -> Iterator[Field]:
    """A gateway with tags, seals, agencies and hard revocation, that delivers into directories."""
    with ground() as running:
        yield running

"""A site that answers, and what asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.responder import Site

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def site() -> Iterator[Site]:
    """A server on loopback, with nothing on it."""
    with Site() as made:
        yield made

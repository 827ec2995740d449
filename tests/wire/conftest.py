"""The real peers of the wire tests, started once for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.dovecot import Dovecot, dovecot

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def mail_store() -> Iterator[Dovecot]:
    """A Dovecot; every test uses mailboxes of its own."""
    with dovecot() as running:
        yield running

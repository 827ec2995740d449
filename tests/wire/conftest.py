"""The real peers of the wire tests and the gateway between them, started once for all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.dovecot import Dovecot, dovecot
from support.grounds import server
from support.town import Town, build_town

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["mail_store", "server", "town"]


@pytest.fixture(scope="session")
def mail_store() -> Iterator[Dovecot]:
    """A Dovecot; every test uses mailboxes of its own."""
    with dovecot() as running:
        yield running


@pytest.fixture(scope="session")
def town(mail_store: Dovecot) -> Iterator[Town]:
    """The gateway, with a Postfix on its outer and a Dovecot on its inner side."""
    with build_town(mail_store) as running:
        yield running

"""The server in front of us: believed only where mail comes from there, and shared fairly behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gateway.config.inbound import BoundarySettings
from gateway.core.address import NULL_PATH
from gateway.core.boundary import NOTHING_SAID
from gateway.core.message import Message
from gateway.mime.fields import read_header
from gateway.service.boundary import Boundary, not_passed, results_of, source_of
from support.letters import PLAIN
from support.rooms import arrival

if TYPE_CHECKING:
    from gateway.core.received import Arrival

FRONT = Boundary.of(BoundarySettings(authserv_id="mx.songlam.example", clients=("192.0.2.0/24", "2001:db8:1::/48")))
CLERK = "vanthu@soyte.songlam.example"
TOLD = b"Authentication-Results: mx.songlam.example; spf=pass smtp.mailfrom=ngoai.example\r\n" + PLAIN


def came(address: str, sender: str = "ai@Ngoai.example") -> Arrival:
    found = arrival(TOLD, CLERK, sender=sender)
    return replace(found, client=replace(found.client, address=address))


@pytest.mark.parametrize(("address", "believed"), [("192.0.2.9", True), ("::ffff:192.0.2.9", True),
                                                   ("2001:db8:1::5", True), ("198.51.100.1", False),
                                                   ("2001:db8:2::5", False), ("127.0.0.1", False)])  # fmt: skip
def test_its_word_counts_only_from_its_own_addresses(address: str, believed: bool) -> None:  # noqa: FBT001 - a parameter
    """From anywhere else the same field is forged, and its name is one whose fields are taken off."""
    client, header = came(address).client, read_header(Message.of(TOLD))
    assert (results_of(FRONT, client, header).spf == "pass") is believed
    assert not_passed(FRONT, client) == (() if believed else ("mx.songlam.example",))


def test_without_one_nobody_is_believed() -> None:
    """No server in front of us: no results, and no name to forge."""
    client = came("192.0.2.9").client
    assert Boundary.of(None) is None
    assert results_of(None, client, read_header(Message.of(TOLD))) == NOTHING_SAID
    assert not_passed(None, client) == ()


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8:2:3:4:5:6:7", "2001:db8:2:3::/64"),
        ("192.0.2.9", "192.0.2.9 ngoai.example"),
        ("2001:db8:1::5", "2001:db8:1::/64 ngoai.example"),
    ],
)
def test_who_shares_with_whom(address: str, source: str) -> None:
    """An address; of IPv6 what one customer has; behind the server in front of us each sender's domain by itself."""
    assert source_of(came(address), FRONT) == source


def test_the_null_path_is_a_source_of_its_own() -> None:
    """Reports come from no domain."""
    found = came("192.0.2.9")
    found = replace(found, envelope=replace(found.envelope, reverse_path=NULL_PATH))
    assert source_of(found, FRONT) == "192.0.2.9 <>"

"""The real peers of the wire tests and the gateway between them, started once for all tests.

swaks -> gateway -> Postfix -> Dovecot            hopthu.example: the outside world, over verified TLS
swaks -> gateway ------------> Dovecot            lmtp.example: a next hop without SMTPUTF8
swaks -> Postfix -> gateway -> Dovecot            soyte... by its UNIX socket, sotaichinh... by TCP
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.dovecot import Dovecot, dovecot
from support.gateway_process import FINANCE, OURS, Gateway, build_house, gateway
from support.hops import tls_identity
from support.peers import free_port, short_directory
from support.postfix import Postfix, postfix

if TYPE_CHECKING:
    from collections.abc import Iterator


class Town(NamedTuple):
    """Everything that runs."""

    mail: Dovecot
    mta: Postfix
    gate: Gateway


@pytest.fixture(scope="session")
def mail_store() -> Iterator[Dovecot]:
    """A Dovecot; every test uses mailboxes of its own."""
    with dovecot() as running:
        yield running


@pytest.fixture(scope="session")
def town(mail_store: Dovecot) -> Iterator[Town]:
    """The gateway, with a Postfix on its outer and a Dovecot on its inner side."""
    with ExitStack() as stack:
        directory = stack.enter_context(short_directory("gw-"))
        _, certificate = tls_identity(directory, "mta.example")
        relay = free_port()
        house = build_house(
            directory,
            hops=[
                {
                    "name": "ngoai",
                    "protocol": "smtp",
                    "addresses": [f"127.0.0.1:{relay}"],
                    "tls": "verify",
                    "tls_ca": certificate.name,
                    "tls_name": "mta.example",
                },
                {"name": "kho-unix", "protocol": "lmtp", "addresses": [f"unix:{mail_store.lmtp_path}"], "tls": "none"},
                {"name": "kho-tcp", "protocol": "lmtp", "addresses": [f"127.0.0.1:{mail_store.lmtp_port}"]},
            ],
            local_domains=[
                {"domain": OURS, "hop": "kho-unix", "recipients": "probe"},
                {"domain": FINANCE, "hop": "kho-tcp", "recipients": "any"},
            ],
            outbound=[{"domain": "lmtp.example", "hop": "kho-tcp"}, {"domain": "*", "hop": "ngoai"}],
        )
        entrance = f"smtp:[127.0.0.1]:{house.port('inbound')}"
        routes = {
            "hopthu.example": f"lmtp:inet:127.0.0.1:{mail_store.lmtp_port}",
            OURS: entrance,
            FINANCE: entrance,
        }
        mta = stack.enter_context(
            postfix(
                routes,
                port=relay,
                refused={"khong@hopthu.example": "550 5.1.1 no such user here"},
                tls=(certificate, certificate.with_suffix(".key")),
            )
        )
        yield Town(mail_store, mta, stack.enter_context(gateway(house)))

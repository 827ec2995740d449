"""What a wire test is given: the gateway between a Postfix and a Dovecot, all real and running.

swaks -> gateway -> Postfix -> Dovecot            hopthu.example: the outside world, over verified TLS
swaks -> gateway ------------> Dovecot            lmtp.example: a next hop without SMTPUTF8
swaks -> Postfix -> gateway -> Dovecot            soyte... by its UNIX socket, sotaichinh... by TCP
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from support.gateway_process import FINANCE, LOGIN, OURS, Gateway, build_house, gateway
from support.hops import tls_identity
from support.letters import LAN
from support.peers import free_port, short_directory
from support.postfix import Postfix, postfix
from support.splitter import Cut, cut
from support.swaks import Sent, swaks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.dovecot import Dovecot

OUTSIDE: Final = "hopthu.example"
NOBODY: Final = f"khong@{OUTSIDE}"
"""A mailbox that the outside Postfix refuses at RCPT: 550 5.1.1 no such user here."""


class Found(NamedTuple):
    """What the recipient has of a signed message."""

    sent: bytes
    received: bytes
    cut: Cut


class Town(NamedTuple):
    """Everything that runs."""

    mail: Dovecot
    mta: Postfix
    gate: Gateway

    def submit(self, to: str, message: bytes, *, sender: str = LAN) -> Sent:
        """Send as the clerk's mail client: STARTTLS with a certificate that fits, AUTH."""
        house = self.gate.house
        return swaks(house.port("submission"), sender, to, message, login=LOGIN, trusted=house.server_pem)

    def delivered(self, user: str, sent: bytes) -> Found:
        """Wait for the one message in a mailbox and cut it."""
        received = self.mail.fetch(user)
        return Found(sent, received, cut(received))


@contextmanager
def build_town(mail: Dovecot) -> Iterator[Town]:
    """Run a gateway with a Postfix on its outer and the Dovecot on its inner side."""
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
                {"name": "kho-unix", "protocol": "lmtp", "addresses": [f"unix:{mail.lmtp_path}"], "tls": "none"},
                {"name": "kho-tcp", "protocol": "lmtp", "addresses": [f"127.0.0.1:{mail.lmtp_port}"]},
            ],
            local_domains=[
                {"domain": OURS, "hop": "kho-unix", "recipients": "probe"},
                {"domain": FINANCE, "hop": "kho-tcp", "recipients": "any"},
            ],
            outbound=[{"domain": "lmtp.example", "hop": "kho-tcp"}, {"domain": "*", "hop": "ngoai"}],
        )
        entrance = f"smtp:[127.0.0.1]:{house.port('inbound')}"
        routes = {OUTSIDE: f"lmtp:inet:127.0.0.1:{mail.lmtp_port}", OURS: entrance, FINANCE: entrance}
        mta = stack.enter_context(
            postfix(
                routes,
                port=relay,
                refused={NOBODY: "550 5.1.1 no such user here"},
                tls=(certificate, certificate.with_suffix(".key")),
            )
        )
        yield Town(mail, mta, stack.enter_context(gateway(house)))

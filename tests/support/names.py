"""A DNS server of the test's own, on loopback over UDP: it answers what it is told, or says nothing.

    async with Names({"x.example": {"MX": ["10 mx.x.example."]}, "mx.x.example": {"A": ["127.0.0.2"]}}) as dns:
        dns.address         # IP:PORT
        dns.asked           # ["x.example MX", ...]

A name that is not in the table does not exist (NXDOMAIN); one in `broken` gets SERVFAIL; with `silent` nobody gets any
answer. The table may be changed at any time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Zone = dict[str, Mapping[str, Sequence[str]]]


class Names(asyncio.DatagramProtocol):
    """The server; see the module's docstring."""

    def __init__(self, zone: Zone, *, ttl: int = 300) -> None:
        """Answer from `zone`: names without final dot -> kind -> records as they stand in a zone file."""
        self.zone = zone
        self.ttl = ttl
        self.broken: set[str] = set()
        self.silent = False
        self.asked: list[str] = []
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def address(self) -> str:
        """Where it listens, IP:PORT."""
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        return f"{host}:{port}"

    async def __aenter__(self) -> Self:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        return self

    async def __aexit__(self, *_exception: object) -> None:
        if self._transport is not None:
            self._transport.close()
            await asyncio.sleep(0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; called by the loop."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question; called by the loop."""
        question = dns.message.from_wire(data)
        name = question.question[0].name
        kind = dns.rdatatype.to_text(question.question[0].rdtype)
        text = name.to_text(omit_final_dot=True).lower()
        self.asked.append(f"{text} {kind}")
        if self.silent or self._transport is None:
            return
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.RA
        if text in self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif text not in self.zone:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif records := self.zone[text].get(kind):
            answer.answer.append(dns.rrset.from_text_list(name, self.ttl, "IN", kind, list(records)))
        self._transport.sendto(answer.to_wire(), addr)

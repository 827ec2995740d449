"""Routes: by domain, and "*" for all others."""

from __future__ import annotations

from gateway.config.model import Hop, HopProtocol, LocalDomain, OutboundRoute, RecipientCheck, Settings
from gateway.core.address import Mailbox
from gateway.relay.route import Routes


def routes(*outbound: tuple[str, str]) -> Routes:
    """Return routes made of (domain, hop) pairs."""
    settings = Settings.model_construct(
        hops=(Hop(name="direct", protocol=HopProtocol.SMTP, addresses="mx"),),  # type: ignore[arg-type]
        local_domains=(LocalDomain(domain="songlam.example", hop="inside", recipients=RecipientCheck.ANY),),
        outbound=tuple(OutboundRoute(domain=domain, hop=hop) for domain, hop in outbound),
    )
    return Routes(settings)


def test_outbound_goes_by_domain_then_by_the_star() -> None:
    """Domains compare as IDNA does; "*" is for all others; without it there may be no way."""
    some = routes(("Đồng.example", "a"), ("x.example", "b"), ("*", "c"))
    for mailbox, hop in (
        ("u@xn--ng-pma6851a.example", "a"),
        ("u@đồng.EXAMPLE", "a"),
        ("u@X.example", "b"),
        ("u@sub.x.example", "c"),
        ("u@[127.0.0.1]", "c"),
    ):
        assert some.outbound(Mailbox.parse(mailbox)) == hop, mailbox
    assert routes(("x.example", "b")).outbound(Mailbox.parse("u@y.example")) is None


def test_inbound_is_for_our_domains_only() -> None:
    """Any other domain has no way in, subdomains among them."""
    some = routes(("*", "c"))
    assert some.inbound(Mailbox.parse("u@SONGLAM.example")) == "inside"
    assert some.inbound(Mailbox.parse("u@x.songlam.example")) is None


def test_a_direct_hop_has_a_name_for_each_domain() -> None:
    """Mail for two domains never shares a place in the queue, however the domain is written (RFC 5321 5.1)."""
    some = routes(("*", "direct"))
    names = {
        some.outbound(Mailbox.parse(each)) for each in ("u@đồng.example", "v@XN--ng-pma6851a.example", "u@b.example")
    }
    assert names == {"direct@xn--ng-pma6851a.example", "direct@b.example"}
    assert some.through("direct", Mailbox.parse("u@b.example")) == "direct@b.example"
    assert some.through("inside", Mailbox.parse("u@b.example")) == "inside"

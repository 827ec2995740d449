"""The notice that mail went out unsigned, and the size that is announced (RFC 3834, RFC 1870)."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from gateway.core.address import NULL_PATH, Mailbox
from gateway.service.notice import unsigned_notice
from gateway.service.sizes import ADDED_BY_SIGNING, ADDED_BY_TAGS, AnnouncedSize
from support.letters import LAN, NOW, PLAIN
from support.rooms import HOSTNAME, KnownHop, KnownHops, Limits, opened


def test_the_notice_is_a_machines_mail_that_names_the_message() -> None:
    """Null reverse-path, Auto-Submitted, ASCII octets; subject and Message-ID, and nothing else of the message."""
    notice = unsigned_notice(
        Mailbox.parse(LAN),
        opened(PLAIN).header,
        hostname=HOSTNAME,
        now=NOW,
        token="t",
        vietnamese="không có khóa",
        english="there is no key",
    )
    octets = notice.message.octets()
    assert notice.envelope.reverse_path == NULL_PATH
    assert octets.isascii()
    assert octets.replace(b"\r\n", b"").find(b"\n") < 0
    parsed = message_from_bytes(octets, policy=policy.default)
    text = parsed.get_content()
    assert parsed["auto-submitted"] == "auto-replied"
    assert "không có khóa" in text
    assert "there is no key" in text
    assert "Kết quả giải quyết hồ sơ" in text
    assert "2026.17@may-lan" in text
    assert "Hồ sơ của bà" not in text


@pytest.mark.parametrize("signing", [True, False])
async def test_the_announced_size_leaves_room_for_what_we_add(*, signing: bool) -> None:
    """The smallest limit of the hops, less signing and encoding; the configured limit while nobody answered."""
    hops = KnownHops(a=KnownHop(Limits(size=30_000_000)), b=KnownHop(Limits(size=10_000_000)), c=KnownHop(None))
    size = AnnouncedSize(hops, ("a", "b", "c", "a"), most=36_700_160, signing=signing)
    assert size() == 36_700_160
    await size.refresh()
    room = int((10_000_000 - ADDED_BY_SIGNING) * 57 / 78) if signing else 10_000_000 - ADDED_BY_TAGS
    assert size() == room


async def test_a_hop_without_limit_changes_nothing() -> None:
    """SIZE 0 or no SIZE is no limit; the configured one is never exceeded."""
    hops = KnownHops(a=KnownHop(Limits(size=None)), b=KnownHop(Limits(size=999_999_999)))
    size = AnnouncedSize(hops, ("a", "b"), most=1_000_000, signing=True)
    await size.refresh()
    assert size() == 1_000_000

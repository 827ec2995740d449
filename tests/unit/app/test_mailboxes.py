"""The watch put together: whom it watches, by what it logs in, and how far it judges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.agencies.registry import Registry
from gateway.app.copies import NoCopies, access_to
from gateway.app.mailboxes import MOST_MAILBOXES, FullJudge, mailboxes_of
from gateway.config.mailbox import MailboxSettings
from gateway.core.errors import SetupError
from gateway.core.message import Message
from gateway.core.sighting import Contact, Recollection, Repeat, Sighting
from gateway.core.verdict import Replayed, Unreadable, Verified
from gateway.mailbox.keywords import ALARMS
from gateway.smime.identity import Who
from support.letters import NOW, PLAIN, judged, lan, signed

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from gateway.core.verdict import Judgment
    from gateway.mime.entity import Entity

GOOD: Final[dict[str, Any]] = {"imap": "127.0.0.1:143", "tls": "none", "login": "gateway", "password": "file:/x"}


def settings(**more: Any) -> MailboxSettings:
    return MailboxSettings(**GOOD | more)


class Judging:
    """A `ports.Judge` over the shared authority."""

    async def judge(self, message: Message, *, at: dt.datetime, source: str, entity: Entity | None = None) -> Judgment:
        return judged(message)


class Remembering:
    """A `ports.Sightings` that gives one answer, and remembers what it was shown."""

    def __init__(self, repeat: Repeat) -> None:
        self.repeat, self.shown = repeat, list[Sighting]()

    async def see(self, sighting: Sighting) -> Recollection:
        self.shown.append(sighting)
        return Recollection(self.repeat, Contact.KNOWN)


def full(repeat: Repeat) -> tuple[FullJudge, Remembering]:
    sightings = Remembering(repeat)
    who = Who(Registry.empty(), frozenset())
    return FullJudge(Judging(), who=who, sightings=sightings, authserv_id="mail.tinh.example"), sightings


async def test_a_replay_past_the_gateway_is_one() -> None:
    """Whoever puts an old signed part under another Subject into a mailbox gets no green tag for it."""
    message = Message.of(signed(PLAIN, lan()))
    for repeat, kind in ((Repeat.NEW, Verified), (Repeat.SAME, Verified), (Repeat.OTHER, Replayed)):
        judge, _ = full(repeat)
        assert isinstance((await judge.judge(message, at=NOW, source="x")).verdict, kind)


async def test_an_imitation_is_told() -> None:
    """Tag words where a name is shown bring the note, as they do at receipt."""
    judge, _ = full(Repeat.NEW)
    found = await judge.judge(
        Message.of('From: "[Đã xác thực] Kho bạc" <a@la.example>\r\n\r\nx\r\n'.encode()), at=NOW, source="x"
    )
    assert ALARMS.intersection(note.code for note in found.notes)


async def test_our_own_tag_makes_no_replay() -> None:
    """The Subject is remembered without the gateway's tag, as the gateway remembered it at receipt."""
    octets = signed(PLAIN, lan())
    tagged = octets.replace(b"Subject: ", "Subject: [Đã xác thực: Sở Y tế] ".encode(), 1)
    judge, sightings = full(Repeat.SAME)
    for each in (octets, tagged):
        found = await judge.judge(Message.of(each), at=NOW, source="x")
        assert not ALARMS.intersection(note.code for note in found.notes), "nor an imitation, on mail passed on inside"
    assert len({(each.subject, each.message_id, each.date) for each in sightings.shown}) == 1


async def test_a_header_beyond_reading_keeps_its_judgment() -> None:
    """What cannot be read is unreadable, and no fault."""
    judge, sightings = full(Repeat.NEW)
    found = await judge.judge(Message.of(b"X: 1\r\n" * 20_000 + PLAIN), at=NOW, source="x")
    assert isinstance(found.verdict, Unreadable)
    assert sightings.shown == []


def test_mailboxes_come_from_both_places_once(tmp_path: Path) -> None:
    """Comments and blank lines are left out; another spelling of a mailbox is the same one."""
    file = tmp_path / "mailboxes"
    file.write_text("# phòng\n\nlan@Tinh.Example  # văn thư\nmai@tinh.example\n", encoding="utf-8")
    found = mailboxes_of(settings(watch=("lan@tinh.example",), watch_file=file))
    assert [each.key for each in found] == ["lan@tinh.example", "mai@tinh.example"]


def test_every_mistake_of_a_list_is_named(tmp_path: Path) -> None:
    """With its line; too many for one process, or none at all, are mistakes as well."""
    file = tmp_path / "mailboxes"
    file.write_text("lan\nmai@tinh.example\n@tinh.example\n")
    with pytest.raises(SetupError) as caught:
        mailboxes_of(settings(watch_file=file))
    assert [each.split(":")[1] for each in caught.value.mistakes] == ["1", "3"]
    file.write_text("".join(f"a{number}@tinh.example\n" for number in range(MOST_MAILBOXES + 1)))
    with pytest.raises(SetupError, match="500 at most"):
        mailboxes_of(settings(watch_file=file))
    with pytest.raises(SetupError, match="names no mailbox"):
        mailboxes_of(settings())
    with pytest.raises(SetupError, match="cannot be read"):
        mailboxes_of(settings(watch_file=tmp_path / "absent"))
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SetupError, match="not UTF-8"):
        mailboxes_of(settings(watch_file=file))


def test_the_way_in_is_checked_before_anything_starts(tmp_path: Path) -> None:
    """Password and CA file are read at once; loopback needs no TLS."""
    secret = tmp_path / "master"
    secret.touch(mode=0o600)
    secret.write_bytes(b"mat-khau\n")
    server, password = access_to(settings(password=f"file:{secret}"))
    assert (server.host, server.port, server.context, password) == ("127.0.0.1", 143, None, "mat-khau")
    with_tls = {"password": f"file:{secret}", "tls": "tls", "imap": "[2001:db8::1]:993"}
    assert access_to(settings(**with_tls))[0].host == "2001:db8::1"
    with pytest.raises(SetupError, match="no certificate"):
        access_to(settings(**with_tls, tls_ca=secret))
    with pytest.raises(SetupError):
        access_to(settings(password=f"file:{tmp_path}/absent"))
    secret.write_bytes("mật".encode())
    with pytest.raises(SetupError, match="ASCII"):
        access_to(settings(password=f"file:{secret}"))


async def test_without_settings_no_copy_is_made() -> None:
    """Taking and ending are nothing."""
    copies = NoCopies()
    copies.file(())
    await copies.close()

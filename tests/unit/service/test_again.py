"""Kept mail goes through the journey again: by the rules of today, replaced in one step, and nobody is left untold.

The store, the schedule and both halves of the journey are real; keys, routes and the clock are doubles.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.config.model import ListenerKind
from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Direction, Envelope, Notify, Recipient
from gateway.core.errors import ServiceError
from gateway.core.message import Message
from gateway.core.queue import Consignment, Entry, Kind, Origin, RecipientState
from gateway.core.verdict import Verified
from gateway.delivery.outcomes import Outcomes
from gateway.delivery.settle import new_entry
from gateway.mime.fields import DEFAULT_LIMITS, decode_text, read_header
from gateway.service import again as room
from gateway.service.again import Again
from gateway.service.intake import Door, Journey, World
from gateway.service.outbound import Outbound
from gateway.spool.store import SqliteSpool
from support.letters import BINH, LAN, NOW, PLAIN, judged, lan, signed
from support.rooms import (
    HOSTNAME,
    CredentialKey,
    DomainRoutes,
    FixedClock,
    KnownHops,
    ListedKeys,
    ListRecorder,
    MemoryBodies,
    Notes,
    Opinion,
    inbound_room,
    world,
)
from support.spooled import settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

TO: Final = "mai@congdan.example"
OURS_TO: Final = "binh@soyte.songlam.example"
OUR_TRACE: Final = f"Received: from pc ([10.0.0.9])\r\n\tby {HOSTNAME} with ESMTPSA\r\n\tid trace1;\r\n\tx\r\n".encode()
ORIGIN: Final = Origin("submission", "van-thu", "10.0.0.9")
POLICY: Final = """\
rules:
  - name: hold-all
    direction: outbound
    when: {larger_than: 10}
    then: {hold: {reason: "chờ duyệt"}}
  - name: sign
    direction: outbound
    then: {sign: {key: personal_else_organization, if_unable: IF_UNABLE}}
  - name: quarantine-all
    direction: inbound
    then: {quarantine: {reason: "lạ"}}
"""
SIGN: Final = POLICY.replace(
    "hold-all\n    direction: outbound", "hold-all\n    active: false\n    direction: outbound"
)
REFUSE: Final = POLICY.replace("{sign: {key: personal_else_organization, if_unable: IF_UNABLE}}", "REFUSED").replace(
    "REFUSED", '{refuse: {vi: "không được gửi", en: "must not be sent"}}'
)


class Rights:
    """Logins; `fault` makes the look-up fail."""

    def __init__(self) -> None:
        self.listed = {"van-thu": frozenset({LAN})}
        self.fault = False

    def authors(self, login: str) -> frozenset[str]:
        if self.fault:
            raise ServiceError("no answer")
        return self.listed.get(login, frozenset())


@dataclass
class Desk:
    """A running loop over a real spool, and what it speaks to."""

    spool: SqliteSpool
    again: Again
    journey: Journey
    clock: FixedClock
    recorder: ListRecorder
    rights: Rights
    commits: list[int] = field(default_factory=list)
    copies: Copying | None = None

    async def put(self, *entries: Entry) -> None:
        await self.spool.commit(entries)
        self.again.wake()

    async def until(self, ready: Callable[[], Any]) -> None:
        """Wait for something that comes of the loop."""
        async with asyncio.timeout(60):
            while not await ready():  # noqa: ASYNC110 - the store tells nobody when it changes
                await asyncio.sleep(0.01)

    async def counted(self, **kinds: int) -> None:
        """Wait until the spool holds exactly these."""

        async def ready() -> bool:
            return dict(await self.spool.count()) == kinds

        try:
            await self.until(ready)
        except TimeoutError:
            assert dict(await self.spool.count()) == kinds

    async def delivered(self) -> tuple[Entry, ...]:
        return await self.spool.due(self.clock.now() + timedelta(days=30), 99)

    async def kept(self, kind: Kind = Kind.HELD) -> Entry:
        (found,) = await self.spool.entries(kind, 9)
        return found


class Copying:
    """A `ports.Copies` that keeps what it is given."""

    def __init__(self) -> None:
        self.filed: list[Consignment] = []

    def file(self, consignments: Sequence[Consignment]) -> None:
        self.filed += consignments


def doors() -> dict[str, Door]:
    return {"submission": Door(ListenerKind.SUBMISSION), "inbound": Door(ListenerKind.INBOUND)}


@asynccontextmanager
async def running(directory: Path, policy: str = POLICY, keys: ListedKeys | None = None) -> AsyncIterator[Desk]:
    """Run the loop."""
    tokens = itertools.count(1)

    def new_token() -> str:
        return f"token{next(tokens)}"

    clock, recorder, rights = FixedClock(), ListRecorder(), Rights()
    shared: dict[str, Any] = {"hostname": HOSTNAME, "clock": clock, "recorder": recorder}
    common: dict[str, Any] = {**shared, "hops": KnownHops(), "routes": DomainRoutes(), "memory": Notes()}
    outbound = Outbound(**common, bodies=MemoryBodies(), opinion=Opinion(), new_token=new_token)
    here: World = replace(world(policy.replace("IF_UNABLE", "refuse"), keys), accounts=rights)
    journey = Journey(
        here,
        hostname=HOSTNAME,
        doors=doors(),
        outbound=outbound,
        inbound=inbound_room(recorder=recorder),
        checks=None,  # type: ignore[arg-type]
        hand_over=None,  # type: ignore[arg-type]
        recorder=recorder,
    )
    spool = SqliteSpool(settings(directory))
    outcomes = Outcomes(
        settings=settings(directory),
        hostname=HOSTNAME,
        routes=DomainRoutes(),
        clock=clock,
        new_id=new_token,
        jitter=lambda: 0.0,
    )
    commits: list[int] = []
    copies = Copying()
    loop = Again(
        **shared,
        spool=spool,
        journey=journey,
        outcomes=outcomes,
        on_committed=lambda: commits.append(len(commits)),
        copies=copies,
    )
    task = asyncio.create_task(loop.run())
    try:
        yield Desk(spool, loop, journey, clock, recorder, rights, commits, copies)
    finally:
        await loop.stop(5)
        await asyncio.wait_for(task, 60)
        await spool.close()


def kept(message: bytes = PLAIN, *to: str, kind: Kind = Kind.RELEASED, **given: Any) -> Entry:
    """Return an entry as it was kept an hour ago."""
    recipients = tuple(Recipient(Mailbox.parse(each), given.get("notify")) for each in (to or (TO,)))
    inbound = given.get("direction") is Direction.INBOUND
    consignment = Consignment(
        kind,
        "",
        Envelope(given.get("sender", Mailbox.parse(LAN)), recipients, eight_bit=True),
        Message.of(message),
        given.get("direction", Direction.OUTBOUND),
        "trace1",
        answered_for=not inbound,
        reason="rule_hold chờ duyệt",
        origin=given.get("origin", ORIGIN),
    )
    fresh = new_entry(consignment, given.get("entry_id", "old"), settings(given["place"]), NOW - timedelta(hours=1))
    return replace(fresh, next_attempt_at=NOW)


def text_of(notice: Entry) -> str:
    """Return the part of a notification that people read."""
    octets = notice.consignment.message.octets()
    return base64.b64decode(octets.partition(b"base64\r\n\r\n")[2].partition(b"--=_")[0]).decode()


async def test_released_is_signed_and_replaces_the_old(tmp_path: Path) -> None:
    """The rule that holds is passed over, the next one signs; one entry to deliver stands for the old one."""
    async with running(tmp_path) as desk:
        await desk.put(kept(place=tmp_path))
        await desk.counted(deliver=1)
        (found,) = await desk.delivered()
        assert (found.consignment.kind, found.consignment.hop, found.entry_id != "old") == (Kind.DELIVER, "out", True)
        assert isinstance(judged(found.consignment.message).verdict, Verified)
        assert (found.received_at, found.expires_at) == (NOW, NOW + timedelta(days=5))
        assert desk.commits, "delivery is woken"
        (event,) = desk.recorder.facts("again")
        assert (event["entry"], event["became"]) == ("old", (found.entry_id,))


async def test_what_is_sent_at_last_is_filed(tmp_path: Path) -> None:
    """Its author finds a copy, signed, once it is stored for delivery; what stays or is refused gets none."""
    async with running(tmp_path) as desk:
        await desk.put(kept(place=tmp_path), kept(place=tmp_path, entry_id="waits", kind=Kind.TO_SIGN))
        await desk.counted(deliver=1, held=1)
        assert desk.copies is not None
        copies = desk.copies.filed
        await desk.until(lambda: asyncio.sleep(0, copies))
        (filed,) = copies
        assert isinstance(judged(filed.message).verdict, Verified)


async def test_the_trace_field_stands_once(tmp_path: Path) -> None:
    """What was kept with our trace field keeps it; what was kept without gets it, with the time it came."""
    async with running(tmp_path) as desk:
        await desk.put(kept(OUR_TRACE + PLAIN, place=tmp_path), kept(PLAIN, place=tmp_path, entry_id="raw"))
        await desk.counted(deliver=2)
        found = {each.consignment.message.octets() for each in await desk.delivered()}
        assert [each.count(f"by {HOSTNAME}".encode()) for each in found] == [1, 1]
        (made,) = [each for each in found if b"from pc" not in each]
        assert b"([10.0.0.9])" in made
        assert (NOW - timedelta(hours=1)).strftime("%H:%M:%S").encode() in made.partition(b"From:")[0]


async def test_rules_see_what_came(tmp_path: Path) -> None:
    """Neither size nor fields count our own trace field, as they did not when it came."""
    refuse = 'direction: outbound\n    then: {refuse: {vi: "khong", en: "no"}}\n    when: '
    policy = SIGN.replace(
        "rules:\n",
        f"rules:\n  - name: large\n    {refuse}{{larger_than: {len(PLAIN) + 50}}}\n"
        f"  - name: came-by\n    {refuse}{{header_matches: {{field: Received, pattern: {HOSTNAME}}}}}\n",
    )
    other = PLAIN.replace(b"From: ", b"Received: by xa with ESMTP; x\r\nFrom: ", 1)
    async with running(tmp_path, policy) as desk:
        await desk.put(
            kept(OUR_TRACE + PLAIN, place=tmp_path), kept(OUR_TRACE + other, place=tmp_path, entry_id="other")
        )
        await desk.counted(deliver=2)
        found = [each.consignment.message for each in await desk.delivered()]
        assert all(isinstance(judged(each).verdict, Verified) for each in found)
        assert all(each.octets().startswith(OUR_TRACE) for each in found)


async def test_as_many_fields_as_may_be_and_our_own(tmp_path: Path) -> None:
    """What was taken with so many can be let go."""
    more = DEFAULT_LIMITS.fields - len(read_header(Message.of(PLAIN)).fields)
    policy = SIGN.replace("{sign: {key: personal_else_organization, if_unable: IF_UNABLE}}", "pass")
    async with running(tmp_path, policy) as desk:
        await desk.put(kept(OUR_TRACE + b"X-Q: a\r\n" * more + PLAIN, place=tmp_path))
        await desk.counted(deliver=1)
        (found,) = await desk.delivered()
        assert found.consignment.message.octets() == OUR_TRACE + b"X-Q: a\r\n" * more + PLAIN


async def test_waiting_for_its_key_meets_the_rules_of_today(tmp_path: Path) -> None:
    """Only what an administrator released passes over a rule that holds."""
    async with running(tmp_path) as desk:
        await desk.put(kept(kind=Kind.TO_SIGN, place=tmp_path))
        await desk.counted(held=1)
        assert (await desk.kept()).consignment.reason == "chờ duyệt"
        assert (await desk.kept()).entry_id == "old"


@pytest.mark.parametrize("kind", [Kind.RELEASED, Kind.TO_SIGN])
async def test_refused_by_a_rule(tmp_path: Path, kind: Kind) -> None:
    """The sender was told 250 and is told now, in both languages, that the message goes nowhere."""
    policy = REFUSE if kind is Kind.RELEASED else REFUSE.replace("hold-all\n", "hold-all\n    active: false\n")
    async with running(tmp_path, policy) as desk:
        await desk.put(kept(kind=kind, place=tmp_path))
        await desk.counted(deliver=1)
        (notice,) = await desk.delivered()
        assert notice.consignment.envelope.reverse_path == NULL_PATH
        assert [each.mailbox for each in notice.consignment.envelope.recipients] == [Mailbox.parse(LAN)]
        vietnamese, _, english = text_of(notice).partition("Dear Sir")
        assert "không được gửi" in vietnamese
        assert "must not be sent" in english
        assert "Lý do: không được gửi\r\n" in vietnamese.replace(".\r\n", "\r\n")
        assert "receiving server" not in english
        assert b"Status: 5.7.1" in notice.consignment.message.octets()


@pytest.mark.parametrize(
    "given",
    [{"sender": NULL_PATH}, {"notify": frozenset[Notify]()}],
    ids=["null path", "never"],
)
async def test_refused_and_nobody_to_tell(tmp_path: Path, given: dict[str, Any]) -> None:
    """What nobody can be told of is not dropped: an administrator sees it, with the reason."""
    async with running(tmp_path, REFUSE) as desk:
        await desk.put(kept(place=tmp_path, **given))
        await desk.counted(held=1)
        assert "must not be sent" in (await desk.kept()).consignment.reason


async def test_who_may_send_is_asked_again(tmp_path: Path) -> None:
    """A login that lost its rights meanwhile sends nothing in anybody's name; the owner of the mailbox is told."""
    async with running(tmp_path) as desk:
        desk.rights.listed = {}
        await desk.put(kept(place=tmp_path))
        await desk.counted(deliver=1)
        (notice,) = await desk.delivered()
        assert notice.consignment.reason == "notice failed"
        assert desk.recorder.facts("authorized")[0]["allowed"] is False


async def test_a_forged_author_is_not_signed_by_being_held(tmp_path: Path) -> None:
    """From somebody else does not become right by waiting."""
    async with running(tmp_path) as desk:
        await desk.put(kept(PLAIN.replace(LAN.encode(), BINH.encode()), place=tmp_path))
        await desk.counted(deliver=1)
        assert desk.recorder.facts("signed") == []


async def test_from_before_origins_were_noted(tmp_path: Path) -> None:
    """Mail that an older version kept was checked when it came: it is signed for its author."""
    async with running(tmp_path) as desk:
        await desk.put(kept(origin=None, place=tmp_path))
        await desk.counted(deliver=1)
        (found,) = await desk.delivered()
        assert isinstance(judged(found.consignment.message).verdict, Verified)


async def test_a_listener_that_is_gone(tmp_path: Path) -> None:
    """Nobody can say whose mail it is: it stays, and says why."""
    async with running(tmp_path) as desk:
        await desk.put(kept(origin=replace(ORIGIN, listener="cũ"), place=tmp_path))
        await desk.counted(held=1)
        assert (await desk.kept()).consignment.reason.startswith("listener_gone ")


@pytest.mark.parametrize("fault", ["expired", "suspended", "revoked"])
async def test_released_and_no_signature_is_possible(tmp_path: Path, fault: str) -> None:
    """It stays held with the new reason, though the rule says refuse: the administrator who released it decides."""
    async with running(tmp_path, keys=ListedKeys(CredentialKey(lan()), faults={"lan": fault})) as desk:
        await desk.put(kept(place=tmp_path))
        await desk.counted(held=1)
        assert (await desk.kept()).consignment.reason.startswith(f"{fault} ")


async def test_a_suspended_key_stops_what_waits_for_it(tmp_path: Path) -> None:
    """A suspension may end: mail that waits for the key is held; a permanent cause is the sender's to know."""
    for fault, kinds in (("suspended", {"held": 1}), ("expired", {"held": 1, "deliver": 1})):
        keys = ListedKeys(CredentialKey(lan()), faults={"lan": fault})
        async with running(tmp_path, SIGN, keys) as desk:
            await desk.put(kept(kind=Kind.TO_SIGN, entry_id=f"w-{fault}", place=tmp_path))
            await desk.counted(**kinds)


class AwayKey(CredentialKey):
    """A key that is away until `back`."""

    back = False

    async def sign(self, to_be_signed: bytes) -> bytes:
        if not self.back:
            raise ServiceError("token away")
        return await super().sign(to_be_signed)


@pytest.mark.parametrize("kind", [Kind.RELEASED, Kind.TO_SIGN])
async def test_the_key_is_away_and_comes_back(tmp_path: Path, kind: Kind) -> None:
    """Tried again by the schedule, still of its kind (a released one is not held again), and signed at last."""
    key = AwayKey(lan())
    async with running(tmp_path, POLICY if kind is Kind.RELEASED else SIGN, ListedKeys(key)) as desk:
        await desk.put(kept(kind=kind, place=tmp_path))

        async def put_off() -> bool:
            entries = await desk.spool.entries(kind, 1)
            return bool(entries and entries[0].attempts == 1)

        await desk.until(put_off)
        waiting = await desk.kept(kind)
        assert waiting.next_attempt_at == NOW + timedelta(seconds=60)
        assert waiting.expires_at == NOW - timedelta(hours=1) + timedelta(days=5)
        assert desk.recorder.facts("signed")[0]["done"] is False
        key.back = True
        desk.clock.moment = NOW + timedelta(seconds=61)
        desk.again.wake()
        await desk.counted(deliver=1)
        (found,) = await desk.delivered()
        assert isinstance(judged(found.consignment.message).verdict, Verified)
        if kind is Kind.TO_SIGN:
            assert found.expires_at == waiting.expires_at, "waiting does not make it younger"


async def test_a_part_that_waits_for_its_key_stays_released(tmp_path: Path) -> None:
    """One share leaves, the other waits for its key: it is not held a second time by the rule it was released from."""
    passing = f'  - name: pass-some\n    direction: outbound\n    when: {{recipient: "{OURS_TO}"}}\n    then: pass\n'
    policy = POLICY.replace("  - name: sign\n", f"{passing}  - name: sign\n")
    key = AwayKey(lan())
    async with running(tmp_path, policy, ListedKeys(key)) as desk:
        await desk.put(kept(PLAIN, TO, OURS_TO, place=tmp_path))
        await desk.counted(deliver=1, released=1)
        (sent,) = await desk.delivered()
        assert [str(each.mailbox) for each in sent.consignment.envelope.recipients] == [OURS_TO]
        key.back = True
        desk.clock.moment = NOW + timedelta(hours=2)
        desk.again.wake()
        await desk.counted(deliver=2)


async def test_late_then_given_up(tmp_path: Path) -> None:
    """The sender is told once that it is late, and in the end that it was given up: like any other message."""
    async with running(tmp_path, SIGN, ListedKeys(AwayKey(lan()))) as desk:
        entry = kept(kind=Kind.TO_SIGN, place=tmp_path)
        await desk.put(replace(entry, attempts=20, next_attempt_at=NOW + timedelta(hours=2, minutes=30)))
        desk.clock.moment = NOW + timedelta(hours=2, minutes=30)
        desk.again.wake()
        await desk.counted(to_sign=1, deliver=1)
        (notice,) = await desk.delivered()
        assert notice.consignment.reason == "notice delayed"
        await desk.spool.settle(replace(notice, states=(RecipientState.SENT,)))
        desk.clock.moment = entry.expires_at
        desk.again.wake()
        await desk.counted(deliver=1)
        (notice,) = await desk.delivered()
        assert notice.consignment.reason == "notice failed"
        assert "khóa ký" in text_of(notice).lower()


async def test_only_whom_it_has_not_reached(tmp_path: Path) -> None:
    """Recipients that have it already are not among those of the new entries."""
    async with running(tmp_path) as desk:
        entry = kept(PLAIN, TO, "khac@congdan.example", place=tmp_path)
        await desk.put(replace(entry, states=(RecipientState.SENT, RecipientState.READY)))
        await desk.counted(deliver=1)
        (found,) = await desk.delivered()
        assert [str(each.mailbox) for each in found.consignment.envelope.recipients] == ["khac@congdan.example"]


async def test_nobody_left(tmp_path: Path) -> None:
    """An entry that everybody has already is for people to look at; it does not go round in circles."""
    async with running(tmp_path) as desk:
        entry = kept(place=tmp_path)
        await desk.put(replace(entry, states=(RecipientState.SENT,)))
        await desk.counted(held=1)
        assert (await desk.kept()).consignment.reason.startswith("nobody_left ")


INBOUND: Final = {"direction": Direction.INBOUND, "sender": Mailbox.parse(TO)}


async def test_quarantined_mail_is_judged_now_and_tagged(tmp_path: Path) -> None:
    """A signature is judged on the octets as they came; the rule that sets apart is passed over."""
    async with running(tmp_path) as desk:
        await desk.put(
            kept(signed(PLAIN, lan()), OURS_TO, origin=Origin("inbound", "", "192.0.2.7"), place=tmp_path, **INBOUND)
        )
        await desk.counted(deliver=1)
        (found,) = await desk.delivered()
        octets = found.consignment.message.octets()
        assert found.consignment.hop == "boxes"
        assert b"X-Gateway-Verdict: verified" in octets
        assert b"([192.0.2.7])" in octets
        assert not found.consignment.answered_for


async def test_held_inbound_mail_goes_on_behind_the_rule_that_held_it(tmp_path: Path) -> None:
    """An administrator let it go: what the next rule says is done, its way and its tag included."""
    more = "  - {name: on, direction: inbound, then: {deliver: {subject_tag: off, route: archive}}}\n"
    policy = POLICY.replace("then: {quarantine", "when: {form: clear_signed}\n    then: {hold")
    async with running(tmp_path, policy + more) as desk:
        await desk.put(
            kept(signed(PLAIN, lan()), OURS_TO, origin=Origin("inbound", "", "192.0.2.7"), place=tmp_path, **INBOUND)
        )
        await desk.counted(deliver=1)
        (found,) = await desk.delivered()
        assert found.consignment.hop == "archive"
        header = read_header(found.consignment.message)
        assert decode_text(header.all("x-gateway-verdict")[0].value).startswith("verified")
        assert "xác thực" not in decode_text(header.all("subject")[0].value)


async def test_undeliverable_mail_is_tagged_once(tmp_path: Path) -> None:
    """What was delivered in part has our marks already: they are taken off and made anew, and traced once."""
    async with running(tmp_path) as desk:
        await desk.put(kept(signed(PLAIN, lan()), OURS_TO, place=tmp_path, **INBOUND))
        await desk.counted(deliver=1)
        (first,) = await desk.delivered()
        again = replace(first.consignment, kind=Kind.RELEASED, hop="", reason="undeliverable 550 no")
        await desk.spool.exchange(first.entry_id, [replace(first, entry_id="second", consignment=again)])
        desk.again.wake()
        await desk.counted(deliver=1)
        (second,) = await desk.delivered()
        assert second.entry_id != "second"
        before, after = (read_header(each.consignment.message) for each in (first, second))
        assert [each.name for each in after.fields] == [each.name for each in before.fields]
        assert [decode_text(each.value) for each in after.fields] == [decode_text(each.value) for each in before.fields]
        assert b"X-Gateway-Verdict: verified" in second.consignment.message.octets()


async def test_inbound_that_has_no_route_stays(tmp_path: Path) -> None:
    """Nobody outside is ever sent a notice for mail from outside: it is kept for an administrator."""
    async with running(tmp_path) as desk:
        await desk.put(kept(PLAIN, "x@noi-khac.example", place=tmp_path, **INBOUND))
        await desk.counted(quarantined=1)
        assert "550" in (await desk.kept(Kind.QUARANTINED)).consignment.reason


async def test_a_bug_costs_no_entry_and_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on; the entry is put off, not tried in circles."""
    consign = Outbound.consign

    async def broken(self: Outbound, world: World, submission: Any, opened: Any) -> Any:
        if submission.arrival.trace_id == "bad":
            raise RuntimeError("a bug")
        return await consign(self, world, submission, opened)

    monkeypatch.setattr(Outbound, "consign", broken)
    async with running(tmp_path) as desk:
        bad = kept(entry_id="bad", place=tmp_path)
        await desk.put(replace(bad, consignment=replace(bad.consignment, trace_id="bad")), kept(place=tmp_path))
        await desk.counted(deliver=1, released=1)
        left = await desk.kept(Kind.RELEASED)
        assert (left.entry_id, left.attempts, left.next_attempt_at) == ("bad", 1, NOW + room.LATER)
        assert await desk.spool.due_again(NOW, 9) == ()


async def test_hopeless_structure_is_told(tmp_path: Path) -> None:
    """A message that cannot be parsed any more is refused like one that comes now."""
    parts = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n' for n in range(200))
    message = PLAIN.partition(b"\r\n\r\n")[0].replace(b"Content-Type", b"X-C") + b"\r\n" + parts.encode()
    async with running(tmp_path) as desk:
        await desk.put(kept(message, place=tmp_path))
        await desk.counted(deliver=1)
        (notice,) = await desk.delivered()
        assert "Cấu trúc thư" in text_of(notice)


async def test_stop_in_the_midst_keeps_everything(tmp_path: Path) -> None:
    """Canceled while a key hangs, an entry is as it was, and is taken on at the next start."""

    class Hanging(CredentialKey):
        async def sign(self, to_be_signed: bytes) -> bytes:
            del to_be_signed
            await asyncio.sleep(3600)
            return b""

    async with running(tmp_path, keys=ListedKeys(Hanging(lan()))) as desk:
        await desk.put(kept(place=tmp_path))

        async def claimed() -> bool:
            return desk.again._working is not None and await desk.spool.due_again(NOW, 9) == ()

        await desk.until(claimed)
        await desk.again.stop(0.05)
        assert [each.entry_id for each in await desk.spool.due_again(NOW, 9)] == ["old"], "given back at once"
    async with running(tmp_path) as desk:
        await desk.counted(deliver=1)

"""`gateway queue retry|flush|freeze|thaw|reroute|bounce|export|audit|digest`: what each does, says, and ends with."""

from __future__ import annotations

import json
import os
import pwd
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Direction, Envelope, Notify, Recipient, Ret
from gateway.core.queue import Kind, Origin, RecipientState
from gateway.core.sighting import Contact, Recollection, Repeat
from gateway.spool.desk import Desk
from support.queued import LETTER, listed, objects, old, put, run
from support.spooled import settings

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.core.queue import Entry

DAY: Final = timedelta(days=1)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with a queue: mail for two hops, held mail, mail from outside."""
    citizen = Envelope(Mailbox("Mai", "Congdan.Example"), (Recipient(Mailbox("lan", "songlam.example")),))
    put(
        tmp_path,
        old("aaaa1111", Kind.DELIVER, wait=DAY, attempts=3),
        old("aaaa2222", Kind.DELIVER, wait=DAY, hop="khac"),
        old("bbbb3333", Kind.HELD, age=timedelta(hours=3)),
        old(
            "cccc4444",
            Kind.QUARANTINED,
            age=timedelta(hours=50),
            envelope=citizen,
            direction=Direction.INBOUND,
            answered_for=False,
        ),
    )
    return tmp_path


def found(place: Path, entry_id: str) -> Entry | None:
    """Return an entry as it is now."""
    with Desk(settings(place / "spool")) as desk:
        return desk.load(entry_id)


def is_due(place: Path, entry_id: str) -> bool:
    """Return whether an entry is due now."""
    entry = found(place, entry_id)
    assert entry is not None
    return entry.next_attempt_at <= datetime.now(UTC)


def acts(place: Path) -> list[tuple[str, str]]:
    """Return what was done, and to which entry."""
    with Desk(settings(place / "spool")) as desk:
        return [(each.what, each.entry_id) for each in desk.acts()]


def test_retry(place: Path) -> None:
    """One entry is due now, by a beginning of its id; what waits for people is said to have no next attempt."""
    assert "tried now" in run(place, "retry", "aaaa1", "--reason", "đã sửa").stdout
    assert [is_due(place, each) for each in ("aaaa1111", "aaaa2222")] == [True, False]
    assert "no next attempt" in run(place, "retry", "bbbb", code=1).stderr
    assert acts(place) == [("retry", "aaaa1111")]


def test_retry_for_a_hop_and_for_all(place: Path) -> None:
    """All mail of a hop, or all: the number is said."""
    assert objects(run(place, "retry", "--hop", "khac", "--dry-run", "--json")) == [
        {"act": "would_retry", "entries": 1}
    ]
    assert not is_due(place, "aaaa2222")
    assert objects(run(place, "retry", "--hop", "khac", "--json")) == [{"act": "retry", "entries": 1}]
    assert [is_due(place, each) for each in ("aaaa1111", "aaaa2222")] == [False, True]
    assert run(place, "flush").stdout.startswith("2 thư")
    assert is_due(place, "aaaa1111")


@pytest.mark.parametrize("word", ["retry", "freeze", "thaw"])
def test_an_order_for_a_hop_that_nobody_has(place: Path, word: str) -> None:
    """A slip in the name is no hop without mail; a domain of direct sending is known by its hop."""
    for more in ([], ["--dry-run"]):
        assert "--hop kh0: không có trong cấu hình" in run(place, word, "--hop", "kh0", *more, code=2).stderr
    assert run(place, word, "--hop", "du-phong@xa.example").stdout.startswith("0 thư")


@pytest.mark.parametrize("arguments", [[], ["aaaa1", "--all"], ["--hop", "khac", "--all"], ["aaaa1", "--hop", "khac"]])
@pytest.mark.parametrize("word", ["retry", "freeze", "thaw"])
def test_exactly_one_way_to_say_which(place: Path, word: str, arguments: list[str]) -> None:
    """Nothing is done where it is not clear to what."""
    assert "--all" in run(place, word, *arguments, code=2).stderr
    assert acts(place) == []


def test_freeze_and_thaw(place: Path) -> None:
    """Frozen mail is shown as such, is not hurried, and moves when it is thawed."""
    run(place, "freeze", "aaaa1", "--reason", "chờ xác minh")
    assert "bị giữ lại / frozen" in run(place, "list").stdout
    assert objects(run(place, "list", "--json"))[0]["frozen_at"] is not None
    assert "thaw it" in run(place, "retry", "aaaa1", code=1).stderr
    assert objects(run(place, "thaw", "aaaa1", "aaaa2222", "--json", code=1)) == [
        {"id": "aaaa1111", "act": "thaw", "outcome": "done"},
        {"id": "aaaa2222", "act": "thaw", "outcome": "not_frozen"},
    ]
    assert is_due(place, "aaaa1111")
    assert acts(place) == [("freeze", "aaaa1111"), ("thaw", "aaaa1111")]


@pytest.mark.parametrize("word", ["retry", "freeze", "bounce", "reroute"])
def test_dry_runs(place: Path, word: str) -> None:
    """A dry run says what would be done, and changes nothing, not even the record."""
    more = {"bounce": ["--reason", "x"], "reroute": ["--hop", "du-phong"]}.get(word, [])
    (said,) = objects(run(place, word, "aaaa1", "--dry-run", "--json", *more))
    assert said == {"id": "aaaa1111", "act": f"would_{word}", "outcome": "done"}
    assert not is_due(place, "aaaa1111")
    assert len(listed(place)) == 4
    assert acts(place) == []


def test_reroute(place: Path) -> None:
    """Only to a hop of the settings; what has no hop yet is not rerouted."""
    assert "kho, du-phong" in run(place, "reroute", "aaaa1", "--hop", "nowhere", code=2).stderr
    run(place, "reroute", "aaaa1", "--hop", "du-phong")
    assert objects(run(place, "list", "--json"))[0]["hop"] == "du-phong"
    assert is_due(place, "aaaa1111")
    assert "no next hop" in run(place, "reroute", "bbbb", "--hop", "kho", code=1).stderr


def test_bounce(place: Path) -> None:
    """Its sender gets a failure report with the reason, from the null reverse-path; the entry is gone."""
    run(place, "bounce", "aaaa1", "bbbb", "--reason", "sai người nhận")
    left = objects(run(place, "list", "--json"))
    assert [each["id"] for each in left[:2]] == ["aaaa2222", "cccc4444"]
    for report in left[2:]:
        assert (report["from"], report["to"][0]["mailbox"]) == ("", "van-thu@so-noi-vu.example")
        entry = found(place, report["id"])
        assert entry is not None
        assert b"report-type=delivery-status" in entry.consignment.message.octets()
    assert len(left) == 4
    assert acts(place) == [("bounce", "aaaa1111"), ("bounce", "bbbb3333")]


def test_no_bounce_to_strangers(place: Path) -> None:
    """Mail from outside is never returned: a forged sender must not get it."""
    assert "nobody can be told" in run(place, "bounce", "cccc", "--reason", "x", code=1).stderr
    assert len(listed(place)) == 4
    assert acts(place) == []


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope(NULL_PATH, (Recipient(Mailbox("lan", "xa.example")),)),
        Envelope(Mailbox("a", "so-noi-vu.example"), (Recipient(Mailbox("lan", "xa.example"), frozenset()),)),
        Envelope(Mailbox("a", "nowhere.example"), (Recipient(Mailbox("lan", "xa.example")),)),
    ],
)
def test_no_bounce_where_nobody_is_told(tmp_path: Path, envelope: Envelope) -> None:
    """The null sender, NOTIFY=NEVER, no way to the sender: the message stays."""
    put(tmp_path, old("x", Kind.DELIVER, envelope=envelope))
    run(tmp_path, "bounce", "x", "--reason", "y", code=1)
    assert listed(tmp_path) == ["x"]


@pytest.mark.parametrize("arguments", [[], ["--reason", "  "]])
def test_bounce_needs_a_reason(place: Path, arguments: list[str]) -> None:
    """What its sender reads cannot be empty."""
    run(place, "bounce", "aaaa1", *arguments, code=2)
    assert len(listed(place)) == 4


def test_export(tmp_path: Path) -> None:
    """The octets and all of the envelope, for the caller's eyes only; on record, and still in the queue."""
    recipients = (
        Recipient(Mailbox("lan", "xa.example"), frozenset({Notify.SUCCESS}), "rfc822;lan+2Bx@xa.example"),
        Recipient(Mailbox("minh", "xa.example"), frozenset()),
    )
    envelope = Envelope(Mailbox("a", "b.example"), recipients, True, False, Ret.FULL, "E+3D1")
    states = (RecipientState.SENT, RecipientState.READY)
    known = Recollection(Repeat.SAME, Contact.FIRST)
    origin = Origin("submission", "van-thu", "10.0.0.9")
    put(
        tmp_path,
        old("x1", Kind.DELIVER, envelope=envelope, states=states, origin=origin, recollection=known),
    )
    out = tmp_path / "out"
    out.mkdir()
    run(tmp_path, "export", "x", str(out), "--reason", "điều tra")
    assert (out / "x1.eml").read_bytes() == LETTER
    assert [oct(each.stat().st_mode & 0o777) for each in out.iterdir()] == ["0o600", "0o600"]
    said = json.loads((out / "x1.json").read_text(encoding="utf-8"))
    assert said["envelope"]["from"] == "a@b.example"
    assert (said["envelope"]["ret"], said["envelope"]["envid"], said["envelope"]["body"]) == (
        "FULL",
        "E+3D1",
        "8BITMIME",
    )
    assert [each["notify"] for each in said["envelope"]["recipients"]] == [["SUCCESS"], ["NEVER"]]
    assert said["origin"]["login"] == "van-thu"
    assert said["recollection"] == {"repeat": "same", "contact": "first"}
    assert acts(tmp_path) == [("export", "x1")]
    assert listed(tmp_path) == ["x1"]


def test_export_to_a_pipe(place: Path) -> None:
    """One line of JSON, then exactly the octets that it counts."""
    line, _, octets = run(place, "export", "aaaa1", "-").stdout_bytes.partition(b"\n")
    assert json.loads(line)["octets"] == len(octets)
    assert octets == LETTER


def test_export_overwrites_nothing(place: Path) -> None:
    """A file that is there stays as it is, and nothing half-written is left."""
    (place / "aaaa1111.eml").write_bytes(b"mine")
    assert "cannot be written" in run(place, "export", "aaaa1", str(place), code=1).stderr
    assert (place / "aaaa1111.eml").read_bytes() == b"mine"
    assert not (place / "aaaa1111.json").exists()
    assert "not a directory" in run(place, "export", "aaaa1", str(place / "none"), code=2).stderr


def test_audit(place: Path) -> None:
    """Who did what, when and why; the digest of the last act proves the record, and is found in it later."""
    run(place, "retry", "aaaa1", "--reason", "đã sửa")
    run(place, "freeze", "--hop", "khac")
    text = run(place, "audit").stdout
    me = pwd.getpwuid(os.getuid()).pw_name
    assert f"{me}  retry  aaaa1111: đã sửa" in text
    assert "freeze  hop=khac entries=1 from=aaaa2222 to=aaaa2222" in text
    assert "2 việc / acts, nguyên vẹn / whole" in text
    (summary,) = objects(run(place, "audit", "--check", "--json"))
    assert (summary["whole"], summary["acts"], summary["broken_at"]) == (True, 2, [])
    run(place, "delete", "bbbb", "--yes")
    run(place, "audit", "--check", "--contains", summary["digest"])
    assert "no such digest" in run(place, "audit", "--check", "--contains", "0" * 64, code=1).stderr
    run(place, "audit", "--contains", "x", code=2)
    assert [each.get("act") for each in objects(run(place, "audit", "--json", "--last", "2"))] == [
        "freeze",
        "delete",
        None,
    ]


def test_digest(place: Path) -> None:
    """Each owner is told of the mail that is his, in words: who sends out, who would have received; nothing else."""
    text = run(place, "digest").stdout
    texts = text.split("Kính gửi ")
    assert len(texts) == 3
    ours = next(each for each in texts if each.startswith("van-thu@so-noi-vu.example"))
    theirs = next(each for each in texts if each.startswith("lan@songlam.example"))
    assert "Kế hoạch" in ours
    assert "bbbb3333" in ours
    assert "cccc4444" not in ours
    assert "cccc4444" in theirs
    assert "Mai@Congdan.Example" in theirs
    assert "aaaa1111" not in text, "what moves by itself is nobody's business"


def test_digest_of_some(place: Path) -> None:
    """Of one owner, or of what came lately; nothing kept is said."""
    assert [each["owner"] for each in objects(run(place, "digest", "--json", "--since", "1d"))] == [
        "van-thu@so-noi-vu.example"
    ]
    (mine,) = objects(run(place, "digest", "--json", "--owner", "LAN@songlam.example"))
    assert [each["id"] for each in mine["messages"]] == ["cccc4444"]
    assert "nothing is kept" in run(place, "digest", "--owner", "minh@xa.example").stdout
    for wrong in (["--since", "soon"], ["--owner", "x"]):
        run(place, "digest", *wrong, code=2)

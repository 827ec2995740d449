"""`gateway queue`: what an administrator is shown, what is asked back, and how each command ends."""

from __future__ import annotations

import json
import os
import pwd
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gateway.cli import queue
from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.envelope import Envelope, Recipient
from gateway.core.message import Message
from gateway.core.queue import Kind, Origin
from gateway.core.reply import Reply
from gateway.spool.desk import Desk
from support.queued import CONFIG, LETTER, listed, objects, old, put, run
from support.spooled import settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with a queue of every kind."""
    citizen = Envelope(Mailbox("Mai", "Congdan.Example"), (Recipient(Mailbox("lan", "songlam.example")),))
    null = Envelope(NULL_PATH, (Recipient(Mailbox("lan", "xa.example")),))
    put(
        tmp_path,
        old("aaaa1111", age=timedelta(days=8)),
        old("aaaa2222", Kind.QUARANTINED, age=timedelta(hours=3), envelope=citizen),
        old("bbbb3333", Kind.DELIVER, attempts=3, last_replies=(None, Reply(451, "4.7.1", ("wait",)))),
        old("cccc4444", Kind.TO_SIGN, envelope=null, origin=Origin("submission", "van-thu", "10.0.0.9")),
    )
    return tmp_path


def test_lists_for_people(place: Path) -> None:
    """One line per entry: kind, age, envelope, hop, attempts, reason; both languages, and no subject."""
    text = run(place, "list").stdout
    for word in ("aaaa1111", "giữ chờ duyệt / held", "8d", "van-thu@so-noi-vu.example", "lan@xa.example (+1)", "ngoai"):
        assert word in text, word
    assert "rule_hold chờ duyệt" in text
    assert "451 4.7.1 wait" in text, "why it is still here"
    assert "Kế hoạch" not in text
    assert "mật" not in text


def test_lists_for_programs(place: Path) -> None:
    """One JSON object per line, the oldest first, nothing of the content."""
    found = objects(run(place, "list", "--json"))
    assert [each["kind"] for each in found] == ["held", "quarantined", "deliver", "to_sign"]
    assert found[0]["next_attempt_at"] is None, "held mail does not move by itself"
    assert (found[2]["attempts"], found[2]["reply"]) == (3, "451 4.7.1 wait")
    assert found[0]["reply"] is None
    assert found[3]["from"] == ""
    assert found[0]["to"][0] == {"mailbox": "lan@xa.example", "state": "ready"}
    assert "hoạch" not in json.dumps(found, ensure_ascii=False)


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (["--kind", "held"], ["aaaa1111"]),
        (["--kind", "held", "--kind", "deliver"], ["aaaa1111", "bbbb3333"]),
        (["--sender", "mai@congdan.example"], ["aaaa2222"]),
        (["--sender", "@CONGDAN.example"], ["aaaa2222"]),
        (["--sender", "<>"], ["cccc4444"]),
        (["--to", "minh@xa.example"], ["aaaa1111", "bbbb3333"]),
        (["--to", "@songlam.example"], ["aaaa2222"]),
        (["--older", "2h"], ["aaaa1111", "aaaa2222"]),
        (["--older", "7d"], ["aaaa1111"]),
        (["--older", "2h", "--kind", "quarantined"], ["aaaa2222"]),
        (["--after", "aaaa2"], ["bbbb3333", "cccc4444"]),
    ],
)
def test_filters(place: Path, arguments: list[str], ids: list[str]) -> None:
    """Filters by kind, sender, recipient and age, together."""
    assert listed(place, *arguments) == ids


def test_pages(place: Path) -> None:
    """A page says that there is more, and how to go on."""
    first = run(place, "list", "--json", "--limit", "3")
    assert len(objects(first)) == 3
    assert "--after bbbb3333" in first.stderr
    rest = run(place, "list", "--json", "--limit", "3", "--after", "bbbb3333")
    assert [each["id"] for each in objects(rest)] == ["cccc4444"]
    assert rest.stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [["--older", "soon"], ["--sender", "nobody"], ["--to", "@"], ["--to", "<>"], ["--kind", "x"], ["--after", "zzz"]],
)
def test_wrong_filters(place: Path, arguments: list[str]) -> None:
    """What cannot be read is said, and nothing is listed as if there were nothing."""
    done = run(place, "list", *arguments, code=2)
    assert arguments[0].lstrip("-") in done.stderr or arguments[1] in done.stderr


def test_an_empty_queue(tmp_path: Path) -> None:
    """Nothing to see is said, not shown as an empty table."""
    put(tmp_path)
    assert "trống / the queue is empty" in run(tmp_path, "list").stdout


def test_show(place: Path) -> None:
    """Subject, envelope with states, reason, replies, header; nothing that a terminal would obey, and no body."""
    text = run(place, "show", "aaaa1").stdout
    assert "Kế hoạch" in text
    assert "lan@xa.example (chưa nhận / not yet)" in text
    assert "rule_hold chờ duyệt" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "Nội dung" not in text
    answered = run(place, "show", "bbbb").stdout
    assert "451 4.7.1 wait" in answered
    assert "gateway hops" not in answered
    assert "from a.example by b.example" in text, "a folded field is one line"
    assert "van-thu (submission, 10.0.0.9)" in run(place, "show", "cccc").stdout


def test_show_before_any_answer(tmp_path: Path) -> None:
    """Mail that waits for a hop that cannot be reached has no answer to show: the hop has one."""
    put(tmp_path, old("aaaa1111", Kind.DELIVER, attempts=3), old("bbbb2222"))
    assert "none yet: gateway hops" in run(tmp_path, "show", "aaaa").stdout
    assert "gateway hops" not in run(tmp_path, "show", "bbbb").stdout


def test_show_for_programs(place: Path) -> None:
    """The object of the list, and subject, header, origin, replies and acts."""
    (found,) = objects(run(place, "show", "cccc", "--json"))
    assert (found["id"], found["subject"], found["readable"]) == ("cccc4444", "Kế hoạch", True)
    assert found["origin"] == {"listener": "submission", "login": "van-thu", "client": "10.0.0.9"}
    assert found["acts"] == []
    header = "\n".join(found["header"])
    assert "\u202egnp.exe" in header, "programs get what is there"
    assert "\u202e" not in run(place, "show", "cccc", "--json").stdout, "a terminal does not"


def test_raw(place: Path) -> None:
    """The octets, exactly, and nothing else."""
    assert run(place, "show", "aaaa1", "--raw").stdout_bytes == LETTER


def test_release(place: Path) -> None:
    """Released by a beginning of its id; who did it is on record, and `show` tells."""
    done = run(place, "release", "aaaa1", "aaaa2222", "--reason", "đồng ý")
    assert done.stdout.count("released") == 2
    assert listed(place, "--kind", "released") == ["aaaa1111", "aaaa2222"]
    (act,) = objects(run(place, "show", "aaaa1", "--json"))[0]["acts"]
    assert (act["what"], act["reason"]) == ("release", "đồng ý")
    assert act["who"].startswith(pwd.getpwuid(os.getuid()).pw_name)
    assert "đồng ý" in run(place, "show", "aaaa1").stdout


def test_a_whole_id_is_enough(tmp_path: Path) -> None:
    """An id that is also the beginning of another is meant as it is written."""
    put(tmp_path, old("abc"), old("abcd"))
    run(tmp_path, "release", "abc")
    assert listed(tmp_path, "--kind", "released") == ["abc"]


def test_an_endless_field_is_cut(tmp_path: Path) -> None:
    """One message cannot fill the screen."""
    put(tmp_path, old("abc", message=Message.of(b"Subject: " + b"x" * 50_000 + b"\r\n\r\n")))
    assert len(run(tmp_path, "show", "abc").stdout) < 5_000


def test_dry_run(place: Path) -> None:
    """It says what would be done, and does nothing."""
    run(place, "release", "aaaa1", "--dry-run")
    assert objects(run(place, "release", "bbbb", "--dry-run", "--json", code=1)) == [
        {"id": "bbbb3333", "act": "would_release", "outcome": "not_kept"}
    ]
    assert listed(place, "--kind", "held") == ["aaaa1111"]


@pytest.mark.parametrize(("wrong", "said"), [("aaaa", "several begin so"), ("zzzz", "no such entry"), ("%", "no such")])
@pytest.mark.parametrize("word", ["release", "delete"])
def test_all_ids_or_none(place: Path, word: str, wrong: str, said: str) -> None:
    """An id that is unknown or not unique stops the whole call before anything is changed."""
    more = ["--yes"] if word == "delete" else []
    assert said in run(place, word, "aaaa1111", wrong, *more, code=2).stderr
    assert listed(place, "--kind", "held") == ["aaaa1111"]
    assert len(listed(place)) == 4


def test_what_cannot_be_released_is_said(place: Path) -> None:
    """The others are released all the same; the call ends with 1."""
    done = run(place, "release", "bbbb", "aaaa1", code=1)
    assert "bbbb3333: không bị giữ" in done.stderr
    assert listed(place, "--kind", "released") == ["aaaa1111"]


def test_delete(place: Path) -> None:
    """With --yes it is gone, and stays on record."""
    (outcome,) = objects(run(place, "delete", "aaaa1", "--yes", "--json"))
    assert outcome == {"id": "aaaa1111", "act": "delete", "outcome": "done"}
    assert "aaaa1111" not in listed(place)
    with Desk(settings(place / "spool")) as desk:
        assert [each.what for each in desk.acts()] == ["delete"]


def test_delete_asks(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --yes it says what is lost and asks; where nobody can be asked, it removes nothing."""
    done = run(place, "delete", "aaaa1", code=2)
    assert "2 recipient(s) will never get this message" in done.stdout
    assert "--yes" in done.stderr
    monkeypatch.setattr(queue, "_on_terminal", lambda: True)
    assert "nothing was removed" in run(place, "delete", "aaaa1", typed="y\n", code=1).stderr
    assert len(listed(place)) == 4
    run(place, "delete", "aaaa1", typed="xoa\n")
    assert len(listed(place)) == 3


def test_a_reason_is_one_line(place: Path) -> None:
    """What is kept on record cannot fake a second record."""
    assert "--reason" in run(place, "release", "aaaa1", "--reason", "a\nb", code=2).stderr


def test_a_wrong_configuration(tmp_path: Path) -> None:
    """No configuration, or no spool where it says: exit code 2, and no spool is made by looking."""
    assert run(tmp_path, "list", code=2).stderr
    (tmp_path / "gateway.yaml").write_text(CONFIG, encoding="utf-8")
    assert "holds no spool" in run(tmp_path, "list", code=2).stderr
    assert not (tmp_path / "spool").exists()

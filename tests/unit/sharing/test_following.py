"""What administrators change on one machine is in the files of the others: keys, trust, policies, in every order."""

from __future__ import annotations

import datetime as dt
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg
import pytest

from gateway.config.load import parse_settings
from gateway.core.errors import SetupError
from gateway.keys.suspensions import Suspension, append, read_suspensions
from gateway.sharing import decrees
from gateway.sharing.copies import copy_file, in_force, read_copy
from gateway.sharing.following import begin, catch_up, publish, state_of
from gateway.spool.gazette import OvertakenError
from gateway.spool.opening import open_gazette
from gateway.trust.index import Line
from gateway.trust.store import Store
from support.grounds import SharedGround
from support.postgres import asked
from support.tree import DAY, root

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config.model import Settings
    from gateway.pki.certificate import Certificate
    from gateway.sharing.copies import Texts
    from gateway.sharing.following import Followed
    from gateway.spool.gazette import Past

NOW: Final = dt.datetime(2026, 11, 24, 8, 30, tzinfo=dt.timezone(dt.timedelta(hours=7)))
START: Final = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ROOT: Final = root("Gốc thử", start=START, end=START + 4000 * DAY).certificate
OTHER: Final = root("Gốc thử khác", start=START, end=START + 4000 * DAY).certificate
SETTINGS: Final = """\
hostname: mail.tinh.example
listeners: [{name: in, kind: inbound, address: "127.0.0.1:0"}]
hops: [{name: boxes, protocol: maildir, directory: mail}]
local_domains: [{domain: tinh.example, hop: boxes, recipients: any}]
policies: policies
tags: {authserv_id: mail.tinh.example}
"""
FAMILY: Final = "trust: {families: [{name: vgca, vi: công vụ, en: official}]}\n"
FIRST: Final[Texts] = {"10.yaml": "one", "agencies/y-te.yaml": "two"}
SECOND: Final[Texts] = {"10.yaml": "another"}


@dataclass(frozen=True)
class Machine:
    """One of several, as its files are."""

    settings: Settings

    def catch_up(self) -> Followed:
        """Take over what holds; policies whose text is "bad" do not load here."""
        with open_gazette(self.settings.spool, make=True) as gazette:
            return catch_up(self.settings, gazette, load)

    def note(self, action: str, label: str, reason: str) -> None:
        """Write into its own file, and tell nobody."""
        append(self.settings.keys_state_file, action, label, who="an", reason=reason, now=NOW)  # type: ignore[arg-type]

    def change(self, action: str, label: str, reason: str) -> None:
        """Suspend or resume a key for all."""
        line = Suspension(label, NOW.isoformat(), "lan", reason)
        publish(self.settings, lambda _: (decrees.of_suspension(line, suspending=action == "suspend"),))

    def pin(self, action: str, certificate: Certificate, note: str, family: str = "") -> None:
        """Add or retire a certificate for all."""
        line = pinning(action, certificate, note, family)
        added = certificate if action == "added" else None
        publish(self.settings, lambda _: (decrees.of_line(line, added),))

    def apply(self, texts: Texts) -> None:
        """Apply a policy for all."""
        publish(self.settings, lambda _: (decrees.of_texts(texts, who="lan"),))

    @property
    def suspended(self) -> dict[str, str]:
        """What its file suspends, with the reasons."""
        found = read_suspensions(self.settings.keys_state_file)
        return {label: line.reason for label, line in found.items()}

    @property
    def store(self) -> Store:
        """What it believes."""
        return Store(self.settings.trust_directory)

    @property
    def pinned(self) -> set[Certificate]:
        """What its store has standing."""
        return {each.certificate for each in self.store.pins()}

    @property
    def files(self) -> Texts | None:
        """The policy of its copy."""
        found = read_copy(copy_file(self.settings))
        return None if found is None else found.files


def load(_: Settings, place: Path, texts: Texts) -> None:
    """Refuse some policies."""
    if "bad" in texts.values():
        raise SetupError(f"{place}: names what is not set up")


def pinning(action: str, certificate: Certificate, note: str, family: str = "") -> Line:
    """Return a line of the store."""
    return Line(NOW.isoformat(), "lan", action, certificate.fingerprint, "anchor", family, note)  # type: ignore[arg-type]


@pytest.fixture
def machines(conninfo: str, tmp_path: Path) -> tuple[Machine, Machine]:
    """Two machines on one database; only the first one has the family."""
    assert conninfo
    found = []
    for name, more in (("a", FAMILY), ("b", "")):
        (tmp_path / name).mkdir()
        spool = f"spool: {{directory: spool, database: 'env:{SharedGround.VARIABLE}', min_free: 0}}\n"
        machine = Machine(parse_settings("gateway.yaml", SETTINGS + spool + more, directory=tmp_path / name))
        machine.catch_up()
        found.append(machine)
    return found[0], found[1]


def test_a_suspension_is_written_once(machines: tuple[Machine, Machine]) -> None:
    """Both machines have the very line, who and when and why; whoever looks again writes nothing."""
    here, there = machines
    here.change("suspend", "k", "mất thẻ")
    there.catch_up()
    assert here.suspended == there.suspended == {"k": "mất thẻ"}
    octets = there.settings.keys_state_file.read_bytes()
    assert octets == here.settings.keys_state_file.read_bytes()
    there.catch_up()
    assert there.settings.keys_state_file.read_bytes() == octets


def test_a_resumption_that_was_missed(machines: tuple[Machine, Machine]) -> None:
    """A machine that was away while a key was suspended and resumed does not suspend it again."""
    here, there = machines
    here.change("suspend", "k", "mất thẻ")
    there.catch_up()
    here.change("resume", "k", "tìm thấy")
    there.catch_up()
    assert here.suspended == there.suspended == {}
    assert b'"resume"' in there.settings.keys_state_file.read_bytes()


def test_of_two_states_the_suspended_one_holds(machines: tuple[Machine, Machine]) -> None:
    """What one machine suspended by itself is suspended on all; what it resumed by itself is resumed nowhere."""
    here, there = machines
    here.change("suspend", "k", "mất thẻ")
    there.catch_up()
    there.note("resume", "k", "một mình")
    there.note("suspend", "own", "trước khi dùng chung")
    there.catch_up()
    here.catch_up()
    assert here.suspended == there.suspended == {"k": "mất thẻ", "own": "trước khi dùng chung"}


def test_a_suspension_after_a_shared_resumption(machines: tuple[Machine, Machine]) -> None:
    """A machine that stops a key by itself, the database away, stops it on all, though others had resumed it."""
    here, there = machines
    here.change("suspend", "k", "mất thẻ")
    here.change("resume", "k", "tìm thấy")
    there.catch_up()
    there.note("suspend", "k", "lại mất")
    there.catch_up()
    here.catch_up()
    assert here.suspended == there.suspended == {"k": "lại mất"}


def test_a_line_that_somebody_wrote_by_hand(machines: tuple[Machine, Machine]) -> None:
    """What the file's readers take is shared as it is, and written once, however odd its time and its reason."""
    here, there = machines
    odd = {"at": "hôm qua", "who": "", "action": "suspend", "label": "k", "reason": ""}
    there.settings.keys_state_file.touch(0o600)
    there.settings.keys_state_file.write_text(json.dumps(odd) + "\n")
    for each in (there, here, here):
        assert each.catch_up().failed == []
    assert here.suspended == {"k": ""}
    assert here.settings.keys_state_file.read_bytes().count(b"\n") == 1


def test_a_file_that_nobody_can_read_hides_nothing_else(machines: tuple[Machine, Machine]) -> None:
    """It suspends every key by itself, and is told of; trust is followed all the same, and mail flows."""
    here, there = machines
    there.settings.keys_state_file.touch(0o600)
    there.settings.keys_state_file.write_text("hỏng\n")
    here.change("suspend", "k", "mất thẻ")
    here.pin("added", ROOT, "")
    found = there.catch_up()
    assert ["keys-state.jsonl:1" in each for each in found.refused] == [True]
    assert found.failed == []
    assert there.pinned == {ROOT}


def test_a_certificate_goes_with_its_line(machines: tuple[Machine, Machine]) -> None:
    """Added and retired on one machine, added and retired on the other; the chain of lines is each machine's own."""
    here, there = machines
    here.pin("added", ROOT, "đã so")
    before = state_of(there.settings)
    there.catch_up()
    assert state_of(there.settings) != before
    assert here.pinned == there.pinned == {ROOT}
    assert there.store.index().lines == here.store.index().lines
    there.pin("retired", ROOT, "khóa lộ")
    here.catch_up()
    assert here.pinned == there.pinned == set()
    assert here.store.findings(NOW) == ()


def test_what_only_one_store_had(machines: tuple[Machine, Machine]) -> None:
    """An adding that nobody heard of is shared; where one retired and another added, the certificate is not trusted."""
    here, there = machines
    there.store.add(ROOT, kind="anchor", family="", who="an", note="", now=NOW)
    there.catch_up()
    here.catch_up()
    assert here.pinned == {ROOT}
    here.store.retire(ROOT.fingerprint, who="an", reason="một mình", now=NOW)
    here.catch_up()
    there.catch_up()
    assert here.pinned == there.pinned == set()
    there.store.add(ROOT, kind="anchor", family="", who="an", note="lại", now=NOW)
    there.catch_up()
    assert there.pinned == set()
    here.pin("added", ROOT, "cho tất cả")
    there.catch_up()
    assert here.pinned == there.pinned == {ROOT}


def test_an_old_retirement_does_not_undo_a_new_adding(machines: tuple[Machine, Machine]) -> None:
    """What both had retired before they shared is known to all: adding it for all afterwards counts."""
    for each in machines:
        each.store.add(ROOT, kind="anchor", family="", who="an", note="", now=NOW)
        each.store.retire(ROOT.fingerprint, who=each.settings.spool.directory.parent.name, reason="xưa", now=NOW)
        each.catch_up()
    here, there = machines
    here.pin("added", ROOT, "lại")
    for each in (there, here, there):
        each.catch_up()
    assert here.pinned == there.pinned == {ROOT}


def test_a_family_that_one_machine_lacks(machines: tuple[Machine, Machine]) -> None:
    """It would make the whole store unreadable there: it is left out and told of, and everything else is followed."""
    here, there = machines
    here.pin("added", ROOT, "", family="vgca")
    here.pin("added", OTHER, "")
    found = there.catch_up()
    assert ["'vgca', which trust.families does not have" in each for each in found.refused] == [True]
    assert there.pinned == {OTHER}
    assert here.pinned == {ROOT, OTHER}


def test_what_cannot_be_written_down_is_no_start(machines: tuple[Machine, Machine]) -> None:
    """A damaged store may hide a retirement: a machine that runs takes no mail, and none starts."""
    here, there = machines
    there.store.index_file.parent.mkdir(mode=0o700, exist_ok=True)
    there.store.index_file.write_text("hỏng\n")
    here.pin("added", ROOT, "")
    assert there.catch_up().failed
    with pytest.raises(SetupError, match=r"index\.jsonl:1"):
        begin(there.settings, load)


def test_another_certificate_than_the_line_says(machines: tuple[Machine, Machine], conninfo: str) -> None:
    """What was put into the database by hand and does not fit is written nowhere."""
    here, there = machines
    line = pinning("added", ROOT, "")
    body = decrees.of_line(line, OTHER)
    publish_raw = (decrees.Decree(body.kind, ROOT.fingerprint, "lan", body.body),)
    publish(here.settings, lambda _: publish_raw)
    here.pin("added", OTHER, "")
    found = there.catch_up()
    assert "another certificate" in found.refused[0]
    assert found.failed == []
    assert there.pinned == {OTHER}
    assert asked(conninfo, "SELECT count(*) FROM gazette") == [(2,)]


def test_a_policy_is_copied_as_a_whole(machines: tuple[Machine, Machine]) -> None:
    """Before the first one each machine has its own directory; then the copy rules, and the draft is left alone."""
    here, there = machines
    assert in_force(there.settings) == there.settings.policies
    here.apply(FIRST)
    there.catch_up()
    assert there.files == FIRST
    assert in_force(there.settings) == copy_file(there.settings)
    here.apply(SECOND)
    there.catch_up()
    assert there.files == SECOND
    assert not there.settings.policies.exists()


def test_a_policy_that_does_not_load_here(machines: tuple[Machine, Machine]) -> None:
    """The old copy stands, over starts too; keys and trust are followed all the same."""
    here, there = machines
    here.apply(FIRST)
    there.catch_up()
    here.apply({"10.yaml": "bad"})
    here.change("suspend", "k", "mất thẻ")
    found = begin(there.settings, load)
    assert found is not None
    assert ["names what is not set up" in each for each in found.refused] == [True]
    assert (there.files, there.suspended) == (FIRST, {"k": "mất thẻ"})
    here.apply(SECOND)
    assert there.catch_up().refused == []
    assert there.files == SECOND


def test_a_database_put_back_from_a_copy(machines: tuple[Machine, Machine], conninfo: str) -> None:
    """What the machines know and the database has lost is in it again: keys stay stopped, the policy stays."""
    here, there = machines
    here.apply(FIRST)
    here.apply(SECOND)
    here.change("suspend", "k", "mất thẻ")
    for each in machines:
        each.catch_up()
    asked(conninfo, "ALTER TABLE gazette DISABLE TRIGGER gazette_only_grows")
    asked(conninfo, "DELETE FROM gazette WHERE number > 1")
    asked(conninfo, "ALTER TABLE gazette ENABLE TRIGGER gazette_only_grows")
    for each in (there, here, there):
        each.catch_up()
    assert here.files == there.files == SECOND
    assert here.suspended == there.suspended == {"k": "mất thẻ"}
    assert asked(conninfo, "SELECT kind FROM gazette ORDER BY number") == [("policy",), ("key",), ("policy",)]


def test_a_resumption_that_comes_too_late(machines: tuple[Machine, Machine]) -> None:
    """Of two administrators the later one decides about what is there: a newer suspension is not lifted unseen."""
    here, there = machines
    here.change("suspend", "k", "mất thẻ")
    seen = decrees.suspended

    def choose(past: Past) -> tuple[decrees.Decree, ...]:
        if seen(past)["k"].reason != "mất thẻ":
            raise OvertakenError("k")
        return (decrees.of_suspension(Suspension("k", NOW.isoformat(), "an", "xong"), suspending=False),)

    there.change("suspend", "k", "lộ mật khẩu")
    with pytest.raises(OvertakenError):
        publish(here.settings, choose)
    here.catch_up()
    assert here.suspended == there.suspended == {"k": "lộ mật khẩu"}


def test_many_administrators_at_once(machines: tuple[Machine, Machine], conninfo: str) -> None:
    """Everything gets a number of its own, none is left out, and both machines come to the same."""
    here, there = machines

    def change(machine: Machine, name: str) -> None:
        for number in range(5):
            machine.change("suspend", f"{name}{number}", "thử")

    threads = [
        threading.Thread(target=change, args=(machine, f"{name}{index}"))
        for name, machine in (("a", here), ("b", there))
        for index in range(2)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for machine in machines:
        machine.catch_up()
    assert asked(conninfo, "SELECT count(*), max(number) FROM gazette") == [(20, 20)]
    assert here.suspended == there.suspended
    assert len(here.suspended) == 20


def test_what_was_published_stays(machines: tuple[Machine, Machine], conninfo: str) -> None:
    """Nobody who uses SQL changes or removes a row by mistake."""
    machines[0].change("suspend", "k", "mất thẻ")
    for statement in ("UPDATE gazette SET who = ''", "DELETE FROM gazette", "TRUNCATE gazette"):
        with pytest.raises(psycopg.Error, match="stays on record"):
            asked(conninfo, statement)

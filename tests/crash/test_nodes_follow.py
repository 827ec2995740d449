"""What an administrator changes on one machine holds on the other: two whole gateways, two directories, one database.

Nobody signals or reloads the second one; everything is seen from outside, by what becomes of mail.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.pki.certificate import Certificate
from support.gateway_process import (
    AUTHORS,
    COMMAND,
    LOGIN,
    NEIGHBOR,
    OURS,
    POLICY,
    Gateway,
    House,
    authority,
    build_house,
    credentials,
    gateway,
)
from support.letters import ASCII, HEAD, LAN, clear, text_part
from support.peers import short_directory, wait_for
from support.postgres import asked
from support.swaks import swaks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.postgres import Postgres

OUTSIDE: Final = "dan@hopthu.example"
INSIDE: Final = f"giay.to@{OURS}"
SECONDS: Final = 180
"""A change takes a second or two; the machine may be busy with other things."""
CLOSED: Final = "rules:\n  - {name: closed, direction: outbound, then: {refuse: {vi: nghỉ, en: closed today}}}\n"
OPEN: Final = POLICY
ROUTED: Final = (
    "rules:\n  - {name: by-hop, direction: outbound, when: {recipient: x@x.example}, then: {pass: {route: chi-a}}}\n"
)


def machine(directory: Path, conninfo: str, *, hops: tuple[str, ...] = (), workers: int = 1) -> House:
    """Make one machine; its trust has no anchor but what is pinned."""
    directory.mkdir(mode=0o700)
    secret = directory / "database"
    secret.touch(mode=0o600)
    secret.write_text(conninfo)
    for name in ("kho", *hops):
        (directory / name).mkdir(mode=0o700)
    return build_house(
        directory,
        hops=[{"name": each, "protocol": "maildir", "directory": each} for each in ("kho", *hops)],
        local_domains=[{"domain": OURS, "hop": "kho", "recipients": "any"}],
        outbound=[{"domain": "*", "hop": "kho"}],
        spool={"database": f"file:{secret}"},
        trust={"crls": ["trust/intermediate.crl"]},
        verify={"workers": 1},
        workers=workers,
    )


def command(house: House, *words: str) -> subprocess.CompletedProcess[str]:
    """Give a command as an administrator of a machine does."""
    line = (COMMAND, *words, "--config", str(house.config))
    return subprocess.run(line, capture_output=True, text=True, timeout=2 * SECONDS, check=False)


def done(house: House, *words: str) -> str:
    """Give a command that must succeed, and return what it said."""
    found = command(house, *words)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def refusal(house: House, kind: str = "rsa2048") -> str:
    """Submit as the author who has a key of this kind; return the refusal, "" if it was taken."""
    message = ASCII.replace(LAN.encode(), AUTHORS[kind].encode())
    return swaks(
        house.port("submission"), AUTHORS[kind], OUTSIDE, message, login=LOGIN, trusted=house.server_pem
    ).refusal


def status(house: House) -> dict[str, Any]:
    """Return what `gateway policy status` says."""
    found: dict[str, Any] = json.loads(command(house, "policy", "status", "--json").stdout)
    return found


def verdict(house: House, number: int) -> str:
    """Let the neighbor's signed letter come in, and return the verdict that it arrives with."""
    mark = f"So {number}"
    letter = clear(text_part(mark), credentials()[NEIGHBOR], head=HEAD.replace(LAN.encode(), NEIGHBOR.encode()))
    assert swaks(house.port("inbound"), NEIGHBOR, INSIDE, letter).accepted
    box = house.directory / "kho"

    def arrived() -> list[bytes]:
        octets = (each.read_bytes() for each in box.rglob("new/*"))
        return [each for each in octets if mark.encode() in each]

    wait_for(lambda: bool(arrived()), "the letter", seconds=SECONDS)
    lines = arrived()[0].split(b"\r\n" if b"\r\n" in arrived()[0] else b"\n")
    return next(each for each in lines if each.startswith(b"X-Gateway-Verdict:")).decode().split(":")[1].split(";")[0]


@pytest.fixture(scope="module")
def pair(server: Postgres) -> Iterator[tuple[Gateway, Gateway]]:
    """Two machines that run; the second one with two workers."""
    conninfo = server.create()
    with ExitStack() as stack:
        directory = stack.enter_context(short_directory("gw-"))
        first = machine(directory / "a", conninfo, hops=("chi-a",))
        second = machine(directory / "b", conninfo, workers=2)
        yield stack.enter_context(gateway(first)), stack.enter_context(gateway(second))


def test_a_key_suspended_here_stops_there(pair: tuple[Gateway, Gateway]) -> None:
    """It is refused at the other machine, and signs again on both once it is resumed on either."""
    here, there = (each.house for each in pair)
    assert refusal(there, "p256") == ""
    done(here, "keys", "suspend", "p256", "--reason", "mất thẻ")
    wait_for(lambda: "suspended" in refusal(there, "p256"), "the suspension", seconds=SECONDS)
    assert "suspended" in refusal(here, "p256")
    assert refusal(there, "p384") == ""
    listed = json.loads(command(there, "keys", "show", "p256", "--json").stdout)
    assert listed["suspension"]["reason"] == "mất thẻ"
    done(there, "keys", "resume", "p256", "--reason", "tìm thấy")
    wait_for(lambda: refusal(here, "p256") == "", "the resumption", seconds=SECONDS)


def test_a_key_suspended_on_one_machine_alone_stops_on_the_other_soon(pair: tuple[Gateway, Gateway]) -> None:
    """`--here` is for while the database is away; what it wrote is shared without anything else that happens."""
    here, there = (each.house for each in pair)
    done(here, "keys", "suspend", "p256", "--here", "--reason", "mất thẻ")
    wait_for(lambda: "suspended" in refusal(there, "p256"), "the suspension", seconds=SECONDS)
    done(there, "keys", "resume", "p256", "--reason", "tìm thấy")
    wait_for(lambda: refusal(here, "p256") == "", "the resumption", seconds=SECONDS)


def test_nobody_needs_to_be_told(pair: tuple[Gateway, Gateway], server: Postgres) -> None:
    """A row that comes without a NOTIFY is found by polling."""
    here, there = (each.house for each in pair)
    body = {"label": "p384", "at": "2026-11-24T08:30:00+07:00", "who": "lan", "reason": "mất", "action": "suspend"}
    asked(
        (here.directory / "database").read_text(),
        "INSERT INTO gazette (number, node, who, kind, subject, body) "
        "SELECT coalesce(max(number), 0) + 1, 'khac', 'lan', 'key', 'p384', %s FROM gazette",
        json.dumps(body),
    )
    for each in (here, there):
        wait_for(lambda each=each: "suspended" in refusal(each, "p384"), "the suspension", seconds=SECONDS)  # type: ignore[misc]
    done(there, "keys", "resume", "p384", "--reason", "tìm thấy")


def test_an_anchor_retired_here_is_not_believed_there(pair: tuple[Gateway, Gateway]) -> None:
    """What is pinned on one machine is believed on both, and no longer on both once it is retired."""
    here, there = (each.house for each in pair)
    anchor = Certificate.load(authority().intermediate)
    assert verdict(there, 1) != " verified"
    file = str(here.directory / "trust/intermediate.pem")
    done(here, "trust", "add", file, "--pin", anchor.fingerprint, "--anyway", "the root bears a published name")
    numbers = iter(range(2, 1000))
    wait_for(lambda: "verified" in verdict(there, next(numbers)), "trust", seconds=SECONDS)
    done(here, "trust", "retire", anchor.fingerprint, "--reason", "khóa lộ")
    wait_for(lambda: "verified" not in verdict(there, next(numbers)), "the end of trust", seconds=SECONDS)
    assert "retired" in (there.directory / "spool/trust/index.jsonl").read_text()


def test_a_policy_applied_here_rules_there(pair: tuple[Gateway, Gateway]) -> None:
    """The command ends when it rules on both; the other machine's draft is left alone; an earlier one comes back."""
    here, there = (each.house for each in pair)
    draft = here.directory / "policies/10-test.yaml"
    draft.write_text(OPEN)
    done(here, "policy", "apply")
    first = status(here)["policies"][-1]["number"]
    draft.write_text(CLOSED)
    assert refusal(there) == ""
    done(here, "policy", "apply")
    assert "closed today" in refusal(there)
    assert "closed today" in refusal(here)
    assert not pair[1].events("the workers do not all have the same policy"), "each follows at its own time"
    assert (there.directory / "policies/10-test.yaml").read_text() == OPEN
    pair[1].hup()
    assert "closed today" in refusal(there)
    done(there, "policy", "apply", "--again", str(first))
    assert refusal(here) == ""


def test_a_policy_that_cannot_load_there_is_refused_there(pair: tuple[Gateway, Gateway]) -> None:
    """The old one stands on that machine, an error is logged, and whoever applied it is told which machine and why."""
    here, there = (each.house for each in pair)
    draft = here.directory / "policies/10-test.yaml"
    draft.write_text(ROUTED + OPEN.removeprefix("rules:\n"))
    found = command(here, "policy", "apply", "--wait", "60")
    assert found.returncode == 1
    assert "'chi-a', which is not set up" in found.stdout
    assert found.stdout.count("DOES NOT HAVE IT") == 2, "each worker of the other machine"
    assert refusal(there) == ""
    assert [each["has"] for each in status(there)["machines"]].count(True) == 1
    assert pair[1].events("what was changed for all machines does not fit this one, its old state stands")
    draft.write_text(OPEN)
    done(here, "policy", "apply")
    assert all(each["has"] for each in status(there)["machines"])


def test_a_machine_that_was_down_starts_with_it(server: Postgres) -> None:
    """What was changed while it was down is in its first answer; what was only said there is shared from now on."""
    conninfo = server.create()
    with ExitStack() as stack:
        directory = stack.enter_context(short_directory("gw-"))
        first, second = (machine(directory / name, conninfo) for name in "ab")
        here = stack.enter_context(gateway(first))
        down = stack.enter_context(gateway(second))
        assert down.stop() == 0
        done(first, "keys", "suspend", "p256", "--reason", "mất thẻ")
        more = "rules:\n  - {name: no, direction: outbound, when: {author: x@x.example}, then: pass}\n"
        (first.directory / "policies/10-test.yaml").write_text(OPEN.replace("rules:\n", more))
        done(first, "policy", "apply")
        done(second, "keys", "suspend", "p384", "--reason", "ở đây", "--here")
        assert refusal(first, "p384") == ""
        down.start()
        assert "suspended" in refusal(second, "p256")
        assert all(each["has"] for each in status(second)["machines"])
        wait_for(lambda: "suspended" in refusal(first, "p384"), "what the other had by itself", seconds=SECONDS)
        assert not here.events("reload refused, the old state stands")


def test_without_the_database_nothing_is_half_done(server: Postgres) -> None:
    """The command fails and changes nothing; a key can be stopped here all the same; cut off, a machine catches up."""
    conninfo = server.create()
    with ExitStack() as stack:
        directory = stack.enter_context(short_directory("gw-"))
        asked(conninfo, "CREATE ROLE second SUPERUSER LOGIN")
        first = machine(directory / "a", conninfo)
        second = machine(directory / "b", conninfo.replace("user=postgres", "user=second"))
        stack.enter_context(gateway(first))
        there = stack.enter_context(gateway(second))
        asked(conninfo, "ALTER ROLE second NOLOGIN")
        asked(conninfo, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'second'")
        found = command(second, "keys", "suspend", "p256", "--reason", "mất thẻ")
        assert found.returncode == 2
        assert "nothing was changed" in found.stderr
        assert refusal(first, "p256") == ""
        assert not (second.directory / "spool/keys-state.jsonl").exists()
        done(second, "keys", "suspend", "p384", "--reason", "ngay", "--here")
        done(first, "keys", "suspend", "p256", "--reason", "mất thẻ")
        wait_for(lambda: refusal(second).startswith("452"), "the outage to be seen", seconds=SECONDS)
        asked(conninfo, "ALTER ROLE second LOGIN")
        wait_for(lambda: not refusal(second).startswith("4"), "the end of the outage", seconds=SECONDS)
        assert "suspended" in refusal(second, "p256"), "the first mail that it takes meets what was missed"
        wait_for(lambda: "suspended" in refusal(first, "p384"), "what was stopped meanwhile", seconds=SECONDS)
        assert there.events("the spool's database does not answer")

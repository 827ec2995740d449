"""`gateway hops`: what every next hop says now, for people and for programs."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from typer.testing import CliRunner

from gateway.cli import build
from support.names import Names
from support.peers import PeerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

RUNNER: Final = CliRunner()
CONFIG: Final = """\
hostname: mail.songlam.example
listeners: [{{name: in, kind: inbound, address: "127.0.0.1:0"}}]
hops:
  - {{name: boxes, protocol: maildir, directory: {boxes}}}
  - {{name: out, protocol: smtp, tls: none, addresses: ["127.0.0.1:{port}", {{address: "127.0.0.1:1", priority: 7}}]}}
  - name: direct
    protocol: smtp
    addresses: mx
    tls: none
    mx_servers: ["{dns}"]
    mx_private: ["127.0.0.0/8"]
    mx_port: {port}
local_domains: [{{domain: songlam.example, hop: boxes, recipients: any}}]
spool: {{directory: {spool}}}
policies: {policies}
tags: {{authserv_id: mail.songlam.example}}
"""


@contextmanager
def answering() -> Iterator[tuple[int, str]]:
    """Run a next hop and a DNS server in a loop of their own; the command has one, too."""
    import asyncio  # noqa: PLC0415 - the loop of the other thread is this function's alone

    from support.hops import FakeHop  # noqa: PLC0415 - the same

    begun, found = threading.Event(), []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with FakeHop() as fake, Names({"x.example": {"A": ["127.0.0.1"]}}) as names:
            ended = asyncio.Event()
            found.extend((fake.port, names.address, ended))
            begun.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        if not begun.wait(60):
            raise PeerError("the doubles did not start")
        yield found[0], found[1]
    finally:
        loop.call_soon_threadsafe(found[2].set)
        thread.join()
        loop.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Return a directory with a configuration whose hops answer."""
    (tmp_path / "boxes").mkdir()
    with answering() as (port, dns):
        text = CONFIG.format(boxes=tmp_path / "boxes", spool=tmp_path / "spool", policies=tmp_path, port=port, dns=dns)
        (tmp_path / "gateway.yaml").write_text(text)
        yield tmp_path


def run(place: Path, *arguments: str, code: int) -> Result:
    """Run the command."""
    done = RUNNER.invoke(
        build(["hops"]), ["hops", *arguments, "--config", f"{place}/gateway.yaml"], env={"COLUMNS": "200"}
    )
    assert done.exit_code == code, (done.output, done.exception)
    return done


def objects(result: Result) -> list[dict[str, Any]]:
    """Return the JSON objects on standard output."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_every_address_is_asked(place: Path) -> None:
    """One object per address; one that is dead is named and makes the exit code 1."""
    boxes, good, dead, direct = objects(run(place, "--json", code=1))
    assert (boxes["hop"], boxes["takes_mail"]) == ("boxes", True)
    assert (good["takes_mail"], good["size"], "DSN" in good["offers"]) == (True, 50_000_000, True)
    assert (dead["priority"], dead["takes_mail"], dead["offers"]) == (7, False, [])
    assert "cannot connect" in dead["trouble"]
    assert "--domain" in direct["trouble"]
    assert {each["running"] for each in (boxes, good, dead, direct)} == {None}  # nothing runs here


def test_a_hop_by_name_and_the_exchangers_of_a_domain(place: Path) -> None:
    """Whoever asks for one hop hears of no other; a domain's hosts are looked up and asked."""
    (found,) = objects(run(place, "direct", "--domain", "x.example", "--json", code=0))
    assert found["takes_mail"]
    (none,) = objects(run(place, "direct", "--domain", "y.example", "--json", code=1))
    assert "5.1.2" in none["trouble"]


def test_for_people(place: Path) -> None:
    """Both languages, one line per address."""
    text = run(place, code=1).stdout
    for word in (
        "nhận thư / takes mail",
        "không / no",
        "SIZE 50000000",
        "127.0.0.1:1",
        "no word from the running gateway",
    ):
        assert word in text, word


def test_wrong_calls(place: Path) -> None:
    """Nobody is asked for a name that is not there."""
    assert "no such hop" in run(place, "x", code=2).output
    assert "not a mail domain" in run(place, "--domain", "a b", code=2).output

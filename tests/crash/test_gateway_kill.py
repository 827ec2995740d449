"""`kill -9` of the whole gateway under load, with its next hop there and away: "250 means safe", in earnest."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

from support.dovecot import dovecot
from support.gateway_process import OURS, Gateway, House, build_house, gateway
from support.load import Load, number_of
from support.peers import free_port, short_directory, wait_for
from support.postfix import postfix

if TYPE_CHECKING:
    from pathlib import Path

    from support.dovecot import Dovecot
    from support.postfix import Postfix

TO: Final = "tai@hopthu.example"
ROUNDS: Final = 2
MESSAGES: Final = 50
"""Acknowledged, at least."""
SECONDS: Final = 180


def house_in(directory: Path, mail: Dovecot, hop: int) -> House:
    return build_house(
        directory,
        hops=[
            {"name": "ngoai", "protocol": "smtp", "addresses": [f"127.0.0.1:{hop}"], "tls": "none"},
            {"name": "kho", "protocol": "lmtp", "addresses": [f"unix:{mail.lmtp_path}"], "tls": "none"},
        ],
        local_domains=[{"domain": OURS, "hop": "kho", "recipients": "any"}],
        outbound=[{"domain": "*", "hop": "ngoai"}],
        spool={"retry_first": 0.2, "retry_most": 0.5, "answer_within": 5.0},
    )


def numbers_of(mail: Dovecot) -> set[int]:
    """Return which messages arrived; each must be whole and signed."""
    return {number_of(each) for each in mail.present(TO)}


def test_every_acknowledged_message_arrives() -> None:
    """Whatever moment the process dies at: what was answered 250 arrives, and whole."""
    hop = free_port()
    with dovecot() as mail, short_directory("gw-") as directory:
        house = house_in(directory, mail, hop)
        routes = {"hopthu.example": f"lmtp:inet:127.0.0.1:{mail.lmtp_port}"}
        load = Load([house.port("internal")], TO)
        with gateway(house) as running:
            with load.running():
                for _ in range(ROUNDS):
                    with postfix(routes, port=hop) as mta:
                        killed_and_started(running, moment(0.3, 1.2))
                        time.sleep(moment(0.2, 1.0))
                        running.kill()
                        emptied(mta)  # what Postfix took over is Postfix's to keep: it may not end before
                    running.start()
                    killed_and_started(running, moment(0.2, 0.8))
                wait_for(lambda: len(load.acknowledged) > MESSAGES, f"{MESSAGES} messages", seconds=SECONDS)
            with postfix(routes, port=hop) as mta:
                wait_for(lambda: load.acknowledged <= numbers_of(mail), "what was acknowledged", seconds=SECONDS)
                emptied(mta)


def moment(least: float, most: float) -> float:
    """Return some seconds; the random order of the test run says the seed."""
    return random.uniform(least, most)  # noqa: S311 - when to die is no secret


def killed_and_started(running: Gateway, seconds: float) -> None:
    time.sleep(seconds)
    running.kill()
    running.start()


def emptied(mta: Postfix) -> None:
    wait_for(lambda: not mta.queue(), "Postfix to deliver", seconds=SECONDS)

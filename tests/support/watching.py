"""The real `gateway mailbox watch` as a process of its own, in front of a mailroom.

    with watching(port, LAN, first_days=3) as watch:
        watch.said()                                   # its log so far

Leaving the context ends it, and insists on a log without a traceback, a secret or the text of mail.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from support.gateway_process import COMMAND, HOSTNAME, OURS, build_house
from support.mailroom import MASTER, MASTER_PASSWORD
from support.peers import child, short_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEAL_SECRET: Final = b"khoa-niem-phong-chi-de-thu-0123456789"


@dataclass(frozen=True, slots=True)
class Watching:
    """A watch that runs."""

    directory: Path
    pid: int

    def said(self) -> list[dict[str, Any]]:
        """Return its log so far."""
        text = (self.directory / "watch.log").read_text(encoding="utf-8")
        return [json.loads(each) for each in text.splitlines() if each.startswith("{")]

    def places(self) -> int:
        """Return how many mailboxes were looked into."""
        return sum(1 for _ in self.directory.glob("spool/mailbox/*.json"))

    def looked_at(self) -> int:
        """Return how many messages were looked at."""
        return sum(each["event"] == "tagged" for each in self.said())


@contextmanager
def watching(port: int, *mailboxes: str, **more: Any) -> Iterator[Watching]:
    """Run it until the context ends; `more` are settings of `mailbox`."""
    with short_directory("mw-") as directory:
        for name, secret in (("master", MASTER_PASSWORD.encode()), ("seal", SEAL_SECRET)):
            (directory / name).touch(mode=0o600)
            (directory / name).write_bytes(secret)
        house = build_house(
            directory,
            hops=[{"name": "kho", "protocol": "maildir", "directory": "mail"}],
            local_domains=[{"domain": OURS, "hop": "kho", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "kho"}],
            tags={"authserv_id": HOSTNAME, "seals": [{"id": "k1", "key": f"file:{directory}/seal"}]},
            mailbox={
                "imap": f"127.0.0.1:{port}",
                "tls": "none",
                "login": MASTER,
                "password": f"file:{directory}/master",
                "watch": list(mailboxes),
                "liveness": 1.5,
                "timeout": 2.0,
                **more,
            },
        )
        command = (COMMAND, "mailbox", "watch", "--config", str(house.config))
        with child(command, output=directory / "watch.log") as process:
            yield Watching(directory, process.pid)
        text = (directory / "watch.log").read_text(encoding="utf-8")
        assert "Traceback" not in text, text
        assert MASTER_PASSWORD not in text
        assert SEAL_SECRET.decode() not in text
        assert "08:00" not in text, "a log holds no mail"

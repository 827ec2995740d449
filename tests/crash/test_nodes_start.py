"""A node that is started while the shared database is away: whoever started it must try again, not give it up."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from support.gateway_process import run_command
from support.nodes import node
from support.peers import free_port, short_directory

if TYPE_CHECKING:
    from collections.abc import Sequence


def started(command: Sequence[str]) -> tuple[int, str]:
    """Return how a start ended and what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stderr


def test_a_database_that_is_away() -> None:
    """After a power failure machines may be up before their database: exit code 1, which systemd takes for a reason."""
    with short_directory("away") as place:
        house = node(place / "a", f"host={place} dbname=gateway", free_port())
        code, said = started(run_command(house.config))
        assert "spool.database: cannot be used now" in said
        assert code == 1
        assert started((*run_command(house.config), "--check"))[0] == 2


def test_a_reference_that_is_wrong() -> None:
    """Trying again would not help."""
    with short_directory("away") as place:
        house = node(place / "a", "no connection string", free_port())
        code, said = started(run_command(house.config))
        assert "spool.database: what it refers to is no connection string" in said
        assert code == 2

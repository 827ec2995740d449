"""What some of these tests stand on: a file of this machine, or a database that machines share."""

from __future__ import annotations

from support.grounds import conninfo, ground, server

__all__ = ["conninfo", "ground", "server"]

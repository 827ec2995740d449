"""What these tests stand on: a database that machines share."""

from __future__ import annotations

from support.grounds import conninfo, server

__all__ = ["conninfo", "server"]

"""What these tests share: logging left as it was."""

from __future__ import annotations

from support.logs import logging_as_before

__all__ = ["logging_as_before"]

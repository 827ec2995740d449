"""How a command comes to the settings of the gateway it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.call import stop
from gateway.config.load import load_settings
from gateway.core.errors import SetupError
from gateway.record.logs import configure

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config.model import Settings


def settings_of(config: Path) -> Settings:
    """Return them, with logging set up for a command; ends with exit code 2 if they are wrong."""
    configure("error")
    try:
        return load_settings(config)
    except SetupError as error:
        stop(2, *error.mistakes)

"""Runs the gateway's command with more keys than a settings file has room for: `many_keys.py COMMAND... --config FILE`.

Beside the file stand `keys/more/key.pem`, one private key, and `keys/more/*.crt`, a certificate of it for each key.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.config import load
from gateway.config.keys import KeyFile

if TYPE_CHECKING:
    from gateway.config.model import Settings


def add_keys(directory: Path) -> None:
    """Let every reading of the settings find these keys too."""
    whole = load.load_settings
    secret, passphrase = directory / "key.pem", f"file:{directory.parent}/passphrase"
    more = tuple(
        KeyFile(label=each.stem, kind="personal", key=secret, certificate=each, passphrase=passphrase)
        for each in sorted(directory.glob("*.crt"))
    )

    def with_more(path: Path) -> Settings:
        found = whole(path)
        return found.model_copy(update={"keys": (*found.keys, *more)})

    load.load_settings = with_more


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    add_keys(Path(sys.argv[sys.argv.index("--config") + 1]).parent / "keys/more")
    runpy.run_path(sys.argv[0], run_name="__main__")

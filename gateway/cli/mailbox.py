"""`gateway mailbox watch`: colored tags for mail that passed the gateway by, until a signal ends it.

Exit codes: 0 as asked, 2 the set-up or the call is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import Annotated

import typer

from gateway.app.mailboxes import MailboxWatch
from gateway.cli.call import DEFAULT_CONFIG, stop
from gateway.config.load import load_settings
from gateway.core.errors import ServiceError, SetupError
from gateway.record.logs import configure


def watch(
    config: Annotated[Path, typer.Option("--config", help="The configuration file (YAML).")] = DEFAULT_CONFIG,
    check: Annotated[bool, typer.Option("--check", help="Read everything, say what is wrong, and stop.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Watch the listed mailboxes and set colored tags, by the seal or by our own judgment, until SIGTERM.

    SIGHUP reads trust anchors and revocation lists again.
    """
    try:
        settings = load_settings(config)
        configure(settings.log_level)
        made = MailboxWatch(settings)
    except SetupError as error:
        stop(2, *error.mistakes)
    if check:
        sys.stdout.write(f"{len(made.mailboxes)} mailbox(es)\n")
        return
    try:
        asyncio.run(_watch(made))
    except ServiceError as error:
        stop(2, f"cannot start: {error}")


async def _watch(made: MailboxWatch) -> None:
    loop = asyncio.get_running_loop()
    task = loop.create_task(made.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    loop.add_signal_handler(signal.SIGHUP, made.reload)
    with contextlib.suppress(asyncio.CancelledError):
        await task

"""`gateway run`: the gateway itself, until a signal ends it; `--check` instead of a start.

Exit codes: 0 as asked, 1 it ran and something is not right, or what it needs is away now and another start may find it,
2 the set-up or the call is wrong.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import Annotated

import typer

from gateway.app import Application
from gateway.app.notify import READY, STOPPING, tell
from gateway.app.supervisor import SETTLING, Supervisor, worker_command
from gateway.app.tether import Tether
from gateway.cli.call import AsJson, say_json, stop
from gateway.config.load import load_settings
from gateway.core.errors import GatewayError, NotNowError, SetupError
from gateway.record.logs import configure
from gateway.spool.place import prepare_place


def run(
    config: Annotated[Path, typer.Option("--config", help="The configuration file (YAML).")],
    check: Annotated[bool, typer.Option("--check", help="Read everything, say what is wrong, and stop.")] = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Run the gateway until SIGTERM; SIGHUP reads policies, keys, logins and trust again."""
    if as_json and not check:
        stop(2, "--json: chỉ đi với --check / it goes with --check")
    try:
        settings = load_settings(config)
        configure("error" if check else settings.log_level)  # what a check has to say it says in its findings
        tether = Tether.of_environment()
        if settings.workers > 1 and tether is None and not check:
            prepare_place(settings.spool.directory)
            command = worker_command(config.absolute())
            settle = SETTLING if settings.spool.shared else 0.0
            supervisor = Supervisor(command, count=settings.workers, spool=settings.spool.directory, settle=settle)
            raise typer.Exit(asyncio.run(supervisor.run()))
        application = Application(settings, read_again=lambda: load_settings(config), present=tether)
    except SetupError as error:
        _say_mistakes(error, as_json=as_json)
        again = isinstance(error, NotNowError) and not check
        raise typer.Exit(1 if again else 2) from None
    if check:
        raise typer.Exit(asyncio.run(_check(application, as_json=as_json)))
    raise typer.Exit(asyncio.run(_serve(application, tether)))


def _say_mistakes(error: SetupError, *, as_json: bool) -> None:
    if as_json:
        say_json({"errors": list(error.mistakes), "warnings": []})
        return
    for line in error.mistakes:
        sys.stderr.write(f"{line}\n")
    sys.stderr.write(f"{len(error.mistakes)} mistake(s); nothing was started.\n")


async def _check(application: Application, *, as_json: bool) -> int:
    """Say what a start would find; the next hops are asked, nothing listens."""
    findings = await application.findings()
    if as_json:
        say_json({"errors": [], "warnings": list(findings)})
    else:
        for line in findings:
            sys.stdout.write(f"{line}\n")
        sys.stdout.write("configuration is complete\n" if not findings else f"{len(findings)} finding(s)\n")
    await application.close()
    return 1 if findings else 0


async def _serve(application: Application, tether: Tether | None) -> int:
    """Start, wait for a signal or the end of the supervisor, drain."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, application.reload)
    try:
        await application.start()
    except (GatewayError, OSError) as error:
        sys.stderr.write(f"cannot start: {error}\n")
        await application.stop()
        return 2
    gc.collect()
    gc.freeze()  # what is here stays; searching it for garbage takes tens of milliseconds, whoever's turn it is
    if tether is not None:
        tether.watch(stopping.set)
    tell(READY)
    await stopping.wait()
    tell(STOPPING)
    return 1 if await application.stop() else 0

"""The commands that keep running: `gateway run`, `gateway demo`; and `gateway passwd` that makes a login's line.

Exit codes: 0 as asked, 1 it ran and something is not right, 2 the set-up or the call is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from gateway.app import Application
from gateway.config.load import load_settings
from gateway.core.errors import GatewayError, SetupError
from gateway.demo.play import Play, Row
from gateway.demo.province import DOMAIN, HEALTH, OFFICER, OURS, OUTSIDE, Province, build
from gateway.record.logs import configure
from gateway.smtp.auth.table import hash_password

if TYPE_CHECKING:
    from collections.abc import Sequence

_PORTS: Final = (2587, 2465, 2525)
"""What the demonstration listens on where these are free: submission, implicit TLS, inbound."""


def run(
    config: Annotated[Path, typer.Option("--config", help="The configuration file (YAML).")],
    check: Annotated[bool, typer.Option("--check", help="Read everything, say what is wrong, and stop.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Run the gateway until SIGTERM; SIGHUP reads policies, keys, logins and trust again."""
    try:
        settings = load_settings(config)
        configure(settings.log_level)
        application = Application(settings, read_again=lambda: load_settings(config))
    except SetupError as error:
        _say_mistakes(error)
        raise typer.Exit(2) from None
    if check:
        raise typer.Exit(asyncio.run(_check(application)))
    raise typer.Exit(asyncio.run(_serve(application)))


def _say_mistakes(error: SetupError) -> None:
    for line in error.mistakes:
        sys.stderr.write(f"{line}\n")
    sys.stderr.write(f"{len(error.mistakes)} mistake(s); nothing was started.\n")


async def _check(application: Application) -> int:
    """Say what a start would find; the next hops are asked, nothing listens."""
    findings = await application.findings()
    for line in findings:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write("configuration is complete\n" if not findings else f"{len(findings)} finding(s)\n")
    await application.close()
    return 1 if findings else 0


async def _serve(application: Application) -> int:
    """Start, wait for a signal, drain."""
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
    await stopping.wait()
    return 1 if await application.stop() else 0


def passwd(
    login: Annotated[str, typer.Argument(help="The login name.")],
    authors: Annotated[list[str], typer.Argument(help="Mailboxes, or @domain, it may send as.")],
) -> None:
    """Ask for a password and print the line for the logins file (argon2id); nothing is stored."""
    import getpass  # noqa: PLC0415 - only here

    password = getpass.getpass("Mật khẩu / password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not password:
        sys.stderr.write("an empty password never fits\n")
        raise typer.Exit(2)
    sys.stdout.write(f"{login}:{hash_password(password.encode())}:{','.join(authors)}\n")


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after the table.")] = False,  # noqa: FBT002 - a flag
    keep: Annotated[Path | None, typer.Option("--keep", help="Empty directory to make the province in, kept.")] = None,
) -> None:
    """Make a throw-away province, play five messages through the real gateway, and stay up for your mail client."""
    configure("error")
    with contextlib.ExitStack() as stack:
        if keep is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-demo-")))
        else:
            directory = keep.resolve()
            directory.mkdir(parents=True, exist_ok=True)
            if any(directory.iterdir()):
                sys.stderr.write(f"{directory} is not empty\n")
                raise typer.Exit(2)
        ports = _free_ports()
        console = Console()
        with console.status("Đang tạo tỉnh thử nghiệm / making the sample province ..."):
            province = build(directory, ports=ports, log_level="error")
        raise typer.Exit(asyncio.run(_demonstrate(console, province, ports, once=once)))


def _free_ports() -> tuple[int, int, int]:
    """Return the usual ports where free, others where not."""
    chosen: list[int] = []
    with contextlib.ExitStack() as stack:
        for wanted in _PORTS:
            probe = stack.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                probe.bind(("127.0.0.1", 0))
            chosen.append(probe.getsockname()[1])
    return chosen[0], chosen[1], chosen[2]


async def _demonstrate(console: Console, province: Province, ports: tuple[int, int, int], *, once: bool) -> int:
    application = Application(load_settings(province.config))
    await application.start()
    try:
        play = Play(province, submission=ports[0], inbound=ports[2])
        with console.status("Đang gửi thư / sending mail ..."):
            rows = await asyncio.to_thread(play.rows)
        console.print(_table(rows))
        wrong = [row for row in rows if not row.right]
        for row in wrong:
            console.print(f"[red]SAI / WRONG:[/] {row.sent}: expected {row.expected}, got {row.verdict}")
        if not once:
            await _stay(console, province, ports)
        return 1 if wrong else 0
    finally:
        await application.stop()


async def _stay(console: Console, province: Province, ports: tuple[int, int, int]) -> None:
    """Say how to connect a mail client, and wait for Ctrl-C."""
    console.print(_instructions(province, ports), highlight=False, markup=False)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await stopping.wait()
    console.print("Đang dừng / stopping ...")


def _table(rows: Sequence[Row]) -> Table:
    """Return the table: what was sent, the verdict, and what the recipient sees."""
    table = Table(title="Thư đi qua cổng / mail through the gateway", show_lines=True)
    table.add_column("Thư gửi / sent", ratio=3)
    table.add_column("Kết luận / verdict", ratio=2)
    table.add_column("Người nhận thấy / what the recipient sees", ratio=6, overflow="fold")
    for row in rows:
        color = {"verified": "green", "unsigned": "yellow"}.get(row.verdict, "red")
        mark = "✓" if row.right else "✗"
        seen = "\n".join((f"Subject: {row.subject}", *row.fields, *((str(row.file),) if row.file else ())))
        table.add_row(row.sent, f"[{color}]{row.verdict}[/] {mark}", _plain(seen))
    return table


def _plain(text: str) -> str:
    """Return text that rich prints as it is: a forged subject must not become markup."""
    return text.replace("[", "\\[")


def _instructions(province: Province, ports: tuple[int, int, int]) -> str:
    submission, submissions, inbound = ports
    others = ", ".join(each.mailbox for each in OURS if each is not OFFICER)
    return f"""
Cổng đang chạy / the gateway is up. Thunderbird:
  Máy chủ gửi / outgoing server   127.0.0.1, cổng/port {submission}, STARTTLS (hoặc/or {submissions}, SSL/TLS)
  Xác thực / authentication       Normal password
  Tài khoản / user                {OFFICER.mailbox}   (hoặc/or {others})
  Mật khẩu / password             {province.password}
  Chứng thư máy chủ tự ký: chấp nhận một lần / the server certificate is self-signed: accept it once.
Gửi tới bất kỳ địa chỉ nào @{OUTSIDE} hay @{DOMAIN} / write to any address there; nothing leaves this machine.
Thư đến cổng vào / inbound mail: 127.0.0.1:{inbound}, người nhận / recipient {HEALTH.mailbox}
Xem thư đã phát / delivered mail (Maildir; mở tệp bằng/open a file with Thunderbird):
  {province.directory}/mailboxes, {province.directory}/outside
Kiểm tra một tệp / judge a file:
  gateway verify --revocation off --trust {province.directory}/trust/root.pem TỆP/FILE
Ctrl-C để dừng / to stop.
"""

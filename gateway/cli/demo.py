"""`gateway demo`: a throw-away province, a play of real mail, a table of what came of it, and a gateway to try.

Exit codes: 0 every row is as it must be, 1 one is not, 2 the call is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.app import Application
from gateway.cli.call import printable, stop
from gateway.config.load import load_settings
from gateway.core.errors import SetupError
from gateway.demo.play import Play, Row
from gateway.demo.province import HEALTH, OFFICER, OURS, OUTSIDE, Province, build
from gateway.record.logs import configure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

_PORTS: Final = (2587, 2465, 2525)
"""What the demonstration listens on where these are free: submission, implicit TLS, inbound."""
_COLORS: Final = {"verified": "green", "unsigned": "yellow"}


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after the table.")] = False,  # noqa: FBT002 - a flag
    keep: Annotated[Path | None, typer.Option("--keep", help="Empty directory to make the province in, kept.")] = None,
) -> None:
    """Make a throw-away province, play five messages through the real gateway, and stay up for your mail client."""
    configure("error")
    signal.signal(signal.SIGTERM, _interrupted)  # as Ctrl-C does: what was made is taken away again
    with contextlib.ExitStack() as stack:
        if keep is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-demo-")))
        else:
            directory = _empty(keep)
        ports = _free_ports()
        console = Console()
        with console.status("Đang tạo tỉnh thử nghiệm / making the sample province ..."):
            province = build(directory, ports=ports, log_level="error")
        try:
            code = asyncio.run(_demonstrate(console, province, ports, once=once, files=keep is not None or not once))
        except SetupError as error:
            stop(2, *error.mistakes)
        raise typer.Exit(code)


def _interrupted(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def _empty(keep: Path) -> Path:
    """Return the directory, made if need be; ends the command if it is in use or cannot be made."""
    directory = keep.resolve()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        used = any(directory.iterdir())
    except OSError as error:
        stop(2, f"{directory}: {error.strerror or error}")
    if used:
        stop(2, f"{directory} is not empty")
    return directory


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


async def _demonstrate(
    console: Console, province: Province, ports: tuple[int, int, int], *, once: bool, files: bool
) -> int:
    application = Application(load_settings(province.config))
    await application.start()
    try:
        play = Play(province, submission=ports[0], inbound=ports[2])
        with console.status("Đang gửi thư / sending mail ..."):
            rows = await asyncio.to_thread(play.rows)
        console.print(_table(rows, province.directory if files else None))
        wrong = [row for row in rows if not row.right]
        for row in wrong:
            line = f"SAI / WRONG: {row.sent}: expected {row.expected}, got {row.verdict}"
            console.print(Text(printable(line), style="red"))
        if not once:
            await _stay(console, province, ports)
        return 1 if wrong else 0
    finally:
        await application.stop()


async def _stay(console: Console, province: Province, ports: tuple[int, int, int]) -> None:
    """Say how to connect a mail client, and wait for Ctrl-C."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    console.print(_instructions(province, ports), highlight=False, markup=False, soft_wrap=True)
    await stopping.wait()
    console.print("Đang dừng / stopping ...")


def _table(rows: Sequence[Row], directory: Path | None) -> Table:
    """Return the table: what was sent and its verdict, what the recipient sees, and the file below `directory`."""
    table = Table(title="Thư đi qua cổng / mail through the gateway", show_lines=True, expand=True)
    table.add_column("Thư gửi, kết luận\nsent, verdict", ratio=2)
    table.add_column("Người nhận thấy\nwhat the recipient sees", ratio=5, overflow="fold")
    for row in rows:
        sent = Text(row.sent.replace(" / ", "\n", 1) + "\n")
        mark = "✓" if row.right else "✗"
        sent.append(f"{mark} {printable(row.verdict)}", f"bold {_COLORS.get(row.verdict, 'red')}")
        seen = Text(printable(f"Subject: {row.subject}"), "bold")
        for field in row.fields:
            seen.append(f"\n{printable(field)}", "not bold")
        if row.file is not None and directory is not None:
            seen.append(f"\n{row.file.relative_to(directory)}", "not bold dim")
        table.add_row(sent, seen)
    return table


def _instructions(province: Province, ports: tuple[int, int, int]) -> str:
    """Return what a person needs to try the gateway; lines of at most 80 columns, but for long paths."""
    submission, submissions, inbound = ports
    users = "".join(f"\n{'':<34}{each.mailbox}" for each in OURS if each is not OFFICER)
    program = sys.argv[0] if "/" in sys.argv[0] else "gateway"
    root = shlex.quote(str(province.directory / "trust/root.pem"))
    return f"""
Cổng đang chạy / the gateway is up. Thunderbird:
  Máy chủ gửi / outgoing server   127.0.0.1
  Cổng / port                     {submission} STARTTLS, hoặc / or {submissions} SSL/TLS
  Xác thực / authentication       mật khẩu thường / normal password
  Tài khoản / user                {OFFICER.mailbox}, hoặc / or{users}
  Mật khẩu / password             {province.password}
Chứng thư máy chủ tự ký: chấp nhận một lần.
The server certificate is self-signed: accept it once.
Gửi tới địa chỉ bất kỳ @{OUTSIDE}, hoặc tới các tài khoản trên.
Write to any address @{OUTSIDE}, or to the users above.
Thư đến / inbound mail: 127.0.0.1:{inbound}, tới / to {HEALTH.mailbox}
Không có gì rời khỏi máy này / nothing leaves this machine.

Thư đã phát / delivered mail (Maildir, @{OUTSIDE}: outside):
  {province.directory}/mailboxes
  {province.directory}/outside
Kiểm tra một tệp / judge a file:
  {shlex.quote(program)} verify --revocation off --trust {root} TỆP/FILE

Ctrl-C để dừng / to stop.
"""

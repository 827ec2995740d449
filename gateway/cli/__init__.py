"""The command line: each command is a function in a module of its own, registered here.

A command must not pay for the imports of another: `gateway verify` never loads the mail servers.
"""

from __future__ import annotations

import importlib.metadata
import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: Final = {
    "run": ("gateway.cli.serve", "run"),
    "demo": ("gateway.cli.demo", "demo"),
    "passwd": ("gateway.cli.login", "passwd"),
    "sign": ("gateway.cli.message", "sign"),
    "verify": ("gateway.cli.verify", "verify"),
    "explain": ("gateway.cli.explain", "explain"),
    "verify-path": ("gateway.cli.path", "verify_path"),
    "policy explain": ("gateway.cli.policy_explain", "explain"),
    "policy test": ("gateway.cli.policy_cases", "try_cases"),
    "policy schema": ("gateway.cli.policy", "schema"),
    "policy check": ("gateway.cli.policy", "check"),
    "policy replay": ("gateway.cli.policy_replay", "replay"),
    "policy apply": ("gateway.cli.policy_apply", "apply"),
    "policy status": ("gateway.cli.policy_everywhere", "status"),
    "agencies check": ("gateway.cli.agencies", "check"),
    "agencies show": ("gateway.cli.agencies", "show"),
    "agencies import": ("gateway.cli.agencies", "take_in"),
    "agencies export": ("gateway.cli.agencies", "give_out"),
    "keys list": ("gateway.cli.keys", "list_all"),
    "keys show": ("gateway.cli.keys", "show_one"),
    "keys suspend": ("gateway.cli.keys", "suspend"),
    "keys resume": ("gateway.cli.keys", "resume"),
    "queue list": ("gateway.cli.queue", "list_all"),
    "queue show": ("gateway.cli.queue", "show_one"),
    "queue release": ("gateway.cli.queue", "release"),
    "queue delete": ("gateway.cli.queue", "delete"),
    "seal check": ("gateway.cli.seal", "check_file"),
    "seal key": ("gateway.cli.seal", "new_key"),
    "trust add": ("gateway.cli.trust", "add"),
    "trust list": ("gateway.cli.trust", "list_all"),
    "trust retire": ("gateway.cli.trust", "retire"),
    "trust check": ("gateway.cli.trust", "check"),
    "queue retry": ("gateway.cli.queue_orders", "retry"),
    "queue flush": ("gateway.cli.queue_orders", "flush"),
    "queue freeze": ("gateway.cli.queue_orders", "freeze"),
    "queue thaw": ("gateway.cli.queue_orders", "thaw"),
    "queue reroute": ("gateway.cli.queue_orders", "reroute"),
    "queue bounce": ("gateway.cli.queue_orders", "bounce"),
    "queue export": ("gateway.cli.queue_export", "export"),
    "queue audit": ("gateway.cli.queue_audit", "audit"),
    "queue digest": ("gateway.cli.queue_digest", "digest"),
    "hops": ("gateway.cli.hops", "hops"),
    "canary": ("gateway.cli.canary", "canary"),
    "mailbox watch": ("gateway.cli.mailbox", "watch"),
    "selftest forgery": ("gateway.cli.selftest", "forgery"),
}
"""Command -> module and function; "GROUP WORD" is a command of a group."""
GROUPS: Final = {
    "agencies": "Danh bạ cơ quan: kiểm tra, tra cứu, nhập và xuất bảng / the registry: check, ask, import, export.",
    "keys": "Khóa ký: xem, tạm ngừng ngay, cho dùng lại / signing keys: see them, stop one at once, let it sign again.",
    "mailbox": "Hộp thư: nhãn màu cho thư không qua cổng / colored tags for mail that passed the gateway by.",
    "seal": "Dấu niêm trên nhãn: kiểm tra, tạo khóa / the seal over our tags: check it, make a key for it.",
    "selftest": "Tự thử: nhãn giả có lọt vào hộp thư không / try whether forged marks reach a mailbox.",
    "trust": "Gốc tin cậy: thêm, xem, thôi tin, kiểm tra / trust anchors: pin, see, retire and check them.",
    "queue": "Hàng đợi: xem, cho đi, gửi lại, trả lại, xóa / the queue: see, release, retry, return, delete.",
    "policy": "Quy định thư: kiểm tra, giải thích, thử, áp dụng / mail policies: check, explain, try out, apply.",
}
"""Group -> what it is about."""


_INTERRUPTED: Final = 128 + 2
"""The exit code that a shell gives for SIGINT."""


def build(names: Sequence[str]) -> typer.Typer:
    """Return the application with these commands; their modules are imported now."""
    app = _typer("Cổng thư có chữ ký số / a mail gateway with digital signatures.")
    app.callback()(_root)
    groups: dict[str, typer.Typer] = {}
    for name in names:
        module, function = COMMANDS[name]
        group, _, word = name.rpartition(" ")
        if group and group not in groups:
            groups[group] = _typer(GROUPS[group])
            groups[group].callback()(_group)
            app.add_typer(groups[group], name=group)
        (groups[group] if group else app).command(word)(getattr(import_module(module), function))
    return app


def _typer(about: str) -> typer.Typer:
    return typer.Typer(
        help=about,
        no_args_is_help=True,
        invoke_without_command=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # a traceback with local variables could show secrets
    )


def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Cổng thư có chữ ký số / a mail gateway with digital signatures."""
    if version:
        sys.stdout.write(f"gateway {importlib.metadata.version('gateway')}\n")
        raise typer.Exit


def _group() -> None:
    """Keep a group a group where one command of it is loaded."""


def main() -> None:
    """Run the command that the arguments name; exits with its code, 130 after Ctrl-C."""
    wanted = [" ".join(sys.argv[1:count]) for count in (2, 3)]
    # while modules are imported there is nothing to clean up, and libraries turn the exception into others
    usual = signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    application = build([each for each in wanted if each in COMMANDS] or list(COMMANDS))
    signal.signal(signal.SIGINT, usual)
    try:
        application(prog_name="gateway")
    except KeyboardInterrupt:  # before typer sees to it
        sys.exit(_INTERRUPTED)

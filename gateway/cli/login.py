"""`gateway passwd`: a line for the file of logins (RFC 9106). No password is an argument, and nothing is stored."""

from __future__ import annotations

import sys
from getpass import getpass
from typing import Annotated

import typer

from gateway.cli.call import stop
from gateway.smtp.auth.table import hash_password, line_for


def passwd(
    login: Annotated[str, typer.Argument(metavar="LOGIN", help="The login name.")],
    authors: Annotated[list[str], typer.Argument(metavar="ADDRESS", help="Mailboxes, or @domain, it may send as.")],
) -> None:
    """Ask for a password and print the line for the logins file (argon2id); nothing is stored.

    Where standard input is no terminal, its first line is the password.
    """
    if sys.stdin.isatty():
        password = getpass("Mật khẩu / password: ")
        if getpass("Nhập lại / again: ") != password:
            stop(2, "the two are not the same")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        stop(2, "an empty password never fits")
    try:
        line = line_for(login, hash_password(password.encode()), authors)
    except ValueError as error:
        stop(2, f"no line of the logins file can say this: {error}")
    sys.stdout.write(f"{line}\n")

"""`gateway verify`: who signed these messages, and what may be believed; no running gateway (RFC 8551, RFC 8601).

Exit codes: 0 every file is verified, 1 one is not, 2 the call is wrong. A lesser state is not verified.
"""

from __future__ import annotations

from typing import Annotated, Final

import typer

from gateway.cli.call import complain, say_json, stop
from gateway.cli.files import STANDARD_INPUT
from gateway.cli.judged import (
    AnswerFiles,
    Config,
    ListFiles,
    Mode,
    Moment,
    TrustFiles,
    UntrustedFiles,
    judged,
    world_of_call,
)
from gateway.cli.report import as_object, print_report
from gateway.core.verdict import ChainState, Judgment, SignatureState, Unreadable, Verified


def verify(  # noqa: PLR0913, PLR0917 - one argument per option
    files: Annotated[list[str], typer.Argument(help='Messages; "-" is standard input.', metavar="FILE...")],
    trust: TrustFiles = None,
    untrusted: UntrustedFiles = None,
    crls: ListFiles = None,
    ocsp: AnswerFiles = None,
    at: Moment = None,
    revocation: Mode = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line and file.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Say who signed, and what may be believed; exits 0 only if every file is verified."""
    world = world_of_call(trust, untrusted, crls, ocsp, at=at, revocation=revocation, config=config)
    if files.count(STANDARD_INPUT) > 1:
        stop(2, "standard input can be read once only")
    all_verified, unread = True, False
    for name in files:
        try:
            judgment = judged(name, world)
        except OSError as error:
            complain(f"{name}: {error.strerror or error}")
            judgment, unread = UNREAD, True
        if as_json:
            say_json(as_object(name, judgment))
        else:
            print_report(name, judgment)
        all_verified &= isinstance(judgment.verdict, Verified)
    if unread:
        raise typer.Exit(2)
    raise typer.Exit(0 if all_verified else 1)


UNREAD: Final = Judgment(
    Unreadable("file_unreadable"),
    ChainState.NONE,
    SignatureState.NONE,
    covers_everything_shown=False,
    headers_signed=False,
    author=None,
)
"""The answer about a file that is not there: whoever reads our JSON finds an object for each name it gave."""

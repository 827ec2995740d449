"""`gateway seal`: whether a message's tags are ours, on these octets and for this recipient; and keys to seal with.

Exit codes: 0 the seal is good, 1 it is not, 2 the call or its files are wrong. A key is never shown again.
"""

from __future__ import annotations

import base64
import json
import secrets
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import Annotated, Final

import typer

from gateway.app.seals import seal_keys
from gateway.cli.call import DEFAULT_CONFIG, stop
from gateway.cli.files import read_message
from gateway.config.load import load_settings
from gateway.core.address import Mailbox
from gateway.core.errors import InputError, SetupError
from gateway.tagging.seal import SealKeys, SealState, check

_SECRET: Final = 48
"""Octets of a new key."""
_WORDS: Final = {
    SealState.GOOD: ("Dấu niêm đúng: nhãn do cổng thư này ghi.", "The seal is good: the gateway wrote these tags."),
    SealState.ABSENT: (
        "Không có dấu niêm: đừng tin nhãn nào trong thư.",
        "There is no seal: believe no tag of this message.",
    ),
    SealState.BAD: (
        "Dấu niêm SAI: thư hoặc nhãn đã bị sửa, hoặc sao chép từ thư khác.",
        "The seal is BAD: message or tags were changed, or copied from another message.",
    ),
    SealState.WRONG_RECIPIENT: (
        "Dấu niêm đúng nhưng dành cho người nhận khác.",
        "The seal is good, but for another recipient.",
    ),
    SealState.UNKNOWN_KEY: (
        "Dấu niêm dùng khóa không có trong cấu hình.",
        "The seal was made with a key that the configuration does not have.",
    ),
}


def check_file(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help='A message as it is in the mailbox, "-": standard input.')
    ],
    recipient: Annotated[str, typer.Option("--recipient", help="The mailbox it was sent to, as in the envelope.")],
    config: Annotated[Path, typer.Option("--config", help="The gateway's configuration.")] = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for programs.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Say whether the tags of a message are the gateway's own, unchanged, and meant for this mailbox."""
    keys = _keys(config)
    try:
        mailbox = Mailbox.parse(recipient)
    except ValueError as error:
        stop(2, f"--recipient {recipient}: {error}")
    try:
        state = check(read_message(file), mailbox, keys)
    except OSError as error:
        stop(2, f"{file}: cannot be read: {error.strerror or error}")
    except InputError as error:
        stop(1, f"{file}: cannot be read as a message: {error.reason}")
    vietnamese, english = _WORDS[state]
    if as_json:
        answer = {"file": file, "seal": str(state), "text": {"vi": vietnamese, "en": english}}
        sys.stdout.write(f"{json.dumps(answer, ensure_ascii=False)}\n")
    else:
        sys.stdout.write(f"{vietnamese} / {english}\n")
    raise typer.Exit(0 if state is SealState.GOOD else 1)


def _keys(config: Path) -> SealKeys:
    try:
        keys = seal_keys(load_settings(config).tags)
    except SetupError as error:
        stop(2, *error.mistakes)
    if keys is None:
        stop(2, f"{config}: tags.seals: has no key, so nothing is sealed")
    return keys


def new_key() -> None:
    """Write a new key for `tags.seals` to standard output: umask 077; gateway seal key > FILE."""
    if sys.stdout.isatty():
        stop(2, "a key does not belong on a screen: umask 077; gateway seal key > FILE")
    sys.stdout.write(f"{base64.b64encode(secrets.token_bytes(_SECRET)).decode('ascii')}\n")

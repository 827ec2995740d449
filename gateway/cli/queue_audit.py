"""`gateway queue audit`: what administrators did with mail, and the proof that nothing of that record was changed.

Exit codes: 0 the record is whole, 1 it is not, 2 the call is wrong. The digest of the last act proves all acts up to
it: note it somewhere else, and ask for it later with --contains.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.call import DEFAULT_CONFIG, complain, printable, stop
from gateway.cli.queue_call import AsJson, Config, open_desk, say
from gateway.cli.queue_report import time_of

if TYPE_CHECKING:
    from gateway.spool.acts import Act

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def audit(
    config: Config = DEFAULT_CONFIG,
    last: Annotated[int, typer.Option("--last", min=0, help="The last acts, so many at most.")] = 50,
    check: Annotated[bool, typer.Option("--check", help="Only prove the record, list nothing.")] = False,  # noqa: FBT002 - a flag
    contains: Annotated[str, typer.Option("--contains", metavar="DIGEST", help="A digest noted earlier.")] = "",
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """List what was done with mail, by whom and why, and prove that the record is whole."""
    if contains and not _DIGEST.fullmatch(contains):
        stop(2, "--contains: 64 chữ số thập lục phân / 64 hexadecimal digits, as `gateway queue audit` shows them")
    with open_desk(config) as desk:
        acts = () if check or not last else desk.last_acts(last)
        proof = desk.prove(contains)
    whole = not proof.broken and proof.contains
    if as_json:
        say(_object(each) for each in acts)
        summary = {"acts": proof.acts, "digest": proof.digest, "broken_at": list(proof.broken)}
        say([{"whole": whole, **summary, **({"contains": proof.contains} if contains else {})}])
    else:
        for each in acts:
            sys.stdout.write(_line(each) + "\n")
        verdict = "nguyên vẹn / whole" if whole else "KHÔNG NGUYÊN VẸN / NOT WHOLE"
        sys.stdout.write(f"{proof.acts} việc / acts, {verdict}; digest {proof.digest or '-'}\n")
    for number in proof.broken:
        complain(f"việc số {number} không khớp việc trước nó / act {number} does not fit the one before")
    if not proof.contains:
        complain("không có digest này: có việc bị bỏ đi hoặc sửa / no such digest: acts were removed or changed")
    if not whole:
        raise typer.Exit(1)


def _line(act: Act) -> str:
    about = act.entry_id or act.detail
    more = f" [{act.detail}]" if act.entry_id and act.detail else ""
    why = f": {act.by.why}" if act.by.why else ""
    return printable(f"{time_of(act.by.at)}  {act.by.who}  {act.what}  {about}{more}{why}")


def _object(act: Act) -> dict[str, object]:
    return {
        "at": act.by.at.isoformat(),
        "who": act.by.who,
        "act": act.what,
        "reason": act.by.why,
        "id": act.entry_id or None,
        "detail": act.detail or None,
        "kind": act.kind or None,
        "trace_id": act.trace_id or None,
        "from": act.reverse_path,
        "to": list(act.recipients),
        "octets": act.octets,
    }

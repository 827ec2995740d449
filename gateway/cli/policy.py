"""`gateway policy schema` and `gateway policy check`: what a policy file may say, and whether these files say it.

Exit codes of check: 0 clean (there may be notes), 1 warnings, 2 errors: the gateway would not load it.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.call import printable, say_json, stop
from gateway.cli.cases import NOWHERE, read_cases
from gateway.cli.paper import read_alone
from gateway.cli.policy_replay import read_draft
from gateway.config.load import load_settings
from gateway.core.errors import Mistakes, SetupError
from gateway.core.local import VIETNAM
from gateway.policy.conditions import Dates
from gateway.policy.jsonschema import json_schema
from gateway.policy.schema import expired

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.cli.cases import Case
    from gateway.config.model import Settings
    from gateway.policy.model import Policy


@dataclass(frozen=True, slots=True)
class Findings:
    """What a check found in files that the gateway would load: each line begins with its place."""

    digest: str
    rules: int
    warnings: tuple[str, ...]
    """What is probably not meant."""
    notes: tuple[str, ...]
    """What is meant, and worth knowing: rules that are off, rules that no case tests."""


def schema(
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file instead.")] = None,
) -> None:
    """Print the JSON Schema of policy files, for editors."""
    text = schema_text()
    if out is None:
        sys.stdout.buffer.write(text.encode())
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        stop(2, f"{out}: {error.strerror}")


def schema_text() -> str:
    """Return the schema as it is shipped."""
    return json.dumps(json_schema(), ensure_ascii=False, indent=1) + "\n"


def check(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The policy directory.")],
    config: Annotated[Path | None, typer.Option("--config", help="Check names against this configuration.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Say all that is wrong with policy files; exit 0: clean, 1: warnings, 2: errors, the gateway would not load it."""
    try:
        findings = _findings(directory, config)
    except SetupError as error:
        if as_json:
            say_json({"errors": list(error.mistakes), "warnings": [], "notes": []})
            raise typer.Exit(2) from None
        stop(2, *error.mistakes, f"{len(error.mistakes)} lỗi / error(s)")
    if as_json:
        found = {"policy": findings.digest, "rules": findings.rules, "errors": []}
        say_json({**found, "warnings": list(findings.warnings), "notes": list(findings.notes)})
    else:
        for word, lines in (("cảnh báo / warning", findings.warnings), ("ghi chú / note", findings.notes)):
            for each in lines:
                sys.stdout.write(f"{word}: {printable(each)}\n")
        count = len(findings.warnings)
        sys.stdout.write(
            f"{findings.rules} quy định, {count} cảnh báo / {findings.rules} rules, {count} warnings;"
            f" policy {findings.digest[:16]}\n"
        )
    raise typer.Exit(1 if findings.warnings else 0)


def _findings(directory: Path, config: Path | None) -> Findings:
    """Return what was found; raises one `SetupError` with every mistake in configuration, policies and cases."""
    faults = Mistakes()
    settings = faults.read(lambda: load_settings(config)) if config is not None else None
    policy = None
    if config is None or settings is not None:
        policy = faults.read(lambda: _policy(directory, settings))
    cases = faults.read(lambda: read_cases(directory))
    faults.finish()
    assert policy is not None  # noqa: S101 - no mistakes, so nothing is missing
    today = dt.datetime.now(VIETNAM).date()
    notes = (*_future(policy, today), *_notes(policy, cases or ()))
    warnings = (*policy.warnings, *expired(policy, today), *_missing_keys(policy, settings))
    return Findings(policy.digest, len(policy.rules), warnings, notes)


def _policy(directory: Path, settings: Settings | None) -> Policy:
    return read_alone(directory, NOWHERE) if settings is None else read_draft(settings, directory)


def _missing_keys(policy: Policy, settings: Settings | None) -> Iterator[str]:
    """Yield a line for each key that a rule names and the configuration does not."""
    labels = {each.label for each in settings.keys} if settings is not None else None
    for each in policy.mentions:
        if labels is not None and each.kind == "key" and each.name not in labels:
            yield f"{each.place}: the rule signs with the key {each.name!r}, and there is no such key"


def _notes(policy: Policy, cases: tuple[Case, ...]) -> Iterator[str]:
    tested = {expected.words.get("rule") for case in cases for expected in case.expected}
    for rule in policy.rules:
        if not rule.active:
            yield f"{rule.place}: rule {rule.name!r} is not active"
        elif rule.name not in tested:
            yield f"{rule.place}: no case expects rule {rule.name!r} (cases/*.yaml)"


def _future(policy: Policy, today: dt.date) -> Iterator[str]:
    for rule in policy.rules:
        for each in rule.conditions:
            if rule.active and isinstance(each, Dates) and each.first > today:
                yield f"{rule.place}: rule {rule.name!r} begins on {each.first}"

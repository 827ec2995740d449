"""`gateway policy test`: tries every case in `cases/*.yaml` of a policy directory, on the journey that live mail takes.

Exit codes: 0 every case is as expected, 1 one is not, 2 the call, the policies or the cases are wrong. Keys, logins and
signatures are of paper: nothing real signs, and no next hop is asked.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.call import printable, stop
from gateway.cli.case_findings import StatedJudge, world_of
from gateway.cli.cases import NONE, NOWHERE, read_cases
from gateway.cli.dry import Letter, author_in, listener_named, try_letter
from gateway.cli.explanation import explained
from gateway.cli.files import read_message
from gateway.cli.paper import Notary, PaperKeys, PaperLogins, plain_settings, plain_world, read_alone, real_world
from gateway.config.load import load_settings
from gateway.config.model import ListenerKind
from gateway.core.address import Mailbox
from gateway.core.envelope import Direction
from gateway.core.errors import SetupError
from gateway.core.message import Message
from gateway.pki.path import Revocation
from gateway.policy.describe import describe
from gateway.record.logs import configure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.cli.cases import Case, Expected, Surroundings
    from gateway.cli.explanation import Explanation, Group
    from gateway.config.model import Settings
    from gateway.service.intake import World


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that is not as a case expects it."""

    place: str
    case: str
    recipient: str
    what: str
    expected: str
    got: str

    def __str__(self) -> str:
        who = f" [{self.recipient}]" if self.recipient else ""
        return f"{self.place}: {self.case}{who}: {self.what}: expected {self.expected!r}, got {self.got!r}"


def try_cases(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The policy directory, with cases/*.yaml.")],
    config: Annotated[Path | None, typer.Option("--config", help="Listeners, hops, agencies of a gateway.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Try the cases of a policy directory; exit 0: all as expected, 1: some are not, 2: something is wrong."""
    configure("error")
    try:
        cases, failures = run_cases(directory, config)
    except SetupError as error:
        stop(2, *error.mistakes)
    if as_json:
        _write_json(cases, failures)
    else:
        for each in failures:
            sys.stdout.write(f"{printable(str(each))}\n")
        bad = len({each.place for each in failures})
        sys.stdout.write(f"{len(cases)} trường hợp, {bad} không đạt / {len(cases)} cases, {bad} not as expected\n")
    raise typer.Exit(1 if failures else 0)


def _write_json(cases: Sequence[Case], failures: Sequence[Failure]) -> None:
    found = [
        {
            "place": each.place,
            "case": each.case,
            "recipient": each.recipient or None,
            "what": each.what,
            "expected": each.expected,
            "got": each.got,
        }
        for each in failures
    ]
    text = json.dumps({"cases": len(cases), "failures": found}, ensure_ascii=False)
    sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()


def run_cases(directory: Path, config: Path | None) -> tuple[tuple[Case, ...], tuple[Failure, ...]]:
    """Return all cases of a directory, and what is not as they expect; raises `SetupError`."""
    cases = read_cases(directory)
    if not cases:
        raise SetupError(f"{directory}/cases: no case (cases/*.yaml)")
    bench = _Bench(directory, load_settings(config) if config is not None else None)
    return cases, asyncio.run(_run(bench, cases))


async def _run(bench: _Bench, cases: Sequence[Case]) -> tuple[Failure, ...]:
    failures: list[Failure] = []
    for case in cases:
        failures += await bench.failures(case)
    return tuple(failures)


class _Bench:
    """Tries cases against one policy directory."""

    def __init__(self, directory: Path, settings: Settings | None) -> None:
        """Without settings each case is tried with plain ones; raises `SetupError` for wrong policies."""
        self._now = dt.datetime.now(dt.UTC)
        self._directory = directory
        self._notary = Notary(self._now)
        self._settings = settings
        self._worlds: dict[tuple[Surroundings, frozenset[str], str | None], tuple[Settings, World]] = {}
        self._world(NOWHERE, frozenset(), None)

    def _world(
        self, surroundings: Surroundings, turned_on: frozenset[str], family: str | None
    ) -> tuple[Settings, World]:
        where = surroundings if self._settings is None else NOWHERE
        if (where, turned_on, family) not in self._worlds:
            if (settings := self._settings) is not None:
                world = real_world(settings, self._directory, self._now, turned_on=turned_on, family=family)
                found = settings, world
            else:
                policy = read_alone(self._directory, where, turned_on=turned_on)
                plain = plain_settings(policy, where.domains)
                found = plain, plain_world(plain, policy)
            self._worlds[where, turned_on, family] = found
        return self._worlds[where, turned_on, family]

    async def failures(self, case: Case) -> tuple[Failure, ...]:
        """Return what is not as the case expects; raises `SetupError` where it cannot be tried at all."""
        try:
            explanation = await self._explained(case)
        except SetupError as error:
            raise SetupError(*(f"{case.place}: {each}" for each in error.mistakes)) from error
        return tuple(_compared(case, explanation))

    async def _explained(self, case: Case) -> Explanation:
        settings, world = self._world(case.surroundings, case.turned_on, case.found.family)
        at = case.at or self._now
        message = self._message(case, at)
        author = author_in(message)
        labels = {each.label for each in settings.keys} | world.policy.key_labels
        keys = PaperKeys(self._notary, case.keys, author, labels)
        world = replace(world, catalog=keys, accounts=PaperLogins(_authors(case, author)))
        judge = None
        if case.direction is Direction.INBOUND and not isinstance(case.mail, Path):  # a file is judged as live
            world = world_of(replace(world, trust=self._notary.trust, revocation=Revocation.OFF), case.found)
            judge = StatedJudge(world, case.found)
        outbound = (ListenerKind.SUBMISSION, ListenerKind.INTERNAL)
        door = listener_named(
            settings, case.listener, outbound if case.direction is Direction.OUTBOUND else (ListenerKind.INBOUND,)
        )
        login = case.login or (author.key if author is not None else "nguoi-gui")
        client = door.sources[0].networks[0].partition("/")[0] if door.sources and door.sources[0].networks else None
        letter = Letter(
            message,
            case.recipients,
            door,
            login if door.kind is ListenerKind.SUBMISSION else None,
            client or "127.0.0.1",
            case.sender,
        )
        outcome = await try_letter(settings, world, letter, at=at, judge=judge)
        return explained(outcome, catalog=keys, labels=("personal", "organization", *sorted(labels)), at=at)

    def _message(self, case: Case, at: dt.datetime) -> Message:
        if isinstance(case.mail, Path):
            try:
                return read_message(str(case.mail))
            except OSError as error:
                raise SetupError(f"{case.mail}: {error.strerror or error}") from error
        author = author_in(Message.of(f"From: {case.mail.sender or ''}\r\n\r\n".encode()))
        mail, results = case.mail, case.found.results
        if results is not None:
            mail = replace(mail, headers={**mail.headers, "Authentication-Results": results})
        return Message.of(self._notary.sealed(mail, case.signed, author=author, to=str(case.recipients[0]), at=at))


def _authors(case: Case, author: Mailbox | None) -> frozenset[str]:
    """Return what the login of a case may send as."""
    if case.may_send_as is not None:
        return case.may_send_as
    mailboxes = (each for each in (author, case.sender) if isinstance(each, Mailbox))
    return frozenset(each.key for each in mailboxes)


def _compared(case: Case, explanation: Explanation) -> Iterator[Failure]:
    """Yield every difference between what is expected and what became of the message."""
    named = {each.to.key for each in case.expected if each.to is not None}
    for expected in case.expected:
        for recipient in case.recipients:
            if recipient.key == expected.to.key if expected.to is not None else recipient.key not in named:
                yield from _differences(case, expected, recipient, explanation)


def _differences(case: Case, expected: Expected, recipient: Mailbox, explanation: Explanation) -> Iterator[Failure]:
    got = outcome_for(recipient, explanation)
    for what, wanted in expected.words.items():
        found = got[what]
        same = found == wanted or (what == "decision" and found.startswith(f"{wanted} "))
        if not same:
            yield Failure(expected.place, case.name, str(recipient), what, wanted, found)


def outcome_for(recipient: Mailbox, explanation: Explanation) -> Mapping[str, str]:
    """Return what became of a message for one recipient, in the words that cases use; "none" where there is nothing."""
    code = str(explanation.outcome.reply.code)
    group = next((each for each in explanation.groups if str(recipient) in each.recipients), None)
    if group is None:
        return dict.fromkeys(("rule", "decision", "key", "form", "hop"), NONE) | {"reply": code}
    part = next((each for each in group.parts if str(recipient) in each.recipients), None)
    return {
        "rule": group.share.ruling.rule,
        "decision": describe(group.share.ruling.decision),
        "key": _key(group),
        "form": part.form if part is not None else NONE,
        "hop": part.hop or part.kind.value if part is not None else NONE,
        "reply": code,
    }


def _key(group: Group) -> str:
    return group.key.kind.value if group.key is not None else NONE

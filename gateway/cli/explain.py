"""`gateway explain`: the argument about one message, condition by condition, in Vietnamese or English (RFC 8551).

What cannot be asked is never said to hold. Exit codes: 0 the message is verified, 1 it is not, 2 the call is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from gateway.cli.call import printable, say_json, stop
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
from gateway.cli.report import as_object, signer_lines, texts
from gateway.cli.screen import STATES, paragraph
from gateway.core.verdict import Verified, VerifiedLesser, row_of
from gateway.smime.argument import Held, Step, steps
from gateway.smime.verify import path_answer
from gateway.tagging.attachments import attachment_words
from gateway.tagging.reasons import NOTES, REASONS
from gateway.tagging.sentences import note_words

if TYPE_CHECKING:
    from gateway.cli.judged import World
    from gateway.cms.verify import SignedData
    from gateway.core.verdict import Judgment
    from gateway.pki.certificate import Certificate
    from gateway.pki.path import PathAnswer


class Language(StrEnum):
    """In which words people are told."""

    VI = "vi"
    EN = "en"


_HELD: Final = {
    Held.HOLDS: ("ĐẠT", "HOLDS"),
    Held.BROKEN: ("KHÔNG ĐẠT", "BROKEN"),
    Held.NOT_ASKED: ("KHÔNG XÉT", "NOT ASKED"),
}
_COLORS: Final = {Held.HOLDS: "green", Held.BROKEN: "bold red", Held.NOT_ASKED: "dim"}
_HEADINGS: Final = {
    "argument": ("Lập luận", "Argument"),
    "signers": ("Người ký", "Signers"),
    "path": ("Đường dẫn chứng thực, từ gốc xuống", "Certification path, from the anchor down"),
    "notes": ("Ghi chú", "Notes"),
    "attachments": ("Chữ ký trên tệp đính kèm", "Signatures on attached files"),
    "verdict": ("Kết luận", "Verdict"),
    "none": ("không có", "none"),
    "because": ("Vì sao", "Because"),
    "excused": ("Được tính là mức thấp hơn", "Counts as a lesser state"),
}


@dataclass(frozen=True, slots=True)
class Explained:
    """One message with everything that is told of it."""

    name: str
    judgment: Judgment
    steps: tuple[Step, ...]
    paths: tuple[PathAnswer, ...]
    """What was found for each question about a path, in the order they were asked."""


def explain(  # noqa: PLR0913, PLR0917 - one argument per option
    file: Annotated[str, typer.Argument(help='A message; "-" is standard input.', metavar="FILE")],
    trust: TrustFiles = None,
    untrusted: UntrustedFiles = None,
    crls: ListFiles = None,
    ocsp: AnswerFiles = None,
    at: Moment = None,
    revocation: Mode = None,
    config: Config = None,
    lang: Annotated[Language, typer.Option("--lang", help="vi or en.")] = Language.VI,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, in both languages.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Print the argument about a message: each condition, whether it holds, and why; exits 0 only if it is verified."""
    world = world_of_call(trust, untrusted, crls, ocsp, at=at, revocation=revocation, config=config)
    try:
        found = explained(file, world)
    except OSError as error:
        stop(2, f"{file}: {error.strerror or error}")
    if as_json:
        say_json(_as_object(found))
    else:
        _print(found, 0 if lang is Language.VI else 1)
    raise typer.Exit(0 if isinstance(found.judgment.verdict, Verified) else 1)


def explained(name: str, world: World) -> Explained:
    """Judge a file and keep the paths that were found on the way; raises `OSError`."""
    answers: list[PathAnswer] = []

    def path_of(certificate: Certificate, data: SignedData) -> PathAnswer:
        answers.append(path_answer(certificate, data, world.trust))
        return answers[-1]

    judgment = judged(name, replace(world, trust=replace(world.trust, path_of=path_of)))
    return Explained(name, judgment, steps(judgment), tuple(answers))


def _as_object(found: Explained) -> dict[str, object]:
    """Return what `gateway verify --json` says, and the argument with the paths."""
    return {
        **as_object(found.name, found.judgment),
        "steps": [_step_object(each) for each in found.steps],
        "excused_as": _excuse(found.judgment),
        "paths": [
            {
                "state": str(each.state),
                "reason": each.reason,
                "family": each.family.name or None,
                "certificates": [{"subject": one.subject, "fingerprint": one.fingerprint} for one in each.path],
            }
            for each in found.paths
        ],
    }


def _step_object(step: Step) -> dict[str, object]:
    condition = step.condition
    return {
        "number": condition.number,
        "held": str(step.held),
        "must": {"vi": condition.must_vi, "en": condition.must},
        "because": {"vi": condition.because_vi, "en": condition.because},
        "reasons": [{"code": each, "text": {"vi": _reason(each)[0], "en": _reason(each)[1]}} for each in step.reasons],
    }


def _reason(code: str) -> tuple[str, str]:
    return REASONS.get(code) or NOTES.get(code) or (code, code)


def _print(found: Explained, language: int) -> None:
    """Print everything in one language; every text may be hostile."""
    report = Text()
    report.append(f"{printable(found.name)}\n", "bold")
    _heading(report, "argument", language)
    for step in found.steps:
        _step(report, step, language, _excuse(found.judgment))
    _heading(report, "signers", language)
    labels = [each for signer in found.judgment.verdict.signers for each in signer_lines(signer)]
    for label, value in labels:
        part = label.strip().split(" / ")[language if " / " in label else 0]
        report.append(paragraph(value, 4, f"{part}: "))
    if not labels:
        report.append(paragraph(_HEADINGS["none"][language], 4))
    for answer in found.paths:
        _heading(report, "path", language)
        for depth, certificate in enumerate(answer.path):
            report.append(paragraph(f"{certificate.subject} (SHA-256 {certificate.fingerprint})", 4 + 2 * depth))
        state = STATES[answer.state].split(" / ")[language]
        report.append(paragraph(state if answer.reason == "valid" else f"{state} ({answer.reason})", 4, "= "))
    _notes(report, found.judgment, language)
    Console(highlight=False, soft_wrap=True).print(report, end="")


def _heading(report: Text, what: str, language: int) -> None:
    report.append(f"  {_HEADINGS[what][language]}:\n", "bold")


def _excuse(judgment: Judgment) -> str | None:
    """Return as what the one broken condition is excused, None where it is not."""
    return judgment.verdict.reason if isinstance(judgment.verdict, VerifiedLesser) else None


def _step(report: Text, step: Step, language: int, excuse: str | None) -> None:
    condition = step.condition
    must, because = (condition.must_vi, condition.because_vi) if language == 0 else (condition.must, condition.because)
    head = f"{condition.number:>2}. [{_HELD[step.held][language]}] "
    report.append(paragraph(must, 2, head), _COLORS[step.held])
    if step.held is not Held.BROKEN:
        return
    for code in step.reasons:
        text = _reason(code)[language]
        report.append(paragraph(f"{text} ({code})" if text != code else code, 6, "-> "))
    if excuse is not None:
        report.append(paragraph(excuse, 6, f"{_HEADINGS['excused'][language]}: "))
    report.append(paragraph(because, 6, f"{_HEADINGS['because'][language]}: "))


def _notes(report: Text, judgment: Judgment, language: int) -> None:
    _heading(report, "notes", language)
    for note in judgment.notes:
        report.append(paragraph(note_words(note)[language], 4))
    if not judgment.notes:
        report.append(paragraph(_HEADINGS["none"][language], 4))
    if judgment.attachments:
        _heading(report, "attachments", language)
    for each in judgment.attachments:
        report.append(paragraph(attachment_words(each)[language], 4))
    _heading(report, "verdict", language)
    row = row_of(judgment.verdict)
    report.append(paragraph(f"{row.name} ({judgment.verdict.reason}), smime={row.result}", 4))
    report.append(paragraph(texts(judgment)[language], 4), "bold")

"""Decisions as one line of text, and facts as plain values: what is remembered of past mail for `policy replay`.

Equal decisions have equal lines and different ones different lines: a replay compares nothing else.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, assert_never

from gateway.core.address import NULL_PATH, Mailbox, NullPath
from gateway.core.contents import NOTHING, Attachment, Contents, Marking, Wish
from gateway.core.decision import Deliver, Hold, PassUnchanged, Quarantine, Refuse, Sign
from gateway.policy.findings import NOTHING_FOUND, Findings
from gateway.policy.model import Facts, authors_keys, senders_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.core.decision import Carriage, InboundDecision, OutboundDecision
    from gateway.core.past import Plain


@lru_cache(maxsize=1024)  # every message of a rule has the same one
def describe(decision: OutboundDecision | InboundDecision) -> str:
    """Return a decision as one line, such as "sign personal clear if_unable=refuse"."""
    match decision:
        case Sign():
            return " ".join(_sign(decision))
        case PassUnchanged():
            return " ".join(("pass", *_carriage(decision.carriage)))
        case Deliver():
            subject = () if decision.subject is None else (f"subject_tag={decision.subject.value}",)
            return " ".join(("deliver", *subject, *_carriage(decision.carriage)))
        case Hold():
            return f"hold {_quoted(decision.reason)}"
        case Quarantine():
            return f"quarantine {_quoted(decision.reason)}"
        case Refuse():
            return f"refuse {_quoted(decision.vietnamese)} {_quoted(decision.english)}"
    assert_never(decision)


def _sign(decision: Sign) -> Iterator[str]:
    yield "sign"
    yield decision.key.value if decision.label is None else f"label={decision.label}"
    yield decision.form.value
    yield f"if_unable={decision.if_unable.value}"
    yield f"date_gap={decision.date_gap.value}"
    if decision.footer is not None:
        yield f"footer={_quoted(decision.footer.vietnamese)},{_quoted(decision.footer.english)}"
    if decision.protect_headers:
        yield "protect_headers"
    if decision.for_other_addresses:
        yield "for_other_addresses"
    yield from _carriage(decision.carriage)


def _carriage(carriage: Carriage) -> Iterator[str]:
    for name, text in carriage.add_fields:
        yield f"add_header={name}:{_quoted(text)}"
    if carriage.hop is not None:
        yield f"route={carriage.hop}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def remembered(facts: Facts) -> dict[str, Plain]:
    """Return facts as plain values; `recalled` gives them back. Contents that nobody read are None, not empty."""
    path = facts.reverse_path
    contents = facts.contents
    return {
        "login": facts.login,
        "listener": facts.listener,
        "form": facts.form,
        "subject": facts.subject,
        "size": facts.size,
        "verdict": facts.verdict,
        "author": str(facts.author) if facts.author is not None else None,
        "reverse_path": None if isinstance(path, NullPath) else str(path),
        "traits": list[Any](sorted(facts.traits)),
        "at": facts.at.isoformat(),
        "wish": facts.wish.value if facts.wish is not None else None,
        "fields": {name: list[Any](texts) for name, texts in sorted(facts.fields.items())},
        "contents": None if contents is NOTHING else _contents(contents),
        "findings": None if facts.verdict is None else _findings(facts.findings),
    }


def _contents(contents: Contents) -> dict[str, Plain]:
    return {
        "attachments": [[each.name, each.media_type, each.octets, each.signed_pdf] for each in contents.attachments],
        "links": list[Any](sorted(contents.links)),
        "markings": list[Any](sorted(contents.markings)),
        "complete": contents.complete,
    }


def _findings(findings: Findings) -> dict[str, Plain]:
    return {
        "notes": list[Any](sorted(findings.notes)),
        "families": list[Any](sorted(findings.families)),
        "agencies": list[Any](sorted(findings.agencies)),
        "headers_signed": findings.headers_signed,
        "boundary": list[Any](sorted(findings.boundary)),
    }


def recalled(plain: Mapping[str, Any]) -> Facts:
    """Return the facts that `remembered` wrote down; raises `ValueError` for anything else.

    Records of before there were findings have none: see `lacks_findings`.
    """
    try:
        author = Mailbox.parse(plain["author"]) if plain["author"] is not None else None
        path = Mailbox.parse(plain["reverse_path"]) if plain["reverse_path"] is not None else NULL_PATH
        return Facts(
            login=plain["login"],
            listener=plain["listener"],
            form=plain["form"],
            subject=plain["subject"],
            size=plain["size"],
            verdict=plain["verdict"],
            author=author,
            author_keys=authors_keys(author),
            reverse_path=path,
            reverse_path_keys=senders_keys(path),
            traits=frozenset(plain["traits"]),
            at=datetime.fromisoformat(plain["at"]),
            wish=Wish(plain["wish"]) if plain["wish"] is not None else None,
            fields={name: tuple(texts) for name, texts in plain["fields"].items()},
            contents=_recalled_contents(plain["contents"]),
            findings=_recalled_findings(plain.get("findings")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not the facts of a message") from error


def _recalled_contents(plain: Mapping[str, Any] | None) -> Contents:
    if plain is None:
        return NOTHING
    return Contents(
        tuple(Attachment(*each) for each in plain["attachments"]),
        frozenset(plain["links"]),
        frozenset(map(Marking, plain["markings"])),
        plain["complete"],
    )


def _recalled_findings(plain: Mapping[str, Any] | None) -> Findings:
    if plain is None:
        return NOTHING_FOUND
    return Findings(
        notes=frozenset(plain["notes"]),
        families=frozenset(plain["families"]),
        agencies=frozenset(plain["agencies"]),
        headers_signed=plain["headers_signed"],
        boundary=frozenset(plain["boundary"]),
    )


def lacks_findings(plain: Mapping[str, Any]) -> bool:
    """Return True for what was remembered of incoming mail before findings were."""
    return plain["verdict"] is not None and plain.get("findings") is None

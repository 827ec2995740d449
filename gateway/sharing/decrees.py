"""What administrators change for all machines, as decrees, and what a machine lacks of it (decision 31).

All is compared, nothing counted: a decree is followed where the files say what it says, whoever wrote them. Where a
machine's own files disagree with the others', the stricter one holds: a key is suspended, a certificate not trusted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from gateway.core.errors import SetupError
from gateway.keys.suspensions import Suspension
from gateway.pki.certificate import Certificate, CertificateError
from gateway.spool.gazette import Decree
from gateway.trust.index import Line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.sharing.copies import Texts
    from gateway.spool.gazette import Past
    from gateway.trust.index import Index

KEY: Final = "key"
TRUST: Final = "trust"
POLICY: Final = "policy"


def of_suspension(suspension: Suspension, *, suspending: bool) -> Decree:
    """Return the decree that stops a key, or lets it sign again."""
    body = {**asdict(suspension), "action": "suspend" if suspending else "resume"}
    return Decree(KEY, suspension.label, suspension.who, body)


def of_line(line: Line, certificate: Certificate | None) -> Decree:
    """Return the decree for a line of the trust store; an adding takes its certificate along."""
    der = base64.b64encode(certificate.der).decode() if certificate is not None else ""
    return Decree(TRUST, line.fingerprint, line.who, {"line": asdict(line), "der": der})


def of_texts(texts: Texts, *, who: str) -> Decree:
    """Return the decree for a whole policy."""
    return Decree(POLICY, digest(texts), who, {"files": texts})


def digest(texts: Texts) -> str:
    """Return what names these very files: SHA-256, hexadecimal."""
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()


def texts_of(decree: Decree) -> Texts:
    """Return the files of a policy; raises `SetupError` for a body that is not one."""
    files = decree.body.get("files")
    if not isinstance(files, dict) or {type(each) for pair in files.items() for each in pair} != {str}:
        raise SetupError(f"policy {decree.number} in the database holds no files")
    if digest(files) != decree.subject:
        raise SetupError(f"policy {decree.number} in the database is not what it was when it was applied")
    return files


def latest_policy(past: Past) -> Decree | None:
    """Return the policy in force on all machines, without its files."""
    return next((each for each in reversed(past) if each.kind == POLICY), None)


def suspension_of(decree: Decree) -> tuple[str, Suspension]:
    """Return action and line of a key's decree; raises `SetupError`."""
    given = {name: decree.body.get(name) for name in ("label", "at", "who", "reason", "action")}
    if {type(each) for each in given.values()} != {str} or given["action"] not in {"suspend", "resume"}:
        raise SetupError(f"decree {decree.number} in the database says nothing about a key")
    action: Any = given.pop("action")
    line: Any = given
    return action, Suspension(**line)


def line_of(decree: Decree) -> Line:
    """Return the line of the trust store that a decree is; raises `SetupError`."""
    given: Any = decree.body.get("line")
    fields = Line.__dataclass_fields__.keys()
    if not isinstance(given, dict) or given.keys() != fields or {type(each) for each in given.values()} != {str}:
        raise SetupError(f"decree {decree.number} in the database says nothing about a certificate")
    return Line(**given)


def certificate_of(decree: Decree) -> Certificate:
    """Return the certificate that an adding brings; raises `SetupError` where it is not the one it speaks of."""
    der = decree.body.get("der")
    try:
        found = Certificate.load(base64.b64decode(der if isinstance(der, str) else "", validate=True))
    except (CertificateError, binascii.Error) as error:
        raise SetupError(f"decree {decree.number} in the database holds no certificate") from error
    if found.fingerprint != decree.subject:
        raise SetupError(f"decree {decree.number} in the database holds another certificate than it says")
    return found


def suspended(past: Past) -> dict[str, Suspension]:
    """Return what is suspended on all machines, by label."""
    found: dict[str, Suspension] = {}
    for each in _of(KEY, past):
        action, line = suspension_of(each)
        if action == "suspend":
            found[line.label] = line
        else:
            found.pop(line.label, None)
    return found


def last_of_keys(past: Past) -> dict[str, Decree]:
    """Return the last decree about each key."""
    return {each.subject: each for each in _of(KEY, past)}


def last_of_trust(past: Past) -> dict[str, Decree]:
    """Return the last decree about each certificate."""
    return {each.subject: each for each in _of(TRUST, past)}


def own_suspensions(past: Past, local: Mapping[str, Suspension]) -> tuple[Decree, ...]:
    """Return what only this machine's file suspends; what it resumed by itself does not count."""
    known = {line for action, line in map(suspension_of, _of(KEY, past)) if action == "suspend"}
    return tuple(of_suspension(each, suspending=True) for each in local.values() if each not in known)


def own_trust(past: Past, local: Index) -> tuple[Line, ...]:
    """Return what only this machine's store says: retired here, or added here and never heard of elsewhere."""
    known = {line_of(each) for each in _of(TRUST, past)}
    elsewhere = last_of_trust(past)
    mine = {each.fingerprint: each for each in local.lines}
    return tuple(
        each for name, each in mine.items() if each not in known and (each.action == "retired" or name not in elsewhere)
    )


def _of(kind: str, past: Iterable[Decree]) -> Iterable[Decree]:
    return (each for each in past if each.kind == kind)

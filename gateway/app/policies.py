"""The policy files of a directory: the province's own, and one for each delegated agency (`agencies/ID.yaml`).

Where machines share a database, the directory is a draft: in force is what was applied on any of them, of which each
has a copy in one file. Must never load a policy whose rules name a next hop, a listener or a family of anchors that
does not exist.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.core.address import domain_key
from gateway.core.errors import SetupError
from gateway.policy.schema import AgencyFile, load_policy
from gateway.sharing.copies import AGENCIES, is_copy, read_copy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gateway.agencies.registry import Registry
    from gateway.config.model import Settings
    from gateway.core.address import Mailbox
    from gateway.core.verdict import Signer
    from gateway.policy.directory import Directory
    from gateway.policy.model import Policy
    from gateway.sharing.copies import Texts


class RegistryDirectory:
    """Implements `policy.directory.Directory` with the registry of agencies and the domains that come in here."""

    def __init__(self, registry: Registry, domains: Iterable[str]) -> None:
        """`domains` are keys of domains."""
        self._registry = registry
        self._domains = frozenset(domains)
        self._ids = frozenset(each.id for each in registry.agencies)
        mailboxes = {key: agency.id for key, agency in registry.by_mailbox.items()}
        certificates = {key: agency.id for key, agency in registry.by_fingerprint.items()}
        subjects = sorted((str(each), agency.id) for known in registry.by_subject.values() for each, agency in known)
        moved = {old: [each.new, sorted(each.not_for)] for old, each in registry.successions.items()}
        whole = json.dumps(
            [mailboxes, certificates, subjects, moved, sorted(self._ids), sorted(self._domains)], sort_keys=True
        )
        self.digest = hashlib.sha256(whole.encode()).hexdigest()

    def knows(self, agency: str) -> bool:
        """Return True if an agency with this id exists."""
        return agency in self._ids

    def agency_of(self, mailbox: Mailbox) -> str | None:
        """Return the id of the agency that has the mailbox, by itself or by its domain."""
        agency = self._registry.agency_of_mailbox(mailbox)
        return agency.id if agency is not None else None

    def agency_of_signer(self, signer: Signer) -> str | None:
        """Return the id of the agency that a signer's certificate names."""
        agency = self._registry.agency_of(signer)
        return agency.id if agency is not None else None

    def is_local(self, mailbox: Mailbox) -> bool:
        """Return True if mail for the mailbox comes in through this gateway."""
        return domain_key(mailbox.domain) in self._domains


def directory_of(settings: Settings, registry: Registry) -> RegistryDirectory:
    """Return who is whose with these settings."""
    return RegistryDirectory(registry, (each.domain for each in settings.local_domains))


def read_policies(
    path: Path, directory: Directory, settings: Settings, *, turned_on: frozenset[str] = frozenset()
) -> Policy:
    """Return the policy in a directory, or in a copy, with some prepared rules turned on for a test.

    Raises one `SetupError` with every mistake in any of its files.
    """
    if not os.path.lexists(path):
        raise SetupError(f"{path}: cannot be read: No such file or directory")
    copied = read_copy(path) if is_copy(path) else None
    texts = copied.files if copied is not None else read_texts(path)
    return policy_of(path, texts, directory, settings, turned_on=turned_on)


def policy_of(
    path: Path, texts: Texts, directory: Directory, settings: Settings, *, turned_on: frozenset[str] = frozenset()
) -> Policy:
    """Return the policy that files make; `path` is where mistakes are said to be. Raises one `SetupError`."""
    policy = load_policy(
        [(str(path / name), text) for name, text in texts.items() if not name.startswith(AGENCIES)],
        agencies=[
            AgencyFile(Path(name).stem, str(path / name), text)
            for name, text in texts.items()
            if name.startswith(AGENCIES)
        ],
        directory=directory,
        turned_on=turned_on,
    )
    if not policy.rules:
        raise SetupError(f"{path}: no policy file (*.yaml) holds a rule")
    loose = tuple(loose_ends(policy, settings))
    if loose:
        raise SetupError(*loose)
    return policy


def read_texts(path: Path) -> Texts:
    """Return the policy files of a directory, each kind in lexical order; raises `SetupError`."""
    return {str(file.relative_to(path)): text for place in (path, path / "agencies") for file, text in _texts(place)}


def loose_ends(policy: Policy, settings: Settings) -> Iterator[str]:
    """Yield a line for each hop, listener and family of anchors that an active rule names and nobody has set up."""
    known: Mapping[str, set[str]] = {
        "hop": {each.name for each in settings.hops},
        "listener": {each.name for each in settings.listeners},
        "family": {each.name for each in settings.trust.families},
    }
    for each in policy.mentions:
        if each.kind in known and each.name not in known[each.kind]:
            names = ", ".join(sorted(known[each.kind])) or "there is none"
            yield f"{each.place}: the rule names the {each.kind} {each.name!r}, which is not set up (known: {names})"


def _texts(directory: Path) -> list[tuple[Path, str]]:
    """Return the files of a directory with their texts, in lexical order; none where there is no such directory.

    Hidden files are those of editors. Not `glob`: it takes a directory that may not be read for an empty one.
    """
    if not os.path.lexists(directory):
        return []
    try:
        names = sorted(each for each in directory.iterdir() if each.suffix == ".yaml" and each.name[0] != ".")
        return [(file, text_of(file)) for file in names]
    except OSError as error:
        raise SetupError(f"{error.filename or directory}: cannot be read: {error.strerror or error}") from error


def text_of(file: Path) -> str:
    """Return the text of a file; raises `OSError`, and `SetupError` where it is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SetupError(f"{file}: not UTF-8") from error

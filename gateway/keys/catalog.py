"""All signing keys of this gateway: label and addresses -> key, checked and prepared when loaded (RFC 8550 4.4).

A key that signs what readers would call broken is refused at the start. One that is only out of date is kept, so that
it cannot stop the others, but is unfit: it is never signed with. Nothing here shows a private key, not even a `repr`.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

import structlog
from cryptography.exceptions import UnsupportedAlgorithm

from gateway.cms.algorithms import Scheme, UnfitKeyError, default_scheme, raw_sign
from gateway.cms.sign import SigningTemplate
from gateway.core.address import Mailbox
from gateway.core.errors import SetupError
from gateway.core.local import VIETNAM
from gateway.keys.files import Opened, certificate_place, mistake, open_key
from gateway.pki.strength import STRONG_DIGESTS, weak_key
from gateway.ports import KeyKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.config.keys import KeyFile
    from gateway.keys.revocation import RevocationWatch
    from gateway.keys.suspensions import Suspension, Suspensions
    from gateway.pki.certificate import Certificate
    from gateway.ports import SigningKey

_LOG: Final = structlog.get_logger("gateway.keys")
NOTICE_DAYS: Final = 90
"""Days before its end in which a certificate is reported: renewal needs at least 60."""
TELL_EVERY: Final = 3.0
"""Seconds between two lines about keys that are still being opened."""
_MOST_THREADS: Final = 16


@dataclass(frozen=True, slots=True)
class FileKey:
    """A `ports.SigningKey` in this process's memory; signing takes 0.02 to 2 ms and is done at once."""

    label: str
    kind: KeyKind
    certificate: Certificate
    addresses: frozenset[str]
    template: SigningTemplate = field(repr=False)
    chain: tuple[Certificate, ...] = field(repr=False)
    """Issuers, lowest first."""
    place: str
    """The file of the certificate, for administrators."""
    _opened: Opened = field(repr=False)

    async def sign(self, to_be_signed: bytes) -> bytes:
        """Return the raw signature value."""
        return raw_sign(
            self._opened.private_key, to_be_signed, scheme=self.template.scheme, digest=self.template.digest
        )

    def __repr__(self) -> str:
        return f"FileKey({self.label!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key stays in the process that read it")


class Catalog:
    """A `ports.KeyCatalog` over keys that were loaded together."""

    def __init__(
        self,
        keys: Sequence[FileKey],
        *,
        now: dt.datetime,
        suspensions: Suspensions | None = None,
        watch: RevocationWatch | None = None,
    ) -> None:
        """Index the keys; `now` (aware) is the present, and goes on from here as the machine's clock does.

        Without suspensions or a watch nobody is asked about them: for a key that only one command uses.
        """
        self._ahead = now.timestamp() - time.time()
        self._suspensions, self._watch = suspensions, watch
        self._by_label = {each.label: _Standing.of(each) for each in keys}
        index: defaultdict[tuple[str, KeyKind], list[FileKey]] = defaultdict(list)
        for each in keys:
            for address in each.addresses:
                index[address, each.kind].append(each)
        self._by_author: Mapping[tuple[str, KeyKind], list[FileKey]] = dict(index)

    def __repr__(self) -> str:
        return f"Catalog({len(self._by_label)} keys)"

    @property
    def keys(self) -> tuple[FileKey, ...]:
        """Every key, in the order of the settings."""
        return tuple(each.key for each in self._by_label.values())

    def by_label(self, label: str) -> FileKey | None:
        """Return the key of this label."""
        known = self._by_label.get(label)
        return known.key if known is not None else None

    def for_author(self, mailbox: Mailbox, kind: KeyKind) -> FileKey | None:
        """Return the key of this kind that may sign for the mailbox: one that is fit first, then the latest expiry."""
        found = self._by_author.get((mailbox.key, kind), ())
        if len(found) <= 1:
            return found[0] if found else None
        at = dt.datetime.fromtimestamp(time.time() + self._ahead, dt.UTC)
        return max(found, key=lambda each: (self.unfit(each, at) is None, each.certificate.not_after))

    def unfit(self, key: SigningKey, at: dt.datetime) -> str | None:
        """Return the stable code of why the key may not sign at a time (aware), None if it may.

        The first that applies of: "removed" (a key of another catalog, held by somebody since before a reload, must
        not sign any more); "expired", "not_yet_valid", "issuer_expired", "issuer_not_yet_valid"; "suspended", also
        while nobody can read who is; and the codes of `RevocationWatch.fault`: "revoked" and others.
        """
        known = self._by_label.get(key.label)
        if known is None or known.path[0] != key.certificate:
            return "removed"
        if not known.begin <= at <= known.end:
            return _out_of_date(known.key, at)
        if self._suspensions is not None and self._suspensions.suspended(key.label):
            return "suspended"
        return self._watch.fault(known.path, at) if self._watch is not None else None

    def suspension(self, label: str) -> Suspension | None:
        """Return who suspended a key, when and why; None for a key that nobody has suspended by its name."""
        return self._suspensions.of(label) if self._suspensions is not None else None

    def refresh(self, now: dt.datetime) -> None:
        """Look at the revocation lists again; takes time in proportion to what changed: not for the event loop."""
        if self._watch is not None:
            self._watch.refresh(now)

    def findings(self, at: dt.datetime) -> tuple[str, ...]:
        """Return one line for each key that is unfit now, or whose certificate or issuer ends within 90 days."""
        closed = self._suspensions.fault if self._suspensions is not None else None
        first = (f"{closed}: every key is suspended",) if closed is not None else ()
        return (*first, *(line for each in self.keys for line in self._findings(each, at, closed=closed is not None)))

    def _findings(self, key: FileKey, at: dt.datetime, *, closed: bool) -> list[str]:
        fault = self.unfit(key, at)
        if fault is None or _out_of_date(key, at) is not None:
            return _findings(key, at)
        if fault != "suspended":
            return [f"{key.place}: may not sign: {fault} (key {key.label!r})"]
        found = self.suspension(key.label)
        if found is None:
            return [] if closed else _findings(key, at)
        words = f"suspended by {found.who} at {found.at}: {found.reason}"
        return [f"{key.place}: may not sign: {words} (key {key.label!r})"]


@dataclass(frozen=True, slots=True)
class _Standing:
    """What is asked about a key before every signature, found once."""

    key: FileKey
    path: tuple[Certificate, ...]
    """Leaf first."""
    begin: dt.datetime
    """The first moment at which leaf and issuers are in date."""
    end: dt.datetime

    @classmethod
    def of(cls, key: FileKey) -> _Standing:
        path = (key.certificate, *key.chain)
        return cls(key, path, max(each.not_before for each in path), min(each.not_after for each in path))


def load_catalog(
    keys: Sequence[KeyFile],
    *,
    now: dt.datetime,
    suspensions: Suspensions | None = None,
    watch: RevocationWatch | None = None,
) -> Catalog:
    """Read, check and prepare every key; raises one `SetupError` with all mistakes of all of them.

    Takes some ms for each key that no catalog of this process holds yet: not for the event loop.
    """
    mistakes: list[str] = []
    loaded: list[FileKey] = []
    labels: set[str] = set()
    holders: dict[Certificate, str] = {}
    for file, key in zip(keys, read_each(keys, now=now), strict=True):
        if file.label in labels:
            mistakes.append(mistake(file, "the label is used twice"))
        labels.add(file.label)
        if isinstance(key, SetupError):
            mistakes += key.mistakes
            continue
        first = holders.setdefault(key.certificate, file.label)
        if first != file.label:
            mistakes.append(mistake(file, f"is the certificate of key {first!r} already", certificate_place(file)))
        loaded.append(key)
    if mistakes:
        raise SetupError(*mistakes)
    catalog = Catalog(loaded, now=now, suspensions=suspensions, watch=watch)
    for key in loaded:
        fault = catalog.unfit(key, now)
        if fault is not None:
            _LOG.warning("key is unfit and will not sign", label=key.label, file=key.place, reason=fault)
    return catalog


def read_each(keys: Sequence[KeyFile], *, now: dt.datetime) -> tuple[FileKey | SetupError, ...]:
    """Return every key, or what is wrong with it; several are opened at once, and a long wait is told of in the log."""

    def read(file: KeyFile) -> FileKey | SetupError:
        try:
            return _load(file, now)
        except SetupError as error:
            return error

    found: list[FileKey | SetupError] = []
    told_at = time.monotonic()
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1), thread_name_prefix="keys") as pool:
        for key in pool.map(read, keys):
            found.append(key)
            if time.monotonic() - told_at >= TELL_EVERY:
                told_at = time.monotonic()
                _LOG.info("keys are being opened", opened=len(found), of=len(keys))
    return tuple(found)


def _load(file: KeyFile, now: dt.datetime) -> FileKey:
    opened = open_key(file, at=now)
    mistakes = [mistake(file, words, certificate_place(file)) for words in _faults(opened)]
    addresses = {Mailbox.parse(each).key for each in opened.certificate.addresses}
    for extra in file.extra_addresses:
        if extra.startswith("@"):
            mistakes.append(mistake(file, f"extra_addresses: {extra} is a domain; name each mailbox"))
        addresses.add(extra)
    if not addresses:
        mistakes.append(
            mistake(file, "the certificate names no mailbox; give extra_addresses", certificate_place(file))
        )
    template = None
    try:
        template = _template(file, opened)
    except UnfitKeyError as error:
        mistakes.append(mistake(file, str(error)))
    if mistakes or template is None:
        raise SetupError(*mistakes)
    return FileKey(
        label=file.label,
        kind=KeyKind(file.kind),
        certificate=opened.certificate,
        addresses=frozenset(addresses),
        template=template,
        chain=opened.chain,
        place=str(certificate_place(file)),
        _opened=opened,
    )


def _template(file: KeyFile, opened: Opened) -> SigningTemplate:
    """Return the prepared CMS; what the settings do not say follows from the key. Raises `UnfitKeyError`."""
    scheme, digest = default_scheme(opened.private_key.public_key())
    return SigningTemplate.build(
        opened.certificate.der,
        [each.der for each in opened.chain],
        scheme=Scheme(file.scheme) if file.scheme is not None else scheme,
        digest=file.digest or digest,
    )


def _faults(opened: Opened) -> list[str]:
    """Return in words what makes readers refuse whatever this key signs, today and on any other day."""
    leaf = opened.certificate
    faults: list[str] = []
    if not leaf.for_email:
        faults.append("the certificate is not for mail: its extended key usage lacks emailProtection")
    if not leaf.for_signatures:
        faults.append("the certificate is not for signatures: its key usage lacks digitalSignature and nonRepudiation")
    for each in (leaf, *opened.chain):
        if each is not leaf and not each.ca:
            faults.append(f"{each.subject}: issued a certificate of the chain and is no CA")
        if weak_key(each.public_key):
            faults.append(f"{each.subject}: the key is too weak, or of a kind that is not used")
        if not each.self_issued and not _strongly_signed(each):
            faults.append(f"{each.subject}: is signed with SHA-1 or another digest that is not believed any more")
    return faults


def _strongly_signed(certificate: Certificate) -> bool:
    """Return whether the digest under the issuer's signature is strong; None stands for Ed25519 and ML-DSA."""
    try:
        digest = certificate.parsed.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return False
    return digest is None or digest.name in STRONG_DIGESTS


def _out_of_date(key: FileKey, at: dt.datetime) -> str | None:
    if at > key.certificate.not_after:
        return "expired"
    if at < key.certificate.not_before:
        return "not_yet_valid"
    for each in key.chain:
        if at > each.not_after:
            return "issuer_expired"
        if at < each.not_before:
            return "issuer_not_yet_valid"
    return None


def _findings(key: FileKey, at: dt.datetime) -> list[str]:
    fault = _out_of_date(key, at)
    last = min((key.certificate, *key.chain), key=lambda each: each.not_after)
    whose = "its certificate" if last is key.certificate else f"its issuer {last.subject}"
    words = None
    if fault in {"expired", "issuer_expired"}:
        words = f"may not sign: {whose} expired on {_day(last.not_after)}"
    elif fault is not None:
        begin = max(each.not_before for each in (key.certificate, *key.chain))
        words = f"may not sign before {_day(begin)} ({fault})"
    elif last.not_after - at <= dt.timedelta(days=NOTICE_DAYS):
        words = f"{whose} expires in {(last.not_after - at).days} days, on {_day(last.not_after)}"
    return [f"{key.place}: {words} (key {key.label!r})"] if words is not None else []


def _day(moment: dt.datetime) -> str:
    return moment.astimezone(VIETNAM).isoformat(timespec="seconds")

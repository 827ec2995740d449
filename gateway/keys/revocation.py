"""Whether the revocation lists at hand stop one of our own keys, answered before anybody asks (RFC 5280 5 and 6.3).

A key is judged by the same argument as everybody else's certificate. Signing does not wait for it: an answer is a
look-up, found anew in the background when a list's file changes or a list begins or ends. A list that cannot be read
leaves the last good ones standing: what they revoked stays revoked, and they grow stale by themselves.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from gateway.config.trust import read_crls
from gateway.core.errors import SetupError
from gateway.core.verdict import ChainState
from gateway.pki.crl import read_lists
from gateway.pki.graph import subject_key
from gateway.pki.path import Purpose, Revocation, validate

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from pathlib import Path

    from gateway.config.keys import KeysRevocation
    from gateway.pki.certificate import Certificate
    from gateway.pki.path import PathAnswer, TrustAnchors

_LOG: Final = structlog.get_logger("gateway.keys")
REFRESH_EVERY: Final = 20.0
"""Seconds between two looks at the files: a key stops within a minute of its list's arrival."""
_BREATH: Final = 0.002
"""Seconds that mail gets between two keys that are judged again."""
_REVOKED: Final = frozenset({"revoked", "issuer_revoked"})

Chain = tuple["Certificate", ...]
"""A leaf and its issuers, lowest first."""


@dataclass(frozen=True, slots=True)
class _State:
    """The lists of one moment, and what they say about the keys somebody asked for."""

    trust: TrustAnchors
    serials: frozenset[int]
    """All that any list names, whoever issued it: what is not in it is revoked by nobody."""
    moments: tuple[dt.datetime, ...]
    """When a list begins or ends to speak."""
    begun: int
    """How many of them have passed."""
    answers: dict[Chain, str | None] = field(default_factory=dict)


class RevocationWatch:
    """Answers for our keys from the lists in files; `refresh` keeps it true, `fault` is for the hot path."""

    def __init__(self, trust: TrustAnchors, *, files: Sequence[Path], demand: KeysRevocation, now: dt.datetime) -> None:
        """Take the lists that were read already; the first `refresh` reads the files again in any case."""
        self._files = tuple(files)
        self._demand = demand
        self._signatures: tuple[tuple[int, ...] | None, ...] | None = None
        self._state = _state(trust, now)

    def fault(self, certificates: Chain, at: dt.datetime) -> str | None:
        """Return the stable code of why the key may not sign, None if it may; `at` is aware, and the present.

        "revoked" or "issuer_revoked"; where the settings demand an answer also "no_revocation_data",
        "stale_revocation_data", or the reason for which a path does not hold. A look-up, but for the first time a key
        is asked about: then it takes microseconds, or some ms where an answer is demanded.
        """
        if self._demand == "off":
            return None
        state = self._state
        try:
            return state.answers[certificates]
        except KeyError:
            answer = state.answers[certificates] = self._judged(state, certificates, at)
            return answer

    def refresh(self, now: dt.datetime) -> None:
        """Look at files and clock and judge again what may have changed; never raises, but not for the event loop."""
        if self._demand == "off":
            return
        old = self._state
        trust = self._read_again(old.trust)
        if trust is old.trust and _begun(old.moments, now) == old.begun:
            return
        state = _state(trust, now)
        for each in sorted(old.answers, key=lambda each: not _named(state, each)):  # who is named goes first
            answer = state.answers[each] = self._judged(state, each, now)
            if answer != old.answers.get(each):
                _LOG.warning(
                    "revocation of a key changed", subject=each[0].subject, serial=each[0].serial, reason=answer
                )
            if answer is not None:
                old.answers[each] = answer  # nobody signs once more because thousands of others are judged first
            time.sleep(_BREATH)
        self._state = state

    def _read_again(self, trust: TrustAnchors) -> TrustAnchors:
        """Return the trust with the lists that the files hold now; the same object where nothing changed."""
        signatures = tuple(_signature(each) for each in self._files)
        if signatures == self._signatures:
            return trust
        self._signatures = signatures
        try:
            crls = read_crls(self._files)
        except SetupError as error:
            _LOG.error("revocation lists are unfit, the last good ones stand", mistakes=error.mistakes)
            return trust
        return trust if crls == trust.crls else replace(trust, crls=crls)

    def _judged(self, state: _State, certificates: Chain, at: dt.datetime) -> str | None:
        if self._demand == "hard":
            answer = _path(state.trust, certificates, at, Revocation.HARD)
            return None if answer.state is ChainState.VALID else answer.reason
        if not _named(state, certificates):
            return None
        answer = _path(state.trust, certificates, at, Revocation.SOFT)
        return answer.reason if answer.reason in _REVOKED else _by_issuer(state.trust, certificates, at)


def _by_issuer(trust: TrustAnchors, certificates: Chain, at: dt.datetime) -> str | None:
    """Return what the lists of the issuers in the key's own file say, where no path from an anchor tells it.

    Our own authority need not be an anchor for other people's mail.
    """
    for one in read_lists(trust.crls, at=at):
        for child, issuer in itertools.pairwise(certificates):
            if one.issuer != subject_key(issuer):
                continue
            if one.parsed.get_revoked_certificate_by_serial_number(child.serial_number) is None:
                continue
            with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm):
                if one.parsed.is_signature_valid(issuer.public_key):  # type: ignore[arg-type]
                    return "revoked" if child is certificates[0] else "issuer_revoked"
    return None


def _path(trust: TrustAnchors, certificates: Chain, at: dt.datetime, revocation: Revocation) -> PathAnswer:
    leaf, *chain = certificates
    return validate(leaf, trust=trust, untrusted=chain, crls=(), at=at, purpose=Purpose.OWN_KEY, revocation=revocation)


def _named(state: _State, certificates: Chain) -> bool:
    """Return whether any list names one of a key's path, or of what may stand in it."""
    return any(each.serial_number in state.serials for each in (*certificates, *state.trust.intermediates))


def _state(trust: TrustAnchors, now: dt.datetime) -> _State:
    serials: set[int] = set()
    moments: list[dt.datetime] = []
    for der in trust.crls:
        parsed = x509.load_der_x509_crl(der)
        serials.update(each.serial_number for each in parsed)
        moments += (each for each in (parsed.last_update_utc, parsed.next_update_utc) if each is not None)
    return _State(trust, frozenset(serials), tuple(moments), _begun(moments, now))


def _begun(moments: Sequence[dt.datetime], now: dt.datetime) -> int:
    return sum(each < now for each in moments)


def _signature(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

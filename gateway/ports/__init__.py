"""What the rooms promise each other, in types and prose: adapters keep these promises, `app` wires them together.

Nothing here does anything; a promise that cannot be said in a type is said in the docstring.
"""

from __future__ import annotations

from gateway.ports.hops import HopError, HopLimits, HopTrouble, NextHop, NextHops, Transaction
from gateway.ports.journey import (
    Accounts,
    Bodies,
    Clock,
    Copies,
    HandOver,
    Intake,
    Passwords,
    RecipientChecks,
    Recorder,
    Routes,
)
from gateway.ports.judging import Judge, RevocationData
from gateway.ports.keys import KeyCatalog, KeyKind, SecondOpinion, SigningKey
from gateway.ports.store import KeptMail, Memory, Sightings, Spool

__all__ = [
    "Accounts",
    "Bodies",
    "Clock",
    "Copies",
    "HandOver",
    "HopError",
    "HopLimits",
    "HopTrouble",
    "Intake",
    "Judge",
    "KeptMail",
    "KeyCatalog",
    "KeyKind",
    "Memory",
    "NextHop",
    "NextHops",
    "Passwords",
    "RecipientChecks",
    "Recorder",
    "RevocationData",
    "Routes",
    "SecondOpinion",
    "Sightings",
    "SigningKey",
    "Spool",
    "Transaction",
]

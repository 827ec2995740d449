"""Mail domains that pass for another one: look-alike letters, one slip of the finger, and games with what stands after.

A domain of the registry, or anything below it, is never taken for a look-alike; neither is what only resembles a name
of fewer than six letters, since honest domains do.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from gateway.agencies.model import within
from gateway.agencies.skeleton import domain_skeleton, hyphened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_LEAST: Final = 6
"""Letters of a label in which one other letter is taken for a slip."""
_MOST_LABELS: Final = 10
_MOST_LETTERS: Final = 40
"""Of a label that is compared letter by letter."""
_MOST_KNOWN: Final = 4096


@dataclass(frozen=True, slots=True)
class Domains:
    """True domains, ready to be compared with; every key is made of skeletons."""

    true: frozenset[str]
    official: tuple[str, ...]
    equal: Mapping[str, str]
    """Labels joined by dots -> the true domain."""
    near: Mapping[str, tuple[str, ...]]
    """The same with one letter of one label left out -> true domains."""
    runs: Mapping[tuple[str, ...], str]
    """What stands between dots and hyphens -> the true domain; suffixes of official domains included."""
    glued: Mapping[str, str]
    """All labels in one."""
    counts: tuple[int, ...]
    """How many labels true domains have."""
    lengths: tuple[int, ...]
    """How many pieces a run has."""
    known: dict[str, str | None] = field(default_factory=dict, compare=False, repr=False)
    """Answers given before; bounded, and nothing but time depends on it."""

    @classmethod
    def of(cls, domains: Iterable[str], official: tuple[str, ...]) -> Domains:
        """Return what to compare with; `official` are patterns as in `model.within`."""
        suffixes = [each.removeprefix("*.") for each in official]
        true = frozenset((*domains, *suffixes))
        equal: dict[str, str] = {}
        near: dict[str, list[str]] = {}
        runs: dict[tuple[str, ...], str] = {}
        glued: dict[str, str] = {}
        for domain in sorted(true):
            labels = domain_skeleton(domain)
            if len(labels) == 1:
                continue
            equal[".".join(labels)] = domain
            runs[_pieces(domain)] = domain
            glued["".join(labels)] = domain
            for key in _slips(labels, least=_LEAST, own=_own(domain, true)):
                near.setdefault(key, []).append(domain)
        return cls(
            true,
            official,
            MappingProxyType(equal),
            MappingProxyType({key: tuple(each) for key, each in near.items()}),
            MappingProxyType(runs),
            MappingProxyType(glued),
            tuple(sorted({each.count(".") + 1 for each in equal})),
            tuple(sorted({len(each) for each in runs})),
        )

    def imitated(self, domain: str) -> str | None:
        """Return the true domain that this one (its key) passes for, None for any other."""
        if domain in self.known:
            return self.known[domain]
        found = None if self._is_true(domain) else self._imitated(domain)
        if len(self.known) >= _MOST_KNOWN:
            self.known.clear()
        self.known[domain] = found
        return found

    def _is_true(self, domain: str) -> bool:
        labels = domain.split(".")
        return within(domain, self.official) or any(
            ".".join(labels[start:]) in self.true for start in range(min(len(labels), 2 * _MOST_LABELS))
        )

    def _imitated(self, domain: str) -> str | None:
        labels = domain_skeleton(domain)[-_MOST_LABELS:]
        for count in self.counts:
            found = self.equal.get(".".join(labels[-count:])) if count <= len(labels) else None
            if found is not None:
                return found
        pieces = _pieces(domain)[-2 * _MOST_LABELS :]
        for length in reversed(self.lengths):
            for start in range(len(pieces) - length + 1):
                found = self.runs.get(pieces[start : start + length])
                if found is not None:
                    return found
        for label in labels[:-1]:
            if label in self.glued:
                return self.glued[label]
        return self._with_suffix_inside(labels) or self._slipped(labels)

    def _with_suffix_inside(self, labels: tuple[str, ...]) -> str | None:
        """Return an official suffix that only looks like one: "songlamgov.vn" is no part of gov.vn."""
        for pattern in self.official:
            suffix = domain_skeleton(pattern.removeprefix("*."))
            if len(suffix) > 1 and labels[1 - len(suffix) :] == suffix[1:] and len(labels) >= len(suffix):
                glued = labels[-len(suffix)]
                if glued.endswith(suffix[0]):
                    return pattern.removeprefix("*.")
        return None

    def _slipped(self, labels: tuple[str, ...]) -> str | None:
        for count in self.counts:
            last = labels[-count:]
            if len(last) != count:
                continue
            for key in _slips(last, least=_LEAST - 1, own=count):
                for domain in self.near.get(key, ()):
                    if _one_apart(last, domain_skeleton(domain)):
                        return domain
        return None


def _pieces(domain: str) -> tuple[str, ...]:
    return tuple(piece for label in hyphened(domain) for piece in label.split("-") if piece)


def _own(domain: str, true: frozenset[str]) -> int:
    """Return how many labels are this domain's own: slips in those of a true parent are found by the parent."""
    labels = domain.split(".")
    parents = (start for start in range(1, len(labels)) if ".".join(labels[start:]) in true)
    return next(parents, len(labels))


def _slips(labels: tuple[str, ...], *, least: int, own: int) -> Iterator[str]:
    """Yield the labels with one letter of one label left out, and as they are; the last label is nobody's to vary."""
    for index, label in enumerate(labels[: min(own, len(labels) - 1)]):
        if least <= len(label) <= _MOST_LETTERS:
            before, after = ".".join(labels[:index]), ".".join(labels[index + 1 :])
            for place in range(len(label) + 1):
                yield f"{before}/{label[:place]}{label[place + 1 :]}/{after}"


def _one_apart(labels: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Return True if one label differs, by one letter more, less, other, or by two neighbors exchanged (Damerau)."""
    if len(labels) != len(others):
        return False
    different = [(one, two) for one, two in zip(labels, others, strict=True) if one != two]
    return len(different) == 1 and _one_edit(*different[0])


def _one_edit(one: str, two: str) -> bool:
    shorter, longer = sorted((one, two), key=len)
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(shorter, longer, strict=False)))
    if len(shorter) < len(longer):
        return len(longer) - len(shorter) == 1 and shorter[same:] == longer[same + 1 :]
    exchanged = longer[same : same + 2][::-1] == shorter[same : same + 2] and shorter[same + 2 :] == longer[same + 2 :]
    return exchanged or shorter[same + 1 :] == longer[same + 1 :]

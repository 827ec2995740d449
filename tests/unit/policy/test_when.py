"""The `when` part of a rule: every kind of condition, and every mistake in it at its place."""

from __future__ import annotations

import pytest

from gateway.core.envelope import Direction
from gateway.core.verdict import VERDICTS
from gateway.policy.conditions import AllOf, Among, AnyOf, Condition, LargerThan, Not, SubjectContains
from gateway.policy.when import KEYS, Scope, read_conditions
from gateway.yamlcheck import Checker
from gateway.yamltext import read_yaml


def read(text: str, direction: Direction = Direction.OUTBOUND) -> tuple[tuple[Condition, ...], list[str]]:
    """Return conditions and mistakes, without the file's name."""
    checker = Checker(read_yaml("f", text))
    found = read_conditions(checker, checker.root, Scope(direction))
    return found, [each.removeprefix("f:") for each in checker.mistakes]


def among(key: str, *values: str) -> Among:
    """Return a condition."""
    return Among(key, frozenset(values))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("author: Lan@So.Example", among("author", "lan@so.example")),
        (
            'author: ["@So.Example", "@*.So.Example", "<none>"]',
            among("author", "@so.example", "@*.so.example", "<none>"),
        ),
        ('reverse_path: "<>"', among("reverse_path", "<>")),
        ("recipient: '@Bücher.example'", among("recipient", "@xn--bcher-kva.example")),
        ("login: Lan.Hoang", among("login", "Lan.Hoang")),
        ("listener: [submission, internal]", among("listener", "submission", "internal")),
        ("form: [plain, pgp_inline]", among("form", "plain", "pgp_inline")),
        ("traits: list", among("traits", "list")),
        ("subject_contains: [' TUYỆT  MẬT ', tuyệt mật]", SubjectContains(frozenset({"tuyệt mật"}))),
        ("larger_than: 10", LargerThan(10)),
        ("larger_than: 0", LargerThan(0)),
        ("larger_than: 10 MiB", LargerThan(10 * 1024**2)),
        ("larger_than: 1KiB", LargerThan(1024)),
        ("larger_than: 2 GiB", LargerThan(2 * 1024**3)),
        ("not: {larger_than: 1}", Not(LargerThan(1))),
        ("not: {larger_than: 1, login: x}", Not(AllOf((LargerThan(1), among("login", "x"))))),
        (
            "any: [{larger_than: 1}, {login: x, form: plain}]",
            AnyOf((LargerThan(1), AllOf((among("login", "x"), among("form", "plain"))))),
        ),
        ("all: [{larger_than: 1}]", AllOf((LargerThan(1),))),
    ],
)
def test_conditions_are_read(text: str, expected: Condition) -> None:
    """A value stands for itself, a list for one of its values; addresses are stored as they are compared."""
    assert read(text) == ((expected,), [])


def test_all_keys_of_a_section_must_hold() -> None:
    """Two keys are two conditions, in the order of the file."""
    assert read("login: x\nlarger_than: 1") == ((among("login", "x"), LargerThan(1)), [])


def test_every_verdict_can_be_named() -> None:
    """Inbound rules know all verdicts of the table."""
    names = ", ".join(row.name for row in VERDICTS)
    found, mistakes = read(f"verdict: [{names}]", Direction.INBOUND)
    assert mistakes == []
    assert found == (among("verdict", *(row.name for row in VERDICTS)),)


FOUND = {"note", "family", "signer_agency", "signed_headers", "boundary"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("note: [impersonation, tag_words]", among("note", "impersonation", "tag_words")),
        ("family: gov", among("family", "gov")),
        ("signed_headers: true", among("headers", "signed")),
        ("signed_headers: false", Not(among("headers", "signed"))),
        ("boundary: [spf_fail, dmarc_fail]", among("boundary", "spf_fail", "dmarc_fail")),
    ],
)
def test_what_was_found_can_be_asked(text: str, expected: Condition) -> None:
    """Of incoming mail only."""
    assert read(text, Direction.INBOUND) == ((expected,), [])
    assert read(text)[1]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("note: impersonate", "1:7: unknown word 'impersonate'; note knows: headers_changed, "),
        ("boundary: spf", "1:11: unknown word 'spf'; boundary knows: spf_fail, "),
        ("boundary: spf_hardfail", "1:11: unknown word 'spf_hardfail'"),
        ("signer_agency: so-y-te", "1:16: no agency in the registry has the id 'so-y-te'"),
        ("signed_headers: 'yes'", "1:17: must be true or false"),
        ("family: 7", "1:9: must be text"),
    ],
)
def test_what_nothing_can_be_found_as_is_a_mistake(text: str, mistake: str) -> None:
    """A rule that waits for a word nobody says would protect nobody."""
    (found,) = read(text, Direction.INBOUND)[1]
    assert found.startswith(mistake)


def test_a_direction_knows_only_what_it_can_know() -> None:
    """Outgoing mail has no verdict and incoming mail no login: such a rule would never match."""
    one_way = set(KEYS[Direction.OUTBOUND]) ^ set(KEYS[Direction.INBOUND])
    assert one_way == {"login", "wish", "recipient_is", "verdict", *FOUND}
    assert read("verdict: verified")[1] == ["1:1: unknown key 'verdict'"]
    assert read("wish: sign", Direction.INBOUND)[1] == ["1:1: unknown key 'wish'"]
    assert read("not: {verdict: verified}")[1] == ["1:7: unknown key 'verdict'"]
    (mistake,) = read("any: [{all: [{login: x}]}]", Direction.INBOUND)[1]
    assert mistake.startswith("1:15: unknown key 'login'")


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("{}", ["1:1: has no condition; leave 'when' out for a rule that always applies"]),
        ("not: {}", ["1:6: has no condition; leave 'when' out for a rule that always applies"]),
        ("any: []", ["1:6: must be a list with at least one item"]),
        ("all: {login: x}", ["1:6: must be a list with at least one item"]),
        ("autor: a@b.example", ["1:1: unknown key 'autor', did you mean 'author'?"]),
        ("author: lan", ["1:9: not a mailbox: 'lan'"]),
        ("author: '@'", ["1:9: not a mail domain: ''"]),
        ("author: '@*.'", ["1:9: not a mail domain: ''"]),
        ("author: '@*'", ["1:9: not a mail domain: '*'"]),
        ("author: '*@x.example'", ["1:9: write '@x.example' for every mailbox of a domain"]),
        ("author: '<>'", ["1:9: not a mailbox: '<>'"]),
        ("reverse_path: '<none>'", ["1:15: not a mailbox: '<none>'"]),
        ("recipient: '<none>'", ["1:12: not a mailbox: '<none>'"]),
        ("author: [a@b.example, 7, c]", ["1:23: must be text: put it in quotes", "1:26: not a mailbox: 'c'"]),
        ("form: clear", ["1:7: unknown word 'clear'; form knows: plain, clear_signed"]),
        ("traits: [list, bulk]", ["1:16: unknown word 'bulk'; traits knows: report, mdn"]),
        ("subject_contains: ['x', '\u200b']", ["1:25: nothing is left of this text without invisible characters"]),
        ("larger_than: -1", ['1:14: must be a number of octets, or such as "10 MiB"']),
        ("larger_than: 1.5", ['1:14: must be a number of octets, or such as "10 MiB"']),
        ("larger_than: true", ['1:14: must be a number of octets, or such as "10 MiB"']),
        ("larger_than: 10 MB", ['1:14: must be a number of octets, or such as "10 MiB"']),
        ("larger_than: [1]", ['1:14: must be a number of octets, or such as "10 MiB"']),
        ("[a]", ["1:1: must be a section with keys"]),
        ("x", ["1:1: must be a section with keys"]),
    ],
)
def test_mistakes_have_their_place(text: str, mistakes: list[str]) -> None:
    """What is wrong is told where it stands, in words; what cannot be read is never guessed."""
    _, found = read(text)
    assert len(found) == len(mistakes)
    for each, wanted in zip(found, mistakes, strict=True):
        assert each.startswith(wanted)


def test_all_mistakes_at_once() -> None:
    """A wrong condition does not hide the next one."""
    _, found = read("author: lan\nform: x\nany:\n  - larger_than: y\n  - nto: {}\nlogin: 5")
    assert [each.partition(": ")[0] for each in found] == ["1:9", "2:7", "4:18", "5:5", "6:8"]

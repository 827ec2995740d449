"""The schema for editors says of a file what the loader says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.envelope import Direction
from gateway.core.errors import SetupError
from gateway.policy import files, hints, levels, when
from gateway.policy.jsonschema import json_schema
from gateway.policy.schema import AgencyFile, load_policy
from gateway.yamltext import plain, read_yaml
from support.json_schema import valid
from support.policies import TOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICIES = Path(__file__).parents[3] / "policies"
SCHEMA = json_schema()
BASE = "defaults: {key: personal, if_unable: hold}\ngroups: {g: {logins: [x]}}\nprofiles: {p: {form: opaque}}\n"


def loads(text: str) -> bool:
    """Return whether the loader takes a file."""
    try:
        load_policy([("f", text)], directory=TOWN)
    except SetupError:
        return False
    return True


def fits(text: str) -> bool:
    """Return whether the schema takes it."""
    return valid(SCHEMA, plain(read_yaml("f", text).root))


def outbound(when_text: str | None = None, then: str = "pass", more: str = "") -> str:
    """Return a file with one outbound rule."""
    asked = f", when: {when_text}" if when_text is not None else ""
    return f"{BASE}rules:\n  - {{name: x, direction: outbound{asked}, then: {then}{more}}}\n"


def inbound(when_text: str, then: str = "deliver") -> str:
    """Return a file with one inbound rule."""
    return f"{BASE}rules:\n  - {{name: x, direction: inbound, when: {when_text}, then: {then}}}\n"


RIGHT = [
    outbound(),
    outbound("{author: [a@x.example, '@x.example', '@*.x.example', '<none>']}"),
    outbound("{reverse_path: '<>', recipient: a@b.example, login: Lan}"),
    outbound("{group: g, agency: ax, recipient_agency: [ax, ay], recipient_is: [inside, outside]}"),
    outbound("{attachment: true, signed_pdf: false, link: true, partly_read: false}"),
    outbound(
        "{attachment_type: [application/pdf, image/*], attachment_name: '*.exe', link_host: ['*.x.example', y.vn]}"
    ),
    outbound("{marking: [mat, toi_mat, tuyet_mat], wish: decline, form: plain, traits: [list, mdn]}"),
    outbound("{subject_contains: a, subject_matches: ['^số [0-9]+', x]}"),
    outbound("{header_matches: {field: X-App, pattern: [one, two]}}"),
    outbound("{header_matches: [{field: X-App, pattern: one}, {field: X-B, pattern: y}]}"),
    outbound("{larger_than: 0}"),
    outbound("{larger_than: 10 MiB}"),
    outbound("{hours: '07:30-17:00', days: [mon, fri]}"),
    outbound("{hours: ['22:00-05:00', '12:00-24:00']}"),
    outbound("{all: [{login: x}], any: [{login: y}, {not: {login: z}}]}"),
    outbound(more=", active: false, from: 2026-01-01, until: 2026-12-31, comment: vì sao"),
    outbound(then="sign"),
    outbound(then="{sign: {}}"),
    outbound(then="{sign: {profile: p, key: {label: so-y-te}, if_unable: refuse, date_gap: refuse}}"),
    outbound(then="{sign: {footer: none, protect_headers: true, for_other_addresses: false}}"),
    outbound(then="{sign: {footer: {vi: a, en: b}, add_header: {X-A: b, Keywords: c}, route: r}}"),
    outbound(then="{pass: {route: r}}"),
    outbound(then="{hold: {reason: x}}"),
    outbound(then="{refuse: {vi: a, en: b}}"),
    inbound("{verdict: [invalid, unsigned], listener: inbound}", "{quarantine: {reason: x}}"),
    inbound("{agency: ax}", "{deliver: {add_header: {x-seen: b}}}"),
    inbound("{note: [impersonation, lookalike_domain], family: [gov, x], boundary: [dmarc_fail, spf_softfail]}"),
    inbound("{signer_agency: [ax, ay], signed_headers: false}"),
    inbound("{agency: ax}", "{deliver: {subject_tag: off}}"),
    inbound("{agency: ax}", "{deliver: {subject_tag: bad_only, add_header: {X-A: b}, route: r}}"),
    inbound("{agency: ax}", "{hold: {reason: x}}"),
    "rules: [agencies]",
    "groups: {g: {mailboxes: ['@x.example']}}",
    "defaults: {}",
]
WRONG = [
    "{}",
    "[]",
    "x",
    "",
    "rules: []",
    "rules: {}",
    "rules: [agency]",
    "rulez: []",
    "groups: {}",
    "groups: {G: {logins: [x]}}",
    "groups: {g: {}}",
    "groups: {g: {logins: []}}",
    "groups: {g: {mailboxes: [x]}}",
    "groups: {g: [x]}",
    "profiles: {p: {profile: p}}",
    "profiles: {p: {for_other_addresses: true}}",
    "defaults: {route: x}",
    "defaults: {key: personel}",
    "defaults: {protect_headers: 'yes'}",
    "rules:\n  - {direction: outbound, then: pass}",
    "rules:\n  - {name: x, then: pass}",
    "rules:\n  - {name: x, direction: outbound}",
    "rules:\n  - {name: x, direction: sideways, then: pass}",
    "rules:\n  - {name: X, direction: outbound, then: pass}",
    "rules:\n  - {name: 7, direction: outbound, then: pass}",
    outbound("{}"),
    outbound("{autor: a@x.example}"),
    outbound("{author: lan}"),
    outbound("{author: '*@x.example'}"),
    outbound("{author: []}"),
    outbound("{verdict: invalid}"),
    outbound("{marking: secret}"),
    outbound("{attachment: 1}"),
    outbound("{attachment_type: pdf}"),
    outbound("{recipient_is: here}"),
    outbound("{larger_than: -1}"),
    outbound("{larger_than: 10 MB}"),
    outbound("{larger_than: true}"),
    outbound("{hours: '7:30-17:00'}"),
    outbound("{hours: '07:30-25:00'}"),
    outbound("{days: monday}"),
    outbound("{header_matches: {field: X-App}}"),
    outbound("{header_matches: {field: 'X App', pattern: y}}"),
    outbound("{any: []}"),
    outbound("{not: {}}"),
    outbound("{login: ''}"),
    outbound('{login: "a\\nb"}'),
    outbound(more=", active: 'yes'"),
    outbound(more=", from: tomorrow"),
    outbound(more=", color: red"),
    outbound(then="deliver"),
    outbound(then="hold"),
    outbound(then="{}"),
    outbound(then="{pass: {}}"),
    outbound(then="{pass: {route: r}, hold: {reason: x}}"),
    outbound(then="{hold: {}}"),
    outbound(then="{refuse: {vi: a}}"),
    outbound(then="{sign: {key: {labl: x}}}"),
    outbound(then="{sign: {footer: {vi: a}}}"),
    outbound(then="{sign: {add_header: {From: a}}}"),
    outbound(then="{sign: {add_header: {X-Gateway-Verdict: a}}}"),
    outbound(then="{sign: {add_header: {x-VERIFIED-sender: a}}}"),
    outbound(then="{sign: {add_header: {}}}"),
    outbound(then="{sign: {route: 'a b'}}"),
    inbound("{login: x}"),
    inbound("{wish: sign}"),
    inbound("{verdict: ok}"),
    inbound("{note: odd}"),
    inbound("{boundary: spf_hardfail}"),
    inbound("{signed_headers: 1}"),
    inbound("{family: []}"),
    outbound("{note: impersonation}"),
    inbound("{agency: ax}", "{deliver: {}}"),
    inbound("{agency: ax}", "{deliver: {subject_tag: loud}}"),
    inbound("{agency: ax}", "{deliver: {subject_tag: true}}"),
    inbound("{agency: ax}", "{hold: {}}"),
    outbound(then="{pass: {subject_tag: off}}"),
    inbound("{author: a@x.example}", "sign"),
    inbound("{author: a@x.example}", "pass"),
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_the_loader_takes_the_schema_takes(text: str) -> None:
    """An editor never paints red what the gateway loads."""
    assert loads(text)
    assert fits(text)


@pytest.mark.parametrize("text", WRONG)
def test_what_the_loader_refuses_the_schema_refuses(text: str) -> None:
    """An editor shows the mistake before the gateway has to."""
    assert not loads(text)
    assert not fits(text)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in a document."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in pairs:
        yield from places(each, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a document with another value at one place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


FULL: Any = {
    "rules": [
        rule
        for text in RIGHT
        if isinstance(tree := plain(read_yaml("f", text).root), dict)
        for rule in tree.get("rules", [])  # type: ignore[union-attr]
    ],
    **{key: value for key, value in plain(read_yaml("f", BASE).root).items()},  # type: ignore[union-attr]  # noqa: C416
}
PATHS = sorted(places(FULL), key=str)
VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    2.5,
    "",
    " x ",
    "x",
    "a@x.example",
    "@x.example",
    "a\nb",
    [],
    {},
    ["x"],
    {"x": 1},
]


@given(st.sampled_from(PATHS), st.sampled_from(VALUES))
def test_whatever_loads_fits(path: tuple[Any, ...], value: Any) -> None:
    """No single change makes a file that the gateway takes and an editor paints red, and none breaks the loader."""
    document = changed(FULL, path, value)
    # each rule by itself: the others would hide it, or be hidden by it
    rules = document.get("rules") if isinstance(document, dict) else None
    position = path[1] if len(path) > 1 and path[0] == "rules" else 0
    if isinstance(rules, list) and rules:
        document = {**document, "rules": [rules[position]]}
    if loads(json.dumps(document, ensure_ascii=False)):
        assert valid(SCHEMA, document)


def test_shipped_files_fit() -> None:
    """Each file in policies/ is right for both, the example of an agency included."""
    shipped = sorted(POLICIES.glob("*.yaml"))
    assert shipped
    for each in (*shipped, POLICIES / "agencies/so-y-te.yaml.example"):
        assert fits(each.read_text(encoding="utf-8")), each.name
    example = (POLICIES / "agencies/so-y-te.yaml.example").read_text(encoding="utf-8")
    texts = [(each.name, each.read_text(encoding="utf-8")) for each in shipped]
    text = example.replace("tin-bai@soyte.songlam.example", "a@x.example")
    assert load_policy(texts, agencies=[AgencyFile("ax", "ax.yaml", text)], directory=TOWN).rules


def test_every_key_has_a_hint_and_no_hint_is_left_over() -> None:
    """Whoever adds a key says in both languages what it is."""
    keys = {*files.TOP_KEYS, *files.RULE_KEYS, *files.GROUP_KEYS, *levels.RULE_KEYS, files.AGENCIES, "reason"}
    keys |= {each for direction in Direction for each in when.KEYS[direction]}
    keys |= {"sign", "pass", "hold", "refuse", "deliver", "quarantine", "subject_tag"}
    assert keys == hints.HINTS.keys()


def test_the_validator_can_say_no() -> None:
    """A validator that skips what it does not know would agree with anything."""
    with pytest.raises(AssertionError, match="unknown keyword"):
        valid({"oneOf": []}, "x")
    schema: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {"a": {"type": "integer"}}}
    assert valid(schema, {"a": 1})
    assert not valid(schema, {"a": True})
    assert not valid(schema, {"b": 1})

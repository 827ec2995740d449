"""From gateway.yaml to settings: every mistake at once with its place, no value repeated, no path left relative."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from gateway.config.load import load_settings, parse_settings
from gateway.core.errors import SetupError

if TYPE_CHECKING:
    from gateway.config.model import Settings

GOOD = """\
hostname: mail.so.example
listeners:
  - {name: in, kind: inbound, address: "127.0.0.1:25"}
hops:
  - {name: box, protocol: maildir, directory: mail}
local_domains:
  - {domain: so.example, hop: box, recipients: any}
spool: {directory: /var/spool}
policies: policies
tags: {authserv_id: mail.so.example}
"""


def load(text: str) -> Settings:
    """Return the settings in a text."""
    return parse_settings("g.yaml", text, directory=Path("/etc/gateway"))


def mistakes(text: str) -> list[str]:
    """Return the mistakes in a text, without the file's name."""
    with pytest.raises(SetupError) as caught:
        load(text)
    return [each.removeprefix("g.yaml:") for each in caught.value.mistakes]


def test_defaults_are_filled_in() -> None:
    """What is left out has its default."""
    settings = load(GOOD)
    assert settings.listeners[0].max_recipients == 100
    assert settings.trust.revocation == "hard"
    assert settings.keys == ()


def test_who_gets_digests() -> None:
    """Mailboxes in one spelling, a time of the day as text; nobody without a route, and no number for a time."""
    digest = "spool: {directory: /var/spool, digest: {postmaster: Quan-Tri@SO.example, at: %s}}"
    settings = load(GOOD.replace("spool: {directory: /var/spool}", digest % '"18:05"'))
    assert settings.spool.digest is not None
    assert settings.spool.digest.mailboxes == ("quan-tri@so.example",)
    assert (settings.spool.digest.time.hour, settings.spool.digest.time.minute) == (18, 5)
    for wrong in ("7:30", '"7:30"', '"24:00"', "0730"):
        assert mistakes(GOOD.replace("spool: {directory: /var/spool}", digest % wrong)), wrong
    agency = "{postmaster: a@so.example, agencies: [{agency: x, mailbox: b@no.example}]}"
    (line,) = mistakes(GOOD.replace("{directory: /var/spool}", f"{{directory: /var/spool, digest: {agency}}}"))
    assert "no route leads to 'b@no.example'" in line


def paths_in(value: Any) -> list[Path]:
    """Return every path in some settings."""
    if isinstance(value, Path):
        return [value]
    if isinstance(value, BaseModel):
        return [each for _, inner in value for each in paths_in(inner)]
    return [each for inner in value for each in paths_in(inner)] if isinstance(value, tuple) else []


def test_relative_paths_begin_at_the_file() -> None:
    """No path depends on where the gateway was started, wherever in the settings it stands."""
    settings = load(
        GOOD
        + "trust: {anchors: [a.pem], crls: [b.crl]}\nagencies: c.yaml\nauth: {file: d}\nkeys:\n"
        + '  - {label: k, kind: personal, key: e, certificate: f, passphrase: "env:X"}\n'
    )
    assert settings.policies == Path("/etc/gateway/policies")
    assert settings.hops[0].directory == Path("/etc/gateway/mail")
    assert settings.spool.directory == Path("/var/spool")
    found = paths_in(settings)
    assert len(found) == 9
    assert all(each.is_absolute() for each in found)


def test_every_mistake_at_once_in_the_order_of_the_file() -> None:
    """Types, unknown keys, doubled keys, and what does not fit together: one run tells all of it."""
    found = mistakes("""\
hostname: "not a host"
listener: []
listeners:
  - {name: in, kind: inbund, address: "127.0.0.1:25", max_connections: many}
  - {name: in, kind: inbound, address: "127.0.0.1:99999", tls: {mode: starttls}}
  - {name: int, kind: internal, address: "127.0.0.1:26"}
hops:
  - {name: box, protocol: maildir, directory: mail, connect_timeout: 0}
  - {name: out, protocol: smtp, login: {user: u, password: hunter2}}
local_domains:
  - {domain: so.example, hop: bx, recipients: any}
  - {domain: So.Example, hop: box}
outbound:
  - {domain: "*", hop: nowhere}
  - {domain: x.example, hop: box}
spool: /var/spool
policies: 7
policies: 8
tags: {authserv_id: mail.so.example, subject: on, colour: red}
max_message_size: 10
""")
    assert [each.partition(": ")[0] for each in found] == sorted(
        (each.partition(": ")[0] for each in found), key=lambda place: tuple(map(int, place.split(":")))
    )
    for wanted in (
        "1:1: 'hostname': not a mail domain",
        "2:1: unknown key 'listener', did you mean 'listeners'?",
        "4:16: 'kind' must be one of: submission, internal, inbound",
        "4:55: 'max_connections' must be a whole number",
        "5:12: listener 'in' is defined twice",
        "5:31: 'address': write HOST:PORT or [IPV6]:PORT",
        "5:59: 'tls': certificate and key are needed for TLS",
        "8:53: 'connect_timeout' must be greater than 0.0",
        "9:50: 'password': a secret is given by reference",
        "11:31: local domain 'so.example' names the unknown hop 'bx'",
        "12:14: local domain 'so.example' is defined twice",
        "12:5: key 'recipients' is missing",
        "14:24: outbound route '*' names the unknown hop 'nowhere'",
        "15:14: outbound route 'x.example' stands behind \"*\" and is never used",
        "16:1: 'spool' must be a section with keys",
        "17:1: 'policies' must be text: put it in quotes",
        "18:1: key 'policies' stands here again; it is first at line 17",
        "19:51: unknown key 'colour'",
        "20:1: 'max_message_size' must be at least 65536",
    ):
        assert any(each.startswith(wanted) for each in found), (wanted, "\n".join(found))


def test_two_listeners_never_share_an_address() -> None:
    """With several workers the kernel would let both listen, and give each client to one of them at random."""
    twice = GOOD.replace("listeners:", 'listeners:\n  - {name: two, kind: inbound, address: "127.0.0.1:25"}')
    assert mistakes(twice) == ["4:40: listening address '127.0.0.1:25' is defined twice"]
    assert len(load(twice.replace(':25"', ':0"')).listeners) == 2


def test_no_value_is_repeated() -> None:
    """A secret written where its reference belongs must not reach a terminal or a log."""
    found = mistakes(
        GOOD + "auth: {file: hunter2-a, remember: hunter2-b}\nkeys:\n"
        "  - {label: k, kind: hunter2-c, pkcs12: x, passphrase: hunter2-d, scheme: hunter2-e}\n"
        "  - {label: hunter2-F, kind: personal, pkcs12: x, passphrase: {hunter2: 1}}\n"
        "max_message_size: hunter2-g\nlog_level: [hunter2-h]\n"
    )
    assert len(found) == 8
    assert "hunter2" not in "\n".join(found)


@pytest.mark.parametrize("word", ["on", "off", "bad_only"])
def test_words_that_look_like_switches_are_words(word: str) -> None:
    """`subject: on` is the word on, with quotes or without; `true` is no such word."""
    assert load(GOOD.replace("tags: {", f"tags: {{subject: {word}, ")).tags.subject == word
    assert load(GOOD.replace("tags: {", f"tags: {{subject: '{word}', ")).tags.subject == word
    assert mistakes(GOOD.replace("tags: {", "tags: {subject: true, "))


def test_numbers_and_texts_are_not_mixed_up() -> None:
    """A number in quotes is no number, a bare number no text: what is written is what is meant."""
    assert mistakes(GOOD + "max_message_size: '100000'\n") == ["11:1: 'max_message_size' must be a whole number"]
    assert mistakes(GOOD + "max_message_size: 100000.5\n") == ["11:1: 'max_message_size' must be a whole number"]
    assert mistakes(GOOD.replace("mail.so.example\nlisteners", "7\nlisteners")) == [
        "1:1: 'hostname' must be text: put it in quotes"
    ]
    assert mistakes(GOOD + "log_level: on\n") == ["11:1: 'log_level' must be one of: debug, info, warning, error"]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (("kind: inbound", "kind: submission"), "a submission listener needs auth"),
        (
            ("local_domains:\n  - {domain: so.example, hop: box, recipients: any}\n", ""),
            "an inbound listener needs local_domains",
        ),
        (("kind: inbound", "kind: submission"), 'outbound needs a route for "*"'),
        (("recipients: any", "recipients: table"), "table lists the mailboxes"),
        (("recipients: any", "recipients: any, table: [a@b.example]"), "table lists the mailboxes"),
        (
            ("directory: mail}", "directory: mail, addresses: ['x:1']}"),
            "a maildir hop needs directory, and no addresses",
        ),
        (("protocol: maildir, directory: mail}", "protocol: smtp, addresses: mx}"), "is this gateway, not 'box'"),
        (
            ("protocol: maildir, directory: mail}", "protocol: smtp, addresses: [{address: 'a:1', weight: 2}]}"),
            "write the priority too",
        ),
        (
            ("protocol: maildir, directory: mail}", "protocol: smtp, addresses: [{adress: 'a:1'}]}"),
            "unknown key 'adress', did you mean 'address'?",
        ),
        (('address: "127.0.0.1:25"', 'address: "127.0.0.1:25", proxy_from: ["0.0.0.0/0"]'), "claim any address"),
        (("protocol: maildir", "protocol: smtp"), "an smtp or lmtp hop needs addresses, and no directory"),
        (("kind: inbound,", "kind: internal,"), "a listener of kind internal needs sources"),
        (
            ('listeners:\n  - {name: in, kind: inbound, address: "127.0.0.1:25"}\n', "listeners: []\n"),
            "needs at least 1 item(s)",
        ),
    ],
)
def test_what_does_not_fit_together(change: tuple[str, str], wanted: str) -> None:
    """Settings that each are right and together can do nothing are refused."""
    assert change[0] in GOOD
    found = mistakes(GOOD.replace(*change))
    assert any(wanted in each for each in found), found


@pytest.mark.parametrize("text", ["", "[]", "x", "# nothing"])
def test_a_file_that_is_no_section(text: str) -> None:
    """An empty file is no configuration with defaults."""
    assert mistakes(text) == ["1:1: must be a section with keys"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, a directory, or not UTF-8 (with the place): told with the path, never a traceback."""
    file = tmp_path / "g.yaml"
    for place in (file, tmp_path):
        with pytest.raises(SetupError, match="cannot be read") as caught:
            load_settings(place)
        assert caught.value.mistakes[0].startswith(f"{place}: ")
    file.write_bytes("hostname: đ".encode() + b"\nx: \xff\n")
    with pytest.raises(SetupError) as caught:
        load_settings(file)
    assert caught.value.mistakes == (f"{file}:2:4: not UTF-8",)
    file.write_text(GOOD, encoding="utf-8")
    assert load_settings(file).policies == tmp_path / "policies"

"""`gateway policy explain`: exit codes, what it says, and what it never does."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from typer.testing import CliRunner

from gateway.cli import build
from gateway.demo.play import letter
from gateway.demo.province import DOMAIN, HEALTH, OFFICER
from support.hops import KEYWORDS, FakeHop
from support.splitter import cut

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from gateway.demo.province import Province

CITIZEN: Final = "ai.do@congdan.example"
HOSTILE: Final = "\x1b[2J\u202egnah\u200b"
POLICY: Final = f"""\
rules:
  - {{name: hold-it, direction: outbound, when: {{recipient: "@bo.example"}}, then: {{hold: {{reason: chờ duyệt}}}}}}
  - name: not-at-night
    direction: outbound
    comment: ngoài giờ / after hours
    when: {{hours: "22:00-24:00"}}
    then: {{refuse: {{vi: ngoài giờ, en: after hours}}}}
  - {{name: pass-lists, direction: outbound, when: {{traits: list}}, then: pass}}
  - name: sign-all
    direction: outbound
    when: {{author: "@{DOMAIN}"}}
    then: {{sign: {{key: personal, if_unable: refuse}}}}
  - {{name: deliver-all, direction: inbound, then: deliver}}
"""
DAY: Final = "2026-11-25T09:00:00+07:00"
NIGHT: Final = "2026-11-25T23:00:00+07:00"


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """A directory with the policy above."""
    directory = tmp_path / "draft"
    directory.mkdir()
    (directory / "10.yaml").write_text(POLICY, encoding="utf-8")
    return directory


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The officer's letter."""
    path = tmp_path / "thu.eml"
    path.write_bytes(letter(f"Lan <{OFFICER.mailbox}>", CITIZEN, "Kết quả hồ sơ", "Kính gửi ông,\n"))
    return path


def explain(province: Province, *arguments: object) -> Result:
    """Give the command."""
    words = ["policy", "explain", "--config", str(province.config), *map(str, arguments)]
    return CliRunner().invoke(build(["policy explain"]), words)


def found(result: Result) -> dict[str, Any]:
    """Return its JSON."""
    return json.loads(result.stdout_bytes)


def test_a_signature_is_explained_in_full(province: Province, draft: Path, file: Path) -> None:
    """Rule, trace, key with its certificate, next hop, size and added fields are all there; nothing is guessed."""
    result = explain(province, "--dir", draft, "--json", "--at", DAY, file, "--to", CITIZEN)
    assert result.exit_code == 0
    (group,) = found(result)["groups"]
    assert (group["rule"], group["key"]) == ("sign-all", {"label": "lan-hoang", "kind": "personal"})
    assert [line.partition(":")[0] for line in group["tried"]][-3:] == ["not-at-night", "pass-lists", "sign-all"]
    (part,) = group["parts"]
    assert (part["hop"], part["form"], part["recipients"]) == ("outside", "clear_signed", [CITIZEN])
    assert [each["addresses"] for each in part["signers"]] == [[OFFICER.mailbox]]
    assert {each["name"] for each in part["added"]} == {"Received", "Content-Type"}
    assert part["missing"] == ["Content-Transfer-Encoding"]


def test_the_message_is_written_as_it_would_be_sent(
    province: Province, draft: Path, file: Path, tmp_path: Path
) -> None:
    """--out holds exactly the octets whose size is told, and never overwrites a file."""
    out = tmp_path / "out.eml"
    result = explain(province, "--dir", draft, "--json", "--at", DAY, "--out", out, file, "--to", CITIZEN)
    assert len(out.read_bytes()) == found(result)["groups"][0]["parts"][0]["octets"]
    assert base64.b64decode(cut(out.read_bytes()).body).decode() == "Kính gửi ông,\r\n"
    again = explain(province, "--dir", draft, "--at", DAY, "--out", out, file, "--to", CITIZEN)
    assert again.exit_code == 2


def test_recipients_of_different_rules_are_told_apart(province: Province, draft: Path, file: Path) -> None:
    """Each group has its own ruling; where they get different messages there is no single file to write."""
    arguments = ("--dir", draft, "--at", DAY, file, "--to", CITIZEN, "--to", "vp@bo.example")
    groups = found(explain(province, "--json", *arguments))["groups"]
    assert [(each["rule"], each["recipients"]) for each in groups] == [
        ("hold-it", ["vp@bo.example"]),
        ("sign-all", [CITIZEN]),
    ]
    assert (groups[0]["parts"][0]["kind"], groups[0]["parts"][0]["reason"]) == ("held", "chờ duyệt")


def test_a_refusal_is_exit_code_1_with_the_clients_words(province: Province, draft: Path, file: Path) -> None:
    """The reply is the one the client would get, and --at moves the clock that rules see."""
    result = explain(province, "--dir", draft, "--json", "--at", NIGHT, file, "--to", CITIZEN)
    assert result.exit_code == 1
    assert found(result)["reply"] == {"code": 550, "status": "5.7.1", "text": "ngoài giờ / after hours"}
    assert "not-at-night: yes" in found(result)["groups"][0]["tried"][-1]


def test_who_may_not_send_is_refused_before_any_rule(province: Province, draft: Path, file: Path) -> None:
    """The login's own rights are those of the gateway: no rule is reached for somebody else's address."""
    result = explain(province, "--dir", draft, "--json", "--as", HEALTH.mailbox, file, "--to", CITIZEN)
    assert (result.exit_code, found(result)["groups"]) == (1, [])


def test_inbound_mail_is_judged(province: Province, draft: Path, file: Path) -> None:
    """--inbound shows the verdict, and the tags among the added fields."""
    result = explain(province, "--dir", draft, "--json", "--inbound", file, "--to", HEALTH.mailbox)
    assert found(result)["verified"]["verdict"] == "unsigned"
    assert "X-Gateway-Verdict" in {each["name"] for each in found(result)["groups"][0]["parts"][0]["added"]}


def test_people_read_what_rules_can_ask_of_inbound_mail(province: Province, draft: Path, tmp_path: Path) -> None:
    """What was noted stands under the verdict; what was not found has no line."""
    imitated = tmp_path / "gia.eml"
    imitated.write_bytes(letter("Sở Y tế <ai.do@congdan.example>", HEALTH.mailbox, "Đã xác thực", "y"))
    shown = explain(province, "--dir", draft, "--inbound", imitated, "--to", HEALTH.mailbox).stdout
    assert "Kết luận / verdict" in shown
    assert "  Ghi nhận / notes" in shown
    assert "tag_words" in shown
    assert "Nhóm gốc" not in shown


def test_people_read_it_in_80_columns(province: Province, draft: Path, file: Path) -> None:
    """Vietnamese comes before English, no line is wider than a terminal, and the trace is numbered by its order."""
    result = explain(province, "--dir", draft, "--at", DAY, file, "--to", CITIZEN, "--to", "vp@bo.example")
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines.index("  Thư được nhận; một phần giữ lại.") < lines.index(
        "  The message would be taken, and kept in part."
    )
    assert "  Khóa / key                lan-hoang (personal)" in lines


def test_hostile_text_cannot_reach_the_terminal(province: Province, draft: Path, tmp_path: Path) -> None:
    """Control and direction characters of a message, a name or an address are shown as what they are."""
    hostile = tmp_path / "xau.eml"
    hostile.write_bytes(
        letter(f"Lan <{OFFICER.mailbox}>", CITIZEN, "x", "y").replace(
            b"MIME-V", f"X-Ten: {HOSTILE}\r\nMIME-V".encode(), 1
        )
    )
    for arguments in ((), ("--inbound",)):
        to = HEALTH.mailbox if arguments else CITIZEN
        result = explain(province, "--dir", draft, "--at", DAY, hostile, "--to", to, *arguments)
        assert not set(HOSTILE[:1] + "\u202e\u200b") & set(result.output)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--to", "khong-phai"), "--to khong-phai: not a mailbox"),
        (("--to", CITIZEN, "--at", "hom nay"), "--at hom nay"),
        (("--to", CITIZEN, "--from-listener", "khong-co"), "there is no such listener"),
        (("--to", CITIZEN, "--client", "may-toi"), "not an IP address"),
        (("--to", CITIZEN, "--inbound", "--from-listener", "submission"), "is of kind submission"),
    ],
)
def test_a_wrong_call_is_exit_code_2(
    province: Province, draft: Path, file: Path, arguments: tuple[str, ...], words: str
) -> None:
    """What cannot be tried is no answer about mail: exit 2, and why."""
    result = explain(province, "--dir", draft, file, *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_wrong_draft_is_told_with_its_place(province: Province, draft: Path, file: Path) -> None:
    """Mistakes of the policy come as the gateway would log them."""
    (draft / "20.yaml").write_text("rules: [{name: x, direction: outbound, then: pas}]\n", encoding="utf-8")
    result = explain(province, "--dir", draft, file, "--to", CITIZEN)
    assert result.exit_code == 2
    assert "20.yaml:1:46: must be one of" in result.stderr


def test_a_bare_line_feed_is_what_the_session_refuses(province: Province, draft: Path, tmp_path: Path) -> None:
    """Octets that the gateway would refuse at the dot never look as if they could be signed."""
    mixed = tmp_path / "tron.eml"
    mixed.write_bytes(b"From: a@b.example\r\n\r\nmot\nhai\r\n")
    result = explain(province, "--dir", draft, mixed, "--to", CITIZEN)
    assert result.exit_code == 2
    assert "550 5.6.0" in result.stderr


async def test_hops_are_asked_only_where_that_is_wanted(province: Province, draft: Path, tmp_path: Path) -> None:
    """What a next hop cannot take changes the octets: seen with --ask-hops, and nobody is connected to without it."""
    raw = tmp_path / "tho.eml"
    encoded = letter(f"Lan <{OFFICER.mailbox}>", CITIZEN, "x", "Kinh gui\n")
    raw.write_bytes(encoded.replace(b"Subject: x", "Subject: Kết quả".encode()))
    keywords = tuple(each for each in KEYWORDS if each != "SMTPUTF8")
    async with FakeHop(keywords=keywords) as hop:
        text = province.config.read_text(encoding="utf-8").replace(
            "{name: outside, protocol: maildir, directory: outside}",
            f'{{name: outside, protocol: smtp, addresses: ["{hop.address}"], tls: none}}',
        )
        config = province.directory / "smtp.yaml"
        config.write_text(text, encoding="utf-8")
        words = [
            "policy",
            "explain",
            "--config",
            str(config),
            "--dir",
            str(draft),
            "--at",
            DAY,
            str(raw),
            "--to",
            CITIZEN,
        ]
        application = build(["policy explain"])
        sent = {}
        for option in ("--json", "--ask-hops"):
            out = tmp_path / f"{option}.eml"
            result = await asyncio.to_thread(CliRunner().invoke, application, [*words, "--out", str(out), option])
            assert result.exit_code == 0, result.output
            sent[option] = out.read_bytes().partition(b"\r\n\r\n")[0], hop.connections
        assert (hop.seen("MAIL"), hop.dots) == (0, 0)
    assert sent["--json"] == (sent["--json"][0], 0)
    assert "Kết quả".encode() in sent["--json"][0]
    assert sent["--ask-hops"][0].isascii()
    assert sent["--ask-hops"][1] == 1

"""`gateway policy explain` says beforehand what the live gateway then does, case by case.

Judged against what others see: the reply as the client heard it, the octets in the next hop's mailboxes, the signer as
OpenSSL names it, the rows of the spool. Nothing here compares what the two share inside.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import smtplib
import sqlite3
import ssl
import subprocess
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
from typer.testing import CliRunner

from gateway.cli import build
from gateway.mime.fields import decode_text
from support.gateway_process import (
    AUTHORS,
    LOGIN,
    NEIGHBOR,
    OURS,
    Gateway,
    build_house,
    credentials,
    gateway,
    root_pem,
)
from support.letters import HEAD, LAN, PLAIN, clear, mail, multipart, opaque_entity, text_part
from support.logs import logging_as_before
from support.peers import short_directory, wait_for
from support.splitter import cut, flipped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["logging_as_before"]

RUNNER: Final = CliRunner()
KEYLESS: Final = f"khong.khoa@{OURS}"
POLICY: Final = f"""\
defaults: {{key: personal_else_organization, if_unable: refuse}}
rules:
  - name: no-plans
    direction: outbound
    when: {{subject_contains: "ke hoach mat"}}
    then: {{refuse: {{vi: không gửi kế hoạch mật, en: no secret plans}}}}
  - name: no-secrets
    direction: outbound
    when: {{marking: [mat, toi_mat, tuyet_mat]}}
    then: {{refuse: {{vi: có dấu mật, en: marked secret}}}}
  - name: no-programs
    direction: outbound
    when: {{attachment_name: "*.exe"}}
    then: {{hold: {{reason: tệp chạy được / a program}}}}
  - name: by-wish
    direction: outbound
    when: {{wish: decline, recipient: "@rieng.example"}}
    then: pass
  - name: hold-for-ministry
    direction: outbound
    when: {{recipient: "@bo.example"}}
    then: {{hold: {{reason: gửi Bộ phải duyệt / mail to the ministry}}}}
  - name: leave-lists
    direction: outbound
    when: {{any: [{{traits: [list, auto_reply]}}, {{form: [clear_signed, encrypted]}}]}}
    then: pass
  - name: old-partner
    direction: outbound
    when: {{recipient: "@cu.example"}}
    then: {{sign: {{form: opaque}}}}
  - name: marked-and-routed
    direction: outbound
    when: {{recipient: "@khac.example"}}
    then: {{sign: {{add_header: {{X-Don-Vi: Sở Y tế}}, route: khac, protect_headers: true}}}}
  - name: footed
    direction: outbound
    when: {{recipient: "@bao.example"}}
    then: {{sign: {{footer: {{vi: Bản tin Sở Y tế, en: News}}}}}}
  - name: lent-key
    direction: outbound
    when: {{recipient: "@nhan.example"}}
    then: {{sign: {{key: {{label: p256}}}}}}
  - name: keyless-hold
    direction: outbound
    when: {{author: {KEYLESS}, recipient: "@giu.example"}}
    then: {{sign: {{if_unable: hold}}}}
  - name: keyless-tell
    direction: outbound
    when: {{author: {KEYLESS}, recipient: "@bao-lai.example"}}
    then: {{sign: {{if_unable: send_unsigned}}}}
  - name: sign-official-mail
    direction: outbound
    when: {{author: "@{OURS}"}}
    then: sign
  - name: keep-forged
    direction: inbound
    when: {{verdict: [invalid, signer_mismatch]}}
    then: {{quarantine: {{reason: giả mạo / forged}}}}
  - name: no-prizes
    direction: inbound
    when: {{subject_contains: trung thuong}}
    then: {{refuse: {{vi: thư rác, en: spam}}}}
  - name: deliver-with-tag
    direction: inbound
    then: deliver
"""


@dataclass(frozen=True)
class Way:
    """One message, and how it comes in."""

    message: bytes
    to: tuple[str, ...]
    sender: str = LAN
    door: str = "submission"
    options: tuple[str, ...] = field(default=())
    kind: str = ""
    """What is to be seen at least, so that no row of the table is empty: a code, and the signer's mailbox or ""."""


def titled(subject: str, message: bytes = PLAIN) -> bytes:
    """Return a letter with another subject."""
    return re.sub(rb"(?m)^Subject: .*\r$", f"Subject: {subject}\r".encode(), message, count=1)


def by(author: str, message: bytes = PLAIN) -> bytes:
    """Return a letter of another author."""
    return message.replace(LAN.encode(), author.encode())


PART: Final = text_part("Da ky bang token.")
PROGRAM: Final = (
    b"Content-Type: application/octet-stream; name=a.exe\r\nContent-Transfer-Encoding: base64\r\n\r\nTVo=\r\n"
)
FROM_NEIGHBOR: Final = HEAD.replace(LAN.encode(), NEIGHBOR.encode())
AUTO: Final = PLAIN.replace(b"MIME-Version", b"Auto-Submitted: auto-replied\r\nMIME-Version", 1)
LISTED: Final = mail(PART, head=b"List-Id: <ds.example>\r\n" + HEAD)


def ways() -> dict[str, Way]:
    """Return the table; recipients are each row's own."""
    neighbor, lan = credentials()[NEIGHBOR], credentials()[LAN]
    tampered = clear(PART, neighbor, head=FROM_NEIGHBOR).replace(b"token.", b"tokem.", 1)
    both = multipart("mixed", text_part("Kem tep."), text_part("Phu luc"))
    return {
        "plain": Way(PLAIN, ("a1@dan.example",), kind=f"250 {LAN}"),
        "two-recipients": Way(PLAIN, ("a2@dan.example", "b2@dan.example"), kind=f"250 {LAN}"),
        "p256": Way(by(AUTHORS["p256"]), ("a3@dan.example",), AUTHORS["p256"], kind=f"250 {AUTHORS['p256']}"),
        "pss": Way(by(AUTHORS["pss"]), ("a4@dan.example",), AUTHORS["pss"], kind=f"250 {AUTHORS['pss']}"),
        "attachments": Way(mail(both), ("a5@dan.example",), kind=f"250 {LAN}"),
        "refused": Way(titled("Ke hoach MAT 2027"), ("a6@dan.example",), kind="550 "),
        "held": Way(PLAIN, ("a7@bo.example",), kind="250 "),
        "held-in-part": Way(PLAIN, ("a8@bo.example", "b8@dan.example"), kind=f"250 {LAN}"),
        "list": Way(LISTED, ("a9@dan.example",), kind="250 "),
        "auto-reply": Way(AUTO, ("a10@dan.example",), kind="250 "),
        "signed-before": Way(clear(PART, lan), ("a11@dan.example",), kind=f"250 {LAN}"),
        "encrypted": Way(mail(opaque_entity(b"0\0", smime_type="enveloped-data")), ("a12@dan.example",), kind="250 "),
        "opaque": Way(PLAIN, ("a13@cu.example",), kind=f"250 {LAN}"),
        "two-forms": Way(PLAIN, ("a14@cu.example", "b14@dan.example"), kind=f"250 {LAN}"),
        "marked-and-routed": Way(PLAIN, ("a15@khac.example",), kind=f"250 {LAN}"),
        "footed": Way(PLAIN, ("a16@bao.example",), kind=f"250 {LAN}"),
        "lent-key": Way(PLAIN, ("a17@nhan.example",), kind="550 "),
        "keyless": Way(by(KEYLESS), ("a18@dan.example",), KEYLESS, kind="550 "),
        "keyless-held": Way(by(KEYLESS), ("a19@giu.example",), KEYLESS, kind="250 "),
        "keyless-told": Way(by(KEYLESS), ("a20@bao-lai.example",), KEYLESS, kind="250 "),
        "not-allowed": Way(by("ai@dan.example"), ("a21@dan.example",), kind="550 "),
        "two-froms": Way(b"From: b@b.example\r\n" + PLAIN, ("a22@dan.example",), kind="550 "),
        "raw-header": Way(titled("Kết quả hồ sơ"), ("a23@dan.example",), kind=f"250 {LAN}"),
        "scanner": Way(PLAIN, ("a24@dan.example",), door="internal", kind=f"250 {LAN}"),
        "secret": Way(mail(text_part("TUYET MAT\r\nKe hoach")), ("a25@dan.example",), kind="550 "),
        "program": Way(mail(multipart("mixed", text_part("Tep."), PROGRAM)), ("a26@dan.example",), kind="250 "),
        "wish-in-subject": Way(titled("Hen gap !khongky"), ("a27@rieng.example",), kind="250 "),
        "wish-in-field": Way(b"X-Xin-Ky: no\r\n" + PLAIN, ("a28@rieng.example",), kind="250 "),
        "wish-overruled": Way(titled("Hen gap !khongky"), ("a29@dan.example",), kind=f"250 {LAN}"),
        "in-verified": Way(
            clear(PART, neighbor, head=FROM_NEIGHBOR), (f"b1@{OURS}",), NEIGHBOR, "inbound", kind=f"250 {NEIGHBOR}"
        ),
        "in-unsigned": Way(by(NEIGHBOR), (f"b2@{OURS}", f"b3@{OURS}"), NEIGHBOR, "inbound", kind="250 "),
        "in-tampered": Way(tampered, (f"b4@{OURS}",), NEIGHBOR, "inbound", kind="250 "),
        "in-refused": Way(titled("Trung thuong", by(NEIGHBOR)), (f"b5@{OURS}",), NEIGHBOR, "inbound", kind="550 "),
    }


@pytest.fixture(scope="module")
def gate() -> Iterator[Gateway]:
    """The gateway, between three sets of mailboxes."""
    with short_directory("gw-") as directory:
        hops = [{"name": name, "protocol": "maildir", "directory": name} for name in ("ngoai", "khac", "trong")]
        for each in hops:
            (directory / each["name"]).mkdir(mode=0o700)
        house = build_house(
            directory,
            hops=hops,
            local_domains=[{"domain": OURS, "hop": "trong", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "ngoai"}],
            policy=POLICY,
            wishes={"ask": ["!ky"], "decline": ["!khongky"], "field": "X-Xin-Ky"},
        )
        with gateway(house) as running:
            yield running


def essence(octets: bytes, tmp: Path) -> tuple[str, str, str]:
    """Return what does not depend on the moment: fields without trace and boundary, digest of the content, signer.

    Whether a signer writes for the first time is known to the running gateway only: notes are left out, and the
    sentences about them.
    """
    head, _, body = octets.partition(b"\r\n\r\n")
    passing = (b"received:", b"return-path:", b"delivered-to:", b"x-gateway-reason:")  # two are the mailbox's own
    fields = [each for each in re.split(rb"\r\n(?![ \t])", head) if not each.lower().startswith(passing)]
    texts = [decode_text(each.replace(b"\r\n", b"")) for each in fields]
    shown = [each.partition(" (")[0] if each.startswith("X-Gateway-Verdict:") else each for each in texts]
    moments = r'(?<=boundary=")[^"]+|\d{4}-\d\d-\d\dT[\d:+]+| notes=[^;]+;'
    steady = re.sub(moments, "", "\n".join(shown))
    content, signer = body, ""
    if b"multipart/signed" in head:
        found = cut(octets)
        content, signer = found.part, signer_of(found.cms, tmp, found.part)
    elif b"smime-type=signed-data" in head:
        cms = base64.b64decode(body)
        signer = signer_of(cms, tmp)
        content = (tmp / "content").read_bytes()
    return steady, hashlib.sha256(content).hexdigest(), signer


def signer_of(cms: bytes, tmp: Path, part: bytes | None = None) -> str:
    """Return the fingerprint (SHA-256) of the certificate whose key signed, as OpenSSL finds it, or ""."""
    for name, given in (("cms", cms), ("part", part or b""), ("root", root_pem())):
        (tmp / name).write_bytes(given)
    (tmp / "signer").unlink(missing_ok=True)
    command = ["openssl", "cms", "-verify", "-inform", "DER", "-in", tmp / "cms", "-binary", "-CAfile", tmp / "root"]
    command += ["-out", tmp / "content", "-signer", tmp / "signer"]
    command += ["-content", tmp / "part"] if part is not None else []
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        return ""
    der = ssl.PEM_cert_to_DER_cert((tmp / "signer").read_text())
    return hashlib.sha256(der).hexdigest()


def send(gate: Gateway, way: Way) -> str:
    """Send as a client and return the reply to the dot, or the first refusal before it."""
    house = gate.house
    with smtplib.SMTP("127.0.0.1", house.port(way.door), timeout=120) as client:
        if way.door == "submission":
            client._host = "localhost"  # type: ignore[attr-defined]
            client.starttls(context=ssl.create_default_context(cafile=str(house.server_pem)))
            client.login(*LOGIN)
        client.ehlo()
        raw_header = not way.message.partition(b"\r\n\r\n")[0].isascii()
        code, text = client.mail(way.sender, ["BODY=8BITMIME", *(["SMTPUTF8"] if raw_header else [])])
        for each in way.to:
            if code < 400:
                code, text = client.rcpt(each)
        if code < 400:
            code, text = client.data(way.message)
    return f"{code} {text.decode()}"


def explain(gate: Gateway, way: Way, tmp: Path) -> tuple[dict[str, Any], bytes | None]:
    """Ask beforehand; return the JSON and the octets that would be sent, where they are the same for all."""
    (tmp / "thu.eml").write_bytes(way.message)
    command = ["policy", "explain", "--json", "--config", str(gate.house.config), str(tmp / "thu.eml")]
    command += [option for each in way.to for option in ("--to", each)]
    command += ["--sender", way.sender, "--from-listener", way.door]
    command += ["--as", LOGIN[0]] if way.door == "submission" else []
    command += ["--inbound"] if way.door == "inbound" else []
    application = build(["policy explain"])
    done = RUNNER.invoke(application, [*command, "--out", str(tmp / "out.eml")])
    if done.exit_code == 2:  # nothing, or not the same for everybody
        done = RUNNER.invoke(application, command)
    assert done.exit_code in {0, 1}, done.output
    out = tmp / "out.eml"
    return json.loads(done.stdout), out.read_bytes() if out.exists() else None


def boxes(gate: Gateway, mailboxes: set[tuple[str, str]]) -> dict[tuple[str, str], list[bytes]]:
    """Return what is in mailboxes, given as (hop, mailbox)."""
    found = {}
    for hop, mailbox in mailboxes:
        local, _, domain = mailbox.rpartition("@")
        folder = gate.house.directory / hop / domain / local / "new"
        found[hop, mailbox] = [each.read_bytes() for each in folder.iterdir()] if folder.is_dir() else []
    return found


def kept(gate: Gateway, trace_id: str) -> list[tuple[str, str]]:
    """Return kind and reason of what stays in the spool of a message."""
    uri = f"file:{gate.house.directory}/spool/spool.sqlite3?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as spool:
        rows = spool.execute("SELECT kind, reason FROM entries WHERE trace_id = ? ORDER BY kind, reason", (trace_id,))
        return [(kind, reason) for kind, reason in rows.fetchall() if kind != "deliver"]


def anonymous(reply: str) -> tuple[str, str]:
    """Return a reply without the trace id, and the trace id."""
    match = re.fullmatch(r"(250 2\.0\.0 )(\w+)( .*)", reply)
    return (match[1] + "ID" + match[3], match[2]) if match else (reply, "")


@pytest.mark.parametrize("name", ways())
def test_what_is_explained_is_what_happens(gate: Gateway, name: str, tmp_path: Path) -> None:
    """Reply, mailboxes reached, octets, signer, and what is kept: all as `policy explain` said before."""
    way = ways()[name]
    found, octets = explain(gate, way, tmp_path)
    reply, trace_id = anonymous(send(gate, way))

    told = found["reply"]
    assert reply == anonymous(f"{told['code']} {told['status']} {told['text']}")[0]

    parts = [part for group in found["groups"] for part in group["parts"]]
    sent = [part for part in parts if part["kind"] == "deliver"] if told["code"] < 300 else []
    expected = {(part["hop"], to): part for part in sent for to in part["recipients"]}
    everywhere = {(hop, to) for hop in ("ngoai", "khac", "trong") for to in way.to}
    wait_for(lambda: all(boxes(gate, set(expected)).values()), f"{sorted(expected)} to be delivered")
    delivered = {where: files for where, files in boxes(gate, everywhere).items() if files}
    assert delivered.keys() == expected.keys()
    signers = set()
    for where, (file,) in delivered.items():
        fields, content, signer = essence(file, tmp_path)
        part = expected[where]
        wanted = [each["fingerprint"] for each in part["signers"]]
        assert [signer] == wanted or (not signer and not wanted), where
        signers.add(signer)
        for each in part["added"]:
            assert re.search(rf"(?im)^{re.escape(each['name'])}:".encode(), file), each
        for each in part["missing"]:
            assert not re.search(rf"(?im)^{re.escape(each)}:".encode(), file.partition(b"\r\n\r\n")[0]), each
        if octets is not None:
            assert (fields, content, signer) == essence(octets, tmp_path)
            assert abs(len(file) - len(octets)) < 500, "trace, signature and notes differ by a few octets only"
    if told["code"] < 300:
        stays = sorted((part["kind"], part["reason"]) for part in parts if part["kind"] != "deliver")
        assert kept(gate, trace_id) == stays
    assert_not_empty(way, reply, signers)


def assert_not_empty(way: Way, reply: str, signers: set[str]) -> None:
    """Hold the row against what its author meant, so that two equal mistakes do not agree."""
    code, _, mailbox = way.kind.partition(" ")
    assert reply.startswith(code)
    if mailbox:
        assert hashlib.sha256(credentials()[mailbox].certificate).hexdigest() in signers
    else:
        assert signers <= {""}


def test_the_sender_is_told_what_explain_says(gate: Gateway, tmp_path: Path) -> None:
    """A notice that is announced arrives, with the same words; the message itself goes out unsigned."""
    way = Way(by(KEYLESS), ("c1@bao-lai.example",), KEYLESS)
    found, _ = explain(gate, way, tmp_path)
    before = len(boxes(gate, {("trong", KEYLESS)})["trong", KEYLESS])
    send(gate, way)
    (notice,) = found["notices"]
    assert notice["recipients"] == [KEYLESS]
    wait_for(lambda: len(boxes(gate, {("trong", KEYLESS)})["trong", KEYLESS]) == before + 1, "the notice")
    assert found["unable"] == ["no_key"]


def test_explaining_leaves_no_trace(gate: Gateway, tmp_path: Path) -> None:
    """Nothing is sent, kept, logged by the gateway or remembered of a message that is only explained."""
    way = Way(PLAIN, ("d1@bo.example", "d2@dan.example"))
    explain(gate, way, tmp_path)
    assert "d1@bo.example" not in gate.output.read_text(encoding="utf-8")
    assert kept(gate, "explain") == []
    assert boxes(gate, {("ngoai", "d2@dan.example")}) == {("ngoai", "d2@dan.example"): []}


def test_the_judge_can_see_a_difference(tmp_path: Path) -> None:
    """The comparison of octets above is not satisfied by anything: one flipped octet is another essence."""
    lan = credentials()[LAN]
    message = clear(PART, lan)
    good = essence(message, tmp_path)
    assert good[2] == hashlib.sha256(lan.certificate).hexdigest()
    other = message.replace(PART, flipped(PART), 1)
    assert essence(other, tmp_path)[1:] == (hashlib.sha256(flipped(PART)).hexdigest(), "")

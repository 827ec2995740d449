"""A running gateway under attack: a message goes in by SMTP, and what a recipient would see of it comes back.

    with ground() as field:                    # `gateway run`, revocation hard, tags and seals on
        seen = field.deliver(letter())         # -> Delivered: reply, octets, verdict, marks that are green
        seen = field.attack(good, forged)      # `good` is green in every mark, `forged` in none

What is green is looked for with the standard library and by hand, not with the code that wrote it; only the seal needs
its own check.
"""

from __future__ import annotations

import datetime as dt
import email
import email.header
import email.policy
import itertools
import json
import re
import smtplib
import unicodedata
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from gateway.core.address import Mailbox
from gateway.core.message import Message
from gateway.relay.maildir import place_of
from gateway.tagging.seal import SealKeys, SealState, check
from support.gateway_process import HOSTNAME, NEIGHBOR, OURS, authority, build_house, credentials, gateway
from support.letters import clear_entity, detached
from support.peers import short_directory, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gateway.demo.authority import Credential
    from support.gateway_process import Gateway

AUTHOR: Final = NEIGHBOR
"""Who signs every honest letter here."""
AGENCY: Final = "Văn phòng tỉnh Thanh Hà"
REVOKED: Final = "cu@thanhha.example"
"""Of the same agency; the certificate is on the list of the revoked."""
COLLEAGUE: Final = "ke-toan@thanhha.example"
"""Another mailbox of the author's agency."""
STRANGER: Final = "giam-doc@congty.example"
"""Has a certificate of the same authority, and nothing to do with the agency."""
SECRET: Final = b"mot-bi-mat-de-thu-niem-phong-012"
KEYS: Final = SealKeys((("k1", SECRET),))
AGENCIES: Final[dict[str, Any]] = {
    "agencies": [
        {
            "id": "van-phong-thanh-ha",
            "name": AGENCY,
            "kind": "ban",
            "mailboxes": [AUTHOR, COLLEAGUE],
            "domains": ["@thanhha.example"],
        },
        {"id": "cong-ty", "name": "Công ty Cấp nước", "kind": "don_vi", "domains": ["@congty.example"]},
    ],
    "protected": [
        {"name": "Kho bạc Nhà nước", "names": ["Kho bạc Nhà nước", "Kho bạc"], "domains": ["*.gov.vn"]},
        {"name": "Cơ quan Thuế", "names": ["Tổng cục Thuế", "Cục Thuế"], "words": ["Thuế"], "domains": ["*.gov.vn"]},
        {"name": "Bảo hiểm xã hội Việt Nam", "names": ["Bảo hiểm xã hội", "BHXH"], "domains": ["*.gov.vn"]},
        {"name": "Công an", "names": ["Công an tỉnh"], "words": ["Công an"], "domains": ["*.gov.vn"]},
    ],
}
GREEN: Final = frozenset({"verdict", "results", "sender", "words", "seal"})
"""Every mark by which a reader, or a program, knows a verified message."""
VERDICT: Final = "X-Gateway-Verdict"
_THEIRS: Final = frozenset({"from", "sender", "reply-to", "to", "cc"})
"""Fields with names that people give themselves: never changed, and noted where they imitate a tag."""
_numbers: Final = itertools.count(1)


def head(*, author: str = AUTHOR, name: str = "Van phong", number: int | None = None) -> bytes:
    """Return the header fields of a letter that was never seen before, unless its number was used."""
    chosen = next(_numbers) if number is None else number
    return (
        f"From: {name} <{author}>\r\nTo: Doc <doc@{OURS}>\r\n"
        f"Subject: Moi hop so {chosen}\r\nDate: Tue, 24 Nov 2026 08:29:00 +0700\r\n"
        f"Message-ID: <{chosen}@thanhha.example>\r\n"
    ).encode()


def part(words: str | None = None, *, subtype: str = "plain") -> bytes:
    """Return a small text part; without words, one that no other letter has."""
    text = words if words is not None else f"Moi hop luc 8 gio, phong {next(_numbers)}."
    return f"Content-Type: text/{subtype}; charset=utf-8\r\n\r\n{text}\r\n".encode()


def signer(mailbox: str = AUTHOR) -> Credential:
    """Return the credential of one of the three who sign here."""
    if mailbox not in _issued:
        _issued[mailbox] = authority().issue("Người ký", mailbox, shape="p256")
    return _issued[mailbox]


_issued: Final[dict[str, Credential]] = {NEIGHBOR: credentials()[NEIGHBOR]}


def letter(
    signed: bytes | None = None, *, fields: bytes | None = None, by: Credential | None = None, boundary: str = "outer"
) -> bytes:
    """Return a clear-signed letter of the author; `signed` is the entity to sign, `fields` stand above it."""
    content = part() if signed is None else signed
    entity = clear_entity(content, detached(content, by or signer()), boundary=boundary)
    return (head() if fields is None else fields) + b"MIME-Version: 1.0\r\n" + entity


@dataclass(frozen=True)
class Honest:
    """What a thief has of the author: one signed letter, and all that it is made of."""

    fields: bytes = dataclass_field(default_factory=head)
    part: bytes = dataclass_field(default_factory=part)

    @cached_property
    def cms(self) -> bytes:
        """The detached signature."""
        return detached(self.part, signer())

    @property
    def entity(self) -> bytes:
        """The multipart/signed, its Content-Type included."""
        return clear_entity(self.part, self.cms)

    @property
    def message(self) -> bytes:
        """The whole letter."""
        return self.under(self.entity)

    def under(self, entity: bytes) -> bytes:
        """Return another entity under the same header fields."""
        return self.fields + b"MIME-Version: 1.0\r\n" + entity


@dataclass(frozen=True)
class Delivered:
    """What came of one message: the reply to its last octet, and the letter in the mailbox if there is one."""

    code: int
    text: str
    recipient: Mailbox
    octets: bytes | None

    @cached_property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """Every header field in order, its name in lower case and its value decoded."""
        if self.octets is None:
            return ()
        parsed = email.message_from_bytes(self.octets, policy=email.policy.compat32)
        return tuple((name.lower(), _decoded(str(value))) for name, value in parsed.items())

    def all(self, name: str) -> tuple[str, ...]:
        """Return the decoded values of all fields of a name."""
        return tuple(value for key, value in self.fields if key == name.lower())

    @cached_property
    def facts(self) -> Mapping[str, str]:
        """The names and values of the one verdict field; its first word is under "verdict"."""
        if self.octets is None:
            return {"verdict": "refused", "reason": self.text}
        (value,) = self.all(VERDICT)
        verdict, *pairs = value.partition(" (")[0].split("; ")
        return {"verdict": verdict, **dict(each.split("=", 1) for each in pairs)}

    @property
    def verdict(self) -> str:
        """The verdict's name; "refused" if nothing was delivered."""
        return self.facts["verdict"]

    @property
    def reason(self) -> str:
        """The stable code of why."""
        return self.facts["reason"]

    @property
    def why(self) -> tuple[str, str]:
        """Verdict and reason together."""
        return self.verdict, self.reason

    @property
    def notes(self) -> frozenset[str]:
        """The codes of what was noted beside the verdict."""
        return frozenset(filter(None, self.facts.get("notes", "").split(",")))

    @property
    def subject(self) -> str:
        """The decoded subject, our tag in front."""
        return " | ".join(self.all("subject"))

    @property
    def results(self) -> str:
        """All Authentication-Results fields."""
        return " | ".join(self.all("authentication-results"))

    @cached_property
    def greens(self) -> frozenset[str]:
        """The marks that would make a reader, or a program, believe the message."""
        if self.octets is None:
            return frozenset()
        found = set()
        verified = any(re.match(r"\s*verified\b(?!_)", each, re.IGNORECASE) for each in self.all(VERDICT))
        if verified:
            found.add("verdict")
        if re.search(r"smime\s*=\s*pass", self.results, re.IGNORECASE):
            found.add("results")
        if self.all("x-verified-sender"):
            found.add("sender")
        if any("daxacthuc" in _eye(value) for key, value in self.fields if key not in {"subject", *_THEIRS}):
            found.add("words")
        if any(_is_tag(value) for value in self.all("subject")):
            found.add("words")
        if verified and check(Message.of(self.octets), self.recipient, KEYS) is SealState.GOOD:
            found.add("seal")
        return frozenset(found)


def _decoded(value: str) -> str:
    unfolded = re.sub(r"\r?\n(?=[ \t])", "", value)
    with suppress(email.errors.HeaderParseError, LookupError, UnicodeError):
        return str(email.header.make_header(email.header.decode_header(unfolded)))
    return unfolded


def _eye(text: str) -> str:
    """Return letters and digits only, in lower case, without accents: as one reads in a hurry."""
    plain = unicodedata.normalize("NFKD", text.casefold()).replace("đ", "d")
    return "".join(each for each in plain if each.isalnum())


def _is_tag(subject: str) -> bool:
    """Return True if a subject begins with the words or has them in brackets; in a sentence they are a sender's own."""
    return _eye(subject).startswith("daxacthuc") or any(
        "daxacthuc" in _eye(each) for each in re.findall(r"\[[^\]]*", subject)
    )


@dataclass
class Field:
    """The gateway in its directory, and mailboxes of which each is used once."""

    gate: Gateway
    _used: Iterator[int] = dataclass_field(default_factory=lambda: itertools.count(1))

    def deliver(
        self,
        message: bytes,
        *,
        sender: str = AUTHOR,
        to: str | None = None,
        source: str = "127.0.0.1",
        timeout: float = 30.0,
    ) -> Delivered:
        """Send exactly these octets by SMTP (dots are doubled, no line end is mended) and take out what arrives."""
        recipient = Mailbox.parse(to or f"doc{next(self._used)}@{OURS}")
        port = self.gate.house.port("inbound")
        with smtplib.SMTP("127.0.0.1", port, "may-thu.example", timeout=timeout, source_address=(source, 0)) as client:
            client.ehlo()
            options = ["BODY=8BITMIME"] + ([] if sender.isascii() else ["SMTPUTF8"])
            for code, text in (client.mail(sender, options), client.rcpt(str(recipient))):
                if code != 250:
                    return Delivered(code, text.decode(errors="replace"), recipient, None)
            try:
                code, text = client.data(message)
            except smtplib.SMTPDataError as error:  # DATA itself was not taken
                code, text = error.smtp_code, error.smtp_error
        return Delivered(code, bytes(text).decode(errors="replace"), recipient, self.taken(recipient, code))

    def taken(self, recipient: Mailbox, code: int = 250) -> bytes | None:
        """Wait for the one letter in a mailbox and take it out; None if the message was not accepted."""
        if code != 250:
            return None
        new = place_of(self.gate.house.directory / "mail", recipient) / "new"
        wait_for(lambda: new.is_dir() and any(new.iterdir()), f"the letter to {recipient}")
        (file,) = new.iterdir()
        octets = file.read_bytes()
        file.unlink()
        return octets

    def honest(self, message: bytes, **how: Any) -> Delivered:
        """Deliver a message that has to be verified, in every mark that there is."""
        found = self.deliver(message, **how)
        assert found.verdict == "verified", (found.code, found.text, found.facts)
        assert found.greens == GREEN, found.fields
        return found

    def attack(self, good: bytes, forged: bytes, **how: Any) -> Delivered:
        """Deliver what has to be verified, then what was made of it: nothing of that may be green."""
        assert forged != good
        self.honest(good)
        return self.harmless(forged, **how)

    def harmless(self, forged: bytes, **how: Any) -> Delivered:
        """Deliver a message of which nothing may be green."""
        found = self.deliver(forged, **how)
        assert found.greens == frozenset(), (found.facts, found.fields)
        return found


@contextmanager
def ground(**settings: Any) -> Iterator[Field]:
    """Run the gateway on settings of its own (`settings` are sections of `gateway.yaml` that replace these)."""
    with short_directory("ga-") as directory:
        _secret(directory / "seal.key", SECRET)
        (directory / "agencies.yaml").write_text(json.dumps(AGENCIES), encoding="utf-8")
        (directory / "mail").mkdir()
        chosen = {
            "tags": {"authserv_id": HOSTNAME, "seals": [{"id": "k1", "key": f"file:{directory}/seal.key"}]},
            "agencies": "agencies.yaml",
            "trust": trusted(),
            **settings,
        }
        house = build_house(
            directory,
            hops=[{"name": "hop", "protocol": "maildir", "directory": "mail"}],
            local_domains=[{"domain": OURS, "hop": "hop", "recipients": "any"}],
            outbound=[{"domain": "*", "hop": "hop"}],
            **chosen,
        )
        lists = authority().revocation_lists([signer(REVOKED).certificate])
        (directory / "trust/intermediate.crl").write_bytes(lists[1])
        with gateway(house) as running:
            yield Field(running)


def trusted() -> dict[str, Any]:
    """Return the section `trust` that every certificate of an honest letter is good by; revocation is hard."""
    return {
        "anchors": ["trust/root.pem"],
        "intermediates": ["trust/intermediate.pem"],
        "crls": ["trust/root.crl", "trust/intermediate.crl"],
        "revocation": "hard",
    }


def _secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def minutes_ago(minutes: float) -> dt.datetime:
    """Return a moment of the recent past, aware, in whole seconds."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(minutes=minutes)

"""Who may be signed as whom: each check by itself, every combination of them, every table (domain.md R01, R25)."""

from __future__ import annotations

import itertools
from typing import Final

import pytest

from gateway.config.senders import Alias, Delegate, Reaction, SenderReactions, SenderSettings, Successor
from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.decision import IfUnable, KeyChoice, Sign
from gateway.core.envelope import Envelope, Recipient
from gateway.core.message import Message
from gateway.core.received import Arrival, Client, Standing, Submission, Submitter
from gateway.ports import KeyKind
from gateway.service.arrivals import open_arrival
from gateway.service.authorship import Authorship, Objection, Trouble, authorship_of, key_covers, signed_as
from gateway.service.senders import STRICT, Grant, Senders
from support.letters import BINH, LAN, NOW, binh, lan
from support.rooms import CredentialKey

OURS: Final = "soyte.songlam.example"
DIRECTOR: Final = f"giam-doc@{OURS}"
SECRETARY: Final = f"thu-ky@{OURS}"
REFUSE: Final = Reaction.REFUSE
HOLD: Final = Reaction.HOLD


def letter(*fields: str | bytes, content_type: str = "text/plain", body: bytes = b"Ngan.\r\n") -> bytes:
    """Return a message with these fields, each without its line end."""
    head = [each.encode() if isinstance(each, str) else each for each in (*fields, f"Content-Type: {content_type}")]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def check(
    message: bytes,
    *,
    authors: str = LAN,
    sender: str = LAN,
    senders: Senders = STRICT,
    standing: Standing = Standing.KNOWN,
) -> Authorship | Objection:
    """Return what comes of a message from a login that may send as `authors` (separated by blanks)."""
    path = Mailbox.parse(sender) if sender else NULL_PATH
    envelope = Envelope(path, (Recipient(Mailbox.parse("mai@congdan.example")),))
    arrival = Arrival("t1", NOW, Client("x", "127.0.0.1", "may", "ESMTPSA"), envelope, Message.of(message))
    submitter = Submitter("lan", frozenset(authors.split()), standing)
    return authorship_of(senders, Submission(arrival, submitter), open_arrival(Message.of(message)))


def code(*args: str, **given: object) -> str:
    """Return the code of the objection to a message with these fields, "" if there is none."""
    found = check(letter(*args), **given)  # type: ignore[arg-type]
    return found.code if isinstance(found, Objection) else ""


def allowed(found: Authorship | Objection) -> Authorship:
    assert isinstance(found, Authorship), found
    return found


def refused(found: Authorship | Objection) -> Objection:
    assert isinstance(found, Objection), found
    return found


def tables(**given: object) -> Senders:
    return Senders.of(SenderSettings(**given))  # type: ignore[arg-type]


# each check by itself


@pytest.mark.parametrize(
    ("fields", "sender", "wanted"),
    [
        ((f"From: {LAN}",), LAN, ""),
        ((f"From: Lan <{LAN}>", f"Sender: {LAN}", "Reply-To: ai@khac.example"), LAN, ""),
        ((f"From: {LAN}",), "", ""),
        ((f"From: {LAN.upper()}",), LAN.upper(), ""),
        ((f"From: {LAN}",), BINH, "reverse_path_not_allowed"),
        ((f"From: {BINH}",), LAN, "from_not_allowed"),
        ((f"From: {BINH}",), "", "from_not_allowed"),
        ((f"From: {LAN}", f"Sender: {BINH}"), LAN, "sender_not_allowed"),
        ((f"From: {LAN}", f"Resent-From: {BINH}"), LAN, "resent_not_allowed"),
        ((f"From: {LAN}", f"Resent-From: {LAN}", f"Resent-Sender: {BINH}"), LAN, "resent_not_allowed"),
        ((f"From: {LAN}", f"Resent-From: {LAN}", f"Resent-From: {BINH}"), LAN, "resent_not_allowed"),
        ((f"From: {LAN}", f"Resent-From: {LAN}", f"Resent-Sender: {LAN}"), LAN, ""),
        ((f"From: {LAN}", "Resent-From: x@@y"), LAN, "malformed_resent_from"),
        ((f"From: {LAN}", "Sender:"), LAN, "malformed_sender"),
        ((f"From: {LAN}", f"Sender : {LAN}"), LAN, "malformed_sender"),
        ((f"From: {LAN}", f"Sender: {LAN}, {LAN}"), LAN, "malformed_sender"),
        ((f"From: {LAN}", f"Sender: {LAN}", f"Sender: {LAN}"), LAN, "malformed_sender"),
        ((f"From: {LAN}", f"Sender: nhom: {LAN};"), LAN, "malformed_sender"),
        (("Subject: x",), LAN, "no_from"),
        ((f"From: {LAN}", f"From: {LAN}"), LAN, "several_from"),
        ((f"From: {LAN}", f"from: {BINH}"), LAN, "several_from"),
        ((f"From : {LAN}",), LAN, "malformed_from"),
        ((f"From: {LAN}, {BINH}",), LAN, "several_from_mailboxes"),
        ((f"From: nhom: {LAN};",), LAN, "malformed_from"),
        (("From: nhom:;",), LAN, "malformed_from"),
        (("From: ",), LAN, "no_from_mailbox"),
        ((f"From: <@{OURS}:{LAN}>",), LAN, "malformed_from"),
        ((f"From: {LAN}\0",), LAN, "malformed_from"),
        ((f"From: =?utf-8?q?{LAN.replace('@', '=40')}?=",), LAN, "malformed_from"),
    ],
)
def test_each_check_by_itself(fields: tuple[str, ...], sender: str, wanted: str) -> None:
    """Reverse-path, From, Sender and resent fields must each be the login's; Reply-To need not be."""
    assert code(*fields, sender=sender) == wanted


@pytest.mark.parametrize(
    ("author", "listed", "wanted"),
    [
        ("lan@sởytế.example", "lan@xn--syt-9jz5g.example", True),
        ("LAN@XN--SYT-9JZ5G.example", "lan@sởytế.example", True),
        ('"lan"@x.example', "lan@x.example", True),
        ("lan@x.example", "@x.example", True),
        ("lan@a.x.example", "@x.example", False),
        ("lan@x.example.", "lan@x.example", False),
        ("lan@xx.example", "@x.example", False),
        ("l\u0430n@x.example", "lan@x.example", False),
        ("lan@\u0445.example", "lan@x.example", False),
        ("la\u0301n@x.example", "l\u00e1n@x.example", False),
        ("lan@stra\u00dfe.example", "lan@strasse.example", False),
    ],
)
def test_addresses_are_compared_as_mail_systems_do(author: str, listed: str, wanted: bool) -> None:  # noqa: FBT001
    """ASCII case and IDN forms are one address; look-alikes, subdomains and other compositions are not."""
    listed_key = listed if listed.startswith("@") else Mailbox.parse(listed).key
    try:
        sender = str(Mailbox.parse(author))
    except ValueError:
        sender = ""
    found = check(letter(f"From: {author}"), authors=listed_key, sender=sender)
    assert isinstance(found, Authorship) is wanted


@pytest.mark.parametrize(
    "author",
    [f"=?utf-8?q?giam-doc?=@{OURS}", f'"=?utf-8?q?giam-doc?="@{OURS}', f"<=?utf-8?B?Z2lhbS1kb2M=?=@{OURS}>"],
)
def test_an_encoded_word_is_no_part_of_an_address(author: str) -> None:
    """Some readers decode it and show another mailbox, so even a whole domain on the list does not stand for it."""
    assert code(f"From: {author}", authors=f"{LAN} @{OURS}") == "malformed_from"
    assert code(f"From: {LAN}", f"Sender: {author}", authors=f"{LAN} @{OURS}") == "sender_not_allowed"


@pytest.mark.parametrize(
    "name",
    [
        f'"{BINH}"',
        f'"Binh {BINH}"',
        f"=?utf-8?q?{BINH.replace('@', '=40')}?=",
        f"=?utf-8?q?Binh_=28{BINH.replace('@', '=EF=BC=A0')}=29?=",
        f"=?utf-8?q?{BINH.replace('tran', 'tr=E2=80=8Ban').replace('@', '=40')}?=",
        f"\"'{BINH}'\"",
        f"({BINH})",
        f'"{BINH},"',
    ],
)
def test_a_name_may_not_show_another_address(name: str) -> None:
    """Telephones show the name only: an address in it, or in a comment, counts as one that is claimed."""
    assert code(f"From: {name} <{LAN}>") == "shown_address_not_allowed"
    assert code(f"From: {name} <{LAN}>", authors=f"{LAN} {BINH}") == ""


@pytest.mark.parametrize(
    "name",
    [
        f'"{LAN}"',
        f"\"'{LAN}'\"",
        '"Lan @ Sở Y tế"',
        '"hoang.lan@soyte"',
        '"A@B"',
        f"({LAN})",
        "=?utf-8?q?Ho=C3=A0ng_Lan?=",
    ],
)
def test_names_of_everyday_life_pass(name: str) -> None:
    """One's own address, in the quotes that Outlook adds too, and an at sign that is no address."""
    assert code(f"From: {name} <{LAN}>") == ""


@pytest.mark.parametrize(
    "name", [f'"@{BINH}"', f'"{LAN}@{BINH}"', f'"{LAN}/{BINH}"', f'"{BINH}|x"', f'"mailto:{BINH}"']
)
def test_an_address_does_not_hide_in_a_longer_word(name: str) -> None:
    """A second at sign, or what stands before and behind, does not make it invisible."""
    assert code(f"From: {name} <{LAN}>") == "shown_address_not_allowed"


def test_a_flood_of_addresses_in_a_name_ends_early() -> None:
    """How long a check takes is not for the sender to say."""
    assert code(f'From: "{" ".join([LAN] * 30)}" <{LAN}>') == "shown_address_not_allowed"
    assert code(f'From: "{"x" * 500}@y.example" <{LAN}>') == "shown_address_not_allowed"


def test_where_replies_go_is_only_told() -> None:
    """Reply-To outside is allowed: it is said in the event, for policies of those who care."""
    assert not allowed(check(letter(f"From: {LAN}", f"Reply-To: {LAN}"))).replies_elsewhere
    for field in (f"Reply-To: {BINH}", f"Reply-To: {LAN}, {BINH}", "Reply-To: @@", f"Reply-To: nhom: {BINH};"):
        found = allowed(check(letter(f"From: {LAN}", field)))
        assert found.replies_elsewhere
        assert found.facts()["replies_elsewhere"] is True


# reactions


FAULTS: Final = {
    "reverse_path": Trouble.NOT_ALLOWED,
    "from": Trouble.NOT_ALLOWED,
    "sender": Trouble.MALFORMED,
    "resent": Trouble.NOT_ALLOWED,
    "inside": Trouble.MALFORMED,
}


def with_faults(faults: frozenset[str]) -> tuple[bytes, str]:
    """Return a message that has exactly these faults, and its reverse-path."""
    fields = [f"From: {BINH if 'from' in faults else LAN}"]
    fields += ["Sender: @@"] if "sender" in faults else []
    fields += [f"Resent-From: {BINH}"] if "resent" in faults else []
    kind = 'message/partial; number=1; total=2; id="x"' if "inside" in faults else "text/plain"
    return letter(*fields, content_type=kind), BINH if "reverse_path" in faults else LAN


@pytest.mark.parametrize(("not_allowed", "malformed"), list(itertools.product(Reaction, repeat=2)))
def test_every_combination_of_faults_gets_the_strictest_reaction(not_allowed: Reaction, malformed: Reaction) -> None:
    """Refusing goes before holding, whatever else is wrong; among equals the first check speaks."""
    senders = Senders(SenderReactions(not_allowed=not_allowed, malformed=malformed))
    reaction = {Trouble.NOT_ALLOWED: not_allowed, Trouble.MALFORMED: malformed}
    for count in range(len(FAULTS) + 1):
        for faults in map(frozenset, itertools.combinations(FAULTS, count)):
            message, sender = with_faults(faults)
            found = check(message, sender=sender, senders=senders)
            troubles = [trouble for fault, trouble in FAULTS.items() if fault in faults]
            if not troubles:
                assert isinstance(found, Authorship)
                continue
            refusing = [each for each in troubles if reaction[each] is REFUSE]
            assert refused(found).trouble is (refusing or troubles)[0], faults
            assert refused(found).reaction is (REFUSE if refusing else HOLD), faults


@pytest.mark.parametrize("reaction", Reaction)
@pytest.mark.parametrize(
    ("standing", "trouble", "reply"),
    [
        (Standing.UNLISTED, Trouble.UNAUTHENTICATED, "550 5.7.1"),
        (Standing.RIGHTS_UNKNOWN, Trouble.LOOKUP_ERROR, "451 4.3.0"),
    ],
)
def test_a_submitter_without_known_rights_is_never_an_author(
    standing: Standing, trouble: Trouble, reply: str, reaction: Reaction
) -> None:
    """Nothing else is looked at, whatever lists say; what cannot be looked up is never refused for good."""
    senders = Senders(SenderReactions(**{trouble.value: reaction}))
    found = refused(check(letter("From: @@"), standing=standing, senders=senders))
    assert (found.trouble, found.reaction) == (trouble, reaction)
    assert str(found.reply).startswith(reply)
    assert found.reason.startswith(f"sender_{trouble} ")
    assert found.facts()["allowed"] is False


def test_nothing_is_let_through_by_a_reaction() -> None:
    """There are two reactions, both keep the message from going on, and refusing is the default of all four."""
    assert set(Reaction) == {REFUSE, HOLD}
    assert set(SenderReactions().model_dump()) == {each.value for each in Trouble}
    assert set(SenderReactions().model_dump().values()) == {REFUSE}


@pytest.mark.parametrize("fields", [(f"From: {BINH}",), ("From: @@",), (f"From: {LAN}", f"Sender: {BINH}")])
def test_refusals_are_in_both_languages(fields: tuple[str, ...]) -> None:
    """The sender reads why, in Vietnamese first."""
    reply = refused(check(letter(*fields))).reply
    vietnamese, _, english = reply.text.partition(" / ")
    assert not vietnamese.isascii()
    assert english


# what is inside


OUTER: Final = (f"From: Lan <{LAN}>", "Subject: =?utf-8?q?K=E1=BA=BFt_qu=E1=BA=A3?=")
INNER: Final = f"From: Lan <{LAN}>\r\nSubject: Kết quả\r\n\r\nNgan.\r\n"
WRAPPED: Final = {
    "equal": (INNER, ""),
    "encoded otherwise": (INNER.replace("Kết quả", "=?utf-8?B?S+G6v3QgcXXhuqM=?="), ""),
    "From": (INNER.replace(LAN, BINH), "inner_from_differs"),
    "display name": (INNER.replace("Lan", "Giám đốc"), "inner_from_differs"),
    "two From": (f"From: {BINH}\r\n{INNER}", "inner_from_differs"),
    "no From": (INNER.partition("\r\n")[2], "inner_from_differs"),
    "Sender": (f"Sender: {BINH}\r\n{INNER}", "inner_sender_differs"),
    "Reply-To": (f"Reply-To: {BINH}\r\n{INNER}", "inner_reply_to_differs"),
    "Subject": (INNER.replace("quả", "khác"), "inner_subject_differs"),
    "no header": ("\r\nNgan.\r\n", "inner_from_differs"),
    "odd line": (f"x\r\n{INNER}", "inner_unreadable"),
}


@pytest.mark.parametrize("parameters", ["", "; forwarded=no", "; forwarded=yes", "; hp=clear"])
@pytest.mark.parametrize("name", WRAPPED)
def test_a_message_at_the_top_says_what_the_outer_one_says(name: str, parameters: str) -> None:
    """Readers show it in place of the outer header, under our signature, whatever its parameters say (RFC 8551 3.1)."""
    inner, wanted = WRAPPED[name]
    found = check(letter(*OUTER, content_type=f"message/rfc822{parameters}", body=inner.encode()))
    assert (found.code if isinstance(found, Objection) else "") == wanted


@pytest.mark.parametrize(
    "kind",
    [
        "message/rfc822\r\nContent-Transfer-Encoding: base64",
        "message/global\r\nContent-Transfer-Encoding: quoted-printable",
        "message/news",
        "message/partial; number=1; total=2; id=x",
    ],
)
def test_a_message_at_the_top_that_we_do_not_read_is_malformed(kind: str) -> None:
    """Some reader does: an encoding, a fragment or another type must not hide what is shown."""
    found = refused(check(letter(*OUTER, content_type=kind, body=INNER.encode())))
    assert (found.code, found.trouble) == ("inner_unreadable", Trouble.MALFORMED)


def test_messages_within_messages() -> None:
    """Each layer at the top speaks for the whole; two deep is as deep as one."""
    inner = f"From: Lan <{LAN}>\r\nSubject: Kết quả\r\nContent-Type: message/rfc822\r\n\r\n"
    deep = (inner * 5 + INNER).encode()
    assert isinstance(check(letter(*OUTER, content_type="message/rfc822", body=deep)), Authorship)
    forged = (inner * 5 + INNER.replace(LAN, BINH)).encode()
    assert refused(check(letter(*OUTER, content_type="message/rfc822", body=forged))).code == "inner_from_differs"


def mixed(*parts: str) -> bytes:
    return "".join(f"--b\r\n{each}\r\n" for each in parts).encode() + b"--b--\r\n"


@pytest.mark.parametrize("mark", ["hp=clear", "hp=cipher", 'protected-headers="v1"'])
@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        (f"From: Lan <{LAN}>", ""),
        (f"From: <{BINH}>", "inner_from_differs"),
        ("Subject: Kết quả", ""),
        ("Subject: khác", "inner_subject_differs"),
        (f"Reply-To: {BINH}", "inner_reply_to_differs"),
        ("Message-ID: <x@y>", ""),
    ],
)
def test_protected_fields_inside_say_what_the_outer_ones_say(mark: str, field: str, wanted: str) -> None:
    """A part marked as bearing protected fields may leave some out, and contradict none (RFC 9788)."""
    part = f"Content-Type: text/plain; {mark}\r\n{field}\r\n\r\nNgan."
    for kind in ("multipart/mixed", 'multipart/signed; protocol="application/pgp-signature"'):
        found = check(letter(*OUTER, content_type=f"{kind}; boundary=b", body=mixed(part, "\r\nx")))
        assert (found.code if isinstance(found, Objection) else "") == wanted, kind


DISPUTED: Final = {
    "the last type counts": "text/plain\r\nContent-Type: message/rfc822",
    "the first type counts": "message/rfc822\r\nContent-Type: text/plain",
    "a type with more": "message/rfc822/x",
    "a type in a comment's shadow": "(x) message/rfc822",
    "capital letters": "MESSAGE/RFC822",
    "compressed": "application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z",
}


@pytest.mark.parametrize("name", DISPUTED)
def test_a_type_that_readers_may_dispute_hides_nothing(name: str) -> None:
    """Duplicate, malformed or oddly written types, and what has to be unpacked first."""
    found = refused(check(letter(*OUTER, content_type=DISPUTED[name], body=INNER.replace(LAN, BINH).encode())))
    assert found.code in {"structure_disputed", "inner_unreadable", "inner_from_differs"}


@pytest.mark.parametrize("kind", ["mixed", "alternative", "related", "parallel"])
@pytest.mark.parametrize("beside", [False, True])
def test_a_message_that_is_shown_alone_is_at_the_top(kind: str, beside: bool) -> None:  # noqa: FBT001
    """The only part, or one of which readers show one only, is what is shown."""
    forged = f"Content-Type: message/rfc822\r\n\r\n{INNER.replace(LAN, BINH)}"
    body = mixed("\r\nXem thu.", forged) if beside else mixed(forged)
    found = check(letter(*OUTER, content_type=f"multipart/{kind}; boundary=b", body=body))
    attached = beside and kind in {"mixed", "parallel"}
    assert (found.code if isinstance(found, Objection) else "") == ("" if attached else "inner_from_differs")


STRUCTURES: Final = {
    "two boundaries": "multipart/mixed; boundary=a; boundary=b",
    "two spellings of a boundary": "multipart/mixed; boundary=a; boundary*=us-ascii''b",
    "no boundary": "multipart/mixed",
    "a long boundary": f"multipart/mixed; boundary={'b' * 80}",
    "another boundary": "multipart/mixed; boundary=c",
    "base64": "multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64",
    "a malformed type": "(x) multipart/mixed; boundary=b",
    "two encodings": "message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64",
}


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("deep", [False, True])
def test_a_structure_that_readers_may_dispute_is_malformed(name: str, deep: bool) -> None:  # noqa: FBT001
    """What another parser finds in it could be a message at the top: it is not signed, wherever it is shown."""
    kind, body = STRUCTURES[name], mixed(f"Content-Type: message/rfc822\r\n\r\n{INNER.replace(LAN, BINH)}")
    if deep:
        part = f"Content-Type: {kind}\r\n\r\n{body.decode()}".replace("--b", "--bb").replace(
            "boundary=b", "boundary=bb"
        )
        kind, body = "multipart/mixed; boundary=b", mixed("\r\nXem thu.", part)
    found = check(letter(*OUTER, content_type=kind, body=body))
    attached = deep and kind.startswith("multipart") and name == "two encodings"
    assert (found.code if isinstance(found, Objection) else "") == ("" if attached else "structure_disputed")


def test_how_much_is_compared_is_bounded() -> None:
    """Hundreds of parts that repeat a long subject would keep the gateway from everything else."""
    subject = "=?utf-8?q?" + "=41" * 20 + "?= "
    part = f"Content-Type: text/plain; hp=clear\r\nSubject: {subject * 100}\r\n\r\nx"
    fields = (f"From: {LAN}", f"Subject: {subject * 100}")
    few = check(letter(*fields, content_type="multipart/mixed; boundary=b", body=mixed(*[part] * 5)))
    assert isinstance(few, Authorship)
    many = check(letter(*fields, content_type="multipart/mixed; boundary=b", body=mixed(*[part] * 50)))
    assert refused(many).code == "inner_unreadable"


def test_old_software_may_write_a_bare_type() -> None:
    """`Content-Type: text` of old programs is malformed and harmless."""
    assert isinstance(check(letter(*OUTER, content_type="text")), Authorship)


def test_attached_messages_are_nobodys_business() -> None:
    """Forwarding as an attachment beside a text is everyday life, protected fields in it included."""
    attached = f"Content-Type: message/rfc822\r\n\r\nFrom: {BINH}\r\nContent-Type: text/plain; hp=clear\r\n\r\nx"
    body = mixed("\r\nXem thu.", attached)
    assert isinstance(check(letter(*OUTER, content_type="multipart/mixed; boundary=b", body=body)), Authorship)


def test_what_somebody_signed_around_a_message_is_looked_into() -> None:
    """A clear signature of anybody's around a forged message is still shown as that message."""
    part = f"Content-Type: message/rfc822\r\n\r\n{INNER.replace(LAN, BINH)}"
    kind = 'multipart/signed; protocol="application/pkcs7-signature"; boundary=b'
    found = refused(check(letter(*OUTER, content_type=kind, body=mixed(part, "\r\nx"))))
    assert found.code == "inner_from_differs"


# tables


@pytest.mark.parametrize(
    ("author", "plus", "wanted"),
    [
        (f"lan+x@{OURS}", True, Grant.PLUS),
        (f"lan+x+y@{OURS}", True, Grant.PLUS),
        (f"LAN+@{OURS}", True, Grant.PLUS),
        (f"lan+x@{OURS}", False, None),
        (f"+lan@{OURS}", True, None),
        (f"binh+x@{OURS}", True, None),
        (f"lan+x@khac.{OURS}", True, None),
        (f'"lan+ x"@{OURS}', True, None),
    ],
)
def test_plus_addresses(author: str, plus: bool, wanted: Grant | None) -> None:  # noqa: FBT001
    """lan+x@ counts as lan@ where that is switched on, and never the other way round."""
    senders = tables(plus_addresses=plus)
    lan_only = Submitter("lan", frozenset({f"lan@{OURS}"}))
    assert senders.right(lan_only, Mailbox.parse(author)) is wanted
    tagged = Submitter("lan", frozenset({f"lan+x@{OURS}"}))
    assert senders.right(tagged, Mailbox.parse(f"lan@{OURS}")) is None


def test_aliases() -> None:
    """Whoever has the mailbox has its alias; having the alias gives nothing."""
    senders = tables(aliases=(Alias(address=DIRECTOR, stands_for=LAN),), plus_addresses=True)
    found = allowed(check(letter(f"From: {DIRECTOR}"), senders=senders, sender=DIRECTOR))
    assert (found.by, found.held_by) == (Grant.ALIAS, frozenset({LAN}))
    assert code(f"From: {LAN}", authors=DIRECTOR, sender=DIRECTOR, senders=senders) == "from_not_allowed"
    assert code(f"From: {DIRECTOR}", authors=BINH, sender=BINH, senders=senders) == "from_not_allowed"
    plus = f"giam-doc+hop@{OURS}"
    assert allowed(check(letter(f"From: {plus}"), senders=senders, sender=plus)).by is Grant.PLUS


@pytest.mark.parametrize(
    ("listed", "author", "way", "wanted"),
    [
        ("lan@moi.example", "lan@cu.example", "old", Grant.SUCCESSOR),
        ("lan@moi.example", "LAN@Cu.example", "old", Grant.SUCCESSOR),
        ("lan@cu.example", "lan@moi.example", "old", None),
        ("lan@cu.example", "lan@moi.example", "both", Grant.SUCCESSOR),
        ("lan@moi.example", "lan@cu.example", "both", Grant.SUCCESSOR),
        ("lan@moi.example", "binh@cu.example", "both", None),
        ("lan@moi.example", "lan@a.cu.example", "both", None),
        ("so@moi.example", "so@cu.example", "both", None),
        ("so@cu.example", "so@moi.example", "both", None),
        ("@moi.example", "lan@cu.example", "both", None),
        ("lan@cu2.example", "lan@cu.example", "both", None),
    ],
)
def test_successor_domains(listed: str, author: str, way: str, wanted: Grant | None) -> None:
    """Whoever is x@new may send as x@old, back only where said; never by a whole domain, nor for names that collide."""
    senders = tables(
        successors=(
            Successor(old="cu.example", new="moi.example", may_send_as=way, not_for=("so@cu.example",)),  # type: ignore[arg-type]
            Successor(old="cu2.example", new="moi.example", may_send_as=way),  # type: ignore[arg-type]
        )
    )
    assert senders.right(Submitter("x", frozenset({listed})), Mailbox.parse(author)) is wanted


def test_a_shared_mailbox_belongs_to_every_login_that_lists_it() -> None:
    """A functional mailbox is on several lines; each login sends as it, and as nobody else of the others."""
    office = f"van-thu@{OURS}"
    for own, other in ((LAN, BINH), (BINH, LAN)):
        assert code(f"From: {office}", authors=f"{own} {office}", sender=office) == ""
        assert code(f"From: {other}", authors=f"{own} {office}", sender=office) == "from_not_allowed"


# delegates


def delegation(*, personal_key: bool) -> Senders:
    return tables(delegates=(Delegate(author=DIRECTOR, delegate=SECRETARY, personal_key=personal_key),))


@pytest.mark.parametrize(
    ("author", "sender_field", "authors", "personal_key", "wanted"),
    [
        (DIRECTOR, SECRETARY, SECRETARY, False, (Grant.DELEGATE, False)),
        (DIRECTOR, SECRETARY, SECRETARY, True, (Grant.DELEGATE, True)),
        (DIRECTOR, SECRETARY, f"{SECRETARY} {DIRECTOR}", False, (Grant.LISTED, True)),
        (DIRECTOR, None, f"{SECRETARY} {DIRECTOR}", False, (Grant.LISTED, True)),
        (DIRECTOR, None, SECRETARY, True, "delegate_without_sender"),
        (DIRECTOR, BINH, SECRETARY, True, "delegate_without_sender"),
        (DIRECTOR, BINH, f"{SECRETARY} {BINH}", True, "delegate_without_sender"),
        (DIRECTOR, SECRETARY, BINH, True, "from_not_allowed"),
        (DIRECTOR, BINH, BINH, True, "from_not_allowed"),
        (SECRETARY, DIRECTOR, SECRETARY, True, "sender_not_allowed"),
        (SECRETARY, DIRECTOR, DIRECTOR, True, "from_not_allowed"),
        (LAN, SECRETARY, SECRETARY, True, "from_not_allowed"),
    ],
)
def test_delegates(
    author: str,
    sender_field: str | None,
    authors: str,
    personal_key: bool,  # noqa: FBT001
    wanted: tuple[Grant, bool] | str,
) -> None:
    """From the director, Sender the secretary: by the table, only with that Sender, and signed as the table says."""
    fields = [f"From: {author}", *([f"Sender: {sender_field}"] if sender_field is not None else [])]
    own = authors.split(maxsplit=1)[0]
    found = check(letter(*fields), authors=authors, sender=own, senders=delegation(personal_key=personal_key))
    outcome = (found.by, found.personal_key) if isinstance(found, Authorship) else found.code
    assert outcome == wanted


def test_a_delegate_may_use_the_authors_reverse_path() -> None:
    """Some clients send with the author's reverse-path: then notices go to the author. A stranger's stays refused."""
    senders = delegation(personal_key=False)
    fields = (f"From: {DIRECTOR}", f"Sender: {SECRETARY}")
    assert code(*fields, authors=SECRETARY, sender=DIRECTOR, senders=senders) == ""
    assert code(*fields, authors=SECRETARY, sender=LAN, senders=senders) == "reverse_path_not_allowed"


def test_a_delegate_is_never_known_by_a_whole_domain() -> None:
    """A program that may send as everybody of another domain is not therefore anybody's secretary."""
    senders = tables(delegates=(Delegate(author=BINH, delegate=SECRETARY, personal_key=True),))
    fields = (f"From: {BINH}", f"Sender: {SECRETARY}")
    assert code(*fields, authors=f"@{OURS}", sender=SECRETARY, senders=senders) == "from_not_allowed"


def test_what_a_delegate_must_write_is_told() -> None:
    """A refusal that can be mended by the sender says how."""
    found = refused(
        check(letter(f"From: {DIRECTOR}"), authors=SECRETARY, sender=SECRETARY, senders=delegation(personal_key=True))
    )
    assert f"Sender must name {SECRETARY}" in found.reply.text


# keys


def sign(*, for_other_addresses: bool) -> Sign:
    return Sign(KeyChoice.PERSONAL_ELSE_ORGANIZATION, IfUnable.REFUSE, for_other_addresses=for_other_addresses)


def authorship(author: str, *held_by: str, by: Grant = Grant.LISTED, personal_key: bool = True) -> Authorship:
    return Authorship(Mailbox.parse(author), by, frozenset(held_by), personal_key, None, replies_elsewhere=False)


PERSONAL: Final = KeyKind.PERSONAL
ORGANIZATION: Final = KeyKind.ORGANIZATION


@pytest.mark.parametrize(
    ("kind", "author", "held_by", "by", "others", "wanted"),
    [
        (PERSONAL, LAN, (), Grant.LISTED, False, None),
        (PERSONAL, LAN.upper(), (), Grant.LISTED, False, None),
        (PERSONAL, LAN, (), Grant.DELEGATE, False, "personal_key_not_for_delegate"),
        (PERSONAL, LAN, (), Grant.DELEGATE, True, "personal_key_not_for_delegate"),
        (PERSONAL, LAN, (), Grant.DOMAIN, False, "personal_key_not_for_domain"),
        (PERSONAL, LAN, (), Grant.DOMAIN, True, "personal_key_not_for_domain"),
        (PERSONAL, BINH, (), Grant.LISTED, False, "key_not_for_author"),
        (PERSONAL, BINH, (), Grant.LISTED, True, "personal_key_of_another"),
        (PERSONAL, BINH, (LAN,), Grant.ALIAS, False, "key_not_for_author"),
        (PERSONAL, BINH, (LAN,), Grant.ALIAS, True, None),
        (PERSONAL, BINH, (LAN,), Grant.DELEGATE, True, "personal_key_not_for_delegate"),
        (ORGANIZATION, LAN, (), Grant.LISTED, False, None),
        (ORGANIZATION, LAN, (), Grant.DELEGATE, False, None),
        (ORGANIZATION, LAN, (), Grant.DOMAIN, False, None),
        (ORGANIZATION, BINH, (), Grant.LISTED, False, "key_not_for_author"),
        (ORGANIZATION, BINH, (LAN,), Grant.ALIAS, False, "key_not_for_author"),
        (ORGANIZATION, BINH, (), Grant.LISTED, True, None),
        (ORGANIZATION, BINH, (), Grant.DELEGATE, True, None),
    ],
)
def test_whom_a_key_covers(
    kind: KeyKind,
    author: str,
    held_by: tuple[str, ...],
    by: Grant,
    others: bool,  # noqa: FBT001
    wanted: str | None,
) -> None:
    """Only whom the certificate names, unless the rule says otherwise; a person's key never for another person."""
    key = CredentialKey(lan(), kind=kind)
    standing = authorship(author, *held_by, by=by, personal_key=by not in {Grant.DELEGATE, Grant.DOMAIN})
    assert key_covers(key, standing, sign(for_other_addresses=others)) == wanted


def test_a_delegate_who_may_sign_as_the_author_has_the_authors_key() -> None:
    """That is what `personal_key: true` says; nothing else of the author's comes with it."""
    standing = authorship(LAN, by=Grant.DELEGATE)
    assert key_covers(CredentialKey(lan()), standing, sign(for_other_addresses=False)) is None
    assert key_covers(CredentialKey(binh()), standing, sign(for_other_addresses=True)) == "personal_key_of_another"


@pytest.mark.parametrize(
    ("authors", "personal_key"),
    [(LAN, True), (f"@{OURS}", False), (f"@{OURS} {LAN}", True), (f"@{OURS} hoang.lan@soyte.songlam.example", True)],
)
def test_a_whole_domain_lends_nobodys_personal_key(authors: str, personal_key: bool) -> None:  # noqa: FBT001
    """A program may be let send as everybody; a person is signed for by those who have the address by name."""
    assert allowed(check(letter(f"From: {LAN}"), authors=authors)).personal_key is personal_key


def test_another_holder_of_a_name_lends_no_key() -> None:
    """Two old domains both had a lan: the one who is lan@new by the first is not signed for by the second's key."""
    senders = tables(
        successors=(
            Successor(old="cu.example", new="moi.example", may_send_as="both"),
            Successor(old="cu2.example", new="moi.example", may_send_as="both"),
        )
    )
    found = check(letter("From: lan@moi.example"), authors="lan@cu2.example", sender="lan@cu2.example", senders=senders)
    assert allowed(found).held_by == {"lan@cu2.example"}


def test_keys_are_looked_for_by_the_author_alone_unless_a_rule_says_otherwise() -> None:
    """Then by the other addresses of the same holder, the author's own first."""
    standing = authorship(f"lan+x@{OURS}", LAN, BINH)
    assert signed_as(standing, sign(for_other_addresses=False)) == (standing.author,)
    assert [str(each) for each in signed_as(standing, sign(for_other_addresses=True))] == [f"lan+x@{OURS}", LAN, BINH]
    assert key_covers(CredentialKey(binh()), standing, sign(for_other_addresses=True)) is None

"""Who may be signed as whom: login, reverse-path and every field that says who speaks (RFC 6409 6.1, RFC 5322 3.6).

Each is checked by itself, and the strictest reaction to what was found stands. Nothing is signed, nor sent, for a
submitter who does not own the From mailbox; a reaction never signs. Kept mail is checked again when it is released.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gateway.config.senders import Reaction
from gateway.core.address import Mailbox
from gateway.core.received import Standing
from gateway.core.remembered import remembered
from gateway.core.reply import Reply
from gateway.core.unicode import normalized
from gateway.mime.fields import AuthorDefect, author_of, decode_text
from gateway.mime.mailboxes import AddressError, mailbox_list
from gateway.ports import KeyKind
from gateway.service.senders import Grant
from gateway.smime.classify import Form
from gateway.smime.headers import inner_difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.core.decision import Sign
    from gateway.core.events import Fact
    from gateway.core.received import Submission, Submitter
    from gateway.mime.fields import Field, Header
    from gateway.ports import SigningKey
    from gateway.service.arrivals import Opened
    from gateway.service.senders import Senders

_BETWEEN: Final = re.compile(r"[\s<>()\[\]\"\u201c\u201d,;:]+")
_SHOWN_ADDRESS: Final = re.compile(r"[^@]+@[\w.-]+\.\w{2,63}")
"""What a reader takes for an address, wherever it stands in a From field."""
_QUOTES: Final = "'`\u2018\u2019\u00ab\u00bb\u2039\u203a"
_MAX_SHOWN: Final = 20
_MAX_ADDRESS: Final = 330
"""Characters that an address has at most: 64, the at sign, 255, and some quotes."""
_ENCODED_WORD: Final = "=?"
"""In a local part some readers decode it, and show another address than the one that was checked."""


class Trouble(StrEnum):
    """What a check can find; each has its own reaction in the section `senders`."""

    UNAUTHENTICATED = "unauthenticated"
    NOT_ALLOWED = "not_allowed"
    MALFORMED = "malformed"
    LOOKUP_ERROR = "lookup_error"


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a submission may not go on, and what to do with it: refuse it, or keep it raw."""

    trouble: Trouble
    code: str
    """Stable."""
    reply: Reply
    """The refusal."""
    reaction: Reaction

    @property
    def reason(self) -> str:
        """Why it is kept, for an administrator: stable code, blank, words."""
        return f"sender_{self.trouble} {self.code}: {self.reply.text}"

    def facts(self) -> dict[str, Fact]:
        """Return what an event says of it."""
        return {"allowed": False, "trouble": self.trouble, "reason": self.code, "reaction": self.reaction}


@dataclass(frozen=True, slots=True)
class Authorship:
    """Every check passed: the author, and whose keys may sign for it."""

    author: Mailbox
    """The single mailbox of the single From field."""
    by: Grant
    held_by: frozenset[str]
    """`Mailbox.key`s of other mailboxes, which the submitter has by name, whose holder holds the author's."""
    personal_key: bool
    """A personal key may sign: the submitter has the author by name, or is a delegate who may sign as the author."""
    sender: Mailbox | None
    replies_elsewhere: bool
    """Reply-To names a mailbox that is not the submitter's, or cannot be read."""

    def facts(self) -> dict[str, Fact]:
        """Return what an event says of it."""
        return {
            "allowed": True,
            "author": str(self.author),
            "by": str(self.by),
            "sender": str(self.sender) if self.sender is not None else None,
            "personal_key": self.personal_key,
            "replies_elsewhere": self.replies_elsewhere,
        }


def authorship_of(senders: Senders, submission: Submission, opened: Opened) -> Authorship | Objection:
    """Return the author that may be signed for, or the objection with the strictest reaction, first found first."""
    check = _Check(senders, submission, opened)
    objections = check.objections()
    if not objections:
        return check.passed()
    return next((each for each in objections if each.reaction is Reaction.REFUSE), objections[0])


def objection(senders: Senders, trouble: Trouble, code: str, reply: Reply) -> Objection:
    """Return an objection with the reaction that is set for its kind of trouble."""
    return Objection(trouble, code, reply, getattr(senders.reactions, trouble))


def key_covers(key: SigningKey, authorship: Authorship, decision: Sign) -> str | None:
    """Return the stable code of why the key may not sign for the author under this decision, None if it may.

    Readers compare the From address with those in the certificate, exactly: a key that does not name it signs only
    where the rule says `for_other_addresses`. Then an organization's key may; a personal one still only for another
    address of its holder. A person's key never signs for a submitter who has the author's address by its domain alone,
    nor for a delegate unless the table says so.
    """
    if key.kind is KeyKind.PERSONAL and not authorship.personal_key:
        return f"personal_key_not_for_{authorship.by}"
    if authorship.author.key in key.addresses:
        return None
    if not decision.for_other_addresses:
        return "key_not_for_author"
    if key.kind is KeyKind.ORGANIZATION or key.addresses & authorship.held_by:
        return None
    return "personal_key_of_another"


def key_refusal(code: str, author: Mailbox) -> tuple[str, str] | None:
    """Return in Vietnamese and English why no personal key may sign, None for a code that is not about that."""
    if code == f"personal_key_not_for_{Grant.DELEGATE}":
        return f"người gửi thay không được dùng khóa của {author}", f"a delegate may not use the key of {author}"
    if code == f"personal_key_not_for_{Grant.DOMAIN}":
        vietnamese = f"khóa cá nhân của {author} chỉ dùng được nếu địa chỉ được ghi đích danh cho tài khoản"
        return vietnamese, f"the personal key of {author} needs a login that has the address by name"
    return None


def signed_as(authorship: Authorship, decision: Sign) -> tuple[Mailbox, ...]:
    """Return the mailboxes by which a key is looked for: the author's, then its holder's others where allowed."""
    if not decision.for_other_addresses:
        return (authorship.author,)
    return (authorship.author, *(Mailbox.parse(each) for each in sorted(authorship.held_by)))


class _Check:
    """One submission under check; each method is one of the checks."""

    def __init__(self, senders: Senders, submission: Submission, opened: Opened) -> None:
        self._senders = senders
        self._submitter: Submitter = submission.submitter
        self._reverse_path = submission.arrival.envelope.reverse_path
        self._opened = opened
        self._header: Header = opened.header
        self._objections: list[Objection] = []
        found = author_of(self._header)
        if isinstance(found, Mailbox) and _ENCODED_WORD in found.local:
            found = AuthorDefect.MALFORMED
        self._author = found
        self._right = senders.right(self._submitter, found) if isinstance(found, Mailbox) else None
        self._sender = self._read_sender()
        self._delegated = (
            isinstance(found, Mailbox)
            and isinstance(self._sender, Mailbox)
            and self._right is None
            and self._sender.key in self._submitter.authors
            and (found.key, self._sender.key) in senders.delegates
        )

    def objections(self) -> list[Objection]:
        """Return what each check objects to."""
        standing = self._submitter.standing
        if standing is not Standing.KNOWN:  # without rights all else would be "not allowed", and hide the cause
            return [unlisted_host(self._senders) if standing is Standing.UNLISTED else rights_unknown(self._senders)]
        self._check_reverse_path()
        self._check_author()
        self._check_sender()
        self._check_resent()
        self._check_inside()
        return self._objections

    def passed(self) -> Authorship:
        """Return the authorship of a submission without objections."""
        assert isinstance(self._author, Mailbox)  # noqa: S101 - otherwise there is an objection
        right = self._right
        sender = self._sender if isinstance(self._sender, Mailbox) else None
        personal = right is not Grant.DOMAIN
        if right is None:
            personal = sender is not None and self._senders.delegates.get((self._author.key, sender.key), False)
        return Authorship(
            author=self._author,
            by=right or Grant.DELEGATE,
            held_by=self._senders.held_by(self._submitter, self._author),
            personal_key=personal,
            sender=sender,
            replies_elsewhere=self._replies_elsewhere(),
        )

    def _check_reverse_path(self) -> None:
        path = self._reverse_path
        if isinstance(path, Mailbox) and not self._may(path) and not self._senders.delegate_of(self._submitter, path):
            self._not_allowed("reverse_path_not_allowed", str(path), "địa chỉ phong bì", "this reverse-path")

    def _check_author(self) -> None:
        author = self._author
        if isinstance(author, AuthorDefect):
            self._malformed(str(author), "From")
            return
        if self._right is None and not self._delegated:
            delegate = self._senders.delegate_of(self._submitter, author)
            if delegate is None:
                self._not_allowed("from_not_allowed", str(author), "From", "this From address")
            else:
                self._needs_sender(author, delegate)
        for shown in self._shown_beside(author):
            self._not_allowed("shown_address_not_allowed", shown, "tên trong From", "a name in From that shows")

    def _check_sender(self) -> None:
        sender = self._sender
        if isinstance(sender, AuthorDefect):
            self._malformed("malformed_sender", "Sender")
        elif sender is not None and not self._may(sender):
            self._not_allowed("sender_not_allowed", str(sender), "Sender", "this Sender address")

    def _check_resent(self) -> None:
        for name in ("Resent-From", "Resent-Sender"):
            for field in self._header.all(name):
                found = _read(field)
                if found is None:
                    self._malformed(f"malformed_{name.lower().replace('-', '_')}", name)
                    continue
                for each in found:
                    if not self._may(each):
                        self._not_allowed("resent_not_allowed", str(each), name, f"this {name} address")

    def _check_inside(self) -> None:
        code = inner_difference(self._header, self._opened.entity)
        if self._opened.form is Form.COMPRESSED:
            code = "inner_unreadable"
        if code == "structure_disputed":
            text = (
                "Cấu trúc thư có thể hiểu theo nhiều cách / readers would disagree about the structure of this message"
            )
            self._object(Trouble.MALFORMED, code, Reply.of(550, "5.6.0", text))
        elif code == "inner_unreadable":
            text = (
                "Thư bọc trong thư này không đọc được / the message that is wrapped in this one cannot be read; "
                "attach it beside a text instead"
            )
            self._object(Trouble.MALFORMED, code, Reply.of(550, "5.6.0", text))
        elif code is not None:
            text = (
                f"Trường bên trong khác bên ngoài ({code}) / a field inside differs from the outer one; "
                "attach the message beside a text instead"
            )
            self._object(Trouble.NOT_ALLOWED, code, Reply.of(550, "5.7.1", text))

    def _may(self, mailbox: Mailbox) -> bool:
        if _ENCODED_WORD in mailbox.local:
            return False
        return self._senders.right(self._submitter, mailbox) is not None

    def _read_sender(self) -> Mailbox | AuthorDefect | None:
        """Return the single mailbox of the single Sender field, None without one."""
        fields = self._header.all("sender")
        if not fields:
            return None
        found = _read(fields[0])
        if len(fields) > 1 or found is None or len(found) != 1:
            return AuthorDefect.MALFORMED
        return found[0]

    def _shown_beside(self, author: Mailbox) -> Iterator[str]:
        """Yield the addresses that a From field shows in names or comments, and that the submitter may not use."""
        for shown, certain in _shown_in(self._header.all("from")[0].value):
            if not certain or not self._is_own(shown, author):
                yield shown
                return

    def _is_own(self, shown: str, author: Mailbox) -> bool:
        own = normalized("NFKC", author.key)
        for spelling in (shown, shown.strip(_QUOTES)):
            key = Mailbox.key_in(spelling)
            if key is not None and (key == own or self._may(Mailbox.parse(spelling))):
                return True
        return False

    def _replies_elsewhere(self) -> bool:
        for field in self._header.all("reply-to"):
            try:
                found = mailbox_list(field.value, groups=True)
            except AddressError:
                return True
            if not all(self._may(each.mailbox) for each in found):
                return True
        return False

    def _not_allowed(self, code: str, address: str, vietnamese: str, english: str) -> None:
        text = (
            f"{self._submitter.name} không được gửi với địa chỉ {address} ({vietnamese}) / may not send as {english} "
            f"({address})"
        )
        self._object(Trouble.NOT_ALLOWED, code, Reply.of(550, "5.7.1", text))

    def _needs_sender(self, author: Mailbox, delegate: str) -> None:
        text = (
            f"Muốn gửi thay {author} phải có trường Sender: {delegate} / "
            f"to send for {author} the field Sender must name {delegate}"
        )
        self._object(Trouble.NOT_ALLOWED, "delegate_without_sender", Reply.of(550, "5.7.1", text))

    def _malformed(self, code: str, name: str) -> None:
        text = f"Trường {name} không hợp lệ ({code}) / malformed {name} field"
        self._object(Trouble.MALFORMED, code, Reply.of(550, "5.6.0", text))

    def _object(self, trouble: Trouble, code: str, reply: Reply) -> None:
        self._objections.append(objection(self._senders, trouble, code, reply))


def unlisted_host(senders: Senders) -> Objection:
    """Return the objection to a host that nobody listed."""
    text = "Máy này không có trong danh sách / this host is not listed"
    return objection(senders, Trouble.UNAUTHENTICATED, "host_not_listed", Reply.of(550, "5.7.1", text))


def rights_unknown(senders: Senders) -> Objection:
    """Return the objection to a login whose rights cannot be looked up now: never a refusal for good."""
    text = "Chưa tra được quyền gửi, xin gửi lại sau / sending rights cannot be looked up now, please try again"
    return objection(senders, Trouble.LOOKUP_ERROR, "lookup_failed", Reply.of(451, "4.3.0", text))


@remembered(256, octets=8192)
def _shown_in(value: bytes) -> tuple[tuple[str, bool], ...]:
    """Return the addresses that a reader sees in a From field, each with whether it is certain which one is seen.

    Nothing is looked at behind one of which it is not.
    """
    text = "".join(each for each in normalized("NFKC", decode_text(value)) if unicodedata.category(each) != "Cf")
    words = [word for word in _BETWEEN.split(text) if "@" in word]
    found: list[tuple[str, bool]] = []
    for number, word in enumerate(words):
        match = _SHOWN_ADDRESS.search(word[:_MAX_ADDRESS])
        several = match is not None and word.count("@") > 1
        if number >= _MAX_SHOWN or len(word) > _MAX_ADDRESS or several:
            return (*found, (word[:_MAX_ADDRESS], False))
        if match is not None:
            found.append((match[0], True))
    return tuple(found)


def _read(field: Field) -> tuple[Mailbox, ...] | None:
    """Return the mailboxes of a field, None where it is malformed (a group is) or names none."""
    if not field.bare:
        return None
    try:
        found = mailbox_list(field.value, groups=False)
    except AddressError:
        return None
    return tuple(each.mailbox for each in found) or None

"""Whom a message claims to come from, against where it does come from: names, domains and marks that imitate (UTS 39).

Nothing here makes mail bad or good: it only notes what a reader, or a rule, should know. A name is compared as an eye
reads it, so that neither diacritics nor other scripts nor blanks between the letters hide it; a person who is called
Thuế, and an office that names itself from where it lives, are no claim.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.agencies.model import within
from gateway.agencies.skeleton import Spoken, skeleton, spoken
from gateway.agencies.watch import FILLERS, PREFIX, SHORTEST
from gateway.core.address import Mailbox, domain_key
from gateway.core.verdict import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gateway.agencies.registry import Registry
    from gateway.agencies.skeleton import Word
    from gateway.agencies.watch import Bearer, Bearers

MOST_NESTED: Final = 8
"""Texts of messages inside that are looked at."""
_MOST_REPLIES: Final = 4
_MOST_SHOWN: Final = 1000
"""Characters of a text in which marks and addresses are looked for."""
_LONGEST_LOCAL: Final = 64


def _keys(*texts: str) -> frozenset[str]:
    return frozenset(skeleton(each) for each in texts)


_FAMILIES: Final = _keys(
    "Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Huỳnh", "Phan", "Vũ", "Võ", "Đặng", "Bùi", "Đỗ", "Hồ", "Ngô", "Dương",
    "Lý", "Đinh", "Đào", "Đoàn", "Lâm", "Mai", "Trịnh", "Trương", "Hà", "Tô", "Cao", "Lưu", "Tạ", "Quách", "Thái",
    "Châu", "Tăng", "Vương", "Phùng", "Kiều", "Chu", "Quan", "Nông", "Triệu", "Lò", "Giàng", "Vi", "Hứa", "Mạc", "La",
)  # fmt: skip
"""Family names: what begins with one, and is short, is a person."""
_PERSON: Final = 5
"""Words of a person's name at most."""
_LEADS: Final = _keys(
    "cục", "tổng cục", "chi cục", "cơ quan", "CQ", "đội", "phòng", "văn phòng", "ngành", "trang", "cổng", "cán bộ",
    "chiến sĩ", "đồng chí", "trụ sở", "tổ",
)  # fmt: skip
"""What makes an everyday word an office's name, standing before it."""
_LEADS_IN_ORDER: Final = tuple(sorted(_LEADS))
_TAILS: Final = _keys(
    "tỉnh", "huyện", "xã", "phường", "thành phố", "TP", "quận", "thị xã", "Việt Nam", "VN", "nhà nước", "điện tử",
    "khu vực", "cơ sở", "trung ương", "đặc khu",
)  # fmt: skip
"""The same, standing behind it."""
_MENTIONS: Final = _keys("và", "với", "cho")
"""Behind a word these make it a subject that is talked about."""
_REPLIES: Final = _keys("Re", "Fw", "Fwd", "TL", "Trả lời", "Chuyển tiếp", "Aw", "Wg")
"""Whoever answers repeats what was written to them."""
_OPENINGS: Final = _keys(
    "Thông báo của", "Thông báo từ", "Thông báo", "Công văn của", "Công văn", "Giấy mời của", "Giấy triệu tập của",
    "Cảnh báo từ", "Cảnh báo của", "Quyết định của", "Tin nhắn từ", "Thư từ", "Thư của",
)  # fmt: skip
_OPENING_WORDS: Final = (3, 4, 2)
"""How many words of theirs are looked at, in this order."""
_ANNOUNCES: Final = tuple(
    _keys("thông báo", "trân trọng", "mời", "yêu cầu", "cảnh báo", "gửi thông báo", "quyết định", "triệu tập", "nhắc")
)
"""What an office says of itself in a subject; "Sở Y tế cho hỏi" is what citizens write to it."""
_TAGS: Final = _keys(
    "đã xác thực", "chữ ký hợp lệ", "chữ ký số hợp lệ", "đã kiểm tra chữ ký", "đã xác minh", "người gửi đã xác thực",
    "đã được xác thực", "đã ký số hợp lệ", "thư đã xác thực", "chữ ký đã xác thực",
    "verified", "verified sender", "signature valid", "valid signature", "signature verified", "verified signature",
    "trusted sender", "authenticated", "authenticated sender", "signed OK", "DaXacThuc",
)  # fmt: skip
"""What a reader may take for a mark of ours, or of any gateway."""
_LONGEST_TAG: Final = max(map(len, _TAGS))
_TAG_STARTS: Final = frozenset(each[:PREFIX] for each in _TAGS)
_SIGNS: Final = "\u2713\u2714\u2611\U0001f5f8\U0001f5f9\U0001f512\U0001f510\U0001f50f"
_MARKS: Final = re.compile(f"[{_SIGNS}\u2705\U0001f6e1\u237b]")
_FIRST_MARK: Final = re.compile(rf"[\s\W]{{0,4}}?[{_SIGNS}]")
"""In front of a subject; the green box with a check mark is left to newsletters."""
_ADDRESS: Final = re.compile(r"[\w.+-]{1,64}[@\uff20\ufe6b][\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a reader sees of who sent a message, decoded; lengths do not matter."""

    display_name: str
    """Of From; all of the field's text where no single mailbox can be read in it."""
    author: Mailbox | None
    subject: str
    replies_to: tuple[Mailbox, ...] = ()
    nested: tuple[str, ...] = ()
    """Display names and subjects of messages inside."""


def claims(shown: Shown, registry: Registry, *, vouched: Callable[[], frozenset[str]]) -> tuple[Note, ...]:
    """Return a note for each kind of imitation, in the order of `NOTES`.

    `vouched` says the ids of agencies for which the message is verified, in full or as a lesser state: they may bear
    their own names wherever they write from. It is asked where somebody is named, as in few messages.
    """
    found: list[Note] = []
    reader = _Reader(shown, registry, vouched)
    imitated = reader.imitated()
    if imitated is not None:
        found.append(Note("impersonation", imitated))
    domain = reader.true_domain()
    if domain is not None:
        found.append(Note("lookalike_domain", domain))
    mark = reader.mark()
    if mark is not None:
        found.append(Note("tag_words", mark))
    return tuple(found)


class _Reader:
    """Reads one message as its recipient would."""

    def __init__(self, shown: Shown, registry: Registry, vouched: Callable[[], frozenset[str]]) -> None:
        self._shown = shown
        self._registry = registry
        self._watch = registry.watch
        self._vouched = vouched
        self._domain = domain_key(shown.author.domain) if shown.author is not None else ""
        self._name = spoken(shown.display_name)
        if "\u202e" in shown.display_name:  # what an eye reads from the right
            turned = spoken(f"| {shown.display_name[_MOST_SHOWN::-1]}")
            self._name = Spoken.of(self._name.words + turned.words)
        self._subject = spoken(shown.subject)

    def imitated(self) -> str | None:
        """Return the name of the agency that the message claims to come from, and does not."""
        if self._domain and within(self._domain, self._watch.official):
            return None
        claimed = [*self._in_name(), *self._in_subject(), *self._in_local_part()]
        if not claimed:
            return self._address_in_name()
        if any(self._rightly(each) for bearers in claimed for each in bearers):
            return None
        return claimed[0][0].name

    def _rightly(self, bearer: Bearer) -> bool:
        author = self._shown.author
        if bearer.agency is None:
            return bool(self._domain) and bearer.at_home(self._domain)
        agency = self._registry.by_id[bearer.agency]
        by_id = self._registry.by_id
        if any(self._registry.kin(agency, by_id[each]) for each in self._vouched() if each in by_id):
            return True
        if author is None:
            return False
        theirs = self._registry.agency_of_mailbox(author)
        if theirs is not None:
            return self._registry.kin(agency, theirs)
        succession = self._registry.successions.get(self._domain)
        return bearer.at_home(self._domain) or (succession is not None and bearer.at_home(succession.new))

    def _in_name(self) -> Iterator[Bearers]:
        """Yield who is named in the display name, the longest name first at each place."""
        name = self._name
        yield from self._named(name)
        plain = tuple([each for each in name.words if each.letters not in FILLERS])
        if len(plain) < len(name.words):
            yield from self._named(Spoken.of(plain))
        if name.text in self._watch.initials:
            yield self._watch.initials[name.text]
        if name.text in self._watch.shorts:
            yield self._watch.shorts[name.text]

    def _named(self, name: Spoken) -> Iterator[Bearers]:
        watch = self._watch
        words, text, places = name
        for index, word in enumerate(words):
            start = places[index]
            if text[start : start + PREFIX] not in watch.starts:
                continue
            for last in range(len(words), index, -1):
                if places[last] - start > watch.longest:
                    continue
                piece = text[start : places[last]]
                if piece in watch.names:
                    yield watch.names[piece]
                    break
                if piece in watch.shorts and word.segment and all(each.capitals for each in words[index:last]):
                    yield watch.shorts[piece]
                    break
                if piece in watch.words and _names_an_office(words, index, last):
                    yield watch.words[piece]
                    break

    def _in_subject(self) -> Iterator[Bearers]:
        """Yield who speaks at the begin of the subject: in brackets, after "thông báo của", or before "yêu cầu"."""
        subject = self._subject
        if not subject.words or subject.first(1) in _REPLIES or subject.first(2) in _REPLIES:
            return
        skipped = next((count for count in _OPENING_WORDS if subject.first(count) in _OPENINGS), 0)
        rest, text, places = Spoken.of(subject.words[skipped:]) if skipped else subject
        if not rest:
            return
        if text[:PREFIX] not in self._watch.starts and not text.startswith(_LEADS_IN_ORDER):
            return
        for last in range(len(rest), 0, -1):
            if places[last] > self._watch.longest:
                continue
            bearers = self._bearers_of(text[: places[last]], rest[0])
            after = text[places[last] :]
            opened = bool(skipped) or rest[0].bracket or after.startswith(_ANNOUNCES)
            if bearers and opened:
                yield bearers
                return

    def _bearers_of(self, piece: str, first: Word) -> Bearers:
        watch = self._watch
        found = watch.names.get(piece) or (watch.shorts.get(piece) if first.capitals else None)
        if found:
            return found
        if piece in watch.words:
            return watch.words[piece]
        if not piece.startswith(_LEADS_IN_ORDER):
            return ()
        led = (piece[len(each) :] for each in _LEADS_IN_ORDER if piece.startswith(each))
        return next((watch.words[each] for each in led if each in watch.words), ())

    def _in_local_part(self) -> Iterator[Bearers]:
        """Yield who is named by the mailbox itself: its local part begins with a name, or an office's everyday word."""
        author = self._shown.author
        if author is None or self._name.words:
            return  # with a display name hardly anybody is shown the address
        local, text, _ = spoken(author.local[:_LONGEST_LOCAL])
        for length in range(min(len(text), self._watch.longest), PREFIX, -1):
            piece = text[:length]
            if length >= SHORTEST and piece not in self._watch.words:
                bearers = self._bearers_of(piece, local[0])
            else:
                bearers = self._watch.shorts.get(piece, ()) if text[length:] in _TAILS else ()
            if bearers:
                yield bearers
                return

    def _address_in_name(self) -> str | None:
        """Return whose address stands in the display name in front of another one, as "soyte@..." <x@y>."""
        name = self._shown.display_name[:_MOST_SHOWN]
        if "@" not in name and "\uff20" not in name and "\ufe6b" not in name:
            return None
        for match in _ADDRESS.finditer(name):
            try:
                shown = Mailbox.parse(match[0].replace("\uff20", "@").replace("\ufe6b", "@"))
            except ValueError:
                continue
            author = self._shown.author
            agency = self._registry.agency_of_mailbox(shown)
            if agency is None:
                continue
            theirs = self._registry.agency_of_mailbox(author) if author is not None else None
            if agency.id not in self._vouched() and (theirs is None or theirs.id != agency.id):
                return agency.name
        return None

    def true_domain(self) -> str | None:
        """Return the true domain that the author's, or one that answers go to, passes for."""
        if not self._watch.domains.counts:
            return None
        replies = (domain_key(each.domain) for each in self._shown.replies_to[:_MOST_REPLIES])
        domains = dict.fromkeys((self._domain, *replies) if self._domain else replies)
        return next((found for each in domains if (found := self._watch.domains.imitated(each)) is not None), None)

    def mark(self) -> str | None:
        """Return where words or signs stand that pass for a mark of ours: from, subject, or nested."""
        if _MARKS.search(self._shown.display_name[:_MOST_SHOWN]) or _tagged(self._name, anywhere=True):
            return "from"
        if _speaks(self._subject):
            return "subject"
        if _FIRST_MARK.match(self._shown.subject):
            return "subject"
        for text in self._shown.nested[:MOST_NESTED]:
            if _MARKS.search(text[:_MOST_SHOWN]) or _speaks(spoken(text)):
                return "nested"
        return None


def _names_an_office(spoken: Sequence[Word], first: int, last: int) -> bool:
    """Return True if an everyday word stands as an office's name does, and not as a person's or a topic."""
    begin = next(index for index in range(first, -1, -1) if spoken[index].segment or index == 0)
    before = "".join(each.letters for each in spoken[begin:first])
    end = next((index for index in range(last, len(spoken)) if spoken[index].segment), len(spoken))
    after = [each.letters for each in spoken[last:end]]
    if before.endswith(_LEADS_IN_ORDER):
        return True
    if after and (after[0] in _TAILS or "".join(after[:2]) in _TAILS):
        return True
    person = spoken[begin].letters in _FAMILIES or (bool(after) and after[-1] in _FAMILIES)
    if person and end - begin <= _PERSON:
        return False
    return first == begin and not (after and after[0] in _MENTIONS)


def _speaks(subject: Spoken) -> bool:
    """Return True if a subject bears our words, and is no answer to one that did."""
    return bool(subject.words) and subject.first(1) not in _REPLIES and _tagged(subject, anywhere=False)


def _tagged(said: Spoken, *, anywhere: bool) -> bool:
    """Return True if our words stand there; if not anywhere, then in brackets, or in front with a colon behind."""
    words, text, places = said
    for index, word in enumerate(words):
        start = places[index]
        if text[start : start + PREFIX] not in _TAG_STARTS or not (anywhere or word.bracket or index == 0):
            continue
        for last in range(index + 1, len(words) + 1):
            if places[last] - start > _LONGEST_TAG:
                break
            apart = last == len(words) or words[last].segment
            if text[start : places[last]] in _TAGS and (anywhere or word.bracket or apart):
                return True
    return False

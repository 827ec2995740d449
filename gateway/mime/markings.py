"""Marks of state secrecy in a line of text or a file's name: MẬT, TỐI MẬT, TUYỆT MẬT (Law 29/2018/QH14).

The rule. Text is read as an eye reads it: composed or not, in any case, with letters of other scripts that look the
same, without invisible characters, with letters spaced out. A word counts with its own diacritics or with none; with
others it is another word (mất, mắt, mặt, mát; tôi, tới).

A. "tuyệt mật" and "tối mật" with diacritics count wherever they stand, unless "mật" begins another word there
   ("tối mật khẩu", "tối mật độ"). "tuyet mat" without them counts too, but for "Tuyet mat", which is a name and a verb.
B. What has a second meaning ("mật" alone: honey, bile, bí mật, bảo mật; "toi mat": tôi mất) counts only as a mark:
   1. alone on its line, but for what frames it;                       ★ MẬT ★
   2. in brackets or stars, alone or beside degrees of urgency;        [Mật]  (MẬT - HỎA TỐC)  **mật**
   3. after a label;                                                   Độ mật: Mật   Mức độ: MẬT
   4. before a colon, dash or bar at the begin of a subject or line;   MẬT: kế hoạch   MAT - ke hoach
   5. in capitals or capitalized behind " - ", "|" or "/" at its end;  Công văn số 12 - MẬT
   6. in capitals, with diacritics, among words that are not;          Gửi kế hoạch MẬT của tỉnh
   7. after the word for a document: "mật" capitalized there,          công văn MẬT, độ Mật, van ban toi mat
      "toi mat" in any case.
C. In a file's name "_", "-" and "." are blanks; "MAT" in capitals begins it ("MAT_...", but not "MAT_BANG": mặt bằng)
   or ends it behind a number or the sign of a document ("CV12_MAT").

What is no mark by this: a text that speaks of a secret in running words ("tài liệu mật" in small letters). What is one
although it need not be: every text that names the two higher degrees, such as a course about them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from gateway.core.contents import Marking
from gateway.core.unicode import normalized

_LOOKALIKES: Final = {
    ord(character): latin
    for latin, characters in {
        "A": "\u0410\u0391\u13aa\ua4ee\u2c6d", "a": "\u0430\u03b1\u0251\u1d00",
        "B": "\u0412\u0392", "c": "\u0441\u03f2\u1d04", "C": "\u0421\u03f9",
        "D": "\u0110\u00d0\u0189\u13a0\ua4d3", "d": "\u0111\u00f0\u0256\u0501\u1d05\u018c",
        "E": "\u0415\u0395\u13ac\ua4f0", "e": "\u0435\u03b5\u1d07\u04bd",
        "H": "\u041d\u0397", "h": "\u04bb\u029c",
        "I": "\u0406\u0399\u04c0\ua4f2", "i": "\u0456\u03b9\u0131\u026a\u04cf",
        "K": "\u041a\u039a\u212a", "k": "\u043a\u03ba\u1d0b",
        "M": "\u041c\u039c\u03fa\u13b7\ua4df\u216f", "m": "\u043c\u1d0d\u217f",
        "N": "\u039d", "O": "\u041e\u039f\u0555\ua4f3", "o": "\u043e\u03bf\u0585\u1d0f",
        "P": "\u0420\u03a1", "p": "\u0440\u03c1",
        "T": "\u0422\u03a4\u13a2\ua4d4\u27d9", "t": "\u0442\u03c4\u1d1b\u01ad",
        "U": "\u054d\ua4f4\u222a\u22c3", "u": "\u03c5\u057d\u1d1c\u028b",
        "X": "\u0425\u03a7", "x": "\u0445\u03c7",
        "Y": "\u04ae\u03a5\u0423\ua4ec", "y": "\u0443\u04af\u03b3\u028f",
    }.items()
    for character in characters
} | {each + index: chr(65 + index) for each in (0x1F130, 0x1F150, 0x1F170, 0x1F1E6) for index in range(26)}  # fmt: skip
"""Letters of other scripts, and letters in boxes, that pass for those of the marks and of the words around them."""
_BLANK: Final = frozenset({"Zs", "Zl", "Zp", "Cc"})
_UNSEEN: Final = frozenset({"Cf", "Cs", "Co", "Cn", "Me", "Mn"})
_TONES: Final = frozenset("\u0300\u0301\u0302\u0303\u0306\u0309\u031b\u0323")
_FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\ufffc")
_MOST_KNOWN: Final = 8192


class _Eye(dict[int, str | int | None]):
    """A table for `str.translate`, filled as characters are met, up to a limit that no stranger can raise."""

    def __missing__(self, code: int) -> str | int | None:
        character = chr(code)
        category = unicodedata.category(character)
        result: str | int | None = code
        if character in _FILLERS or (category in _UNSEEN and character not in _TONES):
            result = None
        elif category in _BLANK and character != "\n":
            result = " "
        if len(self) < _MOST_KNOWN:
            self[code] = result
        return result


_EYE: Final = _Eye(_LOOKALIKES)


def flat(text: str) -> str:
    """Return text as it is searched: decomposed, Latin look-alikes, d without its stroke, nothing invisible."""
    if text.isascii():
        return text.translate(_EYE)
    return normalized("NFD", normalized("NFKD", text).translate(_EYE))


_TONE: Final = "[\u0300-\u036f]"
_NO_TONE: Final = f"(?!{_TONE})"
_BEGIN: Final = rf"(?<![^\W\d_])(?<!{_TONE})"
_END: Final = rf"(?![^\W\d_]){_NO_TONE}"
_GAP: Final = r"(?:[\s\-_~*+/|\u00b7\u2022\u2013\u2014]|\.(?!\s)){0,6}"
"""What may stand between the words of a mark."""
_MAT: Final = f"ma(?:\u0323?\u0302)?{_NO_TONE}t"
_MAT_TRUE: Final = "ma\u0323?\u0302t"
_TUYET: Final = f"tuy\u0323?e\u0323?\u0302?{_NO_TONE}t"
_TOI_TRUE: Final = "to(?:\u0302\u0301|\u0301\u0302)i"
_TOI: Final = f"(?:{_TOI_TRUE}|toi)"


def _any(words: str) -> str:
    """Return a pattern for one of the words, longest first; a blank within one is written "+"."""
    known = sorted((flat(word) for word in words.split()), key=len, reverse=True)
    return "(?:" + "|".join(re.escape(word).replace(r"\+", r"\s+") for word in known) + ")"


_OTHERWISE: Final = _any("khẩu mã ong độ thiết danh hiệu thư đàm lệnh ước ngữ ngôn nghị gấu mía ngọt vụ thám")
"""What makes "mật" before it the begin of another word."""
_OTHERWISE_PLAIN: Final = _any(
    "khau ma ong do thiet bang cat dung duong tran tien sau truoc na hang kinh troi trang nuoc dat san lung ngoai trong"
    " phang me vi the dien tien xe lam roi"
)
"""The same without diacritics, and what follows "mặt", "mất", "mát"."""
_BEFORE: Final = re.compile(
    _any("bí bảo cơ thân trăng túi sỏi ống đường dịch ngọt rỉ kín cẩn hút nuôi lấy tuyệt tối"), re.IGNORECASE
)
"""What makes "mật" behind it the end of another word."""
_PAPER: Final = _any(
    "tài+liệu văn+bản công+văn hồ+sơ báo+cáo kế+hoạch thông+tin bản+đồ đề+án tờ+trình quyết+định công+điện giấy+mời"
    " tai+lieu van+ban cong+van ho+so bao+cao ke+hoach thong+tin ban+do de+an to+trinh quyet+dinh cong+dien"
)
_DEGREE: Final = _any("độ mức+độ mức dấu loại cấp do muc+do muc dau loai cap")
_LABEL: Final = _any(
    "độ+mật độ+bảo+mật mức+độ+mật mức+độ+bảo+mật mức+mật mức+độ cấp+độ cấp+độ+mật dấu+độ+mật dấu+mật phân+loại độmật"
    " do+mat do+bao+mat muc+do+mat muc+do+bao+mat muc+do dau+mat phan+loai domat classification"
)
_URGENT: Final = _any("khẩn thượng+khẩn hỏa+tốc hoả+tốc hẹn+giờ khan thuong+khan hoa+toc")
_MARK: Final = f"(?P<mark>(?P<tuyet>{_TUYET}{_GAP}{_MAT})|(?P<toi>{_TOI}{_GAP}{_MAT})|(?P<mat>{_MAT})){_END}"
_REPLY: Final = (
    rf"(?>(?:(?:re|fwd?|tr|{_any('trả+lời chuyển+tiếp tra+loi chuyen+tiep')})\s*:\s*|\[[^\[\]\n]{{0,60}}\]\s*)*)"
)
_NEVER: Final = rf"(?!\s+{_OTHERWISE}{_END})(?!{_GAP}{_OTHERWISE_PLAIN}{_END})"
_FRAME: Final = r"[^\w\n\u0300-\u036f]*+"


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.MULTILINE)


_TUYET_ANYWHERE: Final = _compiled(f"{_BEGIN}{_TUYET}{_GAP}{_MAT}{_END}")
_TOI_ANYWHERE: Final = _compiled(rf"{_BEGIN}{_TOI_TRUE}{_GAP}{_MAT_TRUE}{_END}(?!\s+{_OTHERWISE}{_END})")
_IN_BRACKETS: Final = _compiled(
    rf"[\[({{<\u00ab\u3010*]\s*(?:{_URGENT}[\s,;/+\-]+)?{_MARK}(?:[\s,;/+\-]+{_URGENT})?\s*[\])}}>\u00bb\u3011*]"
)
_MARKS: Final = (
    _compiled(rf"^{_FRAME}{_MARK}{_FRAME}$"),  # rule B1
    _IN_BRACKETS,  # rule B2
    _compiled(rf"{_BEGIN}{_LABEL}\s*[:=\-\u2013\u2014]\s*[\"'\u201c]?{_MARK}{_NEVER}"),  # rule B3
    _compiled(rf"^[> ]*+{_REPLY}{_MARK}(?:\s*[:|\u2013\u2014]|\s+-|-\s)"),  # rule B4
)
_AT_END: Final = _compiled(rf"(?:\s[-\u2013\u2014]|[|/])\s*{_MARK}\s*$")
_WORD: Final = _compiled(rf"{_BEGIN}{_MARK}{_NEVER}")
_OF_PAPER: Final = _compiled(rf"{_BEGIN}(?:{_PAPER}|(?P<degree>{_DEGREE}))\s+{_MARK}(?!\s*:){_NEVER}")
_NAME_BEGIN: Final = _compiled(rf"^[\s\[(]*{_MARK}{_NEVER}")
_NAME_END: Final = _compiled(rf"(?:\d\S*|{_BEGIN}(?:cv|bc|qd|kh|vb|tl|hs|ttr|tb))\s+{_MARK}\s*$")
_LETTER: Final = rf"[^\W\d_]{_TONE}*+"
_SPACED: Final = re.compile(
    rf"{_BEGIN}{_LETTER}(?:[\s.\-_*\u00b7\u2022|/]{{1,3}}{_LETTER}){{2,}}(?![^\W\d_])".replace(r"\s", " ")
)
_SPACED_TUYET: Final = _compiled(f"{_TUYET}{_MAT}")
_SPACED_TOI: Final = _compiled(f"{_TOI_TRUE}{_MAT_TRUE}")
_BETWEEN: Final = re.compile(r"[ .\-_*\u00b7\u2022|/]+")
_SUFFIX: Final = re.compile(r"\.[A-Za-z0-9]{1,5}\Z")
_NAME_BLANK: Final = re.compile(r"[\s_\-.+]+")
_BLANKS: Final = re.compile(r" {4,}")
_NO_LETTER: Final = re.compile(r"[\W\d_]+")
_MAT_LETTERS: Final = "mat"
_NEIGHBOR: Final = 40
"""Characters in which the word beside a mark is looked for."""


def markings_in(text: str) -> frozenset[Marking]:
    """Return the marks in a subject or in the first lines of a text; lines end in LF."""
    found: set[Marking] = set()
    text = _whole_marks(_joined(_worth_reading(flat(text)), found), found)
    for pattern in _MARKS:
        found.update(map(_kind, pattern.finditer(text)))
    found.update(_kind(match) for match in _AT_END.finditer(text) if _stressed(match["mark"]))
    found |= _among_words(text)
    return frozenset(found)


def _worth_reading(text: str) -> str:
    """Return the lines that hold the letters m, a, t, and the line before each: few in any ordinary text."""
    lines = _BLANKS.sub("   ", text).split("\n")
    worth = [_MAT_LETTERS in _NO_LETTER.sub("", line).lower() for line in lines]
    return "\n".join(line for line, now, then in zip(lines, worth, [*worth[1:], False], strict=True) if now or then)


def markings_in_name(name: str) -> frozenset[Marking]:
    """Return the marks in a file's name."""
    found: set[Marking] = set()
    text = _whole_marks(_joined(_worth_reading(flat(name)), found), found)
    found.update(map(_kind, _IN_BRACKETS.finditer(text)))
    text = _NAME_BLANK.sub(" ", _SUFFIX.sub("", text)).strip()
    for pattern in (_NAME_BEGIN, _NAME_END):
        for match in pattern.finditer(text):
            if match["mat"] is None or _is_true(match["mark"]) or match["mark"].isupper():
                found.add(_kind(match))
    found |= _among_words(text)
    return frozenset(found)


def _kind(match: re.Match[str]) -> Marking:
    if match["tuyet"] is not None:
        return Marking.TUYET_MAT
    return Marking.TOI_MAT if match["toi"] is not None else Marking.MAT


def _is_true(mark: str) -> bool:
    """Return True if "mật" has diacritics."""
    return not mark[-3:].isascii()


def _stressed(mark: str) -> bool:
    """Return True for capitals; a word with diacritics may have just one."""
    return mark.isupper() or (_is_true(mark) and mark[0].isupper())


def _joined(text: str, found: set[Marking]) -> str:
    """Write spaced-out words as words; a wider gap stands between two of them, or between none."""

    def together(match: re.Match[str]) -> str:
        gaps = _BETWEEN.findall(match[0])
        narrow = min(map(len, gaps))
        whole = _BETWEEN.sub("", match[0])
        if _SPACED_TUYET.search(whole) is not None:
            found.add(Marking.TUYET_MAT)
        elif _SPACED_TOI.search(whole) is not None:
            found.add(Marking.TOI_MAT)
        return _BETWEEN.sub(lambda gap: " " if len(gap[0]) > narrow else "", match[0])

    return _SPACED.sub(together, text)


def _whole_marks(text: str, found: set[Marking]) -> str:
    """Apply rule A, and take what it found out of the text."""

    def tuyet(match: re.Match[str]) -> str:
        mark = match[0]
        name = mark.isascii() and mark[0].isupper() and mark[1:].islower()
        if name or (mark.isascii() and re.match(_NEVER, text[match.end() : match.end() + 20], re.IGNORECASE) is None):
            return mark
        found.add(Marking.TUYET_MAT)
        return "\x01"

    def toi(match: re.Match[str]) -> str:
        if "\n" in match[0] and not match[0].isupper():
            return match[0]
        found.add(Marking.TOI_MAT)
        return "\x01"

    text = _TUYET_ANYWHERE.sub(tuyet, text)
    return _TOI_ANYWHERE.sub(toi, text)


def _among_words(text: str) -> set[Marking]:
    """Apply rules B6 and B7."""
    found: set[Marking] = set()
    for match in _WORD.finditer(text):
        mark = match["mark"]
        if mark.isupper() and (match["mat"] is None or _is_true(mark)) and _alone_in_capitals(text, match):
            found.add(_kind(match))
    for match in _OF_PAPER.finditer(text):
        mark, degree = match["mark"], match["degree"]
        if match["mat"] is None or (_is_true(mark) and mark[0].isupper() and (degree is None or degree.islower())):
            found.add(_kind(match))
    return found


def _alone_in_capitals(text: str, match: re.Match[str]) -> bool:
    """Return True if the words on both sides are not in capitals, and make no other word of it."""
    before = text[max(match.start() - _NEIGHBOR, 0) : match.start()].rpartition("\n")[2].split()
    after = text[match.end() : match.end() + _NEIGHBOR].partition("\n")[0].split()
    if before and _BEFORE.fullmatch(before[-1]) is not None:
        return False
    return not any(each.isupper() and sum(map(str.isalpha, each)) > 1 for each in (*before[-1:], *after[:1]))

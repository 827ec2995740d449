"""Entries of the queue for people and for programs: Vietnamese first, ages instead of times in lists.

Everything of a message is hostile text: nothing of it may reach a terminal as it is.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli.call import printable
from gateway.cli.screen import show
from gateway.core.address import NullPath
from gateway.core.local import VIETNAM
from gateway.core.queue import Kind, RecipientState
from gateway.mime.fields import MimeError, decode_text, read_header
from gateway.spool.desk import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core.address import ReversePath
    from gateway.core.queue import Entry
    from gateway.spool.acts import Act
    from gateway.spool.desk import Listed

_WIDE: Final = 200
"""Columns where nobody looks: a file or a pipe."""
_SHORT_ID: Final = 12
"""Characters of an id that tell it from all others in practice."""
_MOST_FIELDS: Final = 100
_MOST_REPLY: Final = 100
"""Characters of a next hop's answer in a list."""
_MOST_SHOWN: Final = 400
"""Characters of one field."""
KINDS: Final = {
    Kind.DELIVER: ("chờ chuyển", "to be delivered", "green"),
    Kind.TO_SIGN: ("chờ khóa ký", "waits for its key", "yellow"),
    Kind.HELD: ("giữ chờ duyệt", "held", "bold yellow"),
    Kind.RELEASED: ("đã duyệt", "released", "green"),
    Kind.QUARANTINED: ("cách ly", "quarantined", "bold red"),
}
"""Kind -> Vietnamese, English, color."""
_STATES: Final = {
    RecipientState.READY: "chưa nhận / not yet",
    RecipientState.SENT: "đã nhận / sent",
    RecipientState.FAILED: "thất bại / failed",
}
DONE: Final = {
    "release": "đã cho đi, cổng thư đang chạy sẽ gửi trong vài giây / released, a running gateway sends it in seconds",
    "would_release": "có thể cho đi / could be released",
    "delete": "đã xóa / removed",
    "retry": "sẽ được gửi ngay / is tried now, if a gateway runs",
    "would_retry": "có thể gửi ngay / could be tried now",
    "freeze": "đã giữ lại, không gửi cho đến khi thaw / kept back, not tried until thawed",
    "would_freeze": "có thể giữ lại / could be kept back",
    "thaw": "đã thôi giữ, sẽ được gửi ngay / thawed, is tried now",
    "would_thaw": "có thể thôi giữ / could be thawed",
    "reroute": "sẽ đi qua nơi khác ngay / goes another way, now",
    "would_reroute": "có thể đi qua nơi khác / could go another way",
    "bounce": "đã trả lại, người gửi được báo / returned, its sender is told",
    "would_bounce": "có thể trả lại / could be returned",
}
"""What was done -> words."""
FAILURES: Final = {
    Outcome.GONE: "không còn trong hàng đợi / is not in the queue any more",
    Outcome.NOT_KEPT: "không bị giữ hay cách ly, không cần duyệt / is neither held nor quarantined",
    Outcome.UNDER_WAY: "cổng thư đang xử lý thư này / a gateway is working on it now: try again in a minute",
    Outcome.NOT_MOVING: "đang chờ duyệt, không có lần gửi nào / waits for an administrator: there is no next attempt",
    Outcome.FROZEN: "đang bị giữ lại: dùng thaw / is frozen: thaw it",
    Outcome.NOT_FROZEN: "không bị giữ lại / is not frozen",
    Outcome.NOT_ROUTED: "chưa có nơi nhận tiếp / has no next hop: only mail that is to be delivered is rerouted",
    Outcome.SEVERAL_PLACES: "có người nhận ở nhiều tên miền / is for several domains: this hop takes them one by one",
    Outcome.NOBODY_TO_TELL: "không có ai để báo, thư còn nguyên / nobody can be told (not our user, <>, NOTIFY=NEVER, "
    "no route), nothing was changed: `delete` removes it",
    Outcome.UNREADABLE: "hỏng, không gửi được, chỉ xóa được / damaged: it can be removed, and not be sent",
}
"""Outcome -> why nothing was done."""


def print_table(entries: Sequence[Listed], now: dt.datetime) -> None:
    """Print one line per entry."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDE)
    table = Table(box=SIMPLE, pad_edge=False)
    heads = ("Mã / id", "Loại / kind", "Tuổi / age", "Từ / from", "Tới / to", "Qua / hop", "Lần / tries")
    for head in (*heads, "Thử lại / next", "Lý do / reason"):
        table.add_column(head, overflow="fold")
    for each in entries:
        vietnamese, english, color = KINDS[each.kind]
        cells = (
            _age(now - each.received_at),
            _path(each.reverse_path),
            _recipients(each),
            each.hop or "-",
            str(each.attempts),
            _next(each, now),
            _why(each),
        )
        table.add_row(
            Text(each.entry_id[:_SHORT_ID]),
            Text(f"{vietnamese} / {english}", color),
            *(Text(printable(cell)) for cell in cells),
        )
    if entries:
        console.print(table)
    else:
        console.print("Hàng đợi trống / the queue is empty.")


def as_object(entry: Listed) -> dict[str, object]:
    """Return the JSON object of an entry, without anything of its content."""
    return {
        "id": entry.entry_id,
        "kind": entry.kind.value,
        "direction": entry.direction.value,
        "from": str(entry.reverse_path),
        "to": [{"mailbox": str(mailbox), "state": state.value} for mailbox, state in entry.recipients],
        "hop": entry.hop,
        "attempts": entry.attempts,
        "reason": entry.reason,
        "reply": entry.reply or None,
        "received_at": entry.received_at.isoformat(),
        "next_attempt_at": entry.next_attempt_at.isoformat() if _moves(entry) else None,
        "expires_at": entry.expires_at.isoformat() if _moves(entry) else None,
        "under_way": entry.claimed,
        "frozen_at": entry.frozen_at.isoformat() if entry.frozen_at is not None else None,
        "trace_id": entry.trace_id,
        "octets": entry.octets,
    }


def details(entry: Entry | None, acts: Sequence[Act]) -> dict[str, object]:
    """Return what `show` adds to the object: header, origin, replies, acts."""
    found: dict[str, object] = {
        "readable": entry is not None,
        "acts": [
            {"at": each.by.at.isoformat(), "who": each.by.who, "what": each.what, "reason": each.by.why}
            for each in acts
        ],
    }
    if entry is not None:
        origin = entry.consignment.origin
        found |= {
            "subject": subject_of(entry),
            "header": [f"{name}: {value}" for name, value in _header(entry)],
            "origin": {"listener": origin.listener, "login": origin.login, "client": origin.client} if origin else None,
            "replies": [str(each) if each is not None else None for each in entry.last_replies],
        }
    return found


def print_entry(listed: Listed, entry: Entry | None, acts: Sequence[Act], now: dt.datetime) -> None:
    """Print one entry for people."""
    vietnamese, english, color = KINDS[listed.kind]
    lines = [
        ("Tiêu đề / subject", subject_of(entry) if entry is not None else "?"),
        ("Từ / from", _path(listed.reverse_path)),
        *(("Tới / to", f"{mailbox} ({_STATES[state]})") for mailbox, state in listed.recipients),
        ("Lý do / reason", listed.reason or "-"),
        ("Chiều / direction", listed.direction.value),
        ("Nhận lúc / received", f"{time_of(listed.received_at)} ({_age(now - listed.received_at)})"),
        ("Thử lại / next attempt", _next(listed, now)),
        ("Số lần thử / attempts", str(listed.attempts)),
        ("Qua / hop", listed.hop or "-"),
        ("Cỡ / octets", str(listed.octets)),
        ("Mã vết / trace id", listed.trace_id),
    ]
    if entry is not None:
        origin = entry.consignment.origin
        if origin is not None:
            lines.append(("Gửi bởi / submitted by", f"{origin.login or '-'} ({origin.listener}, {origin.client})"))
        replies = [str(each) for each in entry.last_replies if each is not None]
        if listed.kind is Kind.DELIVER and not replies:  # what keeps a hop from answering is the hop's own
            replies = ["chưa có / none yet: gateway hops"]
        lines += [("Trả lời / reply", each) for each in replies]
    lines += [
        ("Đã làm / act", f"{time_of(each.by.at)} {each.by.who}: {each.what} {each.by.why}".rstrip()) for each in acts
    ]
    if entry is not None:
        lines += [(name, value.replace("\t", " ")) for name, value in _header(entry)]
    show(listed.entry_id, vietnamese=vietnamese, english=english, color=color, lines=lines)


def print_losses(entries: Sequence[Listed], now: dt.datetime) -> None:
    """Say on the screen what removing would lose."""
    for each in entries:
        left = len(each.left)
        vietnamese = f"{left} người nhận sẽ không bao giờ nhận được thư này; người gửi không được báo."
        english = f"{left} recipient(s) will never get this message; its sender is not told."
        lines = [
            ("Từ / from", _path(each.reverse_path)),
            ("Tới / to", _recipients(each)),
            ("Loại / kind", " / ".join(KINDS[each.kind][:2])),
            ("Tuổi / age", _age(now - each.received_at)),
            ("Lý do / reason", each.reason or "-"),
        ]
        show(each.entry_id, vietnamese=vietnamese, english=english, color="bold red", lines=lines)


def _moves(entry: Listed) -> bool:
    """Return whether something will happen to an entry by itself."""
    return entry.kind not in {Kind.HELD, Kind.QUARANTINED}


def _next(entry: Listed, now: dt.datetime) -> str:
    if not _moves(entry):
        return "-"
    if entry.claimed:
        return "đang gửi / under way"
    if entry.frozen_at is not None:
        return "bị giữ lại / frozen"
    left = entry.next_attempt_at - now
    return _age(left) if left > dt.timedelta(0) else "ngay / now"


def _why(entry: Listed) -> str:
    """Return why an entry is still here: of what is sent, the last answer; of what is kept, the reason."""
    return (entry.reply[:_MOST_REPLY] if _moves(entry) else "") or entry.reason or "-"


def _path(path: ReversePath) -> str:
    return "<>" if isinstance(path, NullPath) else str(path)


def _recipients(entry: Listed) -> str:
    names = [str(mailbox) for mailbox, _ in entry.recipients]
    return f"{names[0]} (+{len(names) - 1})" if len(names) > 1 else "".join(names) or "?"


def _age(length: dt.timedelta) -> str:
    seconds = max(int(length.total_seconds()), 0)
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def time_of(moment: dt.datetime) -> str:
    """Return a time as people here read it."""
    return moment.astimezone(VIETNAM).isoformat(sep=" ", timespec="seconds")


def subject_of(entry: Entry) -> str:
    """Return the subject of a message, decoded for reading."""
    found = [value for name, value in _header(entry) if name.lower() == "subject"]
    return found[0] if found else "(không có / none)"


def _header(entry: Entry) -> list[tuple[str, str]]:
    """Return the first fields of the message, decoded for reading and cut."""
    try:
        fields = read_header(entry.consignment.message).fields[:_MOST_FIELDS]
    except MimeError:
        return []
    return [(printable(each.name), decode_text(each.value)[:_MOST_SHOWN]) for each in fields]

"""Who may be signed as whom: login, reverse-path and the single mailbox of the single From field (RFC 6409 6.1).

Nothing is signed for a sender who does not own the From mailbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core.address import Mailbox
from gateway.core.reply import Reply
from gateway.mime.fields import AuthorDefect, Header, author_of

if TYPE_CHECKING:
    from gateway.core.received import Submission


def permitted_author(submission: Submission, header: Header) -> Mailbox | Reply:
    """Return the From mailbox if the submitter may send as it and as the reverse-path, else the refusal."""
    submitter = submission.submitter
    reverse_path = submission.arrival.envelope.reverse_path
    if isinstance(reverse_path, Mailbox) and not submitter.may_send_as(reverse_path.key):
        return Reply.of(
            550,
            "5.7.1",
            f"{submitter.name} không được gửi với địa chỉ {reverse_path} / may not send as this reverse-path",
        )
    author = author_of(header)
    if isinstance(author, AuthorDefect):
        return Reply.of(550, "5.6.0", f"Trường From không hợp lệ ({author}) / malformed From field")
    if not submitter.may_send_as(author.key):
        return Reply.of(
            550, "5.7.1", f"{submitter.name} không được gửi với địa chỉ {author} / may not send as this From address"
        )
    return author

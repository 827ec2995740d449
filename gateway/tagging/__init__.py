"""What recipients are told: forged marks off all mail, ours on top of what was judged (RFC 8601, RFC 7281).

Nothing below the header block may change, and no mark of ours may say "verified" unless the judgment does.
"""

from __future__ import annotations

from gateway.tagging.forged import Stripped, strip, stripped
from gateway.tagging.marks import tag
from gateway.tagging.sentences import words

__all__ = ["Stripped", "strip", "stripped", "tag", "words"]

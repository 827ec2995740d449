"""Which key signs: the ones a ruling speaks of, in its order, and whether the one found may sign now (R02).

The certificate is asked about before every signature; a key that may not sign now is never replaced by another in
silence: what is to happen then stands in the policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.core.decision import KeyChoice
from gateway.core.reply import Reply
from gateway.core.unfit import UNFIT
from gateway.ports import KeyKind
from gateway.service.authorship import key_covers, key_refusal, signed_as

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.core.decision import Sign
    from gateway.ports import KeyCatalog, SigningKey
    from gateway.service.authorship import Authorship
    from gateway.service.intake import World


_KINDS: Final = {
    KeyChoice.PERSONAL: (KeyKind.PERSONAL,),
    KeyChoice.ORGANIZATION: (KeyKind.ORGANIZATION,),
    KeyChoice.PERSONAL_ELSE_ORGANIZATION: (KeyKind.PERSONAL, KeyKind.ORGANIZATION),
}


@dataclass(frozen=True, slots=True)
class Unable:
    """A permanent cause for which a required signature is impossible, in words for the sender."""

    reason: str
    vietnamese: str
    english: str

    def reply(self) -> Reply:
        """Return the refusal."""
        return Reply.of(550, "5.7.1", f"Không ký được: {self.vietnamese} / cannot sign: {self.english}")


def choose_key(world: World, decision: Sign, authorship: Authorship, now: datetime) -> SigningKey | Unable:
    """Return the key the decision asks for, if it may sign for the author now."""
    author = authorship.author
    key, reason = None, "no_key"
    for candidate in _candidates(world.catalog, decision, authorship):
        refusal = key_covers(candidate, authorship, decision)
        if refusal is None:
            key = candidate
            break
        reason = refusal
    if key is None:
        words = key_refusal(reason, author)
        if words is not None:
            return Unable(reason, *words)
        if decision.label is not None and reason != "no_key":
            label = decision.label
            return Unable(reason, f"khóa {label} không cấp cho {author}", f"key {label} is not for {author}")
        return Unable(reason, f"không có khóa ký cho {author}", f"there is no signing key for {author}")
    fault = world.catalog.unfit(key, now)
    if fault is not None:
        vietnamese, english = UNFIT.get(fault, (f"khóa ký không dùng được: {fault}", f"the key is not usable: {fault}"))
        return Unable(fault, f"{vietnamese} ({key.label})", f"{english} ({key.label})")
    return key


def _candidates(catalog: KeyCatalog, decision: Sign, authorship: Authorship) -> list[SigningKey]:
    """Return the keys that the decision speaks of, in its order."""
    if decision.label is not None:
        found = [catalog.by_label(decision.label)]
    else:
        mailboxes = signed_as(authorship, decision)
        found = [catalog.for_author(mailbox, kind) for kind in _KINDS[decision.key] for mailbox in mailboxes]
    return [each for each in found if each is not None]

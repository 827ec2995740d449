"""Nothing of ours leaves before other eyes have seen it: the check of every finished message, and OpenSSL's of some.

Every message is cut and walked again (`smime.own_work`). The first of each key, template and form, and then one in a
hundred, waits for a second opinion. What fails is a fault of ours: it raises an alarm, and is never delivered.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NoReturn

import structlog

from gateway.core.decision import SignatureForm
from gateway.core.octets import PASSED, WINDOW
from gateway.smime.own_work import check_own_work

if TYPE_CHECKING:
    from gateway.cms.sign import SigningTemplate
    from gateway.core.message import Message
    from gateway.ports import SecondOpinion, SigningKey

ONE_IN: Final = 100
"""After the first message of a key, template and form, one of so many waits for the second opinion."""


class SelfCheckError(Exception):
    """Our own finished message did not verify: it must never be delivered. `code` is stable."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SelfCheck:
    """Counts messages; where no second opinion has found a template good, every message waits for one."""

    def __init__(self, opinion: SecondOpinion) -> None:
        """Keep who is asked."""
        self._opinion = opinion
        self._counts: dict[tuple[str, SignatureForm], tuple[SigningTemplate, int]] = {}
        self._log = structlog.get_logger("gateway.selfcheck")

    async def pass_or_raise(self, finished: Message, key: SigningKey, form: SignatureForm) -> bool:
        """Return whether a second opinion was heard; raises `SelfCheckError`, and `ServiceError` if none can be had."""
        certificate, sent_along = key.certificate, key.template.certificates
        if len(finished) <= (WINDOW if form is SignatureForm.OPAQUE else PASSED):
            fault = check_own_work(finished, certificate=certificate, sent_along=sent_along)
        else:  # hashing it here would stop other sessions
            fault = await asyncio.to_thread(check_own_work, finished, certificate=certificate, sent_along=sent_along)
        if fault is not None:
            self._alarm(key, form, fault)
        if not self._is_due(key, form):
            return False
        fault = await self._opinion.verify(finished, key.certificate)
        if fault is not None:
            self._counts.pop((key.label, form), None)
            self._alarm(key, form, fault)
        if not self._is_known(key, form):
            self._counts[key.label, form] = (key.template, 1)
        return True

    def _alarm(self, key: SigningKey, form: SignatureForm, fault: str) -> NoReturn:
        self._log.error("our own signature does not verify; the message is held", key=key.label, form=form, fault=fault)
        raise SelfCheckError(fault)

    def _is_known(self, key: SigningKey, form: SignatureForm) -> bool:
        """True if this template was found good, octet for octet: one that was loaded again may be another."""
        known = self._counts.get((key.label, form))
        return known is not None and (known[0] is key.template or known[0] == key.template)

    def _is_due(self, key: SigningKey, form: SignatureForm) -> bool:
        """Count a message, and return whether a second opinion is due."""
        if not self._is_known(key, form):
            return True
        template, count = self._counts[key.label, form]
        self._counts[key.label, form] = (template, count + 1)
        return count % ONE_IN == 0

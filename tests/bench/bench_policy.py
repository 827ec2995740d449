"""How long a policy of 1,000 rules takes for one message: `PYTHONPATH=tests python tests/bench/bench_policy.py`.

The goal is 100 microseconds per message. The mix is that of a province: a few mandatory rules, two for each of 400
agencies, rules for single staff members, partners, groups and subjects, and the visible end.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
import timeit
from typing import TYPE_CHECKING, Final

from gateway.core.address import Mailbox
from gateway.policy.engine import rule_outbound
from gateway.policy.model import Facts
from gateway.policy.schema import AgencyFile, load_policy
from support.policies import Marks

if TYPE_CHECKING:
    from gateway.core.verdict import Signer

AGENCIES: Final = 400
ROUNDS: Final = 2000


class Hundreds:
    """Agencies a0, a1 ..., each with a domain of its own."""

    digest = "bench"

    def knows(self, agency: str) -> bool:
        return agency.startswith("a")

    def agency_of(self, mailbox: Mailbox) -> str | None:
        head, _, rest = mailbox.domain.partition(".")
        return head if rest == "tinh.example" else None

    def agency_of_signer(self, signer: Signer) -> str | None:
        return self.agency_of(Mailbox.parse(signer.san_addresses[0])) if signer.san_addresses else None

    def is_local(self, mailbox: Mailbox) -> bool:
        return mailbox.domain.endswith("tinh.example")


def main_file() -> str:
    """Return the province's rules: 200, and the place of the agencies'."""
    lines = [
        "defaults: {key: personal_else_organization, if_unable: refuse}",
        "groups: {offices: {mailboxes: ['vanthu@a7.tinh.example'], logins: [mot-cua]}}",
        "rules:",
        "  - {name: secrets, direction: outbound, when: {marking: [mat]}, then: {refuse: {vi: a, en: b}}}",
        "  - {name: held, direction: outbound, when: {partly_read: true}, then: {hold: {reason: x}}}",
        "  - {name: machine, direction: outbound, when: {any: [{reverse_path: '<>'}, {traits: [list]}]}, then: pass}",
        "  - agencies",
    ]
    for n in range(90):
        lines.append(f"  - {{name: p{n}, direction: outbound, when: {{author: 'u{n}@a1.tinh.example'}}, then: sign}}")
        lines.append(f"  - {{name: d{n}, direction: outbound, when: {{recipient: '@d{n}.example'}}, then: pass}}")
    for n in range(10):
        asked = f"{{subject_contains: 'từ {n}', attachment: true}}"
        lines.append(f"  - {{name: s{n}, direction: outbound, when: {asked}, then: sign}}")
        asked = f"{{subject_matches: '^số {n}[0-9]+/', recipient_is: outside}}"
        lines.append(f"  - {{name: m{n}, direction: outbound, when: {asked}, then: sign}}")
    lines.append("  - {name: offices, direction: outbound, when: {group: offices}, then: sign}")
    lines.append("  - {name: end, direction: outbound, then: sign}")
    return "\n".join(lines)


def agency_file(agency: str) -> AgencyFile:
    """Return two rules of one agency."""
    text = (
        f"rules:\n  - {{name: x, direction: outbound, when: {{subject_contains: 'hỏi {agency}'}}, then: sign}}\n"
        "  - {name: y, direction: outbound, when: {recipient: '@z.example', larger_than: 5 MiB}, then: pass}\n"
    )
    return AgencyFile(agency, agency, text)


def message(author: str) -> Facts:
    """Return the facts of a plain message."""
    return Facts.of(
        author=Mailbox.parse(author),
        login="lan",
        listener="submission",
        reverse_path=Mailbox.parse(author),
        form="plain",
        traits=Marks(),
        subject="Kết quả giải quyết hồ sơ số 17/2026 của công dân trên địa bàn",
        size=20_000,
        at=dt.datetime(2026, 3, 4, 5, 0, tzinfo=dt.UTC),
    )


def main() -> None:
    """Print microseconds per message, processor time, the best of ten runs."""
    began = timeit.default_timer()
    policy = load_policy(
        [("main", main_file())],
        agencies=[agency_file(f"a{n}") for n in range(AGENCIES)],
        directory=Hundreds(),
    )
    sys.stdout.write(f"{len(policy.rules)} rules, loaded in {timeit.default_timer() - began:.2f} s\n")
    for name, recipients in (("one recipient", 1), ("twenty recipients", 20)):
        facts = message("lan@a7.tinh.example")
        to = tuple(Mailbox.parse(f"r{n}@congdan{n}.example") for n in range(recipients))
        timer = timeit.Timer(lambda facts=facts, to=to: rule_outbound(policy, facts, to), timer=time.process_time)
        seconds = min(timer.repeat(repeat=10, number=ROUNDS // 10))
        sys.stdout.write(f"{name}: {seconds / (ROUNDS // 10) * 1e6:.1f} us per message\n")


if __name__ == "__main__":
    main()

"""Every row of the decision table and the tests that hold it: whoever removes one of them hears which row is bare.

The rows, in short (decision 33 has what differs): 1 cut-through, 2 refused by a rule, 3 spool first, 4 mixed RCPT,
5 all refused, 6 all put off, 7 hop not usable, 8 budget spent before our dot, 9 after it, 10 lost after our dot, 11 no
COMMIT then, 12 client gone before its dot, 13 after it, 14 `relayed` owed, 15 dispatch, 16 LMTP, 17 key away, 18 our
bug, 19 cannot travel, 20 store in trouble.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[2]
FIRST: Final = "unit/delivery/test_handover.py"
REST: Final = "unit/delivery/test_handover_rest.py"
MODEL: Final = "unit/delivery/test_handover_model.py::test_nothing_is_lost_refused_but_delivered_or_doubled"
FULL: Final = "crash/test_disk_full_points.py"
_FUNCTION: Final = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
ROWS: Final[dict[int, tuple[str, ...]]] = {
    1: (f"{FIRST}::test_row_1_cut_through", f"{FULL}::test_row_1_what_needs_no_room_needs_no_room", MODEL),
    2: (
        "unit/service/test_inbound.py::test_a_refusal_of_everybody_is_the_reply",
        "unit/service/test_outbound.py::test_one_refused_share_refuses_the_whole_message",
    ),
    3: (
        f"{FIRST}::test_row_3_what_is_kept_is_committed",
        f"{FIRST}::test_row_3_several_shares_are_committed_together",
        "unit/service/test_inbound.py::test_a_refusal_of_some_becomes_quarantine",
        f"{FULL}::test_row_3_spool_first",
    ),
    4: (
        f"{FIRST}::test_row_4_mixed_recipients_commit_before_the_dot",
        f"{FIRST}::test_row_4_no_commit_no_dot",
        f"{FULL}::test_row_4_before_the_dot",
        "wire/test_journey_submission.py::test_mixed_recipients",
        MODEL,
    ),
    5: (f"{FIRST}::test_row_5_a_refusal_of_all_is_ours", MODEL),
    6: (f"{FIRST}::test_row_6_a_delay_for_all", f"{FULL}::test_row_6_put_off_by_the_hop", MODEL),
    7: (f"{FIRST}::test_row_7_an_unusable_hop", f"{FULL}::test_row_7_the_hop_is_out_of_order"),
    8: (f"{FIRST}::test_row_8_the_budget_ends_before_the_dot",),
    9: (
        f"{FIRST}::test_row_9_the_outstanding_answer_settles",
        f"{FIRST}::test_row_9_an_answer_that_never_comes",
        MODEL,
    ),
    10: (
        f"{FIRST}::test_row_10_lost_after_the_dot",
        "unit/relay/test_connection.py::test_no_answer_after_the_dot_is_unknown_not_failed",
        MODEL,
    ),
    11: (
        f"{FIRST}::test_row_11_after_9_the_hops_answer_is_waited_for",
        f"{FIRST}::test_row_11_after_10",
        f"{FULL}::test_row_11_the_dot_is_not_answered_in_time",
        f"{FULL}::test_row_11_the_dot_will_never_be_answered",
        MODEL,
    ),
    12: ("wire/test_smtp_session.py::test_eof_inside_data_takes_nothing",),
    13: (
        f"{REST}::test_row_13_the_clients_leaving_changes_nothing",
        "wire/test_smtp_session.py::test_an_acceptance_outlives_its_client",
        "crash/test_whose_reply.py::test_no_reply_is_given_to_another_message",
        MODEL,
    ),
    14: (f"{REST}::test_row_14_a_hop_without_dsn",),
    15: (
        "unit/delivery/test_reports.py::test_every_combination",
        "unit/delivery/test_reports.py::test_nobody_else_is_told",
        f"{FULL}::test_row_15_what_was_delivered_is_settled",
        f"{FULL}::test_row_15_a_notice_is_owed",
        "crash/test_gateway_kill.py::test_every_acknowledged_message_arrives",
    ),
    16: (f"{REST}::test_row_16_lmtp", f"{REST}::test_row_16_lmtp_lost_between_answers", MODEL),
    17: ("unit/service/test_signing.py::test_a_key_that_is_away_lets_the_raw_message_wait",),
    18: (f"{REST}::test_row_18_our_own_bugs", f"{REST}::test_row_18_a_bug_after_the_commit"),
    19: (f"{REST}::test_row_19_what_cannot_travel", "unit/service/test_intake.py::test_a_loop_is_refused"),
    20: (
        f"{REST}::test_row_20_the_store_is_full_or_out_of_order",
        f"{REST}::test_row_20_an_unknown_outcome_is_asked_once_more",
        "unit/spool/test_shared.py::test_a_commit_whose_answer_is_lost",
        "crash/test_disk_trouble.py::test_the_disk_is_full_for_a_while",
        "wire/test_failures.py::test_too_little_room",
    ),
}


@lru_cache
def functions(file: str) -> frozenset[str]:
    """Return the names of the tests in a file."""
    return frozenset(_FUNCTION.findall((TESTS / file).read_text(encoding="utf-8")))


def test_no_row_is_left_out() -> None:
    """The table has twenty rows."""
    assert list(ROWS) == list(range(1, 21))


@pytest.mark.parametrize("row", ROWS)
def test_each_row_has_its_tests(row: int) -> None:
    """All of them are there."""
    assert ROWS[row]
    for each in ROWS[row]:
        file, _, name = each.partition("::")
        assert name in functions(file), each

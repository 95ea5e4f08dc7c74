"""What passes as conforming, and what does not: the judge of ``compliance/``."""

from __future__ import annotations

import json

import pytest

from compliance import autobahn, tables
from compliance.judge import Outcome, explain, judge, read_indexes


def index(**reports):
    """An ``index.json`` as the suite writes it, of cases named ``c1_2`` for 1.2."""
    return {
        "a server": {
            name[1:].replace("_", "."): {"behavior": behavior, "behaviorClose": close}
            for name, (behavior, close) in reports.items()
        }
    }


def outcome(behavior, close="OK"):
    return Outcome("1.1.1", behavior, close)


@pytest.mark.parametrize("behavior", ["OK", "INFORMATIONAL"])
@pytest.mark.parametrize("close", ["OK", "INFORMATIONAL"])
def test_only_these_pass(behavior, close):
    assert outcome(behavior, close).passed


@pytest.mark.parametrize(
    "behavior", ["NON-STRICT", "FAILED", "UNIMPLEMENTED", "a word of a later version"]
)
def test_all_else_fails(behavior):
    assert not outcome(behavior).passed
    assert outcome(behavior).verdict == behavior


@pytest.mark.parametrize("close", ["WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", "FAILED"])
def test_the_close_counts(close):
    assert not outcome("OK", close).passed
    assert outcome("OK", close).verdict == f"close {close}"


def test_a_case_without_a_report_fails():
    first, second = judge(["1.1", "1.2"], [index(c1_1=("OK", "OK"))])
    assert first.passed
    assert not second.passed
    assert second == Outcome("1.2", "MISSING", "MISSING")


def test_no_reports_at_all_fail_every_case():
    assert [each.passed for each in judge(["1.1", "1.2"], [])] == [False, False]


def test_outcomes_of_all_parts_come_in_the_order_of_the_cases():
    parts = [index(c10_1=("OK", "OK")), index(c9_1=("FAILED", "OK"))]
    assert judge(["9.1", "10.1"], parts) == [
        Outcome("9.1", "FAILED", "OK"),
        Outcome("10.1", "OK", "OK"),
    ]


def test_reports_are_read_from_the_folders_of_all_parts(tmp_path):
    for part in (index(c1_1=("OK", "OK")), index(c2_1=("NON-STRICT", "OK"))):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (folder / "index.json").write_text(json.dumps(part))
    assert [each.passed for each in judge(["1.1", "2.1"], read_indexes(tmp_path))] == [True, False]


def test_a_failure_is_explained_by_its_own_report(tmp_path):
    report = {
        "description": "Send <b>RSV = 2</b>.",
        "expectation": "The connection is failed.",
        "result": "It was not.",
        "resultClose": "Connection was properly closed",
        "remoteCloseCode": 1000,
    }
    other = {**report, "expectation": "Something else."}
    (tmp_path / "a_server_case_3_2.json").write_text(json.dumps(report))
    (tmp_path / "a_server_case_13_2.json").write_text(json.dumps(other))
    text = explain(Outcome("3.2", "FAILED", "OK"), tmp_path)
    assert "3.2  FAILED" in text
    assert "Send RSV = 2 ." in text
    assert "The connection is failed." in text
    assert "Something else." not in text


def test_a_missing_case_is_explained_without_a_report(tmp_path):
    assert "3.2  MISSING" in explain(Outcome("3.2", "MISSING", "MISSING"), tmp_path)


def test_batches_leave_no_case_out():
    cases = ["1.1.1", "1.2.1", "2.1", "9.1.1", "9.1.2", "9.2.1", "10.1.1", "12.1.1", "13.1.1"]
    parts = autobahn.batches(cases)
    assert sorted(case for part in parts for case in part) == sorted(cases)
    assert ["9.1.1", "9.1.2"] in parts
    assert ["1.1.1", "1.2.1"] in parts
    assert parts[0] == ["13.1.1"]


OUTCOMES = [
    Outcome("1.1.1", "OK", "OK"),
    Outcome("1.1.2", "OK", "WRONG CODE"),
    Outcome("2.1", "FAILED", "OK"),
    Outcome("2.2", "FAILED", "UNCLEAN"),
    Outcome("7.1", "INFORMATIONAL", "INFORMATIONAL"),
]


def test_a_table_of_outcomes_by_section():
    assert (
        tables.one_server(OUTCOMES)
        == """\
=================  =====  ==  =============  ======  ================
Section            Cases  OK  INFORMATIONAL  FAILED  close WRONG CODE
=================  =====  ==  =============  ======  ================
1 Framing              2   1                                        1
2 Pings and Pongs      2                          2
7 Closing              1                  1
all                    5   1              1       2                 1
=================  =====  ==  =============  ======  ================"""
    )


def test_a_table_of_what_passed_by_server():
    assert (
        tables.side_by_side(
            {"ours": OUTCOMES, "theirs": judge([each.case for each in OUTCOMES], [])}
        )
        == """\
=================  =====  ====  ======
Section            Cases  ours  theirs
=================  =====  ====  ======
1 Framing              2     1       0
2 Pings and Pongs      2     0       0
7 Closing              1     1       0
all                    5     2       0
=================  =====  ====  ======"""
    )


def test_failures_are_named_by_verdict_and_neighbours_together():
    later = Outcome("9.1.1", "FAILED", "OK")
    assert tables.failures([*OUTCOMES, later]) == "close WRONG CODE 1.1.2; FAILED 2.1 to 2.2, 9.1.1"


def test_where_all_passed_no_failure_is_named():
    assert tables.failures(OUTCOMES[:1]) == ""

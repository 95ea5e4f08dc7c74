"""Outcomes as tables of reStructuredText, which read well in a terminal too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby

from compliance.judge import PASSES, SECTIONS, Outcome


def table(rows: Sequence[Sequence[object]]) -> str:
    """A simple table; the first row is its head, all columns but the first are to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in cells
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def _title(section: str) -> str:
    return f"{section} {SECTIONS.get(section, '')}".strip()


def _verdicts(outcomes: Sequence[Outcome]) -> list[str]:
    """Every verdict that was given: what passes first, then the most frequent first."""
    counts = Counter(outcome.verdict for outcome in outcomes)
    return [*PASSES, *(verdict for verdict, _ in counts.most_common() if verdict not in PASSES)]


def one_server(outcomes: Sequence[Outcome]) -> str:
    """A row for each section, a column for each verdict."""
    verdicts = _verdicts(outcomes)
    rows: list[list[object]] = [["Section", "Cases", *verdicts]]
    counts = [
        (_title(section), Counter(outcome.verdict for outcome in run))
        for section, run in groupby(outcomes, lambda outcome: outcome.section)
    ]
    counts.append(("all", Counter(outcome.verdict for outcome in outcomes)))
    for title, count in counts:
        rows.append([title, count.total(), *(count[verdict] or "" for verdict in verdicts)])
    return table(rows)


def side_by_side(servers: Mapping[str, Sequence[Outcome]]) -> str:
    """How many cases passed: a row for each section, a column for each server."""
    every = next(iter(servers.values()))
    passed = [
        Counter(outcome.section for outcome in outcomes if outcome.passed)
        for outcomes in servers.values()
    ]
    rows: list[list[object]] = [["Section", "Cases", *servers]]
    for section, count in Counter(outcome.section for outcome in every).items():
        rows.append([_title(section), count, *(column[section] for column in passed)])
    rows.append(["all", len(every), *(column.total() for column in passed)])
    return table(rows)


def verdicts_side_by_side(servers: Mapping[str, Sequence[Outcome]]) -> str:
    """How often each verdict was given: a row for each, a column for each server."""
    counts = [Counter(outcome.verdict for outcome in each) for each in servers.values()]
    every = [outcome for outcomes in servers.values() for outcome in outcomes]
    rows: list[list[object]] = [["Outcome", *servers]]
    rows += [[verdict, *(count[verdict] for count in counts)] for verdict in _verdicts(every)]
    return table(rows)


def failures(outcomes: Sequence[Outcome]) -> str:
    """The cases that did not pass, by verdict, neighbours as a span; "" if all passed."""
    spans: dict[str, list[str]] = {}
    for verdict, run in groupby(outcomes, lambda outcome: outcome.verdict):
        if verdict not in PASSES:
            cases = [outcome.case for outcome in run]
            span = cases[0] if len(cases) == 1 else f"{cases[0]} to {cases[-1]}"
            spans.setdefault(verdict, []).append(span)
    return "; ".join(f"{verdict} {', '.join(each)}" for verdict, each in spans.items())

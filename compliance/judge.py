"""What the reports of the test suite come to. Pure: reads what it is given and runs nothing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

OK = "OK"
INFORMATIONAL = "INFORMATIONAL"
MISSING = "MISSING"  # our own word, for a case that has no report
PASSES = (OK, INFORMATIONAL)

SECTIONS = {
    "1": "Framing",
    "2": "Pings and Pongs",
    "3": "Reserved bits",
    "4": "Opcodes",
    "5": "Fragmentation",
    "6": "UTF-8",
    "7": "Closing",
    "9": "Limits, performance",
    "10": "Auto-fragmentation",
    "12": "Compression: payloads",
    "13": "Compression: parameters",
}


class Outcome(NamedTuple):
    """How a server behaved in one case, and how it closed, in the suite's own words."""

    case: str
    behavior: str
    close: str

    @property
    def section(self) -> str:
        return self.case.partition(".")[0]

    @property
    def passed(self) -> bool:
        """NON-STRICT is no pass, and neither is a good answer with a bad ending."""
        return self.behavior in PASSES and self.close in PASSES

    @property
    def verdict(self) -> str:
        """The two in one word, or two where only the ending was wrong."""
        if self.behavior not in PASSES:
            return self.behavior
        if self.close not in PASSES:
            return f"close {self.close}"
        return INFORMATIONAL if INFORMATIONAL in (self.behavior, self.close) else OK


def judge(cases: Sequence[str], indexes: Iterable[Mapping[str, Any]]) -> list[Outcome]:
    """The outcome of every case, in order, from the ``index.json`` of each part of the run."""
    reports = {
        case: report
        for index in indexes
        for agent in index.values()
        for case, report in agent.items()
    }
    missing = {"behavior": MISSING, "behaviorClose": MISSING}
    return [
        Outcome(case, str(report["behavior"]), str(report["behaviorClose"]))
        for case in cases
        for report in [reports.get(case, missing)]
    ]


def read_indexes(folder: Path) -> list[dict[str, Any]]:
    """Every index below a folder, one for each part of the run."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("**/index.json"))]


def explain(outcome: Outcome, folder: Path) -> str:
    """A case that did not pass: what was expected, and what the suite says came instead."""
    lines = [f"{outcome.case}  {outcome.behavior}, close {outcome.close}"]
    for path in folder.glob(f"**/*_case_{outcome.case.replace('.', '_')}.json"):
        report = json.loads(path.read_text())
        lines += [
            f"    does       {_plain(report['description'])}",
            f"    expects    {_plain(report['expectation'])}",
            f"    result     {_plain(report['result'])}",
            f"    close      {_plain(report['resultClose'])} ({report['remoteCloseCode']})",
            f"    report     {os.path.relpath(path.with_suffix('.html'))}",
        ]
    return "\n".join(lines)


def _plain(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())

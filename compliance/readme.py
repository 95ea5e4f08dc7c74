"""Puts the tables of a run where README.rst has those of the last one."""

from __future__ import annotations

import json
import platform
import textwrap
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from compliance import autobahn, tables
from compliance.judge import Outcome
from compliance.servers import SERVERS

README = Path(__file__).resolve().with_name("README.rst")
BEGIN = ".. What follows is written by `python -m compliance --rst`.\n"
END = ".. What precedes is written by `python -m compliance --rst`.\n"

TIMES = {
    "seconds": "from start to end",
    "suite_cpu_seconds": "CPU time of the suite",
    "server_cpu_seconds": "CPU time of the server",
}


def write(outcomes: Mapping[str, Sequence[Outcome]], reports: Path) -> None:
    """Replace the tables by those of these servers."""
    facts = {
        name: json.loads((reports / name / "run.json").read_text(encoding="utf-8"))
        for name in outcomes
    }
    named = {SERVERS[name].name: each for name, each in outcomes.items()}
    versions = {
        "autobahntestsuite": autobahn.version(),
        "Python": platform.python_version(),
        **{
            package: version
            for each in facts.values()
            for package, version in each["versions"].items()
        },
    }
    days = sorted({date.fromisoformat(each["date"]) for each in facts.values()})
    blocks = [
        _filled(
            f"Measured on {' and '.join(f'{day:%-d %B %Y}' for day in days)} with"
            f" {', '.join(' '.join(item) for item in versions.items())}. Cases that passed:"
        ),
        tables.side_by_side(named),
        "What the suite said of all the cases together:",
        tables.verdicts_side_by_side(named),
        *(
            _filled(f"Not passed by {name}: {failed}.")
            for name, each in named.items()
            if (failed := tables.failures(each))
        ),
        "What it took, in seconds:",
        tables.table(
            [
                ["Time", *named],
                *(
                    [title, *(facts[name][key] for name in outcomes)]
                    for key, title in TIMES.items()
                ),
            ]
        ),
    ]
    head, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    text = "\n\n".join(blocks)
    README.write_text(f"{head}{BEGIN}\n{text}\n\n{END}{tail}", encoding="utf-8")


def _filled(text: str) -> str:
    return textwrap.fill(text, 100, break_on_hyphens=False)

"""Where figures are kept: a JSON file that grows by scenarios, its tables and its charts."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import charts, tables
from bench.measure import machine
from bench.measuring import Outcome, Stage
from bench.peers.known import OURS, PEERS, VERSIONS
from bench.scenarios import SCENARIOS, Scenario
from bench.summary import summarize

FOLDER = Path(__file__).resolve().parent / "results"
FIGURES, TABLES = "results.json", "results.rst"


def record(scenario: Scenario, outcome: Outcome, stage: Stage) -> dict[str, Any]:
    """A scenario as the JSON file has it: how it was run, and a row per peer."""
    baseline = outcome.samples.get(OURS)
    rows = []
    for name in PEERS:
        if own := outcome.samples.get(name):
            figures = summarize(own, baseline)
            rows.append(
                {"peer": name, "figures": {key: asdict(each) for key, each in figures.items()}}
            )
    return {
        "title": scenario.title,
        "kind": scenario.kind,
        "applications": scenario.applications,
        "unit": scenario.unit,
        "clients": stage.clients(scenario),
        "size": scenario.size,
        "depth": scenario.depth,
        "rounds": 1 if scenario.kind == "idle" else stage.rounds,
        "seconds": stage.seconds * scenario.longer,
        "date": datetime.date.today().isoformat(),
        "machine": machine(VERSIONS),
        "rows": rows,
        "failed": outcome.failed,
    }


def load(folder: Path) -> dict[str, Any]:
    """What a folder has."""
    file = folder / FIGURES
    return json.loads(file.read_text()) if file.exists() else {"scenarios": {}}


def keep(new: Mapping[str, Any], folder: Path) -> list[Path]:
    """Add scenarios to those of a folder, or put them in their places; write all files anew."""
    return [store(new, folder), *draw(folder)]


def store(new: Mapping[str, Any], folder: Path) -> Path:
    """Add scenarios to the figures of a folder; its tables and charts stay as they are."""
    found = {**load(folder)["scenarios"], **new}
    folder.mkdir(parents=True, exist_ok=True)
    ordered = {name: found[name] for name in SCENARIOS if name in found}
    everything = {"scenarios": ordered}
    (folder / FIGURES).write_text(dumps(everything) + "\n")
    return folder / FIGURES


def draw(folder: Path) -> list[Path]:
    """Write the tables and the charts of the figures in a folder."""
    found = load(folder)
    (folder / TABLES).write_text(document(found) + "\n")
    return [folder / TABLES, *charts.draw(found, folder)]


def dumps(value: Any) -> str:
    """JSON with a line for each figure, so that a change of one can be seen in a diff."""
    text = json.dumps(rounded(value), indent=1)
    return re.sub(r"\{\s+(\"median\": \S+)\s+(\S+ \S+)\s+(\S+ \S+)\s+\}", r"{\1 \2 \3}", text)


def rounded(value: Any) -> Any:
    """Five digits of each number, which is more than any of them is good for."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return value


def caption(scenario: Mapping[str, Any]) -> str:
    """How a scenario was measured."""
    if scenario["kind"] == "idle":
        return f"Clients: {scenario['clients']:,}. {scenario['date']}."
    windows = "a storm" if scenario["kind"] == "storm" else f"{scenario['seconds']:g} s"
    return (
        f"Clients: {scenario['clients']:,}; rounds: {scenario['rounds']}, {windows} each; "
        f"medians. {scenario['date']}."
    )


def facts(scenario: Mapping[str, Any]) -> str:
    """The machine and the versions, in a line."""
    return ", ".join(f"{name} {value}" for name, value in scenario["machine"].items())


def document(found: Mapping[str, Any]) -> str:
    """Every table, each under its title."""
    parts = []
    places = dict.fromkeys(facts(scenario) for scenario in found["scenarios"].values())
    for scenario in found["scenarios"].values():
        title = scenario["title"]
        parts += [f"{title}\n{'-' * len(title)}", caption(scenario), tables.table(scenario)]
    return "\n\n".join([".. Written by: python -m bench run", *parts, *places])

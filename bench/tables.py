"""The figures as text: tables that are reStructuredText and can be read as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.grid import grid
from bench.peers.known import FLOOR, PEERS

# Parts of a core. Above the first the load generator may have been the slower of the two; where
# both stay below, neither was busy throughout, so somebody else was.
LOAD_LIMIT = 0.95
SERVER_IDLE = 0.85
BUSY, CROWDED = "*", "~"
NOTES = {
    BUSY: "the load generator was busy throughout: the server may do more",
    CROWDED: "neither had its core to itself: run it again when the machine is quiet",
}

Record = Mapping[str, Any]  # a scenario, or a row of it, as in the JSON file


@dataclass(frozen=True)
class Column:
    """A heading of two lines, and how a figure is written."""

    first: str
    second: str
    write: Callable[[Record], str]


def plain(name: str, factor: float = 1.0, digits: int = 0) -> Callable[[Record], str]:
    """A median."""

    def write(figures: Record) -> str:
        if name not in figures:
            return "-"
        return f"{figures[name]['median'] * factor:,.{digits}f}"

    return write


def spread(name: str, factor: float = 1.0, digits: int = 0) -> Callable[[Record], str]:
    """Its quartiles."""

    def write(figures: Record) -> str:
        if name not in figures:
            return "-"
        low, high = (figures[name][end] * factor for end in ("low", "high"))
        return f"{low:,.{digits}f} - {high:,.{digits}f}"

    return write


def latency(name: str) -> Column:
    return Column({"p999": "p99.9"}.get(name, name), "ms", plain(name, 1e3, 2))


def columns(scenario: Record) -> list[Column]:
    """What is shown of a scenario."""
    if scenario["kind"] == "idle":
        return [
            Column("KiB per", "socket", plain("memory", 2**-10, 1)),
            Column("to", "ours", plain("to_ours_memory", digits=2)),
            Column("KiB, one", "echo each", plain("memory_spoken", 2**-10, 1)),
            Column("RSS", "MiB", plain("resident", 2**-20)),
        ]
    shown = [
        Column(f"{scenario['unit']}", "/s", plain("rate")),
        Column("", "quartiles", spread("rate")),
        Column("to", "ours", plain("to_ours_rate", digits=2)),
        Column("CPU us", "each", plain("cpu", 1e6, 1)),
        Column("to", "ours", plain("to_ours_cpu", digits=2)),
        Column("", "quartiles", spread("to_ours_cpu", digits=2)),
        *(latency(name) for name in ("p50", "p99", "p999")),
        Column("RSS", "MiB", plain("resident", 2**-20)),
        Column("load", "core", plain("load_core", 100)),
    ]
    if scenario["unit"] == "handshakes":
        shown.append(Column("tried", "again", plain("retries")))
    return shown


def mark(scenario: Record, figures: Record) -> str:
    """The sign of a row where something else than the server was the limit."""
    if scenario["kind"] in ("idle", "pace", "storm") or scenario["clients"] == 1:
        return ""
    if figures["load_core"]["median"] > LOAD_LIMIT:
        return BUSY
    if "query" in scenario["applications"]:
        return ""  # it waits for PostgreSQL, which shares the core of the load
    return CROWDED if figures["server_core"]["median"] < SERVER_IDLE else ""


def table(scenario: Record) -> str:
    """One scenario: a simple table of reStructuredText, and what is to be said about it."""
    shown = columns(scenario)
    lines = [["server", "", *(c.first for c in shown)], ["", "", *(c.second for c in shown)]]
    marks = []
    for row in scenario["rows"]:
        sign = mark(scenario, row["figures"])
        marks.append(sign)
        lines.append([PEERS[row["peer"]].title, sign, *(c.write(row["figures"]) for c in shown)])
    if not any(marks):
        lines = [[line[0], *line[2:]] for line in lines]
    rest = [f"{PEERS[name].title}: {why}" for name, why in scenario["failed"].items()]
    notes = [f"{sign} {note}." for sign, note in NOTES.items() if sign in marks]
    if any(row["peer"] == FLOOR for row in scenario["rows"]) and scenario["kind"] == "echo":
        notes.append(f"{PEERS[FLOOR].title}: no server, but what the load generator can do.")
    return "\n\n".join([grid(lines), *notes, *rest])

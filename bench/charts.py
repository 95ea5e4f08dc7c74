"""The figures as pictures: bars for each peer, PNG and SVG. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.peers.known import FLOOR, PEERS

OURS_COLOUR, PEER_COLOUR = "#0c4b33", "#9fb8ad"  # Django's green, and a paler one
ENDS = ("median", "low", "high")


@dataclass(frozen=True)
class Panel:
    """One figure of one scenario."""

    scenario: str
    figure: str
    title: str
    factor: float = 1.0
    digits: int = 0


CHARTS: Mapping[str, Sequence[Panel]] = {
    "cpu": (
        Panel("echo-32", "cpu", "CPU us per echo, 100 clients", 1e6, 1),
        Panel("clients-2000", "cpu", "CPU us per echo, 2,000 clients", 1e6, 1),
        Panel("clients-10000", "cpu", "CPU us per echo, 10,000 clients", 1e6, 1),
    ),
    "throughput": (
        Panel("echo-32", "rate", "echoes/s, 100 clients"),
        Panel("in-flight-16", "rate", "echoes/s, 16 under way each"),
        Panel("echo-64k", "rate", "MB/s, 64 KiB", 65536 / 1e6),
        Panel("echo-1m", "rate", "MB/s, 1 MiB", 2**20 / 1e6),
    ),
    "handshakes": (
        Panel("handshakes", "rate", "handshakes/s"),
        Panel("storm", "rate", "handshakes/s, 5,000 come back"),
        Panel("storm", "worst", "s until the last is back", 1, 1),
    ),
    "memory": (Panel("idle", "memory", "KiB per idle socket", 2**-10, 1),),
    "django": (
        Panel("user", "cpu", "CPU us per echo, session and user", 1e6, 1),
        Panel("query", "rate", "echoes/s with a query each"),
        Panel("compressed", "cpu", "CPU us per echo, 2 KiB deflated", 1e6, 1),
    ),
    "latency": (
        Panel("paced", "p50", "p50 ms, 10,000 messages/s", 1e3, 2),
        Panel("paced", "p99", "p99 ms, 10,000 messages/s", 1e3, 2),
    ),
}


def draw(found: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw what there are figures for; return the files. None without matplotlib."""
    if not find_spec("matplotlib"):
        return []
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "bench"  # the same figures make the same file
    matplotlib.rcParams["svg.fonttype"] = "none"  # text as text, which is smaller
    matplotlib.rcParams["font.size"] = 8
    files = []
    for name, panels in CHARTS.items():
        if ready := [panel for panel in panels if bars(found, panel)]:
            files += _draw(name, ready, found, folder)
    return files


def bars(found: Mapping[str, Any], panel: Panel) -> list[tuple[str, float, float, float]]:
    """Peer, median and quartiles of a panel, the best last. The floor is no server."""
    rows = found["scenarios"].get(panel.scenario, {"rows": []})["rows"]
    chosen = [
        (row["peer"], *(row["figures"][panel.figure][end] * panel.factor for end in ENDS))
        for row in rows
        if panel.figure in row["figures"] and row["peer"] != FLOOR
    ]
    return sorted(chosen, key=lambda bar: bar[1], reverse=panel.figure != "rate")


def _colour(peer: str) -> str:
    return OURS_COLOUR if peer.startswith("ours") else PEER_COLOUR


def _draw(name: str, panels: Sequence[Panel], found: Mapping[str, Any], folder: Path) -> list[Path]:
    from matplotlib.figure import Figure

    tallest = max(len(bars(found, panel)) for panel in panels)
    figure = Figure(figsize=(4.4 * len(panels), 0.8 + 0.24 * tallest), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        chosen = bars(found, panel)
        medians = [median for _, median, _, _ in chosen]
        errors = [
            [median - low for _, median, low, _ in chosen],
            [high - median for _, median, _, high in chosen],
        ]
        drawn = axes.barh(
            [PEERS[peer].title for peer, *_ in chosen],
            medians,
            xerr=errors,
            color=[_colour(peer) for peer, *_ in chosen],
            error_kw={"linewidth": 0.8, "ecolor": "#666666"},
        )
        labels = [f"{median:,.{panel.digits}f}" for median in medians]
        axes.bar_label(drawn, labels, padding=4, fontsize=7)
        axes.set_title(panel.title, fontsize=8.5, loc="left")
        axes.margins(x=0.25)
        axes.set_xticks([])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
    scenarios = [found["scenarios"][panel.scenario] for panel in panels]
    figure.supxlabel(f"{scenarios[0]['machine']['processor']}, {scenarios[0]['date']}", fontsize=7)
    files = [folder / f"{name}.png", folder / f"{name}.svg"]
    figure.savefig(files[0], dpi=110, metadata={"Software": None})
    figure.savefig(files[1], metadata={"Date": None, "Creator": None})
    return files

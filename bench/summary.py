"""From windows to figures: medians over the rounds, their spread, and ratios to ours."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.measure import percentile
from bench.player import Window

Sample = Mapping[str, float]  # one round of one peer: what was measured, by name


@dataclass(frozen=True)
class Figure:
    """A median over the rounds, between the quartiles (of three rounds: the extremes)."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        ordered = sorted(values)
        return cls(statistics.median(ordered), percentile(ordered, 25), percentile(ordered, 75))


Figures = dict[str, Figure]


def sample(window: Window) -> Sample:
    """What a window says: a rate per second, shares of a core, and seconds otherwise."""
    found: dict[str, float] = {
        "rate": window.messages / window.seconds,
        "cpu": window.server_cpu / window.messages,
        "server_core": window.server_cpu / window.seconds,
        "load_core": window.load_cpu / window.seconds,
        "resident": window.resident,
        "retries": window.retries,
    }
    for name in ("p50", "p99", "p999", "worst"):
        value = getattr(window, name)
        if value is not None:
            found[name] = value
    return found


def summarize(own: Sequence[Sample], ours: Sequence[Sample] | None) -> Figures:
    """The figures of one peer. Those that begin with `to_ours_` are its value to ours."""
    figures = {name: Figure.of([each[name] for each in own]) for name in own[0]}
    if ours is not None:
        for name in ("rate", "cpu", "memory"):
            pairs = list(zip(own, ours, strict=True))
            if all(mine.get(name) and base.get(name) for mine, base in pairs):
                figures[f"to_ours_{name}"] = Figure.of(
                    [mine[name] / base[name] for mine, base in pairs]
                )
    return figures

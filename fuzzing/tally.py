"""What a run has counted, and what it has found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple


class Finding(NamedTuple):
    """Something that no rule explains."""

    target: str
    #: The seed of the batch that it came from.
    seed: int
    #: Which session of the batch.
    number: int
    what: str
    #: What went in, to be read and to be pasted.
    bytes: str

    def __str__(self) -> str:
        return (
            f"{self.what}\n"
            f"  session {self.number} of the seed {self.seed}: {self.bytes}\n"
            f"  again: python -m fuzzing --target {self.target} --seed {self.seed} --frames 1"
        )


class Tally:
    """Counts that can be added up."""

    def __init__(self) -> None:
        self.sessions = 0
        #: Frames, or heads of requests, that were mutated, read and compared.
        self.mutated = 0
        #: Sessions that were received a second time, with stops.
        self.stopped = 0
        #: Messages that were sent by the package and read by others.
        self.built = 0
        #: How often each difference was met, by the sentences that explain it.
        self.explained: Counter[tuple[str, ...]] = Counter()
        #: How the sessions ended: a close code, or a word.
        self.ends: Counter[object] = Counter()
        self.findings: list[Finding] = []

    def __iadd__(self, other: Tally) -> Tally:
        self.sessions += other.sessions
        self.mutated += other.mutated
        self.stopped += other.stopped
        self.built += other.built
        self.explained += other.explained
        self.ends += other.ends
        self.findings += other.findings
        return self

    def explain(self, sentences: Sequence[str]) -> None:
        if sentences:
            self.explained[tuple(sentences)] += 1

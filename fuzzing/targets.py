"""What can be fuzzed: by name, a function that examines one batch of a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fuzzing import deflating, handshakes, sessions
from fuzzing.tally import Tally


class Target(NamedTuple):
    """One of the parts that take what a client sends."""

    #: Given a seed and a number of sessions, examines these.
    batch: Callable[[int, int], Tally]
    #: What is mutated.
    unit: str


def _inflater(seed: int, count: int) -> Tally:
    """The inflater; and beside it the deflater, which needs no mutations."""
    tally = sessions.batch("inflater", seed, count)
    tally += deflating.batch(seed, max(1, count // 25))
    return tally


TARGETS = {
    "receiver": Target(lambda seed, count: sessions.batch("receiver", seed, count), "frames"),
    "inflater": Target(_inflater, "frames"),
    "handshake": Target(handshakes.batch, "heads"),
}

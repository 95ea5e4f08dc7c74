"""Mutated sessions: a valid conversation, some of its frames mutated, cut into pieces.

A mutated frame counts where both have read it: not behind the frame that ended it all.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterator
from typing import NamedTuple

from fuzzing.compressed import compressed_conversation
from fuzzing.conversations import Conversation, plain_conversation
from fuzzing.differences import explain, explain_cuts, keeps_to_the_sentences
from fuzzing.frames import announced_frames
from fuzzing.inflating import their_extension
from fuzzing.mutations import mutate
from fuzzing.outcomes import (
    Outcome,
    Setting,
    TheirEnd,
    Wrong,
    agree,
    our_outcome,
    their_outcome,
)
from fuzzing.stops import cut, stopped_outcome
from fuzzing.tally import Finding, Tally

#: How often a conversation is used, each time with another mutation.
_USES = 12


class Session(NamedTuple):
    """What goes over a connection."""

    setting: Setting
    stream: bytes
    #: Where in the stream its mutated frames begin.
    mutated: tuple[int, ...]
    #: What must come of it, where that is known.
    truth: Outcome | None


def sessions(
    rng: random.Random, make: Callable[[random.Random], Conversation]
) -> Iterator[Session]:
    """Yield sessions without end: each conversation as it is, then mutated."""
    other = make(rng)
    while True:
        conversation = make(rng)
        setting, frames, raw, read, truth = conversation
        yield Session(setting, b"".join(raw), (), truth)
        for _ in range(_USES):
            first = int(rng.random() ** 2 * read)  # early: what comes before has been read often
            stream = b"".join(raw[:first])
            mutated = []
            for at in range(first, len(frames)):
                if at == first or rng.random() < 0.8:
                    mutated.append(len(stream))
                    stream += mutate(rng, frames[at], raw[at], rng.choice(other.raw))
                else:
                    stream += raw[at]
            yield Session(setting, stream, tuple(mutated), None)
        other = conversation


def examine(rng: random.Random, session: Session, tally: Tally) -> None:
    """Receive a session in each way, and compare. Raises :class:`Wrong`."""
    setting, stream, mutated, truth = session
    pieces = cut(rng, stream)
    ours = our_outcome(setting, pieces)
    if truth is not None and ours != truth:
        raise Wrong(f"nothing is mutated, and it came to {ours} instead of {truth}")
    theirs, end = their_outcome(setting, pieces, their_extension(setting.agreement))
    sentences = () if agree(ours, theirs) else explain(setting, pieces, ours, theirs, end)
    if sentences is None:
        raise Wrong(f"ours is {ours}, theirs is {theirs}")
    if rng.random() < 0.25:
        stopped = stopped_outcome(rng, setting, cut(rng, stream))
        if stopped != ours:
            why = explain_cuts(setting, pieces, stopped, ours)
            if why is None:
                raise Wrong(f"with stops it is {stopped}, without {ours}")
            sentences = sentences or (why,)
        tally.stopped += 1
        if setting.agreement is not None and not keeps_to_the_sentences(setting, pieces, ours):
            raise Wrong(f"with each sentence of RFC 7692 it is not what it is: {ours}")
    tally.explain(sentences)
    last = ours.events[-1] if ours.events else ("", None)
    tally.ends[ours.error or (last[1].code if last[0] == "Close" else None)] += 1
    tally.sessions += 1
    tally.mutated += _read(stream, mutated, theirs, end)


def _read(stream: bytes, mutated: tuple[int, ...], theirs: Outcome, end: TheirEnd) -> int:
    """Return how many of the mutated frames were read."""
    if len(mutated) < 2 or (theirs.error is None and end.close is None):
        return len(mutated)
    stop = announced_frames(stream)[end.taken - 1].end if end.taken else 0
    if theirs.error is not None:
        stop += 1  # the frame that begins there was read, and refused
    return sum(at < stop for at in mutated)


def batch(target: str, seed: int, count: int) -> Tally:
    """Examine ``count`` sessions of a seed."""
    tally = Tally()
    rng = random.Random(f"{target} {seed}")
    make = MAKERS[target]
    for number, session in enumerate(sessions(rng, make)):
        if number == count:
            return tally
        try:
            examine(rng, session, tally)
        except Exception as error:
            what = str(error) if isinstance(error, Wrong) else traceback.format_exc()
            shown = f"{session.setting}\n  {session.stream.hex()}"
            tally.findings.append(Finding(target, seed, number, what, shown))
    raise AssertionError("sessions never end")


MAKERS: dict[str, Callable[[random.Random], Conversation]] = {
    "receiver": plain_conversation,
    "inflater": compressed_conversation,
}

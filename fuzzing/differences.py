"""Why the package and `websockets` make different things of the same bytes.

Each kind has its sentence of an RFC and a rule that recognises this kind and no
other. What no rule recognises is a bug of the one or of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

from fuzzing.frames import CLOSE, announced_frames, completed, frame
from fuzzing.inflating import SENTENCES, WINDOW, Corrected, their_extension
from fuzzing.outcomes import (
    FAR_ABOVE,
    Outcome,
    Setting,
    TheirEnd,
    agree,
    our_outcome,
    their_outcome,
)

WASTEFUL = "RFC 6455 5.2: the minimal number of bytes MUST be used to encode the length"
CLOSE_IN_BETWEEN = (
    "RFC 6455 5.4: control frames MAY be injected in the middle of a fragmented message"
)
CONTROL_IS_APART = "RFC 6455 5.5: a control frame has its own limit, that of messages is not for it"
MESSAGE_SIZE = (
    "RFC 6455 10.4: a limit is one of frames or of the total message size; theirs is"
    " for compressed bytes too, and may count what it has not seen the end of"
)
TWO_RULES = (
    "RFC 6455 7.4.1: 1007 for data of the wrong type, 1009 for a message that is too big;"
    " one that is both gets what shows first, and compressed that depends on the cuts"
)
SOONER = "RFC 6455 7.1.7: one fails a connection over a frame that is not whole, the other will"

Receive = Callable[[Sequence[bytes]], tuple[Outcome, TheirEnd]]

#: The smallest first: what one sentence explains needs no two.
_SUBSETS: list[tuple[str, ...]] = [
    sentences for size in range(len(SENTENCES) + 1) for sentences in combinations(SENTENCES, size)
]


def explain(
    setting: Setting, pieces: Sequence[bytes], ours: Outcome, theirs: Outcome, end: TheirEnd
) -> tuple[str, ...] | None:
    """Return the sentences that explain why ``ours`` is not ``theirs``, None if nothing does."""

    def original(pieces: Sequence[bytes]) -> tuple[Outcome, TheirEnd]:
        return their_outcome(setting, pieces, their_extension(setting.agreement))

    found = _explain_frames(setting, pieces, ours, theirs, end, original)
    if found is not None:
        return found
    for sentences in _SUBSETS if setting.agreement is not None else [()]:
        corrected = _corrected(setting, sentences)
        found = _explain_frames(setting, pieces, ours, *corrected(pieces), corrected)
        if found is None:
            continue
        if theirs.error == 1009:
            refused = announced_frames(b"".join(pieces))[end.taken]
            found = (CONTROL_IS_APART if refused.opcode >= CLOSE else MESSAGE_SIZE, *found)
        elif ours.error == 1009 and not sentences:
            found = (MESSAGE_SIZE, *found)
        if sentences or found:
            return (*sentences, *found)
    # They inflate whole frames, and ours may take them in pieces: it can only be the stricter one.
    is_stricter = ours.error is not None and ours.events == theirs.events[: len(ours.events)]
    if setting.agreement is not None and is_stricter:
        if goes_too_far_back(setting, pieces, [ours, theirs]):
            return (WINDOW,)
    # Or the more lenient one, where a final block has put what was before it out of its hands.
    for sentences in _SUBSETS if setting.agreement is not None else []:
        corrected_outcome, _ = _corrected(setting, sentences)(pieces)
        if goes_too_far_back(setting, pieces, [ours, corrected_outcome]):
            return (*sentences, WINDOW)
    return None


def keeps_to_the_sentences(setting: Setting, pieces: Sequence[bytes], ours: Outcome) -> bool:
    """Whether ours is what their inflater makes of it with all of the sentences.

    For what both are too lenient about, where there is no difference to be explained.
    """
    corrected = _corrected(setting, SENTENCES)
    theirs, end = corrected(pieces)
    if _explain_frames(setting, pieces, ours, theirs, end, corrected) is not None:
        return True
    return goes_too_far_back(setting, pieces, [ours, theirs])


def _corrected(setting: Setting, sentences: tuple[str, ...]) -> Receive:
    def receive(pieces: Sequence[bytes]) -> tuple[Outcome, TheirEnd]:
        extension = setting.agreement and Corrected(setting.agreement, sentences)
        return their_outcome(setting, pieces, extension, by_message=True)

    return receive


def _explain_frames(
    setting: Setting,
    pieces: Sequence[bytes],
    ours: Outcome,
    theirs: Outcome,
    end: TheirEnd,
    receive: Receive,
) -> tuple[str, ...] | None:
    """Return what of framing explains a difference; empty if there is none, else None.

    ``receive`` is what has led to ``theirs`` and ``end``.
    """
    if agree(ours, theirs):
        return ()
    stream = b"".join(pieces)
    if ours.error == 1002:
        shorter = _without_waste(stream)
        if shorter is not None:
            found = _explain_frames(
                setting, [shorter], our_outcome(setting, [shorter]), *receive([shorter]), receive
            )
            if found is not None:
                return (WASTEFUL, *(each for each in found if each != WASTEFUL))
    if theirs.error == 1002 and ours.error is None and end.in_message and end.close:
        if ours.events == [*theirs.events, ("Close", end.close)]:
            return (CLOSE_IN_BETWEEN,)
    if None in (ours.error, theirs.error) and theirs.error != ours.error:
        whole = [completed(stream, FAR_ABOVE)]
        if agree(our_outcome(setting, whole), receive(whole)[0]):
            return (SOONER,)
    return None


def _without_waste(stream: bytes) -> bytes | None:
    """Return ``stream`` with its first wasteful length in fewer bytes, None if there is none."""
    begin = 0
    for header in announced_frames(stream):
        if header.wasteful:
            size = 4 if stream[begin + 1] & 0x7F == 126 else 10
            rest = stream.ljust(begin + size, b"\0")[begin + size :]
            head = frame(0, length=header.length, mask=b"")
            return (
                stream[: begin + 1] + bytes((head[1] | stream[begin + 1] & 0x80,)) + head[2:] + rest
            )
        begin = header.end
    return None


def explain_cuts(
    setting: Setting, pieces: Sequence[bytes], one: Outcome, other: Outcome
) -> str | None:
    """Return what explains that the cuts of a stream make a difference; None if nothing does."""
    if setting.agreement is None:
        return None
    if one.events == other.events and {one.error, other.error} == {1007, 1009}:
        return TWO_RULES
    return WINDOW if goes_too_far_back(setting, pieces, [one, other]) else None


def goes_too_far_back(
    setting: Setting, pieces: Sequence[bytes], outcomes: Sequence[Outcome]
) -> bool:
    """Whether these outcomes may differ because something refers to what no window holds.

    zlib sees such a reference where what it refers to has left its hands, so it
    depends on the cuts. The strictest inflater must refuse at the latest where the
    outcomes part, and one with the largest window must not.
    """
    assert setting.agreement is not None
    parts = min(map(len, (outcome.events for outcome in outcomes)))
    if any(outcome.events[:parts] != outcomes[0].events[:parts] for outcome in outcomes):
        parts = next(
            i
            for i in range(parts)
            if any(outcome.events[i] != outcomes[0].events[i] for outcome in outcomes)
        )
    results = []
    for bits in (None, 15):
        extension = Corrected(setting.agreement, SENTENCES, bits=bits, byte_by_byte=True)
        results.append(their_outcome(setting, pieces, extension, by_message=True)[0])
    strict, wide = results
    return (
        strict.error is not None
        and len(strict.events) <= parts
        and (wide.error is None or len(wide.events) > len(strict.events))
    )

"""The receiver as a connection feeds it: cut anywhere, stopped anywhere, the short way tried.

``feed()`` may stop early and go on later. What comes out must be the same.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from django_websocket_ev.protocol.receiver import Receiver
from fuzzing.frames import announced_frames
from fuzzing.outcomes import Outcome, Setting, Wrong, as_outcome, check, new_receiver

MANY = 2**62

#: Messages, bytes of messages, and frames that one call may take.
_STOPS = [
    (MANY, MANY, MANY),
    (1, MANY, MANY),
    (2, MANY, MANY),
    (MANY, 1, MANY),
    (MANY, 150, MANY),
    (MANY, MANY, 1),
    (MANY, MANY, 1),
    (MANY, MANY, 3),
    (2, 100, 2),
    (0, MANY, MANY),
    (MANY, 0, 1),
    (1, MANY, 0),
]


def cut(rng: random.Random, stream: bytes) -> list[bytes]:
    """Cut a stream as a network might: mostly whole, sometimes anywhere, sometimes bytewise."""
    chance = rng.random()
    if chance < 0.5:
        return [stream]
    if chance < 0.503 and len(stream) < 1000:
        return [stream[i : i + 1] for i in range(len(stream))]
    if chance < 0.6:
        # Frame by frame, as they come where each is sent by itself.
        ends = [header.end for header in announced_frames(stream)]
        return [stream[i:j] for i, j in zip([0, *ends], ends, strict=False)]
    end = len(stream)
    first = int(rng.random() * (end + 1))
    if chance < 0.8:
        return [stream[:first], stream[first:]]
    second = first + int(rng.random() * (end - first + 1))
    return [stream[:first], stream[first:second], stream[second:]]


def stopped_outcome(rng: random.Random, setting: Setting, pieces: Sequence[bytes]) -> Outcome:
    """Feed a session with stops, and with ``feed_whole()`` before each ``feed()``."""
    receiver = new_receiver(setting)
    events: list[Any] = []
    for piece in pieces:
        message = receiver.feed_whole(piece)
        if message is not None:
            events.append(message)
            continue
        events += _feed(rng, receiver, piece)
        while receiver.has_more and rng.random() < 0.7:
            events += _feed(rng, receiver, b"")
    # Each call of a thousand takes a frame, a byte or a message at least, some of them none.
    for _ in range(1000 + 3 * sum(map(len, pieces))):
        if not receiver.has_more:
            break
        events += _feed(rng, receiver, b"")
    else:
        raise Wrong("has_more never ends")
    if late := receiver.feed(b""):
        raise Wrong(f"has_more was False, and yet there was more: {late!r}")
    check(events, setting.limit)
    return as_outcome(events)


def _feed(rng: random.Random, receiver: Receiver, data: bytes) -> list[Any]:
    limit, room, turns = _STOPS[int(rng.random() * len(_STOPS))]
    found = receiver.feed(data, limit, room, turns)
    if not found:
        return found
    sizes = [len(event) for event in found if isinstance(event, str) or type(event) is bytes]
    if len(sizes) > limit or len(found) > turns or (sizes and sum(sizes[:-1]) >= room):
        raise Wrong(f"feed() went past its stop {limit, room, turns}: {found!r}")
    return found

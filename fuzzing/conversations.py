"""Valid conversations of a client: messages, fragments, control frames, and their truth.

`random.Random(seed)` makes the same ones each time, on each Python.
"""

from __future__ import annotations

import random
import struct
from typing import Any, NamedTuple

from django_websocket_ev.protocol.receiver import Close, Ping, Pong
from fuzzing.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from fuzzing.inflating import their_extension
from fuzzing.mutations import Frame
from fuzzing.outcomes import Outcome, Setting, their_outcome

TEXTS = (
    "",
    "a",
    "Hello",
    "\N{EURO SIGN}",
    "x\N{GRINNING FACE}y\ud7ff\ue000",
    "\N{GREEK SMALL LETTER PI}" * 80,
)
_CUTS = (0, 0, 0, 1, 1, 2, 3)
_CODES = (1000, 1000, 1001, 1011, 3000, 4999)
_SIZES = (0, 7, 20, 60, 100, 125, 126, 199, 200, 201, 300)


class Conversation(NamedTuple):
    """What a client sends, and what must come of it."""

    setting: Setting
    frames: list[Frame]
    #: The frames' bytes.
    raw: list[bytes]
    #: How many of the frames are read before the conversation is over.
    read: int
    #: None where it breaks a rule, or a limit.
    truth: Outcome | None


def fragments(
    rng: random.Random, opcode: int, payload: bytes, events: list[tuple[str, Any]], rsv: int = 0
) -> list[Frame]:
    """Return the frames of one message, control frames in between.

    What the control frames come to is added to ``events``.
    """
    cuts = [int(rng.random() * (len(payload) + 1)) for _ in range(rng.choice(_CUTS))]
    if rng.random() < 0.1:
        cuts.append(len(payload))  # an empty fragment is the last
    cuts.sort()
    frames: list[Frame] = []
    for begin, end in zip([0, *cuts], [*cuts, len(payload)], strict=True):
        if frames and rng.random() < 0.3:
            frames.append(control(rng, rng.choice((PING, PONG)), events))
        frames.append(Frame(opcode, payload[begin:end], False, rsv, rng.randbytes(4)))
        opcode = CONTINUATION
        rsv = 0
    frames[-1] = frames[-1]._replace(fin=True)
    return frames


def control(rng: random.Random, opcode: int, events: list[tuple[str, Any]]) -> Frame:
    """Return a control frame, and add what it comes to to ``events``."""
    if opcode == CLOSE:
        code = rng.choice(_CODES)
        reason = TEXTS[4] if rng.random() < 0.5 else ""
        if rng.random() < 0.2:
            code, reason, payload = 1005, "", b""
        else:
            payload = struct.pack("!H", code) + reason.encode()
        events.append(("Close", Close(code, reason)))
    else:
        payload = rng.randbytes(rng.choice((0, 1, 4, 20, 125)))
        events.append(("Ping", Ping(payload)) if opcode == PING else ("Pong", Pong(payload)))
    return Frame(opcode, payload, True, 0, rng.randbytes(4))


def add_message(events: list[tuple[str, Any]], opcode: int, payload: bytes) -> None:
    """Add what a message comes to to ``events``."""
    events.append(("str", payload.decode()) if opcode == TEXT else ("bytes", payload))


def plain_conversation(rng: random.Random) -> Conversation:
    """Return a conversation without compression. Some of its messages are over the limit."""
    setting = Setting(200)
    frames: list[Frame] = []
    events: list[tuple[str, Any]] = []
    is_over = False
    for _ in range(rng.choice((1, 2, 2, 3))):
        if rng.random() < 0.15:
            frames.append(control(rng, rng.choice((PING, PONG)), events))
        opcode = rng.choice((TEXT, BINARY))
        if opcode == TEXT:
            payload = rng.choice(TEXTS).encode()
        else:
            payload = rng.randbytes(rng.choice(_SIZES))
        frames += fragments(rng, opcode, payload, events)
        add_message(events, opcode, payload)
        is_over = is_over or len(payload) > 200
    if rng.random() < 0.3:
        frames.append(control(rng, CLOSE, events))
    return finish(setting, frames, None if is_over else Outcome(events, None))


def finish(setting: Setting, frames: list[Frame], truth: Outcome | None) -> Conversation:
    raw = [frame.build() for frame in frames]
    read = len(frames)
    if truth is None:
        outcome, end = their_outcome(setting, raw, their_extension(setting.agreement))
        if outcome.error is not None:
            read = end.taken + 1
    return Conversation(setting, frames, raw, read, truth)

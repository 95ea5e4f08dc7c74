"""Sessions of valid frames, mutated, against the protocol and a second implementation of it.

``python -m fuzzing`` runs it; README.rst says what it shows. What describes frames
and their text is shared with the tests, and stands here for them.
"""

from fuzzing.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    WIDTHS,
    Announced,
    announced_frames,
    completed,
    frame,
    mask_payload,
    plain,
)
from fuzzing.utf8 import begins_utf8, is_utf8

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "MASK",
    "PING",
    "PONG",
    "TEXT",
    "WIDTHS",
    "Announced",
    "announced_frames",
    "begins_utf8",
    "completed",
    "frame",
    "is_utf8",
    "mask_payload",
    "plain",
]

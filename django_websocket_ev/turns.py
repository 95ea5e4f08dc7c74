"""Fair turns: what one read has brought in too many frames waits for its turn.

Whatever a client sends in small frames costs far more than its bytes. So a
connection takes on some frames of a read at once, and for the rest it stands in
line with all others of its kind. Those have, together, no more than a few
milliseconds of each turn of the hub, and everybody else has all the others.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: Frames that a connection takes on in a turn: some dozens of microseconds.
FRAMES = 64

#: Connections out of the line that have theirs in one turn of the hub.
_AT_ONCE = 16


class _Line:
    __slots__ = ("_hub", "_is_moving", "_waiting")

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_moving = False

    def stand(self, callback: Callable[[], None]) -> None:
        self._waiting.append(callback)
        if not self._is_moving:
            self._is_moving = True
            self._hub.schedule_call_global(0, self._move)

    def _move(self) -> None:
        try:
            for _ in range(min(len(self._waiting), _AT_ONCE)):
                self._waiting.popleft()()
        finally:
            self._is_moving = bool(self._waiting)
            if self._is_moving:
                self._hub.schedule_call_global(0, self._move)


@cache
def _get_line(hub: Any) -> _Line:
    return _Line(hub)


def stand_in_line(hub: Any, callback: Callable[[], None]) -> None:
    """Have the hub call ``callback()`` when it is its turn."""
    _get_line(hub).stand(callback)

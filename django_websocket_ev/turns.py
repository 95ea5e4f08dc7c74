"""Fair turns: nobody has the hub for longer than a few milliseconds while others wait.

A client that sends small messages, each when the last was answered, costs
microseconds. One that sends many at once, or what inflates, or what makes a view
work, costs milliseconds for the same few bytes, and a thousand of those that
come in the same turn of the hub would hold up all others for a second. So what is not
small has some time of each turn, together; who comes when that is used up stands in
line, which has as much of each of the next turns.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: Frames that a connection takes on in a turn: some dozens of microseconds.
FRAMES = 64

#: Seconds for the line in a turn of the hub, and for those who are served out of it.
_TURN = 0.005

#: Seconds that a request is taken to need.
_REQUEST = 0.001

#: How many have their turn whatever the clock says: it runs on where others have the core.
_AT_LEAST = 8


class Line:
    """Where those stand who wait for a turn of one hub."""

    __slots__ = ("_hub", "_is_moving", "_left", "_renewal", "_renewed_at", "_waiting")

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_moving = False
        #: Seconds that are left in this turn for those out of the line.
        self._left = _TURN
        self._renewed_at = 0.0
        self._renewal: Any = None

    def run(self, callback: Callable[[bytes], None], data: bytes) -> bool:
        """Call ``callback(data)``, if there is time left for it now; return whether there was."""
        begun = monotonic()
        if begun - self._renewed_at > 2 * _TURN:
            self._renew()
        if self._left <= 0:
            return False
        try:
            callback(data)
        finally:
            self._use(monotonic() - begun)
        return True

    def _renew(self) -> None:
        self._renewed_at = monotonic()
        self._left = _TURN
        self._renewal = None

    def passes(self) -> bool:
        """Whether a request may go on at once: nobody stands in line, and there is time left.

        It is taken to need a millisecond. It may wait meanwhile, so a clock would not tell.
        """
        if self._is_moving:
            return False
        now = monotonic()
        if now - self._renewed_at > 2 * _TURN:
            self._renew()
        if self._left <= 0:
            return False
        self._use(_REQUEST)
        return True

    def _use(self, seconds: float) -> None:
        self._left -= seconds
        if self._left < _TURN / 2 and self._renewal is None:
            # The next turn begins with it. Where little is used, the clock will do.
            self._renewal = self._hub.schedule_call_global(0, self._renew)

    def stand(self, callback: Callable[[], None]) -> None:
        """Have the hub call ``callback()`` when it is its turn."""
        self._waiting.append(callback)
        if not self._is_moving:
            self._is_moving = True
            self._hub.schedule_call_global(0, self._move)

    def _move(self) -> None:
        begun = monotonic()
        served = 0
        try:
            while self._waiting and (served < _AT_LEAST or monotonic() - begun < _TURN):
                served += 1
                self._waiting.popleft()()
        finally:
            self._is_moving = bool(self._waiting)
            if self._is_moving:
                self._hub.schedule_call_global(0, self._move)


@cache
def get_line(hub: Any) -> Line:
    """Return the line of a hub."""
    return Line(hub)

"""Warns when something holds the hub, and with it every client of the process.

All green threads share one native thread. A view that computes for a second, or waits in
C out of Python's sight, has it for itself, and nothing shows but that the others
wait. So another native thread looks on: the hub sets a clock now and then, and where
it has not for too long, the stack tells who is in its way.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import traceback
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

logger = logging.getLogger("django_websocket_ev")

#: After so many times the allowed it is told of while it lasts: it may last for ever.
_LONG = 25

#: Innermost frames of the stack to show.
_DEPTH = 8

#: Seconds between warnings of one line.
_PAUSE = 60.0


class Watchdog:
    """Watches the hub of the native thread that makes it.

    ``seconds`` is how long it may be held; ``schedule(seconds, callback)`` is the
    hub's, ``spawn`` starts a green thread. ``threading`` and ``sleep`` are those
    of an unpatched Python.
    """

    def __init__(
        self,
        seconds: float,
        schedule: Callable[..., Any],
        spawn: Callable[..., Any],
        threading: Any,
        sleep: Callable[[float], None],
    ) -> None:
        self._seconds = seconds
        self._schedule = schedule
        self._spawn = spawn
        self._sleep = sleep
        self._watched = threading.get_ident()
        self._beaten_at = monotonic()
        #: What was on the stack in a hold, for the hub to tell of once it is over.
        self._caught: list[str] = []
        self._told_of: dict[str, float] = {}
        self._beat()
        threading.Thread(target=self._watch, name="hub watchdog", daemon=True).start()

    def _beat(self) -> None:
        now = monotonic()
        held, self._beaten_at = now - self._beaten_at, now
        if self._caught:
            caught, self._caught = self._caught, []
            line = caught[-1]
            if now - self._told_of.get(line, -_PAUSE) >= _PAUSE:
                self._told_of[line] = now
                # Not here: a handler of the logs may wait, and the hub may not.
                self._spawn(logger.warning, "%s", _describe(held, caught))
        self._schedule(self._seconds / 2, self._beat)

    def _watch(self) -> None:
        told_of = 0.0
        while True:
            self._sleep(self._seconds / 2)
            beaten_at = self._beaten_at
            held = monotonic() - beaten_at
            if held > self._seconds and not self._caught:
                # A collection that began here would run finalizers of green things,
                # out of the thread of their hub.
                was_enabled = gc.isenabled()
                gc.disable()
                try:
                    stack = _stack(sys._current_frames().get(self._watched))
                finally:
                    if was_enabled:
                        gc.enable()
                # The hub may have come by while this looked.
                if beaten_at == self._beaten_at:
                    self._caught = stack
            if held > _LONG * self._seconds and self._caught and told_of != beaten_at:
                told_of = beaten_at
                # The log's locks are green, and not for this thread.
                os.write(2, (_describe(held, self._caught) + "\n").encode(errors="replace"))


def _stack(frame: FrameType | None) -> list[str]:
    """Return the innermost lines of a stack; none where that is no news.

    That is the hub's own, which waits, and imports, which happen once.
    """
    if frame is None or "/eventlet/hubs/" in frame.f_code.co_filename:
        return []
    lines = traceback.extract_stack(frame)[-_DEPTH:]
    if any(line.filename.startswith("<frozen importlib") for line in lines):
        return []
    return traceback.format_list(lines)


def _describe(held: float, stack: list[str]) -> str:
    return (
        f"The hub was held for {held:.2f} s, and every client of this process with it."
        " What computes long, or waits in C, belongs in a process of its own or in"
        f" eventlet.tpool.execute(). It was here:\n{''.join(stack).rstrip()}"
    )

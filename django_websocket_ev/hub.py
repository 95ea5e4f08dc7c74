"""eventlet's epoll hub, with a shorter way from an event to its listener.

eventlet's own collects the listeners of all events in a set, so that none is called for a
descriptor that another has just closed and opened anew. Ours looks each up when its turn
comes, which is as safe: whoever listens tries, and waits on where nothing is there.
That, and nothing else, is different, and it is a fifth of what eventlet spends on an echo
(``bench/README.rst``).
"""

from __future__ import annotations

import os
import sys
from typing import Any

from django_websocket_ev.bootstrap import quiet

with quiet():
    from eventlet import hubs, patcher
    from eventlet.hubs import epolls

_select = patcher.original("select")
_sleep = patcher.original("time").sleep


class Hub(epolls.Hub):  # type: ignore[misc]
    """Waits for events and calls whoever listens, with one look-up each."""

    #: Whether this system has what it needs, as eventlet asks.
    is_available = staticmethod(epolls.is_available)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until there are events, ``seconds`` at most, and have them dealt with."""
        readers: dict[int, Any] = self.listeners[self.READ]
        writers: dict[int, Any] = self.listeners[self.WRITE]
        if not readers and not writers:
            if seconds:
                _sleep(seconds)
            return
        readable, writable = self.READ_MASK | self.EXC_MASK, self.WRITE_MASK | self.EXC_MASK
        for fileno, event in self.poll.poll(seconds):
            try:
                if event & readable:
                    listener = readers.get(fileno)
                    if listener is not None:
                        listener.cb(fileno)
                if event & writable:
                    listener = writers.get(fileno)
                    if listener is not None:
                        listener.cb(fileno)
            except self.SYSTEM_EXCEPTIONS:
                raise
            except BaseException:  # a green thread has ended with it, or a Timeout
                self.squelch_exception(fileno, sys.exc_info())


def use() -> None:
    """Have this thread's next hub be ours, where it would be eventlet's epoll hub.

    One that runs already is forgotten: this is for a process that begins, or has just
    been forked from another with which it would share its epoll.
    """
    ours = os.environ.get("EVENTLET_HUB", "epolls") == "epolls" and Hub.is_available()
    hubs.use_hub(Hub if ours else None)

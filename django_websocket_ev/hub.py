"""eventlet's epoll hub, with a shorter way from an event to its listener.

eventlet's own collects the listeners of all events in a set, so that none is called for a
descriptor that another has just closed and opened anew. Ours looks each up when its turn
comes, which is as safe: whoever listens tries, and waits on where nothing is there.
And it calls none of its own functions for timers in a turn that has none. That, and
nothing else, is different (``bench/README.rst`` has what it saves).
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
#: What there is to say of nearly every client.
_READABLE = 1
_sleep = patcher.original("time").sleep


class Hub(epolls.Hub):  # type: ignore[misc]
    """Waits for events and calls whoever listens, with one look-up each."""

    running: bool
    stopping: bool

    #: How often everybody has had their turn.
    turns = 0

    #: Whether this system has what it needs, as eventlet asks.
    is_available = staticmethod(epolls.is_available)

    def run(self, *_: object, **__: object) -> None:
        """Fire timers and wait for events by turns, until :meth:`abort` is called.

        Raises RuntimeError where it runs already.
        """
        if self.running:
            raise RuntimeError("Already running!")
        clock = self.clock
        try:
            self.running = True
            self.stopping = False
            while not self.stopping:
                while self.closed:
                    self.close_one()
                if self.next_timers:
                    self.prepare_timers()
                if self.timers and self.timers[0][0] <= clock():
                    self._fire_timers(clock())
                if self.timers:
                    self.wait(max(0.0, self.timers[0][0] - clock()))
                else:
                    self.wait(self.default_sleep())
            self.timers_canceled = 0
            self.timers.clear()
            self.next_timers.clear()
        finally:
            self.running = False
            self.stopping = False

    def _fire_timers(self, now: float) -> None:
        if self.debug_blocking:
            self.block_detect_pre()
        self.fire_timers(now)
        if self.debug_blocking:
            self.block_detect_post()
        self.prepare_timers()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until there are events, ``seconds`` at most, and have them dealt with."""
        self.turns += 1
        readers: dict[int, Any] = self.listeners[self.READ]
        writers: dict[int, Any] = self.listeners[self.WRITE]
        if not readers and not writers:
            if seconds:
                _sleep(seconds)
            return
        readable, writable = self.READ_MASK | self.EXC_MASK, self.WRITE_MASK | self.EXC_MASK
        for fileno, event in self.poll.poll(seconds):
            try:
                if event == _READABLE or event & readable:  # to compare is cheaper
                    listener = readers.get(fileno)
                    if listener is not None:
                        callback = listener.cb  # no method, so better not called as one
                        callback(fileno)
                if event != _READABLE and event & writable:
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

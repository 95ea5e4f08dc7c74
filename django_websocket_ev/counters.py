"""What the WebSockets of this process have done: the numbers behind ``stats()``.

An open connection counts for itself, and its counts are added to the totals when it
is over, so that a message costs nothing here.
"""

from __future__ import annotations

from collections import Counter, deque
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds between two looks at the hub's lag.
PULSE = 1.0

#: Looks of which the worst is told: as many seconds, about.
_LOOKS = 60


class Stats(NamedTuple):
    """What one process has done since it began, and has open now."""

    #: WebSockets that are open, and all that ever were.
    open: int
    opened: int
    #: By close code, 1006 for those that were gone without one.
    closed: dict[int, int]
    #: Requests for a WebSocket that got none, by reason: see :func:`count_refusal`.
    refused: dict[str, int]
    #: Of text and binary messages, and of bytes of frames, the small ones for control too.
    messages_in: int
    messages_out: int
    bytes_in: int
    bytes_out: int
    #: Clients that did not answer a Ping in time.
    pings_missed: int
    #: Clients that did not take what was sent, within ``WEBSOCKET_SEND_TIMEOUT``.
    slow_clients_dropped: int
    #: Seconds that the hub came late to a timer, at worst in the last minute.
    hub_lag: float


class Counted(Protocol):
    """A connection, as far as it is counted."""

    close_code: int | None
    messages_in: int
    messages_out: int
    bytes_in: int

    @property
    def bytes_out(self) -> int:
        """Of all frames that were sent, or wait to be."""


class _Totals:
    """Counts of all connections that are over, and the connections that are not."""

    def __init__(self) -> None:
        self.connections: set[Any] = set()
        self.opened = 0
        self.closed: Counter[int] = Counter()
        self.refused: Counter[str] = Counter()
        self.messages_in = 0
        self.messages_out = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.pings_missed = 0
        self.slow_clients_dropped = 0
        self.lags: deque[float] = deque(maxlen=_LOOKS)

    def add(self, connection: Counted) -> None:
        """Take over the counts of a connection that is over."""
        self.closed[connection.close_code or 0] += 1
        self.messages_in += connection.messages_in
        self.messages_out += connection.messages_out
        self.bytes_in += connection.bytes_in
        self.bytes_out += connection.bytes_out


totals = _Totals()

#: Every connection that is not over.
open_connections = totals.connections


def stats() -> Stats:
    """Return what the WebSockets of this process have done until now.

    Of one process: with several, ``django_websocket_ev.metrics`` adds them up.
    """
    still_open: list[Counted] = list(totals.connections)
    return Stats(
        open=len(still_open),
        opened=totals.opened,
        closed=dict(totals.closed),
        refused=dict(totals.refused),
        messages_in=totals.messages_in + sum(one.messages_in for one in still_open),
        messages_out=totals.messages_out + sum(one.messages_out for one in still_open),
        bytes_in=totals.bytes_in + sum(one.bytes_in for one in still_open),
        bytes_out=totals.bytes_out + sum(one.bytes_out for one in still_open),
        pings_missed=totals.pings_missed,
        slow_clients_dropped=totals.slow_clients_dropped,
        hub_lag=max(totals.lags, default=0.0),
    )


def count_refusal(reason: str) -> None:
    """Count a request that got no WebSocket.

    ``reason`` is one of "malformed" (400, and 426 for another version),
    "not_websocket" (plain HTTP, where only WebSockets are taken), "no_websocket_view",
    "origin", "server" (it cannot carry any), "max_connections" and
    "max_connections_per_client".
    """
    totals.refused[reason] += 1


class Pulse:
    """Looks once a second how late the hub is.

    ``schedule(seconds, callback)`` has the hub call back.
    """

    def __init__(self, schedule: Callable[..., Any]) -> None:
        self._schedule = schedule
        self._due = monotonic() + PULSE
        schedule(PULSE, self._look)

    def _look(self) -> None:
        now = monotonic()
        totals.lags.append(max(0.0, now - self._due))
        self._due = now + PULSE
        self._schedule(PULSE, self._look)
        for callback in on_pulse:
            callback()


#: Called once a second, in the hub: may neither block nor raise.
on_pulse: list[Callable[[], None]] = []


@cache
def start_pulse(hub: Any) -> Pulse:
    """Have the lag of ``hub`` measured, from the first call on."""
    return Pulse(hub.schedule_call_global)

"""Keepalive: Pings to clients that are quiet, and an end of those that do not answer.

A client whose machine is gone says nothing, not even that. So a connection on which
nothing has come for a while gets a Ping (RFC 6455 §5.5.2), and where nothing follows
it is closed with 1011. Any byte counts as life, and so does what the client
takes: a large message on a slow line comes before the Ping.

One timer serves all connections of a process, and it looks at few of them in one turn
of the hub.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from random import uniform
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from django_websocket_ev.counters import totals
from django_websocket_ev.protocol.close import INTERNAL_ERROR

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that a look may be late, for the sake of fewer turns of the hub.
_TICK = 0.05

#: Connections to look at in one turn of the hub.
_AT_ONCE = 64

_payloads = count(1)


class Peer(Protocol):
    """What a heartbeat wants to know, and can do, about its connection."""

    closed: bool

    @property
    def activity(self) -> int:
        """A number that changes with whatever comes from the client, or is taken by it."""

    def unread(self) -> int:
        """Return how many bytes from the client wait in the kernel."""

    def taken(self) -> int:
        """Return a number that grows with the bytes that the client takes."""

    def probe(self, payload: bytes) -> None:
        """Send a Ping frame without blocking."""

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake."""


class Heartbeat:
    """Looks after one connection, until it is stopped.

    ``interval`` and ``timeout`` are in seconds: None for no Pings, None for no
    end of a client that does not answer.
    """

    __slots__ = (
        *("_peer", "_interval", "_timeout", "_wheel", "slot"),
        *("_seen", "_quiet_since", "_asked_at", "_taken"),
        *("_payload", "_sent_at", "latency"),
    )

    def __init__(self, hub: Any, peer: Peer, interval: float | None, timeout: float | None) -> None:
        #: Seconds between the last Ping that was answered and its Pong.
        self.latency: float | None = None
        self._payload: bytes | None = None
        self._sent_at = 0.0
        #: Where the wheel keeps it.
        self.slot: int | None = None
        self._wheel = _get_wheel(hub)
        self._peer: Peer | None = peer
        self._interval = interval
        self._timeout = timeout
        self._seen = 0
        self._quiet_since = monotonic()
        #: When the Ping was sent that has no answer yet.
        self._asked_at: float | None = None
        self._taken = 0
        if interval is not None:
            # Those that came at once are not looked at all at once.
            self._wheel.add(self, uniform(interval / 2, interval))

    def end(self) -> None:
        """Look no more, and let go of the connection."""
        self._wheel.remove(self)
        self._peer = None

    def on_ping(self, payload: bytes) -> None:
        """Note that a Ping was sent."""
        self._payload = payload
        self._sent_at = monotonic()

    def on_pong(self, payload: bytes) -> None:
        """Note that a Pong has come; nobody need have asked for it (§5.5.3)."""
        if payload == self._payload:
            self._payload = None
            now = monotonic()
            self.latency = now - self._sent_at
            if self._peer is not None:
                self._hear(self._peer, now)

    def _hear(self, peer: Peer, now: float) -> None:
        self._seen = peer.activity
        self._quiet_since = now
        self._asked_at = None

    def look(self) -> None:
        """Ask the client whether it is there, or see what came of that."""
        peer = self._peer
        if peer is None or peer.closed or self._interval is None:
            return
        now = monotonic()
        if peer.activity != self._seen:
            # It came at some time since the last look, so the next is sooner.
            self._hear(peer, now)
            again = self._interval / 2
        elif self._asked_at is not None and self._timeout is not None:
            again = self._look_for_answer(peer, now, self._asked_at, self._timeout)
        else:
            again = self._interval - (now - self._quiet_since)
            if self._asked_at is not None or again <= _TICK:
                self._ask(peer, now)
                timeout = self._timeout or self._interval
                again = min(self._interval, timeout)
        if not peer.closed:
            self._wheel.add(self, again)

    def _ask(self, peer: Peer, now: float) -> None:
        self._asked_at = now
        self._taken = peer.taken()
        peer.probe(b"%d" % next(_payloads))

    def _look_for_answer(self, peer: Peer, now: float, asked_at: float, timeout: float) -> float:
        """Give up a client that is silent; return the seconds until the next look."""
        remaining = timeout - (now - asked_at)
        if remaining > _TICK:
            return remaining
        taken = peer.taken()
        if taken > self._taken or peer.unread():
            # The Ping is on its way yet, or the answer is here and not read: a slow
            # view has paused the reading, or another has held up the hub.
            self._taken = taken
            self._asked_at = now
            return timeout
        totals.pings_missed += 1
        peer.close(INTERNAL_ERROR, f"no answer to a Ping within {timeout:g} seconds")
        return 0


class _Wheel:
    """Has each heartbeat look again in time, by one timer of the hub."""

    def __init__(self, schedule: Callable[..., Any]) -> None:
        self._schedule = schedule
        #: By the time in ticks.
        self._slots: dict[int, set[Heartbeat]] = {}
        self._count = 0
        self._timer: Any = None
        self._timer_slot = 0

    def add(self, heartbeat: Heartbeat, seconds: float) -> None:
        """Have ``heartbeat`` look in so many seconds."""
        slot = int((monotonic() + seconds) / _TICK) + 1
        heartbeat.slot = slot
        self._slots.setdefault(slot, set()).add(heartbeat)
        self._count += 1
        self._set_timer(slot)

    def remove(self, heartbeat: Heartbeat) -> None:
        """Forget ``heartbeat``, and the timer with the last of them."""
        if heartbeat.slot is None:
            return
        self._slots[heartbeat.slot].remove(heartbeat)
        heartbeat.slot = None
        self._count -= 1
        if not self._count and self._timer is not None:
            self._slots.clear()
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, slot: int) -> None:
        if self._timer is not None:
            if self._timer_slot <= slot:
                return
            self._timer.cancel()
        self._timer_slot = slot
        self._timer = self._schedule(max(0, slot * _TICK - monotonic()), self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = monotonic() / _TICK
        left = _AT_ONCE
        try:
            for slot in sorted(slot for slot in self._slots if slot <= now):
                members = self._slots.get(slot)
                while members and left:
                    left -= 1
                    heartbeat = members.pop()
                    heartbeat.slot = None
                    self._count -= 1
                    heartbeat.look()
                if not members:
                    self._slots.pop(slot, None)
        finally:
            if self._slots:
                self._set_timer(min(self._slots))


@cache
def _get_wheel(hub: Any) -> _Wheel:
    """Return the one of a hub, of which a process has one, or one a native thread."""
    return _Wheel(hub.schedule_call_global)

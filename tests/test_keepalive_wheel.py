"""One timer for all heartbeats, and when each of them looks: with a clock of the test's own."""

from __future__ import annotations

import heapq
from itertools import count, pairwise

import pytest

from django_websocket_ev import keepalive
from django_websocket_ev.keepalive import Heartbeat

INTERVAL, TIMEOUT = 20, 10

#: Seconds that a look may be late.
TICK = 0.1


class Timer:
    def __init__(self, callback) -> None:
        self.callback = callback

    def cancel(self) -> None:
        self.callback = None


class Hub:
    """Has timers, and a clock that only they move."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers = []
        self._number = count()

    def schedule_call_global(self, seconds, callback):
        timer = Timer(callback)
        heapq.heappush(self._timers, (self.now + seconds, next(self._number), timer))
        return timer

    def timers(self) -> int:
        return sum(timer.callback is not None for _, _, timer in self._timers)

    def run(self, seconds: float, after_each=lambda: None) -> None:
        """Let so much time pass; call ``after_each()`` behind each timer's callback."""
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            self.now = max(self.now, due) + 1e-6
            if timer.callback is not None:
                timer.callback()
                after_each()
        self.now = max(self.now, end)


class Peer:
    """What a heartbeat knows of a connection."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.closed = False
        self.activity = 1
        self.bytes_unread = 0
        self.bytes_taken = 0
        self.pings = []
        self.ended_at = None
        self.heartbeat = None

    def unread(self) -> int:
        return self.bytes_unread

    def taken(self) -> int:
        return self.bytes_taken

    def probe(self, payload: bytes) -> None:
        self.pings.append((self._hub.now, payload))
        self.heartbeat.on_ping(payload)

    def close(self, code: int, reason: str) -> None:
        assert code == 1011
        assert "Ping" in reason
        assert len(reason.encode()) <= 123
        self.closed = True
        self.ended_at = self._hub.now


@pytest.fixture
def hub(monkeypatch):
    hub = Hub()
    monkeypatch.setattr(keepalive, "monotonic", lambda: hub.now)
    yield hub
    keepalive._get_wheel.cache_clear()


@pytest.fixture
def new_peer(hub):
    """A function that makes a peer with a heartbeat."""

    def make(interval=INTERVAL, timeout=TIMEOUT):
        peer = Peer(hub)
        peer.heartbeat = Heartbeat(hub, peer, interval, timeout)
        return peer

    return make


def test_a_client_that_never_says_a_word_gets_one_ping_and_is_given_up(hub, new_peer):
    begun = hub.now
    peer = new_peer()
    hub.run(1000)
    ((asked_at, _payload),) = peer.pings
    # Half an interval either way is the price of few timers.
    assert INTERVAL - TICK <= asked_at - begun <= 2 * INTERVAL + TICK
    assert asked_at + TIMEOUT - TICK <= peer.ended_at <= asked_at + TIMEOUT + TICK
    assert hub.timers() == 0


def test_a_client_that_answers_stays_and_each_ping_is_another(hub, new_peer):
    peer = new_peer()
    for _ in range(1000):
        hub.run(1)
        if peer.pings and peer.heartbeat._payload == peer.pings[-1][1]:
            peer.activity += 1
            peer.heartbeat.on_pong(peer.pings[-1][1])
    assert not peer.closed
    assert peer.heartbeat.latency <= 1
    payloads = [payload for _, payload in peer.pings]
    assert len(set(payloads)) == len(payloads) >= 1000 / INTERVAL / 2
    times = [time for time, _ in peer.pings]
    assert all(
        INTERVAL - TICK <= after - before <= 2 * INTERVAL for before, after in pairwise(times)
    )


def test_a_client_that_talks_gets_no_ping(hub, new_peer):
    peer = new_peer()
    for _ in range(200):
        hub.run(INTERVAL / 2)
        peer.activity += 1
    assert peer.pings == []
    assert not peer.closed


def test_any_byte_is_an_answer(hub, new_peer):
    peer = new_peer()
    answered = 0
    for _ in range(1000):
        hub.run(1)
        if len(peer.pings) > answered and hub.now - peer.pings[-1][0] > TIMEOUT - 2:
            answered += 1
            peer.activity += 1
    assert not peer.closed
    assert len(peer.pings) > 5
    assert peer.heartbeat.latency is None


def test_what_waits_to_be_read_is_an_answer(hub, new_peer):
    """A slow view has paused the reading; once that goes on, nothing is forgiven."""
    peer = new_peer()
    peer.bytes_unread = 7
    hub.run(1000)
    assert not peer.closed
    peer.bytes_unread = 0
    hub.run(2 * INTERVAL + 2 * TIMEOUT)
    assert peer.closed


def test_a_client_that_takes_bytes_is_alive(hub, new_peer):
    peer = new_peer()
    while peer.bytes_taken < 1000:
        hub.run(TIMEOUT / 2)
        peer.bytes_taken += 1
        assert not peer.closed
    hub.run(1000)
    assert peer.closed


def test_a_client_that_takes_nothing_is_not(hub, new_peer):
    peer = new_peer()
    peer.bytes_taken = 1000
    hub.run(2 * INTERVAL + TIMEOUT + TICK)
    assert peer.closed


def test_without_a_timeout_nobody_is_given_up(hub, new_peer):
    peer = new_peer(timeout=None)
    hub.run(100 * INTERVAL)
    assert not peer.closed
    assert 50 <= len(peer.pings) <= 101


@pytest.mark.parametrize("timeout", [TIMEOUT, None])
def test_without_an_interval_there_is_neither_a_ping_nor_a_timer(hub, new_peer, timeout):
    peer = new_peer(interval=None, timeout=timeout)
    assert hub.timers() == 0
    hub.run(1000)
    assert peer.pings == []
    assert not peer.closed
    peer.heartbeat.end()


@pytest.mark.parametrize("timeout", [1, 5, INTERVAL, 3 * INTERVAL])
@pytest.mark.parametrize("interval", [1, 5, INTERVAL])
def test_the_end_comes_by_interval_and_timeout(hub, new_peer, interval, timeout):
    begun = hub.now
    peers = [new_peer(interval, timeout) for _ in range(20)]
    hub.run(1000)
    for peer in peers:
        ((asked_at, _),) = peer.pings
        assert interval - TICK <= asked_at - begun <= 2 * interval + TICK
        assert timeout - TICK <= peer.ended_at - asked_at <= timeout + TICK


def test_one_timer_serves_them_all_and_leaves_with_the_last(hub, new_peer):
    peers = [new_peer(interval) for interval in (1, 5, 20, 300) for _ in range(250)]
    assert hub.timers() == 1
    hub.run(700, lambda: hub.timers() <= 1 or pytest.fail("more than one timer"))
    assert all(peer.closed for peer in peers)
    peers = [new_peer() for _ in range(100)]
    assert hub.timers() == 1
    for peer in peers:
        peer.heartbeat.end()
        peer.heartbeat.end()
    assert hub.timers() == 0


def test_whoever_leaves_while_others_are_looked_after_is_forgotten(hub, new_peer):
    """One closes another in its turn, as a view that wakes up there may."""
    peers = [new_peer() for _ in range(200)]
    for peer, other in zip(peers[::2], peers[1::2], strict=True):
        peer.probe = lambda _payload, other=other: other.heartbeat.end()
    hub.run(1000)
    assert all(peer.closed for peer in peers[::2])
    assert hub.timers() == 0


def test_those_that_came_at_once_are_not_asked_at_once(hub, new_peer):
    peers = [new_peer() for _ in range(300)]
    hub.run(INTERVAL * 2 + 1)
    times = sorted(peer.pings[0][0] for peer in peers)
    assert times[-1] - times[0] > INTERVAL / 4
    busiest = max(sum(start <= time < start + 1 for time in times) for start in times)
    assert busiest < 120


def test_no_turn_of_the_hub_looks_at_more_than_so_many(hub, new_peer, monkeypatch):
    """Even if all are due: the hub was held, say."""
    monkeypatch.setattr(keepalive, "uniform", lambda _least, most: most)
    peers = [new_peer() for _ in range(300)]
    looks = []
    for peer in peers:
        look_at = type(peer).taken
        peer.taken = lambda peer=peer, look_at=look_at: looks.append(peer) or look_at(peer)
    turns = []

    def end_turn():
        turns.append(len(looks))
        looks.clear()

    hub.now += 3 * INTERVAL
    hub.run(2 * INTERVAL, end_turn)
    assert sum(turns) >= 300
    assert max(turns) <= 64
    assert all(peer.pings for peer in peers)

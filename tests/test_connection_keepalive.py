"""Pings to clients that are quiet, and an end of those that do not answer.

The clock of these tests is another client's Pings: so many intervals have passed.
"""

from __future__ import annotations

import contextlib
import json
import resource
import time
import urllib.request

import pytest

import rawclient
from conftest import missing
from rawclient import BINARY, CLOSE, PING, PONG, TEXT, frame
from scene import Scene
from servers import PATIENCE

SILENCE = "no answer to a Ping within 1 seconds"


class Clock:
    """A client that gets a Ping every 0.05 to 0.1 seconds, and never has to answer."""

    def __init__(self, server) -> None:
        self._client = rawclient.connect(server, "/alive/asks/")

    def __enter__(self) -> Clock:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._client.sock.close()

    def tick(self, times: int = 1) -> None:
        """Return when so many Pings have come."""
        for _ in range(times):
            read_ping(self._client)


def read_ping(client) -> bytes:
    """Return the payload of the next frame, which must be a Ping."""
    got = client.read_frame()
    assert got.opcode == PING, got
    return got.payload


def pong(payload: bytes) -> bytes:
    return frame(PONG, payload)


# Silence.


def test_an_idle_client_gets_pings_each_another_and_echoes_still(server):
    with rawclient.connect(server, "/alive/asks/") as client:
        payloads = []
        for _ in range(4):
            payloads.append(read_ping(client))
            client.send(pong(payloads[-1]))
        assert len(set(payloads)) == 4
        client.send_text("still there?")
        frames = (client.read_frame() for _ in range(100))
        assert (TEXT, b"still there?", True) in frames


def test_a_client_that_answers_nothing_is_closed_with_1011_and_its_view_sees_it(server):
    with (
        Scene(server) as scene,
        rawclient.connect(server, scene.path("/alive/strict/")) as client,
    ):
        client.send_text("the last word")
        read_ping(client)
        assert client.read_close() == (1011, SILENCE)
        assert scene.note() == [["the last word"], 1011, SILENCE]
        client.send(rawclient.close(1011))
        assert client.read_end() == b""


@pytest.mark.slow
def test_half_a_frame_and_then_silence_is_silence(server):
    with (
        Scene(server) as scene,
        rawclient.connect(server, scene.path("/alive/strict/")) as client,
    ):
        client.send(rawclient.text("never to be whole")[:-1])
        read_ping(client)
        assert client.read_close() == (1011, SILENCE)
        assert scene.note() == [[], 1011, SILENCE]


@pytest.mark.slow
def test_any_byte_is_life_though_no_ping_is_ever_answered(server):
    whole = rawclient.text("x" * 18)
    words = {
        "bytes": [whole[i : i + 1] for i in range(len(whole))],
        "messages": [rawclient.text("x")] * 24,
        "fragments": [frame(TEXT, b"x", fin=False), *[frame(0, b"x", fin=False)] * 22, frame(0)],
        "unsolicited Pongs": [pong(b"x")] * 24,
        "Pings": [frame(PING, b"x")] * 24,
    }
    with contextlib.ExitStack() as stack:
        clock = stack.enter_context(Clock(server))
        clients = {
            kind: stack.enter_context(rawclient.connect(server, "/alive/while_held/"))
            for kind in words
        }
        # A word at every tick: so nobody is ever silent for a second, and all go on for longer.
        for number in range(24):
            for kind, client in clients.items():
                client.send(words[kind][number])
            clock.tick()
        for client in clients.values():
            client.send(rawclient.close(4000))
            assert last_frame(client) == (CLOSE, 4000)


def last_frame(client) -> tuple[int, int]:
    """Return the opcode and the code of the Close that comes, whatever comes before it."""
    while (got := client.read_frame()).opcode != CLOSE:
        pass
    return got.opcode, int.from_bytes(got.payload[:2], "big")


def test_a_client_that_answers_stays(server):
    with (
        Scene(server) as scene,
        rawclient.connect(server, scene.path("/alive/strict/")) as client,
    ):
        for _ in range(24):  # of 0.05 seconds, at the least
            client.send(pong(read_ping(client)))
        client.send(rawclient.close(4000))
        assert last_frame(client) == (CLOSE, 4000)
        assert scene.note() == [[], 4000, ""]


def test_none_turns_pings_off(server):
    with Clock(server) as clock, rawclient.connect(server, "/alive/never/") as client:
        clock.tick(6)
        client.send_text("not a word?")
        assert client.read_text() == "not a word?"


def test_none_for_the_timeout_ends_nobody(server):
    with rawclient.connect(server, "/alive/asks/") as client:
        for _ in range(10):
            read_ping(client)


# Slow, and not dead.


def test_a_client_whose_view_does_not_read_is_not_dead(server):
    """Its Pong lies in the kernel, for reading has paused."""
    with (
        Scene(server) as scene,
        Clock(server) as clock,
        rawclient.connect(server, scene.path("/alive/busy/")) as client,
    ):
        messages = [f"{number}" for number in range(5)]
        client.send(*map(rawclient.text, messages))
        client.send(pong(read_ping(client)))
        clock.tick(14)  # more than interval and timeout
        scene.open()
        client.send(rawclient.close(4000))
        assert scene.note() == [messages, 4000, ""]


@pytest.mark.slow
def test_a_view_that_holds_the_hub_kills_nobody(server):
    with contextlib.ExitStack() as stack:
        holder = stack.enter_context(rawclient.connect(server, "/alive/holds_hub/"))
        clients = [
            stack.enter_context(rawclient.connect(server, "/alive/while_held/")) for _ in range(5)
        ]
        payloads = [read_ping(client) for client in clients]
        holder.send_text("1.2")
        assert holder.read_text() == "holding"
        # The answers arrive when nobody can read them, and in time.
        for client, payload in zip(clients, payloads, strict=True):
            client.send(pong(payload))
        assert holder.read_text() == "held"
        for client in clients:
            client.send_text("still there?")
            while (got := client.read_frame()).opcode == PING:
                client.send(pong(got.payload))
            assert got == (TEXT, b"still there?", True)


@pytest.mark.slow
def test_a_client_that_takes_a_large_message_slowly_is_not_dead(server):
    """Part of it waits in the server, or all of it in the kernel; the Ping is behind it."""
    with contextlib.ExitStack() as stack:
        clock = stack.enter_context(Clock(server))
        slow = []
        for size, query in [(2_000_000, {"narrow": ""}), (500_000, {})]:
            scene = stack.enter_context(Scene(server))
            path = scene.path("/alive/sends_much/", size=size, **query)
            client = rawclient.connect(server, path, receive_buffer=16384)
            slow.append((size, scene, stack.enter_context(client)))
        for _ in range(24):  # more than interval and timeout
            clock.tick()
            for _, _, client in slow:
                piece = client.sock.recv(20_000)
                assert piece, "the end came"
                client._read += piece
        for size, scene, client in slow:
            assert client.read_frame() == (BINARY, bytes(size), True)
            client.send(rawclient.close(4000))
            assert last_frame(client) == (CLOSE, 4000)
            assert scene.note() == [[], 4000, ""]


def test_a_client_that_takes_less_than_its_view_sends_is_not_dead(server):
    """What waits for it grows and grows, and yet it takes some of it all the time."""
    with (
        Scene(server) as scene,
        Clock(server) as clock,
        rawclient.connect(server, scene.path("/alive/sends_more/"), receive_buffer=16384) as client,
    ):
        scene.look_until("sent", bool)
        for _ in range(24):
            clock.tick()
            assert client.sock.recv(20_000), "the end came"
        scene.open()
        client.send(rawclient.close(4000))
        assert scene.note() == [[], 4000, ""]


# Latency.


def look(client) -> float | None:
    client.send_text("look")
    while (got := client.read_frame()).opcode == PING:
        pass
    return json.loads(got.payload)


def test_latency_is_the_round_trip_of_a_ping_of_the_views_own(server):
    with rawclient.connect(server, "/alive/latency/") as client:
        assert look(client) is None
        for payload in (b"", b"one", b"1"):  # nobody has asked
            client.send(pong(payload))
        assert look(client) is None
        client.send_text("ping one")
        assert read_ping(client) == b"one"
        client.send(pong(b""), pong(b"other"))  # this is no answer
        assert look(client) is None
        begun = time.monotonic()
        client.send(pong(b"one"))
        first = look(client)
        assert first > 0
        client.send(pong(b"one"))  # a second time it is none
        assert look(client) == first
        client.send_text("ping two")
        asked = time.monotonic()
        assert read_ping(client) == b"two"
        client.send(pong(b"two"))
        second = look(client)
        assert second != first
        assert 0 < second < time.monotonic() - min(begun, asked)


def test_latency_is_the_round_trip_of_keepalives_ping_too(server):
    with rawclient.connect(server, "/alive/latency/asked/") as client:
        payload = read_ping(client)
        assert look(client) is None
        client.send(pong(payload))
        latency = look(client)
        assert 0 < latency < PATIENCE


def test_latency_is_there_however_quick_the_client_and_slow_the_process(server):
    with rawclient.connect(server, "/alive/late_for_its_pong/") as client:
        client.send_text("go")
        assert read_ping(client) == b"quick"
        client.send(pong(b"quick"), rawclient.text("and now?"))
        assert json.loads(client.read_text()) is not None


# Thousands.

FILES = 1200


@pytest.fixture
def files():
    """Lets this process open a file for each client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        missing(f"a limit of {FILES} open files", f"ulimit -Hn says {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def heartbeats(server) -> dict[str, int]:
    url = server.url("/alive/heartbeats/")
    with urllib.request.urlopen(url, timeout=PATIENCE) as response:
        return json.load(response)


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_idle_clients_have_one_timer_and_leave_none(server, files, count):
    before = heartbeats(server)
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(rawclient.dial(server)) for _ in range(count)]
        for sock in socks:
            sock.sendall(rawclient.request("/echo/"))
        for sock in socks:
            assert sock.recv(65536).startswith(b"HTTP/1.1 101 ")
        now = heartbeats(server)
        assert now["heartbeats"] >= count
        assert now["its own"] == 1
        # Those of earlier tests' closing handshakes may be among them.
        assert now["timers"] <= before["timers"] + 5
    patience_ends = time.monotonic() + PATIENCE
    while (after := heartbeats(server))["heartbeats"] > before["heartbeats"]:
        assert time.monotonic() < patience_ends, after
    assert after["timers"] <= before["timers"] + 5
    assert after["its own"] == (after["heartbeats"] > 0)

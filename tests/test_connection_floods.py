"""Clients that send more than they should: they wait, and nobody else does."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

import rawclient
from rawclient import CONTINUATION, PING, PONG, TEXT, frame
from scene import Scene

EMPTY = frame(CONTINUATION, fin=False)


# Fragments.


@pytest.mark.parametrize("fragment", [EMPTY, frame(PING), frame(PONG)], ids=["", "Ping", "Pong"])
def test_what_comes_in_one_read_takes_many_turns(server, fragment):
    """Counted in the server: whoever has something to do runs in between.

    A turn is some milliseconds, which is some thousands of these at most.
    """
    count = 10_000
    flood = frame(TEXT, b"a", fin=False) + fragment * count + frame(CONTINUATION, b"b")
    assert len(flood) < 65536
    with Scene(server) as scene, rawclient.connect(server, scene.path("/counts_turns/")) as client:
        client.send_text(f"{len(flood)}")
        assert client.read_text() == "now"
        client.send(flood)
        message, turns = scene.note()
        assert message == "ab"
        assert turns > 2


def flood_beside_an_honest_client(server, data: bytes, answer: str) -> int:
    """Return how often an honest client was served until a flood had its answer.

    Where all of a read is taken in at once, that is once a read: some ten times for 700 KB.
    """
    served = 0
    with (
        rawclient.connect(server, "/echo/") as honest,
        rawclient.connect(server, "/echo/") as hostile,
    ):
        sending = threading.Thread(target=hostile.send, args=[data])
        sending.start()
        hostile.sock.setblocking(False)
        received = b""
        while len(received) < len(answer) + 2:
            with suppress(BlockingIOError):
                received += hostile.sock.recv(65536)
            honest.send_text(f"{served}")
            assert honest.read_text() == f"{served}"
            served += 1
        sending.join()
        assert received[2:].decode() == answer
    return served


def test_a_hundred_thousand_empty_fragments_hold_up_nobody(server):
    data = frame(TEXT, b"a", fin=False) + EMPTY * 100_000 + frame(CONTINUATION, b"b")
    assert flood_beside_an_honest_client(server, data, "ab") > 20


@pytest.mark.slow
def test_a_million_empty_fragments_hold_up_nobody(server):
    data = frame(TEXT, b"a", fin=False) + EMPTY * 1_000_000 + frame(CONTINUATION, b"b")
    assert flood_beside_an_honest_client(server, data, "ab") > 200


def test_many_who_flood_leave_an_honest_client_its_share(server):
    data = frame(TEXT, b"a", fin=False) + EMPTY * 10_000
    hostile = [rawclient.connect(server, "/echo/") for _ in range(10)]
    with rawclient.connect(server, "/echo/") as honest:
        for client in hostile:
            client.send(data)
        for number in range(30):
            honest.send_text(f"{number}")
            assert honest.read_text() == f"{number}"
    for client in hostile:
        with client:
            client.send(frame(CONTINUATION, b"b"))
            assert client.read_text() == "ab"


# Pings.


def pings(count: int) -> bytes:
    return b"".join(frame(PING, b"%d" % number) for number in range(count))


def read_pongs(client) -> list[int]:
    """Return the numbers in the Pongs that come before the next text, which is "end"."""
    numbers = []
    while (got := client.read_frame()).opcode == PONG:
        numbers.append(int(got.payload))
    assert got == (TEXT, b"end", True)
    return numbers


def test_ten_pings_in_a_packet_get_ten_pongs(server):
    with rawclient.connect(server, "/echo/") as client:
        for _ in range(3):
            client.send(pings(10), rawclient.text("end"))
            assert read_pongs(client) == list(range(10))


def test_of_a_thousand_pings_in_a_packet_the_last_of_each_turn_are_answered(server):
    with rawclient.connect(server, "/echo/") as client:
        client.send(pings(1000), rawclient.text("end"))
        numbers = read_pongs(client)
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == 999
        # Sixteen of the sixty-four of a turn, and TCP may cut the packet once or twice.
        assert 16 <= len(numbers) <= 16 * (1000 // 64 + 3)


def test_pongs_that_nobody_reads_do_not_pile_up(server):
    """They would be 2.5 MB, and the sockets of both sides hold far less."""
    with (
        Scene(server) as scene,
        rawclient.connect(server, "/echo/") as other,
        rawclient.connect(server, scene.path("/never_reads_pongs/"), receive_buffer=4096) as client,
    ):
        for start in range(0, 20_000, 1000):
            numbers = range(start, start + 1000)
            client.send(*(frame(PING, b"%0125d" % number) for number in numbers))
            other.send_text(f"{start}")
            assert other.read_text() == f"{start}"
        client.send_text("end")
        client.all_has_arrived()
        server_has_read(other)
        assert scene.look("most") < 500_000
        scene.open()
        numbers = []
        while (got := client.read_frame()).opcode == PONG:
            numbers.append(int(got.payload))
        assert got == (TEXT, b"end", True)
        assert numbers == sorted(set(numbers))


def server_has_read(other) -> None:
    """Return when the server has read what was sent to it before."""
    for _ in range(2):
        other.send_text("")
        other.read_text()


# Messages.


@pytest.mark.parametrize(
    ("size", "most"), [(1, 8), (100, 8), (130, 8), (300, 4), (999, 2), (1000, 1), (50_000, 1)]
)
def test_reading_pauses_at_so_many_messages_or_bytes_and_goes_on(server, size, most):
    count = 2000 if size < 1000 else 50
    messages = [rawclient.text(f"{number} ".ljust(size, "x")) for number in range(count)]
    with Scene(server) as scene, rawclient.connect(server, scene.path("/is_slow/")) as client:
        client.send(*messages[: count // 2])
        scene.look_until("highest", lambda highest: highest and highest >= most)
        for _ in range(5):
            highest = scene.look("highest")
        # A number may make a message larger than it should be.
        assert highest <= most
        scene.open()
        client.send(*messages[count // 2 :], rawclient.close(4000))
        in_order, received, highest = scene.note()
        assert (in_order, received) == (True, count)
        assert highest <= most
        assert scene.note() == [4000]


@pytest.mark.parametrize("path", ["/hostile/polls/", "/hostile/polls/one/"])
@pytest.mark.parametrize("size", [1, 2**19, 2**20])
def test_a_view_that_polls_hears_all(server, path, size):
    with Scene(server) as scene, rawclient.connect(server, scene.path(path)) as client:
        for number in range(3):
            client.send_text("x" * size)
            assert client.read_text() == f"{size}"
            client.send(*[rawclient.text("x" * number)] * 100)
            for _ in range(100):
                assert client.read_text() == f"{number}"
        client.send(rawclient.close(4000))
        assert client.read_close() == (4000, "")
        assert scene.note() == "closed"


WAYS = {
    "Close": lambda client: client.send(rawclient.close(4000)),
    "FIN": lambda client: client.end_output(),
    "RST": lambda client: client.reset(),
    "FIN within a frame": lambda client: (client.send(b"\x81"), client.end_output()),
    "an error": lambda client: client.send(frame(0xB)),
}

CODES = {"Close": 4000, "an error": 1002}


@pytest.mark.parametrize("how", WAYS)
def test_what_came_before_the_end_is_read_however_much_it_was(server, how):
    """More than the queue holds, and more than a read brings."""
    messages = [f"{number:012}" for number in range(6000)]
    with Scene(server) as scene, rawclient.connect(server, scene.path("/busy/")) as client:
        client.send(*map(rawclient.text, messages))
        client.all_has_arrived()
        WAYS[how](client)
        scene.open()
        closed, code = scene.note()
        if closed:
            assert code == CODES.get(how, 1006)
        assert scene.note() == messages


def test_what_came_before_a_reset_is_read_though_a_pong_could_not_leave(server):
    messages = [f"{number:1000}" for number in range(300)]
    with Scene(server) as scene, rawclient.connect(server, scene.path("/late_to_read/")) as client:
        client.send_text("hold")
        assert client.read_text() == "holding"
        client.send(frame(PING), *map(rawclient.text, messages))
        client.all_has_arrived()
        client.reset()
        assert scene.note() == messages


def test_messages_among_fragments_and_pings_stay_in_order(server):
    messages = []
    data = bytearray()
    for number in range(500):
        messages.append(f"{number}")
        payload = messages[-1].encode()
        data += frame(TEXT, payload[:1], fin=False) + EMPTY * (number % 7) + frame(PING, b"x")
        data += frame(CONTINUATION, payload[1:]) + frame(PONG)
    with Scene(server) as scene, rawclient.connect(server, scene.path("/busy/")) as client:
        client.send(bytes(data), rawclient.close())
        scene.open()
        scene.note()
        assert scene.note() == messages

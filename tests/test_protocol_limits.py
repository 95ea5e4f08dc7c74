"""So many bytes a message, enforced from its header on; so many messages at a time."""

from __future__ import annotations

import tracemalloc
from contextlib import contextmanager

import pytest

from django_websocket_ev.protocol.receiver import Ping, Pong, Receiver
from fuzzing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, plain
from receiving import error_code, receive

EURO = "\N{EURO SIGN}"


@contextmanager
def memory(limit: int):
    """Fail if more than ``limit`` bytes are in use on the way, or at the end."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before <= limit


# The size of a message.


@pytest.mark.parametrize("limit", [1, 125, 126, 65535, 65536])
def test_a_message_may_be_as_large_as_the_limit(limit):
    data = frame(BINARY, bytes(limit)) + frame(TEXT, b"x" * limit)
    events = [("bytes", bytes(limit)), ("str", "x" * limit)]
    assert receive(data, max_message_size=limit) == events
    half = limit // 2
    halves = frame(BINARY, bytes(half), fin=False) + frame(CONTINUATION, bytes(limit - half))
    assert receive(halves * 2, max_message_size=limit) == [("bytes", bytes(limit))] * 2


@pytest.mark.parametrize("limit", [1, 125, 126, 65535, 65536])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_over_the_limit_is_refused_by_its_header(opcode, limit):
    header = frame(opcode, length=limit + 1)
    assert error_code(header, max_message_size=limit) == 1009
    assert receive(header[:-1], max_message_size=limit) == []


def test_a_sum_of_fragments_over_the_limit_is_refused_by_the_header_that_exceeds_it():
    fragments = [frame(TEXT, b"abcd", fin=False), frame(CONTINUATION, b"efgh", fin=False)]
    assert receive(*fragments, frame(CONTINUATION, length=2), max_message_size=10) == []
    assert error_code(*fragments, frame(CONTINUATION, length=3), max_message_size=10) == 1009
    assert (
        error_code(b"".join(fragments) + frame(CONTINUATION, length=3), max_message_size=10) == 1009
    )


@pytest.mark.parametrize("length", [2**20 + 1, 2**40, 2**63 - 1])
def test_an_announced_giant_is_refused_at_once_and_stores_nothing(length):
    receiver = Receiver()
    with memory(64 * 1024):
        (error,) = receiver.feed(frame(BINARY, length=length))
    assert error.code == 1009
    assert receiver.finished


def test_without_a_limit_an_announced_giant_stores_what_has_come():
    receiver = Receiver(None)
    with memory(64 * 1024):
        assert receiver.feed(frame(BINARY, b"abc", length=2**40)) == []
    assert receive(frame(BINARY, bytes(2**20 + 1)), max_message_size=None) == [
        ("bytes", bytes(2**20 + 1))
    ]


def test_empty_fragments_cost_nothing():
    receiver = Receiver(max_message_size=2)
    receiver.feed(frame(TEXT, b"a", fin=False))
    empty = frame(CONTINUATION, fin=False)
    receiver.feed(empty)
    with memory(16 * 1024):
        for _ in range(1000):
            assert receiver.feed(empty) == []
    assert receiver.feed(empty * 1000 + frame(CONTINUATION, b"b")) == ["ab"]


def test_fragments_of_one_byte_cost_a_byte():
    receiver = Receiver()
    receiver.feed(frame(BINARY, b"x", fin=False))
    one = frame(CONTINUATION, b"x", fin=False)
    receiver.feed(one)
    # An object each would take 160 KiB.
    with memory(32 * 1024):
        for _ in range(4000):
            receiver.feed(one)
    assert receiver.feed(frame(CONTINUATION)) == [b"x" * 4002]


def test_control_frames_are_outside_the_limit():
    receiver = Receiver(max_message_size=1)
    data = frame(TEXT, b"a", fin=False) + frame(PING, bytes(125)) + frame(CONTINUATION)
    assert receiver.feed(data) == [Ping(bytes(125)), "a"]


def test_the_limit_counts_bytes_and_not_characters():
    assert receive(frame(TEXT, EURO.encode()), max_message_size=3) == [("str", EURO)]
    assert error_code(frame(TEXT, EURO.encode()), max_message_size=2) == 1009


# At most so many messages at a time.


def test_what_is_behind_the_limit_is_kept_for_the_next_call():
    receiver = Receiver()
    data = b"".join(frame(TEXT, str(number).encode()) for number in range(5))
    assert receiver.feed(data, 2) == ["0", "1"]
    assert receiver.feed(b"", 0) == []
    assert receiver.feed(frame(TEXT, b"5"), 2) == ["2", "3"]
    assert receiver.feed(b"") == ["4", "5"]
    assert receiver.feed(b"") == []


def test_control_frames_do_not_count_and_wait_their_turn():
    receiver = Receiver()
    data = frame(PING, b"1") + frame(TEXT, b"a") + frame(PONG, b"2") + frame(TEXT, b"b")
    assert receiver.feed(data, 1) == [Ping(b"1"), "a"]
    assert receiver.feed(b"", 1) == [Pong(b"2"), "b"]


@pytest.mark.parametrize(
    "last",
    [frame(CLOSE, b"\x03\xe8"), frame(3), frame(TEXT, b"\xff")],
    ids=["Close", "1002", "1007"],
)
def test_the_end_waits_behind_the_limit_too(last):
    receiver = Receiver()
    assert receiver.feed(frame(TEXT, b"a") + last, 1) == ["a"]
    assert not receiver.finished
    (event,) = receiver.feed(b"", 1)
    assert [plain(event)] == receive(last)
    assert receiver.finished

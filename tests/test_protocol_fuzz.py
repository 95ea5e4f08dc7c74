"""Bytes that no client should send: nothing breaks, and `websockets` makes the same of them.

``fuzzing/`` has the sessions, the comparison and the rules that explain a difference. Here are
a few thousand sessions of each target. They are seeded, so a failure comes again.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter

import pytest
import websockets

from django_websocket_ev.protocol.receiver import Receiver
from fuzzing import (
    BINARY,
    CONTINUATION,
    PING,
    TEXT,
    deflating,
    differences,
    frame,
    handshakes,
    inflating,
    sessions,
)
from fuzzing.tally import Tally


def sentences(tally: Tally) -> set[str]:
    return {sentence for kind in tally.explained for sentence in kind}


def nothing_found(tally: Tally) -> bool:
    return not tally.findings or pytest.fail("\n\n".join(map(str, tally.findings[:3])))


#: Every sentence that explains what `websockets` makes of frames.
FRAMING = {
    differences.WASTEFUL,
    differences.CLOSE_IN_BETWEEN,
    differences.CONTROL_IS_APART,
    differences.SOONER,
}


def test_the_receiver_and_websockets_accept_and_refuse_the_same():
    tally = sessions.batch("receiver", seed=13, count=2500)
    assert nothing_found(tally)
    assert sentences(tally) == FRAMING
    assert tally.explained.total() < tally.sessions / 5
    # It was worth it: some got through, and some failed for each reason.
    assert min(tally.ends[code] for code in (None, 1000, 1002, 1007, 1009)) > 10, tally.ends


def test_the_inflater_and_websockets_accept_and_refuse_the_same():
    tally = sessions.batch("inflater", seed=2015, count=2000)
    assert nothing_found(tally)
    # Some of what else there is takes more sessions to be met.
    expected = {inflating.FINAL_BLOCK, inflating.CUT_SHORT, inflating.NO_PAYLOAD, *FRAMING}
    assert sentences(tally) > expected
    assert tally.explained.total() < tally.sessions / 4
    assert min(tally.ends[code] for code in (None, 1000, 1002, 1007, 1009)) > 10, tally.ends


def test_what_is_deflated_is_read_by_websockets_and_by_zlib():
    tally = deflating.batch(seed=7692, count=200)
    assert nothing_found(tally)
    assert tally.built > 500


#: Its version 17 is the first that answers each of our handshakes as its rules have it.
with_their_handshake = pytest.mark.skipif(
    int(websockets.__version__.split(".")[0]) < 17, reason="websockets 17 needs Python 3.11"
)


@with_their_handshake
def test_the_handshake_and_websockets_open_the_same():
    tally = handshakes.batch(seed=6455, count=2500)
    assert nothing_found(tally)
    assert sentences(tally) == {rule.sentence for rule in handshakes.RULES} | {handshakes.SAID_15}
    assert tally.explained.total() < tally.sessions / 10
    assert min(tally.ends["opened"], tally.ends["not opened"]) > 500


@pytest.mark.slow
@pytest.mark.parametrize(
    ("batch", "count"),
    [
        pytest.param(lambda *args: sessions.batch("receiver", *args), 100_000, id="receiver"),
        pytest.param(lambda *args: sessions.batch("inflater", *args), 30_000, id="inflater"),
        pytest.param(handshakes.batch, 30_000, id="handshake", marks=with_their_handshake),
    ],
)
def test_many_more_sessions(batch, count):
    ends: Counter[object] = Counter()
    for seed in range(count // 1000):
        tally = batch(seed, 1000)
        assert nothing_found(tally)
        ends += tally.ends
    assert ends.total() == count


# Memory.


def in_use() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.fixture
def tracing():
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("target", ["receiver", "inflater"])
def test_memory_does_not_grow_from_session_to_session(tracing, target):
    # What is cached on the way must be there before.
    sessions.batch(target, seed=1, count=250)
    before = in_use()
    sessions.batch(target, seed=2, count=250)
    assert in_use() - before < 8 * 1024


def test_memory_does_not_grow_within_a_session(tracing):
    receiver = Receiver(200)
    stream = (
        frame(TEXT, b"a" * 100, fin=False)
        + frame(PING, bytes(125))
        + frame(CONTINUATION, fin=False)
        + frame(CONTINUATION, b"b" * 100)
        + frame(BINARY, bytes(200))
    )
    # The cuts wander through the frames.
    pieces = [(stream * 100)[i : i + 101] for i in range(0, len(stream) * 100, 101)]

    def run() -> None:
        for piece in pieces:
            receiver.feed(piece)

    run()
    before = in_use()
    run()
    run()
    assert in_use() - before < 8 * 1024
    assert not receiver.finished


@pytest.mark.parametrize("text", ["x", "\N{EURO SIGN}", "x" * 100 + "\N{GRINNING FACE}"])
def test_memory_is_bounded_by_a_multiple_of_the_limit(tracing, text):
    # The bytes and, once a message is whole, its characters of up to four bytes each.
    size = 2**18
    payload = (text * (size // len(text.encode()))).encode()
    begin = frame(TEXT, payload[: size // 2], fin=False)
    rest = frame(CONTINUATION, payload[size // 2 :], fin=False) + frame(CONTINUATION)
    before = in_use()
    receiver = Receiver(size)
    for stream in (begin, rest, begin, frame(CONTINUATION, length=size)):
        for i in range(0, len(stream), 4096):
            events = receiver.feed(stream[i : i + 4096])
    assert [event.code for event in events] == [1009]
    _, peak = tracemalloc.get_traced_memory()
    assert peak - before < 8 * size

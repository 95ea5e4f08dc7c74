"""Bytes that no client should send: the receiver survives them, and agrees with `websockets`.

The streams are seeded, so a failure comes again; it names the stream.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter
from typing import Any, NamedTuple

import pytest
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from django_websocket_ev.protocol.close import ProtocolError, build_payload
from django_websocket_ev.protocol.receiver import Close, Ping, Pong, Receiver
from fuzzing import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    announced_frames,
    begins_utf8,
    frame,
    is_utf8,
    mutated_sessions,
    plain,
)

#: So low that some messages are over it.
MAX_SIZE = 200

_KINDS = {str, bytes, Ping, Pong, Close, ProtocolError}
_ENDS = (Close, ProtocolError)


def receive(pieces: list[bytes], *, short_way: bool = False) -> list[Any]:
    """Feed a session to a new receiver, perhaps as a connection does, and return the events."""
    receiver = Receiver(MAX_SIZE)
    events: list[Any] = []
    for piece in pieces:
        message = receiver.feed_whole(piece) if short_way else None
        events += receiver.feed(piece) if message is None else [message]
    return events


def check(events: list[Any], session: list[bytes]) -> None:
    """Whatever came in: events of the known kinds, one end at most, and nothing behind it."""
    for event in events:
        assert type(event) in _KINDS, session
        if isinstance(event, (str, bytes)):
            assert len(event) <= MAX_SIZE, session
    assert not any(isinstance(event, _ENDS) for event in events[:-1]), session
    if events and isinstance(events[-1], ProtocolError):
        assert events[-1].code in (1002, 1007, 1009), session
        assert build_payload(events[-1].code, events[-1].reason), session


@pytest.mark.slow
def test_a_hundred_thousand_mutated_frames_end_in_nothing_but_its_own_errors():
    ends: Counter[Any] = Counter()
    for number, session in enumerate(mutated_sessions(seed=6455, count=100_000)):
        events = receive(session, short_way=number % 2 == 0)
        check(events, session)
        last = events[-1] if events else None
        ends[last.code if isinstance(last, _ENDS) else None] += 1
    # It was worth it: many got through, and many failed for each reason.
    assert min(ends[code] for code in (None, 1000, 1002, 1007, 1009)) > 1000, ends


# Memory.


def in_use() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.fixture
def tracing():
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_memory_does_not_grow_from_session_to_session(tracing):
    def run(seed: int) -> None:
        for session in mutated_sessions(seed, 1000):
            receive(session)

    run(1)
    before = in_use()
    run(2)
    assert in_use() - before < 8 * 1024


def test_memory_does_not_grow_within_a_session(tracing):
    receiver = Receiver(MAX_SIZE)
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


# What `websockets` makes of the same bytes.


class Outcome(NamedTuple):
    """What came of a stream: its messages and control frames, and whether it was refused."""

    events: list[tuple[str, Any]]
    #: The close code of the error, None if there was none.
    error: int | None


def our_outcome(session: list[bytes]) -> Outcome:
    events = receive(session)
    if events and isinstance(events[-1], ProtocolError):
        return Outcome([plain(event) for event in events[:-1]], events[-1].code)
    return Outcome([plain(event) for event in events], None)


def their_outcome(session: list[bytes]) -> tuple[Outcome, int]:
    """Return their outcome, and how many frames they took.

    Their protocol hands out frames. Joining these, and looking at their UTF-8, is
    left to its users, so it is done here, on RFC 3629's grammar.
    """
    protocol = ServerProtocol(state=State.OPEN, max_size=MAX_SIZE)
    for piece in session:
        protocol.receive_data(piece)
    received = protocol.events_received()
    events: list[tuple[str, Any]] = []
    kind, message = Opcode.CONT, b""
    for taken, event in enumerate(received):
        data = bytes(event.data)
        if event.opcode is Opcode.PING:
            events.append(("Ping", Ping(data)))
        elif event.opcode is Opcode.PONG:
            events.append(("Pong", Pong(data)))
        elif event.opcode is Opcode.CLOSE:
            close = protocol.close_rcvd
            events.append(("Close", Close(int(close.code), close.reason)))
        else:
            kind, message = (kind if event.opcode is Opcode.CONT else event.opcode), message + data
            if kind is Opcode.TEXT and not (is_utf8 if event.fin else begins_utf8)(message):
                return Outcome(events, 1007), taken
            if event.fin:
                is_text = kind is Opcode.TEXT
                events.append(("str", message.decode()) if is_text else ("bytes", message))
                message = b""
    # Its code is in the Close frame that it has sent.
    error = None if protocol.parser_exc is None else protocol.close_sent.code
    return Outcome(events, error), len(received)


def completed(stream: bytes) -> bytes:
    """Return ``stream`` with zeros for what its last frame has announced, as far as the limit."""
    if len(stream) - 1 in [0, *(header.end for header in announced_frames(stream))]:
        stream += b"\x80"  # all that is there is a first byte: make it an empty frame with a mask
    missing = announced_frames(stream)[-1].end - len(stream)
    return stream + bytes(min(missing, MAX_SIZE + 14))


WASTEFUL = "5.2: the minimal number of bytes MUST be used to encode the length"
CLOSE_IN_BETWEEN = "5.4: control frames MAY be injected in the middle of a fragmented message"
CONTROL_IS_APART = "5.5: a control frame has its own limit, that of messages is not for it"
SOONER = "one refuses a frame that has not come whole, the other will"


def difference(session: list[bytes]) -> str:
    """Return why the outcomes differ, in words of the RFC where it has some; "" if they do not."""
    stream = b"".join(session)
    ours = our_outcome(session)
    theirs, taken = their_outcome(session)
    if agree(ours, theirs):
        return ""
    announced = announced_frames(stream)
    ends = [header.end for header in announced]
    wasteful = [header.wasteful for header in announced]
    if ours.error == 1002 and True in wasteful:
        before = stream[: [0, *ends][wasteful.index(True)]]
        if our_outcome([before]) == (ours.events, None):
            return WASTEFUL
    if theirs.error == 1002 and ours == ([*theirs.events, *ours.events[-1:]], None):
        if ours.events[-1][0] == "Close":
            return CLOSE_IN_BETWEEN
    if theirs.error == 1009 and announced[taken].opcode >= CLOSE:
        if their_outcome([stream[: ends[taken - 1]]])[0] == our_outcome(
            [stream[: ends[taken - 1]]]
        ):
            return CONTROL_IS_APART
    if None in (ours.error, theirs.error):
        whole = completed(stream)
        if agree(our_outcome([whole]), their_outcome([whole])[0]):
            return SOONER
    return f"{ours} but {theirs}: {session}"


def agree(ours: Outcome, theirs: Outcome) -> bool:
    """Whether the events are the same, and both refuse or neither does.

    A frame that breaks two rules may get the code of either.
    """
    return ours.events == theirs.events and (ours.error is None) == (theirs.error is None)


def test_websockets_accepts_and_refuses_the_same():
    differences = Counter(map(difference, mutated_sessions(seed=13, count=10_000)))
    assert set(differences) == {"", WASTEFUL, CLOSE_IN_BETWEEN, CONTROL_IS_APART, SOONER}
    assert differences[""] > 8_000

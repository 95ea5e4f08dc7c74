"""However the bytes are cut, and whichever way they go in, the events are the same."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_websocket_ev.protocol.receiver import Ping, Receiver
from fuzzing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, plain
from receiving import one_by_one, receive

EURO = "\N{EURO SIGN}"

#: Above any message of the streams below, but for those that end over it.
LIMIT = 200

_text = st.text(max_size=40).map(lambda text: (TEXT, text.encode()))
_binary = st.sampled_from([0, 3, 126]).map(lambda size: (BINARY, b"\xfe" * size))
_control = st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=20))
_key = st.binary(min_size=4, max_size=4)


@st.composite
def _fragments(draw) -> bytes:
    """Return the frames of one message, control frames in between."""
    opcode, payload = draw(_text | _binary)
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    edges = [0, *cuts, len(payload)]
    data = b""
    for number, (begin, end) in enumerate(pairwise(edges)):
        if number and draw(st.booleans()):
            data += frame(*draw(_control), mask=draw(_key))
        fin = number == len(cuts)
        kind = CONTINUATION if number else opcode
        data += frame(kind, payload[begin:end], fin=fin, mask=draw(_key))
    return data


_ends = st.sampled_from(
    [
        b"",
        frame(CLOSE),
        frame(CLOSE, b"\x03\xe8bye"),
        frame(CLOSE, b"\x03\xee"),
        frame(CLOSE, b"\x03"),
        frame(TEXT, b"\xc0\xaf"),
        frame(TEXT, b"a\xe2\x82", fin=False) + frame(PING) + frame(CONTINUATION, b"a"),
        frame(TEXT, b"a\xe2\x82", fin=False) + frame(CONTINUATION),
        frame(TEXT, b"a", fin=False) + frame(TEXT),
        frame(CONTINUATION),
        frame(TEXT, b"a", mask=b""),
        frame(TEXT, rsv=2),
        frame(BINARY, bytes(150), fin=False) + frame(CONTINUATION, length=51),
        frame(BINARY, length=2**40),
    ]
)


@st.composite
def _streams(draw) -> bytes:
    controls = _control.map(lambda control: frame(*control))
    messages = draw(st.lists(_fragments() | controls, max_size=3))
    return b"".join(messages) + draw(_ends) + draw(st.sampled_from([b"", frame(TEXT, b"behind")]))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(_streams(), st.data())
def test_every_cut_of_a_stream_gives_the_same_events(stream, data):
    whole = receive(stream, max_message_size=LIMIT)
    assert receive(*one_by_one(stream), max_message_size=LIMIT) == whole
    for cut in range(len(stream) + 1):
        assert receive(stream[:cut], stream[cut:], max_message_size=LIMIT) == whole
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
    pieces = [stream[i:j] for i, j in pairwise([0, *sorted(cuts), len(stream)])]
    assert receive(*pieces, max_message_size=LIMIT) == whole


@settings(deadline=None, derandomize=True, max_examples=200)
@given(_streams(), st.data())
def test_the_short_way_gives_the_same_events(stream, data):
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
    receiver = Receiver(LIMIT)
    events = []
    for begin, end in pairwise([0, *sorted(cuts), len(stream)]):
        message = receiver.feed_whole(stream[begin:end])
        events += receiver.feed(stream[begin:end]) if message is None else [message]
    assert [plain(event) for event in events] == receive(stream, max_message_size=LIMIT)


@settings(deadline=None, derandomize=True)
@given(_streams(), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 2)), max_size=6))
def test_limits_change_when_events_come_and_not_which(stream, steps):
    receiver = Receiver(LIMIT)
    events = []
    position = 0
    for size, limit in steps:
        fed = receiver.feed(stream[position : position + size], limit)
        assert sum(isinstance(event, str) or type(event) is bytes for event in fed) <= limit
        events += fed
        position += size
    events += receiver.feed(stream[position:])
    assert [plain(event) for event in events] == receive(stream, max_message_size=LIMIT)


# The short way: one read that is one message, and not long.


@pytest.mark.parametrize("text", ["", "a", EURO, "x" * 125, "x" * 126, "x" * 4096, EURO * 1000])
def test_the_short_way_takes_one_text(text):
    receiver = Receiver()
    assert receiver.feed_whole(frame(TEXT, text.encode())) == text
    assert receiver.feed(frame(PING)) == [Ping(b"")]


@pytest.mark.parametrize("payload", [b"", b"a", b"\xff" * 125, b"\xff" * 126, b"\xff" * 4096])
def test_the_short_way_takes_one_binary_message(payload):
    receiver = Receiver()
    message = receiver.feed_whole(frame(BINARY, payload))
    assert type(message) is bytes
    assert message == payload
    assert receiver.feed(frame(PING)) == [Ping(b"")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        frame(TEXT, b"a")[:-1],
        frame(TEXT, b"a") + b"\x81",
        frame(TEXT, b"a") + frame(TEXT, b"b"),
        frame(TEXT, b"x" * 126)[:-1],
        frame(TEXT, b"x" * 126) + b"\x81",
        frame(TEXT, b"x" * 126)[:3],
        frame(TEXT, b"x" * 4097),
        frame(TEXT, b"x" * 65536),
        frame(TEXT, b"x" * 125 + b"\xff"),
        b"\x81\xfe\x00\x01" + bytes(5),  # a length that is not minimal
        b"\x81\xff" + bytes(131),  # the length of 64 bits that would do for 127
        frame(TEXT, b"x" * 126, mask=b"") + bytes(4),
        frame(BINARY, b"a" * 200, fin=False),
        frame(TEXT, b"a", fin=False),
        frame(TEXT, b"a", rsv=1),
        frame(TEXT, b"a", mask=b"") + bytes(4),
        frame(TEXT, b"\xff"),
        frame(PING, b"a"),
        frame(CLOSE),
    ],
)
def test_the_short_way_takes_nothing_else(data):
    receiver = Receiver()
    assert receiver.feed_whole(data) is None
    assert [plain(event) for event in receiver.feed(data)] == receive(data)


@pytest.mark.parametrize(
    "before",
    [
        frame(TEXT, b"a", fin=False),
        frame(TEXT, fin=False),
        frame(TEXT, b"abc")[:-1],
        frame(TEXT)[:1],
        frame(PING, b"abc")[:-1],
        frame(CLOSE),
        frame(3),
    ],
    ids=["fragment", "empty fragment", "payload", "header", "control", "closed", "failed"],
)
def test_the_short_way_is_shut_while_anything_is_pending(before):
    receiver = Receiver()
    receiver.feed(before)
    assert receiver.feed_whole(frame(TEXT, b"abc")) is None
    assert receiver.feed_whole(frame(TEXT, b"x" * 126)) is None
    assert receiver.feed_whole(frame(BINARY, b"abc")) is None


def test_the_short_way_opens_again_between_messages():
    receiver = Receiver()
    receiver.feed(frame(TEXT, b"a", fin=False))
    receiver.feed(frame(CONTINUATION, b"b"))
    assert receiver.feed_whole(frame(TEXT, b"c")) == "c"


def test_the_short_way_is_shut_while_messages_are_kept_back():
    receiver = Receiver()
    assert receiver.feed(frame(TEXT, b"a") + frame(TEXT, b"b"), 1) == ["a"]
    assert receiver.feed_whole(frame(TEXT, b"c")) is None
    assert receiver.feed(frame(TEXT, b"c")) == ["b", "c"]


def test_the_short_way_knows_the_limit():
    receiver = Receiver(max_message_size=3)
    assert receiver.feed_whole(frame(TEXT, b"abc")) == "abc"
    assert receiver.feed_whole(frame(TEXT, b"abcd")) is None
    assert receiver.feed_whole(frame(BINARY, b"abc")) == b"abc"
    assert receiver.feed_whole(frame(BINARY, b"abcd")) is None
    assert Receiver(max_message_size=None).feed_whole(frame(TEXT, b"abc")) == "abc"


def test_the_short_way_knows_the_limit_of_what_is_longer():
    receiver = Receiver(max_message_size=200)
    assert receiver.feed_whole(frame(TEXT, b"x" * 200)) == "x" * 200
    assert receiver.feed_whole(frame(TEXT, b"x" * 201)) is None
    assert Receiver(max_message_size=None).feed_whole(frame(BINARY, b"x" * 300)) == b"x" * 300

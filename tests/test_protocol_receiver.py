"""From a client's bytes to messages: fragments, control frames, Close, and the end."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from django_websocket_ev.protocol.close import build_payload
from django_websocket_ev.protocol.receiver import Close, Ping, Pong, Receiver
from fuzzing import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, plain
from receiving import error_code, one_by_one, receive

EURO = "\N{EURO SIGN}"


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_a_message_in_one_frame(size):
    assert receive(frame(TEXT, b"x" * size)) == [("str", "x" * size)]
    assert receive(frame(BINARY, b"\xff" * size)) == [("bytes", b"\xff" * size)]


def test_text_is_a_str_and_binary_is_bytes():
    text, binary, fragments = Receiver().feed(
        frame(TEXT, b"1") + frame(BINARY, b"1") + frame(BINARY, fin=False) + frame(CONTINUATION)
    )
    assert (type(text), type(binary), type(fragments)) == (str, bytes, bytes)


def test_a_message_in_fragments_comes_whole():
    data = (
        frame(TEXT, b"Hel", fin=False)
        + frame(CONTINUATION, b"", fin=False)
        + frame(CONTINUATION, b"lo", fin=False, mask=b"abcd")
        + frame(CONTINUATION)
    )
    assert receive(data) == [("str", "Hello")]
    assert receive(*one_by_one(data)) == [("str", "Hello")]


def test_control_frames_pass_a_message_in_the_making_by():
    pieces = [
        frame(BINARY, b"a", fin=False),
        frame(PING, b"1"),
        frame(CONTINUATION, b"b", fin=False),
        frame(PONG, b"2"),
        frame(PING),
        frame(CONTINUATION, b"c"),
        frame(TEXT, b"next"),
    ]
    events = [
        ("Ping", Ping(b"1")),
        ("Pong", Pong(b"2")),
        ("Ping", Ping(b"")),
        ("bytes", b"abc"),
        ("str", "next"),
    ]
    assert receive(*pieces) == events
    assert receive(b"".join(pieces)) == events
    assert receive(*one_by_one(b"".join(pieces))) == events


def test_a_control_frame_comes_at_once_and_not_with_the_message():
    receiver = Receiver()
    assert receiver.feed(frame(TEXT, b"a", fin=False)) == []
    assert receiver.feed(frame(PING, b"now")) == [Ping(b"now")]


def test_close_may_come_in_the_middle_of_a_message():
    # Section 5.4: control frames may be injected there, and Close is one.
    data = frame(TEXT, b"a", fin=False) + frame(CLOSE, b"\x03\xe8")
    assert receive(data) == [("Close", Close(1000, ""))]


@pytest.mark.parametrize("first", [TEXT, BINARY])
@pytest.mark.parametrize("second", [TEXT, BINARY])
@pytest.mark.parametrize("fin", [True, False])
def test_no_message_begins_inside_another(first, second, fin):
    assert error_code(frame(first, b"a", fin=False) + frame(second, b"b", fin=fin)) == 1002
    # An empty fragment is one too.
    assert error_code(frame(first, fin=False) + frame(second, fin=fin)) == 1002


@pytest.mark.parametrize("fin", [True, False])
def test_a_continuation_continues_something(fin):
    assert error_code(frame(CONTINUATION, b"a", fin=fin)) == 1002
    assert receive(frame(TEXT, b"a") + frame(CONTINUATION, b"b", fin=fin))[1][0] == "ProtocolError"
    whole = frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b")
    assert receive(whole + frame(CONTINUATION, fin=fin))[1][0] == "ProtocolError"


@pytest.mark.parametrize(
    "header",
    [
        frame(TEXT, rsv=4)[:1],
        frame(3)[:1],
        frame(PING, fin=False)[:1],
        frame(TEXT, mask=b"")[:2],
        frame(CLOSE, length=126)[:2],
        frame(BINARY, length=125, bits=16)[:4],
    ],
    ids=["reserved bit", "opcode", "fragmented", "unmasked", "long control", "not minimal"],
)
def test_a_broken_header_is_an_error_before_it_is_whole(header):
    assert error_code(header) == 1002
    assert receive(frame(TEXT, b"a"), *one_by_one(header))[1][1][0] == 1002


def test_a_mask_goes_on_where_the_last_piece_ended():
    payload = bytes(range(256))
    data = frame(BINARY, payload, mask=b"\x01\x02\x03\x04")
    for size in (1, 2, 3, 5, 7, 64):
        pieces = [data[i : i + size] for i in range(0, len(data), size)]
        assert receive(*pieces) == [("bytes", payload)]


# Close.


def test_a_close_frame_gives_its_code_and_reason():
    payload = b"\x0f\xa1" + f"bye {EURO}".encode()
    assert receive(frame(CLOSE, payload)) == [("Close", Close(4001, f"bye {EURO}"))]
    assert receive(frame(CLOSE, b"\x03\xe8" + b"x" * 123)) == [("Close", Close(1000, "x" * 123))]


def test_a_close_frame_without_a_code_reads_as_1005():
    assert receive(frame(CLOSE)) == [("Close", Close(1005, ""))]


def test_each_code_closes_or_is_a_protocol_error():
    closes, fails = set(), set()
    for code in [*range(5100), 0x8000, 0xFFFF]:
        ((kind, (event_code, _)),) = receive(frame(CLOSE, code.to_bytes(2, "big")))
        if kind == "Close":
            closes.add(event_code)
        else:
            fails.add(event_code)
    assert closes == {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
    assert fails == {1002}


def test_half_a_code_is_a_protocol_error():
    assert error_code(frame(CLOSE, b"\x03")) == 1002


# The end.

ENDS = [
    pytest.param(frame(CLOSE, b"\x03\xe8"), "Close", 1000, id="Close"),
    pytest.param(frame(3), "ProtocolError", 1002, id="1002"),
    pytest.param(frame(TEXT, b"\xff"), "ProtocolError", 1007, id="1007"),
    pytest.param(frame(TEXT, length=501), "ProtocolError", 1009, id="1009"),
]


@pytest.mark.parametrize(("end", "kind", "code"), ENDS)
def test_nothing_comes_after_the_end(end, kind, code):
    receiver = Receiver(500)
    assert not receiver.finished
    *before, last = receiver.feed(frame(TEXT, b"a") + end + frame(TEXT, b"b") + end)
    assert before == ["a"]
    assert (plain(last)[0], plain(last)[1][0]) == (kind, code)
    assert receiver.finished
    assert receiver.feed(frame(TEXT, b"c")) == []
    assert receiver.feed(b"") == []
    assert receiver.feed_whole(frame(TEXT, b"d")) is None
    assert receiver.finished


@pytest.mark.parametrize(("end", "kind", "code"), ENDS)
def test_nothing_is_kept_after_the_end(end, kind, code):
    receiver = Receiver(500)
    behind = bytes(2**20)
    gc.collect()
    gc.disable()  # what only the collector frees is kept for a while
    tracemalloc.start()
    try:
        receiver.feed(frame(BINARY, bytes(400), fin=False) + frame(CONTINUATION) + end + behind)
        receiver.feed(behind)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert receiver.finished
    assert kept < 64 * 1024


@pytest.mark.parametrize(
    "end",
    [frame(3), frame(TEXT, b"\xff"), frame(CLOSE, b"\x03\xe8\xff"), frame(TEXT, length=501)],
    ids=["1002", "1007", "1007 in Close", "1009"],
)
def test_an_error_that_is_an_event_holds_no_bytes_of_the_client(end):
    # A traceback would: its frames have them in their variables, and a
    # UnicodeDecodeError as the context has the whole payload.
    (error,) = Receiver(500).feed(end)
    assert error.__traceback__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(("end", "kind", "code"), ENDS[1:])
def test_the_reason_of_an_error_fits_into_a_close_frame(end, kind, code):
    receiver = Receiver(500)
    (error,) = receiver.feed(end)
    assert build_payload(error.code, error.reason)

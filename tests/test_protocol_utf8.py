"""Text is UTF-8, and what is none is refused as early as the bytes allow."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_websocket_ev.protocol.receiver import Ping
from fuzzing import BINARY, CLOSE, CONTINUATION, PING, TEXT, begins_utf8, frame, is_utf8
from receiving import error_code, one_by_one, receive

EURO = "\N{EURO SIGN}"
GRIN = "\N{GRINNING FACE}"

#: What is wrong, and the index of the byte that shows it.
BAD_UTF8 = [
    pytest.param(data, at, id=f"{why} {data.hex(' ')}")
    for why, data, at in [
        ("no first byte", b"\x80", 0),
        ("no first byte", b"\xbf", 0),
        ("overlong", b"\xc0\xaf", 0),
        ("overlong", b"\xc1\xbf", 0),
        ("overlong", b"\xe0\x80\xaf", 1),
        ("overlong", b"\xe0\x9f\xbf", 1),
        ("overlong", b"\xf0\x80\x80\xaf", 1),
        ("overlong", b"\xf0\x8f\xbf\xbf", 1),
        ("surrogate", b"\xed\xa0\x80", 1),
        ("surrogate", b"\xed\xad\xbf", 1),
        ("surrogate", b"\xed\xb0\x80", 1),
        ("surrogate", b"\xed\xbf\xbf", 1),
        ("above U+10FFFF", b"\xf4\x90\x80\x80", 1),
        ("above U+10FFFF", b"\xf4\xbf\xbf\xbf", 1),
        ("above U+10FFFF", b"\xf5\x80\x80\x80", 0),
        ("of five bytes", b"\xf8\x88\x80\x80\x80", 0),
        ("of six bytes", b"\xfc\x84\x80\x80\x80\x80", 0),
        ("never", b"\xfe", 0),
        ("never", b"\xff", 0),
        ("broken off", b"\xc2a", 1),
        ("broken off", b"\xc2\xc2", 1),
        ("broken off", b"\xe2a", 1),
        ("broken off", b"\xe2\x82a", 2),
        ("broken off", b"\xf0\x9f\x98a", 3),
        ("broken off", b"\xf0\x9f\x98\xf0", 3),
    ]
]

#: The first and the last character of each length, and those beside the surrogates.
EDGES = "\0\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"


@pytest.mark.parametrize(("bad", "at"), BAD_UTF8)
def test_what_is_not_utf8_is_an_invalid_payload(bad, at):
    assert error_code(frame(TEXT, b"fine" + bad)) == 1007
    assert error_code(frame(TEXT, bytes(4000) + bad)) == 1007
    assert error_code(frame(TEXT, b"fine" + bad + b"fine")) == 1007


@pytest.mark.parametrize(("bad", "at"), BAD_UTF8)
def test_bad_utf8_fails_inside_an_unfinished_frame_at_the_byte_that_shows_it(bad, at):
    unfinished = frame(TEXT, b"fine" + bad, length=1000)
    shows = len(unfinished) - len(bad) + at + 1
    assert receive(unfinished[: shows - 1]) == []
    assert error_code(unfinished[:shows]) == 1007
    assert error_code(*one_by_one(unfinished[:shows])) == 1007
    assert error_code(unfinished[: shows - 1], unfinished[shows - 1 : shows]) == 1007


@pytest.mark.parametrize(("bad", "at"), BAD_UTF8)
def test_bad_utf8_fails_in_the_fragment_that_shows_it(bad, at):
    fragments = [frame(TEXT, b"fine", fin=False)]
    fragments += [frame(CONTINUATION, byte, fin=False) for byte in one_by_one(bad[: at + 1])]
    assert receive(*fragments[:-1]) == []
    assert error_code(*fragments) == 1007


def test_each_pair_of_bytes_is_refused_as_early_as_it_can_be():
    for pair in (bytes((first, second)) for first in range(0x7F, 256) for second in range(256)):
        events = receive(frame(TEXT, pair, length=9))
        assert bool(events) is not begins_utf8(pair), pair.hex(" ")


@settings(deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(sorted({*EDGES.encode(), 0xC0, 0xE1, 0xED, 0xF5})), max_size=8))
def test_bytes_are_refused_exactly_where_no_utf8_can_come_of_them(values):
    data = bytes(values)
    so_far = [bool(receive(frame(TEXT, data[:end], length=9))) for end in range(len(data) + 1)]
    assert so_far == [not begins_utf8(data[:end]) for end in range(len(data) + 1)]
    expected = [("str", data.decode())] if is_utf8(data) else []
    assert [event for event in receive(frame(TEXT, data)) if event[0] == "str"] == expected


@pytest.mark.parametrize("text", [EURO, GRIN, "\N{LATIN SMALL LETTER E WITH ACUTE}"])
@pytest.mark.parametrize("whole", [True, False], ids=["one frame", "fragments"])
def test_a_character_that_the_message_breaks_off_is_not_utf8(text, whole):
    for end in range(1, len(text.encode())):
        cut = text.encode()[:end]
        last = frame(TEXT, cut) if whole else frame(TEXT, cut, fin=False) + frame(CONTINUATION)
        assert error_code(last) == 1007
        assert error_code(*one_by_one(last)) == 1007


def test_a_character_may_lie_across_fragments_with_control_frames_in_between():
    fragments = [
        part
        for byte in one_by_one((EDGES + GRIN).encode())
        for part in (frame(CONTINUATION, byte, fin=False), frame(PING, b"\xff"))
    ]
    data = frame(TEXT, fin=False) + b"".join(fragments) + frame(CONTINUATION)
    messages = [event for event in receive(data) if event[0] != "Ping"]
    assert messages == [("str", EDGES + GRIN)]


def test_a_message_that_is_not_text_is_never_validated():
    bad = b"\xed\xa0\x80\xff"
    assert receive(frame(BINARY, bad)) == [("bytes", bad)]
    data = frame(BINARY, bad, fin=False) + frame(CONTINUATION, bad)
    assert receive(*one_by_one(data)) == [("bytes", bad * 2)]
    assert receive(frame(PING, bad)) == [("Ping", Ping(bad))]


def test_utf8_of_one_message_says_nothing_of_the_next():
    data = frame(TEXT, EURO.encode()[:1], fin=False) + frame(CONTINUATION, EURO.encode()[1:])
    assert receive(data * 2, *one_by_one(data)) == [("str", EURO)] * 3


@pytest.mark.parametrize(("bad", "at"), BAD_UTF8)
def test_a_reason_that_is_not_utf8_is_an_invalid_payload(bad, at):
    assert error_code(frame(CLOSE, b"\x03\xe8" + bad)) == 1007
    assert error_code(*one_by_one(frame(CLOSE, b"\x03\xe8bye" + bad))) == 1007

"""A message in the making: whole at the end, and never much larger than what has come of it."""

from __future__ import annotations

import tracemalloc

import pytest

from django_websocket_ev.protocol.close import ProtocolError
from django_websocket_ev.protocol.message import BinaryMessage, TextMessage


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_message_is_its_pieces_wherever_they_were_cut(size):
    text = "aé€😀" * 2000
    payload = text.encode()
    spoken, raw = TextMessage(), BinaryMessage()
    for at in range(0, len(payload), size):
        spoken.add(payload[at : at + size])
        raw.add(payload[at : at + size])
    assert spoken.size == raw.size == len(payload)
    assert spoken.finish() == text
    assert raw.finish() == payload


@pytest.mark.slow
@pytest.mark.parametrize("kind", [TextMessage, BinaryMessage])
def test_a_message_of_many_fragments_takes_little_more_than_its_length(kind):
    # Two bytes each: single characters are no objects of their own.
    message, pieces = kind(), [b"%02d" % (number % 100) for number in range(100)]
    tracemalloc.start()
    try:
        for number in range(200_000):
            message.add(pieces[number % 100])
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert message.size == 400_000
    assert taken < 600_000


def test_empty_fragments_take_nothing():
    message = BinaryMessage()
    tracemalloc.start()
    try:
        for _ in range(100_000):
            message.add(b"")
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 50_000


@pytest.mark.parametrize(
    "payload", [b"\xff", b"\xc0", b"\xed\xa0", b"\xf4\x90", b"abc\xe2\x28"], ids=bytes.hex
)
def test_text_fails_at_the_first_byte_that_shows_it(payload):
    message = TextMessage()
    for byte in payload[:-1]:
        message.add(bytes((byte,)))
    with pytest.raises(ProtocolError, match="not UTF-8"):
        message.add(payload[-1:])


def test_text_that_ends_within_a_character_is_not_utf8():
    message = TextMessage()
    message.add("€".encode()[:2])
    with pytest.raises(ProtocolError, match="not UTF-8"):
        message.finish()

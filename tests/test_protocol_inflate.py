"""permessage-deflate: what a client sends, and what is no message."""

from __future__ import annotations

import tracemalloc
import zlib
from contextlib import contextmanager
from itertools import pairwise

import pytest

from deflating import (
    END,
    FORGETS,
    KEEPS,
    RSV1,
    RSV2,
    RSV3,
    TAIL,
    WORDS,
    choose,
    compressed,
    deflate,
    one_by_one,
    prose,
    receive,
    receiver,
)
from django_websocket_ev.protocol.deflate import Agreement
from django_websocket_ev.protocol.receiver import Ping, Receiver
from rawclient import BINARY, CONTINUATION, PING, PONG, TEXT, frame

# The examples of RFC 7692 section 7.2.3.


def masked(*frames: str) -> bytes:
    """Return unmasked frames, as the RFC gives them, in the form in which a client sends them."""
    unmasked = [bytes.fromhex(one) for one in frames]
    return b"".join(
        frame(one[0] & 0x0F, one[2:], fin=one[0] >= 0x80, reserved=one[0] >> 4 & 7)
        for one in unmasked
    )


EXAMPLES = {
    "one block": (["c107f248cdc9c90700"], ["Hello"]),
    "fragments": (["4103f248cd", "8004c9c90700"], ["Hello"]),
    "a block that is not compressed": (["c10b000500faff48656c6c6f00"], ["Hello"]),
    "a final block": (["c108f348cdc9c9070000"], ["Hello"]),
    "two blocks": (["c10df248050000 00ffffcac9c90700"], ["Hello"]),
    "an empty message": (["c10100"], [""]),
    "each by itself": (["c107f248cdc9c90700"] * 3, ["Hello"] * 3),
}


@pytest.mark.parametrize("agreement", [FORGETS, KEEPS], ids=["forgets", "keeps"])
@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_standard(example, agreement):
    frames, messages = EXAMPLES[example]
    data = masked(*frames)
    assert receive(data, agreement=agreement) == messages
    assert receive(*one_by_one(data), agreement=agreement) == messages


def test_the_example_of_a_window_that_is_shared():
    data = masked("c107f248cdc9c90700", "c105f200110000")
    for pieces in ([data], one_by_one(data)):
        assert receive(*pieces, agreement=KEEPS) == ["Hello", "Hello"]
        # A client that has agreed to forget may not refer to what was.
        assert receive(*pieces, agreement=FORGETS) == ["Hello", 1007]


# What is received.


def test_a_session_is_the_same_however_it_is_cut():
    long = prose(3000)
    data = b"".join(
        [
            compressed(TEXT, deflate(b"one")),
            frame(TEXT, b"two"),
            compressed(BINARY, deflate(long)[:100], fin=False),
            frame(PING, b"between"),
            frame(CONTINUATION, deflate(long)[100:200], fin=False),
            frame(CONTINUATION, fin=False),
            frame(CONTINUATION, deflate(long)[200:]),
            compressed(TEXT, b"\x00"),
            compressed(TEXT, b""),
            frame(BINARY, b"three", fin=False),
            frame(CONTINUATION, deflate(b"three")),
        ]
    )
    expected = ["one", "two", Ping(b"between"), long, "", "", b"three" + deflate(b"three")]
    assert receive(data) == expected
    assert receive(*one_by_one(data)) == expected
    for cut in choose.sample(range(len(data)), 50):
        assert receive(data[:cut], data[cut:]) == expected


@pytest.mark.parametrize("agreement", [FORGETS, KEEPS], ids=["forgets", "keeps"])
def test_messages_with_and_without_compression_may_alternate(agreement):
    data = (compressed(TEXT, deflate(b"one")) + frame(TEXT, b"two")) * 3
    assert receive(data, agreement=agreement) == ["one", "two"] * 3


def test_empty_messages_and_empty_fragments():
    empty = frame(CONTINUATION, fin=False)
    for first in (b"", b"\x00"):
        assert receive(compressed(TEXT, first)) == [""]
        assert receive(compressed(BINARY, first)) == [b""]
        last = frame(CONTINUATION, b"" if first else b"\x00")
        assert receive(compressed(TEXT, first, fin=False) + empty * 3 + last) == [""]
    hello = deflate(b"Hello")
    data = compressed(TEXT, b"", fin=False) + empty + frame(CONTINUATION, hello, fin=False)
    assert receive(data + empty + frame(CONTINUATION)) == ["Hello"]


@pytest.mark.parametrize("bits", [9, 12, 15])
def test_the_clients_window_may_be_as_large_as_agreed_on(bits):
    far = prose(200)
    for agreement in (FORGETS, KEEPS):
        agreement = agreement._replace(client_max_window_bits=bits)
        message = far + choose.randbytes(2**bits - 500) + far
        pieces = one_by_one(compressed(BINARY, deflate(message, bits)))
        assert receive(*pieces, agreement=agreement) == [message]


def test_a_client_that_looks_back_farther_than_agreed_on_is_refused():
    far = prose(200)
    compressor = zlib.compressobj(wbits=-15)
    frames = [
        compressed(BINARY, compressor.compress(part) + compressor.flush(zlib.Z_SYNC_FLUSH)[:-4])
        for part in (far, choose.randbytes(1000), far)
    ]
    assert receive(*frames, agreement=KEEPS)[2] == far
    narrow = KEEPS._replace(client_max_window_bits=9)
    assert receive(*frames, agreement=narrow)[2] == 1007


def test_a_client_keeps_its_context_over_many_messages():
    compressor = zlib.compressobj(6, zlib.DEFLATED, -12)
    own = receiver(Agreement(client_max_window_bits=12))
    for number in range(500):
        message = choose.choice(WORDS) * 20 + b"%d" % number
        data = compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)
        half = len(data) // 2
        pieces = compressed(BINARY, data[:half], fin=False)
        pieces += frame(CONTINUATION, data[half:].removesuffix(TAIL))
        assert own.feed(pieces) == [message]


# Reserved bits.


HELLO = deflate(b"Hello")


@pytest.mark.parametrize(
    "data",
    [
        compressed(TEXT, HELLO, fin=False) + frame(CONTINUATION, b"", reserved=RSV1),
        frame(TEXT, b"Hel", fin=False) + frame(CONTINUATION, b"lo", reserved=RSV1),
        frame(PING, HELLO, reserved=RSV1),
        frame(PONG, HELLO, reserved=RSV1),
        frame(0x8, b"\x03\xe8", reserved=RSV1),
        frame(0x3, HELLO, reserved=RSV1),
        *(
            frame(opcode, HELLO, reserved=bits)
            for opcode in (TEXT, BINARY)
            for bits in (RSV2, RSV3, RSV2 | RSV3, RSV1 | RSV2, RSV1 | RSV3, 7)
        ),
    ],
)
def test_a_reserved_bit_where_none_belongs_is_a_protocol_error(data):
    assert receive(data) == [1002]
    assert receive(*one_by_one(data)) == [1002]


def test_without_an_agreement_no_frame_may_be_compressed():
    for opcode in (TEXT, BINARY):
        data = compressed(opcode, HELLO)
        (error,) = Receiver().feed(data)
        assert error.code == 1002
        (error,) = Receiver().feed(data[:1])  # the first byte has said it all
        assert error.code == 1002


# What is no message.


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff",
        b"\x07",
        b"Hello",
        HELLO[:-1] + b"\xff",
        HELLO + b"\x06",
        b"\x01\x05\x00\xfa\xfeHello",  # a stored block's length and its complement
        zlib.compress(b"Hello"),  # with a header
        b"\x1f\x8b\x08",
    ],
)
@pytest.mark.parametrize("agreement", [FORGETS, KEEPS], ids=["forgets", "keeps"])
def test_broken_data_is_1007(payload, agreement):
    for opcode in (TEXT, BINARY):
        assert receive(compressed(opcode, payload), agreement=agreement) == [1007]
        assert receive(*one_by_one(compressed(opcode, payload)), agreement=agreement) == [1007]
    first, rest = payload[:1], payload[1:]
    data = compressed(BINARY, first, fin=False) + frame(CONTINUATION, rest)
    assert receive(data, agreement=agreement) == [1007]


def test_broken_data_is_refused_in_the_first_fragment_that_shows_it():
    data = compressed(BINARY, HELLO, fin=False)
    assert receive(data, frame(CONTINUATION, b"\x07" * 5, fin=False)) == [1007]


@pytest.mark.parametrize("limit", [2**20, None])
@pytest.mark.parametrize(
    "message", [b"Hello", b"x" * 5000, prose(500)], ids=["Hello", "x", "prose"]
)
def test_data_that_is_cut_is_1007(message, limit):
    """Without the last byte there is no end of the last block."""
    whole = deflate(message)
    assert receive(compressed(BINARY, whole), max_message_size=limit) == [message]
    for end in range(1, len(whole)):
        data = compressed(BINARY, whole[:end])
        assert receive(data, max_message_size=limit) == [1007]
        assert receive(data[:-1], data[-1:], max_message_size=limit) == [1007]


@pytest.mark.parametrize("agreement", [FORGETS, KEEPS], ids=["forgets", "keeps"])
def test_nothing_but_its_own_errors_leaves_the_receiver(agreement):
    """Whatever comes, it is a message or 1007."""
    for _ in range(1000):
        payload = bytearray(deflate(prose(choose.randrange(1, 300))))
        for _ in range(choose.randrange(1, 4)):
            payload[choose.randrange(len(payload))] = choose.randrange(256)
        ((event),) = receive(compressed(BINARY, bytes(payload)), agreement=agreement)
        assert isinstance(event, bytes) or event == 1007


@pytest.mark.parametrize("wrong", [b"\xff", b"\xed\xa0", b"\xc0\x80", b"\xf5"])
def test_text_must_be_utf8_once_it_is_inflated(wrong):
    assert receive(compressed(BINARY, deflate(b"abc" + wrong))) == [b"abc" + wrong]
    assert receive(compressed(TEXT, deflate(b"abc" + wrong))) == [1007]
    # In the first fragment that shows it, though more is to come.
    compressor = zlib.compressobj(wbits=-15)
    first = compressor.compress(b"abc") + compressor.flush(zlib.Z_SYNC_FLUSH)
    second = compressor.compress(wrong) + compressor.flush(zlib.Z_SYNC_FLUSH)
    own = receiver()
    assert own.feed(compressed(TEXT, first, fin=False)) == []
    (error,) = own.feed(frame(CONTINUATION, second, fin=False))
    assert error.code == 1007


def test_a_character_may_be_cut_by_fragments():
    text = "Grüße, 世界 \U0001f40d"
    payload = deflate(text.encode())
    data = compressed(TEXT, payload[:1], fin=False)
    data += b"".join(frame(CONTINUATION, byte, fin=False) for byte in one_by_one(payload[1:]))
    assert receive(data + frame(CONTINUATION)) == [text]
    assert receive(compressed(TEXT, deflate(text.encode()[:-1]))) == [1007]


# The size of a message is what it has inflated.


@pytest.mark.parametrize("agreement", [FORGETS, KEEPS], ids=["forgets", "keeps"])
@pytest.mark.parametrize("limit", [1, 125, 1000, 65536])
@pytest.mark.parametrize("kind", [bytes, choose.randbytes], ids=["zeros", "noise"])
def test_a_message_may_inflate_to_the_limit_and_no_further(kind, limit, agreement):
    inside, outside = kind(limit), kind(limit + 1)

    def received(message, count):
        payload = deflate(message)
        cuts = sorted({len(payload) * i // count for i in range(count + 1)})
        data = b"".join(
            frame(
                CONTINUATION if start else BINARY,
                payload[start:end],
                fin=end == len(payload),
                reserved=0 if start else RSV1,
            )
            for start, end in pairwise(cuts)
        )
        return receive(data, max_message_size=limit, agreement=agreement)

    for count in (1, 2, 5):
        assert received(inside, count) == [inside]
        assert received(outside, count) == [1009]


def test_the_limit_is_for_each_message_by_itself():
    data = compressed(BINARY, deflate(bytes(1000)))
    assert receive(data * 20, max_message_size=1000) == [bytes(1000)] * 20


def test_without_a_limit_there_is_none():
    message = bytes(3 * 2**20)
    data = compressed(BINARY, deflate(message))
    assert receive(data, max_message_size=None) == [message]


@contextmanager
def memory(limit: int):
    """Fail if more than ``limit`` bytes are in use on the way."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before <= limit


def gibibyte() -> bytes:
    """Return 1 GiB in 1 MiB: a block of zeros that refers to none before, again and again."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = compressor.compress(bytes(2**20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return (block * 1024).removesuffix(TAIL)


@pytest.mark.parametrize("agreement", [FORGETS, KEEPS], ids=["forgets", "keeps"])
def test_a_bomb_costs_no_more_than_the_limit(agreement):
    bomb = gibibyte()
    assert len(bomb) < 1.1 * 2**20
    data = compressed(BINARY, bomb)
    for pieces in ([data], [data[i : i + 65536] for i in range(0, len(data), 65536)]):
        own = receiver(agreement)
        with memory(6 * 2**20):
            events = [event for piece in pieces for event in own.feed(piece)]
        assert [event.code for event in events] == [1009]


def test_a_bomb_in_fragments_costs_no_more_than_the_limit():
    bomb = gibibyte()
    size = 1000
    own = receiver()
    with memory(4 * 2**20):
        events = own.feed(compressed(TEXT, bomb[:size], fin=False))
        for start in range(size, 10 * size, size):
            piece = frame(CONTINUATION, bomb[start : start + size], fin=False)
            events += own.feed(piece)
    assert [event.code for event in events] == [1009]


def test_messages_of_just_under_the_limit_are_taken_as_there_is_room():
    """A read of 64 KiB holds sixty of them."""
    message = bytes(2**20)
    data = compressed(BINARY, deflate(message)) * 60
    own = receiver()
    with memory(5 * 2**20):
        for _ in range(60):
            (event,) = own.feed(data, room=2**20)
            assert len(event) == 2**20
            data = b""
    assert own.feed(b"") == []


# Final blocks: a message may have several streams (section 7.2.3.5), but each has its price.


def final(payload: bytes) -> bytes:
    """Return a stream with its final block."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(payload) + compressor.flush()


@pytest.mark.parametrize("agreement", [FORGETS, KEEPS], ids=["forgets", "keeps"])
def test_a_message_may_end_several_streams(agreement):
    payload = b"".join(final(b"%d " % number) for number in range(10))
    expected = b"0 1 2 3 4 5 6 7 8 9 "
    data = compressed(BINARY, payload + b"\x00")
    assert receive(data * 20, agreement=agreement) == [expected] * 20
    assert receive(*one_by_one(data * 2), agreement=agreement) == [expected] * 2
    # Some leave out the last byte, for nothing is in it.
    data = compressed(BINARY, payload)
    assert receive(data * 2, agreement=agreement) == [expected] * 2


def test_very_many_final_blocks_are_no_message():
    for payload in (END * 500_000, END * 500_000 + b"\x00", final(b"x") * 50_000):
        assert receive(compressed(BINARY, payload)) == [1007]


def test_very_many_final_blocks_are_none_behind_fragments_either():
    """Each of which ends a stream just where it ends."""
    data = compressed(BINARY, END, fin=False) + frame(CONTINUATION, END, fin=False) * 100
    assert receive(data + frame(CONTINUATION, END * 30_000)) == [1007]

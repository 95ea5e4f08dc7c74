"""permessage-deflate: what a server sends."""

from __future__ import annotations

import zlib

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame as TheirFrame
from websockets.frames import Opcode

from deflating import (
    FORGETS,
    KEEPS,
    RSV1,
    TAIL,
    choose,
    inflate_alone,
    one_by_one,
    prose,
    receiver,
    take_apart,
)
from django_websocket_ev.protocol.deflate import Agreement, Compression, Deflater, get_deflater
from rawclient import BINARY, TEXT, frame


@pytest.fixture(params=[("text", True), ("text", False), ("binary", True), ("binary", False)])
def build(request):
    """A function that builds the frame of a message of so much prose, and its opcode."""
    kind, keeps = request.param
    deflater = Deflater(KEEPS if keeps else FORGETS, Compression(threshold=100))

    def build_it(payload: bytes) -> tuple[int, bool, bytes]:
        if kind == "text":
            return take_apart(deflater.build_text(payload.decode("latin-1")))
        return take_apart(deflater.build_binary(payload))

    build_it.opcode = TEXT if kind == "text" else BINARY
    return build_it


@pytest.mark.parametrize("size", [0, 1, 99])
def test_messages_below_the_threshold_go_as_they_are(build, size):
    assert build(b"x" * size) == (build.opcode, False, b"x" * size)


@pytest.mark.parametrize("size", [100, 125, 126, 5000, 65535, 65536, 300_000])
def test_messages_from_the_threshold_on_are_compressed(build, size):
    opcode, is_compressed, payload = build(b"x" * size)
    assert (opcode, is_compressed) == (build.opcode, True)
    assert inflate_alone(payload) == b"x" * size
    assert len(payload) < size


def test_the_threshold_counts_bytes_and_not_characters():
    deflater = Deflater(FORGETS, Compression(threshold=100))
    _, is_compressed, _ = take_apart(deflater.build_text("\N{EURO SIGN}" * 33))
    assert not is_compressed
    _, is_compressed, _ = take_apart(deflater.build_text("\N{EURO SIGN}" * 34))
    assert is_compressed


@pytest.mark.parametrize("agreement", [FORGETS, KEEPS], ids=["forgets", "keeps"])
def test_an_empty_message_has_nothing_to_compress(agreement):
    deflater = Deflater(agreement, Compression(threshold=0))
    assert deflater.build_text("") == b"\x81\x00"
    assert deflater.build_binary(b"") == b"\x82\x00"


def test_what_compression_would_make_larger_goes_as_it_is():
    deflater = Deflater(FORGETS, Compression(threshold=0))
    for size in (1, 200, 5000, 70_000):
        noise = choose.randbytes(size)
        assert take_apart(deflater.build_binary(noise)) == (BINARY, False, noise)
    # And leaves nothing behind.
    text = noise[:10_000].hex()
    _, is_compressed, payload = take_apart(deflater.build_text(text))
    assert is_compressed
    assert inflate_alone(payload) == text.encode()


def test_a_lone_surrogate_is_an_error_and_the_next_message_is_whole():
    for agreement in (FORGETS, KEEPS):
        deflater = Deflater(agreement, Compression(threshold=0))
        with pytest.raises(UnicodeEncodeError):
            deflater.build_text("x" * 5000 + "\ud800")
        assert inflate_alone(take_apart(deflater.build_text("x" * 5000))[2]) == b"x" * 5000


def test_without_context_no_message_refers_to_one_before():
    deflater = Deflater(FORGETS, Compression())
    secret = prose(5000)
    sizes = set()
    for _ in range(5):
        _, is_compressed, payload = take_apart(deflater.build_binary(secret))
        assert is_compressed
        assert inflate_alone(payload) == secret
        sizes.add(len(payload))
    assert len(sizes) == 1, "a message tells how much of it was in the one before"


def test_sockets_share_a_compressor_and_learn_nothing_of_each_other():
    compression = Compression()
    one, other = get_deflater(FORGETS, compression), get_deflater(FORGETS, compression)
    assert one is other
    secret = prose(3000)
    alone = take_apart(one.build_binary(secret))[2]
    for _ in range(3):
        one.build_binary(secret)
        payload = take_apart(other.build_binary(secret))[2]
        assert inflate_alone(payload) == secret
        assert len(payload) == len(alone)


def test_who_keeps_a_context_shares_it_with_nobody():
    one, other = get_deflater(KEEPS, Compression()), get_deflater(KEEPS, Compression())
    assert one is not other
    secret = prose(3000)
    first = take_apart(one.build_binary(secret))[2]
    second = take_apart(one.build_binary(secret))[2]
    assert len(second) < len(first) / 10, "it does not keep its context"
    assert inflate_alone(take_apart(other.build_binary(secret))[2]) == secret


def test_other_settings_have_another_compressor():
    narrow = FORGETS._replace(server_max_window_bits=9)
    assert get_deflater(FORGETS, Compression()) is not get_deflater(narrow, Compression())
    assert get_deflater(FORGETS, Compression()) is not get_deflater(FORGETS, Compression(level=9))


class Failing:
    """A compressor that takes a message in and fails before it gives all of it out."""

    def __init__(self, compressor) -> None:
        self._compressor = compressor
        self.compress = compressor.compress

    def flush(self, _mode):
        raise MemoryError


@pytest.mark.parametrize("agreement", [FORGETS, KEEPS], ids=["forgets", "keeps"])
def test_a_message_whose_compression_failed_is_not_in_the_next(agreement):
    deflater = Deflater(agreement, Compression(threshold=0))
    decompressor = zlib.decompressobj(-15)
    before, lost, after = prose(4000), b"secret" * 500, prose(4000)
    payload = take_apart(deflater.build_binary(before))[2]
    assert decompressor.decompress(payload + TAIL) == before
    deflater._free = [Failing(compressor) for compressor in deflater._free]
    with pytest.raises(MemoryError):
        deflater.build_binary(lost)
    for message in (after, before, after):
        payload = take_apart(deflater.build_binary(message))[2]
        assert decompressor.decompress(payload + TAIL) == message
        if agreement is FORGETS:
            assert inflate_alone(payload) == message


@pytest.mark.parametrize("agreement", [FORGETS, KEEPS], ids=["forgets", "keeps"])
@pytest.mark.parametrize("bits", range(9, 16))
def test_the_servers_window_is_no_larger_than_agreed_on(agreement, bits):
    agreement = agreement._replace(server_max_window_bits=bits)
    deflater = Deflater(agreement, Compression(server_max_window_bits=bits, threshold=0))
    decompressor = zlib.decompressobj(-bits)
    # What comes again is farther back than this window reaches, and than the next.
    again = prose(300)
    messages = [again, prose(2**bits), again, prose(2 ** (bits + 1)) + again, again]
    for message in messages:
        _, is_compressed, payload = take_apart(deflater.build_binary(message))
        if not is_compressed:
            assert payload == message
            continue
        if agreement.server_no_context_takeover:
            decompressor = zlib.decompressobj(-bits)
        # Byte by byte, for within a call zlib looks back as far as it likes.
        inflated = b"".join(map(decompressor.decompress, one_by_one(payload + TAIL)))
        assert inflated == message


@pytest.mark.parametrize("level", range(1, 10))
def test_every_level_and_memory_level_can_be_had(level):
    for agreement in (FORGETS, KEEPS):
        deflater = Deflater(agreement, Compression(level=level, memory_level=level))
        message = prose(20_000)
        assert inflate_alone(take_apart(deflater.build_binary(message))[2]) == message


# Another implementation, in both directions.


@pytest.mark.parametrize(("server_bits", "client_bits"), [(None, None), (9, 12), (15, 9)])
@pytest.mark.parametrize("server_forgets", [True, False])
@pytest.mark.parametrize("client_forgets", [True, False])
def test_another_implementation_understands_and_is_understood(
    server_forgets, client_forgets, server_bits, client_bits
):
    agreement = Agreement(server_forgets, client_forgets, server_bits, client_bits)
    peer = PerMessageDeflate(server_forgets, client_forgets, server_bits or 15, client_bits or 15)
    deflater = Deflater(agreement, Compression(threshold=0))
    own = receiver(agreement)
    messages = [prose(size) for size in (1, 10, 1000, 60_000, 0, 3000)] + [choose.randbytes(3000)]
    for message in messages * 2:
        opcode, is_compressed, payload = take_apart(deflater.build_binary(message))
        theirs = peer.decode(TheirFrame(Opcode(opcode), payload, True, is_compressed))
        assert theirs.data == message
        sent = peer.encode(TheirFrame(Opcode.BINARY, message))
        assert own.feed(frame(BINARY, sent.data, reserved=RSV1)) == [message]

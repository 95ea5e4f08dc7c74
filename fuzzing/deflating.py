"""The deflater: what it builds, read by `websockets`' client side and by zlib alone.

Two connections share a deflater, as they do where no context is kept: each must get
its own messages, and no message may refer to another, whoever it was for.
"""

from __future__ import annotations

import random
import traceback
import zlib

from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.uri import WebSocketURI

from django_websocket_ev.protocol.deflate import Agreement, Compression, Deflater
from fuzzing.outcomes import Wrong
from fuzzing.tally import Finding, Tally

_TAIL = b"\x00\x00\xff\xff"
_URI = WebSocketURI(False, "localhost", 80, "/", "")

_WORDS = ("hello ", "\N{EURO SIGN}", '{"id": 12345, "name": "', "secret=", "\N{GRINNING FACE}")

#: Bytes that zlib may hand out at once, so that it sees what goes further back than a window.
_STEP = 64


class Reader:
    """A client, twice: with `websockets`, and with zlib alone."""

    def __init__(self, agreement: Agreement) -> None:
        self.bits = agreement.server_max_window_bits or 15
        self.is_fresh = agreement.server_no_context_takeover
        self.protocol = ClientProtocol(_URI, state=State.OPEN, max_size=None)
        self.protocol.extensions = [
            PerMessageDeflate(agreement.server_no_context_takeover, True, self.bits, 15)
        ]
        self.decompressor = zlib.decompressobj(-self.bits)

    def read(self, data: bytes, message: str | bytes) -> None:
        """Read what was built of ``message``. Raises :class:`Wrong` if it is another."""
        self.protocol.receive_data(data)
        events = self.protocol.events_received()
        if self.protocol.parser_exc is not None or len(events) != 1:
            raise Wrong(f"they read {events!r}, {self.protocol.parser_exc!r}")
        (event,) = events
        is_text = event.opcode is Opcode.TEXT
        theirs = bytes(event.data).decode() if is_text else bytes(event.data)
        if theirs != message:
            raise Wrong(f"they read {theirs!r}")
        payload = self._inflate(data)
        alone = payload.decode() if data[0] & 0xF == 1 else payload
        if alone != message:
            raise Wrong(f"zlib reads {alone!r}")

    def _inflate(self, data: bytes) -> bytes:
        if data[0] not in (0x81, 0x82, 0xC1, 0xC2) or data[1] & 0x80:
            raise Wrong(f"no whole message from a server begins with {data[:2].hex()}")
        head = {126: 4, 127: 10}.get(data[1], 2)
        length = data[1] if head == 2 else int.from_bytes(data[2:head], "big")
        payload = data[head:]
        if (
            len(payload) != length
            or (head == 4 and length < 126)
            or (head == 10 and length < 2**16)
        ):
            raise Wrong(f"the header {data[:head].hex()} does not fit {len(payload)} bytes")
        if not data[0] & 0x40:
            return payload
        if self.is_fresh:
            self.decompressor = zlib.decompressobj(-self.bits)
        inflated, rest = b"", payload + _TAIL
        while True:
            part = self.decompressor.decompress(rest, _STEP)
            inflated += part
            rest = self.decompressor.unconsumed_tail
            if not part and not rest:
                break
        if self.decompressor.eof:
            raise Wrong("a final block ends more than a message")
        if self.is_fresh and (
            self.decompressor.decompress(b"\x03\x00") or not self.decompressor.eof
        ):
            raise Wrong("a message ends within a block")
        return inflated


def _message(rng: random.Random, said: list[str]) -> str | bytes:
    chance = rng.random()
    if said and chance < 0.3:
        return rng.choice(said)
    if chance < 0.4:
        return rng.randbytes(rng.choice((0, 1, 50, 125, 126, 2000)))
    if chance < 0.42:
        return rng.choice(_WORDS) * rng.choice((3000, 20_000))
    words = "".join(rng.choices(_WORDS, k=int(rng.random() * 60)))
    said.append(words + str(rng.random()))
    return said[-1] if chance < 0.8 else said[-1].encode()


def examine(rng: random.Random, tally: Tally) -> None:
    """Let a deflater talk to clients. Raises :class:`Wrong`."""
    agreement = Agreement(
        rng.random() < 0.6, False, rng.choice((None, 9, 9, 10, 11, 12, 13, 14, 15)), None
    )
    compression = Compression(
        level=rng.randrange(10),
        memory_level=rng.randrange(1, 10),
        threshold=rng.choice((0, 1, 1, 20, 1024)),
    )
    deflater = Deflater(agreement, compression)
    readers = [Reader(agreement) for _ in range(1 if deflater.keeps_context else 2)]
    said: list[str] = []
    for _ in range(rng.choice((1, 4, 8))):
        message = _message(rng, said)
        try:
            if isinstance(message, str):
                data = deflater.build_text(message)
            else:
                data = deflater.build_binary(message)
            rng.choice(readers).read(data, message)
        except Exception as error:
            what = str(error) if isinstance(error, Wrong) else traceback.format_exc()
            raise Wrong(f"{what}\n  {agreement!r}\n  {compression!r}\n  {message!r}") from None
        tally.built += 1


def batch(seed: int, count: int) -> Tally:
    """Examine ``count`` conversations of a seed."""
    tally = Tally()
    rng = random.Random(f"deflater {seed}")
    for number in range(count):
        try:
            examine(rng, tally)
        except Wrong as error:
            tally.findings.append(Finding("inflater", seed, number, str(error), "deflated"))
    return tally

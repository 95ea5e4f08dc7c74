"""Conversations with permessage-deflate, by zlib and by hand. RFC 7692 section 7.2.

Every combination of context takeover and window bits; blocks of each kind, flushed
in each way, final or not; and some that keep to nothing of what was agreed on.
"""

from __future__ import annotations

import random
import zlib
from typing import Any

from django_websocket_ev.protocol.deflate import Agreement
from fuzzing.conversations import Conversation, add_message, control, finish, fragments
from fuzzing.frames import BINARY, CLOSE, PING, PONG, TEXT
from fuzzing.mutations import Frame
from fuzzing.outcomes import Outcome, Setting

_TAIL = b"\x00\x00\xff\xff"
_RSV1 = 4

_WORDS = (
    "hello ",
    "aaaaaaaaaaaaaaaa",
    "\N{EURO SIGN}",
    "\N{GRINNING FACE}\ud7ff\ue000",
    '{"id": 12345, "name": "',
    "\N{GREEK SMALL LETTER PI}" * 30,
)
_BITS = (None, None, 8, 9, 9, 9, 10, 11, 12, 13, 14, 15)
_LIMITS = (200, 200, 2000, 2000, 2000, 70_000, None)
_STRATEGIES = (
    zlib.Z_DEFAULT_STRATEGY,
    zlib.Z_DEFAULT_STRATEGY,
    zlib.Z_FILTERED,
    zlib.Z_HUFFMAN_ONLY,
    zlib.Z_RLE,
    zlib.Z_FIXED,
)
_FLUSHES = (zlib.Z_NO_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH)


class Client:
    """A client's compressor."""

    def __init__(self, rng: random.Random, bits: int, keeps_context: bool) -> None:
        self.rng = rng
        self.keeps_context = keeps_context
        # zlib does not compress with 8 bits. With 9 it goes back 250 bytes at most: that will do.
        self.settings = (
            rng.randrange(10),
            zlib.DEFLATED,
            -max(9, bits),
            rng.randrange(1, 9),
            rng.choice(_STRATEGIES),
        )
        self.compressor: Any = None
        #: Whether nothing that it said goes beyond what a receiver need bear.
        self.is_fair = True

    def compress(self, payload: bytes) -> bytes:
        """Return what a compressed message's frames carry."""
        rng = self.rng
        chance = rng.random()
        if not payload and chance < 0.5:
            return b"\x00" if chance < 0.4 else b""
        if chance < 0.04:
            # Where bytes are missing, what a receiver appends may come to stand for them.
            missing = 0 if chance < 0.02 else rng.choice((1, 4, 5, 6, 6, 7, 9))
            return self._stored(payload, missing)
        if chance < 0.07:
            return self._many_finals(payload)
        compressor = self._begin()
        data = b""
        rest = payload
        while rest and rng.random() < 0.3:
            cut = int(rng.random() * (len(rest) + 1))
            data += compressor.compress(rest[:cut]) + compressor.flush(rng.choice(_FLUSHES))
            rest = rest[cut:]
        data += compressor.compress(rest)
        if chance < 0.2:
            # Section 7.2.3.5. Some forget the octet.
            self.compressor = None
            data += compressor.flush(zlib.Z_FINISH)
            return data + b"\x00" if chance < 0.16 else data
        if chance < 0.3:
            data += compressor.flush(zlib.Z_PARTIAL_FLUSH)
        data += compressor.flush(zlib.Z_FULL_FLUSH if chance < 0.4 else zlib.Z_SYNC_FLUSH)
        # zlib flushes nothing a second time where there is nothing between.
        return data[:-4] if data.endswith(_TAIL) else data + b"\x00"

    def _begin(self) -> Any:
        if self.compressor is None or not self.keeps_context:
            self.compressor = zlib.compressobj(*self.settings)
        return self.compressor

    def deflate(self, payload: bytes) -> bytes:
        """Return the data of a message in the plainest way, its tail too."""
        compressor = self._begin()
        return compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)

    def _stored(self, payload: bytes, missing: int) -> bytes:
        """By hand: a block without compression, section 7.2.3.3, with bytes ``missing`` from it."""
        self.compressor = None
        self.is_fair = self.is_fair and not missing
        size = len(payload) + missing
        if size > 0xFFFF:
            payload, size, missing = payload[:1000], 1000, 0
            self.is_fair = False
        is_final = self.rng.random() < 0.5
        head = size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little")
        return bytes((is_final,)) + head + payload + (b"" if missing else b"\x00")

    def _many_finals(self, payload: bytes) -> bytes:
        """By hand: final blocks one after another, of which some hold nothing."""
        self.compressor = None
        data = b""
        count = self.rng.choice((1, 2, 3, 40, 70))
        self.is_fair = self.is_fair and count < 64
        for i in range(count):
            part = payload[len(payload) * i // count : len(payload) * (i + 1) // count]
            compressor = zlib.compressobj(*self.settings)
            data += compressor.compress(part) + compressor.flush(zlib.Z_FINISH)
        return data + b"\x00"


def _text(rng: random.Random, said: list[str]) -> str:
    """Return a text, often one like those that were ``said``, so that it can refer to them."""
    chance = rng.random()
    if said and chance < 0.4:
        text = rng.choice(said)
    elif chance < 0.5:
        return ""
    elif chance < 0.55:
        text = rng.choice(_WORDS) * rng.choice((200, 1500))
    else:
        text = "".join(rng.choices(_WORDS, k=rng.randrange(1, 12)))
        text += str(int(rng.random() * 10**9)) * rng.randrange(3)
    said.append(text)
    return text


def _too_far_back(rng: random.Random) -> Conversation:
    """Return a conversation that refers to what the window agreed on does not hold any more."""
    bits = rng.choice((8, 9, 9, 10, 11, 12))
    agreement = Agreement(False, False, None, bits)
    client = Client(rng, 15, True)
    client.settings = (9, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY)
    first = rng.randbytes(50)
    frames: list[Frame] = []
    for payload in (first, rng.randbytes(1 << bits), first):
        data = client.deflate(payload)[:-4]
        frames += fragments(rng, BINARY, data, [], _RSV1)
    return finish(Setting(rng.choice((5000, None)), agreement), frames, None)


def compressed_conversation(rng: random.Random) -> Conversation:
    """Return a conversation with permessage-deflate."""
    if rng.random() < 0.04:
        return _too_far_back(rng)
    agreement = Agreement(
        rng.random() < 0.5, rng.random() < 0.5, rng.choice((None, 9, 15)), rng.choice(_BITS)
    )
    setting = Setting(rng.choice(_LIMITS), agreement)
    bits = agreement.client_max_window_bits or 15
    keeps_context = not agreement.client_no_context_takeover
    is_fair = True
    chance = rng.random()
    if chance < 0.06:
        is_fair, bits = bits == 15, 15
    elif chance < 0.12:
        is_fair, keeps_context = keeps_context, True
    client = Client(rng, bits, keeps_context)
    frames: list[Frame] = []
    events: list[tuple[str, Any]] = []
    said: list[str] = []
    for _ in range(rng.choice((1, 2, 2, 3, 4))):
        if rng.random() < 0.1:
            frames.append(control(rng, rng.choice((PING, PONG)), events))
        opcode = rng.choice((TEXT, TEXT, BINARY))
        if setting.limit and rng.random() < 0.05:
            payload = b"x" * (setting.limit + rng.randrange(2))
        elif opcode == BINARY and rng.random() < 0.2:
            payload = rng.randbytes(rng.choice((0, 7, 200, 600, 3000)))
        else:
            payload = _text(rng, said).encode()
        if rng.random() < 0.15:
            frames += fragments(rng, opcode, payload, events)
        else:
            frames += fragments(rng, opcode, client.compress(payload), events, _RSV1)
        add_message(events, opcode, payload)
        is_fair = is_fair and (setting.limit is None or len(payload) <= setting.limit)
    if rng.random() < 0.2:
        frames.append(control(rng, CLOSE, events))
    truth = Outcome(events, None) if is_fair and client.is_fair else None
    return finish(setting, frames, truth)

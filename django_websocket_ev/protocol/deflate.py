"""permessage-deflate: negotiation, compression, decompression. RFC 7692.

Without context takeover, which is the default, each message is compressed by
itself. So a socket holds no window between its messages, and one compressor
serves all sockets: a full flush makes it forget what it has seen.

What is received is inflated as it comes, by the standard library's zlib, and no
further than there is room for. What is sent is deflated by isal where that is
installed, for it is faster (``bench/README.rst``).
"""

from __future__ import annotations

import re
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django_websocket_ev.protocol import frames
from django_websocket_ev.protocol.close import INVALID_PAYLOAD, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_websocket_ev.protocol.handshake import Extension

_deflating: Any
try:
    from isal import isal_zlib

    _deflating = isal_zlib
except ImportError:
    _deflating = zlib

NAME = "permessage-deflate"

#: zlib cannot compress with the 8 bits that the RFC also knows.
MIN_WINDOW_BITS = 9
MAX_WINDOW_BITS = 15

#: What a sender takes from the end of each message, and a receiver puts there (§7.2.1, §7.2.2).
_TAIL = b"\x00\x00\xff\xff"

#: An empty final block: a stream that takes it as its end was whole.
_END = b"\x03\x00"

#: Streams that a message may end and begin anew (§7.2.3.5). Each costs memory and time.
_MAX_STREAMS = 64

#: §7.1.2: a decimal integer without leading zeros.
_BITS = re.compile(r"[89]|1[0-5]")


class Compression(NamedTuple):
    """What a server wants. The first four are parameters of the extension (§7.1)."""

    server_no_context_takeover: bool = True
    client_no_context_takeover: bool = True
    server_max_window_bits: int = MAX_WINDOW_BITS
    client_max_window_bits: int = MAX_WINDOW_BITS
    #: zlib's, 1 is the fastest and 9 the smallest.
    level: int = 1
    #: zlib's, 1 to 9: a compressor takes 2 ** (bits + 2) + 2 ** (memory_level + 9) bytes.
    memory_level: int = 8
    #: Messages of fewer bytes go as they are.
    threshold: int = 1024


class Agreement(NamedTuple):
    """The parameters that client and server agree on; its str is the server's answer."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    #: None: not spoken of, and so 15.
    server_max_window_bits: int | None = None
    client_max_window_bits: int | None = None

    def __str__(self) -> str:
        parameters = [NAME]
        for name, value in self._asdict().items():
            if value is True:
                parameters.append(name)
            elif value:
                parameters.append(f"{name}={value}")
        return "; ".join(parameters)


def negotiate(offers: Iterable[Extension], compression: Compression) -> Agreement | None:
    """Return what comes of the first offer that can be accepted, None if none can (§5, §7.1).

    ``offers`` are the client's, in its order of preference.
    """
    for name, parameters in offers:
        if name == NAME:
            agreement = _accept(parameters, compression)
            if agreement is not None:
                return agreement
    return None


def _accept(parameters: tuple[tuple[str, str | None], ...], wish: Compression) -> Agreement | None:
    """Return what comes of one offer; None declines it, as §7.1 tells."""
    offered = dict(parameters)
    if len(offered) < len(parameters):
        return None  # one of them comes twice
    if not offered.keys() <= set(Agreement._fields):
        return None
    for name in ("server_no_context_takeover", "client_no_context_takeover"):
        if offered.get(name) is not None:
            return None  # it takes no value
    server_bits = client_bits = None
    if "server_max_window_bits" in offered:
        server_bits = _parse_bits(offered["server_max_window_bits"])
        if server_bits is None or server_bits < MIN_WINDOW_BITS:
            return None
    if wish.server_max_window_bits < (server_bits or MAX_WINDOW_BITS):
        server_bits = wish.server_max_window_bits
    if "client_max_window_bits" in offered:
        # Without a value, the client says that it would take one from the server.
        value = offered["client_max_window_bits"]
        client_bits = MAX_WINDOW_BITS if value is None else _parse_bits(value)
        if client_bits is None:
            return None
        client_bits = min(client_bits, wish.client_max_window_bits)
        if client_bits == MAX_WINDOW_BITS:
            client_bits = None
    return Agreement(
        "server_no_context_takeover" in offered or wish.server_no_context_takeover,
        "client_no_context_takeover" in offered or wish.client_no_context_takeover,
        server_bits,
        client_bits,
    )


def _parse_bits(value: str | None) -> int | None:
    return int(value) if value is not None and _BITS.fullmatch(value) else None


class Deflater:
    """Builds a server's frames, compressed where that pays.

    Where the server keeps its context, the frames must be sent in the order in
    which they were built, for each refers to those before it.
    """

    __slots__ = ("_flush", "_free", "_keeps_context", "_settings", "_threshold", "_zlib")

    def __init__(self, agreement: Agreement, compression: Compression) -> None:
        keeps_context = not agreement.server_no_context_takeover
        bits = agreement.server_max_window_bits or MAX_WINDOW_BITS
        # Only zlib's compressor can be kept small, and here each socket has one.
        self._zlib: Any = zlib if keeps_context else _deflating
        level = compression.level if self._zlib is zlib else min(compression.level, 3)
        self._settings = (level, zlib.DEFLATED, -bits, compression.memory_level)
        self._flush = zlib.Z_SYNC_FLUSH if keeps_context else zlib.Z_FULL_FLUSH
        self._threshold = max(1, compression.threshold)
        self._keeps_context = keeps_context
        #: The compressors that are not in use. One that fails does not come back:
        #: what it holds of a message must not get into the next.
        self._free: list[Any] = []

    @property
    def keeps_context(self) -> bool:
        """Whether each message refers to those before it."""
        return self._keeps_context

    def build_text(self, message: str) -> bytes:
        """Return the one frame of a text message; UnicodeEncodeError: it has no UTF-8."""
        payload = message.encode()
        size = len(payload)
        if size < 126 and size < self._threshold:
            return frames.SHORT_TEXT[size] + payload
        return self._build(frames.TEXT, payload)

    def build_binary(self, payload: bytes) -> bytes:
        """Return the one frame of a binary message."""
        return self._build(frames.BINARY, payload)

    def _build(self, opcode: int, payload: bytes) -> bytes:
        if len(payload) < self._threshold:
            return frames.build_frame(opcode, payload)
        compressor = self._free.pop() if self._free else self._zlib.compressobj(*self._settings)
        compressed = compressor.compress(payload) + compressor.flush(self._flush)
        self._free.append(compressor)
        if len(compressed) - len(_TAIL) >= len(payload) and not self._keeps_context:
            return frames.build_frame(opcode, payload)  # it would not pay
        return frames.build_frame(opcode, compressed[: -len(_TAIL)], rsv1=True)


@cache
def _shared_deflater(bits: int | None, compression: Compression) -> Deflater:
    return Deflater(Agreement(True, server_max_window_bits=bits), compression)


def get_deflater(agreement: Agreement, compression: Compression) -> Deflater:
    """Return what compresses for one socket: the same for all, unless it keeps its context."""
    if agreement.server_no_context_takeover:
        return _shared_deflater(agreement.server_max_window_bits, compression)
    return Deflater(agreement, compression)


class Inflater:
    """Restores one client's messages (§7.2.2), in pieces as they come."""

    __slots__ = ("_begun", "_bits", "_decompressor", "_keeps_context", "_streams")

    def __init__(self, agreement: Agreement) -> None:
        self._keeps_context = not agreement.client_no_context_takeover
        self._bits = agreement.client_max_window_bits or MAX_WINDOW_BITS
        self._decompressor: Any = None
        #: Whether the message has any compressed byte yet.
        self._begun = False
        self._streams = 0

    def inflate(self, piece: bytes, room: int | None, *, last: bool) -> bytes:
        """Return what ``piece`` of a message holds.

        At most one byte more than there is ``room`` for, so no bomb goes off;
        None for no limit. ``last`` says that it ends the message. Raises
        :class:`ProtocolError` where it is not what a compressor has made.
        """
        self._begun = self._begun or bool(piece)
        if not self._begun:
            return b""  # §7.2.3.6 has a byte for an empty message, some send none
        tail = _TAIL if last else b""
        limit = 0 if room is None else room + 1
        try:
            inflated = self._decompress(piece + tail, limit, tail)
            if last:
                decompressor = self._end_message()
                is_full = room is not None and len(inflated) > room
                if decompressor and not is_full:
                    # By itself: a block that is cut short must not take it for its data.
                    is_cut = decompressor.decompress(_END) or not decompressor.eof
                    if is_cut:
                        raise ProtocolError(INVALID_PAYLOAD, "a compressed message is cut short")
        except zlib.error:
            raise ProtocolError(INVALID_PAYLOAD, "a compressed message is broken") from None
        return inflated

    def _end_message(self) -> Any:
        """Forget the message, and its decompressor, which is returned, if no context is kept."""
        self._begun = False
        self._streams = 0
        if self._keeps_context:
            return None
        decompressor, self._decompressor = self._decompressor, None
        return decompressor

    def _decompress(self, piece: bytes, limit: int, tail: bytes) -> bytes:
        inflated: bytes = b""
        while True:
            decompressor = self._decompressor
            if decompressor is None:
                if self._streams and piece == tail:
                    return inflated  # the final block was the end of the last fragment
                # A new one for each message: what one client has sent must
                # never be referred to by another's.
                decompressor = self._decompressor = zlib.decompressobj(-self._bits)
            inflated += decompressor.decompress(piece, limit and limit - len(inflated))
            if not decompressor.eof:
                return inflated
            # A final block ends the stream; another may follow (§7.2.3.5).
            self._decompressor = None
            self._streams += 1
            if self._streams > _MAX_STREAMS:
                raise ProtocolError(INVALID_PAYLOAD, "a message has too many final blocks")
            piece = decompressor.unused_data
            if piece in (b"", tail) or (limit and len(inflated) == limit):
                return inflated

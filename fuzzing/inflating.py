"""Their inflater, and what it lacks, sentence by sentence of RFC 7692.

A difference that goes away where one sentence is applied to their inflater is
explained by that sentence, and by nothing else.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection

from websockets.exceptions import ProtocolError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from django_websocket_ev.protocol.deflate import Agreement

FINAL_BLOCK = (
    "RFC 7692 7.2.1: an endpoint MAY use both DEFLATE blocks with BFINAL set to 0 and to 1,"
    " and the next block follows"
)
NO_PAYLOAD = "RFC 7692 7.2.3.6: an empty message takes one octet, and what has none is no DEFLATE"
CUT_SHORT = "RFC 7692 7.2.2: with the four octets appended, a message is whole DEFLATE blocks"
TOO_MANY_STREAMS = "RFC 6455 10.4: an implementation MUST protect itself against exceeding limits"
WINDOW = "RFC 7692 7.1.2.2: the client MUST NOT use a larger LZ77 sliding window than agreed on"

#: What takes no other limit: `websockets` limits compressed bytes too.
SENTENCES = (FINAL_BLOCK, CUT_SHORT, NO_PAYLOAD, TOO_MANY_STREAMS)

_TAIL = b"\x00\x00\xff\xff"
_MOST_STREAMS = 64


def their_extension(agreement: Agreement | None) -> PerMessageDeflate | None:
    """Return their side of what was agreed on."""
    if agreement is None:
        return None
    # Its encoder is never used, and without takeover it is never made.
    return PerMessageDeflate(
        agreement.client_no_context_takeover, True, agreement.client_max_window_bits or 15, 15
    )


class Corrected(Extension):
    """Their inflater as it would be with some of the sentences.

    ``byte_by_byte`` lets zlib hand out each byte by itself. It looks at how far
    back a reference goes only where it does not have it in its hands anyway, so this
    is the strictest that it can be. No limit is applied in here.
    """

    name = PerMessageDeflate.name

    def __init__(
        self,
        agreement: Agreement,
        sentences: Collection[str],
        *,
        bits: int | None = None,
        byte_by_byte: bool = False,
    ) -> None:
        self.sentences = sentences
        self.keeps_context = not agreement.client_no_context_takeover
        self.bits = bits or agreement.client_max_window_bits or 15
        self.byte_by_byte = byte_by_byte
        self.decode_cont_data = False
        self.decoder = zlib.decompressobj(-self.bits)
        self.is_empty = True
        self.streams = 0

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        if frame.opcode >= Opcode.CLOSE:
            return frame
        if frame.opcode is Opcode.CONT:
            if not self.decode_cont_data or frame.rsv1:
                return frame  # their check of frames refuses the bit
        elif not frame.rsv1:
            return frame
        else:
            self.is_empty = True
            self.streams = 0
            if not self.keeps_context:
                self.decoder = zlib.decompressobj(-self.bits)
        self.decode_cont_data = not frame.fin
        try:
            data = self._inflate(bytes(frame.data), frame.fin)
        except zlib.error:
            raise ProtocolError("decompression failed") from None
        return Frame(frame.opcode, data, frame.fin, False, frame.rsv2, frame.rsv3)

    def encode(self, frame: Frame) -> Frame:
        return frame  # control frames only

    def _inflate(self, piece: bytes, fin: bool) -> bytes:
        self.is_empty = self.is_empty and not piece
        if self.is_empty and NO_PAYLOAD in self.sentences:
            return b""
        data = self._blocks(piece)
        if not fin:
            return data
        if self.decoder.eof and FINAL_BLOCK in self.sentences:
            # It ended with a final block, and none follows. The next message begins anew.
            self.decoder = zlib.decompressobj(-self.bits)
            return data
        data += self._blocks(_TAIL)
        if CUT_SHORT in self.sentences and not self.keeps_context and not self.decoder.eof:
            # An empty final block makes a whole stream of whole blocks, and of nothing else.
            if self.decoder.decompress(b"\x03\x00") or not self.decoder.eof:
                raise ProtocolError("a message ends within a block")
        return data

    def _blocks(self, piece: bytes) -> bytes:
        data = b""
        while True:
            if piece and self.decoder.eof and FINAL_BLOCK in self.sentences:
                self.decoder = zlib.decompressobj(-self.bits)
            was_over = self.decoder.eof
            data += self._decompress(piece)
            if not self.decoder.eof or was_over:
                return data
            self.streams += 1
            if TOO_MANY_STREAMS in self.sentences and self.streams > _MOST_STREAMS:
                raise ProtocolError("too many final blocks")
            piece = self.decoder.unused_data
            if not piece or FINAL_BLOCK not in self.sentences:
                return data

    def _decompress(self, piece: bytes) -> bytes:
        if not self.byte_by_byte:
            return self.decoder.decompress(piece)
        data = b""
        while True:
            byte = self.decoder.decompress(piece, 1)
            data += byte
            piece = self.decoder.unconsumed_tail
            if self.decoder.eof or not (byte or piece):
                return data

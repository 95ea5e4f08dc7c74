"""A message in the making: what its frames bring, piece by piece. RFC 6455 §5.4 and §8.1.

Pieces are joined once, at the end. Small ones are joined before, in dozens: each
takes some dozens of bytes besides its own, and a message of a million fragments is no larger
than another of its length.
"""

from __future__ import annotations

from codecs import utf_8_decode

from django_websocket_ev.protocol.close import INVALID_PAYLOAD, ProtocolError

#: Pieces to keep apart before they become one.
_APART = 64


class TextMessage:
    """Text, as far as it has come. ``size`` is in bytes of UTF-8."""

    __slots__ = ("_joined", "_pending", "_pieces", "size")

    def __init__(self) -> None:
        self.size = 0
        self._pieces: list[str] = []
        #: How many of them are as long as they will be.
        self._joined = 0
        #: The first bytes of a character that is not whole.
        self._pending = b""

    def add(self, piece: bytes) -> None:
        """Take more bytes. Raises ProtocolError at the first that shows it is not UTF-8 (§8.1)."""
        self.size += len(piece)
        pending = self._pending
        if pending:
            piece = pending + piece
        try:
            text, used = utf_8_decode(piece)
        except UnicodeDecodeError:
            raise _not_utf8() from None
        if used != len(piece):
            pending = self._pending = piece[used:]
            # Python's decoder waits for the third byte of a surrogate.
            if b"\xed\xa0" <= pending < b"\xee":
                raise _not_utf8()
        elif pending:
            self._pending = b""
        pieces = self._pieces
        pieces.append(text)
        if len(pieces) - self._joined > _APART:
            pieces[self._joined :] = ["".join(pieces[self._joined :])]
            self._joined += 1

    def finish(self) -> str:
        """Return the message. Raises ProtocolError where its last character is not whole."""
        if self._pending:
            raise _not_utf8()
        return "".join(self._pieces)


class BinaryMessage:
    """Bytes, as far as they have come. ``size`` is their number."""

    __slots__ = ("_joined", "_pieces", "size")

    def __init__(self) -> None:
        self.size = 0
        self._pieces: list[bytes] = []
        self._joined = 0

    def add(self, piece: bytes) -> None:
        """Take more bytes."""
        self.size += len(piece)
        pieces = self._pieces
        pieces.append(piece)
        if len(pieces) - self._joined > _APART:
            pieces[self._joined :] = [b"".join(pieces[self._joined :])]
            self._joined += 1

    def finish(self) -> bytes:
        """Return the message."""
        return b"".join(self._pieces)


def _not_utf8() -> ProtocolError:
    return ProtocolError(INVALID_PAYLOAD, "a text message is not UTF-8")

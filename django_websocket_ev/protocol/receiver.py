"""From a client's bytes to messages. RFC 6455 §5.4 to §5.6, §6.2 and §8.1; RFC 7692 §6.2.

A :class:`Receiver` is fed whatever arrives and returns what that completes.
Where it stands is one of three places:

- between frames, with at most an unfinished header in ``_rest``;
- inside the payload of a data frame, of which ``_missing`` bytes are to come;
- finished, after a Close frame or an error: nothing is read any more.

Across frames it holds one message in the making: its opcode and the bytes so
far. Control frames may come between its fragments, and pass it by.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from django_websocket_ev.protocol import frames
from django_websocket_ev.protocol.close import (
    INVALID_PAYLOAD,
    MESSAGE_TOO_BIG,
    PROTOCOL_ERROR,
    ProtocolError,
    parse_payload,
)
from django_websocket_ev.protocol.frames import apply_mask
from django_websocket_ev.protocol.message import BinaryMessage, TextMessage

if TYPE_CHECKING:
    from django_websocket_ev.protocol.deflate import Inflater

#: The first byte of a text message in a single frame, and of any.
_WHOLE_TEXT = 0x80 | frames.TEXT
_WHOLE = (_WHOLE_TEXT, 0x80 | frames.BINARY)
_FIRSTS = tuple(bytes((first,)) for first in _WHOLE)

_MASKED = 0x80

#: Bytes of payload from which on a view of them is cheaper than a copy.
_VIEWED = 4096

#: Bytes that unmasking takes few microseconds for, in Python as well.
_LONGER = 4096

_MANY = 2**62


@cache
def _whole_texts(longest: int) -> dict[bytes, int]:
    """Return the sizes of the frames that are a short text message, by their first two bytes."""
    return {bytes((_WHOLE_TEXT, _MASKED | size)): 6 + size for size in range(longest + 1)}


class Ping(NamedTuple):
    """A Ping frame (§5.5.2)."""

    payload: bytes


class Pong(NamedTuple):
    """A Pong frame (§5.5.3)."""

    payload: bytes


class Close(NamedTuple):
    """A Close frame (§5.5.1). ``code`` is 1005 where it has none."""

    code: int
    reason: str


#: What is no message: a control frame, or the error that ended it all.
ControlEvent = Ping | Pong | Close | ProtocolError

#: What :meth:`Receiver.feed` returns.
Event = str | bytes | ControlEvent


class Receiver:
    """The receiving half of a server's connection.

    ``max_message_size`` is the number of payload bytes that a message may have
    over all of its fragments; None for no limit. It is applied to the lengths
    that headers announce, so nothing above it is ever stored. ``inflater`` undoes
    compression, where that was agreed on: then the limit is for what it returns.
    """

    __slots__ = (
        "_compressed",
        "_fin",
        "_finished",
        "_inflater",
        "_mask",
        "_max_longer",
        "_max_size",
        "_max_whole",
        "_message",
        "_missing",
        "_opcode",
        "_rest",
        "_whole",
        "_whole_between",
        "has_more",
    )

    def __init__(
        self, max_message_size: int | None = 2**20, inflater: Inflater | None = None
    ) -> None:
        self._max_size = max_message_size
        self._inflater = inflater
        # Messages of up to so many bytes, whole in one read, take the short way, and a longer one.
        self._max_whole = 125 if max_message_size is None else min(125, max_message_size)
        self._max_longer = _LONGER if max_message_size is None else min(_LONGER, max_message_size)
        #: What feed_whole() takes: where nothing is pending, no part of a frame and no fragment of
        #: a message, and where something is, which is none.
        self._whole_between = _whole_texts(self._max_whole)
        self._whole = self._whole_between
        self._finished = False
        #: Whether the last feed() stopped before it had seen to the end of its data.
        self.has_more = False
        self._rest = b""
        self._missing = 0
        self._mask = b""
        self._fin = False
        #: The opcode of the message in the making, 0 when there is none.
        self._opcode = 0
        self._compressed = False
        self._message: TextMessage | BinaryMessage | None = None

    @property
    def finished(self) -> bool:
        """Whether a Close frame or an error has ended the stream."""
        return self._finished

    def feed_whole(self, data: bytes) -> str | bytes | None:
        """Take ``data`` if it is exactly one message that is not long, and return that.

        Nearly every message in the world is one unfragmented frame, which one
        read brings whole. None, with nothing taken, for all else.
        """
        try:
            if self._whole.get(data[:2]) == len(data):
                return apply_mask(data[6:], data[2:6]).decode()
            if self._whole and data[:1] in _FIRSTS:
                return self._feed_longer(data)
        except UnicodeDecodeError:
            pass  # feed() says what is wrong
        return None

    def _feed_longer(self, data: bytes) -> str | bytes | None:
        """Do as :meth:`feed_whole` for what is no short text."""
        size = data[1] - _MASKED if len(data) >= 6 else 127
        payload_at = 6
        if size == 126:
            size = int.from_bytes(data[2:4], "big")
            payload_at = 8
            if size < 126:
                return None  # feed() says what is wrong
        elif size == 127:
            return None
        if len(data) != payload_at + size or not 0 <= size <= self._max_longer:
            return None
        payload = apply_mask(data[payload_at:], data[payload_at - 4 : payload_at])
        return payload.decode() if data[0] == _WHOLE_TEXT else payload

    def feed(
        self, data: bytes, limit: int = _MANY, room: int = _MANY, turns: int = _MANY
    ) -> list[Event]:
        """Take ``data`` and return the events that it completes, in order.

        At most ``limit`` of them are messages, which end with the one that fills
        the ``room``, and at most so many ``turns`` are taken, of a frame each.
        Where bytes are left then, ``has_more`` says so, and the next call, which
        may pass ``b""``, goes on with them.

        An error comes as the last event, a :class:`ProtocolError` with the close
        code that it deserves. Raises nothing.
        """
        if self._finished:
            return []
        if self._rest:
            data = self._rest + data
        events: list[Event] = []
        event: str | bytes | None
        position = 0
        size = len(data)
        self.has_more = False
        try:
            while not self._finished:
                if limit <= 0 or room <= 0 or turns <= 0:
                    self.has_more = position < size
                    break
                turns -= 1
                payload_at = position + 6
                if (
                    payload_at <= size
                    and (first := data[position]) in _WHOLE
                    and 0 <= (length := data[position + 1] - _MASKED) <= self._max_whole
                    and (end := payload_at + length) <= size
                    and not (self._opcode or self._missing)
                ):
                    # As in feed_whole().
                    payload = apply_mask(data[payload_at:end], data[position + 2 : payload_at])
                    event = payload.decode() if first == _WHOLE_TEXT else payload
                    position = end
                elif self._missing:
                    position = self._take_payload(data, position)
                    if self._missing:
                        break
                    event = self._end_of_frame()
                else:
                    header = frames.parse_header(data, position, rsv1=self._inflater is not None)
                    if header is None:
                        break
                    payload_at = position + header.size
                    if header.opcode >= frames.CLOSE:
                        end = payload_at + header.length
                        if size < end:
                            break
                        position = end
                        payload = apply_mask(data[payload_at:end], header.mask)
                        events.append(self._control(header.opcode, payload))
                        continue
                    position = payload_at
                    if self._begin_frame(header):
                        continue
                    event = self._end_of_frame()
                if event is not None:
                    events.append(event)
                    limit -= 1
                    room -= len(event)
        except ProtocolError as error:
            self._finish()
            # Anew: the one that was raised holds on to what it met on its way.
            events.append(ProtocolError(error.code, error.reason))
        except UnicodeDecodeError:
            self._finish()
            events.append(ProtocolError(INVALID_PAYLOAD, "a text message is not UTF-8"))  # §8.1
        self._rest = b"" if self._finished else data[position:]
        is_between = not (self._rest or self._missing or self._opcode or self._finished)
        self._whole = self._whole_between if is_between else {}
        return events

    def _begin_frame(self, header: frames.Header) -> bool:
        """Apply the rules for data frames (§5.4), and the limit, to a header.

        Returns whether a payload follows.
        """
        if header.opcode == frames.CONTINUATION:
            if not self._opcode:
                raise ProtocolError(PROTOCOL_ERROR, "a continuation frame continues nothing")
        elif self._opcode:
            raise ProtocolError(PROTOCOL_ERROR, "a message begins before the last one is complete")
        else:
            self._opcode = header.opcode
            self._compressed = header.rsv1
            self._message = TextMessage() if header.opcode == frames.TEXT else BinaryMessage()
        if not self._compressed and self._max_size is not None:
            stored = 0 if self._message is None else self._message.size
            if stored + header.length > self._max_size:
                raise self._too_big()
        self._fin = header.fin
        self._mask = header.mask
        self._missing = header.length
        if self._compressed and not header.length:
            self._store(b"")
        return header.length > 0

    def _too_big(self) -> ProtocolError:
        return ProtocolError(MESSAGE_TOO_BIG, f"a message has more than {self._max_size} bytes")

    def _take_payload(self, data: bytes, position: int) -> int:
        """Store what ``data`` has of the frame's payload; return where that ends."""
        end = min(len(data), position + self._missing)
        taken = end - position
        if not taken:
            return position
        masked = data[position:end] if taken < _VIEWED else memoryview(data)[position:end]
        piece = apply_mask(masked, self._mask)
        self._missing -= taken
        if self._missing:
            turn = taken % 4
            self._mask = self._mask[turn:] + self._mask[:turn]
        self._store(piece)
        return end

    def _store(self, piece: bytes) -> None:
        """Add what a piece of payload holds to the message in the making."""
        message = self._message
        if message is None:
            return
        is_last = self._fin and not self._missing
        if self._compressed and self._inflater is not None:
            room = None if self._max_size is None else self._max_size - message.size
            piece = self._inflater.inflate(piece, room, last=is_last)
            if room is not None and len(piece) > room:
                raise self._too_big()
        message.add(piece)

    def _end_of_frame(self) -> str | bytes | None:
        """Return the message that the frame completes, None if fragments are to come."""
        if not self._fin or self._message is None:
            return None
        message = self._message.finish()
        self._opcode = 0
        self._message = None
        return message

    def _control(self, opcode: int, payload: bytes) -> Ping | Pong | Close:
        if opcode == frames.PING:
            return Ping(payload)
        if opcode == frames.PONG:
            return Pong(payload)
        code, reason = parse_payload(payload)
        self._finish()
        return Close(code, reason)

    def _finish(self) -> None:
        self._finished = True
        self.has_more = False
        self._missing = 0
        self._opcode = 0
        self._inflater = None
        self._message = None

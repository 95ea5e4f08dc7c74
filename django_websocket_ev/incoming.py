"""The messages on their way to one view.

What a client sends is taken in as far as there is room: so many messages, and so
many bytes of them. The rest stays with the receiver, and then with the kernel, and
then with the client.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from django_websocket_ev.protocol.receiver import Receiver

if TYPE_CHECKING:
    from django_websocket_ev.conf import Options
    from django_websocket_ev.protocol.deflate import Inflater
    from django_websocket_ev.protocol.receiver import ControlEvent

_UNLIMITED = 2**31


class Incoming:
    """Receives, and queues whole messages."""

    __slots__ = ("_discards", "_limit", "_max_queue", "_receiver", "_size", "feed_whole", "queue")

    def __init__(self, options: Options, inflater: Inflater | None) -> None:
        self._receiver = Receiver(options.max_message_size, inflater)
        #: Return the message in a read that holds exactly one, which then is not queued.
        self.feed_whole = self._receiver.feed_whole
        self.queue: deque[str | bytes] = deque()
        #: What the messages in it take: bytes, or characters.
        self._size = 0
        self._max_queue = options.max_queue
        self._limit = options.read_limit
        self._discards = False

    @property
    def has_more(self) -> bool:
        """Whether bytes are here that wait for room, or for their turn."""
        return self._receiver.has_more

    def feed(self, data: bytes, turns: int) -> list[ControlEvent]:
        """Take ``data``, at most so many ``turns`` of a frame each; return what is no message."""
        queue = self.queue
        events = []
        limit, room = self._max_queue - len(queue), self._limit - self._size
        for event in self._receiver.feed(data, limit, room, turns):
            if not isinstance(event, (str, bytes)):
                events.append(event)
            elif not self._discards:
                queue.append(event)
                self._size += len(event)
        return events

    def take(self) -> str | bytes:
        """Return the next message. Raises IndexError where there is none."""
        message = self.queue.popleft()
        self._size -= len(message)
        return message

    def is_full(self) -> bool:
        """Whether no more may be taken in."""
        return len(self.queue) >= self._max_queue or self._size >= self._limit

    def is_half_empty(self) -> bool:
        """Whether it is worth taking in more, where it was full."""
        return 2 * len(self.queue) <= self._max_queue and 2 * self._size <= self._limit

    def discard(self) -> None:
        """Take in all that comes, and drop its messages: only the Close matters now."""
        self._discards = True
        self._max_queue = self._limit = _UNLIMITED

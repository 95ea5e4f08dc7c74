"""What comes from one client: when it is read, and the messages on their way to the view.

It is taken in as far as there is room: so many messages, and so many bytes of
them. The rest stays with the receiver, and then with the kernel, and then with
the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django_websocket_ev import greensocket
from django_websocket_ev.protocol.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_websocket_ev.conf import Options
    from django_websocket_ev.protocol.deflate import Inflater
    from django_websocket_ev.protocol.receiver import ControlEvent
    from django_websocket_ev.turns import Line

_UNLIMITED = 2**31


class Incoming:
    """Listens, receives, and queues whole messages.

    The hub calls ``on_readable`` when there is something to read, ``on_obsolete``
    where it finds the socket closed, and ``on_turn`` when more may be taken in
    of what was read before.
    """

    __slots__ = (
        *("_hub", "_line", "_sock", "_on_readable", "_on_obsolete", "_on_turn"),
        *("_receiver", "_size", "_max_queue", "_limit", "_discards", "_over"),
        *("_listener", "_stands_in_line", "feed_whole", "queue"),
    )

    def __init__(
        self,
        hub: Any,
        line: Line,
        sock: Any,
        options: Options,
        inflater: Inflater | None,
        on_readable: Callable[[int], None],
        on_obsolete: Callable[[Exception], None],
        on_turn: Callable[[], None],
    ) -> None:
        self._hub = hub
        self._line = line
        self._sock = sock
        self._on_readable = on_readable
        self._on_obsolete = on_obsolete
        self._on_turn = on_turn
        self._receiver = Receiver(options.max_message_size, inflater)
        #: Return the message in a read that holds exactly one, which then is not queued.
        self.feed_whole = self._receiver.feed_whole
        #: A list, for an empty deque takes ten times its memory, and those here are short.
        self.queue: list[str | bytes] = []
        #: What the messages in it take: bytes, or characters.
        self._size = 0
        self._max_queue = options.max_queue
        self._limit = options.read_limit
        self._discards = False
        self._over = False
        #: The hub's, while there is room.
        self._listener: Any = None
        self._stands_in_line = False

    # When to read.

    def set_pace(self) -> None:
        """Listen for more, unless there is more here already than may be taken in now."""
        if self.is_full():
            self._stop_listening()
        elif self._receiver.has_more:
            self._stop_listening()
            self.stand_in_line()
        elif not self._over:
            self._listen()

    def stand_in_line(self) -> None:
        """Have ``on_turn`` called when it is this client's turn."""
        if not self._stands_in_line:
            self._stands_in_line = True
            self._line.stand(self._take_turn)

    def _listen(self) -> None:
        if self._listener is not None:
            return
        tls = greensocket.is_tls(self._sock)
        callback = self._on_readable_tls if tls else self._on_readable
        self._listener = self._hub.add(
            self._hub.READ, self._sock.fileno(), callback, self._on_obsolete, None
        )
        if tls:
            self._see_to_decrypted()

    def _on_readable_tls(self, fd: int) -> None:
        self._on_readable(fd)
        self._see_to_decrypted()

    def _see_to_decrypted(self) -> None:
        """Read again what no poll reports, for TLS has it decrypted already."""
        if self._listener is not None and self._sock.pending():
            self._hub.schedule_call_global(0, self._on_readable_tls, 0)

    def _take_turn(self) -> None:
        self._stands_in_line = False
        self._on_turn()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._hub.remove(self._listener)
            self._listener = None

    def hang_up(self) -> None:
        """Listen no more. What is here already may still be taken in."""
        self._over = True
        self._stop_listening()

    def end(self) -> None:
        """Take in no more, and let go of whoever was to be called."""
        self.hang_up()
        self.queue.clear()
        self._on_readable = self._on_obsolete = self._on_turn = _do_nothing

    # What comes.

    @property
    def brings_more(self) -> bool:
        """Whether bytes are here that wait for room, or for their turn, and may be messages."""
        return self._receiver.has_more and not self._discards

    def keep(self, data: bytes) -> None:
        """Let ``data`` wait for its turn."""
        self._receiver.feed(data, turns=0)

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
        message = self.queue.pop(0)
        self._size -= len(message)
        if self._listener is None and self._is_half_empty():
            self.set_pace()
        return message

    def is_full(self) -> bool:
        """Whether no more may be taken in."""
        return len(self.queue) >= self._max_queue or self._size >= self._limit

    def _is_half_empty(self) -> bool:
        """Whether it is worth taking in more, where it was full."""
        return 2 * len(self.queue) <= self._max_queue and 2 * self._size <= self._limit

    def discard(self) -> None:
        """Take in all that comes, and drop its messages: only the Close matters now."""
        self._discards = True
        self._max_queue = self._limit = _UNLIMITED


def _do_nothing(*_: object) -> None:
    pass

"""The kinds of hostile clients, each with the setting that bounds it, low enough to see it work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.hostile import wire
from bench.hostile.peers import Flooder, Peer

MESSAGE_SIZE = 65536  # the servers' WEBSOCKET_MAX_MESSAGE_SIZE
BLOB = 65536  # bytes that a flooder hands to the kernel at a time
DRIP = 2.0  # seconds between the bytes of a request that does not end
BOMB = 1 << 30  # bytes that inflate from a thousandth of them


class NeverReads(Peer):
    path = "/stream/"
    reads = False


class SlowRequest(Peer):
    """Sends a byte of its request every now and then, and never the last."""

    opens = False

    def begin(self) -> None:
        self._left = wire.HANDSHAKE.format(path=self.path, host="127.0.0.1", extra="").encode()
        self._drip()

    def _drip(self) -> None:
        if not self.transport.is_closing():
            self.send(self._left[:1])
            self._left = self._left[1:]
            self.crowd.loop.call_later(DRIP, self._drip)


class HalfFrame(Peer):
    def attack(self) -> None:
        self.send(wire.header(wire.TEXT, 1000) + bytes(500))


class Fragments(Flooder):
    """Says with no fragment that it is the last."""

    listens = True
    first = wire.frame(wire.TEXT, b"x" * 128, fin=False)
    bytes_again = wire.frame(wire.CONTINUATION, b"x" * 128, fin=False) * (BLOB // 136)


class Unfinished(Peer):
    """Sends all of the largest message but its last byte, and answers every Ping."""

    answers_pings = True

    def attack(self) -> None:
        self.send(wire.frame(wire.BINARY, bytes(MESSAGE_SIZE - 1), fin=False))


class NoCloseAnswer(Peer):
    path = "/leave/"


class EmptyFragments(Flooder):
    first = wire.frame(wire.TEXT, fin=False)
    bytes_again = wire.frame(wire.CONTINUATION, fin=False) * (BLOB // 6)


class Pings(Flooder):
    bytes_again = wire.frame(wire.PING, b"12345678") * (BLOB // 14)


class PingsUnread(Pings):
    reads = False


class SlowViewFlood(Flooder):
    path = "/slow/"
    bytes_again = wire.frame(wire.TEXT, b"x" * 32) * (BLOB // 38)


class EchoFlood(Flooder):
    bytes_again = wire.frame(wire.TEXT, b"x") * (BLOB // 7)


class Bomb(Peer):
    extra = wire.OFFER
    packed = b""

    @classmethod
    def prepare(cls) -> None:
        cls.packed = wire.bomb(BOMB)

    def attack(self) -> None:
        self.send(self.packed)


class Comer(Peer):
    """Comes back at once where it was turned away; stays where it was let in."""

    opens = False
    answers_pings = True


class Resetter(Peer):
    """Resets its connection at once: every other with a request under way."""

    opens = False


@dataclass(frozen=True)
class Kind:
    """A kind of hostile client, the settings of the server that it meets, and what must come."""

    name: str
    what: str
    peer: type[Peer]
    bound: str  # what holds it, in words
    settings: Mapping[str, Any] = field(default_factory=dict)  # without WEBSOCKET_
    fates: tuple[str, ...] = ("open",)  # what may become of it
    crowds: int = 1  # times as many clients as there are honest ones
    source: str = "127.0.0.1"


def kinds(honest: int) -> dict[str, Kind]:
    """Every kind by its name, where so many honest clients are beside them."""
    silent = {"ping_interval": 2, "ping_timeout": 2, "close_timeout": 2}
    found = [
        Kind(
            "never-reads", "never reads, while its view sends without end", NeverReads,
            "WRITE_LIMIT 64 KiB, SEND_TIMEOUT 4 s",
            {"write_limit": 65536, "send_timeout": 4}, ("open, then cut",),
        ),
        Kind(
            "slow-request", f"a byte of its request every {DRIP:g} s", SlowRequest,
            "REQUEST_TIMEOUT 4 s", {"request_timeout": 4}, ("408",),
        ),
        Kind(
            "half-frame", "half a frame, then silence", HalfFrame,
            "PING_INTERVAL, PING_TIMEOUT, CLOSE_TIMEOUT 2 s", silent, ("Close 1011, then cut",),
        ),
        Kind(
            "fragments", "fragments of 128 bytes for ever", Fragments,
            "MAX_MESSAGE_SIZE 64 KiB, CLOSE_TIMEOUT 2 s", {"close_timeout": 2},
            ("Close 1009, then cut",),
        ),
        Kind(
            "unfinished", "the largest message but its last byte", Unfinished,
            "MAX_MESSAGE_SIZE 64 KiB", {"ping_interval": 2, "ping_timeout": 2},
        ),
        Kind(
            "no-close-answer", "does not answer the server's Close", NoCloseAnswer,
            "CLOSE_TIMEOUT 4 s", {"close_timeout": 4}, ("Close 1000, then cut",),
        ),
        Kind(
            "empty-fragments", "empty fragments for ever", EmptyFragments,
            "fair turns",
        ),
        Kind("pings", "a flood of Pings, Pongs are read", Pings, "fair turns"),
        Kind(
            "pings-unread", "a flood of Pings, Pongs are not read", PingsUnread,
            "fair turns, the last Ping only",
        ),
        Kind(
            "slow-view", "a flood of 32 bytes to a view that takes one a second", SlowViewFlood,
            "MAX_QUEUE 64",
        ),
        Kind(
            "echo-flood", "a flood of 1 byte to the echo, echoes are read", EchoFlood,
            "fair turns, MAX_QUEUE 64",
        ),
        Kind(
            "bomb", "1 GiB deflated to 1 MiB", Bomb,
            "MAX_MESSAGE_SIZE 1 MiB, CLOSE_TIMEOUT 2 s",
            {"max_message_size": 2**20, "close_timeout": 2}, ("Close 1009, then cut",),
        ),
        Kind(
            "max-connections", "comes back at once when refused", Comer,
            f"MAX_CONNECTIONS {honest:,}", {"max_connections": honest}, ("503",),
        ),
        Kind(
            "per-client", "the same, all from one address", Comer,
            f"MAX_CONNECTIONS_PER_CLIENT {honest:,}", {"max_connections_per_client": honest},
            ("503", "open"), crowds=2, source="127.0.0.2",
        ),
        Kind(
            "resets", "connects, resets at once, comes back", Resetter,
            "turns of accept()", fates=("reset",),
        ),
        Kind(
            "silence", "answers no Ping", Peer, "PING_INTERVAL, PING_TIMEOUT, CLOSE_TIMEOUT 2 s",
            silent, ("Close 1011, then cut",),
        ),
    ]  # fmt: skip
    return {kind.name: kind for kind in found}

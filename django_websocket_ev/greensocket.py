"""What a connection does with the server's socket, plain or TLS, without blocking.

The socket stays the server's, which gets it back as it was.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from fcntl import ioctl
from struct import error, pack, unpack, unpack_from
from termios import FIONREAD, TIOCOUTQ
from typing import TYPE_CHECKING, Any

from django_websocket_ev.bootstrap import quiet

with quiet():
    from eventlet import getcurrent, patcher
    from eventlet.green.ssl import GreenSSLSocket
    from eventlet.greenio import GreenSocket
    from eventlet.hubs import get_hub
    from eventlet.wsgi import WSGI_LOCAL

if TYPE_CHECKING:
    from collections.abc import Callable

#: A patched process has no poll().
_select = patcher.original("select")

#: Where Linux has tcpi_bytes_acked in its struct tcp_info.
_BYTES_ACKED = 120

#: What the functions that :func:`take` returns raise where they would block.
WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def can_carry(sock: object) -> bool:
    """Whether ``sock`` is a green one, which a WebSocket needs."""
    return isinstance(sock, (GreenSocket, GreenSSLSocket))


def in_hub() -> bool:
    """Whether this runs in a green thread of the hub, which can go on while it waits."""
    return bool(getcurrent().parent is get_hub().greenlet)


def is_tls(sock: Any) -> bool:
    """Whether ``sock`` speaks TLS, and so may hold bytes that no poll reports."""
    return isinstance(sock, ssl.SSLSocket)


def take(sock: Any) -> tuple[Callable[[int], bytes], Callable[..., int]]:
    """Return the socket's ``recv`` and ``send``, which never block.

    Turns Nagle's algorithm off: together with delayed acknowledgements it holds
    small messages back for 40 ms.
    """
    push(sock)
    if isinstance(sock, GreenSocket):
        return sock.fd.recv, sock.fd.send
    sock.setblocking(False)
    return sock.recv, sock.send


def more_flag(sock: Any) -> int | None:
    """Return the flag for ``send`` by which the kernel waits for what follows, None without one."""
    return None if is_tls(sock) else getattr(socket, "MSG_MORE", None)


def push(sock: Any) -> None:
    """Turn Nagle's algorithm off, by which also leaves what the kernel has held back."""
    with suppress(OSError):  # a UNIX socket has no such delay
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def end_output(sock: Any) -> None:
    """Tell the peer that nothing will follow. Raises OSError where it is gone."""
    if is_tls(sock):
        with suppress(OSError, ValueError):
            # Not the green unwrap, which would own the descriptor a second time.
            ssl.SSLSocket.unwrap(sock)
    sock.shutdown(socket.SHUT_WR)


def has_input(fileno: int) -> bool:
    """Whether something can be read from a descriptor: bytes, or their end."""
    poll = _select.poll()
    poll.register(fileno, _select.POLLIN)
    return bool(poll.poll(0))


def unread(sock: Any) -> int:
    """Return how many bytes from the peer wait in the kernel."""
    return _count(sock, FIONREAD)


def taken(sock: Any) -> int:
    """Return a number that grows with the bytes that the peer takes."""
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED + 8)
        acknowledged: int = unpack_from("=Q", info, _BYTES_ACKED)[0]
    except (AttributeError, OSError, error):  # not TCP, or not Linux
        return -_count(sock, TIOCOUTQ)
    return acknowledged


def _count(sock: Any, what: int) -> int:
    try:
        number: int = unpack("i", ioctl(sock.fileno(), what, bytes(4)))[0]
    except OSError:
        return 0
    return number


def reset_on_close(sock: Any) -> None:
    """Let the server's ``close()`` reset the connection.

    The kernel would go on offering the peer what it never reads.
    """
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))


def silence_handler() -> None:
    """Have eventlet's handler of the request that is being served write no response."""
    WSGI_LOCAL.already_handled = True


def give_back(sock: Any) -> None:
    """Return the socket to its server, which still wants to write a response.

    It finds the socket shut down for writing.
    """
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
    if is_tls(sock):
        sock.setblocking(True)

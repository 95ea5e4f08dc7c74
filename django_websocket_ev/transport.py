"""The socket behind a WSGI request, and what the server has read from it already.

WSGI has no word for this, so each server that can carry WebSockets has a row in
the table at the end. Another one is another row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Transport(NamedTuple):
    """How to take a connection over from a server."""

    #: The WSGI server's name, for messages.
    server: str
    get_socket: Callable[[Mapping[str, Any]], Any]
    #: Returns the socket, of which the server knows no more, and what has come behind the
    #: request's head. Does not block.
    take_over: Callable[[Mapping[str, Any]], tuple[Any, bytes]]

    def hand_over(self, environ: Mapping[str, Any], converse: Callable[[], None]) -> None:
        """Have ``converse()`` called: by a server of ours once it is through with the request.

        What the request needed is not on the stack then, for hours, under the view.
        """
        hand_over = environ.get(OWN_SERVER)
        if hand_over is None:
            converse()
        else:
            hand_over(converse)


def find_transport(environ: Mapping[str, Any]) -> Transport | None:
    """Return how to take over the connection of a request, None where nothing is known."""
    return next((found for key, found in _TRANSPORTS.items() if key in environ), None)


def http_version(environ: Mapping[str, Any]) -> str:
    """Return the version in the request line, such as "HTTP/1.1"."""
    version: str = environ.get("SERVER_PROTOCOL", "")
    if "eventlet.input" in environ and version == "HTTP/1.0" and OWN_SERVER not in environ:
        # eventlet's own handler says 1.0 of every request; ours says what came.
        return "HTTP/1.1"
    return version


#: In the environ of our own server, and of our gunicorn worker, whose SERVER_PROTOCOL can be
#: believed: a function that takes what is to run on the connection after the request.
OWN_SERVER = "django_websocket_ev.server"


def _eventlet_socket(environ: Mapping[str, Any]) -> Any:
    return environ["eventlet.input"].get_socket()


def _take_over_eventlet(environ: Mapping[str, Any]) -> tuple[Any, bytes]:
    sock = _eventlet_socket(environ)
    rfile = environ["eventlet.input"].rfile
    if not hasattr(rfile, "peek"):
        return sock, b""  # our own server has read the head and nothing else
    from django_websocket_ev.greensocket import silence_handler

    silence_handler()
    timeout = sock.gettimeout()
    sock.setblocking(False)  # peek() reads where the buffer is empty
    try:
        return sock, bytes(rfile.peek())
    except OSError:
        return sock, b""
    finally:
        sock.setblocking(True)
        sock.settimeout(timeout)


def _gunicorn_socket(environ: Mapping[str, Any]) -> Any:
    return environ["gunicorn.socket"]


def _take_over_gunicorn(environ: Mapping[str, Any]) -> tuple[Any, bytes]:
    sock = _gunicorn_socket(environ)
    return sock.give_away() if OWN_SERVER in environ else sock, _gunicorn_pending(environ)


def _gunicorn_pending(environ: Mapping[str, Any]) -> bytes:
    # wsgi.input is a Body over a reader of the request's length over the
    # unreader that holds what was read too far.
    unreader = environ["wsgi.input"].reader.unreader
    if hasattr(unreader, "take_buffered"):
        return bytes(unreader.take_buffered())
    pending: bytes = unreader.buf.getvalue()
    unreader.buf.seek(0)
    unreader.buf.truncate()
    return pending


_TRANSPORTS = {
    "eventlet.input": Transport("eventlet.wsgi", _eventlet_socket, _take_over_eventlet),
    "gunicorn.socket": Transport("gunicorn", _gunicorn_socket, _take_over_gunicorn),
}

"""Views for the tests of send(), send_json(), wait_json() and ping()."""

import socket
import threading
from array import array
from datetime import date
from decimal import Decimal
from uuid import UUID

from backstage import note
from django.urls import path
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from django_websocket_ev import BadMessage, ConnectionClosed, require_websocket

VALUES = {
    "str": "plain",
    "non-ascii": "Grüße, 世界 \N{SNOWMAN} \U0001f40d",
    "empty-str": "",
    "nul": "a\0b",
    "bytes": b"\x00\xff\x80",
    "empty-bytes": b"",
    "bytearray": bytearray(b"array"),
    "memoryview": memoryview(b"view"),
    "stepped-memoryview": memoryview(b"v-i-e-w")[::2],
    "memoryview-of-numbers": memoryview(array("H", [0x6161, 0x6262])),
    "int": 42,
    "negative-int": -1,
    "float": 1.5,
    "Decimal": Decimal("1.10"),
    "lazy": gettext_lazy("Monday"),
    "SafeString": mark_safe("<b>safe</b>"),
}

WRONG_VALUES = {
    "dict": {"a": 1},
    "list": [1],
    "tuple": (1,),
    "set": {1},
    "None": None,
    "object": object(),
    "date": date(2011, 1, 1),
    "surrogate": "\ud800",
}


@require_websocket
def sends(request, what):
    request.websocket.send(VALUES[what])


@require_websocket
def sends_size(request, kind, size):
    request.websocket.send("x" * size if kind == "text" else b"x" * size)


@require_websocket
def sends_wrongly(request, what):
    """Says what happened, over the same WebSocket: it must have taken no harm."""
    try:
        request.websocket.send(WRONG_VALUES[what])
    except (TypeError, ValueError) as error:
        request.websocket.send(f"{type(error).__name__}: {error}")


@require_websocket
def sends_surrogate_uncaught(request):
    request.websocket.send("\ud800")


@require_websocket
def sends_too_late(request):
    websocket = request.websocket
    while websocket.wait() is not None:
        pass
    for send in (websocket.send, websocket.ping, websocket.send_json):
        try:
            send(b"1")
        except TypeError:  # JSON knows no bytes
            note(request, "TypeError")
        except ConnectionClosed as error:
            note(request, [isinstance(error, OSError), error.code, error.reason, str(error)])


@require_websocket
def sends_too_late_uncaught(request):
    request.websocket.wait()
    request.websocket.send("too late")


#: What a socket takes at once, and what it does not: both wait in the buffer.
SIZES = [200_000, 10, 100_000, 500] * 10


@require_websocket
def interleaves(request):
    """Two green threads send at the same time, to a socket that is soon full."""
    sock = request.META["eventlet.input"].get_socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 131072)
    threads = [
        threading.Thread(
            target=lambda letter=letter: [request.websocket.send(letter * size) for size in SIZES]
        )
        for letter in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@require_websocket
def pings(request):
    websocket = request.websocket
    websocket.ping()
    websocket.ping(b"payload")
    websocket.ping(b"x" * 125)
    try:
        websocket.ping(b"x" * 126)
    except ValueError as error:
        websocket.send(f"{type(error).__name__}: {error}")


# JSON.


@require_websocket
def sends_json(request):
    websocket = request.websocket
    websocket.send_json({"text": "Grüße", "list": [1, 2.5, None, True]})
    websocket.send_json(
        {
            "date": date(2011, 1, 1),
            "decimal": Decimal("1.10"),
            "uuid": UUID(int=1),
            "lazy": gettext_lazy("Monday"),
        }
    )
    try:
        websocket.send_json({1})
    except TypeError as error:
        websocket.send(f"TypeError: {error}")


@require_websocket
def echoes_json(request):
    """Answers what is not JSON with the error, unless it is told to let it go."""
    websocket = request.websocket
    while True:
        try:
            value = websocket.wait_json()
        except ValueError as error:
            if "uncaught" in request.GET:
                raise
            websocket.send(f"{isinstance(error, BadMessage)}: {error}")
            continue
        if value is None and websocket.closed:
            return note(request, "closed")
        websocket.send_json([value])


@require_websocket
def json_timeout(request):
    try:
        request.websocket.wait_json(timeout=0.001)
    except TimeoutError:
        request.websocket.send("timed out")
    request.websocket.send_json(request.websocket.wait_json(timeout=60))


urlpatterns = [
    path("sends/<what>/", sends),
    path("sends/<kind>/<int:size>/", sends_size),
    path("sends_wrongly/<what>/", sends_wrongly),
    path("sends_surrogate_uncaught/", sends_surrogate_uncaught),
    path("sends_too_late/", sends_too_late),
    path("sends_too_late_uncaught/", sends_too_late_uncaught),
    path("interleaves/", interleaves),
    path("pings/", pings),
    path("sends_json/", sends_json),
    path("echoes_json/", echoes_json),
    path("json_timeout/", json_timeout),
]

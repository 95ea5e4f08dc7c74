"""The clients' side of the project: what the tests send to it, and read from it."""

from __future__ import annotations

import json

import pytest
from websockets.exceptions import ConnectionClosed

import servers

#: An opening handshake (RFC 6455 §4.1), for requests that are refused or malformed on purpose.
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}

#: Every logger's lines on the console, behind the logger's name.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"named": {"format": "%(name)s %(levelname)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "named"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}


def serve(database, *options, **settings):
    """Start runwsserver with these settings, patched from the start, which is faster."""
    return servers.runwsserver(
        *options,
        settings=settings,
        before=("-m", "django_websocket_ev"),
        TEST_DATABASE=database,
    )


def ask(websocket, message="what do you see?"):
    """Return what the view sees: the facts of django_views.py."""
    websocket.send(message)
    return json.loads(websocket.recv(servers.PATIENCE))


def closing(websocket):
    """Return the code and the reason that the server closes with."""
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            websocket.recv(servers.PATIENCE)
    assert closed.value.rcvd is not None, "the connection ended without a Close frame"
    return closed.value.rcvd.code, closed.value.rcvd.reason

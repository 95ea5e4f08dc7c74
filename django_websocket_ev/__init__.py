"""WebSockets for ordinary, synchronous Django views, carried by eventlet.

Importing this package patches nothing, reads no setting and imports neither
Django nor eventlet: the names below load on first use. That is what lets a
``manage.py`` say, before anything else::

    from django_websocket_ev import bootstrap

    bootstrap.patch()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.4.0"

__all__ = [
    "BadMessage",
    "ConnectionClosed",
    "WebSocket",
    "accept_websocket",
    "require_websocket",
    "stats",
]

if TYPE_CHECKING:
    from django_websocket_ev.counters import stats
    from django_websocket_ev.decorators import accept_websocket, require_websocket
    from django_websocket_ev.exceptions import BadMessage, ConnectionClosed
    from django_websocket_ev.websocket import WebSocket

_HOMES = {
    "BadMessage": "exceptions",
    "ConnectionClosed": "exceptions",
    "WebSocket": "websocket",
    "accept_websocket": "decorators",
    "require_websocket": "decorators",
    "stats": "counters",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

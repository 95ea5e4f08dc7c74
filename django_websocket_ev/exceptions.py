"""What this package raises into a view, or at the programmer."""

from __future__ import annotations

from django.core.exceptions import SuspiciousOperation


class ConnectionClosed(OSError):
    """The WebSocket is closed, so nothing can be sent.

    ``code`` and ``reason`` tell how it was closed: see
    :attr:`WebSocket.close_code`. A view need not catch it: it ends the view
    quietly, for a client may leave at any time.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"the WebSocket is closed ({code}{' ' + reason if reason else ''})")
        self.code = code
        self.reason = reason


class BadMessage(SuspiciousOperation, ValueError):
    """A client sent a message that is not what the view asked for.

    A ``ValueError`` for a view that wants to answer it; where it leaves the
    view, the WebSocket closes with 1008 and no traceback.
    """

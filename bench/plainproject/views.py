"""Views as anybody might write them. None of them knows that its client may be hostile."""

from __future__ import annotations

import time

from django.http import HttpRequest

from django_websocket_ev import require_websocket

PIECE = "x" * 16384


@require_websocket
def echo(request: HttpRequest) -> None:
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket
def stream(request: HttpRequest) -> None:
    """Sends for as long as somebody takes it."""
    while True:
        request.websocket.send(PIECE)


@require_websocket
def slow(request: HttpRequest) -> None:
    """Has a second's work with each message."""
    for _ in request.websocket:
        time.sleep(1)


@require_websocket
def leave(request: HttpRequest) -> None:
    """Is done at once, so the server is the first to send a Close."""

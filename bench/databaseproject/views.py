"""For our server: a synchronous view."""

from __future__ import annotations

from django.http import HttpRequest

from bench.databaseproject.query import answer
from django_websocket_ev import require_websocket


@require_websocket
def query(request: HttpRequest) -> None:
    for message in request.websocket:
        request.websocket.send(answer(message))

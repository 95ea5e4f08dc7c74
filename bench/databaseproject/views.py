"""For our server: a synchronous view."""

from __future__ import annotations

from django.http import HttpRequest

from bench.databaseproject.query import answer
from django_websocket_ev import database_limit, require_websocket

# As long as the others: the pool as it is set here, and Channels, where nothing ends the wait.
database_limit.PATIENCE = 120.0


@require_websocket
def query(request: HttpRequest) -> None:
    for message in request.websocket:
        request.websocket.send(answer(message))

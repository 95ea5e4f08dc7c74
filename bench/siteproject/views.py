"""Echoes as our users write them: synchronous views."""

from __future__ import annotations

from django.http import HttpRequest

from bench.siteproject.models import one_query
from django_websocket_ev import require_websocket


@require_websocket
def echo(request: HttpRequest) -> None:
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket
def user(request: HttpRequest) -> None:
    for message in request.websocket:
        if request.user.username == "ada" and request.session["visits"] == 1:
            request.websocket.send(message)


@require_websocket
def query(request: HttpRequest) -> None:
    for message in request.websocket:
        one_query()
        request.websocket.send(message)

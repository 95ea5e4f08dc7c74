from __future__ import annotations

from django.http import HttpRequest

from django_websocket_ev import require_websocket


def echo(request: HttpRequest) -> None:
    for message in request.websocket:
        request.websocket.send(message)


by_default = require_websocket(echo)

# All that is off by default: windows that stay from one message to the next, none too short.
takeover = require_websocket(
    compression={
        "server_no_context_takeover": False,
        "client_no_context_takeover": False,
        "threshold": 0,
    }
)(echo)

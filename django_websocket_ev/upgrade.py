"""From a request that wants a WebSocket to the response that becomes one.

The decorators and the middleware decide whether a view takes WebSockets; this is
what happens next, for both.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from django_websocket_ev import bootstrap, origin
from django_websocket_ev.conf import get_options
from django_websocket_ev.limits import RETRY_AFTER, NoPlace, take_place
from django_websocket_ev.requests import refuse
from django_websocket_ev.response import WebSocketResponse
from django_websocket_ev.transport import find_transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from django_websocket_ev.conf import Overrides
    from django_websocket_ev.protocol.handshake import Opening
    from django_websocket_ev.transport import Transport

CANNOT_CARRY = (
    "This server cannot carry WebSockets: {why}."
    " Use 'manage.py runwsserver', or gunicorn with a patched eventlet worker."
)


def open_websocket(
    request: HttpRequest,
    opening: Opening,
    overrides: Overrides,
    view: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> HttpResponseBase:
    """Return the response that carries a conversation, or refuses it.

    In it ``view`` is called with the request, ``args`` and ``kwargs``.
    """
    options = get_options(overrides)
    if not origin.is_allowed(request, options.allowed_origins):
        sent = request.META["HTTP_ORIGIN"]
        return refuse(
            request, "origin", f"The origin {sent!r} may not open a WebSocket here.", status=403
        )
    transport = find_transport(request.META)
    hindrance = _hindrance(request.META, transport)
    if transport is None or hindrance:
        return refuse(request, "server", CANNOT_CARRY.format(why=hindrance))
    try:
        place = take_place(request, options)
    except NoPlace as error:
        retry = {"Retry-After": str(RETRY_AFTER)}
        return refuse(request, error.limit, str(error), retry, status=503)
    bound = _bind(view, request, args, kwargs)
    return WebSocketResponse(request, opening, options, transport, bound, place)


def _bind(
    view: Callable[..., Any], request: HttpRequest, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[], Any]:
    if args or kwargs:
        return partial(view, request, *args, **kwargs)
    # This one's call leaves no frame of C on the stack, for hours, to be copied for each message.
    return lambda: view(request)


def _hindrance(environ: dict[str, Any], transport: Transport | None) -> str:
    """Return why this server cannot carry a WebSocket, "" if it can."""
    if transport is None:
        return f"{environ.get('SERVER_SOFTWARE') or 'it'} does not hand over its socket"
    if not bootstrap.is_patched():
        return f"{transport.server} runs in a process that eventlet has not patched"
    from django_websocket_ev.greensocket import can_carry, in_hub

    # A blocking worker of gunicorn's may be patched later, by the application that it loads.
    blocking = "gunicorn.workers.gthread" in sys.modules or not in_hub()
    if blocking or not can_carry(transport.get_socket(environ)):
        return f"{transport.server} runs it in a worker that is not eventlet's"
    return ""

"""``WebSocketMiddleware``: WebSockets for views without a decorator.

The decorators do not need it. With it every request has ``is_websocket()`` and
``websocket``, a view with the attribute ``accept_websocket = True`` (or every
view, with ``WEBSOCKET_ACCEPT_ALL``) takes WebSockets, and all others answer a
WebSocket with 400.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django_websocket_ev.conf import get_options
from django_websocket_ev.protocol.handshake import Opening, Refusal
from django_websocket_ev.requests import WEBSOCKETS_ONLY, prepare, refuse
from django_websocket_ev.upgrade import open_websocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase


class WebSocketMiddleware:
    """Put it last in ``MIDDLEWARE``: the view of a WebSocket starts where it stands."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        wants = prepare(request)
        if isinstance(wants, Refusal):
            return refuse(request, "malformed", wants.reason, wants.headers)
        return self.get_response(request)

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        """Refuse what the view does not take; open a WebSocket for a bare view."""
        wants = prepare(request)
        if not isinstance(wants, Opening):
            if getattr(view, "require_websocket", False):
                return refuse(request, "not_websocket", WEBSOCKETS_ONLY)
            return None
        if getattr(view, "opens_websocket", False):
            return None  # a decorator does it, after those outside it have agreed
        if not (getattr(view, "accept_websocket", False) or get_options().accept_all):
            return refuse(request, "no_websocket_view", "This address takes no WebSocket requests.")
        return open_websocket(request, wants, (), view, args, kwargs)

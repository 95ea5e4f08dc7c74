"""Views for the tests with clients that others wrote."""

import queue
from collections import defaultdict

from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.utils.decorators import decorator_from_middleware

from django_websocket_ev import require_websocket
from django_websocket_ev.middleware import WebSocketMiddleware

#: By the name that the test gave its socket: what the view saw of its end.
_ends = defaultdict(queue.Queue)


@require_websocket
def until_closed(request, name):
    websocket = request.websocket
    for message in websocket:
        websocket.send(message)
    _ends[name].put({"code": websocket.close_code, "reason": websocket.close_reason})


def end(request, name):
    """Answer with what `until_closed` saw, as soon as it has seen it."""
    return JsonResponse(_ends[name].get(timeout=20))


@require_websocket
def farewell(request):
    request.websocket.close(4001, "so long – und danke")


@require_websocket(subprotocols=["chat.v2", "chat.v1"])
def subprotocol(request):
    request.websocket.send(request.websocket.subprotocol)


def offer(request):
    """Say which extensions the client has offered, then echo."""
    request.websocket.send(request.headers.get("Sec-WebSocket-Extensions", ""))
    for message in request.websocket:
        request.websocket.send(message)


#: Both sides keep their contexts, in windows of other sizes.
TAKEOVER = {
    "server_no_context_takeover": False,
    "client_no_context_takeover": False,
    "server_max_window_bits": 11,
    "client_max_window_bits": 12,
    "threshold": 0,
}


@decorator_from_middleware(WebSocketMiddleware)
def page(request):
    return HttpResponse("a page")


urlpatterns = [
    path("clients/until_closed/<slug:name>/", until_closed),
    path("clients/end/<slug:name>/", end),
    path("clients/farewell/", farewell),
    path("clients/subprotocol/", subprotocol),
    path("clients/offer/", require_websocket(offer)),
    path("clients/offer/plain/", require_websocket(compression=None)(offer)),
    path("clients/offer/takeover/", require_websocket(compression=TAKEOVER)(offer)),
    path("clients/page/", page),
]

"""Views that tell what came of a request for a WebSocket, for test_server_opening.py."""

from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

from django_websocket_ev import accept_websocket


@accept_websocket
def environ(request, name):
    """Send what a request has brought, and whether eventlet's handler has read it."""
    if not request.is_websocket():
        return HttpResponse("plain")
    meta = {key: value for key, value in request.META.items() if isinstance(value, str)}
    request.websocket.send_json(["eventlet.posthooks" in request.META, meta])


def in_pieces(request):
    return StreamingHttpResponse(iter([b"one, ", b"", b"two"]))


def never_begins(request):
    def pieces():
        raise RuntimeError("before the first piece")
        yield b""

    return StreamingHttpResponse(pieces())


urlpatterns = [
    path("opening/<str:name>/", environ),
    path("in_pieces/", in_pieces),
    path("never_begins/", never_begins),
]

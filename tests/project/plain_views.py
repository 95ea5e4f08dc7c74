"""Views that know nothing of WebSockets, all but one, for test_gunicorn_http.py."""

import os
import threading

from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from eventlet import patcher

from django_websocket_ev import require_websocket


@csrf_exempt
def input_(request):
    """Answer with the request's body; Django's request.read() gives none of a chunked one."""
    return HttpResponse(request.META["wsgi.input"].read())


def whole(request):
    """Answer with the content of a file, in one piece."""
    with open(os.environ["TEST_FILE"], "rb") as file:
        return HttpResponse(file.read())


def file(request):
    return FileResponse(open(os.environ["TEST_FILE"], "rb"))


def streamed(request):
    """Answer with the content of a file, piece by piece; nobody knows its length before."""

    def pieces():
        with open(os.environ["TEST_FILE"], "rb") as file:
            while piece := file.read(100_000):
                yield piece

    return StreamingHttpResponse(pieces())


_door = threading.Event()


def paused(request):
    """Answer with one piece, and with another one when the door is open."""
    _door.clear()

    def pieces():
        yield b"one"
        _door.wait()
        yield b"another"

    return StreamingHttpResponse(pieces())


def goes_on(request):
    _door.set()
    return HttpResponse()


def breaks_off(request):
    """Fail when the first piece has left."""

    def pieces():
        yield b"one"
        raise RuntimeError("a stream may fail")

    return StreamingHttpResponse(pieces())


@require_websocket
def holds_hub(request):
    """Let nobody run for longer than the server waits for a next request."""
    request.websocket.wait()
    print("the hub is held", flush=True)
    patcher.original("time").sleep(1.5)


urlpatterns = [
    path("plain/holds_hub/", holds_hub),
    path("plain/input/", input_),
    path("plain/whole/", whole),
    path("plain/file/", file),
    path("plain/streamed/", streamed),
    path("plain/paused/", paused),
    path("plain/goes_on/", goes_on),
    path("plain/breaks_off/", breaks_off),
]

"""Views for the tests with a proxy in front."""

import os

from client_views import _ends as ends
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from django_websocket_ev import ConnectionClosed, accept_websocket, require_websocket
from django_websocket_ev.limits import forwarded_for


def healthy(request):
    """Answer what a proxy or an orchestrator asks all the time."""
    return HttpResponse("ok", content_type="text/plain")


@accept_websocket
def seen(request):
    """Tell how the client came, as Django sees it."""
    found = {
        "url": request.build_absolute_uri(),
        "secure": request.is_secure(),
        "address": forwarded_for(request),
    }
    if not request.is_websocket():
        return JsonResponse(found)
    request.websocket.send_json(found)


@csrf_exempt
def uploads(request):
    return JsonResponse({"bytes": len(request.body)})


@require_websocket
def closes(request, code):
    request.websocket.close(code, "because")


@require_websocket(send_timeout=0.2, write_limit=65536)
def floods(request, name):
    """Sends until the client is given up."""
    try:
        while True:
            request.websocket.send(os.urandom(65536))
    except ConnectionClosed as error:
        ends[name].put({"code": error.code})


@require_websocket(ping_interval=0.5)
def pings(request):
    request.websocket.wait()


@require_websocket(ping_interval=None)
def is_silent(request):
    request.websocket.wait()


@require_websocket
def records(request):
    """Keep each message in the file ``kept``, answer, and note in ``sent`` what was accepted.

    The files are in the folder of the environment's RECORDS. A line is one write() to a
    file that is open for appending, so those of several processes do not mix.
    """
    folder = os.environ["RECORDS"]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    kept = os.open(f"{folder}/kept", flags)
    sent = os.open(f"{folder}/sent", flags)
    try:
        for message in request.websocket:
            os.write(kept, f"{message}\n".encode())
            request.websocket.send(message)
            os.write(sent, f"{message}\n".encode())
    except ConnectionClosed:
        pass
    finally:
        os.close(kept)
        os.close(sent)


urlpatterns = [
    path("healthz/", healthy),
    path("proxy/seen/", seen),
    path("proxy/uploads/", uploads),
    path("proxy/closes/<int:code>/", closes),
    path("proxy/floods/<slug:name>/", floods),
    path("proxy/pings/", pings),
    path("proxy/is_silent/", is_silent),
    path("proxy/records/", records),
]

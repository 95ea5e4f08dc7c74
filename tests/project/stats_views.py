"""A page of the counters, for the tests, and the one for Prometheus."""

import os

from django.http import JsonResponse
from django.urls import path

from django_websocket_ev import require_websocket, stats

try:
    from django_websocket_ev.metrics import metrics
except ModuleNotFoundError:
    metrics = None


def counted(request):
    return JsonResponse({**stats()._asdict(), "pid": os.getpid()})


@require_websocket
def who(request):
    """Tells the process that it runs in, then echoes."""
    request.websocket.send(str(os.getpid()))
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket(write_limit=1000, send_timeout=0.1)
def outruns(request):
    """Sends more than a client takes that does not read."""
    while True:
        request.websocket.send("x" * 100_000)


urlpatterns = [path("stats/", counted), path("stats/who/", who), path("stats/outruns/", outruns)]
if metrics is not None:
    urlpatterns.append(path("metrics/", metrics))

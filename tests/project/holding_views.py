"""Views that hold the hub, for test_watchdog.py."""

import hashlib
import time

from django.urls import path
from eventlet import patcher

from django_websocket_ev import require_websocket


@require_websocket
def in_c(request):
    hashlib.pbkdf2_hmac("sha256", b"", b"", int(request.websocket.wait()))
    request.websocket.send("done")


@require_websocket
def asleep(request):
    patcher.original("time").sleep(float(request.websocket.wait()))
    request.websocket.send("done")


@require_websocket
def waiting(request):
    time.sleep(float(request.websocket.wait()))
    request.websocket.send("done")


urlpatterns = [
    path("holds/in_c/", in_c),
    path("holds/asleep/", asleep),
    path("holds/waiting/", waiting),
]

"""Views that a server's stop meets, for test_gunicorn_stop.py."""

import os
import sys
import time

from django.urls import path

from django_websocket_ev import require_websocket


@require_websocket
def deaf(request):
    """Does not look whether the client is there."""
    request.websocket.send("begun")
    try:
        time.sleep(3600)
    finally:
        print("deaf has left", flush=True)


@require_websocket
def callers(request):
    """Send the names of the modules that are on this view's stack."""
    frame, names = sys._getframe(), []
    while frame is not None:
        names.append(frame.f_globals["__name__"])
        frame = frame.f_back
    request.websocket.send(" ".join(names))


@require_websocket
def ledger(request, name):
    """Store each message, then acknowledge it and store that too; note the end."""
    for message in request.websocket:
        store(f"{name} {message}")
        request.websocket.send(message)
        store(f"{name} {message} acknowledged")
    store(f"{name} end")


def store(line):
    ledger = os.open(os.environ["TEST_LEDGER"], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.write(ledger, f"{line}\n".encode())
    os.close(ledger)


urlpatterns = [
    path("deploy/callers/", callers),
    path("deploy/deaf/", deaf),
    path("deploy/ledger/<str:name>/", ledger),
]

"""A view that is back for the next message at once, but for some, for test_connection_joined.py."""

from backstage import note, wait_at
from django.urls import path

from django_websocket_ev import require_websocket


@require_websocket
def answers(request):
    for message in request.websocket:
        request.websocket.send(message)
        if message == "wait":
            note(request, "waits")
            wait_at(request)
        elif message == "close":
            return
        elif message.startswith("/"):
            # It holds the hub until the test has opened the other end.
            with open(message):
                pass


urlpatterns = [path("answers/", answers)]

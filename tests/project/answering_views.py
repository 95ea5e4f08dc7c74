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


heard = []


@require_websocket
def talks(request):
    """Sends a thousand messages and never waits, unless somebody else says something."""
    for message in request.websocket:
        heard.append(message)
        if message.startswith("/"):
            heard.clear()
            request.websocket.send("I hold the hub")
            with open(message):
                pass
            for _ in range(1000):
                request.websocket.send("and")
                if heard:
                    break
            request.websocket.send(", ".join(heard))


urlpatterns = [path("answers/", answers), path("talks/", talks)]

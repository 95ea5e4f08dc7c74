"""Views for the tests of request.websocket's methods, and of the connection."""

from django.urls import path

from django_websocket_ev import require_websocket


@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


urlpatterns = [
    path("echo/", echo),
]

"""Views that the tests talk to."""

from django_websocket_ev import require_websocket


@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)

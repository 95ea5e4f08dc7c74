from django_websocket_ev import accept_websocket

from .pages import page


@accept_websocket
def echo(request):
    if not request.is_websocket():
        return page(request, "showcase/echo.html", echo)
    for message in request.websocket:
        request.websocket.send(message)

"""The two examples of django-websocket 0.3.0, of 2011, and a page to try each."""

from django.http import HttpResponse

from django_websocket_ev import accept_websocket, require_websocket

from .pages import page

TEXT = "text/plain; charset=utf-8"


@require_websocket
def echo_once(request):
    message = request.websocket.wait()
    if message is not None:  # None: the client left without a word
        request.websocket.send(message)


def try_echo_once(request):
    return page(request, "showcase/echo_once.html", echo_once)


@accept_websocket
def lower_case(request):
    if request.is_websocket():
        for message in request.websocket:
            request.websocket.send(message.lower())
    elif "message" in request.GET:
        message = request.GET["message"]
        return HttpResponse(message.lower(), content_type=TEXT)
    else:
        hint = "Give a message, as in ?message=HeLLo"
        return HttpResponse(hint, content_type=TEXT, status=400)


def try_lower_case(request):
    return page(request, "showcase/lower_case.html", lower_case)

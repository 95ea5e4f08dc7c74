"""Views for the tests of request.websocket: receiving, closing, and what 0.3.0 had."""

import os
import stat
from contextlib import suppress

import connection_views
import eventlet
import sending_views
from backstage import backstage, note, show, turns, wait_at
from django.http import HttpResponse
from django.urls import include, path

from django_websocket_ev import accept_websocket, require_websocket


@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


# What 0.3.0's README and its own tests served.


@require_websocket
def echo_once(request):
    message = request.websocket.wait()
    request.websocket.send(message)


@accept_websocket
def add_one(request):
    if not request.is_websocket():
        return HttpResponse(int(request.GET["value"]) + 1)
    for message in request.websocket:
        request.websocket.send(int(message) + 1)


def socket_is_open(request):
    """Whether the system socket of a request is still this process's."""
    sock = request.META["eventlet.input"].get_socket()
    return sock.fileno() >= 0 and stat.S_ISSOCK(os.fstat(sock.fileno()).st_mode)


@require_websocket
def left(request):
    """What a view sees of a client that leaves."""
    websocket = request.websocket
    messages = list(websocket)
    last = [websocket.wait(), websocket.wait(timeout=0), websocket.read("fallback")]
    note(request, [messages, last, websocket.closed, socket_is_open(request)])
    note(request, [websocket.close_code, websocket.close_reason])


@require_websocket
def leaves(request):
    """Closes by itself, twice, and may do so when the client's messages have come."""
    websocket = request.websocket
    wait_at(request)
    queued = websocket.count_messages()
    websocket.close(4001, "enough")
    websocket.close(4002, "really")
    note(request, [websocket.closed, websocket.close_code, websocket.close_reason])
    messages = [websocket.wait() for _ in range(queued)]
    note(request, [messages, websocket.wait(), socket_is_open(request)])
    wait_at(request, "end")


# Receiving.


@require_websocket
def names_types(request):
    for message in request.websocket:
        request.websocket.send(f"{type(message).__name__} {message!r}")


@require_websocket
def timeout(request):
    websocket = request.websocket
    for seconds in (0, 0.001, 0.01, -1):
        try:
            websocket.wait(seconds)
        except TimeoutError as error:
            websocket.send(f"{seconds}: {error}")
    websocket.send(websocket.wait(timeout=60))
    note(request, [websocket.wait(timeout=3600), websocket.closed])


@require_websocket
def in_time(request):
    """Gets a message before its wait() times out, and is in wait() when that would have been."""
    websocket = request.websocket
    message = None
    while message is None:
        with suppress(TimeoutError):
            message = websocket.wait(timeout=0.05)
    eventlet.spawn_after(0.1, note, request, "a while later")
    websocket.send(f"{message}, then {websocket.wait()}")


@require_websocket
def times_out_uncaught(request):
    request.websocket.wait(timeout=0.001)


@require_websocket
def short_of_time(request):
    """Echoes, each wait() in whatever ends it early: nothing may get lost."""
    websocket = request.websocket
    seconds = float(request.GET["seconds"])
    cut = 0
    for _ in turns():
        message = websocket  # which nobody sends
        if request.GET["by"] == "wait":
            try:
                message = websocket.wait(seconds)
            except TimeoutError:
                pass
        elif request.GET["by"] == "Timeout":
            with eventlet.Timeout(seconds, False):
                message = websocket.wait()
        else:
            got = []
            waiter = eventlet.spawn(lambda got=got: got.append(websocket.wait()))
            eventlet.sleep(seconds)
            waiter.kill()
            message = got[0] if got else message
        if message is websocket:
            cut += 1
            show(request, cut=cut)
        elif message is None:
            break
        else:
            websocket.send(message)


@require_websocket
def counts(request):
    """Counts what has come while it was busy, before and after reading one."""
    websocket = request.websocket
    note(request, [websocket.count_messages(), websocket.has_messages()])
    wait_at(request)
    counts = [websocket.count_messages(), websocket.count_messages()]
    messages = [websocket.wait(timeout=0)]
    counts.append(websocket.count_messages())
    has = [websocket.has_messages()]
    messages += [websocket.read(), websocket.read()]
    counts.append(websocket.count_messages())
    has.append(websocket.has_messages())
    nothing = object()
    fallbacks = [websocket.read(), websocket.read("none"), websocket.read(nothing) is nothing]
    note(request, [counts, has, messages, fallbacks])


@require_websocket
def polls(request):
    """Gets three messages by polling alone, and says so."""
    websocket = request.websocket
    nothing = object()
    messages = []
    websocket.send("polling")
    for _ in turns():
        if request.GET["by"] == "read":
            message = websocket.read(nothing)
            if message is not nothing:
                messages.append(message)
        elif request.GET["by"] == "has_messages":
            if websocket.has_messages():
                messages.append(websocket.wait())
        elif websocket.count_messages() == 3:
            messages = list(map(websocket.read, range(3)))
        if len(messages) == 3:
            websocket.send_json(messages)
            return
    websocket.send("nothing came")


@require_websocket
def two_wait(request):
    """Waits in a green thread of its own and, against the rules, here."""
    websocket = request.websocket
    first = eventlet.spawn(websocket.wait)
    eventlet.sleep(0)
    try:
        websocket.wait(timeout=60)
    except RuntimeError as error:
        websocket.send(str(error))
    websocket.send(f"the first got {first.wait()}")
    websocket.send(f"this one got {websocket.wait()}")


# Closing, and what the handshake agreed on.


@require_websocket
def closes(request):
    """Closes as it is told, and says over the same WebSocket what it may not."""
    websocket = request.websocket
    while (order := websocket.wait_json()) is not None:
        try:
            websocket.close(*order)
        except ValueError as error:
            websocket.send(f"{websocket.closed} {websocket.close_code}: {error}")
    note(request, [websocket.closed, websocket.close_code, websocket.close_reason])


@require_websocket(subprotocols=["chat.v2", "chat.v1"])
def subprotocol(request):
    request.websocket.send_json(request.websocket.subprotocol)


@require_websocket
def represents(request):
    websocket = request.websocket
    note(request, [websocket.closed, websocket.close_code, websocket.close_reason, repr(websocket)])
    websocket.close(4000)
    note(request, repr(websocket))


urlpatterns = [
    path("", include(connection_views.urlpatterns)),
    path("", include(sending_views.urlpatterns)),
    path("backstage/", backstage),
    path("echo/", echo),
    path("echo_once/", echo_once),
    path("add_one/", add_one),
    path("add_one/required/", require_websocket(add_one)),
    path("left/", left),
    path("leaves/", leaves),
    path("names_types/", names_types),
    path("timeout/", timeout),
    path("in_time/", in_time),
    path("times_out_uncaught/", times_out_uncaught),
    path("short_of_time/", short_of_time),
    path("counts/", counts),
    path("polls/", polls),
    path("two_wait/", two_wait),
    path("closes/", closes),
    path("subprotocol/", subprotocol),
    path("represents/", represents),
]

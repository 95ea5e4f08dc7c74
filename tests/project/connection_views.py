"""Views for the tests of the connection."""

import gc
import os
import socket
import time

import eventlet
from backstage import is_open, note, show, turns, wait_at
from django.http import JsonResponse
from django.urls import path
from eventlet import hubs
from greenlet import greenlet

from django_websocket_ev import ConnectionClosed, require_websocket
from django_websocket_ev.counters import open_connections


@require_websocket
def nodelay(request):
    sock = request.META["eventlet.input"].get_socket()
    request.websocket.send(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


@require_websocket
def hears(request):
    """Notes all that it hears, and how that ended."""
    websocket = request.websocket
    for message in websocket:
        note(request, message if isinstance(message, str) else message.hex())
    note(request, [websocket.close_code, websocket.close_reason])
    try:
        websocket.send("anybody there?")
    except ConnectionClosed as error:
        note(request, f"ConnectionClosed {error.code}")


# Sending more than the client takes.


@require_websocket(write_limit=65536)
def floods(request, count):
    """Sends ``count`` messages of 64 KiB, the first bytes of each its number."""
    try:
        for number in range(count):
            request.websocket.send(f"{number:06}" + "x" * (65536 - 6))
            show(request, sent=number + 1)
    except ConnectionClosed as error:
        note(request, f"ConnectionClosed {error.code}")
    else:
        note(request, "all sent")


floods_without_patience = require_websocket(send_timeout=0.05, write_limit=65536)(
    floods.__wrapped__
)


@require_websocket
def streams(request):
    """Is ahead of its client at all times, as over a slow network: the buffer never empties."""
    sock = request.META["eventlet.input"].get_socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 131072)
    websocket = request.websocket
    while not websocket.closed:
        websocket.send(b"x" * 65536)
        show(request, sent=True)


@require_websocket(write_limit=65536)
def floods_and_closes(request):
    """Closes while another green thread is blocked in send()."""

    def flood():
        try:
            for _ in turns():
                request.websocket.send(b"x" * 65536)
        except ConnectionClosed as error:
            note(request, f"ConnectionClosed {error.code}")

    thread = eventlet.spawn(flood)
    request.websocket.wait()
    request.websocket.close(4000)
    thread.wait()


@require_websocket(write_limit=65536)
def gives_up(request):
    """Lets a Timeout cut it short when it is blocked in send(), and then sends on."""
    sent = 0
    with eventlet.Timeout(0.05, False):
        for _ in turns():
            request.websocket.send(b"x" * 65536)
            sent += 1
    note(request, "gave up")
    request.websocket.send(sent)


@require_websocket
def fills_up(request):
    """Sends more than sockets hold, then waits for a message."""
    request.websocket.send(b"x" * 2**24)
    note(request, "full")
    note(request, request.websocket.wait())
    request.websocket.send("end")
    request.websocket.wait()


@require_websocket(send_timeout=0.05)
def fills_and_leaves(request):
    request.websocket.send(b"x" * 2**24)


# Receiving more than the view takes.


@require_websocket(max_queue=4)
def holds(request):
    """Lets messages come for as long as the door is shut, then hears them all."""
    websocket = request.websocket
    highest = 0
    while not is_open(request):
        highest = max(highest, websocket.count_messages())
        show(request, count=websocket.count_messages(), highest=highest)
        time.sleep(0)
    for number, message in enumerate(websocket):
        highest = max(highest, websocket.count_messages())
        if int(message[:9]) != number:
            note(request, f"{message[:9]} came instead of {number}")
            return
        if message.endswith("last"):
            note(request, [number, highest])


@require_websocket(max_queue=1)
def holds_one(request):
    for message in request.websocket:
        request.websocket.send(message)


# Busy, and not in wait().


@require_websocket
def busy(request):
    """Is elsewhere until the door opens; then hears what has come."""
    websocket = request.websocket
    wait_at(request)
    note(request, [websocket.closed, websocket.close_code])
    note(request, list(websocket))


@require_websocket
def notices(request):
    """Only looks at ``closed`` every now and then, as a view that sends nothing does."""
    websocket = request.websocket
    note(request, "running")
    for _ in turns():
        if websocket.closed:
            note(request, [websocket.close_code, websocket.wait()])
            return
        time.sleep(0)
    note(request, "noticed nothing")


def hold_hub_until_client_has_left(request):
    """Let nobody run while the client says something and leaves: it all comes in one turn."""
    client = request.META["eventlet.input"].get_socket().fd
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
    request.websocket.wait()
    request.websocket.send("holding")
    for _ in turns():
        if client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != TCP_ESTABLISHED:
            break


@require_websocket(max_queue=4, send_timeout=0.05, write_limit=65536)
def gives_its_client_up(request):
    """Hears what came before, most of which waits where reading had paused."""
    websocket = request.websocket
    try:
        for _ in turns():
            websocket.send(b"x" * 65536)
    except ConnectionClosed as error:
        note(request, [error.code, list(websocket)])


@require_websocket
def late_to_read(request):
    hold_hub_until_client_has_left(request)
    note(request, list(request.websocket))


@require_websocket
def late_to_send(request):
    websocket = request.websocket
    hold_hub_until_client_has_left(request)
    try:
        websocket.send("the first word that cannot arrive")
    except ConnectionClosed as error:
        note(request, [error.code, websocket.closed, list(websocket)])
    else:
        note(request, "sent")


#: What struct tcp_info begins with, in the words of <netinet/tcp.h>.
TCP_ESTABLISHED = 1


# Closing.


@require_websocket(close_timeout=0.05)
def closes_first(request, name):
    request.websocket.close(4000)


@require_websocket(max_queue=2)
def closes_unread(request):
    """Closes without having read what has come, and does not return for long."""
    while not is_open(request):
        show(request, count=request.websocket.count_messages())
        time.sleep(0)
    request.websocket.close(4000)
    wait_at(request, "end")
    note(request, sorted(set(request.websocket)))


@require_websocket(close_timeout=0.05)
def closed_first(request, name):
    request.websocket.wait()


@require_websocket(close_timeout=0.05)
def closed_busy(request):
    """Does not hear what comes, only that it is over."""
    for _ in turns():
        if request.websocket.closed:
            note(request, "ended")
            return
        time.sleep(0)


@require_websocket(max_message_size=1000, close_timeout=0.05)
def small(request):
    """As ``hears``, for small messages; a client that errs is not given much time."""
    return hears.__wrapped__(request)


@require_websocket(max_message_size=1000, max_queue=2, close_timeout=0.05)
def narrow(request):
    """Echoes with little room for anything."""
    for message in request.websocket:
        request.websocket.send(message)


_leaving = set()


@require_websocket
def takes_its_leave(request, number):
    """Has something to do when it is over, and lets those who came later go first."""
    _leaving.add(number)
    for message in request.websocket:
        request.websocket.send(f"{message} {number}")
    while max(_leaving) > number:
        time.sleep(0)
    for _ in range(20):  # the server has noticed that those are gone
        time.sleep(0)
    print(number, "has left")
    _leaving.remove(number)


# The process.


def vitals(request):
    """What must not grow."""
    gc.collect()
    hub = hubs.get_hub()
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return JsonResponse(
        {
            "files": len(os.listdir("/proc/self/fd")),
            "connections": len(open_connections),
            "readers": len(hub.listeners[hub.READ]),
            "writers": len(hub.listeners[hub.WRITE]),
            "timers": sum(not timer.called for _, timer in [*hub.timers, *hub.next_timers]),
            "greenlets": sum(
                isinstance(thing, greenlet) and bool(thing) for thing in gc.get_objects()
            ),
            "resident": resident,
        }
    )


urlpatterns = [
    path("nodelay/", nodelay),
    path("hears/", hears),
    path("floods/<int:count>/", floods),
    path("floods_without_patience/<int:count>/", floods_without_patience),
    path("streams/", streams),
    path("floods_and_closes/", floods_and_closes),
    path("gives_up/", gives_up),
    path("fills_up/", fills_up),
    path("fills_and_leaves/", fills_and_leaves),
    path("holds/", holds),
    path("holds_one/", holds_one),
    path("busy/", busy),
    path("notices/", notices),
    path("gives_its_client_up/", gives_its_client_up),
    path("late_to_read/", late_to_read),
    path("late_to_send/", late_to_send),
    path("closes_first/<name>/", closes_first),
    path("closes_unread/", closes_unread),
    path("closed_first/<name>/", closed_first),
    path("closed_busy/", closed_busy),
    path("small/", small),
    path("narrow/", narrow),
    path("takes_its_leave/<int:number>/", takes_its_leave),
    path("vitals/", vitals),
]

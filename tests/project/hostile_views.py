"""Views, a middleware and a hook for the tests of compression, keepalive, floods and limits."""

import os
import socket
import struct
import threading
import time
from fcntl import ioctl
from hashlib import sha256
from termios import FIONREAD

import eventlet
from backstage import is_open, note, show, turns, wait_at
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from eventlet import hubs
from eventlet.patcher import original

from django_websocket_ev import keepalive, limits, require_websocket

#: time.sleep() of a process that nobody has patched: it holds the hub.
hold = original("time").sleep

NARROW = 131072


def socket_of(request):
    return request.META["eventlet.input"].get_socket()


def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


def ends(request):
    """Says how it ended."""
    messages = list(request.websocket)
    note(request, [messages, request.websocket.close_code, request.websocket.close_reason])


# Compression.

KEEPS = {
    "server_no_context_takeover": False,
    "client_no_context_takeover": False,
    "threshold": 0,
}


def signed(letter, number, size=50_000):
    """Return noise that says whose it is and whether it is whole."""
    body = b"%c%06d" % (letter, number) + os.urandom(size)
    return body + sha256(body).digest()


@require_websocket(write_limit=65536, compression=KEEPS)
def keeps_order(request):
    """Three green threads send what their client does not read; one of them loses patience."""
    websocket = request.websocket
    socket_of(request).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW)
    threads = [
        threading.Thread(
            target=lambda letter=letter: [websocket.send(signed(letter, i)) for i in range(20)]
        )
        for letter in b"ab"
    ]
    for thread in threads:
        thread.start()
    sent = 0
    with eventlet.Timeout(0.05, False):
        for _ in turns():
            message = signed(ord("c"), sent)
            websocket.send(message)
            sent += 1
    note(request, sent)
    for thread in threads:
        thread.join()
    # The one that was not sent: no other must refer to it.
    websocket.send(message[:20_000] + b"never seen before" + message[20_000:])
    websocket.send(message)


@require_websocket
def measures(request):
    """Lets messages come for as long as the door is shut, then says how long each is."""
    websocket = request.websocket
    while not is_open(request):
        show(request, count=websocket.count_messages())
        time.sleep(0)
    sizes = [len(message) for message in websocket]
    note(request, [sizes, websocket.close_code])


# Keepalive.


def latency(request):
    """Answers "look" with the latency, "ping PAYLOAD" with such a Ping."""
    websocket = request.websocket
    for message in websocket:
        if message == "look":
            websocket.send_json(websocket.latency)
        else:
            websocket.ping(message.removeprefix("ping ").encode())


@require_websocket(ping_interval=None)
def late_for_its_pong(request):
    """Sends a Ping, and does not run again before the Pong is here."""
    websocket = request.websocket
    sock = socket_of(request)

    def hold_until_pong():
        for _ in turns():
            if unread(sock):
                return

    websocket.wait()
    # Both are due in the same turn of the hub, one behind the other.
    eventlet.spawn_after(0.002, hold_until_pong)
    eventlet.spawn_after(0, hold, 0.02)
    time.sleep(0.001)
    websocket.ping(b"quick")
    websocket.wait()
    websocket.send_json(websocket.latency)


def holds_hub(request):
    """Lets nobody run for as many seconds as a message says."""
    for message in request.websocket:
        request.websocket.send("holding")
        time.sleep(0)  # it leaves
        hold(float(message))
        request.websocket.send("held")


def is_busy(request):
    """Is elsewhere until the door opens, then hears what has come."""
    wait_at(request)
    ends(request)


def sends_much(request):
    """Sends a large message to a slow client: into sockets that hold it, or hold little."""
    if "narrow" in request.GET:
        socket_of(request).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW)
    request.websocket.send(bytes(int(request.GET["size"])))
    ends(request)


def sends_more_and_more(request):
    """Has something to say all the time, more than its client takes."""
    websocket = request.websocket
    while not websocket.closed and not is_open(request):
        websocket.send(bytes(1000))
        show(request, sent=True)
        time.sleep(0.002)
    ends(request)


def heartbeats(request):
    """What keepalive holds, in all."""
    hub = hubs.get_hub()
    wheel = keepalive._get_wheel(hub)
    return JsonResponse(
        {
            "heartbeats": sum(map(len, wheel._slots.values())),
            "timers": sum(not timer.called for _, timer in [*hub.timers, *hub.next_timers]),
            "its own": sum(
                not timer.called and timer.tpl[0] == wheel._turn
                for _, timer in [*hub.timers, *hub.next_timers]
            ),
        }
    )


# Floods.


def unread(sock):
    return struct.unpack("i", ioctl(sock.fileno(), FIONREAD, bytes(4)))[0]


@require_websocket
def counts_turns(request):
    """Lets as many bytes come as a message says, and counts the turns that they take."""
    websocket = request.websocket
    size = int(websocket.wait())
    sock = socket_of(request).fd
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
    websocket.send("now")
    time.sleep(0)  # it leaves
    for _ in turns():
        if unread(sock) >= size:
            break
    count = 0

    def tick():
        nonlocal count
        while count >= 0:
            time.sleep(0)
            count += 1

    threading.Thread(target=tick).start()
    message = websocket.wait()
    note(request, [message, count])
    count = -(10**9)


@require_websocket
def never_reads_pongs(request):
    """Shows what waits for a client that does not read."""
    socket_of(request).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW)
    websocket = request.websocket
    most = 0
    while not is_open(request):
        most = max(most, len(websocket._connection._outgoing.waiting))
        show(request, most=most)
        time.sleep(0)
    echo(request)


@require_websocket(max_queue=8, read_limit=1000)
def is_slow(request):
    """Lets messages come for as long as the door is shut, then hears them all."""
    websocket = request.websocket
    highest = 0
    while not is_open(request):
        highest = max(highest, websocket.count_messages())
        show(request, highest=highest)
        time.sleep(0)
    numbers = []
    for message in websocket:
        highest = max(highest, websocket.count_messages())
        numbers.append(int(message.split()[0]))
    note(request, [numbers == list(range(len(numbers))), len(numbers), highest])
    note(request, [websocket.close_code])


def polls(request):
    """Never waits, and echoes all the same."""
    websocket = request.websocket
    for _ in turns():
        message = websocket.read()
        if message is not None:
            websocket.send(f"{len(message)}")
        elif websocket.closed:
            note(request, "closed")
            return
    note(request, "it never came")


# Limits.

_runs = 0


@require_websocket
def counted(request):
    """Echoes; how often it has run is no secret."""
    global _runs
    _runs += 1
    request.websocket.send("open")
    echo(request)


@require_websocket
def fails(request):
    raise RuntimeError("a view may fail")


@require_websocket
def leaves(request):
    pass


def places(request):
    return JsonResponse(
        {"runs": _runs, "taken": {str(key): number for key, number in limits._taken.items()}}
    )


def replaces(get_response):
    """A middleware that has an answer of its own, or none, where it is asked to."""

    def middleware(request):
        response = get_response(request)
        if "replaced" in request.GET:
            return HttpResponse("another", status=418)
        if "raised" in request.GET:
            raise RuntimeError("a middleware may fail")
        return response

    return middleware


def who(request):
    """A hook of the project's own: users, and for others what django_websocket_ev has."""
    return request.GET.get("user") or limits.forwarded_for(request)


# Requests.


@csrf_exempt
def body(request):
    return HttpResponse(request.read())


def takes_its_time(request):
    """Answers as soon as the door is open."""
    wait_at(request)
    return HttpResponse("at last")


def keeps_alive(interval, timeout, **options):
    """Return a decorator for a view whose client gets a Ping after so many seconds."""
    return require_websocket(ping_interval=interval, ping_timeout=timeout, **options)


urlpatterns = [
    path("deflated/echo/", require_websocket(compression={"threshold": 0})(echo)),
    path("deflated/keeps/", require_websocket(compression=KEEPS)(echo)),
    path("deflated/never/", require_websocket(compression=None)(echo)),
    path("deflated/small/", require_websocket(max_message_size=1000)(echo)),
    path("deflated/keeps_order/", keeps_order),
    path("measures/", measures),
    path("alive/asks/", keeps_alive(0.05, None)(echo)),
    path("alive/strict/", keeps_alive(0.05, 1)(ends)),
    path("alive/never/", keeps_alive(None, 0.1)(echo)),
    path("alive/latency/", keeps_alive(None, None)(latency)),
    path("alive/latency/asked/", keeps_alive(0.05, 5)(latency)),
    path("alive/late_for_its_pong/", late_for_its_pong),
    path("alive/busy/", keeps_alive(0.05, 0.5, max_queue=1)(is_busy)),
    path("alive/holds_hub/", keeps_alive(None, None)(holds_hub)),
    path("alive/while_held/", keeps_alive(0.05, 1)(echo)),
    path("alive/sends_much/", keeps_alive(0.05, 1)(sends_much)),
    path("alive/sends_more/", keeps_alive(0.05, 1)(sends_more_and_more)),
    path("alive/heartbeats/", heartbeats),
    path("counts_turns/", counts_turns),
    path("never_reads_pongs/", never_reads_pongs),
    path("is_slow/", is_slow),
    path("hostile/polls/", require_websocket(polls)),
    path("hostile/polls/one/", require_websocket(max_queue=1)(polls)),
    path("counted/", counted),
    path("fails/", fails),
    path("leaves_at_once/", leaves),
    path("places/", places),
    path("body/", body),
    path("takes_its_time/", takes_its_time),
]

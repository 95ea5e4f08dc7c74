"""What clients talk to, and a page that tells what the process holds."""

from __future__ import annotations

import gc
import linecache
import os
import sys
import time
import traceback
from collections import Counter
from contextlib import suppress

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from eventlet import hubs
from eventlet.greenio import GreenSocket
from greenlet import greenlet

from django_websocket_ev import require_websocket
from django_websocket_ev.counters import open_connections

PACKAGE = "django_websocket_ev"


@require_websocket
def echo(request: HttpRequest) -> None:
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket(
    compression={"server_no_context_takeover": False, "client_no_context_takeover": False}
)
def takeover(request: HttpRequest) -> None:
    """An echo whose compressors remember."""
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket
def stream(request: HttpRequest) -> None:
    """Sends for as long as somebody takes it."""
    while True:
        request.websocket.send("x" * 16384)


@require_websocket
def ticker(request: HttpRequest) -> None:
    """Sends on its own accord, and hears when its client leaves."""
    while not request.websocket.closed:
        request.websocket.send_json({"time": time.time()})
        try:
            request.websocket.wait(timeout=0.5)
        except TimeoutError:
            pass


@require_websocket
def slow(request: HttpRequest) -> None:
    """Has work to do with each message."""
    for _ in request.websocket:
        time.sleep(0.2)


@require_websocket
def leave(request: HttpRequest) -> None:
    """Closes with the code that it is told."""
    code = request.websocket.wait()
    if code is not None:
        request.websocket.close(int(code), "as you say")


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("a page")


def vitals(request: HttpRequest) -> JsonResponse:
    """Counts of what must be the same before and after."""
    linecache.clearcache()  # whole source files, for the stacks that the watchdog names
    gc.collect()
    hub = hubs.get_hub()
    things = gc.get_objects()
    watched = (WSGIRequest, GreenSocket)
    found = Counter(
        type(thing).__name__
        for thing in things
        if type(thing).__module__.partition(".")[0] == PACKAGE or isinstance(thing, watched)
    )
    return JsonResponse(
        {
            "descriptors": len(os.listdir("/proc/self/fd")),
            "open connections": len(open_connections),
            "green threads": sum(isinstance(thing, greenlet) and bool(thing) for thing in things),
            "hub readers": len(hub.listeners[hub.READ]),
            "hub writers": len(hub.listeners[hub.WRITE]),
            "hub timers": sum(not timer.called for _, timer in [*hub.timers, *hub.next_timers]),
            # Of Python's memory: whatever is kept by whomever. Some more are in its caches.
            "blocks": sys.getallocatedblocks(),
            **{f"objects {name}": number for name, number in sorted(found.items())},
        }
    )


def suspects(request: HttpRequest) -> JsonResponse:
    """What the process has open, and where each green thread stands."""
    files = {}
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the folder's own
            files[name] = os.readlink(f"/proc/self/fd/{name}")
    threads = [
        "".join(traceback.format_stack(thing.gr_frame, limit=8))
        for thing in gc.get_objects()
        if isinstance(thing, greenlet) and thing.gr_frame is not None
    ]
    return JsonResponse({"descriptors": files, "green threads": threads})

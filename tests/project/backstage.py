"""A second WebSocket beside the one under test, for what view and test tell each other.

The view says what it does with :func:`note` and :func:`show`, and waits with
:func:`wait_at` until the test lets it go on. The test's end is tests/scene.py.
"""

import queue
import threading
import time
from collections import defaultdict
from contextlib import suppress

from django_websocket_ev import ConnectionClosed, require_websocket

#: Seconds after which a view that polls gives up, for the sake of the tests that follow.
PATIENCE = 10

_END = object()


class Scene:
    def __init__(self):
        self.notes = queue.Queue()
        self.doors = defaultdict(threading.Event)
        self.facts = {}


_scenes = defaultdict(Scene)


def scene_of(request):
    return _scenes[request.GET["scene"]]


def note(request, what):
    """Tell the test something; notes arrive in their order."""
    scene_of(request).notes.put(what)


def show(request, **facts):
    """Let the test look at something whenever it likes."""
    scene_of(request).facts.update(facts)


def wait_at(request, door="door"):
    """Wait until the test opens ``door``: the view is busy elsewhere, and not in wait()."""
    scene_of(request).doors[door].wait()


def is_open(request, door="door"):
    return scene_of(request).doors[door].is_set()


def turns():
    """Yield for as long as a view may poll."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        yield


@require_websocket
def backstage(request):
    websocket = request.websocket
    scene = scene_of(request)

    def tell():
        with suppress(ConnectionClosed):
            for what in iter(scene.notes.get, _END):
                websocket.send_json(what)

    threading.Thread(target=tell, daemon=True).start()
    try:
        while (order := websocket.wait_json()) is not None:
            if "open" in order:
                scene.doors[order["open"]].set()
            else:
                scene.notes.put(scene.facts.get(order["look"]))
    finally:
        scene.notes.put(_END)
        del _scenes[request.GET["scene"]]

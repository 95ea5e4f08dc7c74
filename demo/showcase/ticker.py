"""The server speaks first: `wait(timeout=...)` is both the clock and the ear."""

import random
from time import monotonic

from django.utils import timezone

from django_websocket_ev import accept_websocket

from .pages import page


@accept_websocket(max_message_size=200)
def ticker(request):
    if not request.is_websocket():
        return page(request, "showcase/ticker.html", ticker, Ticker)
    websocket, tick = request.websocket, Ticker()
    while True:
        try:
            command = websocket.wait(timeout=tick.seconds_to_next())
        except TimeoutError:  # nothing was said, so it is our turn
            websocket.send_json(tick.next())
        else:
            if command is None:  # the client has left
                return
            websocket.send_json(tick.obey(command))


class Ticker:
    """When to tick and what to say. Times are in seconds."""

    FASTEST, SLOWEST = 0.1, 10.0

    def __init__(self):
        self.interval = 1.0
        self.paused = False
        self.number = 100.0
        self.due = monotonic()

    def seconds_to_next(self):
        return None if self.paused else max(0.0, self.due - monotonic())

    def next(self):
        # From when it was due, or delays add up; from now after a long sleep.
        self.due = max(self.due + self.interval, monotonic())
        self.number = max(0.0, self.number + random.gauss(0, 1.5))
        number = round(self.number, 2)
        return {"type": "tick", "time": timezone.now(), "number": number}

    def obey(self, command):
        """Take "pause", "resume" or seconds, and return how things stand."""
        if command in ("pause", "resume"):
            self.paused = command == "pause"
        else:
            try:
                interval = float(command)
            except ValueError:
                return error("Say pause, resume or a number of seconds.")
            if not self.FASTEST <= interval <= self.SLOWEST:  # nor is NaN
                return error(f"Say {self.FASTEST:g} to {self.SLOWEST:g} seconds.")
            self.interval = interval
        self.due = monotonic() + self.interval
        return {
            "type": "state",
            "paused": self.paused,
            "interval": self.interval,
        }


def error(text):
    return {"type": "error", "text": text}

"""Chat rooms in the memory of one process.

Green threads take turns only where one of them waits, so plain dicts and lists need no lock.
Sending may wait, so each room has one, and all its members get its events in the same order.
"""

import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from django.utils import timezone

from django_websocket_ev import ConnectionClosed, WebSocket


class Full(Exception):
    """No more rooms, or no more people in this one."""


@dataclass(eq=False)
class Member:
    """One open WebSocket. Who has two tabs open is there twice, under one name."""

    websocket: WebSocket
    name: str


class Room:
    MAX_MEMBERS = 100
    MAX_HISTORY = 50

    def __init__(self, name):
        self.name = name
        self.visitors = 0  # members, and those at the door
        self.members = []
        self.history = deque(maxlen=self.MAX_HISTORY)
        self.order = threading.Lock()

    def join(self, websocket, username=""):
        with self.order:
            member = Member(websocket, username or self.guest_name())
            news = member.name not in self.names()
            others = list(self.members)
            self.members.append(member)
            here = {"name": member.name, "members": self.names()}
            history = list(self.history)
            self.tell([member], {"type": "welcome", "history": history, **here})
            if news:
                self.tell(others, {"type": "join", **here})
        return member

    def say(self, member, text):
        message = {
            "type": "message",
            "name": member.name,
            "text": text,
            "time": timezone.now(),
        }
        with self.order:
            self.history.append(message)
            self.tell(self.members, message)

    def leave(self, member):
        with self.order:
            if member in self.members:
                self.members.remove(member)
            here = {"name": member.name, "members": self.names()}
            if member.name not in here["members"]:
                self.tell(self.members, {"type": "leave", **here})

    def tell(self, members, event):
        for member in list(members):
            try:
                member.websocket.send_json(event)
            except ConnectionClosed:
                # Gone, or too slow. Its own view learns it from wait().
                self.members.remove(member)

    def names(self):
        return sorted({member.name for member in self.members})

    def guest_name(self):
        taken = self.names()
        numbered = map("guest-{}".format, count(1))
        return next(name for name in numbered if name not in taken)


class Rooms:
    """Some rooms are always there; others last while someone is in them."""

    ALWAYS = ("coffee", "django", "green-threads")
    MAX_ROOMS = 50

    def __init__(self):
        self._rooms = {name: Room(name) for name in self.ALWAYS}

    def __iter__(self):
        liveliest_first = sorted(self._rooms.values(), key=lambda room: -len(room.members))
        return iter(liveliest_first)

    @contextmanager
    def visit(self, name):
        """Give the room, opened for this visit if need be. Raises `Full`."""
        if name not in self._rooms and len(self._rooms) >= self.MAX_ROOMS:
            raise Full("There are too many rooms already.")
        room = self._rooms.setdefault(name, Room(name))
        if room.visitors >= room.MAX_MEMBERS:
            raise Full("This room is full.")
        room.visitors += 1
        try:
            yield room
        finally:
            room.visitors -= 1
            if not room.visitors and name not in self.ALWAYS:
                del self._rooms[name]

"""Our hub: eventlet's, with a shorter way from an event to its listener."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest

import servers
from django_websocket_ev.bootstrap import quiet

with quiet():
    from eventlet.hubs import epolls

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="it is for Linux")

WHICH = """
from django_websocket_ev import bootstrap
bootstrap.patch()
from eventlet import hubs
print(type(hubs.get_hub()).__module__)
"""


@pytest.mark.parametrize(
    ("named", "used"),
    [
        (None, "django_websocket_ev.hub"),
        ("epolls", "django_websocket_ev.hub"),
        ("poll", "eventlet.hubs.poll"),
        ("selects", "eventlet.hubs.selects"),
    ],
)
def test_it_takes_the_place_of_eventlets_epoll_hub_and_of_no_other(named, used):
    variables = {"EVENTLET_HUB": named} if named else {}
    done = subprocess.run(
        [sys.executable, "-c", WHICH],
        env=servers.environment(**variables),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == used


@pytest.fixture(params=["ours", "eventlet's"])
def hub(request):
    """What both do alike, each is asked."""
    from django_websocket_ev.hub import Hub

    return Hub() if request.param == "ours" else epolls.Hub()


@pytest.fixture
def pairs():
    with ExitStack() as stack:
        made = [socket.socketpair() for _ in range(2)]
        for pair in made:
            for one in pair:
                stack.enter_context(one)
        yield made


def test_a_listener_hears_what_it_listens_for_and_nothing_else(hub, pairs):
    heard = []
    (near, far), (quiet_one, _) = pairs
    for sock in (near, quiet_one):
        hub.add(hub.READ, sock.fileno(), lambda fd: heard.append(("read", fd)), None, None)
    hub.wait(0)
    assert heard == []
    far.send(b"x")
    hub.wait(1)
    assert heard == [("read", near.fileno())]
    hub.add(hub.WRITE, near.fileno(), lambda fd: heard.append(("write", fd)), None, None)
    hub.wait(1)
    assert sorted(heard[1:]) == [("read", near.fileno()), ("write", near.fileno())]


def test_both_listeners_hear_of_a_peer_that_is_gone(hub, pairs):
    heard = []
    near, far = pairs[0]
    hub.add(hub.READ, near.fileno(), lambda fd: heard.append("read"), None, None)
    hub.add(hub.WRITE, near.fileno(), lambda fd: heard.append("write"), None, None)
    far.close()
    hub.wait(1)
    assert sorted(heard) == ["read", "write"]


def test_a_listener_that_another_has_removed_in_the_same_turn_is_not_called(pairs):
    from django_websocket_ev.hub import Hub

    hub = Hub()
    heard = []
    listeners = {}

    def hear(fileno):
        heard.append(fileno)
        for other in list(listeners):
            if other != fileno:
                hub.remove(listeners.pop(other))

    for near, far in pairs:
        listeners[near.fileno()] = hub.add(hub.READ, near.fileno(), hear, None, None)
        far.send(b"x")
    hub.wait(1)
    assert len(heard) == 1


def test_one_that_fails_is_told_of_and_keeps_nobody_else_from_hearing(hub, pairs, capsys):
    heard = []

    def fail(fileno):
        raise ValueError("it fails")

    (first, far), (second, other_far) = pairs
    hub.add(hub.READ, first.fileno(), fail, None, None)
    hub.add(hub.READ, second.fileno(), heard.append, None, None)
    far.send(b"x")
    other_far.send(b"x")
    hub.wait(1)
    assert heard == [second.fileno()]
    assert "ValueError: it fails" in capsys.readouterr().err


def test_without_listeners_it_sleeps(hub):
    hub.wait(0)
    hub.wait(0.001)

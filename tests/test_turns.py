"""Who may go on at once, and who stands in line."""

from __future__ import annotations

import pytest

from django_websocket_ev import turns
from django_websocket_ev.bootstrap import quiet

with quiet():
    from eventlet import hubs, sleep


@pytest.fixture
def line(monkeypatch):
    """A line where no time passes but by turns of the hub."""
    monkeypatch.setattr(turns, "monotonic", lambda: 1000.0)
    return turns.Line(hubs.get_hub())


def test_a_few_requests_of_a_turn_go_on_at_once(line):
    went = [line.passes() for _ in range(20)]
    few = sum(went)
    assert 0 < few < 10
    assert went == [True] * few + [False] * (20 - few)
    sleep(0)  # a turn of the hub
    assert line.passes()


def test_nobody_overtakes_those_who_stand_in_line(line):
    served = []
    line.stand(lambda: served.append("first"))
    assert not line.passes()
    sleep(0)
    assert served == ["first"]
    assert line.passes()


def test_who_takes_long_leaves_no_time_to_others(line, monkeypatch):
    taken = []
    clock = iter([1000.0, 1000.0, 1001.0])
    with monkeypatch.context() as patch:
        patch.setattr(turns, "monotonic", lambda: next(clock))
        assert line.run(taken.append, b"a second's work")
    assert not line.run(taken.append, b"more")
    assert not line.passes()
    assert taken == [b"a second's work"]
    sleep(0)
    assert line.passes()

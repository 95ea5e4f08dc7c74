"""Who holds the hub is named, by the line."""

from __future__ import annotations

import pytest
from websockets.sync.client import connect

import servers
from servers import PATIENCE

HELD = r"The hub was held for [\d.]+ s"


@pytest.fixture(scope="module")
def site(database):
    with servers.runwsserver(TEST_DATABASE=database) as running:
        yield running


def hold(server, path, how_long):
    with connect(server.ws(path)) as websocket:
        websocket.send(str(how_long))
        assert websocket.recv(PATIENCE) == "done"


@pytest.mark.parametrize(
    ("path", "how_long", "line"),
    [
        ("/holds/in_c/", 2_000_000, r"hashlib\.pbkdf2_hmac\("),
        ("/holds/asleep/", 0.5, r"\.sleep\(float\(request"),
    ],
)
def test_the_line_of_a_view_that_holds_the_hub_is_named(site, path, how_long, line):
    hold(site, path, how_long)
    site.wait_for_line(HELD)
    site.wait_for_line(r"holding_views\.py")
    site.wait_for_line(line)


@pytest.mark.slow
def test_a_view_that_waits_holds_nobody(database):
    with servers.runwsserver(TEST_DATABASE=database) as running:
        hold(running, "/holds/waiting/", 0.5)
        hold(running, "/holds/asleep/", 0.5)
        running.wait_for_line(HELD)
        assert not any("in waiting" in line for line in running.lines)


@pytest.mark.slow
def test_what_lasts_is_told_of_while_it_lasts():
    with (
        servers.runwsserver(settings={"WEBSOCKET_HUB_WATCHDOG": 0.05}) as running,
        connect(running.ws("/holds/asleep/")) as websocket,
    ):
        websocket.send("3600")
        running.wait_for_line(r"\.sleep\(float\(request")
        running.process.kill()


@pytest.mark.slow
def test_none_turns_it_off(database):
    with servers.runwsserver(
        settings={"WEBSOCKET_HUB_WATCHDOG": None}, TEST_DATABASE=database
    ) as running:
        hold(running, "/holds/asleep/", 0.5)
        hold(running, "/holds/waiting/", 0.2)
        assert not any("held" in line for line in running.lines)

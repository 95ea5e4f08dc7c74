"""A login that ends in one of gunicorn's workers ends the WebSockets of the others."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests
from websockets.sync.client import connect

import servers
from conftest import missing
from project.client import closing
from servers import PATIENCE


@pytest.fixture
def workers(database):
    """Two, that look at their sessions often."""
    if find_spec("gunicorn") is None:
        missing("gunicorn", "pip install gunicorn")
    with servers.start(
        Path(sys.executable).parent / "gunicorn",
        *("--bind=127.0.0.1:0", "--workers=2", "wsgi"),
        "--worker-class=django_websocket_ev.workers.EventletWorker",
        banner=r"Listening at: http://.*:(\d+) ",
        env=servers.environment({"WEBSOCKET_SESSION_CHECK": 0.2}, TEST_DATABASE=database),
    ) as running:
        yield running


def test_a_logout_in_one_closes_the_sockets_in_both(workers):
    with requests.Session() as browser, ExitStack() as stack:
        assert browser.get(workers.url("/login/ann/"), timeout=PATIENCE).ok
        cookie = {"Cookie": f"sessionid={browser.cookies['sessionid']}"}
        sockets = {}
        for _ in range(200):
            url = workers.ws("/login/for/pids/")
            websocket = stack.enter_context(connect(url, additional_headers=cookie))
            sockets.setdefault(websocket.recv(PATIENCE), websocket)
            if len(sockets) == 2:
                break
        assert len(sockets) == 2
        assert browser.get(workers.url("/logout/"), timeout=PATIENCE).ok
        for websocket in sockets.values():
            assert closing(websocket) == (4401, "the session has ended")

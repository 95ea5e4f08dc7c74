"""Servers that cannot carry a WebSocket say so, and name one that can."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests

import servers
from conftest import missing
from project.client import HANDSHAKE, LOGGING

REASON = "This server cannot carry WebSockets: "


def refusal(server):
    """Open a WebSocket in vain; return the reason in the answer, which the log has as well."""
    with requests.get(server.url("/require/"), headers=HANDSHAKE, stream=True) as response:
        assert response.status_code == 400
        assert response.text.startswith(REASON)
    server.wait_for_line(f"WebSocket refused: /require/: {REASON}.*manage.py runwsserver")
    return response.text


# The development server without --multithreaded.


@pytest.fixture(scope="module")
def runserver(database, tmp_path_factory):
    """The usual runserver, with a static file.txt; staticfiles stands behind our app."""
    static = tmp_path_factory.mktemp("static")
    (static / "file.txt").write_text("static")
    with servers.runwsserver(
        command="runserver",
        settings={"DEBUG": True, "STATICFILES_DIRS": [str(static)]},
        TEST_DATABASE=database,
    ) as running:
        yield running


def test_the_usual_runserver_refuses_a_websocket_and_names_runwsserver(runserver):
    assert "'manage.py runwsserver'" in refusal(runserver)


def test_without_multithreaded_runserver_is_the_projects_usual_one(runserver):
    seen = requests.get(runserver.url("/accept/")).json()
    assert seen["patched"] is False
    assert seen["is_websocket"] is False
    assert requests.get(runserver.url("/static/file.txt")).text == "static"


# gunicorn, with workers that are not eventlet's.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("worker", "application"),
    [(worker, module) for worker in ("sync", "gthread") for module in ("wsgi", "patched_wsgi")],
)
def test_gunicorn_with_another_worker_refuses_a_websocket(worker, application, tmp_path):
    if find_spec("gunicorn") is None:
        missing("gunicorn", "pip install gunicorn")
    with servers.start(
        *("-m", "gunicorn", application, "--bind=127.0.0.1:0", f"--worker-class={worker}"),
        "--graceful-timeout=1",
        banner=r"Listening at: http://127\.0\.0\.1:(\d+)",
        # It puts files of its own into the home directory.
        env=servers.environment({"LOGGING": LOGGING}, HOME=str(tmp_path)),
    ) as server:
        assert "gunicorn" in refusal(server)


# uWSGI, whose own WebSockets go another way.


@pytest.mark.slow
@pytest.mark.parametrize("application", ["wsgi", "patched_wsgi"])
def test_uwsgi_refuses_a_websocket(application):
    if find_spec("pyuwsgi") is None:
        missing("uWSGI", "pip install pyuwsgi")
    with servers.start(
        *(Path(sys.executable).parent / "uwsgi", "--http-socket=127.0.0.1:0", "--master"),
        f"--module={application}",
        banner=r"bound to TCP address 127\.0\.0\.1:(\d+) ",
        env=servers.environment({"LOGGING": LOGGING}),
    ) as server:
        assert "gunicorn" in refusal(server)
        # Whoever wants no WebSocket is served.
        assert requests.get(server.url("/plain/")).json()["patched"] is (
            application == "patched_wsgi"
        )

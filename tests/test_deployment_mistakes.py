"""What a wrong deployment does gets a sentence that cures it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from websockets.sync.client import connect

import servers
from conftest import missing
from servers import PATIENCE

GUNICORN = Path(sys.executable).parent / "gunicorn"
OURS = "--worker-class=django_websocket_ev.workers.EventletWorker"


@pytest.fixture(autouse=True)
def gunicorn_is_there():
    if find_spec("gunicorn") is None:
        missing("gunicorn", "pip install gunicorn")


@pytest.mark.parametrize("options", [(), ("--preload",)])
def test_django_before_the_worker_is_an_error_that_names_the_cure(tmp_path, database, options):
    config = tmp_path / "gunicorn.conf.py"
    config.write_text("import django.db\n")
    done = subprocess.run(
        [GUNICORN, "wsgi", "--bind=127.0.0.1:0", f"--config={config}", OURS, *options],
        cwd=servers.PROJECT,
        env=servers.environment(TEST_DATABASE=database),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode
    assert "django.db was imported before eventlet could patch the process" in done.stdout
    assert "from django_websocket_ev import bootstrap; bootstrap.patch()" in done.stdout


@pytest.mark.slow
def test_too_few_files_for_the_connections_are_told_of(database):
    with servers.start(
        "-c",
        "import os, resource, sys;"
        " resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300));"
        " os.execv(sys.argv[1], sys.argv[1:])",
        *(GUNICORN, "wsgi", "--bind=127.0.0.1:0", OURS),
        banner=r"Listening at: http://.*:(\d+) ",
        env=servers.environment(TEST_DATABASE=database),
    ) as running:
        running.wait_for_line("may open 300 files, and WEBSOCKET_MAX_CONNECTIONS is 10000")
        running.wait_for_line("LimitNOFILE=")
        # Nor does it end when they are used up: who is there is served on.
        with connect(running.ws("/echo/")) as websocket:
            sockets = [dial(running.port) for _ in range(400)]
            try:
                running.wait_for_line("No further connection is served for now")
                websocket.send("still here")
                assert websocket.recv(PATIENCE) == "still here"
            finally:
                for descriptor in sockets:
                    os.close(descriptor)
            websocket.send("and after")
            assert websocket.recv(PATIENCE) == "and after"
        with connect(running.ws("/echo/")) as websocket:
            websocket.send("welcome")
            assert websocket.recv(PATIENCE) == "welcome"
        assert running.stop(signal.SIGTERM) == 0


def dial(port):
    """Return the descriptor of a connection that says nothing."""
    return socket.create_connection(("127.0.0.1", port), PATIENCE).detach()

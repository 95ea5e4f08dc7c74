"""The page for Prometheus, of one process and of gunicorn's workers together."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests
from websockets.sync.client import connect

import servers
from conftest import missing
from servers import PATIENCE

OPEN_METRICS = "application/openmetrics-text"


@pytest.fixture(autouse=True)
def client_library():
    if find_spec("prometheus_client") is None:
        missing("prometheus-client", "pip install prometheus-client")


@pytest.fixture
def workers(database, tmp_path):
    """gunicorn with two."""
    if find_spec("gunicorn") is None:
        missing("gunicorn", "pip install gunicorn")
    with servers.start(
        Path(sys.executable).parent / "gunicorn",
        *("--bind=127.0.0.1:0", "--workers=2", "wsgi"),
        "--worker-class=django_websocket_ev.workers.EventletWorker",
        banner=r"Listening at: http://.*:(\d+) ",
        env=servers.environment(TEST_DATABASE=database, PROMETHEUS_MULTIPROC_DIR=str(tmp_path)),
    ) as running:
        yield running


def scrape(server, accept="text/plain"):
    """Return the samples, by name and labels."""
    # Without keep-alive, so that either worker may answer.
    headers = {"Accept": accept, "Connection": "close"}
    answer = requests.get(server.url("/metrics/"), headers=headers, timeout=PATIENCE)
    assert answer.status_code == 200
    samples = {}
    for line in answer.text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            samples[name] = float(value)
    return answer, samples


def scrape_until(server, **wanted):
    """Scrape until the samples say so: workers tell once a second."""
    patience_ends = time.monotonic() + PATIENCE
    while True:
        _, samples = scrape(server)
        seen = {name: samples.get(name) for name in wanted}
        if seen == wanted:
            return samples
        assert time.monotonic() < patience_ends, f"{seen} and not {wanted}"


def echo(websocket, message):
    websocket.send(message)
    assert websocket.recv(PATIENCE) == message


def test_one_process(database):
    with (
        servers.runwsserver(TEST_DATABASE=database) as running,
        connect(running.ws("/echo/"), compression=None) as websocket,
    ):
        echo(websocket, "hello")
        answer, samples = scrape(running)
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert samples["websocket_open"] == samples["websocket_opened_total"] == 1
        assert samples['websocket_messages_total{direction="in"}'] == 1
        assert samples['websocket_bytes_total{direction="in"}'] == 11
        assert samples['websocket_bytes_total{direction="out"}'] == 7
        assert samples["websocket_hub_lag_seconds"] >= 0
        echo(websocket, "again")
        requests.get(running.url("/require/"), timeout=PATIENCE)
        answer, samples = scrape(running, OPEN_METRICS)
        assert answer.headers["Content-Type"].startswith(OPEN_METRICS)
        assert answer.text.endswith("# EOF\n")
        assert samples['websocket_messages_total{direction="in"}'] == 2
        assert samples['websocket_refused_total{reason="not_websocket"}'] == 1


@pytest.mark.slow
def test_workers_are_added_up_and_one_that_is_gone_has_none_open(workers):
    with ExitStack() as stack:
        pids = {}
        number = 0
        while len(pids) < 2 or number < 6:
            number += 1
            websocket = stack.enter_context(connect(workers.ws("/stats/who/"), compression=None))
            pids.setdefault(websocket.recv(PATIENCE), websocket)
            assert number < 200
        for websocket in pids.values():
            echo(websocket, "hello")
        scrape_until(
            workers,
            websocket_open=number,
            websocket_opened_total=number,
            **{'websocket_messages_total{direction="in"}': 2},
        )
        workers.process.send_signal(signal.SIGHUP)
        scrape_until(workers, websocket_open=0, websocket_opened_total=number)

"""gunicorn: our worker with every version, and gunicorn's own as long as it had one."""

from __future__ import annotations

import signal
import socket
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect, unix_connect

import servers
from conftest import OLDER_GUNICORNS
from gunicorns import OURS, Gunicorn
from servers import PATIENCE
from tls import client_context


def kinds():
    yield pytest.param((None, OURS), id="newest")
    for version in OLDER_GUNICORNS:
        for worker in (OURS, "eventlet"):
            identifier = f"{version}-{'ours' if worker is OURS else worker}"
            yield pytest.param((version, worker), id=identifier, marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=kinds())
def kind(request, database, older):
    version, worker = request.param
    return Gunicorn(database, version and older(version), worker)


@pytest.fixture(scope="module")
def gunicorn(kind):
    with kind.start() as running:
        yield running


@contextmanager
def echoing(server, **options):
    with connect(server.ws("/echo/"), **options) as websocket:
        websocket.send("hello")
        assert websocket.recv(PATIENCE) == "hello"
        yield websocket


def closed(websocket):
    """Return the code with which the server has closed."""
    with pytest.raises(ConnectionClosed):
        while True:
            websocket.recv(PATIENCE)
    return websocket.close_code


def test_a_view_echoes(gunicorn):
    with echoing(gunicorn):
        pass


def test_frames_in_the_packet_of_the_handshake_are_not_lost(gunicorn):
    first = Frame(Opcode.TEXT, b"early").serialize(mask=True)
    with servers.raw_connect(gunicorn.port, "/echo/", first) as sock:
        assert servers.receive_until(sock, b"early").endswith(b"\x81\x05early")


def test_http_is_served_as_ever(gunicorn):
    with requests.Session() as session:
        for _ in range(3):  # on one connection
            assert session.get(gunicorn.url("/accept/"), timeout=PATIENCE).ok


def test_a_view_that_waits_holds_up_nobody(gunicorn):
    with (
        connect(gunicorn.ws("/blocks/sleep/")) as sleeping,
        echoing(gunicorn) as websocket,
    ):
        assert sleeping.recv(PATIENCE) == "begun"
        for number in range(10):
            websocket.send(str(number))
            assert websocket.recv(PATIENCE) == str(number)
        assert sleeping.recv(PATIENCE) == "slept"


def test_term_says_goodbye(kind):
    if kind.worker != OURS:
        pytest.skip("gunicorn's own waits for the graceful timeout, and cuts")
    with kind.start() as running, echoing(running) as websocket:
        assert running.stop() == 0
        assert closed(websocket) == 1001


def test_hup_says_goodbye_and_serves_on(kind):
    if kind.worker != OURS:
        pytest.skip("as above")
    with kind.start() as running, echoing(running) as websocket:
        running.process.send_signal(signal.SIGHUP)
        assert closed(websocket) == 1001
        with echoing(running):
            pass


@pytest.fixture(scope="module")
def ours(database):
    """Our worker with the gunicorn that is installed."""
    return Gunicorn(database)


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGQUIT, signal.SIGINT])
def test_quit_and_int_say_goodbye_too(ours, signum):
    with ours.start() as running, echoing(running) as websocket:
        assert running.stop(signum) == 0
        assert closed(websocket) == 1001


def test_a_websocket_leaves_its_request_behind(ours):
    """gunicorn's parser, its response and their stack are some 10 KiB."""
    with ours.start() as running, connect(running.ws("/deploy/callers/")) as websocket:
        callers = websocket.recv(PATIENCE)
        assert "django_websocket_ev.workers" in callers
        assert "gunicorn" not in callers


def test_the_collector_leaves_alone_what_was_there_before_the_clients(ours):
    with ours.start() as running:
        facts = requests.get(running.url("/accept/"), timeout=PATIENCE).json()
        assert facts["objects that no collector sees"] > 10_000  # Django is more than that


def test_a_websocket_that_exits_takes_nobody_with_it(ours):
    with ours.start() as running, echoing(running):
        with connect(running.ws("/end/exit/")) as websocket:
            websocket.send("")
            assert closed(websocket) == 1011
        with echoing(running):
            pass


@pytest.mark.slow
def test_max_requests_says_come_back(ours):
    with ours.start("--max-requests=3") as running, echoing(running) as websocket:
        for _ in range(3):
            requests.get(running.url("/accept/"), timeout=PATIENCE)
        assert closed(websocket) == 1012
        with echoing(running):
            pass


@pytest.mark.slow
def test_usr2_starts_another_that_serves_when_the_first_has_gone(ours, tmp_path):
    pidfile = tmp_path / "gunicorn.pid"
    with ours.start(f"--pid={pidfile}") as running, echoing(running) as websocket:
        running.process.send_signal(signal.SIGUSR2)
        running.wait_for_line("Handling signal: usr2")
        second = Path(f"{pidfile}.2")
        while not second.exists():
            websocket.send("turn")
            websocket.recv(PATIENCE)
        assert running.stop() == 0
        assert closed(websocket) == 1001
        with echoing(running):
            pass


def test_what_was_sent_before_a_stop_arrives(ours):
    size = 2**20
    with ours.start() as running, connect(running.ws("/echo/"), max_size=None) as websocket:
        websocket.send("x" * size)
        websocket.send("last")
        assert websocket.recv(PATIENCE) == "x" * size
        assert running.stop() == 0
        assert websocket.recv(PATIENCE) == "last"
        assert closed(websocket) == 1001


def test_two_workers_share_the_clients(ours):
    with ours.start("--workers=2") as running:
        with echoing(running), echoing(running), echoing(running):
            pass
        assert running.stop() == 0


@pytest.mark.slow
def test_reuse_port(ours):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    # Each worker listens by itself, after all that it prints.
    with ours.start(
        "--reuse-port", bind=f"127.0.0.1:{port}", banner=r"Booting worker with pid: (\d+)"
    ) as running:
        running.port = port
        patience_ends = time.monotonic() + PATIENCE
        while time.monotonic() < patience_ends:
            with suppress(ConnectionRefusedError), echoing(running):
                return
        raise AssertionError(running.output)


@pytest.mark.slow
def test_preload_is_patched_in_time(ours):
    with ours.start("--preload") as running, echoing(running):
        pass


def test_a_unix_socket(ours, tmp_path):
    path = str(tmp_path / "gunicorn.sock")
    with ours.start(bind=f"unix:{path}", banner=r"Listening at: unix:.* \((\d+)\)") as running:
        with unix_connect(path, "ws://localhost/echo/") as websocket:
            websocket.send("hello")
            assert websocket.recv(PATIENCE) == "hello"
        assert running.stop() == 0


def test_tls(ours, certificate):
    chain, key = certificate
    with ours.start(f"--certfile={chain}", f"--keyfile={key}") as running:
        address = f"wss://127.0.0.1:{running.port}/echo/"
        with connect(address, ssl=client_context(chain)) as websocket:
            websocket.send("hello" * 10_000)
            assert websocket.recv(PATIENCE) == "hello" * 10_000
            assert running.stop() == 0
            assert closed(websocket) == 1001

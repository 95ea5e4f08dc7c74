"""A UNIX socket, whose clients all have the same address: none."""

import contextlib

import pytest
from websockets.sync.client import unix_connect

import servers
from servers import PATIENCE

CLIENTS = 5


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "socket")


@pytest.fixture
def server(path):
    with servers.start(
        *("-m", "django_websocket_ev", "serve.py", "unix", path),
        banner=r"Plain on port (\d+)",
        env=servers.environment(),
    ) as running:
        yield running


def test_all_clients_are_served_and_the_stop_says_goodbye_to_each_and_waits_for_it(server, path):
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(unix_connect(path, f"ws://localhost/takes_its_leave/{number}/"))
            for number in range(CLIENTS)
        ]
        for client in clients:
            client.send("hello")
        for number, client in enumerate(clients):
            assert client.recv(PATIENCE) == f"hello {number}"
        code = server.stop()
        for client in clients:
            assert list(client) == []
            assert client.close_code == 1001
    assert code == 0
    for number in range(CLIENTS):
        server.wait_for_line(f"^{number} has left")

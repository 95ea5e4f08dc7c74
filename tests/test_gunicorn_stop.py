"""What a stop of gunicorn costs: nothing that was said, and whom it costs is named."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import requests
from websockets.asyncio.client import connect as dial
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

import servers
from conftest import OLDER_GUNICORNS, missing
from servers import PATIENCE


@pytest.fixture
def gunicorn(database, tmp_path):
    """Return what starts gunicorn with our worker; what its views store goes to a file."""
    if find_spec("gunicorn") is None:
        missing("gunicorn", "pip install gunicorn")

    def start(*options, folder=None, **variables):
        scripts = Path(folder) / "bin" if folder else Path(sys.executable).parent
        paths = [folder, str(servers.ROOT)] if folder else [str(servers.ROOT)]
        return servers.start(
            scripts / "gunicorn",
            *("--bind=127.0.0.1:0", "wsgi"),
            "--worker-class=django_websocket_ev.workers.EventletWorker",
            *options,
            banner=r"Listening at: http://.*:(\d+) ",
            env=servers.environment(
                TEST_DATABASE=database,
                TEST_LEDGER=str(tmp_path / "ledger"),
                PYTHONPATH=os.pathsep.join(paths),
                **variables,
            ),
        )

    return start


def closed(websocket):
    with pytest.raises(ConnectionClosed):
        while True:
            websocket.recv(PATIENCE)
    return websocket.close_code


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_view_that_does_not_listen_is_named_and_cut(gunicorn, signum):
    with gunicorn("--graceful-timeout=2") as running:
        with connect(running.ws("/deploy/deaf/")) as deaf:
            assert deaf.recv(PATIENCE) == "begun"
            running.process.send_signal(signum)
            assert closed(deaf) == 1001
        running.wait_for_line("Cut after 2 seconds: /deploy/deaf/")
        # Its `finally` has run.
        running.wait_for_line("deaf has left")
        assert "Traceback" not in running.output


def test_a_view_may_finish_after_the_goodbye(gunicorn, tmp_path):
    with gunicorn() as running:
        with connect(running.ws("/deploy/ledger/finishing/")) as websocket:
            websocket.send("1")
            assert websocket.recv(PATIENCE) == "1"
            running.process.send_signal(signal.SIGTERM)
            assert closed(websocket) == 1001
        assert running.process.wait(PATIENCE) == 0
    assert (tmp_path / "ledger").read_text().split("\n") == ["finishing 1", "finishing end", ""]


# Many clients, who come back.


class Client:
    """Sends numbers, one after the other, and comes back whenever it is closed."""

    def __init__(self, server, name):
        self.url = server.ws(f"/deploy/ledger/{name}/")
        self.name = name
        self.acknowledged = []
        self.codes = []
        self.is_done = False
        self.next = 0

    async def live(self):
        while not self.is_done:
            try:
                async with dial(self.url, compression=None, open_timeout=PATIENCE) as websocket:
                    await self.talk(websocket)
            except ConnectionClosed as error:
                self.codes.append(error.rcvd.code if error.rcvd else 1006)
            except (OSError, InvalidHandshake, EOFError):
                await asyncio.sleep(0.1)  # nobody listens between two masters

    async def talk(self, websocket):
        while not self.is_done:
            self.next += 1
            await websocket.send(str(self.next))
            self.acknowledged.append(int(await websocket.recv()))
            await asyncio.sleep(1)


async def many(server, count, play):
    """Let so many clients talk while ``play(clients)`` goes on; return them."""
    clients = [Client(server, f"client{number}") for number in range(count)]
    tasks = [asyncio.create_task(client.live()) for client in clients]
    await all_have_news(clients)
    await play(clients)
    for client in clients:
        client.is_done = True
    await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
    return clients


async def all_have_news(clients):
    """Wait until each client has had an answer from now on."""
    before = [len(client.acknowledged) for client in clients]
    patience_ends = time.monotonic() + PATIENCE
    while any(len(client.acknowledged) <= had for client, had in zip(clients, before, strict=True)):
        assert time.monotonic() < patience_ends
        await asyncio.sleep(0.1)


def check(clients, ledger):
    """Each acknowledged message is in the ledger, once; nobody ended without a goodbye."""
    stored = [line.split() for line in ledger.read_text().splitlines()]
    kept = [(name, int(number)) for name, number in stored if number != "end"]
    assert len(kept) == len(set(kept))
    lost = {(c.name, number) for c in clients for number in c.acknowledged} - set(kept)
    assert not lost
    for client in clients:
        assert len(client.acknowledged) == len(set(client.acknowledged))
        assert set(client.codes) <= {1001, 1012}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "times"), [(None, 3), *((version, 1) for version in OLDER_GUNICORNS)]
)
def test_reloads_under_load_lose_no_message_that_was_acknowledged(
    gunicorn, older, tmp_path, version, times
):
    async def reloads(clients):
        for _ in range(times):
            before = len(clients[0].codes)
            server.process.send_signal(signal.SIGHUP)
            while any(len(client.codes) <= before for client in clients):
                await asyncio.sleep(0.1)
            await all_have_news(clients)

    with gunicorn("--workers=2", folder=version and older(version)) as server:
        clients = asyncio.run(many(server, 1000, reloads))
        assert all(len(client.codes) == times for client in clients)
        check(clients, tmp_path / "ledger")
        assert server.stop() == 0
        assert "Traceback" not in server.output


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_says_goodbye_to_a_thousand_and_leaves_nothing(gunicorn, tmp_path, signum):
    async def stop(clients):
        server.process.send_signal(signum)
        while not all(client.codes for client in clients):
            await asyncio.sleep(0.1)

    with gunicorn("--workers=2") as server:
        clients = asyncio.run(many(server, 1000, stop))
        assert {code for client in clients for code in client.codes} == {1001}
        assert server.process.wait(PATIENCE) == 0
        check(clients, tmp_path / "ledger")
        with pytest.raises(requests.ConnectionError):
            requests.get(server.url("/stats/"), timeout=PATIENCE)
        assert not processes_of(server.process.pid)


def processes_of(group):
    """Return the processes that are left of a group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) == group:
                    found.append((entry / "cmdline").read_text())
            except OSError:
                pass  # ended meanwhile
    return found

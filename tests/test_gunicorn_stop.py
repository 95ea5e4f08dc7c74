"""What a stop of gunicorn costs: nothing that was said, and whom it costs is named."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
import requests
from websockets.asyncio.client import connect as dial
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from conftest import OLDER_GUNICORNS
from gunicorns import Gunicorn
from servers import PATIENCE

pytestmark = pytest.mark.slow


@pytest.fixture
def gunicorn(database, older, tmp_path):
    """Return what starts gunicorn with our worker; what its views store goes to a file."""

    def start(*options, version=None):
        kind = Gunicorn(database, version and older(version))
        return kind.start(*options, TEST_LEDGER=str(tmp_path / "ledger"))

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
    stored = (tmp_path / "ledger").read_text().splitlines()
    assert stored == ["finishing 1", "finishing 1 acknowledged", "finishing end"]


# Many clients, who come back.


class Client:
    """Sends numbers, one after the other, and comes back whenever it is closed."""

    def __init__(self, server, name):
        self.url = server.ws(f"/deploy/ledger/{name}/")
        self.name = name
        self.acknowledged = []
        self.codes = []
        self.in_vain = 0
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
                self.in_vain += 1
                await asyncio.sleep(0.1)  # nobody listens any more

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


async def until(condition):
    patience_ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < patience_ends
        await asyncio.sleep(0.1)


async def all_have_news(clients):
    """Wait until each client has had an answer from now on."""
    before = [(client, len(client.acknowledged)) for client in clients]
    await until(lambda: all(len(client.acknowledged) > had for client, had in before))


def check(clients, ledger):
    """Nothing that was acknowledged is lost, on either way; nobody ended without a goodbye."""
    stored, sent = Counter(), set()
    for line in ledger.read_text().splitlines():
        name, number, *acknowledged = line.split()
        if acknowledged:
            sent.add((name, int(number)))
        elif number != "end":
            stored[name, int(number)] += 1
    heard = Counter((client.name, number) for client in clients for number in client.acknowledged)
    codes = Counter(code for client in clients for code in client.codes)
    lost, unheard = heard.keys() - stored, sent - heard.keys()
    doubled = [message for all in (stored, heard) for message in all if all[message] > 1]
    print(
        f"{len(clients)} clients were told to leave {codes.total()} times {dict(codes)}"
        f" and came in vain {sum(client.in_vain for client in clients)} times."
        f" {stored.total()} messages stored, {heard.total()} acknowledged: {len(lost)} lost,"
        f" {len(doubled)} doubled, {len(unheard)} acknowledgements lost."
    )
    assert not lost
    assert not doubled
    assert not unheard
    assert codes.keys() <= {1001, 1012}


#: How long a reload follows another; `RELOAD_SECONDS=60 make test-slow ARGS="-s -k reloads"`
#: takes a minute, and shows the figures.
SECONDS = int(os.environ.get("RELOAD_SECONDS", "15"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "seconds"), [(None, SECONDS), *((version, 5) for version in OLDER_GUNICORNS)]
)
def test_reloads_under_load_lose_no_message_that_was_acknowledged(
    gunicorn, tmp_path, version, seconds
):
    async def reload(clients):
        for _ in range(0, seconds, 5):
            server.process.send_signal(signal.SIGHUP)
            await asyncio.sleep(5)
        await until(lambda: all(client.codes for client in clients))
        await all_have_news(clients)

    with gunicorn("--workers=2", version=version) as server:
        clients = asyncio.run(many(server, 1000, reload))
        check(clients, tmp_path / "ledger")
        assert server.stop() == 0
        assert "Traceback" not in server.output


@pytest.mark.slow
@pytest.mark.parametrize("version", [None, *OLDER_GUNICORNS])
def test_an_upgrade_under_load_loses_no_message_that_was_acknowledged(gunicorn, tmp_path, version):
    pidfile = tmp_path / "gunicorn.pid"

    async def upgrade(clients):
        server.process.send_signal(signal.SIGUSR2)
        await until(Path(f"{pidfile}.2").exists)
        await until(lambda: server.output.count("Booting worker") == 4)
        server.process.send_signal(signal.SIGTERM)
        await until(lambda: all(client.codes for client in clients))
        await until(lambda: server.process.poll() == 0)
        await all_have_news(clients)

    with gunicorn("--workers=2", f"--pid={pidfile}", version=version) as server:
        clients = asyncio.run(many(server, 1000, upgrade))
        assert {tuple(client.codes) for client in clients} == {(1001,)}
        second = int(pidfile.read_text())
        assert second != server.process.pid
        os.kill(second, signal.SIGTERM)
        asyncio.run(until(lambda: not processes_of(server.process.pid)))
        check(clients, tmp_path / "ledger")
        assert "Traceback" not in server.output


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_says_goodbye_to_a_thousand_and_leaves_nothing(gunicorn, tmp_path, signum):
    async def stop(clients):
        server.process.send_signal(signum)
        await until(lambda: all(client.codes for client in clients))

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

"""A deployment at noon: nginx and gunicorn are reloaded while 1,000 clients talk, over TLS."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections import Counter
from contextlib import suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

import proxies
from conftest import missing
from servers import PATIENCE

pytestmark = pytest.mark.slow

CLIENTS = 1_000
#: Messages that a client sends at once, before it looks at the answers.
BURST = 3
#: Seconds that it rests after those.
LEISURE = 5
#: Who comes back at the same time. All at once would test TLS in Python, most of all.
AT_THE_DOOR = 50


class Crowd:
    """Clients that talk, and come back as soon as they are sent away.

    A message is sent once in its life, so whatever the server keeps, it may keep once.
    """

    def __init__(self, site: proxies.Site) -> None:
        self._site = site
        self._door = asyncio.Semaphore(AT_THE_DOOR)
        self._leaving = False
        #: Who has not yet what :meth:`each_has` waits for, and how many answers that takes.
        self._awaited: dict[int, int] = {}
        self._connections_awaited = 0
        self._nobody_awaited = asyncio.Event()
        self.connections = [0] * CLIENTS
        self.received: list[str] = []
        self.codes: Counter[int] = Counter()
        self._clients = [asyncio.create_task(self._live(number)) for number in range(CLIENTS)]

    async def _live(self, number: int) -> None:
        messages = (f"{number} {count}" for count in range(10**9))
        while not self._leaving:
            async with self._door:
                websocket = await connect(
                    f"wss://{proxies.HOST}/proxy/records/",
                    host="127.0.0.1",
                    port=self._site.port,
                    ssl=self._site.context,
                    server_hostname="127.0.0.1",
                    open_timeout=2 * PATIENCE,
                    close_timeout=PATIENCE,
                    compression=None,
                    ping_interval=None,
                )
            self.connections[number] += 1
            async with websocket:
                while not self._leaving and await self._talk(number, websocket, messages):
                    await asyncio.sleep(LEISURE)
            self.codes[websocket.close_code] += 1

    async def _talk(self, number, websocket, messages) -> bool:
        """Send some messages and hear the answers; return whether the WebSocket is still open."""
        expected = [next(messages) for _ in range(BURST)]
        with suppress(ConnectionClosed):  # there may be answers all the same
            for message in expected:
                await websocket.send(message)
        try:
            for message in expected:
                assert await websocket.recv() == message
                self.received.append(message)
                self._is_answered(number)
        except ConnectionClosed:
            return False
        return True

    def _is_answered(self, number: int) -> None:
        if number in self._awaited and self.connections[number] >= self._connections_awaited:
            self._awaited[number] -= 1
            if self._awaited[number] == 0:
                del self._awaited[number]
                if not self._awaited:
                    self._nobody_awaited.set()

    async def each_has(self, answers: int, connections: int) -> None:
        """Return when each client has got so many answers more, on its n-th connection or later."""
        self._awaited = dict.fromkeys(range(CLIENTS), answers)
        self._connections_awaited = connections
        self._nobody_awaited.clear()
        all_answered = asyncio.create_task(self._nobody_awaited.wait())
        done, _ = await asyncio.wait(
            [all_answered, *self._clients], timeout=4 * PATIENCE, return_when="FIRST_COMPLETED"
        )
        for task in done:
            task.result()
        assert done, f"{len(self._awaited)} clients hear nothing"

    async def leave(self) -> None:
        """Let everybody close their WebSocket."""
        self._leaving = True
        await asyncio.wait_for(asyncio.gather(*self._clients), 2 * PATIENCE)


def children(pid):
    """Return the processes that ``pid`` has started."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return set(file.read().split())


def lines(path):
    return path.read_text().splitlines()


@pytest.fixture
def files():
    """Let this process, and those that it starts, have a file for each client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * CLIENTS + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        missing(
            f"room for {CLIENTS} clients (no process may have more than {hard} files open)",
            f"raise the hard limit, 'ulimit -Hn', to {needed} or more",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def deploy(nginx, gunicorn):
    """Do what deployments do, while clients talk; return those."""
    first = children(nginx.process.pid)
    crowd = Crowd(nginx.site)
    await crowd.each_has(answers=1, connections=1)

    nginx.reload()
    await crowd.each_has(answers=BURST + 1, connections=1)
    assert crowd.connections == [1] * CLIENTS, "a reload of nginx alone closes no WebSocket"
    assert first & children(nginx.process.pid), "nginx keeps its workers for their WebSockets"

    nginx.reload()
    gunicorn.process.send_signal(signal.SIGHUP)
    await crowd.each_has(answers=BURST + 1, connections=2)
    proxies.wait_until(
        lambda: not first & children(nginx.process.pid), "nginx's first workers are gone"
    )
    await crowd.leave()
    return crowd


def test_nobody_loses_a_message_when_nginx_and_gunicorn_are_reloaded(
    database, certificate, monkeypatch, files
):
    with proxies.public_folder() as folder:
        monkeypatch.setenv("RECORDS", str(folder))
        with (
            proxies.upstream(proxies.UNIX, folder, database, "--workers=2", MIDDLEWARE=[]) as (
                gunicorn,
                name,
            ),
            proxies.nginx(folder, name, certificate) as nginx,
        ):
            crowd = asyncio.run(deploy(nginx, gunicorn))
            assert gunicorn.stop() == 0
            assert nginx.stop(signal.SIGQUIT) == 0
            output = nginx.output
        kept, sent = lines(folder / "kept"), lines(folder / "sent")

    print(f"{len(kept)} messages kept, {len(crowd.received)} acknowledged; codes {crowd.codes}")
    # Everybody was sent away by HUP, with its code, and came back: some to a worker that was
    # about to stop as well, and so twice.
    assert crowd.codes.pop(1000) == CLIENTS
    assert set(crowd.codes) <= proxies.GOODBYES
    assert sum(crowd.codes.values()) == sum(crowd.connections) - CLIENTS >= CLIENTS
    assert len(kept) == len(set(kept))
    assert set(crowd.received) <= set(kept), "a message that was acknowledged is not kept"
    assert set(sent) <= set(crowd.received), "a message that send() took has not arrived"
    for word in ("[error]", "[crit]", "[alert]", "[emerg]"):
        assert word not in output

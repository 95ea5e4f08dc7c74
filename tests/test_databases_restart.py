"""PostgreSQL is restarted while hundreds of WebSockets query it."""

from __future__ import annotations

import selectors
import threading
from time import monotonic
from typing import NamedTuple

import pytest

import postgres
import rawclient
from servers import PATIENCE
from test_databases_many import EITHER, MOST, ask_all, crowd, expected, read_text, site, small

__all__ = ["small"]

pytestmark = pytest.mark.slow

CLIENTS = 300


class Exchange(NamedTuple):
    """A message and its answer."""

    sent: float
    answered: float
    number: int
    told: str

    @property
    def failed(self):
        return self.told != str(self.number + 1)


class Load:
    """Clients that each ask again whenever they have their answer."""

    def __init__(self, socks):
        self.exchanges = []
        self._socks = socks
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._error = None

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._is_over.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def wait_for(self, more):
        """Return when there are so many more exchanges."""
        enough = len(self.exchanges) + more
        patience_ends = monotonic() + PATIENCE
        while len(self.exchanges) < enough and self._thread.is_alive():
            assert monotonic() < patience_ends
            self._thread.join(0.01)

    def _run(self):
        try:
            with selectors.DefaultSelector() as selector:
                self._exchange(selector)
        except BaseException as error:
            self._error = error

    def _exchange(self, selector):
        for sock in self._socks:
            self._ask(selector, sock, 0)
        while selector.get_map():
            ready = selector.select(PATIENCE)
            assert ready, f"{len(selector.get_map())} clients got no answer"
            for key, _ in ready:
                sent, number = key.data
                told = read_text(key.fileobj)
                self.exchanges.append(Exchange(sent, monotonic(), number, told))
                selector.unregister(key.fileobj)
                if not self._is_over.is_set():
                    self._ask(selector, key.fileobj, number + 1)

    def _ask(self, selector, sock, number):
        selector.register(sock, selectors.EVENT_READ, (monotonic(), number))
        sock.sendall(rawclient.text(str(number)))


@pytest.mark.parametrize(("options", "settings"), EITHER)
def test_at_most_what_is_in_flight_fails(small, database, options, settings):
    with (
        site(small, database, options, settings) as server,
        crowd(server, CLIENTS) as socks,
    ):
        with Load(socks) as load:
            load.wait_for(CLIENTS)
            begun = monotonic()
            postgres.restart(small)
            ended = monotonic()
            load.wait_for(2 * CLIENTS)
        # The sockets are open still, and there is a connection for each.
        assert ask_all(socks, 5_000, in_flight=CLIENTS) == expected(5_000, CLIENTS)
    failed = [exchange for exchange in load.exchanges if exchange.failed]
    print(ended - begun, len(load.exchanges), len(failed))
    assert all("failed: " in exchange.told for exchange in failed)
    assert [each for each in failed if each.sent > ended or each.answered < begun] == []
    if "OPTIONS" in options:
        # Each connection of the pool was cut once, under one query at most.
        assert len(failed) <= MOST

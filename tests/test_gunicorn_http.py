"""gunicorn with our worker serves plain HTTP as well as with any other."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from contextlib import contextmanager

import pytest
import requests
from websockets.sync.client import connect

from conftest import OLDER_GUNICORNS
from gunicorns import Gunicorn
from scene import Scene
from servers import PATIENCE

#: More than the kernel takes for a client that does not read.
SIZE = 12_000_003


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "file"
    path.write_bytes(os.urandom(SIZE))
    return path


VERSIONS = [
    pytest.param(None, id="newest"),
    *(pytest.param(version, marks=pytest.mark.slow) for version in OLDER_GUNICORNS),
]


@pytest.fixture(scope="module", params=VERSIONS)
def kind(request, database, older):
    return Gunicorn(database, request.param and older(request.param))


@pytest.fixture(scope="module")
def plain(kind, file):
    # Patient with a next request that is long in coming.
    with kind.start("--keep-alive=60", TEST_FILE=str(file)) as running:
        yield running


@pytest.fixture(scope="module")
def secure(kind, file, certificate):
    """The same with TLS."""
    chain, key = certificate
    with kind.start(
        *(f"--certfile={chain}", f"--keyfile={key}", "--keep-alive=60"), TEST_FILE=str(file)
    ) as running:
        yield running


@pytest.fixture(params=["plain", "secure"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def dial(server, request, certificate):
    """Return what connects to the server, with TLS where it has TLS."""
    sockets = []

    def connect(receive_buffer=None):
        sock = socket.socket()
        sockets.append(sock)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", server.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if "secure" in request.fixturenames:
            context = ssl.create_default_context(cafile=certificate[0])
            sock = context.wrap_socket(sock, server_hostname="127.0.0.1")
            sockets.append(sock)
        return sock

    yield connect
    for sock in sockets:
        sock.close()

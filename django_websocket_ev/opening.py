"""A request for a WebSocket, served without eventlet's HTTP handler, which costs more than it.

Only a head that is here whole, and formed to the letter, is taken on: RFC 7230 §3, RFC 6455
§4.1. The bytes of any other stay where they are, in the kernel, for the handler to answer.
"""

from __future__ import annotations

import re
import traceback
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from django_websocket_ev import greensocket
from django_websocket_ev.bootstrap import quiet
from django_websocket_ev.http_handler import NEXT, NO_BODY, PATH, AccessLog, wait_for_turn
from django_websocket_ev.transport import OWN_SERVER

with quiet():
    import eventlet
    from eventlet import wsgi
    from eventlet.green import socket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Bytes to look at. A longer head is for the handler.
_MOST = 8192

#: A target in origin form (RFC 7230 §5.3.1), then fields without folds (§3.2).
_HEAD = re.compile(
    rb"GET (/(?:[!-.0-~][!-~]*)?) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*\r\n)+)\r\n"
)
#: What tells of a body, or asks for more than an answer.
_NOT_HERE = frozenset({"CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_TRANSFER_ENCODING", "HTTP_EXPECT"})


class Opening(NamedTuple):
    """The head of a request for a WebSocket."""

    target: str
    #: By the names that WSGI gives them.
    fields: dict[str, str]


def read_opening(sock: Any, timeout: float) -> Opening | None:
    """Return the request that comes within ``timeout`` seconds, if it is one for here.

    If not, nothing has been read of it. Raises OSError where the client is gone.
    """
    if greensocket.is_tls(sock):
        return None  # which has no way to look ahead
    sock.settimeout(timeout)
    head = _HEAD.match(sock.recv(_MOST, socket.MSG_PEEK))
    if head is None:
        return None
    fields: dict[str, str] = {}
    for line in head[2].decode("ascii").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        key = _key(name)
        if key in fields:
            fields[key] += "," + value.strip("\t ")
        elif key:
            fields[key] = value.strip("\t ")
    if "websocket" not in fields.get("HTTP_UPGRADE", "").lower() or not _NOT_HERE.isdisjoint(
        fields
    ):
        return None
    # The client is not to blame for the time in line.
    wait_for_turn()
    sock.recv(head.end())
    return Opening(head[1].decode("ascii"), fields)


@lru_cache(maxsize=256)
def _key(name: str) -> str:
    """Return the name of a field in the environ, "" for one that could pass for another."""
    if "_" in name:
        return ""
    key = name.replace("-", "_").upper()
    return key if key in _NOT_HERE else f"HTTP_{key}"


def serve_opening(opening: Opening, state: list[Any], server: Any) -> None:
    """Call the application of ``server``, eventlet's, and send what it answers.

    ``state`` is that of the connection: where it becomes a WebSocket, that has what is next.
    """
    sock = state[1]
    environ = _environ(opening, state, server)
    state[2] = wsgi.STATE_REQUEST
    state[PATH] = environ["PATH_INFO"]

    def hand_over(converse: Callable[[], None]) -> None:
        state[NEXT] = converse
        del environ[OWN_SERVER]  # it leads back here

    environ[OWN_SERVER] = hand_over
    answer = _Answer(sock)
    try:
        result = server.app(environ, answer.start)
        try:
            answer.send_all(result)
        finally:
            if hasattr(result, "close"):
                result.close()
    except OSError:
        raise
    except (Exception, eventlet.Timeout):
        server.log.info(traceback.format_exc())
        if state[NEXT] is None:
            answer.fail()
    if server.log_output and state[NEXT] is None:
        line = {
            "status_code": answer.status.partition(" ")[0],
            "request_line": f"GET {opening.target} HTTP/1.1",
            "body_length": answer.length,
        }
        server.log.info(AccessLog.FORMAT % line)


def _environ(opening: Opening, state: list[Any], server: Any) -> dict[str, Any]:
    """Return the WSGI environ of a request (PEP 3333), as eventlet's handler would."""
    raw_path, mark, query = opening.target.partition("?")
    host, port = wsgi.addr_to_host_port(state[1].getsockname())
    client, client_port = wsgi.addr_to_host_port(state[0])
    no_body = wsgi.Input(NO_BODY, "0", state[1])
    environ: dict[str, Any] = server.get_environ()
    environ |= {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "PATH_INFO": unquote(raw_path, "latin-1") if "%" in raw_path else raw_path,
        "RAW_PATH_INFO": raw_path,
        "REMOTE_ADDR": client,
        "REMOTE_PORT": str(client_port),
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "django-websocket-ev",
        "wsgi.input": no_body,
        "eventlet.input": no_body,
        **opening.fields,
    }
    if mark:
        environ["QUERY_STRING"] = query
    return environ


class _Answer:
    """What a request gets that has not become a WebSocket; the connection ends with it."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._headers: list[tuple[str, str]] | None = None
        self._is_begun = False
        self.status = ""
        self.length = 0

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """Take what WSGI's ``start_response`` takes."""
        if exc_info and self._is_begun:
            raise exc_info[1]
        self.status = status
        self._headers = headers
        return self.send

    def send_all(self, result: Iterable[bytes]) -> None:
        """Send what the application returned."""
        for data in result:
            if data:
                self.send(data)
        if not self._is_begun and not self.status.startswith("101"):
            self.send(b"")

    def send(self, data: bytes) -> None:
        """Send a part of the body, the first behind the head."""
        if not self._is_begun:
            if self._headers is None:
                raise AssertionError("write() before start_response()")
            self._is_begun = True
            lines = [f"HTTP/1.1 {self.status}", *(": ".join(field) for field in self._headers)]
            lines += [f"Date: {formatdate(usegmt=True)}", "Connection: close", "", ""]
            data = "\r\n".join(lines).encode("latin-1") + data
        self._sock.sendall(data)
        self.length += len(data)

    def fail(self) -> None:
        """Tell of an application that has failed, where there is room for it yet."""
        if not self._is_begun:
            self.start("500 Internal Server Error", [("Content-Length", "0")])
            self.send(b"")

"""Clients that others wrote, each behind the same few methods.

Every one takes ``(url, subprotocols, compression)`` and is open when it is made,
or raises ``Refused``. Nothing waits for longer than PATIENCE.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import websocket
import websockets.asyncio.client
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from conftest import missing
from servers import PATIENCE

NODE = Path(__file__).parent / "node"
NO_STATUS = 1005


class Refused(Exception):
    """The opening handshake got another answer than 101.

    ``body`` is None where the client does not let it be seen.
    """

    def __init__(self, status: int, body: str | None) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


class Closed(Exception):
    """A Close frame came where a message was awaited."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Client:
    """What a test can do with each of them, besides ``subprotocol`` and ``extensions``."""

    name: str
    can_compress = True
    can_fragment = True

    #: As the handshake's answer has them; "" without.
    subprotocol: str
    extensions: str

    def send(self, message: str | bytes) -> None:
        """Send a message in one frame."""

    def send_fragments(self, fragments: Sequence[str] | Sequence[bytes]) -> None:
        """Send one message, a frame for each fragment."""

    def receive(self) -> str | bytes:
        """Return the next message, or raise Closed."""

    def ping(self, payload: bytes) -> None:
        """Send a Ping and return when the Pong with its payload has come."""

    def close(self, code: int, reason: str) -> int:
        """Close, and return the code of the server's Close frame."""

    def leave(self) -> None:
        """Let go of whatever the client still holds."""


class WebsocketsSync(Client):
    name = "websockets-sync"

    def __init__(self, url: str, subprotocols: Sequence[str], compression: bool) -> None:
        self._exit = ExitStack()
        try:
            self._websocket = self._exit.enter_context(
                websockets.sync.client.connect(
                    url,
                    subprotocols=subprotocols or None,
                    compression="deflate" if compression else None,
                    open_timeout=PATIENCE,
                    close_timeout=PATIENCE,
                )
            )
        except InvalidStatus as error:
            raise Refused(error.response.status_code, error.response.body.decode()) from None
        self.subprotocol = self._websocket.subprotocol or ""
        self.extensions = self._websocket.response.headers.get("Sec-WebSocket-Extensions", "")

    def send(self, message):
        self._websocket.send(message)

    def send_fragments(self, fragments):
        self._websocket.send(fragments)

    def receive(self):
        try:
            return self._websocket.recv(timeout=PATIENCE)
        except ConnectionClosed as error:
            raise Closed(error.rcvd.code, error.rcvd.reason) from None

    def ping(self, payload):
        assert self._websocket.ping(payload).wait(PATIENCE)

    def close(self, code, reason):
        self._websocket.close(code, reason)
        return self._websocket.protocol.close_rcvd.code

    def leave(self):
        self._exit.close()


class Asynchronous(Client):
    """A client of asyncio, whose loop runs while one of the methods does.

    Theirs are the coroutines ``_connect`` and ``_disconnect``.
    """

    def __init__(self, url: str, subprotocols: Sequence[str], compression: bool) -> None:
        self._loop = asyncio.new_event_loop()
        try:
            self._run(self._connect(url, subprotocols, compression))
        except BaseException:
            self._loop.close()
            raise

    def _run(self, awaitable):
        return self._loop.run_until_complete(asyncio.wait_for(awaitable, PATIENCE))

    def leave(self):
        try:
            self._run(self._disconnect())
        finally:
            self._loop.close()


class WebsocketsAsyncio(Asynchronous):
    name = "websockets-asyncio"

    async def _connect(self, url, subprotocols, compression):
        try:
            self._websocket = await websockets.asyncio.client.connect(
                url,
                subprotocols=subprotocols or None,
                compression="deflate" if compression else None,
                close_timeout=PATIENCE,
            )
        except InvalidStatus as error:
            raise Refused(error.response.status_code, error.response.body.decode()) from None
        self.subprotocol = self._websocket.subprotocol or ""
        self.extensions = self._websocket.response.headers.get("Sec-WebSocket-Extensions", "")

    def send(self, message):
        self._run(self._websocket.send(message))

    def send_fragments(self, fragments):
        self._run(self._websocket.send(fragments))

    def receive(self):
        try:
            return self._run(self._websocket.recv())
        except ConnectionClosed as error:
            raise Closed(error.rcvd.code, error.rcvd.reason) from None

    def ping(self, payload):
        async def answered():
            await (await self._websocket.ping(payload))

        self._run(answered())

    def close(self, code, reason):
        self._run(self._websocket.close(code, reason))
        return self._websocket.protocol.close_rcvd.code

    async def _disconnect(self):
        await self._websocket.close()


class Aiohttp(Asynchronous):
    name = "aiohttp"
    can_fragment = False  # it has no method for a frame without FIN

    async def _connect(self, url, subprotocols, compression):
        self._session = aiohttp.ClientSession()
        try:
            self._websocket = await self._session.ws_connect(
                url,
                protocols=subprotocols,
                compress=15 if compression else 0,
                autoping=False,  # it would keep the Pongs to itself
            )
        except aiohttp.WSServerHandshakeError as error:
            await self._session.close()
            raise Refused(error.status, None) from None
        self.subprotocol = self._websocket.protocol or ""
        self.extensions = "permessage-deflate" if self._websocket.compress else ""

    def send(self, message):
        send = self._websocket.send_str if isinstance(message, str) else self._websocket.send_bytes
        self._run(send(message))

    def receive(self):
        message = self._run(self._websocket.receive())
        while message.type == aiohttp.WSMsgType.PING:
            self._run(self._websocket.pong(message.data))
            message = self._run(self._websocket.receive())
        if message.type == aiohttp.WSMsgType.CLOSE:
            raise Closed(message.data, message.extra)
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        return message.data

    def ping(self, payload):
        self._run(self._websocket.ping(payload))
        message = self._run(self._websocket.receive())
        assert message.type == aiohttp.WSMsgType.PONG, message
        assert message.data == payload

    def close(self, code, reason):
        self._run(self._websocket.close(code=code, message=reason.encode()))
        return self._websocket.close_code

    async def _disconnect(self):
        await self._websocket.close()
        await self._session.close()


class WebsocketClient(Client):
    name = "websocket-client"
    can_compress = False  # it has no extensions

    def __init__(self, url: str, subprotocols: Sequence[str], compression: bool) -> None:
        try:
            self._websocket = websocket.create_connection(
                url,
                timeout=PATIENCE,
                subprotocols=list(subprotocols),
                skip_utf8_validation=True,  # it does it in Python; decode() does it too
            )
        except websocket.WebSocketBadStatusException as error:
            raise Refused(error.status_code, error.resp_body.decode()) from None
        self.subprotocol = self._websocket.getsubprotocol() or ""
        self.extensions = ""

    def send(self, message):
        text, binary = websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY
        self._websocket.send(message, text if isinstance(message, str) else binary)

    def send_fragments(self, fragments):
        for fragment, opcode, fin in _as_frames(fragments):
            self._websocket.send_frame(websocket.ABNF.create_frame(fragment, opcode, fin))

    def receive(self):
        opcode, data = self._websocket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise Closed(*_close_payload(data))
        return data.decode() if opcode == websocket.ABNF.OPCODE_TEXT else data

    def ping(self, payload):
        self._websocket.ping(payload)
        frame = self._websocket.recv_frame()
        assert frame.opcode == websocket.ABNF.OPCODE_PONG
        assert frame.data == payload

    def close(self, code, reason):
        self._websocket.send_close(code, reason.encode())
        frame = self._websocket.recv_frame()
        assert frame.opcode == websocket.ABNF.OPCODE_CLOSE
        return _close_payload(frame.data)[0]

    def leave(self):
        self._websocket.shutdown()


class NodeWs(Client):
    """Node's ws. One process, which runs tests/node/client.js, serves all tests in turn."""

    name = "node-ws"
    _process: subprocess.Popen[str] | None = None

    def __init__(self, url: str, subprotocols: Sequence[str], compression: bool) -> None:
        self._start()
        options = {"subprotocols": list(subprotocols), "compression": compression}
        self._command(do="open", url=url, **options)
        answer = self._event()
        if answer["event"] != "open":
            self.leave()
            assert answer["event"] == "refused", answer
            raise Refused(answer["status"], answer["body"])
        self.subprotocol = answer["subprotocol"]
        self.extensions = answer["extensions"]

    @classmethod
    def _start(cls):
        if cls._process is not None:
            return
        if shutil.which("node") is None:
            missing("Node", "apt install nodejs npm")
        if not (NODE / "node_modules/ws").is_dir():
            missing("Node's ws", "cd tests/node && npm ci")
        cls._process = subprocess.Popen(
            ["node", NODE / "client.js"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    @classmethod
    def stop(cls):
        """End the process, if there is one."""
        if cls._process is not None:
            cls._process.kill()
            cls._process.communicate()
            cls._process = None

    def _command(self, **command):
        print(json.dumps(command), file=self._process.stdin, flush=True)

    def _event(self):
        """Return what Node reports next."""
        alarm = threading.Timer(PATIENCE, self._process.kill)
        alarm.start()
        line = self._process.stdout.readline()
        alarm.cancel()
        if not line:
            self.stop()
            raise AssertionError("Node ended, or had nothing to say")
        return json.loads(line)

    def _next(self, *wanted):
        """Return the next event, which must be one of those ``wanted``."""
        event = self._event()
        assert event["event"] in wanted, event
        return event

    def send(self, message):
        self.send_fragments([message])

    def send_fragments(self, fragments):
        binary = isinstance(fragments[0], bytes)
        for fragment, _, fin in _as_frames(fragments):
            self._command(do="send", data=_encode(fragment), binary=binary, fin=fin)

    def receive(self):
        event = self._next("message", "close")
        if event["event"] == "close":
            raise Closed(event["code"], event["reason"])
        data = base64.b64decode(event["data"])
        return data if event["binary"] else data.decode()

    def ping(self, payload):
        self._command(do="ping", data=_encode(payload))
        assert self._next("pong")["data"] == _encode(payload)

    def close(self, code, reason):
        self._command(do="close", code=code, reason=reason)
        return self._next("close")["code"]

    def leave(self):
        if self._process is not None:
            self._command(do="leave")
            while self._event()["event"] != "left":
                pass  # what it had to say before is of no interest to the next test


def _as_frames(fragments) -> Iterator[tuple[bytes, int, bool]]:
    """Yield the payload, the opcode and the FIN bit of each fragment's frame."""
    opcode = 1 if isinstance(fragments[0], str) else 2
    for index, fragment in enumerate(fragments, 1):
        payload = fragment.encode() if isinstance(fragment, str) else fragment
        yield payload, opcode, index == len(fragments)
        opcode = 0


def _encode(payload: bytes) -> str:
    return base64.b64encode(payload).decode()


def _close_payload(payload: bytes) -> tuple[int, str]:
    return int.from_bytes(payload[:2], "big") if payload else NO_STATUS, payload[2:].decode()


CLIENTS = [WebsocketsSync, WebsocketsAsyncio, WebsocketClient, Aiohttp, NodeWs]

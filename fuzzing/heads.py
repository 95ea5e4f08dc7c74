"""Opening requests of clients, valid and mutated. RFC 6455 section 4.1.

Only what a header's value may hold is in them (RFC 7230 section 3.2): the rest is
refused by an HTTP server, before the handshake is looked at.
"""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Callable
from typing import NamedTuple

from fuzzing.mutations import mutate_bytes


class Head(NamedTuple):
    """The head of a request."""

    method: str
    version: str
    #: Names and values, in order; a name may come twice.
    headers: tuple[tuple[str, str], ...]

    def build(self) -> bytes:
        lines = [f"{self.method} / {self.version}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def get(self, name: str) -> str:
        """Return what a WSGI server makes of a header: several joined by commas, "" for none."""
        return ",".join(value.strip(" \t") for each, value in self.headers if each.lower() == name)

    def put(self, name: str, *values: str) -> Head:
        """Return the head with these values instead of all that a header has."""
        kept = tuple(header for header in self.headers if header[0].lower() != name)
        return self._replace(headers=(*kept, *((name, value) for value in values)))


# Values, from which parts are taken.

_UPGRADES = ("websocket", "WebSocket", "websocket, h2c", "h2c", "websocket/13", ",websocket,", "x")
_CONNECTIONS = ("Upgrade", "upgrade", "keep-alive, Upgrade", "Upgrade,close", "keep-alive", "x y")
_VERSIONS = ("13", "8", "7", "14", "013", "13.0", "+13", "13, 8", "")
_PROTOCOLS = (
    "chat",
    "chat, superchat",
    "a,b",
    "superchat,chat",
    "chat, chat",
    ", ,",
    "a b",
    "\xe9",
)
_LENGTHS = ("0", "1", "00", "-1")
_METHODS = ("GET", "GET", "GET", "GET", "POST", "HEAD", "get", "CONNECT")
_HTTP = ("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1")

_NAMES = (
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
)
_BITS = ("8", "9", "10", "11", "12", "13", "14", "15")
_NO_BITS = ("", "7", "16", "0", "08", "+9", "1e1", '"10"', '"1\\0"', '"', '"9 "', '""', "a b", "=9")


def _parameter(rng: random.Random) -> str:
    name = rng.choice(_NAMES)
    if rng.random() < 0.05:
        name = rng.choice(("unknown", name.upper(), "", "max_window_bits"))
    chance = rng.random()
    if ("bits" in name) == (chance < 0.75):
        value = rng.choice(_BITS if rng.random() < 0.85 else _NO_BITS)
        between = rng.choice(("=", "=", "=", "=", " = ", "= "))
        if rng.random() < 0.1:
            value = f'"{value}"'
        return f"{name}{between}{value}" if "bits" in name or chance < 0.1 else name
    return name


def extensions(rng: random.Random) -> str:
    """Return a list of offers, most of them well-formed."""
    offers = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        name = "permessage-deflate"
        if rng.random() < 0.1:
            name = rng.choice(("permessage-bzip2", "x-webkit-deflate-frame", "Permessage-Deflate"))
        parameters = [_parameter(rng) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4)))]
        offers.append(rng.choice(("; ", "; ", ";", " ; ")).join([name, *parameters]))
    return rng.choice((", ", ", ", ",", " , ", ",,")).join(offers)


def valid_head(rng: random.Random) -> Head:
    """Return an opening request that a server takes."""
    headers = [
        ("Host", "localhost"),
        ("Upgrade", rng.choice(_UPGRADES[:2])),
        ("Connection", rng.choice(_CONNECTIONS[:4])),
        ("Sec-WebSocket-Key", base64.b64encode(rng.randbytes(16)).decode()),
        ("Sec-WebSocket-Version", "13"),
    ]
    if rng.random() < 0.4:
        headers.append(("Sec-WebSocket-Protocol", rng.choice(_PROTOCOLS[:4])))
    if rng.random() < 0.85:
        headers.append(("Sec-WebSocket-Extensions", extensions(rng)))
    if rng.random() < 0.1:
        headers.append(("Content-Length", "0"))
    if rng.random() < 0.1:
        headers.append(("User-Agent", "fuzzing"))
    rng.shuffle(headers)
    return Head("GET", "HTTP/1.1", tuple(headers))


#: What takes another's place in a value that is mutated.
_POOL = {
    "upgrade": _UPGRADES,
    "connection": _CONNECTIONS,
    "sec-websocket-version": _VERSIONS,
    "sec-websocket-protocol": _PROTOCOLS,
    "content-length": _LENGTHS,
    "sec-websocket-key": ("", "dGhlIHNhbXBsZSBub25jZQ==", "AAAA", "A" * 24, "A" * 22 + "=="),
    "host": ("", "localhost:80"),
}

_NO_FIELD = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")


def _edit(rng: random.Random, value: str) -> str:
    """Return a value with a byte or some changed, and only of what a value may hold."""
    data = mutate_bytes(rng, value.encode("latin-1"), extensions(rng).encode(), head=200)
    if rng.random() < 0.5:
        at = int(rng.random() * (len(data) + 1))
        data = (
            data[:at] + rng.choice((b",", b";", b"=", b'"', b"\\", b" ", b"\t", b"/")) + data[at:]
        )
    return _NO_FIELD.sub(b"~", data).decode("latin-1")


def _mutate_a_value(rng: random.Random, head: Head) -> Head:
    at = int(rng.random() * len(head.headers))
    name, value = head.headers[at]
    if rng.random() < 0.4 and name.lower() in _POOL:
        value = rng.choice(_POOL[name.lower()])
    else:
        value = _edit(rng, value)
    return head._replace(headers=(*head.headers[:at], (name, value), *head.headers[at + 1 :]))


def _mutate_the_offers(rng: random.Random, head: Head) -> Head:
    value = head.get("sec-websocket-extensions") or extensions(rng)
    return head.put("sec-websocket-extensions", _edit(rng, value))


def _leave_one_out(rng: random.Random, head: Head) -> Head:
    at = int(rng.random() * len(head.headers))
    return head._replace(headers=head.headers[:at] + head.headers[at + 1 :])


def _double_one(rng: random.Random, head: Head) -> Head:
    name, value = rng.choice(head.headers)
    if rng.random() < 0.5 and name.lower() in _POOL:
        value = rng.choice(_POOL[name.lower()])
    return head._replace(headers=(*head.headers, (name, value)))


def _cut_a_list(rng: random.Random, head: Head) -> Head:
    """Make two headers of one at a comma, or elsewhere."""
    name, value = rng.choice(head.headers)
    at = value.find(",")
    if at < 0 or rng.random() < 0.2:
        at = int(rng.random() * (len(value) + 1))
    return head.put(name.lower(), value[:at], value[at:].removeprefix(","))


def _change_the_line(rng: random.Random, head: Head) -> Head:
    return head._replace(method=rng.choice(_METHODS), version=rng.choice(_HTTP))


def _announce_a_body(rng: random.Random, head: Head) -> Head:
    if rng.random() < 0.3:
        return head.put("transfer-encoding", "chunked")
    return head.put("content-length", rng.choice(_LENGTHS))


_MUTATIONS: list[Callable[[random.Random, Head], Head]] = [
    *[_mutate_a_value] * 6,
    *[_mutate_the_offers] * 4,
    _leave_one_out,
    _double_one,
    _cut_a_list,
    _change_the_line,
    _announce_a_body,
]


def mutated_head(rng: random.Random, head: Head) -> Head:
    """Return a head in which something is wrong, or just odd."""
    return _MUTATIONS[int(rng.random() * len(_MUTATIONS))](rng, head)

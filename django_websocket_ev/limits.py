"""How many WebSockets a process, and a client, may have open at once.

A place is taken before the view runs and given back once the connection is over,
or when the response that holds it is thrown away unused, as middleware may do.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from django.http import HttpRequest

    from django_websocket_ev.conf import Options

#: Seconds after which one who was refused may try again.
RETRY_AFTER = 10

#: 192.0.2.1:80, [2001:db8::1]:80 and [2001:db8::1]
_WITH_PORT = re.compile(r"^(?:([\d.]+):\d+|\[([^\]]+)\](?::\d+)?)$")

#: Characters of an address with a zone and a port. What is longer is none, and not worth a cache.
_LONGEST = 80

#: Places that are taken, by client; those of all together have no name.
_taken: Counter[str | None] = Counter()


class NoPlace(Exception):
    """As many WebSockets are open as may be; its text is for the client's developer."""

    def __init__(self, limit: str, text: str) -> None:
        super().__init__(text)
        #: The name of the option that sets the limit.
        self.limit = limit


class Place:
    """Room for one WebSocket, until it is given back or forgotten."""

    __slots__ = ("_keys",)

    def __init__(self, client: str) -> None:
        self._keys: tuple[str | None, ...] = (None, client)
        _taken[None] += 1
        _taken[client] += 1

    def give_back(self) -> None:
        """Let another have it; a second call does nothing."""
        keys, self._keys = self._keys, ()
        for key in keys:
            _taken[key] -= 1
            if not _taken[key]:
                del _taken[key]

    __del__ = give_back


def take_place(request: HttpRequest, options: Options) -> Place:
    """Return a place for the WebSocket that ``request`` asks for.

    Raises :class:`NoPlace`: ``WEBSOCKET_MAX_CONNECTIONS`` are open, or
    ``WEBSOCKET_MAX_CONNECTIONS_PER_CLIENT`` from this client.
    """
    if options.max_connections is not None and _taken[None] >= options.max_connections:
        raise NoPlace(
            "max_connections",
            f"This process has {options.max_connections} WebSockets open, its limit.",
        )
    client = _client(request, options.client_address)
    most = options.max_connections_per_client
    if most is not None and client and _taken[client] >= most:
        raise NoPlace(
            "max_connections_per_client",
            f"Your address has {most} WebSockets open here, the limit for one client.",
        )
    return Place(client)


def _client(request: HttpRequest, hook: str | None) -> str:
    """Return what tells a client from others; "" if nothing does, as on a UNIX socket."""
    address = remote_address(request) if hook is None else import_string(hook)(request)
    text = str(address or "")
    return _network(text) if len(text) <= _LONGEST else text


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    """Return the network of an address that a single client may have for itself."""
    try:
        # Some proxies append the port.
        parsed = ip_address(_WITH_PORT.sub(r"\1\2", address))
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        # A single machine has a /64 to choose from.
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)


def remote_address(request: HttpRequest) -> str:
    """Return the address of whoever connected to this server: a proxy's, behind one."""
    address: str = request.META.get("REMOTE_ADDR", "")
    return address


def forwarded_for(request: HttpRequest) -> str:
    """Return the address that the proxy in front was connected to from.

    That is the last in X-Forwarded-For: the proxy has added it, and whatever comes
    before it, the client may have made up. For ``WEBSOCKET_CLIENT_ADDRESS``,
    and for a server that only the proxy can reach.
    """
    forwarded: str = request.META.get("HTTP_X_FORWARDED_FOR", "")
    return forwarded.rpartition(",")[2].strip() or remote_address(request)

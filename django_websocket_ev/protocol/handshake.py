"""The opening handshake, as the server sees it. RFC 6455 §4.2.

:func:`parse` says what a request's headers ask for: nothing (plain HTTP),
a WebSocket that may be opened, or a :class:`Refusal` with its reason.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

#: The one version of the protocol that became a standard (§4.1).
VERSION = "13"

#: §1.3: any server that knows the protocol proves it with this.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

#: RFC 7230 §3.2.6: token = 1*tchar
_TCHARS = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TOKEN = re.compile(_TCHARS)

#: §9.1: extension = token *( ";" token [ "=" ( token | quoted-string ) ] )
_EXTENSION = re.compile(rf"[ \t,]*({_TCHARS})[ \t]*")
_PARAMETER = re.compile(
    rf';[ \t]*({_TCHARS})[ \t]*(?:=[ \t]*(?:({_TCHARS})|"((?:[^"\\]|\\.)*)")[ \t]*)?'
)

#: An extension that a client offers: its name, and its parameters with their values.
Extension = tuple[str, tuple[tuple[str, str | None], ...]]

_VERSION = re.compile(r"HTTP/(\d)\.(\d)")


class Refusal(Exception):
    """A request wants a WebSocket in a way that cannot be granted.

    ``reason`` is one sentence for the client's developer, ``headers`` what the
    answer, a status of 400, must carry.
    """

    def __init__(self, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.headers = headers or {}


class Opening(NamedTuple):
    """A valid request for a WebSocket."""

    #: The value of Sec-WebSocket-Key.
    key: str
    #: The subprotocols that the client offers, in its order of preference.
    subprotocols: tuple[str, ...]
    #: The extensions that it offers, likewise.
    extensions: tuple[Extension, ...] = ()


def tokens(value: str) -> list[str]:
    """Return the members of a comma-separated list, RFC 7230 §7, without empty ones."""
    return [member for member in (part.strip(" \t") for part in value.split(",")) if member]


def is_token(value: object) -> bool:
    """Whether ``value`` is a str that is one token, RFC 7230 §3.2.6."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def _names(value: str, token: str) -> bool:
    return token in (member.lower() for member in tokens(value))


def parse(method: str, http_version: str, header: Callable[[str], str]) -> Opening | None:
    """Return the opening that a request asks for; None if it is plain HTTP.

    ``method`` and ``http_version`` ("HTTP/1.1") are the request line's;
    ``header`` returns the value of a header by its name in lower case, ``""``
    where it is missing, several of a name joined by commas.

    Raises :class:`Refusal` where WebSocket headers are there, but not as §4.2.1
    wants them.
    """
    upgrade = header("upgrade")
    key = header("sec-websocket-key").strip(" \t")
    version = header("sec-websocket-version").strip(" \t")
    if not _names(upgrade, "websocket"):
        # No plain request has these two: somebody on the way took the rest.
        if key and version:
            raise Refusal(
                "The Upgrade header does not say 'websocket'."
                " A proxy in front must pass on Upgrade and Connection."
            )
        return None
    if method != "GET":
        raise Refusal(f"A WebSocket opens with GET, not with {method}.")
    match = _VERSION.fullmatch(http_version)
    if match is None or (int(match[1]), int(match[2])) < (1, 1):
        raise Refusal(f"A WebSocket opens with HTTP/1.1, not with {http_version}.")
    if not header("host"):
        raise Refusal("The Host header is missing.")
    if not _names(header("connection"), "upgrade"):
        raise Refusal(
            "The Connection header does not say 'Upgrade'."
            " A proxy in front must pass on Upgrade and Connection."
        )
    if version != VERSION:
        raise Refusal(
            f"Sec-WebSocket-Version must be {VERSION}, not {version or 'missing'}.",
            {"Sec-WebSocket-Version": VERSION},  # §4.4
        )
    if not key:
        raise Refusal("The Sec-WebSocket-Key header is missing.")
    if not _is_key(key):
        raise Refusal("Sec-WebSocket-Key must be 16 bytes in base64.")
    # A body would be read as frames, or frames as a body.
    if header("transfer-encoding") or header("content-length").strip(" \t") not in ("", "0"):
        raise Refusal("A WebSocket's opening request has no body.")
    protocols = header("sec-websocket-protocol").strip(" \t")
    offered = tokens(protocols)
    if not all(map(is_token, offered)) or len(set(offered)) < max(len(offered), bool(protocols)):
        raise Refusal("Sec-WebSocket-Protocol must be a list of different tokens.")
    extensions = parse_extensions(header("sec-websocket-extensions"))
    return Opening(key, tuple(offered), extensions)


def parse_extensions(value: str) -> tuple[Extension, ...]:
    """Return what a Sec-WebSocket-Extensions header offers, in order.

    Raises :class:`Refusal` where it breaks the grammar of §9.1: the server must
    fail the connection then.
    """
    extensions: list[Extension] = []
    value = value.strip(" \t")
    if value and not tokens(value):
        raise Refusal("Sec-WebSocket-Extensions is malformed.")
    value = value.rstrip(" \t,")
    position = 0
    while position < len(value):
        name = _EXTENSION.match(value, position)
        if name is None or (extensions and "," not in name[0]):
            raise Refusal("Sec-WebSocket-Extensions is malformed.")
        position = name.end()
        parameters = []
        while parameter := _PARAMETER.match(value, position):
            position = parameter.end()
            content = parameter[2]
            if parameter[3] is not None:
                content = re.sub(r"\\(.)", r"\1", parameter[3])
                if not is_token(content):  # §9.1: once it is unescaped, it must be one
                    raise Refusal("Sec-WebSocket-Extensions quotes what is no token.")
            parameters.append((parameter[1], content))
        extensions.append((name[1], tuple(parameters)))
    return tuple(extensions)


def _is_key(key: str) -> bool:
    """Whether ``key`` is the base64 of 16 bytes (§4.1, point 7)."""
    try:
        return len(key) == 24 and len(base64.b64decode(key.encode(), validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def accept_key(key: str) -> str:
    """Return the Sec-WebSocket-Accept that answers ``key`` (§4.2.2, point 5.4)."""
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def select_subprotocol(offered: Sequence[str], supported: Iterable[str]) -> str | None:
    """Return the first of ``supported`` that is ``offered``, None if there is none."""
    return next((name for name in supported if name in offered), None)


def build_response(
    opening: Opening,
    subprotocol: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    extension: object | None = None,
) -> bytes:
    """Return the 101 response (§4.2.2, point 5), with further ``headers`` such as cookies.

    ``extension`` is what was agreed on of those that the client offers; its str is sent.
    Raises ValueError for a header that would break out of its line.
    """
    lines = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_key(opening.key)),
    ]
    if subprotocol is not None:
        lines.append(("Sec-WebSocket-Protocol", subprotocol))
    if extension is not None:
        lines.append(("Sec-WebSocket-Extensions", str(extension)))
    lines.extend(headers)
    for name, value in lines:
        if not is_token(name) or re.search(r"[\r\n\0]", value):
            raise ValueError(f"the header {name!r} cannot be sent: {value!r}")
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"HTTP/1.1 101 Switching Protocols\r\n{head}\r\n".encode("latin-1")

"""What a setting, or a decorator's option, may be.

A validator returns what is wrong with a value, as "must be ..."; None if nothing is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.utils.module_loading import import_string

from django_websocket_ev.protocol.deflate import MAX_WINDOW_BITS, MIN_WINDOW_BITS
from django_websocket_ev.protocol.handshake import is_token

Validator = Callable[[Any], str | None]

#: scheme://host[:port], a wildcard for subdomains as in CSRF_TRUSTED_ORIGINS, or "null".
_ORIGIN = re.compile(
    r"null|[a-zA-Z][a-zA-Z0-9+.-]*://(\*\.)?(\[[0-9a-fA-F:.]+\]|[^/:*@?#\s]+)(:\d+)?"
)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def boolean(value: Any) -> str | None:
    """True or False."""
    return None if isinstance(value, bool) else "must be True or False"


def positive_int(value: Any) -> str | None:
    """An integer of 1 or more."""
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return None if is_int and value >= 1 else "must be an integer of 1 or more"


def positive_int_or_none(value: Any) -> str | None:
    """The same, or None for no limit."""
    return (
        None
        if value is None or positive_int(value) is None
        else ("must be an integer of 1 or more, or None for no limit")
    )


def seconds(value: Any) -> str | None:
    """A number of seconds above 0."""
    return (
        None
        if _is_number(value) and 0 < value < float("inf")
        else ("must be a number of seconds above 0")
    )


def seconds_or_none(value: Any) -> str | None:
    """The same, or None to turn it off."""
    return (
        None
        if value is None or seconds(value) is None
        else ("must be a number of seconds above 0, or None to turn it off")
    )


def seconds_or_zero(value: Any) -> str | None:
    """A number of seconds above 0, or 0 to turn it off."""
    is_zero = _is_number(value) and value == 0
    if is_zero or seconds(value) is None:
        return None
    return "must be a number of seconds above 0, or 0 to turn it off"


def _integer(smallest: int, largest: int) -> Validator:
    def validate(value: Any) -> str | None:
        is_int = isinstance(value, int) and not isinstance(value, bool)
        if is_int and smallest <= value <= largest:
            return None
        return f"must be an integer from {smallest} to {largest}"

    return validate


_window_bits = _integer(MIN_WINDOW_BITS, MAX_WINDOW_BITS)

_COMPRESSION: dict[str, Validator] = {
    "server_no_context_takeover": boolean,
    "client_no_context_takeover": boolean,
    "server_max_window_bits": _window_bits,
    "client_max_window_bits": _window_bits,
    "level": _integer(1, 9),
    "memory_level": _integer(1, 9),
    "threshold": _integer(0, 2**31),
}


def compression(value: Any) -> str | None:
    """What a Compression can be made of."""
    if value is None or value == "deflate":
        return None
    if not isinstance(value, Mapping):
        return 'must be "deflate", None to turn it off, or a dict'
    for name, content in value.items():
        if name not in _COMPRESSION:
            return f"must be a dict of {', '.join(_COMPRESSION)}"
        error = _COMPRESSION[name](content)
        if error is not None:
            return f"must be right, and its {name} {error}"
    return None


def dotted_path_or_none(value: Any) -> str | None:
    """The dotted path of something that can be called."""
    if value is None:
        return None
    try:
        found = import_string(value)
    except (ImportError, AttributeError, TypeError) as error:
        return f"must be the dotted path of a function, or None ({error})"
    return None if callable(found) else "must be the dotted path of a function, or None"


def origins(value: Any) -> str | None:
    """None, "*", or origins."""
    if value is None or value == "*":
        return None
    if isinstance(value, str) or not isinstance(value, Sequence):
        return 'must be None, "*", or a list of origins'
    for origin in value:
        if origin != "*" and not (isinstance(origin, str) and _ORIGIN.fullmatch(origin)):
            return f"must hold origins such as 'https://example.com', not {origin!r}"
    return None


def subprotocols(value: Any) -> str | None:
    """A list of tokens."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return "must be a list of subprotocols"
    for name in value:
        if not is_token(name):
            return f"must hold tokens such as 'chat.v1', not {name!r}"
    return None

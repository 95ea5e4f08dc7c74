"""Every ``WEBSOCKET_*`` setting: its default, its meaning, what it may be.

Settings are read once, on the first WebSocket, into an :class:`Options`; the
decorators' options override them for one view. Both pass the same validators,
which the system checks call at start.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver

from django_websocket_ev.protocol.handshake import is_token

#: A validator returns what is wrong with a value, as "must be ..."; None if nothing is.
Validator = Callable[[Any], str | None]

#: scheme://host[:port], a wildcard for subdomains as in CSRF_TRUSTED_ORIGINS, or "null".
_ORIGIN = re.compile(
    r"null|[a-zA-Z][a-zA-Z0-9+.-]*://(\*\.)?(\[[0-9a-fA-F:.]+\]|[^/:*@?#\s]+)(:\d+)?"
)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be True or False"


def _positive_int(value: Any) -> str | None:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return None if is_int and value >= 1 else "must be an integer of 1 or more"


def _positive_int_or_none(value: Any) -> str | None:
    return (
        None
        if value is None or _positive_int(value) is None
        else ("must be an integer of 1 or more, or None for no limit")
    )


def _seconds(value: Any) -> str | None:
    return (
        None
        if _is_number(value) and 0 < value < float("inf")
        else ("must be a number of seconds above 0")
    )


def _origins(value: Any) -> str | None:
    if value is None or value == "*":
        return None
    if isinstance(value, str) or not isinstance(value, Sequence):
        return 'must be None, "*", or a list of origins'
    for origin in value:
        if origin != "*" and not (isinstance(origin, str) and _ORIGIN.fullmatch(origin)):
            return f"must hold origins such as 'https://example.com', not {origin!r}"
    return None


def _subprotocols(value: Any) -> str | None:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return "must be a list of subprotocols"
    for name in value:
        if not is_token(name):
            return f"must hold tokens such as 'chat.v1', not {name!r}"
    return None


class Option(NamedTuple):
    """One thing that can be set."""

    default: Any
    validate: Validator
    meaning: str
    #: Whether WEBSOCKET_<NAME> sets it for the whole project.
    is_setting: bool = True
    #: Whether the decorators take it for one view.
    is_view_option: bool = True


OPTIONS: dict[str, Option] = {
    "accept_all": Option(
        False, _boolean, "every view takes WebSockets", is_view_option=False
    ),
    "allowed_origins": Option(
        None,
        _origins,
        "None: the page's own origin and CSRF_TRUSTED_ORIGINS; else a list of origins"
        ' besides its own, "*" for all',
    ),
    "max_message_size": Option(
        2**20, _positive_int_or_none, "bytes of a message; 1009 above it; None for no limit"
    ),
    "max_queue": Option(
        64, _positive_int, "whole messages waiting for the view; above it reading pauses"
    ),
    "write_limit": Option(
        2**20, _positive_int, "bytes waiting for the client; a view's send() blocks above it"
    ),
    "send_timeout": Option(
        30, _seconds, "seconds that send() may block before the client counts as gone"
    ),
    "close_timeout": Option(
        10, _seconds, "seconds for the peer's half of the closing handshake"
    ),
    "subprotocols": Option(
        (),
        _subprotocols,
        "the subprotocols that a view speaks, the preferred one first",
        is_setting=False,
    ),
}  # fmt: skip


class Options(NamedTuple):
    """The options that one WebSocket lives by."""

    accept_all: bool
    allowed_origins: str | tuple[str, ...] | None
    max_message_size: int | None
    max_queue: int
    write_limit: int
    send_timeout: float
    close_timeout: float
    subprotocols: tuple[str, ...]


#: What a decorator was given: hashable, so that its options are worked out once.
Overrides = tuple[tuple[str, Any], ...]


def setting_name(option: str) -> str:
    """Return the name that an option has in settings.py."""
    return f"WEBSOCKET_{option.upper()}"


def setting_errors() -> list[tuple[str, str]]:
    """Return the name of each wrong setting, and what it must be."""
    errors = []
    for name, option in OPTIONS.items():
        if option.is_setting:
            value = getattr(settings, setting_name(name), option.default)
            error = option.validate(value)
            if error is not None:
                errors.append((setting_name(name), f"{error}, not {value!r}"))
    return errors


def unknown_settings() -> list[str]:
    """Return the WEBSOCKET_* settings that nothing reads: most likely misspelt."""
    known = {setting_name(name) for name, option in OPTIONS.items() if option.is_setting}
    return sorted(
        name for name in dir(settings) if name.startswith("WEBSOCKET_") and name not in known
    )


def view_overrides(given: Mapping[str, Any]) -> Overrides:
    """Return a decorator's options, checked.

    Raises TypeError for an option that does not exist, ImproperlyConfigured
    for a value that it may not have.
    """
    names = sorted(name for name, option in OPTIONS.items() if option.is_view_option)
    for name, value in given.items():
        if name not in names:
            raise TypeError(f"{name!r} is no option of a WebSocket view: use {', '.join(names)}")
        error = OPTIONS[name].validate(value)
        if error is not None:
            raise ImproperlyConfigured(f"the option {name} {error}, not {value!r}")
    return tuple((name, _hashable(value)) for name, value in given.items())


@cache
def get_options(overrides: Overrides = ()) -> Options:
    """Return the settings, with a view's overrides over them.

    Raises ImproperlyConfigured where a setting has a value that it may not have.
    """
    for name, error in setting_errors():
        raise ImproperlyConfigured(f"{name} {error}")
    values = {
        name: _hashable(getattr(settings, setting_name(name), option.default))
        if option.is_setting
        else option.default
        for name, option in OPTIONS.items()
    }
    return Options(**{**values, **dict(overrides)})


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    """Let ``override_settings`` in a test take effect."""
    if setting.startswith("WEBSOCKET_"):
        get_options.cache_clear()

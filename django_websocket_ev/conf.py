"""Every ``WEBSOCKET_*`` setting: its default, its meaning, what it may be.

Settings are read once, on the first WebSocket, into an :class:`Options`; the
decorators' options override them for one view. Both pass the same validators,
which the system checks call at start.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver

from django_websocket_ev import validators as valid
from django_websocket_ev.protocol.deflate import Compression


class Option(NamedTuple):
    """One thing that can be set."""

    default: Any
    validate: valid.Validator
    meaning: str
    #: Whether WEBSOCKET_<NAME> sets it for the whole project.
    is_setting: bool = True
    #: Whether the decorators take it for one view.
    is_view_option: bool = True


OPTIONS: dict[str, Option] = {
    "accept_all": Option(
        False, valid.boolean, "every view takes WebSockets", is_view_option=False
    ),
    "allowed_origins": Option(
        None,
        valid.origins,
        "None: the page's own origin and CSRF_TRUSTED_ORIGINS; else a list of origins"
        ' besides its own, "*" for all',
    ),
    "max_message_size": Option(
        2**20, valid.positive_int_or_none, "bytes of a message; 1009 above it; None for no limit"
    ),
    "max_queue": Option(
        64, valid.positive_int, "whole messages waiting for the view; above it reading pauses"
    ),
    "read_limit": Option(
        2**20, valid.positive_int, "bytes of messages waiting for the view; above it reading pauses"
    ),
    "write_limit": Option(
        2**20, valid.positive_int, "bytes waiting for the client; a view's send() blocks above it"
    ),
    "send_timeout": Option(
        30, valid.seconds, "seconds that send() may block before the client counts as gone"
    ),
    "close_timeout": Option(
        10, valid.seconds, "seconds for the peer's half of the closing handshake"
    ),
    "ping_interval": Option(
        20, valid.seconds_or_none, "seconds without a byte from the client before it gets a Ping"
    ),
    "ping_timeout": Option(
        20, valid.seconds_or_none, "seconds for any answer to a Ping; 1011 after it"
    ),
    "compression": Option(
        "deflate",
        valid.compression,
        "permessage-deflate; None turns it off, a dict sets window bits, context takeover,"
        " level and threshold",
    ),
    "db_idle": Option(
        0.5,
        valid.seconds_or_none,
        "seconds of waiting after which a view gives its database connections back; None: never",
    ),
    "db_connections": Option(
        None,
        valid.positive_int_or_none,
        "connections of a process to one database, where there is no pool; whoever needs one"
        " more waits its turn; None for no limit",
        is_view_option=False,
    ),
    "session_check": Option(
        30,
        valid.seconds_or_zero,
        "seconds between looks at the session that opened a WebSocket; 0: never",
        is_view_option=False,
    ),
    "hub_watchdog": Option(
        None,
        valid.seconds_or_none,
        "seconds that the hub may be held before a warning says by which line; 0.1 under"
        " runwsserver where it is not set",
        is_view_option=False,
    ),
    "max_connections": Option(
        10_000,
        valid.positive_int_or_none,
        "WebSockets open at once in a process; 503 above it; None for no limit",
        is_view_option=False,
    ),
    "max_connections_per_client": Option(
        None,
        valid.positive_int_or_none,
        "the same, from one address",
        is_view_option=False,
    ),
    "client_address": Option(
        None,
        valid.dotted_path_or_none,
        "None: REMOTE_ADDR; else a function that returns a request's address, as a dotted path",
        is_view_option=False,
    ),
    "request_timeout": Option(
        60,
        valid.seconds,
        "seconds for the head of a request: on our own server of any, under gunicorn of the first",
        is_view_option=False,
    ),
    "subprotocols": Option(
        (),
        valid.subprotocols,
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
    read_limit: int
    close_timeout: float
    ping_interval: float | None
    ping_timeout: float | None
    compression: Compression | None
    db_idle: float | None
    db_connections: int | None
    session_check: float
    hub_watchdog: float | None
    max_connections: int | None
    max_connections_per_client: int | None
    client_address: str | None
    request_timeout: float
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
    return tuple((name, _settled(name, value)) for name, value in given.items())


@cache
def get_options(overrides: Overrides = ()) -> Options:
    """Return the settings, with a view's overrides over them.

    Raises ImproperlyConfigured where a setting has a value that it may not have.
    """
    for name, error in setting_errors():
        raise ImproperlyConfigured(f"{name} {error}")
    values = {
        name: _settled(name, getattr(settings, setting_name(name), option.default))
        if option.is_setting
        else option.default
        for name, option in OPTIONS.items()
    }
    return Options(**{**values, **dict(overrides)})


def _settled(name: str, value: Any) -> Any:
    """Return a value as an Options holds it: hashable."""
    if name == "compression" and value is not None:
        return Compression(**({} if value == "deflate" else value))
    return tuple(value) if isinstance(value, (list, tuple)) else value


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: Any) -> None:
    """Let ``override_settings`` in a test take effect."""
    if setting.startswith("WEBSOCKET_"):
        get_options.cache_clear()

"""Who opened a WebSocket may stop being allowed to: it closes with 4401 then.

A request proves once who sends it, and a WebSocket lives on for hours. So the sockets
of users are looked at again, every ``WEBSOCKET_SESSION_CHECK`` seconds: is the
session still there, is it the same user's, has the password changed, may the user
still log in? What this process sees itself, a logout or a saved user, has them
looked at in the same moment.

One thread of the process does it, a green one, for many sockets with a few queries.
"""

from __future__ import annotations

import logging
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.utils.crypto import constant_time_compare

from django_websocket_ev.conf import get_options
from django_websocket_ev.databases import give_back_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib.sessions.backends.base import SessionBase

    from django_websocket_ev.connection import Connection

logger = logging.getLogger("django_websocket_ev")

#: HTTP's 401, in the range of codes that are an application's own (RFC 6455 §7.4.2).
UNAUTHORIZED = 4401

#: Logins to look at with one query.
_CHUNK = 100


class Login(NamedTuple):
    """A session in which a user is logged in."""

    session_key: str
    user_id: str
    backend: str


class Watch:
    """Has one WebSocket looked at, from when it is made until :meth:`end`."""

    __slots__ = ("_session", "connection")

    def __init__(self, session: SessionBase, connection: Connection) -> None:
        self._session = session
        self.connection = connection
        _watches.add(self)
        _thread.start()

    def end(self) -> None:
        """Look no more."""
        _watches.discard(self)

    def login(self) -> Login | None:
        """Return the login that the WebSocket was opened with, None if nobody has asked."""
        session = self._session
        # Where no one has looked at the session, it is nobody's business, and no query.
        if not session.accessed or session.session_key is None:
            return None
        user_id = session.get(SESSION_KEY)
        if user_id is None:
            return None
        return Login(session.session_key, user_id, session.get(BACKEND_SESSION_KEY, ""))


_watches: set[Watch] = set()


class _Thread:
    """Looks at all logins now and then, and at some of them at once.

    It ends when it is time to look and nobody is there: one for each client that
    comes alone would be a fifth of what its handshake costs.
    """

    def __init__(self) -> None:
        self._is_running = False
        self._wake = threading.Event()
        #: The sessions and the users that somebody has changed.
        self._sessions: set[str] = set()
        self._users: set[str] = set()

    def start(self) -> None:
        if not self._is_running and get_options().session_check:
            self._is_running = True
            self._wake = threading.Event()
            threading.Thread(target=self._run, name="session check", daemon=True).start()

    def look_at(self, *, session: str | None = None, user: str | None = None) -> None:
        """Look at these logins soon; from whatever thread."""
        if not self._is_running:
            return
        if session is not None:
            self._sessions.add(session)
        if user is not None:
            self._users.add(user)
        self._wake.set()

    def _run(self) -> None:
        try:
            while _watches:
                was_woken = self._wake.wait(get_options().session_check)
                self._wake.clear()
                sessions, self._sessions = self._sessions, set()
                users, self._users = self._users, set()
                check(
                    login
                    for login in _logins()
                    if not was_woken or login.session_key in sessions or login.user_id in users
                )
        finally:
            self._is_running = False


_thread = _Thread()


def _logins() -> dict[Login, list[Connection]]:
    found: dict[Login, list[Connection]] = {}
    for watch in list(_watches):
        login = watch.login()
        if login is not None and not watch.connection.closed:
            found.setdefault(login, []).append(watch.connection)
    return found


def check(logins: Iterable[Login]) -> None:
    """Close the WebSockets of those among the ``logins`` that are none any more."""
    some = list(logins)
    for at in range(0, len(some), _CHUNK):
        chunk = some[at : at + _CHUNK]
        try:
            ended = set(chunk) - _valid(chunk)
        except Exception:
            # A database that is down for a moment must not log everybody out.
            logger.exception("The logins of WebSockets could not be checked")
        else:
            close(ended)
        finally:
            give_back_all()


def close(logins: set[Login]) -> None:
    """Close the WebSockets that were opened with these logins."""
    for login, connections in _logins().items():
        if login in logins:
            for connection in connections:
                connection.close(UNAUTHORIZED, "the session has ended")


def _valid(logins: list[Login]) -> set[Login]:
    sessions = _load_sessions(logins)
    users = _load_users([login for login in logins if login in sessions])
    return {
        login
        for login, data in sessions.items()
        if data.get(SESSION_KEY) == login.user_id
        and login in users
        and _has_same_password(users[login], data)
    }


def _load_sessions(logins: list[Login]) -> dict[Login, dict[str, Any]]:
    """Return what the sessions hold, as far as there are any."""
    store_class = import_module(settings.SESSION_ENGINE).SessionStore
    if settings.SESSION_ENGINE == "django.contrib.sessions.backends.db":
        from django.utils import timezone

        keys = {login.session_key for login in logins}
        rows = store_class.get_model_class().objects.filter(
            session_key__in=keys, expire_date__gt=timezone.now()
        )
        stored = {row.session_key: store_class().decode(row.session_data) for row in rows}
        return {x: stored[x.session_key] for x in logins if x.session_key in stored}
    return {login: store_class(login.session_key).load() for login in logins}


def _load_users(logins: list[Login]) -> dict[Login, Any]:
    """Return the users that may still log in."""
    user_model = get_user_model()
    backends: dict[str, Any] = {}
    for login in logins:
        if login.backend in settings.AUTHENTICATION_BACKENDS and login.backend not in backends:
            backends[login.backend] = load_backend(login.backend)
    found: dict[Login, Any] = {}
    stock: dict[Login, Any] = {}
    for login in logins:
        backend = backends.get(login.backend)
        if backend is None:
            continue
        user_id = user_model._meta.pk.to_python(login.user_id)
        if type(backend).get_user is ModelBackend.get_user:
            stock[login] = user_id
        else:
            found[login] = backend.get_user(user_id)
    if stock:
        users = user_model._default_manager.in_bulk(set(stock.values()))
        for login, user_id in stock.items():
            user = users.get(user_id)
            if user is not None and backends[login.backend].user_can_authenticate(user):
                found[login] = user
    return {login: user for login, user in found.items() if user is not None}


def _has_same_password(user: Any, data: dict[str, Any]) -> bool:
    """Whether the session was begun with the password of today, as Django sees it."""
    if not hasattr(user, "get_session_auth_hash"):
        return True
    stored = data.get(HASH_SESSION_KEY) or ""
    hashes = [user.get_session_auth_hash()]
    if hasattr(user, "get_session_auth_fallback_hash"):  # SECRET_KEY_FALLBACKS
        hashes += user.get_session_auth_fallback_hash()
    return any(constant_time_compare(stored, each) for each in hashes)


def _on_logout(*, request: Any, **kwargs: Any) -> None:
    key = getattr(getattr(request, "session", None), "session_key", None)
    if key is not None:
        close({login for login in _logins() if login.session_key == key})


def _on_change_of_user(*, instance: Any, **kwargs: Any) -> None:
    if _watches and set(kwargs.get("update_fields") or ()) != {"last_login"}:
        user_id = instance._meta.pk.value_to_string(instance)
        transaction.on_commit(lambda: _thread.look_at(user=user_id), using=kwargs["using"])


def _on_end_of_session(*, instance: Any, **kwargs: Any) -> None:
    if _watches:
        key = instance.session_key
        transaction.on_commit(lambda: _thread.look_at(session=key), using=kwargs["using"])


def connect_signals() -> None:
    """Hear of what happens in this process; for when all models are there."""
    user_logged_out.connect(_on_logout, dispatch_uid=__name__)
    user_model = get_user_model()
    post_save.connect(_on_change_of_user, user_model, dispatch_uid=__name__)
    post_delete.connect(_on_change_of_user, user_model, dispatch_uid=__name__)
    store_class = import_module(settings.SESSION_ENGINE).SessionStore
    if hasattr(store_class, "get_model_class"):
        model = store_class.get_model_class()
        post_delete.connect(_on_end_of_session, model, dispatch_uid=__name__)

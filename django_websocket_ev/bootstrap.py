"""The monkey-patching, once, before Django is imported.

A patched process turns blocking into waiting: a view that blocks, on its
WebSocket, on a socket of its own, in ``time.sleep``, lets all others run. It
works only from the first line on. What was made before, above all the
``threading.local`` behind Django's database connections, would be shared by
every green thread, and two clients would talk through one connection. So
:func:`patch` refuses to come late.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

#: The first lines of a manage.py or wsgi.py, for messages.
FIRST_LINES = "from django_websocket_ev import bootstrap; bootstrap.patch()"

#: Modules that keep something of the unpatched world once they are imported.
_TOO_LATE_AFTER = ("django.db", "psycopg")


class LatePatchError(RuntimeError):
    """The process was to be patched when it was too late."""


class UnsuitableHubError(RuntimeError):
    """eventlet was told to use a hub on which Django does not work."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep eventlet's notice of deprecation from every start of a server.

    README.rst says it better, in a place where it can be thought about.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
        yield


#: What a view waits with.
_NEEDED = ("socket", "thread", "time")


def is_patched() -> bool:
    """Whether eventlet has patched this process, by our hand or another's."""
    patcher = sys.modules.get("eventlet.patcher")
    return patcher is not None and all(map(patcher.is_monkey_patched, _NEEDED))


def patch() -> None:
    """Patch this process. Calling it twice is harmless.

    Raises :class:`LatePatchError` after Django's database connections, or
    psycopg, have been imported, :class:`UnsuitableHubError` for eventlet's asyncio hub.
    """
    if os.environ.get("EVENTLET_HUB") == "asyncio":
        raise UnsuitableHubError(
            "EVENTLET_HUB is 'asyncio'. Every view runs inside of an event loop then, and Django"
            " refuses the ORM there (SynchronousOnlyOperation). Unset it, or name 'epolls', 'poll'"
            " or 'selects'."
        )
    was_patched = is_patched()
    if was_patched:
        _check_connections()
    else:
        for name in _TOO_LATE_AFTER:
            if name in sys.modules:
                raise LatePatchError(
                    f"{name} was imported before eventlet could patch the process, so its"
                    " locks and connections would be shared by all clients. Patch first:"
                    f" put\n\n    {FIRST_LINES}\n\non the first line of manage.py or wsgi.py,"
                    " above every other import, or start the process with"
                    " 'python -m django_websocket_ev manage.py ...'."
                )
    # psycopg 3 waits in C, out of the hub's sight, unless it is told to use
    # the selectors module, which eventlet patches. It reads this once, on import.
    os.environ.setdefault("PSYCOPG_WAIT_FUNC", "wait_selector")
    with quiet():
        import eventlet
    # Patches psycopg 2 as well, where it is installed: it has a hook for that.
    eventlet.monkey_patch()
    if not was_patched:
        from django_websocket_ev import hub

        hub.use()


def _check_connections() -> None:
    """Find out whether another hand patched too late."""
    database = sys.modules.get("django.db")
    if database is None:
        return
    from eventlet import spawn

    storage = database.connections._connections
    storage.django_websocket_ev_probe = True
    try:
        shared = spawn(hasattr, storage, "django_websocket_ev_probe").wait()
    finally:
        del storage.django_websocket_ev_probe
    if shared:
        raise LatePatchError(
            "django.db was imported before eventlet patched this process, so all clients would"
            f" share one database connection. Put\n\n    {FIRST_LINES}\n\nbefore every other"
            " import, or start the process with 'python -m django_websocket_ev manage.py ...'."
        )

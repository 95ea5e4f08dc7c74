"""``accept_websocket`` and ``require_websocket``: a view that takes WebSockets."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar, overload

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured

from django_websocket_ev.conf import view_overrides
from django_websocket_ev.protocol.handshake import Refusal
from django_websocket_ev.requests import WEBSOCKETS_ONLY, prepare, refuse
from django_websocket_ev.upgrade import open_websocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

    from django_websocket_ev.conf import Overrides

__all__ = ["accept_websocket", "require_websocket"]

View = TypeVar("View", bound="Callable[..., Any]")


@overload
def accept_websocket(view: View, /) -> View: ...
@overload
def accept_websocket(**options: Any) -> Callable[[View], View]: ...
def accept_websocket(view: View | None = None, /, **options: Any) -> Any:
    """Let a view serve both HTTP and WebSocket requests.

    ``request.is_websocket()`` tells which, and ``request.websocket`` is None
    for plain HTTP. Bare, or with options that go before the project's settings:
    ``subprotocols``, ``allowed_origins``, ``compression``, ``max_message_size``,
    ``max_queue``, ``read_limit``, ``write_limit``, ``send_timeout``,
    ``close_timeout``, ``ping_interval``, ``ping_timeout``, ``db_idle``.

    Raises ImproperlyConfigured for an asynchronous view or an option's value,
    TypeError for an option that does not exist.
    """
    return _decorator(view, options, requires=False)


@overload
def require_websocket(view: View, /) -> View: ...
@overload
def require_websocket(**options: Any) -> Callable[[View], View]: ...
def require_websocket(view: View | None = None, /, **options: Any) -> Any:
    """Let a view serve WebSocket requests only; HTTP gets 400.

    Options and errors are those of :func:`accept_websocket`.
    """
    return _decorator(view, options, requires=True)


def _decorator(view: View | None, options: dict[str, Any], *, requires: bool) -> Any:
    overrides = view_overrides(options)
    if view is not None:
        return _decorate(view, overrides, requires)
    return partial(_decorate, overrides=overrides, requires=requires)


def _is_async(view: Callable[..., Any]) -> bool:
    # method_decorator() hands over a partial of a bound method, at each request.
    instance = getattr(getattr(view, "func", view), "__self__", None)
    return iscoroutinefunction(view) or bool(getattr(instance, "view_is_async", False))


def _decorate(view: View, overrides: Overrides, requires: bool) -> View:
    if _is_async(view):
        name = getattr(view, "__qualname__", repr(view))
        raise ImproperlyConfigured(
            f"{name} is asynchronous. A WebSocket view is an ordinary function that may block:"
            " write 'def' instead of 'async def', and leave out every 'await'."
        )

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        wants = prepare(request)
        if isinstance(wants, Refusal):
            return refuse(request, "malformed", wants.reason, wants.headers)
        if wants is None:
            if requires:
                return refuse(request, "not_websocket", WEBSOCKETS_ONLY)
            return view(request, *args, **kwargs)
        if request.websocket is not None:  # type: ignore[attr-defined]
            return view(request, *args, **kwargs)  # inside a conversation already
        return open_websocket(request, wants, overrides, view, args, kwargs)

    # Decorators outside copy these on, so the middleware sees them through any.
    wrapper.accept_websocket = True  # type: ignore[attr-defined]
    wrapper.require_websocket = requires or getattr(view, "require_websocket", False)  # type: ignore[attr-defined]
    wrapper.opens_websocket = True  # type: ignore[attr-defined]
    return wrapper  # type: ignore[return-value]

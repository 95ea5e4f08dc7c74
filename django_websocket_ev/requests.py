"""What a request asks for: plain HTTP, a WebSocket, or something malformed.

Both the middleware and the decorators need to know, and whoever comes first
finds out; it is kept with the request.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse

from django_websocket_ev.counters import count_refusal
from django_websocket_ev.protocol import handshake
from django_websocket_ev.protocol.handshake import Opening, Refusal
from django_websocket_ev.transport import http_version

if TYPE_CHECKING:
    from django.http import HttpRequest

logger = logging.getLogger("django.request")

_UNPREFIXED = {"content-length": "CONTENT_LENGTH"}


WEBSOCKETS_ONLY = "This address takes WebSocket requests only."


def _yes() -> bool:
    return True


def _no() -> bool:
    return False


def prepare(request: HttpRequest) -> Opening | Refusal | None:
    """Give ``request`` its ``is_websocket()`` and ``websocket``.

    Returns the opening that it asks for, the refusal that it deserves, None
    for plain HTTP. ``websocket`` stays None until the view runs.
    """
    found: Any = getattr(request, "_websocket_opening", _no)
    if found is not _no:
        return found  # type: ignore[no-any-return]
    meta = request.META
    wants: Opening | Refusal | None

    def header(name: str) -> str:
        return str(meta.get(_key(name), ""))

    try:
        wants = handshake.parse(meta["REQUEST_METHOD"], http_version(meta), header)
    except Refusal as refusal:
        wants = refusal
    request._websocket_opening = wants  # type: ignore[attr-defined]
    request.websocket = None  # type: ignore[attr-defined]
    request.is_websocket = _yes if isinstance(wants, Opening) else _no  # type: ignore[attr-defined]
    return wants


@cache
def _key(name: str) -> str:
    """Return the name of a header in the environ (PEP 3333)."""
    return _UNPREFIXED.get(name) or f"HTTP_{name.upper().replace('-', '_')}"


def refuse(
    request: HttpRequest,
    kind: str,
    reason: str,
    headers: dict[str, str] | None = None,
    status: int = 400,
) -> HttpResponse:
    """Return the answer to a request that gets no WebSocket here, or nothing else.

    ``kind`` is what :func:`~django_websocket_ev.counters.count_refusal` counts it as.
    """
    count_refusal(kind)
    response = HttpResponse(
        f"{reason}\n", status=status, content_type="text/plain; charset=utf-8", headers=headers
    )
    logger.warning(
        "WebSocket refused: %s: %s",
        request.path,
        reason,
        extra={"status_code": status, "request": request},
    )
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response

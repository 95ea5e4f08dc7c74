"""Who may open a WebSocket from a web page. RFC 6455 §10.2.

A browser sends cookies with the handshake of any page, whatever its origin, and
no preflight asks first. So the Origin header, which a page cannot forge, is the
only thing between a logged-in user and a page that talks in their name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.http import is_same_domain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest


def is_allowed(request: HttpRequest, allowed: str | Iterable[str] | None) -> bool:
    """Whether the page behind ``request`` may open a WebSocket here.

    ``allowed`` is the option ``allowed_origins``: None for what
    CSRF_TRUSTED_ORIGINS names, else the origins themselves, ``"*"`` for all.
    The origin that the request itself was sent to is always allowed, and so is
    a request without an Origin header: it comes from no browser.

    Raises DisallowedHost for a Host header that ALLOWED_HOSTS does not name.
    """
    origin = request.META.get("HTTP_ORIGIN")
    if origin is None:
        return True
    named = tuple(settings.CSRF_TRUSTED_ORIGINS if allowed is None else allowed)
    if "*" in named or _is_own(request, origin):
        return True
    return any(_matches(origin, pattern) for pattern in named)


def _is_own(request: HttpRequest, origin: str) -> bool:
    return origin.lower() == f"{request.scheme}://{request.get_host()}".lower()


def _matches(origin: str, pattern: str) -> bool:
    if "://*." not in pattern:
        return origin.lower() == pattern.lower()
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return False
    scheme, _, domain = pattern.lower().partition("://*")
    return parts.scheme == scheme and is_same_domain(parts.netloc, domain)

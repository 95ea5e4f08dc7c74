"""The numbers of ``stats()`` for Prometheus, of one process or of all workers together.

A view for the URLconf, with the extra ``metrics`` (``prometheus-client``)::

    path("metrics/", django_websocket_ev.metrics.metrics)

Where ``PROMETHEUS_MULTIPROC_DIR`` names a folder, each worker leaves its numbers there
once a second and when it ends, and whichever worker is asked tells the sum. The folder is to be
empty when gunicorn starts.
"""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING

from django.http import HttpResponse

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, multiprocess
    from prometheus_client.exposition import choose_encoder
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "django_websocket_ev.metrics needs prometheus-client:"
        " pip install 'django-websocket-ev[metrics]'",
        name=error.name,
    ) from error

from django_websocket_ev.counters import on_pulse, stats

if TYPE_CHECKING:
    from django.http import HttpRequest

_MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"

_open = Gauge("websocket_open", "WebSockets open now", multiprocess_mode="livesum")
_hub_lag = Gauge(
    "websocket_hub_lag_seconds",
    "How late the hub came to a timer, at worst in the last minute",
    multiprocess_mode="livemax",
)
_opened = Counter("websocket_opened", "WebSockets opened")
_closed = Counter("websocket_closed", "WebSockets closed, by close code", ["code"])
_refused = Counter("websocket_refused", "Requests that got no WebSocket, by reason", ["reason"])
_messages = Counter("websocket_messages", "Text and binary messages", ["direction"])
_bytes = Counter("websocket_bytes", "Bytes of frames", ["direction"])
_pings_missed = Counter("websocket_pings_missed", "Clients that did not answer a Ping in time")
_slow = Counter("websocket_slow_clients_dropped", "Clients that did not take what was sent")

#: What the counters say already, by metric and label.
_told: dict[tuple[Counter, str], int] = {}


def metrics(request: HttpRequest) -> HttpResponse:
    """Return what the WebSockets did, as OpenMetrics or as Prometheus' text, as asked for.

    Everybody who may see the URL may see the numbers: wrap it as any view, or have
    the proxy keep it from the world.
    """
    tell()
    registry = REGISTRY
    if _MULTIPROCESS in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)


def tell() -> None:
    """Bring the metrics up to date. What is counted stays out of the messages' way so."""
    now = stats()
    _open.set(now.open)
    _hub_lag.set(now.hub_lag)
    _raise(_opened, now.opened)
    _raise(_pings_missed, now.pings_missed)
    _raise(_slow, now.slow_clients_dropped)
    for code, number in now.closed.items():
        _raise(_closed, number, str(code))
    for reason, number in now.refused.items():
        _raise(_refused, number, reason)
    for counter, came, went in (
        (_messages, now.messages_in, now.messages_out),
        (_bytes, now.bytes_in, now.bytes_out),
    ):
        _raise(counter, came, "in")
        _raise(counter, went, "out")


def _raise(counter: Counter, number: int, label: str = "") -> None:
    more = number - _told.get((counter, label), 0)
    _told[counter, label] = number
    (counter.labels(label) if label else counter).inc(more)


def _leave() -> None:
    """Say the last numbers; what a process that is gone had open is not open any more."""
    if _MULTIPROCESS in os.environ:
        tell()
        multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


on_pulse.append(tell)
atexit.register(_leave)

"""An echo, and views that take two seconds. All of them are written as Django views are."""

from __future__ import annotations

import os
import time

import requests
from django.db import connection
from django.http import HttpRequest, HttpResponse

from django_websocket_ev import require_websocket

WAIT = 2  # seconds
COMPUTE = 0.5  # seconds


@require_websocket
def echo(request: HttpRequest) -> None:
    for message in request.websocket:
        request.websocket.send(message)


def sleep(request: HttpRequest) -> HttpResponse:
    time.sleep(WAIT)
    return HttpResponse("slept")


def query(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [WAIT])
    return HttpResponse("queried")


def fetch(request: HttpRequest) -> HttpResponse:
    return HttpResponse(requests.get(os.environ["BENCH_SLOW_PAGE"], timeout=30).text)


def compute(request: HttpRequest) -> HttpResponse:
    """Waits for nothing and so lets nobody else run: what a stall looks like."""
    end = time.perf_counter() + COMPUTE
    while time.perf_counter() < end:
        pass
    return HttpResponse("computed")

"""As little as WebSockets need; BENCH_SETTINGS, in JSON, adds to it or changes it."""

from __future__ import annotations

import json
import os

SECRET_KEY = "a benchmark on a loopback address"
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django_websocket_ev"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "bench.plainproject.urls"
USE_TZ = True

globals().update(json.loads(os.environ.get("BENCH_SETTINGS", "{}")))

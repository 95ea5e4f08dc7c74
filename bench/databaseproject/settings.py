"""As little as a query needs. The database comes from libpq's PG* variables.

BENCH_DATABASE, in JSON, is merged into DATABASES["default"]; BENCH_SETTINGS into the settings.
"""

from __future__ import annotations

import json
import os

SECRET_KEY = "a benchmark on a loopback address"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django_websocket_ev"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "bench.databaseproject.urls"
USE_TZ = True

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"],
        "HOST": os.environ["PGHOST"],
        "USER": "project",
        **json.loads(os.environ.get("BENCH_DATABASE", "{}")),
    }
}

# A client that waits for its turn is no dead one.
WEBSOCKET_PING_INTERVAL = None

globals().update(json.loads(os.environ.get("BENCH_SETTINGS", "{}")))

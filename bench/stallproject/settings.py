"""As little as an echo and a query need. The database comes from libpq's PG* variables."""

from __future__ import annotations

import os

SECRET_KEY = "a benchmark on a loopback address"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django_websocket_ev"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "bench.stallproject.urls"
USE_TZ = True

DATABASES = {}
if "PGDATABASE" in os.environ:
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"],
        "HOST": os.environ.get("PGHOST", ""),
        "PORT": os.environ.get("PGPORT", ""),
        "USER": os.environ.get("PGUSER", ""),
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
    }

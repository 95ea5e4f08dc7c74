"""The app's configuration: it registers the system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class WebSocketConfig(AppConfig):
    """``"django_websocket_ev"`` in ``INSTALLED_APPS`` brings the commands and the checks."""

    name = "django_websocket_ev"
    verbose_name = "WebSockets"

    def ready(self) -> None:
        from django_websocket_ev.checks import check_databases, check_psycopg, check_settings

        for check in (check_settings, check_databases, check_psycopg):
            checks.register(check, "websocket")

"""``manage.py runwsserver``: the development server, with WebSockets."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError, CommandParser

from django_websocket_ev import bootstrap, development

if apps.is_installed("django.contrib.staticfiles"):
    from django.contrib.staticfiles.management.commands.runserver import Command as RunServer
else:
    from django.core.management.commands.runserver import (  # type: ignore[assignment]
        Command as RunServer,
    )


class Command(RunServer):
    """Django's runserver, on a server that carries WebSockets."""

    help = "Starts a lightweight web server for development that carries WebSockets."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_graceful_timeout(parser)

    def run(self, **options: Any) -> None:
        """Serve in a patched process, under the auto-reloader's eyes if it is wanted."""
        if not 0 < options["graceful_timeout"] < float("inf"):
            raise CommandError("--graceful-timeout must be a number of seconds above 0.")
        if options["use_reloader"] and not development.is_reloader_child():
            development.supervise()
        if not bootstrap.is_patched():
            development.start_anew()
        bootstrap.patch()  # raises where another hand patched too late
        self.server_cls = partial(  # type: ignore[assignment]
            development.DevelopmentServer, graceful_timeout=options["graceful_timeout"]
        )
        # Django's way to threads is a mixin; a green thread per client needs none.
        super().run(**{**options, "use_threading": False})


def add_graceful_timeout(parser: CommandParser) -> None:
    """Add the option that runwsserver has and runserver has not."""
    parser.add_argument(
        "--graceful-timeout",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="Seconds that requests and WebSocket views have to end after Ctrl-C"
        " or SIGTERM (default: 10).",
    )

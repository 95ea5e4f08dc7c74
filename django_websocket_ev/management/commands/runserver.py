"""``manage.py runserver --multithreaded``, as in django-websocket 0.3.0.

Without the option this is the project's usual runserver: the one that the apps
behind ours, or Django, bring.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandParser
from django.core.management.commands.runserver import Command as DjangoRunServer

from django_websocket_ev.management.commands import runwsserver


def usual_command() -> type[BaseCommand]:
    """Return the runserver command that there would be without this app."""
    names = [config.name for config in apps.get_app_configs()]
    for name in names[names.index("django_websocket_ev") + 1 :]:
        module = f"{name}.management.commands.runserver"
        parents = (f"{name}.management", f"{name}.management.commands")
        if all(map(find_spec, (*parents, module))):
            command: type[BaseCommand] = import_module(module).Command
            return command
    return DjangoRunServer


class Command(usual_command()):  # type: ignore[misc]
    """The project's usual runserver, with one more option."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--multithreaded",
            action="store_true",
            help="Serve all requests at the same time, WebSockets too: the same as runwsserver.",
        )
        runwsserver.add_graceful_timeout(parser)

    def handle(self, *args: Any, **options: Any) -> Any:
        """Hand over to runwsserver, or be as ever."""
        graceful_timeout = options.pop("graceful_timeout")
        if not options.pop("multithreaded"):
            return super().handle(*args, **options)
        command = runwsserver.Command(
            stdout=self.stdout._out, stderr=self.stderr._out, no_color=options["no_color"]
        )
        return command.handle(*args, graceful_timeout=graceful_timeout, **options)

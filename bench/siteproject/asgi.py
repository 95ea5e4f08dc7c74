"""For Channels: a bare consumer, and the stack that its documentation puts around one."""

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # sets Django up, before the imports below need it

# ruff: noqa: E402
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path

from bench.siteproject import consumers


def stacked(consumer):
    return AllowedHostsOriginValidator(AuthMiddlewareStack(consumer.as_asgi()))


routes = [
    path("echo/", consumers.Echo.as_asgi()),
    path("site/", stacked(consumers.Echo)),
    path("user/", stacked(consumers.User)),
    path("query/", consumers.Query.as_asgi()),
]
application = ProtocolTypeRouter({"http": http, "websocket": URLRouter(routes)})

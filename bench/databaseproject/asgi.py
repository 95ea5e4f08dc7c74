"""For Channels: the same as its documentation writes it, synchronous and asynchronous."""

from __future__ import annotations

import django

django.setup()

# ruff: noqa: E402
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

from bench.databaseproject.query import answer


class Synchronous(WebsocketConsumer):
    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.send(answer(text_data or ""))


class Asynchronous(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(await database_sync_to_async(answer)(text_data or ""))


class Threads(AsyncWebsocketConsumer):
    """Any thread of the pool may query, and not only one."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        query = database_sync_to_async(answer, thread_sensitive=False)
        await self.send(await query(text_data or ""))


routes = [
    path("sync/", Synchronous.as_asgi()),
    path("async/", Asynchronous.as_asgi()),
    path("threads/", Threads.as_asgi()),
]
application = ProtocolTypeRouter({"websocket": URLRouter(routes)})

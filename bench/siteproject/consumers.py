"""The same echoes as the documentation of Channels writes them: asynchronous consumers."""

from __future__ import annotations

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from bench.siteproject.models import one_query


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(text_data=text_data, bytes_data=bytes_data)


class User(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.scope["user"].username == "ada" and self.scope["session"]["visits"] == 1:
            await self.send(text_data=text_data, bytes_data=bytes_data)


class Query(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await database_sync_to_async(one_query)()
        await self.send(text_data=text_data, bytes_data=bytes_data)

from django.urls import path, register_converter

from . import chat, classics, echo, index, ticker

register_converter(chat.RoomName, "room")

urlpatterns = [
    path("", index.index, name="index"),
    path("echo/", echo.echo, name="echo"),
    path("echo_once/", classics.echo_once, name="echo_once"),
    path("try/echo_once/", classics.try_echo_once, name="try_echo_once"),
    path("lower_case/", classics.lower_case, name="lower_case"),
    path("try/lower_case/", classics.try_lower_case, name="try_lower_case"),
    path("chat/", chat.lobby, name="chat"),
    path("chat/<room:name>/", chat.chat, name="chat_room"),
    path("ticker/", ticker.ticker, name="ticker"),
]

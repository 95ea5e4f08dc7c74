"""The front page: every demo in one sentence and a few lines of its own code."""

from dataclasses import dataclass

from .chat import Room
from .classics import echo_once, lower_case
from .echo import echo
from .pages import page
from .source import source_of
from .ticker import ticker


@dataclass(frozen=True)
class Demo:
    title: str
    url_name: str
    sentence: str
    code: object  # the function that stands for the demo

    @property
    def source(self):
        return source_of(self.code)


DEMOS = [
    Demo(
        "Echo",
        "echo",
        "One view, one URL: this page for a browser, an echo for its WebSocket.",
        echo,
    ),
    Demo(
        "Ticker",
        "ticker",
        "The server speaks first: a time and a number each second, until you pause it.",
        ticker,
    ),
    Demo(
        "Chat",
        "chat",
        "Rooms that you can open yourself, with who is there and what was said last.",
        Room.say,
    ),
    Demo(
        "Echo once",
        "try_echo_once",
        "From django-websocket 0.3.0: one message comes back, and returning is closing.",
        echo_once,
    ),
    Demo(
        "Lower case",
        "try_lower_case",
        "From django-websocket 0.3.0: the same view answers a plain GET and a WebSocket.",
        lower_case,
    ),
]


def index(request):
    return page(request, "showcase/index.html", demos=DEMOS)

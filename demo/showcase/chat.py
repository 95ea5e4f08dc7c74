"""The chat's views: the list of rooms, and a room with its conversation.

What goes over the wire is JSON, one object a message. From a client: {"text": ...}. To a client,
by "type": welcome (name, members, history), message (name, text, time), join and leave (name,
members), error (text).
"""

from django.shortcuts import redirect
from django.urls import NoReverseMatch, reverse

from django_websocket_ev import accept_websocket

from .pages import page
from .rooms import Full, Room, Rooms

MAX_TEXT = 500  # characters
TRY_AGAIN_LATER = 1013  # close code, IANA WebSocket close code registry

rooms = Rooms()


class RoomName:
    """Path converter: the only judge of what may name a room."""

    regex = "[a-z0-9][a-z0-9-]{0,29}"

    def to_python(self, value):
        return value

    def to_url(self, value):
        return value


def lobby(request):
    """The list of rooms. ?room=NAME leads on to a room, be it old or new."""
    wanted, error = request.GET.get("room", "").strip().lower(), ""
    if wanted:
        try:
            return redirect(reverse("chat_room", args=[wanted]))
        except NoReverseMatch:
            error = "A room's name has 1 to 30 letters a to z, digits and hyphens."
    context = {"rooms": rooms, "wanted": wanted, "error": error}
    return page(request, "showcase/chat.html", Rooms, **context)


@accept_websocket(
    max_message_size=16 * 1024,
    write_limit=128 * 1024,
    send_timeout=2,  # who does not read holds up the room so long, once
)
def chat(request, name):
    if not request.is_websocket():
        context = {"room": name, "max_text": MAX_TEXT}
        code = chat, texts, text_of, Room
        return page(request, "showcase/chat_room.html", *code, **context)
    websocket = request.websocket
    try:
        with rooms.visit(name) as room:
            member = room.join(websocket, request.user.get_username())
            try:
                for text in texts(websocket):
                    room.say(member, text)
            finally:
                room.leave(member)
    except Full as full:
        websocket.close(TRY_AGAIN_LATER, str(full))


def texts(websocket):
    """Yield each text that comes. Anything else is answered with an error."""
    while True:
        try:
            message = websocket.wait_json()
            if message is None and websocket.closed:  # else it is JSON's null
                return
            text = text_of(message)
        except ValueError as error:
            websocket.send_json({"type": "error", "text": str(error)})
        else:
            yield text


def text_of(message):
    """Return the text in a client's message, or raise ValueError."""
    text = message.get("text") if isinstance(message, dict) else None
    if not isinstance(text, str):
        raise ValueError('Send an object such as {"text": "Hello"}.')
    text = text.strip()
    text.encode()  # half a surrogate pair is a ValueError too
    if not text:
        raise ValueError("Say something.")
    if len(text) > MAX_TEXT:
        raise ValueError(f"Keep it to {MAX_TEXT} characters.")
    return text

"""The response that a WebSocket view returns: its iteration is the conversation.

The decorator returns it before the view has run. It leaves through the
middleware, which saves sessions, sets cookies and ends transactions as for any
response, and when the WSGI server iterates over it the handshake goes out and
the view runs, in a copy of the context in which it was called.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from django.http.response import HttpResponseBase

from django_websocket_ev.conversation import Agreed, Conversation
from django_websocket_ev.protocol.deflate import Inflater, get_deflater, negotiate
from django_websocket_ev.protocol.handshake import build_response, select_subprotocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.http import HttpRequest

    from django_websocket_ev.conf import Options
    from django_websocket_ev.limits import Place
    from django_websocket_ev.protocol.handshake import Opening
    from django_websocket_ev.transport import Transport


class WebSocketResponse(HttpResponseBase):
    """A 101 response to ``opening``, whose iteration runs ``view()``.

    What middleware adds to it does not go out, for little of it has a meaning
    in a handshake: cookies do.
    """

    status_code = 101
    # Middleware neither asks for the content of such a response nor its length.
    streaming = True
    is_async = False
    streaming_content: Any = ()

    def __init__(
        self,
        request: HttpRequest,
        opening: Opening,
        options: Options,
        transport: Transport,
        view: Callable[[], Any],
        place: Place,
    ) -> None:
        super().__init__(content_type="")  # any but its own, which takes longer to make
        del self.headers["Content-Type"]
        self._request = request
        self._opening = opening
        self._options = options
        self._transport = transport
        self._view = view
        self._place = place
        self._context = copy_context()

    def __iter__(self) -> Iterator[bytes]:
        environ = self._request.META
        handshake, agreed = self._agree()
        sock, pending = self._transport.take_over(environ)
        conversation = Conversation(
            self._request,
            self._options,
            self._view,
            self._place,
            self._context,
            self._handler_class,
        )

        def converse() -> None:
            # No partial: that would be a frame of C on the stack, for hours.
            conversation.run(sock, pending, handshake, agreed)

        self._transport.hand_over(environ, converse)
        return iter(())

    def _agree(self) -> tuple[bytes, Agreed]:
        """Return the handshake, and what it says."""
        options = self._options
        subprotocol = select_subprotocol(self._opening.subprotocols, options.subprotocols)
        deflater = inflater = agreement = None
        if options.compression is not None:
            agreement = negotiate(self._opening.extensions, options.compression)
            if agreement is not None:
                deflater = get_deflater(agreement, options.compression)
                inflater = Inflater(agreement)
        cookies = [("Set-Cookie", c.output(header="").strip()) for c in self.cookies.values()]
        handshake = build_response(self._opening, subprotocol, cookies, agreement)
        return handshake, Agreed(subprotocol, deflater, inflater)

    # The class of the handler, which Django's own sets; the sender of signals.
    _handler_class: Any = None

"""Opening handshakes: opened or not, and what was agreed on, with `websockets`."""

from __future__ import annotations

import logging
import random
import traceback
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.headers import parse_extension
from websockets.server import ServerProtocol

from django_websocket_ev.protocol import handshake
from django_websocket_ev.protocol.deflate import Compression, negotiate
from django_websocket_ev.protocol.handshake import Refusal
from fuzzing.heads import Head, mutated_head, valid_head
from fuzzing.outcomes import Wrong
from fuzzing.tally import Finding, Tally

#: The subprotocols that both servers know, the best first.
SUPPORTED = ("superchat", "chat")

_silent = logging.getLogger("fuzzing.websockets.handshakes")
_silent.disabled = True


class Opened(NamedTuple):
    """What a server has answered to a request that it takes."""

    accept: str
    subprotocol: str | None
    #: What was agreed on about compression, None for no compression.
    parameters: tuple[tuple[str, str | None], ...] | None


def our_answer(head: Head, compression: Compression) -> Opened | None:
    """Return what the package answers, None where it opens nothing."""
    try:
        opening = handshake.parse(head.method, head.version, head.get)
    except Refusal:
        return None
    if opening is None:
        return None
    agreement = negotiate(opening.extensions, compression)
    subprotocol = handshake.select_subprotocol(opening.subprotocols, SUPPORTED)
    response = handshake.build_response(opening, subprotocol, extension=agreement)
    status, *lines = response.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[:-2])
    if status != "HTTP/1.1 101 Switching Protocols" or lines[-2:] != ["", ""]:
        raise Wrong(f"no answer is like this: {response!r}")
    return _opened(headers.get)


def _opened(get: Any) -> Opened:
    extension = get("Sec-WebSocket-Extensions")
    parameters = None
    if extension is not None:
        ((_name, found),) = parse_extension(extension)
        parameters = tuple(found)
    return Opened(get("Sec-WebSocket-Accept"), get("Sec-WebSocket-Protocol"), parameters)


def _select(protocol: ServerProtocol, offered: Sequence[str]) -> str | None:
    return next((name for name in SUPPORTED if name in offered), None)


def their_answer(head: Head, compression: Compression) -> Opened | None:
    """Return what `websockets` answers, None where it opens nothing."""
    factory = ServerPerMessageDeflateFactory(
        compression.server_no_context_takeover,
        compression.client_no_context_takeover,
        # What need not be said, they say.
        None if compression.server_max_window_bits == 15 else compression.server_max_window_bits,
        None if compression.client_max_window_bits == 15 else compression.client_max_window_bits,
    )
    protocol = ServerProtocol(extensions=[factory], select_subprotocol=_select, logger=_silent)
    protocol.receive_data(head.build())
    requests = protocol.events_received()
    if not requests:
        return None
    response = protocol.accept(requests[0])
    if response.status_code != 101:
        return None
    return _opened(response.headers.get)


HOST = "RFC 6455 4.2.1 (2): a |Host| header field containing the server's authority"
HIGHER = "RFC 6455 4.2.1 (1): an HTTP/1.1 or higher GET request"
UPGRADE = 'RFC 6455 4.2.1 (3): an |Upgrade| header field containing the value "websocket"'
CONNECTION = 'RFC 6455 4.2.1 (4): a |Connection| header field that includes the token "Upgrade"'
UNIQUE = "RFC 6455 4.1 (10): the elements of |Sec-WebSocket-Protocol| MUST all be unique strings"
EMPTY_ELEMENTS = (
    "RFC 7230 7: a recipient MUST parse and ignore empty list elements;"
    " 3.2.2: several fields of a name are one list, so a field may be empty"
)
EMPTY_FIELD = (
    "PEP 3333: a variable of the request may be empty or missing, so an empty field is none"
)
SAME_LENGTH = (
    "RFC 7230 3.3.2: the recipient MUST either reject a message with several Content-Length"
    " fields of one value or replace them with a single one"
)
SAID_15 = (
    "RFC 7692 7.1.2.2: absence of client_max_window_bits in a response indicates a window of"
    " up to 32,768 bytes, as 15 does"
)

_LISTS = ("upgrade", "connection", "sec-websocket-protocol", "sec-websocket-extensions")


def _members(value: str) -> list[str]:
    return [member for member in (part.strip(" \t") for part in value.split(",")) if member]


def _lacks_host(head: Head) -> Head | None:
    return None if head.get("host") else head.put("host", "localhost")


def _is_higher(head: Head) -> Head | None:
    is_higher = head.version in ("HTTP/1.2", "HTTP/2.0")
    return head._replace(version="HTTP/1.1") if is_higher else None


def _contains_websocket(head: Head) -> Head | None:
    members = [member.lower() for member in _members(head.get("upgrade"))]
    return head.put("upgrade", "websocket") if "websocket" in members else None


def _includes_upgrade(head: Head) -> Head | None:
    members = [member.lower() for member in _members(head.get("connection"))]
    return head.put("connection", "Upgrade") if "upgrade" in members else None


def _is_not_unique(head: Head) -> Head | None:
    members = _members(head.get("sec-websocket-protocol"))
    unique = list(dict.fromkeys(members))
    return head.put("sec-websocket-protocol", ",".join(unique)) if unique != members else None


def _has_empty_fields(head: Head) -> Head | None:
    """Leave out the fields without a member, of lists that have members elsewhere."""
    kept = tuple(
        (name, value)
        for name, value in head.headers
        if name.lower() not in _LISTS or _members(value) or not _members(head.get(name.lower()))
    )
    return head._replace(headers=kept) if kept != head.headers else None


def _is_empty(head: Head) -> Head | None:
    """Leave out the fields that are there, without a value."""
    kept = tuple(
        (name, value)
        for name, value in head.headers
        if head.get(name.lower()) or name.lower() not in (*_LISTS, "content-length")
    )
    return head._replace(headers=kept) if kept != head.headers else None


def _repeats_the_length(head: Head) -> Head | None:
    values = {
        value.strip(" \t") for name, value in head.headers if name.lower() == "content-length"
    }
    return head.put("content-length", *values) if len(values) == 1 else None


class _Rule(NamedTuple):
    """A sentence, and how to take from a head what the sentence is about, and only that."""

    sentence: str
    #: Returns the head without it, None where it has nothing of it.
    repair: Callable[[Head], Head | None]
    #: Who opens a WebSocket all the same.
    opened_by_us: bool


RULES = (
    _Rule(HOST, _lacks_host, False),
    _Rule(UNIQUE, _is_not_unique, False),
    _Rule(SAME_LENGTH, _repeats_the_length, False),
    _Rule(HIGHER, _is_higher, True),
    _Rule(EMPTY_ELEMENTS, _has_empty_fields, True),
    _Rule(EMPTY_FIELD, _is_empty, True),
    _Rule(UPGRADE, _contains_websocket, True),
    _Rule(CONNECTION, _includes_upgrade, True),
)


def _what_differs(ours: Opened | None, theirs: Opened | None) -> tuple[str, ...] | None:
    """Return () where the answers are the same, what explains a detail, or None."""
    if ours == theirs:
        return ()
    if ours is None or theirs is None or theirs.parameters is None:
        return None
    silent = [each for each in theirs.parameters if each != ("client_max_window_bits", "15")]
    return (SAID_15,) if ours == theirs._replace(parameters=tuple(silent)) else None


def explain(
    head: Head, compression: Compression, ours: Opened | None, theirs: Opened | None
) -> tuple[str, ...] | None:
    """Return the sentences that explain a difference, None if none do.

    Those of one side together must take away all that keeps the other side from
    opening, and then both must answer the same.
    """
    found = _what_differs(ours, theirs)
    if found is not None or (ours and theirs):
        return found
    rules = [rule for rule in RULES if rule.opened_by_us == (ours is not None)]
    for size in range(1, len(rules) + 1):
        for chosen in combinations(rules, size):
            repaired: Head | None = head
            for rule in chosen:
                repaired = repaired and rule.repair(repaired)
            if repaired is None:
                continue
            ours_then = our_answer(repaired, compression)
            found = _what_differs(ours_then, their_answer(repaired, compression))
            if found is not None and ours_then is not None:
                return (*(rule.sentence for rule in chosen), *found)
    return None


def examine(head: Head, compression: Compression, tally: Tally) -> None:
    """Answer a request twice, and compare. Raises :class:`Wrong`."""
    ours, theirs = our_answer(head, compression), their_answer(head, compression)
    sentences = explain(head, compression, ours, theirs)
    if sentences is None:
        raise Wrong(f"ours is {ours}, theirs is {theirs}")
    tally.explain(sentences)
    tally.ends["opened" if ours else "not opened"] += 1


def _compression(rng: random.Random) -> Compression:
    return Compression(
        rng.random() < 0.5,
        rng.random() < 0.5,
        rng.choice((15, 15, 9, 10, 12, 14)),
        rng.choice((15, 15, 9, 10, 12, 14)),
    )


def batch(seed: int, count: int) -> Tally:
    """Examine ``count`` opening requests of a seed."""
    tally = Tally()
    rng = random.Random(f"handshake {seed}")
    for number in range(count):
        head, compression = valid_head(rng), _compression(rng)
        is_mutated = number % 20 > 0
        if is_mutated:
            head = mutated_head(rng, head)
            if rng.random() < 0.2 and head.headers:
                head = mutated_head(rng, head)
        try:
            examine(head, compression, tally)
        except Exception as error:
            what = str(error) if isinstance(error, Wrong) else traceback.format_exc()
            shown = f"{compression}\n  {head.build()!r}"
            tally.findings.append(Finding("handshake", seed, number, what, shown))
        tally.sessions += 1
        tally.mutated += is_mutated
    return tally

"""python -m fuzzing.coverage_guided TARGET [OPTIONS OF LIBFUZZER]: inputs led by coverage.

atheris makes the bytes, and keeps those that reach code of the package which none has
reached. What comes of them is compared as ever. Give it a folder to keep them in, and a
time: ``python -m fuzzing.coverage_guided inflater corpus -max_total_time=600``.
"""

from __future__ import annotations

import random
import sys

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed. It is made for some platforms only: pip install atheris")

with atheris.instrument_imports(include=["django_websocket_ev"]):
    from django_websocket_ev.protocol import deflate, handshake, receiver  # noqa: F401

from django_websocket_ev.protocol.deflate import Agreement, Compression
from fuzzing import handshakes, sessions
from fuzzing.compressed import compressed_conversation
from fuzzing.conversations import plain_conversation
from fuzzing.heads import Head, valid_head
from fuzzing.outcomes import Setting
from fuzzing.sessions import Session
from fuzzing.tally import Tally

_LIMITS = (200, 5000, None)


def receive(data: bytes) -> None:
    """Take the bytes as a stream."""
    rng = random.Random(data)
    sessions.examine(rng, Session(Setting(200), data, (0,), None), Tally())


def inflate(data: bytes) -> None:
    """Take the first byte as what was agreed on, and the rest as a stream."""
    if not data:
        return
    first = data[0]
    agreement = Agreement(False, bool(first & 1), None, 8 + (first >> 1 & 7))
    setting = Setting(_LIMITS[(first >> 4) % 3], agreement)
    sessions.examine(random.Random(data), Session(setting, data[1:], (0,), None), Tally())


def open_websocket(data: bytes) -> None:
    """Take the first byte as what the server wants, and the rest as the head of a request."""
    try:
        line, *lines = data[1:].decode("latin-1").split("\n")
        headers = tuple(tuple(each.split(": ", 1)) for each in lines)
        method, _, version = line.partition(" ")
        head = Head(method, version, headers)
        # Anything else an HTTP server refuses, and never hands over.
        is_http = all(
            len(header) == 2
            and handshake.is_token(header[0])
            and header[1].isprintable()
            and header[1].isascii()
            for header in headers
        ) and all(each.isascii() and each.isalnum() for each in (method, version[:4]))
        if not is_http or not version.startswith("HTTP/1.") or version[7:] not in "012":
            return
    except ValueError:
        return
    bits = (15, 9, 12, 14)
    compression = Compression(
        bool(data[0] & 1), bool(data[0] & 2), bits[data[0] >> 2 & 3], bits[data[0] >> 4 & 3]
    )
    handshakes.examine(head, compression, Tally())


def seeds(target: str) -> list[bytes]:
    """Return valid inputs to begin with."""
    rng = random.Random(target)
    if target == "receiver":
        return [b"".join(plain_conversation(rng).raw) for _ in range(100)]
    if target == "inflater":
        return [_as_inflated(rng) for _ in range(100)]
    heads = [valid_head(rng) for _ in range(100)]
    return [
        rng.randbytes(1)
        + "\n".join(["GET HTTP/1.1", *(": ".join(each) for each in head.headers)]).encode()
        for head in heads
    ]


def _as_inflated(rng: random.Random) -> bytes:
    conversation = compressed_conversation(rng)
    agreement = conversation.setting.agreement
    assert agreement is not None
    bits = (agreement.client_max_window_bits or 15) - 8
    size = conversation.setting.limit or 2**20
    limit = 0 if size <= 200 else 1 if size <= 5000 else 2
    first = agreement.client_no_context_takeover | bits << 1 | limit << 4
    return bytes((first,)) + b"".join(conversation.raw)


TARGETS = {"receiver": receive, "inflater": inflate, "handshake": open_websocket}


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(__doc__)
    target = sys.argv.pop(1)
    folders = [each for each in sys.argv[1:] if not each.startswith("-")]
    if folders:
        for number, data in enumerate(seeds(target)):
            with open(f"{folders[0]}/valid-{number}", "wb") as file:
                file.write(data)
    atheris.Setup(sys.argv, TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

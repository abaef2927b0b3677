"""Server-sent events: how a stream of dictionaries is written down so that no cut can lose or merge any of them."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

from flask import Response, json, request

from .errors import as_api_error

#: Frames to send; None is a moment of silence.
Frames = Generator[bytes | None, None, None]

OPENING, PING = b": ok\n\n", b": ping\n\n"


def frame(data: Any, event: str | None = None) -> bytes:
    """One event. JSON never holds a line end, so an event is one `data:` line and an empty one."""
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {event}\n" if event else "").encode() + f"data: {text}\n\n".encode()


def stream(events: Frames, ping_seconds: float, on_close: Callable[[], Any] | None = None) -> Response:
    """A response of frames. None is silence: after `ping_seconds` of it a comment is sent, which also finds out whether
    the reader is still there. A failure in mid-stream is sent as `event: error`; `on_close` is called in any case."""

    def body() -> Iterator[bytes]:
        yield OPENING  # at once, so that the reader knows it has been heard
        last = time.monotonic()
        try:
            with closing(events):
                for event in events:
                    if event is not None or time.monotonic() - last >= ping_seconds:
                        yield PING if event is None else event
                        last = time.monotonic()
        except Exception as error:
            yield frame(as_api_error(error).body(), "error")

    response = Response(body(), content_type="text/event-stream; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache, no-store"
    response.headers["X-Accel-Buffering"] = "no"
    if on_close is not None:
        # A generator that was never begun has no `finally`: the client may leave before the first byte.
        response.call_on_close(on_close)
    return response


def client_gone() -> Callable[[], bool]:
    """A function that says whether the present request's client has hung up, as far as the server lets us see."""
    connection = request.environ.get("werkzeug.socket")

    def gone() -> bool:
        if connection is None:
            return False
        try:
            readable, _, _ = select.select([connection], [], [], 0)
            return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True
        except ValueError:  # a descriptor too large for select: the next write will tell
            return False

    return gone

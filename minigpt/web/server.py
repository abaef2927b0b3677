"""Running the app: Werkzeug's threaded server, one process, with a shutdown that lets answers end.

One thread for each request and one process: the models live in it. A second signal does not wait for anybody.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import webbrowser
from typing import Any, Protocol

import torch
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from ..errors import UserError
from .app import App, create_app
from .security import split_host
from .settings import Settings

log = logging.getLogger("minigpt.web")

WILDCARDS = ("0.0.0.0", "::", "")
IDLE_SECONDS = 30  # a connection on which nothing can be read or written for so long is closed


class IdleAware(Protocol):
    """The server as its handlers see it."""

    #: Connections on which no request has come yet: browsers open some ahead of time.
    idle: set[socket.socket]


class Handler(WSGIRequestHandler):
    """One request a connection: none is left open that a shutdown would have to wait for."""

    protocol_version = "HTTP/1.0"
    timeout = IDLE_SECONDS
    server: IdleAware  # type: ignore[assignment]

    def setup(self) -> None:
        super().setup()
        self.server.idle.add(self.connection)

    def run_wsgi(self) -> None:
        self.server.idle.discard(self.connection)
        super().run_wsgi()

    def finish(self) -> None:
        self.server.idle.discard(self.connection)
        super().finish()

    def version_string(self) -> str:
        return "minigpt"

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """The app logs requests, without what was typed into them."""

    def log(self, type: str, message: str, *arguments: Any) -> None:
        """Broken requests: that there was one, not what was in it."""
        log.log(logging.ERROR if type == "error" else logging.DEBUG, "a request could not be read or answered")


class Server:
    """A server that is bound to its port, and serves once told to."""

    def __init__(self, settings: Settings, host: str = "127.0.0.1", port: int = 5000, **parts: Any) -> None:
        """`parts` go to `create_app`; port 0 is any free one. Raises UserError if the port cannot be had, or if others
        than this machine can ask and there is no token."""
        need_token(settings, host)
        self.settings, self.host = settings, host
        self._socket = bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        try:
            self.app: App = create_app(self.settings, **parts)
            self._server: BaseWSGIServer = make_server(
                host or "0.0.0.0", self.port, self.app, threaded=True, request_handler=Handler, fd=self._socket.fileno()
            )
        except BaseException:
            self._socket.close()
            raise
        self._server.daemon_threads = False  # type: ignore[attr-defined]
        self._idle: set[socket.socket] = set()
        self._server.idle = self._idle  # type: ignore[attr-defined]
        logging.getLogger("werkzeug").disabled = True  # it would quote requests
        self._stopping = threading.Event()
        self._turn = threading.Lock()

    @property
    def url(self) -> str:
        """What to open in a browser on this machine."""
        return self._url("127.0.0.1" if self.host in WILDCARDS else self.host)

    @property
    def urls_for_others(self) -> list[str]:
        """What to open on other machines, by address and by name; none where only this machine can ask."""
        return [self._url(name) for name in own_names()] if self.host in WILDCARDS else []

    def _url(self, name: str) -> str:
        """The token stays behind the #, which browsers do not send anywhere."""
        name = f"[{name}]" if ":" in name else name
        fragment = f"#token={self.settings.token}" if self.settings.token else ""
        return f"http://{name}:{self.port}/{fragment}"

    def serve(self, open_browser: bool = False) -> None:
        """Serve until SIGTERM or Ctrl-C; then nothing new is taken, and what runs has `drain_seconds` to end."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_signal)
        # Half of the cores write; the other half serves pages, and trains on votes. A step of a small model is so short
        # that waiting for a second, busy core can cost more than all of its arithmetic.
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
        threading.Thread(target=self.app.cache.preload, daemon=True).start()
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(self.url,), daemon=True).start()
        try:
            self._server.serve_forever()  # ends by closing the port and waiting for every request's thread
        finally:
            self.stop()  # or wait for the thread that does: only then does nobody need the store any more
            self.app.close()

    def stop(self) -> None:
        """Take no more requests, cancel a retraining and let the engines end; `serve` closes the store after that.
        May be called from any thread and more than once; no call returns before the engines have ended."""
        with self._turn:
            if self._stopping.is_set():
                return
            self._stopping.set()
            self._server.shutdown()
            self._socket.close()
            for connection in list(self._idle):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
            self.app.retraining.close()
            self.app.cache.close(self.settings.drain_seconds)

    def _on_signal(self, number: int, frame: object) -> None:
        if self._stopping.is_set():
            os._exit(130)
        # Not here: this runs in the very thread that `shutdown` would wait for.
        threading.Thread(target=self.stop).start()


def need_token(settings: Settings, host: str) -> None:
    """Raises UserError if others than this machine can ask on `host` and there is no token."""
    if host.strip("[]") not in ("localhost", "127.0.0.1", "::1") and not settings.token:
        example = secrets.token_urlsafe(12)
        raise UserError(f"--host {host} lets others in; set a token that they must know, such as --token {example}")


def own_names() -> list[str]:
    """This machine's address in its network, as far as it has one, and its name there."""
    names = [socket.gethostname()]
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # an address that nobody has: it only picks the way out, nothing is sent
        names.insert(0, probe.getsockname()[0])
    return [name for name in dict.fromkeys(names) if split_host(name) and not name.startswith("127.")]


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises UserError if the port is taken or the host is not one of this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name != "nt":  # there, this would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise UserError(f"port {port} of {host} is in use; choose another one with --port.") from None
        raise UserError(f"{host}, port {port}, cannot be listened on: {str(error).rstrip('.')}.") from None
    return listener


def log_to_stderr() -> None:
    """One line for each request and event, without what anybody typed."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False

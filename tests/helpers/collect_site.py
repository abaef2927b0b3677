"""A web site on the loopback that remembers who asked for what."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def html(about: str, title: str = "News") -> bytes:
    """A page with a menu and a footer around two paragraphs about something."""
    first = f"In the harbour everybody speaks of {about}, and nobody knows how it began. " * 3
    second = f"When evening comes, {about} will be forgotten, and somebody plays the old accordion again. " * 3
    return (
        f"<!DOCTYPE html><html><head><meta charset='utf-8'><title>{title}</title></head><body>"
        "<nav><a href='/'>Home</a> <a href='/login'>Log in</a></nav>"
        f"<article><h1>{title}</h1><p>{first}</p><p>{second}</p></article>"
        "<footer>Cookies and imprint</footer></body></html>"
    ).encode()


class Site(ThreadingHTTPServer):
    """Serves `answers`, (status, type, body) or a path that redirects, by path; remembers who asked for what."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, str, bytes]] = {}
        self.redirects: dict[str, str] = {}
        self.headers: dict[str, dict[str, str]] = {}  # more than the type and length, by path
        self.asked: list[str] = []
        self.agents: set[str | None] = set()
        self.closing = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def page(self, path: str, about: str = "") -> str:
        self.answers[path] = (200, "text/html", html(about or f"the matter of {path}"))
        return self.url(path)


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.agents.add(self.headers.get("User-Agent"))
        if self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):  # the visitor leaves
                for _ in range(200):  # longer than any visitor here waits
                    self.wfile.write(b"<html>")
                    if self.server.closing.wait(0.05):
                        break
            return
        if (target := self.server.redirects.get(self.path)) is not None:
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()
            return
        status, kind, body = self.server.answers.get(self.path, (404, "text/html", b"<html>nothing here</html>"))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.server.headers.get(self.path, {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass

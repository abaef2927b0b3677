"""Who may ask: the Host and Origin checks, the token, and the headers that every response carries."""

from __future__ import annotations

import hmac
import logging
import re
import secrets
import time

from flask import Flask, Response, g, request

from .errors import ApiError
from .settings import Settings

log = logging.getLogger("minigpt.web")

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
MOST_DISCARDED = 64 << 20  # bytes
#: What anybody may load: the page itself holds no secret, and has to be there to ask for the token.
OPEN_ENDPOINTS = ("page.index", "static")

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def split_host(host: str) -> str | None:
    """The name in a Host header, in lower case and without the port; None if it is not one."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", host)
    return match[1].lower() if match else None


def host_allowed(host: str, settings: Settings) -> bool:
    """A page of another site can let its own name point to this machine (DNS rebinding), but then the Host header still
    holds that name. It cannot know a token: where there is one, it decides, and any name will do."""
    name = split_host(host)
    return name is not None and (settings.token is not None or name in LOOPBACK or name in settings.hosts)


def origin_allowed(origin: str | None, settings: Settings) -> bool:
    """Whether a page may write here: one of our own, or one of a name that we were told to answer to. Clients other
    than browsers send no Origin."""
    own = f"{request.scheme}://{request.environ.get('HTTP_HOST', '')}".lower()
    if origin is None or origin.lower() == own:
        return True
    name = split_host(origin.partition("://")[2])
    return name is not None and name in settings.hosts


def install(app: Flask, settings: Settings) -> None:
    """Check every request before anything else reads it, and dress every response."""

    @app.before_request
    def check() -> None:
        g.began, g.number = time.monotonic(), secrets.token_hex(4)
        if not host_allowed(request.environ.get("HTTP_HOST", ""), settings):
            why = "This server does not answer to that name; --allow-host NAME lets it, and so does a --token."
            raise ApiError(400, "foreign_host", why)
        known = settings.token is not None and _knows_token(settings.token)
        writes = request.method not in ("GET", "HEAD", "OPTIONS")
        if writes and not known and not origin_allowed(request.headers.get("Origin"), settings):
            why = "Another site's page may not write here; if it is ours behind a proxy, start with --behind-proxy."
            raise ApiError(403, "foreign_origin", why)
        if not known and request.endpoint not in OPEN_ENDPOINTS:
            if request.headers.get("Sec-Fetch-Site") == "cross-site":
                raise ApiError(403, "foreign_origin", "Another site's page may not ask here.")
            if settings.token is not None:
                raise ApiError(401, "bad_token", "This server wants its token: Authorization: Bearer ...")
        if (request.content_length or 0) > settings.max_body:
            _let_send(request.content_length or 0)
            raise ApiError(413, "too_long", f"A request may have {settings.max_body} bytes.")

    @app.after_request
    def dress(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        fresh = "no-cache" if request.endpoint in OPEN_ENDPOINTS else "no-store"
        if "Cache-Control" not in response.headers or request.endpoint in OPEN_ENDPOINTS:
            response.headers["Cache-Control"] = fresh
        # The rule, not the path, and no query: nothing that somebody typed gets into the log.
        rule = request.url_rule.rule if request.url_rule else "(no route)"
        milliseconds = 1000 * (time.monotonic() - g.get("began", time.monotonic()))
        log.info(
            "%s %s %s %d %.0f ms, %d bytes in",
            g.get("number", "-"), _method(), rule, response.status_code, milliseconds, request.content_length or 0,
        )  # fmt: skip
        return response


def _let_send(length: int) -> None:
    """Take a body that is too long off the line, up to a bound: who is cut off in sending never reads why."""
    left = min(length, MOST_DISCARDED)
    while left > 0 and (part := request.environ["wsgi.input"].read(min(left, 1 << 16))):
        left -= len(part)


def _method() -> str:
    return request.method if request.method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "OTHER"


def _knows_token(token: str) -> bool:
    """Compared in constant time: how long it takes tells nothing about how much was right."""
    given = request.headers.get("Authorization", "")
    return hmac.compare_digest(given.encode("utf-8", "replace"), f"Bearer {token}".encode())

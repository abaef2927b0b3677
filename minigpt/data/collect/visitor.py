"""Visiting web pages politely: under a name, as robots.txt asks, one page of a host at a time and never in a hurry."""

from __future__ import annotations

import ipaddress
import socket
import time
import urllib.error
import urllib.request
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from .charset import decode_page

if TYPE_CHECKING:
    from protego import Protego

AGENT = "minigpt-collect/0.1"
CHUNK = 1 << 16  # bytes
REDIRECTS = 5  # as many as RFC 9309 wants for robots.txt
PATIENCE = 3  # failures in a row after which a host is left alone until the next run
BUSY = (429, 500, 502, 503, 504)
#: RFC 3986: what may stand in a path or query as it is; % because it may be quoted already.
SAFE = "%/:@!$&'()*+,;=-._~?"


class Skipped(Exception):
    """A page that is not kept, and what the counts call that. Where `later`, the next run tries it again."""

    def __init__(self, reason: str, later: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.later = reason, later


@dataclass(frozen=True)
class Fetched:
    """What a server sent, from `url` after all redirects; `type` is its media type and `charset` its encoding, both
    empty if it named none."""

    url: str
    type: str
    data: bytes
    charset: str = ""

    @cached_property
    def text(self) -> str:
        return decode_page(self.data, self.charset)


def web_address(text: str) -> str:
    """The address in the one form that it is kept under. Raises ValueError if it is no http or https address."""
    text = text.strip()
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} is no web address; it has to begin with http:// or https://")
    try:
        host = parts.hostname if ":" in parts.hostname else parts.hostname.encode("idna").decode()
        port = f":{parts.port}" if parts.port else ""
    except (UnicodeError, ValueError):
        raise ValueError(f"{text!r} names no host that there can be") from None
    host = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, host + port, quote(parts.path, SAFE) or "/", quote(parts.query, SAFE), ""))


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Every step of a redirect is checked before it is taken, so none is taken by itself."""

    def redirect_request(self, *args: Any, **options: Any) -> None:
        return None


class Visitor:
    """Fetches pages. Between two requests to a host lie `delay` seconds, or more where its robots.txt asks for more.

    A page may take `timeout` seconds and have `largest` bytes.
    """

    def __init__(self, agent: str = AGENT, delay: float = 1.0, timeout: float = 20.0, largest: int = 5_000_000) -> None:
        self.agent, self.delay, self.timeout, self.largest = agent, delay, timeout, largest
        self._opener = urllib.request.build_opener(NoRedirects)
        self._rules: dict[str, Protego] = {}
        self._ready: dict[str, float] = {}
        self._failures: Counter[str] = Counter()

    def ready(self, url: str) -> float:
        """When the host of this address may be asked next, on the clock of `time.monotonic`."""
        return self._ready.get(urlsplit(url).netloc, 0.0)

    def fetch(self, url: str) -> Fetched:
        """The page at a `web_address`. Raises Skipped, whatever the reason."""

        def check(url: str) -> None:
            if not self._rules_of(url).can_fetch(url, self.agent):
                raise Skipped("refused by robots.txt")

        return self._follow(url, check)

    def _follow(self, url: str, check: Callable[[str], None]) -> Fetched:
        for _ in range(REDIRECTS + 1):
            check(url)
            answer = self._ask(url)
            if isinstance(answer, Fetched):
                return answer
            url = redirected(url, answer)
        raise Skipped("redirected in circles")

    def _rules_of(self, url: str) -> Protego:
        from protego import Protego  # of the optional extra

        origin = "://".join(urlsplit(url)[:2])
        if origin not in self._rules:
            try:
                text = self._follow(f"{origin}/robots.txt", lambda url: None).data.decode("utf-8", "replace")
            except Skipped as answer:
                if answer.later:
                    raise
                # RFC 9309, section 2.3.1.3: a host without the file allows everything. One that shows it to nobody
                # is not taken to.
                absent = answer.reason.startswith("status 4") and answer.reason not in ("status 401", "status 403")
                text = "" if absent else "User-agent: *\nDisallow: /"
            self._rules[origin] = Protego.parse(text)
        return self._rules[origin]

    def _gap(self, url: str) -> float:
        """Seconds between two requests to the host of this address."""
        rules = self._rules.get("://".join(urlsplit(url)[:2]))
        if rules is None:
            return self.delay
        rate = rules.request_rate(self.agent)
        return max(self.delay, rules.crawl_delay(self.agent) or 0.0, rate.seconds / rate.requests if rate else 0.0)

    def _ask(self, url: str) -> Fetched | str:
        """One request: the page, or the address that the server points to instead. Raises Skipped."""
        host = urlsplit(url).netloc
        if self._failures[host] >= PATIENCE:
            raise Skipped("host did not answer", later=True)
        time.sleep(max(0.0, self._ready.get(host, 0.0) - time.monotonic()))
        request = urllib.request.Request(url, headers={"User-Agent": self.agent, "Accept": "text/html, */*;q=0.5"})
        try:
            with self._opener.open(request, timeout=self.timeout) as response:
                data = self._unpacked(self._read(response), response.headers.get("Content-Encoding", ""))
                fetched = Fetched(url, media_type(response), data, response.headers.get_content_charset() or "")
        except urllib.error.HTTPError as error:
            with error:
                if error.code in BUSY:
                    self._failures[host] = PATIENCE  # it asks to be left alone
                    raise Skipped("host is busy", later=True) from None
                location = error.headers.get("Location")
            if 300 <= error.code < 400 and location:
                return location
            raise Skipped(f"status {error.code}") from None
        except (OSError, HTTPException, ValueError):
            self._failures[host] += 1
            raise Skipped("no answer", later=True) from None
        finally:
            self._ready[host] = time.monotonic() + self._gap(url)
        self._failures[host] = 0
        return fetched

    def _read(self, response: HTTPResponse) -> bytes:
        """The body, if it comes in time and is not too large. A server that sends a byte now and then, for ever, would
        never run into the timeout of a single read."""
        deadline = time.monotonic() + self.timeout
        parts: list[bytes] = []
        size = 0
        while part := response.read1(CHUNK):
            parts.append(part)
            size += len(part)
            if size > self.largest:
                raise Skipped("too large")
            if time.monotonic() > deadline:
                raise TimeoutError
        if response.length:
            raise OSError("the connection ended early")
        return b"".join(parts)

    def _unpacked(self, data: bytes, packing: str) -> bytes:
        """The body as it was before a server packed it, unasked. Raises Skipped for what is too large or unknown."""
        if packing.strip().lower() in ("", "identity"):
            return data
        unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, as the data says
        try:
            unpacked = unpacker.decompress(data, self.largest + 1)
        except zlib.error:
            raise Skipped("packed in an unknown way") from None
        if len(unpacked) > self.largest:
            raise Skipped("too large")
        return unpacked


def media_type(response: HTTPResponse) -> str:
    return response.headers.get_content_type() if "Content-Type" in response.headers else ""


def redirected(url: str, location: str) -> str:
    """Where a server points to. Raises Skipped for what is no web address, and where a public server would lead us
    into a private network."""
    try:
        target = web_address(urljoin(url, location))
    except ValueError:
        raise Skipped("redirected to no web address") from None
    host = urlsplit(target).hostname or ""
    if host != urlsplit(url).hostname and is_private(host):
        raise Skipped("redirected into a private network")
    return target


def is_private(host: str) -> bool:
    """Whether a name leads to an address that only this network knows."""
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False  # then it leads nowhere
    return any(not ipaddress.ip_address(str(info[4][0]).split("%")[0]).is_global for info in found)

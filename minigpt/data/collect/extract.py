"""What a page says: its text without menus and footers, its title and date; and the addresses in a feed.

Both jobs are for libraries, which come as an optional extra.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import re
from dataclasses import dataclass
from urllib.parse import urljoin

from ...errors import UserError
from .charset import SNIFFED
from .visitor import Fetched, web_address

#: The modules of the extra `collect`.
MODULES = ("trafilatura", "feedparser", "protego")
HTML, FEED, OTHER = "html", "feed", "other"
TYPES = re.compile(r"(text/html|(text|application)/([a-z]+\+)?xml|)")


@dataclass(frozen=True)
class Page:
    """`text` has a line for each paragraph; `date` is like 2026-11-21; both that and the title can be empty."""

    text: str
    title: str
    date: str


def need_extra() -> None:
    """Raises UserError if the libraries are not there."""
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError:
            raise UserError("collecting pages needs a few libraries more: run pip install -e .[collect]") from None
        # What a library cannot read is counted here; its own complaints would only tear the progress bar.
        logging.getLogger(name).setLevel(logging.CRITICAL)


def kind_of(fetched: Fetched) -> str:
    """HTML, FEED or OTHER, by the type that the server names, if any, and by how the text begins."""
    if not TYPES.fullmatch(fetched.type):
        return OTHER
    start = fetched.text[:SNIFFED].lower()
    if re.search(r"<(rss|feed|rdf:rdf)[\s>]", start):
        return FEED
    if "<html" in start or "<!doctype html" in start or "html" in fetched.type:
        return HTML
    return OTHER


def extract(html: str, url: str) -> Page:
    """The main text of a page; empty if it has none."""
    from trafilatura import extract as extract_text

    found = extract_text(html, url=url, output_format="json", with_metadata=True, include_comments=False)
    fields = json.loads(found) if found else {}
    lines = (line.strip() for line in (fields.get("text") or "").split("\n"))
    text = "\n".join(line for line in lines if line)
    return Page(text, fields.get("title") or "", fields.get("date") or "")


def feed_links(feed: bytes, url: str = "") -> list[str]:
    """The web addresses of the entries of an RSS or Atom feed, in its order; `url` is its own."""
    import feedparser

    entries = feedparser.parse(feed, response_headers={"content-type": "text/xml"}).entries
    links = []
    for entry in entries:
        with contextlib.suppress(ValueError):  # an entry can also lead to a mail address
            links.append(web_address(urljoin(url, entry.get("link", ""))))
    return list(dict.fromkeys(links))

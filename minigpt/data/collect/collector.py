"""From places to pages: what a folder, a list or a feed holds, read or fetched, extracted and kept."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from ...errors import UserError
from ..source import read_bytes, read_text
from .extract import FEED, HTML, extract, feed_links, kind_of
from .pages import KEPT, Pages
from .visitor import Fetched, Skipped, Visitor, web_address

ENDINGS = (".html", ".htm", ".xhtml")
KNOWN, LATER = "known before", "left for the next run"
NO_PAGE = "without the ending .html"


def sources(places: Iterable[str]) -> tuple[list[Path], list[str], int]:
    """The saved pages and the web addresses that these places hold, and how many files of a folder are neither.
    Raises UserError for a place that is none."""
    files: list[Path] = []
    addresses: list[str] = []
    others = 0
    for place in places:
        path = Path(place)
        if path.is_dir():
            pages, count = saved_pages(path)
            files += pages
            others += count
        elif path.is_file():
            if path.suffix.lower() in ENDINGS:
                files.append(path)
            elif kind_of(Fetched("", "", read_bytes(path))) == FEED:
                addresses += feed_links(read_bytes(path))
            else:
                addresses += listed(path)
        elif "://" in place:
            addresses += _addresses([(place, place)])
        else:
            raise UserError(f"{place} does not exist; name a folder of .html files, a list of addresses, or a feed.")
    return files, list(dict.fromkeys(addresses)), others


def saved_pages(folder: Path) -> tuple[list[Path], int]:
    """The pages in a folder, and how many other files. What a browser saves beside a page, in a folder called
    NAME_files, is neither."""
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.endswith("_files") for part in path.relative_to(folder).parts[:-1])
    ]
    found = [path for path in files if path.suffix.lower() in ENDINGS]
    if not found:
        raise UserError(f"{folder} holds no .html file among {len(files):,}; save pages there with a browser.")
    return found, len(files) - len(found)


def listed(path: Path) -> list[str]:
    """The addresses in a file, one a line; what begins with # is a remark."""
    lines = ((f"{path}:{number}", line) for number, line in enumerate(read_text(path).split("\n"), start=1))
    return _addresses((place, line) for place, line in lines if line.strip() and not line.lstrip().startswith("#"))


def _addresses(found: Iterable[tuple[str, str]]) -> list[str]:
    addresses = []
    for place, text in found:
        try:
            addresses.append(web_address(text))
        except ValueError as error:
            raise UserError(f"{error}." if place == text else f"{place}: {error}.") from None
    return addresses


class Collector:
    """Puts pages into the store and counts what became of them; `shortest` counts the characters of a page's text.
    With `again`, pages that were not kept before are tried once more."""

    def __init__(self, pages: Pages, visitor: Visitor, shortest: int, again: bool = False) -> None:
        self.pages, self.visitor, self.shortest, self.again = pages, visitor, shortest, again
        self.counts: Counter[str] = Counter()

    def read(self, files: list[Path]) -> None:
        """Saved pages; one that has changed since is read again."""
        for path in tqdm(files, desc="reading", unit="page", leave=False, disable=None):
            url = path.resolve().as_uri()
            data = path.read_bytes() if path.stat().st_size <= self.visitor.largest else b""
            if self.pages.knows(url, data, self.again):
                self.counts[KNOWN] += 1
            elif not data:
                self._skip(url, "too large or empty", data)
            else:
                self._take(url, Fetched(url, "", data))

    def visit(self, addresses: list[str]) -> None:
        """Pages and feeds from the web; hosts take turns, so that none keeps the others waiting."""
        waiting = Hosts(self.visitor)
        self._enqueue(waiting, addresses)
        with tqdm(desc="visiting", unit="page", leave=False, disable=None) as bar:
            for url in waiting:
                bar.total = waiting.count  # feeds make it more
                bar.set_postfix_str(urlsplit(url).netloc)
                try:
                    fetched = self.visitor.fetch(url)
                    if kind_of(fetched) == FEED:  # never stored: it has other entries every day
                        self._enqueue(waiting, feed_links(fetched.data, fetched.url))
                    else:
                        self._take(url, fetched)
                except Skipped as skipped:
                    if skipped.later:
                        self.counts[f"{LATER}, {skipped.reason}"] += 1
                    else:
                        self._skip(url, skipped.reason)
                bar.update()

    def _enqueue(self, waiting: Hosts, addresses: list[str]) -> None:
        for url in addresses:
            if self.pages.knows(url, again=self.again):
                self.counts[KNOWN] += 1
            else:
                waiting.add(url)

    def _take(self, url: str, fetched: Fetched) -> None:
        if kind_of(fetched) != HTML:
            self._skip(url, "not HTML", fetched.data)
            return
        page = extract(fetched.text, fetched.url)
        if len(page.text) < self.shortest:
            self._skip(url, "too short", fetched.data)
        else:
            self.counts[self.pages.keep(url, fetched.data, page)] += 1

    def _skip(self, url: str, reason: str, data: bytes | None = None) -> None:
        self.counts[reason] += 1
        self.pages.skip(url, reason, data)

    def summary(self) -> str:
        """One line: what was kept, and what was not and why."""
        rest = {reason: n for reason, n in sorted(self.counts.items()) if n and reason != KEPT}
        skipped = ", ".join(f"{n:,} {reason}" for reason, n in rest.items())
        return f"{self.counts[KEPT]:,} kept; not kept: {skipped or 'none'}"


class Hosts:
    """Addresses waiting to be visited, each once; the host that may be asked soonest comes next."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self._seen: set[str] = set()
        self._lines: dict[str, deque[str]] = {}

    @property
    def count(self) -> int:
        """How many there have been in all."""
        return len(self._seen)

    def add(self, url: str) -> None:
        if url not in self._seen:
            self._seen.add(url)
            self._lines.setdefault(urlsplit(url).netloc, deque()).append(url)

    def __iter__(self) -> Iterator[str]:
        while self._lines:
            host = min(self._lines, key=lambda host: self.visitor.ready(self._lines[host][0]))
            url = self._lines[host].popleft()
            if not self._lines[host]:
                del self._lines[host]
            yield url

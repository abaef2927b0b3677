"""The pages that were collected, each of them once, in one SQLite file that can be searched."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...errors import UserError
from ..fulltext import FullText
from .extract import Page

KEPT, DUPLICATE = "kept", "duplicate"
TABLES = """
CREATE TABLE IF NOT EXISTS pages (
    id INTEGER PRIMARY KEY, url TEXT NOT NULL UNIQUE, seen TEXT NOT NULL, outcome TEXT NOT NULL,
    raw_hash TEXT, text_hash TEXT UNIQUE, title TEXT, date TEXT, body TEXT NOT NULL DEFAULT '');
"""


class Pages:
    """One SQLite file. What a method has written is on disk when it returns, so a run can be stopped at any moment."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it. Raises UserError if it cannot be written, or is something else."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=30.0)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(TABLES)
            self.texts = FullText(self._db, "pages")
        except (sqlite3.Error, OSError) as error:
            raise UserError(f"{path} cannot be used to keep pages ({error}); name another file with --store.") from None

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._db:
                yield self._db
        except sqlite3.OperationalError as error:
            raise UserError(f"{self.path} cannot be written ({error}); free some space and run again.") from None

    def knows(self, url: str, raw: bytes | None = None, again: bool = False) -> bool:
        """Whether a page was seen before; given its bytes, whether it was seen just so. `again` counts only what was
        kept."""
        found = self._db.execute("SELECT outcome, raw_hash FROM pages WHERE url = ?", (url,)).fetchone()
        if found is None or (again and found["outcome"] != KEPT):
            return False
        return raw is None or found["raw_hash"] == _hash(raw)

    def keep(self, url: str, raw: bytes, page: Page) -> str:
        """Store a page; returns KEPT, or DUPLICATE if another one has the same words."""
        text_hash = _hash(" ".join(page.text.split()).encode())
        other = self._db.execute("SELECT url FROM pages WHERE text_hash = ?", (text_hash,)).fetchone()
        if other is not None and other["url"] != url:
            self.skip(url, DUPLICATE, raw)
            return DUPLICATE
        self._put(url, KEPT, _hash(raw), text_hash, page.title, page.date, page.text)
        return KEPT

    def skip(self, url: str, reason: str, raw: bytes | None = None) -> None:
        """Remember that a page is of no use, so that no later run asks for it."""
        self._put(url, reason, None if raw is None else _hash(raw), None, None, None, "")

    def _put(self, url: str, outcome: str, *values: str | None) -> None:
        """One row for each address: a page that has changed takes the place of what it was."""
        with self._writing() as db:
            if (old := db.execute("SELECT id, body FROM pages WHERE url = ?", (url,)).fetchone()) is not None:
                self.texts.remove(db, old["id"], old["body"])
                db.execute("DELETE FROM pages WHERE id = ?", (old["id"],))
            seen = datetime.now(UTC).isoformat(timespec="seconds")
            cursor = db.execute(
                "INSERT INTO pages (url, seen, outcome, raw_hash, text_hash, title, date, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (url, seen, outcome, *values),
            )
            assert cursor.lastrowid is not None
            self.texts.add(db, cursor.lastrowid, str(values[-1]))

    def search(self, words: str, limit: int) -> list[dict[str, Any]]:
        """Kept pages that hold all the words, the newest first. Raises ValueError if there is no word."""
        condition, values, _ = self.texts.condition(words)
        query = f"SELECT url, title, date, body FROM pages WHERE {condition} ORDER BY id DESC LIMIT ?"
        return [dict(row) for row in self._db.execute(query, (*values, limit))]

    def kept(self) -> Iterator[dict[str, Any]]:
        """All kept pages, in the order in which they came."""
        query = "SELECT url, title, date, seen, body FROM pages WHERE outcome = ? ORDER BY id"
        yield from map(dict, self._db.execute(query, (KEPT,)))

    def counts(self) -> Counter[str]:
        """How many pages there are of each outcome."""
        return Counter(dict(self._db.execute("SELECT outcome, count(*) FROM pages GROUP BY outcome").fetchall()))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

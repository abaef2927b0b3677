"""Full-text search in a column of an SQLite table, in any script.

SQLite's FTS5 indexes every three characters in a row, so that any part of any word is found, in Chinese too. Shorter
words, as Chinese ones often are, and builds of SQLite without FTS5, are looked for in the texts themselves.
"""

from __future__ import annotations

import sqlite3
from typing import Any

INDEX = """
CREATE VIRTUAL TABLE IF NOT EXISTS {table}_index USING fts5(
    body, content='{table}', content_rowid='id', tokenize='trigram')
"""
#: What a text match looks like: a piece of the text, and where in it the match is.
Snippet = dict[str, Any]


class FullText:
    """Search in the column `body` of `table`, whose key is `id`. The index follows the table by `add` and `remove`.

    `indexed` says whether this SQLite has FTS5. The index is rebuilt at each start: an SQLite without it may have
    written here.
    """

    def __init__(self, db: sqlite3.Connection, table: str) -> None:
        self.table, self.index = table, f"{table}_index"
        try:
            with db:
                db.execute(INDEX.format(table=table))
                db.execute(f"INSERT INTO {self.index} ({self.index}) VALUES ('rebuild')")
            self.indexed = True
        except sqlite3.OperationalError as error:
            if "no such" not in str(error):  # neither the module nor its tokenizer is missing: busy, or a full disk
                raise
            self.indexed = False

    def add(self, db: sqlite3.Connection, id: int, body: str) -> None:
        """To be called with each new row, in its transaction."""
        if self.indexed:
            db.execute(f"INSERT INTO {self.index} (rowid, body) VALUES (?, ?)", (id, body))

    def remove(self, db: sqlite3.Connection, id: int, body: str) -> None:
        """To be called with each row that goes, or changes, and its old text."""
        if self.indexed:
            db.execute(f"INSERT INTO {self.index} ({self.index}, rowid, body) VALUES ('delete', ?, ?)", (id, body))

    def condition(self, words: str) -> tuple[str, list[str], bool]:
        """(an SQL condition on the table's rows, its values, whether it uses the index): all the words must occur.
        Raises ValueError if there is no word."""
        parts = words.replace("\0", " ").split()  # for SQLite, a text ends at a NUL
        if not parts:
            raise ValueError("no word to look for")
        if self.indexed and all(len(part) >= 3 for part in parts):
            wanted = " AND ".join('"{}"'.format(part.replace('"', '""')) for part in parts)
            return f"id IN (SELECT rowid FROM {self.index} WHERE {self.index} MATCH ?)", [wanted], True
        alike = " AND ".join(["body LIKE ? ESCAPE '\\'"] * len(parts))
        return alike, [f"%{_escape(part)}%" for part in parts], False


def _escape(part: str) -> str:
    return part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def snippet(body: str, words: str, around: int = 60) -> Snippet:
    """The text about the first match, and where in it the match is; from the beginning if no word is found as it is."""
    at, word = min(
        ((place, part) for part in words.split() if (place := body.lower().find(part.lower())) >= 0), default=(-1, "")
    )
    if at < 0:
        return {"snippet": body[: 2 * around], "start": 0, "end": 0}
    begin = max(0, at - around)
    return {"snippet": body[begin : at + len(word) + around], "start": at - begin, "end": at - begin + len(word)}

"""The store: answers, blind pairs, votes and thumbs in one SQLite file.

What is written here is on disk when the method returns (write-ahead log, synchronous=FULL): a vote that was
acknowledged survives kill -9 and a power cut. Several pages may share a file: each transaction waits for its turn.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..data.fulltext import FullText
from ..errors import UserError
from .errors import ApiError

Row = dict[str, Any]
VOTES = ("left", "right", "tie", "both_bad")

TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY, chat TEXT NOT NULL, created TEXT NOT NULL, model TEXT NOT NULL, messages TEXT NOT NULL,
    text TEXT NOT NULL, finish_reason TEXT, note TEXT, seed INTEGER, thumb TEXT);
CREATE INDEX IF NOT EXISTS answers_by_chat ON answers (chat);
CREATE TABLE IF NOT EXISTS pairs (
    id INTEGER PRIMARY KEY, created TEXT NOT NULL, messages TEXT NOT NULL,
    left_model TEXT NOT NULL, left_text TEXT NOT NULL, left_seed INTEGER NOT NULL,
    right_model TEXT NOT NULL, right_text TEXT NOT NULL, right_seed INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS votes (
    id INTEGER PRIMARY KEY, pair INTEGER NOT NULL UNIQUE REFERENCES pairs, created TEXT NOT NULL, vote TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trainings (id INTEGER PRIMARY KEY, created TEXT NOT NULL, last_vote INTEGER NOT NULL);
-- What can be searched: one row for each stored answer and each voted pair.
CREATE TABLE IF NOT EXISTS texts (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, ref INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS texts_by_ref ON texts (kind, ref);
"""


PATIENCE = 10.0  # seconds that one page waits for another that writes


class Store:
    """One SQLite file, or ":memory:". Methods may be called from any thread; they take turns."""

    def __init__(self, path: Path | str) -> None:
        """Opens the file, or makes it. Raises UserError if it cannot be written, or is something else."""
        self._lock = threading.RLock()
        try:
            if isinstance(path, Path):
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, timeout=PATIENCE)
            self._db.row_factory = sqlite3.Row
            self.texts = self._prepare(time.monotonic() + PATIENCE)
        except (sqlite3.Error, OSError) as error:
            raise UserError(f"{path} cannot be used to keep votes and chats ({error}); move it away.") from None

    def _prepare(self, deadline: float) -> FullText:
        """Settings, tables and index. Another page may be making the same database: SQLite waits for it by itself, but
        not where the journal's mode changes."""
        while True:
            try:
                for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                    self._db.execute(f"PRAGMA {pragma}")
                self._db.executescript(TABLES)
                return FullText(self._db, "texts")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction. Raises ApiError 507 if the disk is full or cannot be written; nothing is stored then."""
        with self._lock:
            try:
                with self._db:
                    self._db.execute("BEGIN IMMEDIATE")  # what it reads, no other page changes before it writes
                    yield self._db
            except sqlite3.OperationalError as error:
                reason = "the disk is full" if "full" in str(error) else "the database cannot be written"
                raise ApiError(507, "disk", f"Not saved: {reason}.") from None

    def rows(self, query: str, *values: Any) -> list[Row]:
        """What a SELECT finds; columns named `messages` come as lists."""
        with self._lock:
            found = [dict(row) for row in self._db.execute(query, values)]
        for row in found:
            if "messages" in row:
                row["messages"] = json.loads(row["messages"])
        return found

    # Chats.

    def add_answer(
        self, chat: str, model: str, messages: Sequence[Row], text: str, finish_reason: str | None,
        note: str | None, seed: int,
    ) -> int:  # fmt: skip
        """Keep an answer; returns its number."""
        with self.writing() as db:
            cursor = db.execute(
                "INSERT INTO answers (chat, created, model, messages, text, finish_reason, note, seed)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (chat, _now(), model, _json(messages), text, finish_reason, note, seed),
            )
            number = _number(cursor)
            self._remember(db, "chat", number, [messages[-1]["content"], text])
            return number

    def chats(self, limit: int) -> list[Row]:
        """The last chats, newest first, each with its first question as a title."""
        found = self.rows(
            "SELECT chat AS chat_id, min(created) AS created, max(created) AS updated, count(*) AS answers,"
            " (SELECT messages FROM answers f WHERE f.chat = a.chat ORDER BY id LIMIT 1) AS messages"
            " FROM answers a GROUP BY chat ORDER BY max(id) DESC LIMIT ?",
            limit,
        )
        for row in found:
            asked = [m["content"] for m in row.pop("messages") if m["role"] == "user"]
            row["title"] = asked[0][:80] if asked else ""
        return found

    def chat(self, chat: str) -> list[Row]:
        return self.rows(
            "SELECT id AS answer_id, created, model, messages, text, finish_reason, note, seed, thumb"
            " FROM answers WHERE chat = ? ORDER BY id",
            chat,
        )

    def forget_chats(self, chat: str | None = None) -> int:
        """Delete one chat, or all; returns how many answers are gone."""
        which, values = ("WHERE chat = ?", (chat,)) if chat is not None else ("", ())
        with self.writing() as db:
            gone = [row["id"] for row in db.execute(f"SELECT id FROM answers {which}", values)]
            for number in gone:
                self._forget(db, "chat", number)
            db.execute(f"DELETE FROM answers {which}", values)
        return len(gone)

    def set_thumb(self, answer: int, thumb: str | None) -> bool:
        """False if there is no such answer."""
        with self.writing() as db:
            return db.execute("UPDATE answers SET thumb = ? WHERE id = ?", (thumb, answer)).rowcount > 0

    # Votes.

    def add_pair(self, messages: Sequence[Row], left: Row, right: Row) -> int:
        """Keep two answers (each with model, text, seed) that wait for a vote; returns their number."""
        with self.writing() as db:
            cursor = db.execute(
                "INSERT INTO pairs (created, messages, left_model, left_text, left_seed, right_model, right_text,"
                " right_seed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (_now(), _json(messages), left["model"], left["text"], left["seed"],
                 right["model"], right["text"], right["seed"]),
            )  # fmt: skip
            return _number(cursor)

    def pair(self, number: int) -> Row | None:
        found = self.rows("SELECT * FROM pairs WHERE id = ?", number)
        return found[0] if found else None

    def add_vote(self, pair: int, vote: str) -> int:
        """Keep a vote on a pair; it is on disk when this returns. ApiError: 404 no such pair, 409 voted before."""
        with self.writing() as db:
            found = db.execute("SELECT messages, left_text, right_text FROM pairs WHERE id = ?", (pair,)).fetchone()
            if found is None:
                raise ApiError(404, "not_found", "There is no such pair.", "pair_id")
            try:
                cursor = db.execute("INSERT INTO votes (pair, created, vote) VALUES (?, ?, ?)", (pair, _now(), vote))
            except sqlite3.IntegrityError:
                raise ApiError(409, "already_voted", "This pair has its vote already.", "pair_id") from None
            asked = json.loads(found["messages"])[-1]["content"]
            self._remember(db, "vote", pair, [asked, found["left_text"], found["right_text"]])
            return _number(cursor)

    def votes(self) -> list[Row]:
        """All voted pairs, in the order of the votes."""
        return self.rows(
            "SELECT v.id AS vote_id, v.vote, v.created AS voted, p.* FROM votes v JOIN pairs p ON p.id = v.pair"
            " ORDER BY v.id"
        )

    def thumbs(self) -> list[Row]:
        return self.rows("SELECT * FROM answers WHERE thumb IS NOT NULL ORDER BY id")

    def answers(self) -> list[Row]:
        return self.rows("SELECT * FROM answers ORDER BY id")

    def counts(self) -> Row:
        """Votes by kind, those for one side or the other (usable), and the usable ones since the last training."""
        found = {row["vote"]: row["n"] for row in self.rows("SELECT vote, count(*) AS n FROM votes GROUP BY vote")}
        fresh = self.rows(
            "SELECT count(*) AS n FROM votes WHERE vote IN ('left', 'right')"
            " AND id > (SELECT coalesce(max(last_vote), 0) FROM trainings)"
        )
        counts = {vote: found.get(vote, 0) for vote in VOTES}
        usable = counts["left"] + counts["right"]
        return {"votes": sum(counts.values()), **counts, "usable": usable, "since_training": fresh[0]["n"]}

    def mark_trained(self, last_vote: int) -> None:
        """From now on, `since_training` counts the votes after this one."""
        with self.writing() as db:
            db.execute("INSERT INTO trainings (created, last_vote) VALUES (?, ?)", (_now(), last_vote))

    # Search.

    def _remember(self, db: sqlite3.Connection, kind: str, ref: int, texts: Sequence[str]) -> None:
        body = "\n".join(texts)
        cursor = db.execute("INSERT INTO texts (kind, ref, body) VALUES (?, ?, ?)", (kind, ref, body))
        self.texts.add(db, _number(cursor), body)

    def _forget(self, db: sqlite3.Connection, kind: str, ref: int) -> None:
        for row in db.execute("SELECT id, body FROM texts WHERE kind = ? AND ref = ?", (kind, ref)).fetchall():
            self.texts.remove(db, row["id"], row["body"])
            db.execute("DELETE FROM texts WHERE id = ?", (row["id"],))

    def search(self, words: str, limit: int) -> tuple[list[Row], bool]:
        """Texts that hold all the words, newest first, and whether the index was used."""
        try:
            condition, values, indexed = self.texts.condition(words)
        except ValueError:  # there is no word to look for
            return [], self.texts.indexed
        return self.rows(f"SELECT * FROM texts WHERE {condition} ORDER BY id DESC LIMIT ?", *values, limit), indexed


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _number(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid

"""One corpus being read: how strict to be, and a count of everything that was met on the way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ...characters import NO_TEXT, sound
from ...errors import UserError
from ..source import EmptyFile, File, ending, files_in, read_text, told
from .jsonl import json_rows
from .table import table_rows

Row = dict[str, Any]
#: Reads a text into rows, each with its line (or another place in the file); for a faulty one, what is wrong with it.
RowReader = Callable[[str], Iterable[tuple[int | str, Row | ValueError]]]
#: By the ending of a file, how its rows are read.
READERS: dict[str, RowReader] = {
    ".jsonl": json_rows,
    ".ndjson": json_rows,
    ".json": json_rows,
    ".csv": table_rows,
    ".tsv": partial(table_rows, tabs=True),
}
SHOWN = 3  # bad rows whose places are told
LONGEST_REASON = 300  # characters of what is wrong with a row
BAD_ROWS = "bad rows"
NOT_TEXT = "characters that no text holds (now U+FFFD)"
#: How the names of the splits that are not to be learned from begin: valid1, validation, dev, test, …
HELD_OUT = ("valid", "dev", "test")
#: JSON may hold half a character, or a NUL, as an escape.
ESCAPED = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")


class Skipped(ValueError):
    """A row that is no mistake and yet nothing to learn from. It is counted under this reason."""


class Record(NamedTuple):
    """A row, where it begins (`file:line`), its file's name within the corpus, whether the publisher holds it out, and
    as what kind of file it was read: `.jsonl`, `.csv`, `.txt`, …"""

    where: str
    row: Row
    file: str
    held_out: bool
    kind: str


@dataclass
class Reading:
    """What became of the files and rows of a corpus. `dropped` counts rows by reason, `unread` files by ending,
    `mended` what was changed in rows that were kept. A faulty row is an error, or with `skip_bad_rows` only counted.
    """

    skip_bad_rows: bool = False
    files: int = 0
    rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def text(self, file: File, otherwise: Callable[[bytes], str] | None = None) -> str:
        """`read_text`, counted, without what no text holds."""
        text, changed = sound(read_text(file, otherwise))
        self.files += 1
        self.mend(NOT_TEXT, changed)
        return text

    def records(self, path: Path, txt: RowReader | None = None, default: str = "") -> Iterator[Record]:
        """The rows of a file, or of all files of a folder or ZIP archive; empty ones among several are counted.

        `txt` reads .txt files; a single file of an unknown ending is read as if it ended in `default`, or as JSON if it
        looks like that. Where one file is called train, those called valid, dev or test are their publisher's split.
        """
        readers = READERS | ({".txt": txt} if txt else {})
        files = files_in(path, tuple(readers), self.unread)
        trains = any(_words(_within(file, path), ("train",)) for file in files)
        for file in files:
            try:
                text = self.text(file)
            except EmptyFile:
                if len(files) == 1:
                    raise
                self.unread["empty"] += 1
                continue
            kinds = (ending(file), default, ".json" if text.lstrip()[0] in "[{" else "")
            kind = next((kind for kind in kinds if kind in readers), None)
            if kind is None:
                raise UserError(f"{file}: its ending does not say what it holds; known are {', '.join(readers)}.")
            read = readers[kind]
            name = _within(file, path)
            held_out = trains and _words(name, HELD_OUT) and not _words(name, ("train",))
            escaped = read is json_rows and ESCAPED.search(text) is not None
            for line, row in read(text):
                where = f"{file}:{line}"
                if escaped and not isinstance(row, ValueError):
                    row = self._mend_row(row)
                if isinstance(row, ValueError):
                    self.rows += 1
                    self.fault(where, row)
                else:
                    yield Record(where, row, name, held_out, kind)

    def _mend_row(self, row: Row) -> Row | ValueError:
        try:
            mended: Row = self._mend(row)
        except RecursionError:
            return ValueError("it is nested too deeply")
        return mended

    def _mend(self, value: Any) -> Any:
        """A row's value without what no text holds."""
        if isinstance(value, str):
            if NO_TEXT.search(value):
                value, changed = sound(value)
                self.mend(NOT_TEXT, changed)
            return value
        if isinstance(value, list):
            return [self._mend(item) for item in value]
        if isinstance(value, dict):
            return {self._mend(name): self._mend(item) for name, item in value.items()}
        return value

    def drop(self, reason: str, count: int = 1) -> None:
        if count:
            self.dropped[reason] += count

    def mend(self, reason: str, count: int = 1) -> None:
        if count:
            self.mended[reason] += count

    @contextmanager
    def row(self, where: str) -> Iterator[None]:
        """Count what becomes of the row at `where`: a Skipped inside drops it, another ValueError is its fault."""
        self.rows += 1
        try:
            yield
        except Skipped as reason:
            self.drop(str(reason))
        except RecursionError:
            self.fault(where, ValueError("it is nested too deeply"))
        except ValueError as error:
            self.fault(where, error)

    def fault(self, where: str, error: ValueError) -> None:
        """Count a bad row. Raises UserError where none is to be skipped."""
        reason = str(error) if len(str(error)) <= LONGEST_REASON else f"{str(error)[:LONGEST_REASON]}…"
        if not self.skip_bad_rows:
            raise UserError(
                f"{where}: {reason}; mend the row, delete it, or leave bad rows out with --skip-bad-rows."
            ) from error
        self.drop(BAD_ROWS)
        if len(self.faults) < SHOWN:
            self.faults.append(f"{where}: {reason}")

    def summary(self) -> str:
        """What was dropped, mended, read and left unread, in one line."""
        parts = [f"dropped: {told(self.dropped) or 'nothing'}"]
        if self.faults:
            parts.append(f"bad rows, the first {len(self.faults)}: " + " | ".join(self.faults))
        if mended := told(self.mended):
            parts.append(f"mended: {mended}")
        if self.files:
            rows, files = ("s" * (count != 1) for count in (self.rows, self.files))
            parts.append(f"read: {self.rows:,} row{rows} of {self.files:,} file{files}")
        if unread := told(self.unread):
            parts.append(f"files not read: {unread}")
        return "; ".join(parts)


def _within(file: File, path: Path) -> str:
    """The name of a file in its corpus: its way from the folder or archive `path`."""
    if isinstance(file, Path):
        return file.relative_to(path).as_posix() if file != path else file.name
    return file.info.filename


def _words(name: str, beginnings: tuple[str, ...]) -> bool:
    """Whether one of the words that make up a file's name begins so."""
    return any(word.startswith(beginnings) for word in re.split(r"[^a-z]+", name.lower()))

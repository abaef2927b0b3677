"""Tables: comma-separated values as spreadsheets of any country write them, and tab-separated ones."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

csv.field_size_limit(1 << 30)  # a field may be a whole book
SEPARATORS = ",;\t"
#: Columns of numbers, for in a table everything is text.
NUMBERS = ("score", "rating", "choice")
LONGEST = 1000  # lines that one row may go over; a quotation mark that nobody closes ends there


class Table(NamedTuple):
    """A header, in small letters, and how the lines below are written; `start` is the index of the first of them."""

    columns: list[str]
    lines: list[str]
    start: int
    separator: str
    quoting: Any


def open_table(text: str, tabs: bool = False) -> Table:
    """Read the header: the separator is the one that makes most columns of it, or what a line `sep=;` says.

    With `tabs`, where it is a tab, quotation marks are nothing but text.
    """
    lines = text.split("\n")
    start = next(i for i, line in enumerate(lines) if line.strip())
    separators = "\t,;" if tabs else SEPARATORS
    if lines[start].lower().startswith("sep=") and len(lines[start]) == 5:
        separators = lines[start][4]
        start = next((i for i in range(start + 1, len(lines)) if lines[i].strip()), start)

    def header(separator: str) -> list[str]:
        try:
            return next(csv.reader([lines[start]], delimiter=separator, skipinitialspace=True), [])
        except (csv.Error, TypeError, ValueError):  # a separator that cannot be one
            return [lines[start]]

    separator = max(separators, key=lambda one: len(header(one)))
    columns = [name.strip().lower() for name in header(separator)]
    quoting = csv.QUOTE_NONE if tabs and separator == "\t" else csv.QUOTE_MINIMAL
    return Table(columns, lines, start + 1, separator, quoting)


def table_fields(table: Table) -> Iterator[tuple[int, list[str] | str]]:
    """The fields of every row with the line it starts on; for a broken one, what is wrong with it.

    Each row is read by itself: a quotation mark that is never closed takes no other row with it. Marks inside a field
    are doubled, as is usual, or stand after a backslash.
    """
    lines, at = table.lines, table.start
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        wrong = ""
        for escaping in ({"doublequote": True}, {"doublequote": False, "escapechar": "\\"}):
            some = (f"{lines[i]}\n" for i in range(at, min(at + LONGEST, len(lines))))
            reader = csv.reader(some, delimiter=table.separator, quoting=table.quoting, strict=True, **escaping)
            try:
                fields = next(reader)
            except (csv.Error, StopIteration) as error:
                wrong = wrong or f"{error}, so its quotation marks are not closed"
                continue
            if len(fields) == len(table.columns):
                if any(fields):  # a row of separators alone is a blank line to a spreadsheet
                    yield at + 1, fields
                at += reader.line_num
                break
            wrong = wrong or f"found {len(fields)} columns where the header has {len(table.columns)}"
        else:
            yield at + 1, wrong
            at += 1


def table_rows(text: str, tabs: bool = False) -> Iterator[tuple[int | str, dict[str, Any] | ValueError]]:
    """The rows below the header by column, each with the line it starts on: a quoted text may hold line ends."""
    table = open_table(text, tabs)
    if twice := [name for name, count in Counter(table.columns).items() if name and count > 1]:
        yield table.start, ValueError(f"the header has the column {twice[0]!r} twice")
        return
    for line, fields in table_fields(table):
        if isinstance(fields, str):
            yield line, ValueError(fields)
        else:
            # Spreadsheets write their empty columns too.
            row: dict[str, Any] = {name: field for name, field in zip(table.columns, fields, strict=True) if name}
            yield line, row | {name: _number(row[name]) for name in NUMBERS if name in row}


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None

"""JSON as people publish it: a row a line, an array, rows printed over several lines, or one after the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

#: Between two values; a byte order mark stands there where files were joined.
BLANK = re.compile("[ \t\r\n\ufeff]*")
#: Where a whole file is one object, its rows are in one of these.
WRAPPERS = ("data", "rows", "examples")
CUT_OFF = "; if the file was cut off, download or export it again"
MOST_DEEP = 20  # rows in a row that are nested too deeply before the rest is taken for part of them


def json_rows(text: str) -> Iterator[tuple[int | str, dict[str, Any] | ValueError]]:
    """The objects of a text, each with the line it starts on; in place of what is none, what is wrong with it.

    They may stand in arrays or one after the other, with or without commas. After a faulty value, reading goes on with
    the next line that begins as the faulty one did.
    """
    before = 0
    for number, (line, value, last) in enumerate(_values(text), start=1):
        place = f"{line}, row {number}" if line == before else line  # some arrays are a single line
        before = line
        if isinstance(value, dict) and number == 1 and last and (wrapper := _wrapper(value)):
            for inside, row in enumerate(value[wrapper], start=1):
                yield f"{line}, row {inside} of {wrapper}", row
        elif isinstance(value, dict | ValueError):
            yield place, value
        else:
            yield place, ValueError(f"expected an object {{…}}, found {type(value).__name__}")


def _wrapper(value: dict[str, Any]) -> str | None:
    for name in WRAPPERS:
        rows = value.get(name)
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            return name
    return None


def _values(text: str) -> Iterator[tuple[int, Any, bool]]:
    """Values with their line, and whether nothing but blanks follows. `json.loads` would forget the lines."""
    decoder = json.JSONDecoder()
    at, line, counted = 0, 1, 0
    in_array = wants_comma = False
    deep = 0

    def skip(at: int) -> int:
        match = BLANK.match(text, at)
        return match.end() if match else at

    at = skip(at)
    while at < len(text) or in_array:
        line += text.count("\n", counted, at)
        counted = at
        character = text[at : at + 1]
        if character == "," and wants_comma:
            at, wants_comma = skip(at + 1), False
            continue
        if character == "[" and not in_array:
            at, in_array, wants_comma = skip(at + 1), True, False
            continue
        if character == "]" and in_array:
            at, in_array, wants_comma = skip(at + 1), False, False
            continue
        if not character or (in_array and wants_comma):
            yield line, ValueError(f"not valid JSON (a comma or the end of the array is missing{CUT_OFF})"), False
            if not character:
                return
        start = at
        try:
            value, end = decoder.raw_decode(text, at)
            at, wants_comma, deep = skip(end), True, 0
            yield line, value, at == len(text)
            continue
        except json.JSONDecodeError as error:
            reason, where = f"{error.msg}, column {error.colno}{CUT_OFF}", error.lineno
        except ValueError:  # of Python, which reads numbers of so many digits only
            reason, where = "a number has too many digits", line
        except RecursionError:
            reason, where, deep = "it is nested too deeply", line, deep + 1
        yield where, ValueError(f"not valid JSON ({reason})"), False
        at = skip(_next_line_like(text, start))
        if at == len(text) or deep == MOST_DEEP:
            if "{" in text[start + 1 :]:
                yield where, ValueError("what follows cannot be told apart into rows"), False
            return


def _next_line_like(text: str, at: int) -> int:
    """Where the next line begins with as much space before its brace as the line of the value at `at`."""
    begin = text.rfind("\n", 0, at) + 1
    indent = re.match(r"[ \t]*", text[begin:at])
    found = text.find(f"\n{indent[0] if indent else ''}{{", at)
    return len(text) if found < 0 else found + 1

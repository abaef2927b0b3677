"""Reading text and JSON rows so that every mistake is reported as `file:line`."""

from __future__ import annotations

import codecs
import json
import zipfile
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from ...errors import UserError

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
BLANK = " \t\r\n"


def read_text(path: Path) -> str:
    """The whole UTF-8 file, without a byte order mark, with line ends turned into a single newline.

    Raises UserError with file and line when the bytes are not UTF-8, or when there is no text at all.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); name a readable file.") from error
    if raw.startswith(UTF16):
        raise UserError(f"{path}:1: the file is UTF-16; save the file as UTF-8.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # `utf-8-sig` counts from after the mark, so the position is looked up in what it was given.
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise UserError(f"{path}:{line}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8.") from error
    # Not splitlines(): U+2028 or U+0085 inside a sentence is text, not the end of a row.
    text = text.replace("\r\n", "\n")
    if not text.strip():
        raise UserError(f"{path}: the file is empty; give a file with at least one example.")
    return text


def archived(path: Path, endings: Container[str]) -> list[Path]:
    """The files with these endings in a ZIP archive such as doccano exports, to be read where they are.

    Empty files, of annotators who were given nothing, are left out. Raises UserError where there is nothing to read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            # macOS adds files of its own when it packs a folder anew.
            members = [info for info in archive.infolist() if "__MACOSX" not in info.filename and info.file_size]
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a readable ZIP archive ({error}); export it again.") from error
    found = [info for info in members if Path(info.filename).suffix.lower() in endings]
    if not found:
        raise UserError(f"{path} holds no .jsonl file of an annotator; export the project again as JSONL.")
    if any(info.flag_bits & 1 for info in found):
        raise UserError(f"{path} wants a password; unpack it first.")
    # A zipfile.Path has what a reader asks of a Path: its bytes, its suffix, and a name for messages.
    return [zipfile.Path(path, info.filename) for info in sorted(found, key=lambda info: info.filename)]  # type: ignore[misc]


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSON Lines file or of one JSON array, each with the line it starts on.

    The first character decides: `[` opens an array, anything else is one object per line.
    Raises UserError naming file and line for broken JSON, and for rows that are not objects.
    """
    text = read_text(path)
    values = _array(path, text) if text.lstrip(BLANK).startswith("[") else _lines(path, text)
    for line, row in values:
        if not isinstance(row, dict):
            raise UserError(f"{path}:{line}: expected an object {{…}}, found {type(row).__name__}.")
        yield line, row


def _lines(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    for line, row in enumerate(text.split("\n"), start=1):
        if row.strip():
            try:
                yield line, json.loads(row)
            except json.JSONDecodeError as error:
                raise _broken(path, line, error) from error


def _array(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """Decode one element after the other: `json.loads` of the whole would forget the line numbers."""
    decoder = json.JSONDecoder()
    at, line = text.index("[") + 1, 1
    counted = 0

    def skip_blank(at: int) -> int:
        while text[at : at + 1] and text[at] in BLANK:
            at += 1
        return at

    at = skip_blank(at)
    while text[at : at + 1] != "]":
        line += text.count("\n", counted, at)
        counted = at
        try:
            value, end = decoder.raw_decode(text, at)
            yield line, value
            at = skip_blank(end)
            if text[at : at + 1] == ",":
                at = skip_blank(at + 1)
            elif text[at : at + 1] != "]":
                raise json.JSONDecodeError("Expecting ',' or ']'", text, at)
        except json.JSONDecodeError as error:
            raise _broken(path, error.lineno, error) from error
    rest = skip_blank(at + 1)
    if rest < len(text):
        raise UserError(f"{path}:{text.count(chr(10), 0, rest) + 1}: text after the end of the JSON array.")


def _broken(path: Path, line: int, error: json.JSONDecodeError) -> UserError:
    return UserError(
        f"{path}:{line}: not valid JSON ({error.msg}, column {error.colno}); "
        "the file may be cut off: download or export it again, or mend this row."
    )

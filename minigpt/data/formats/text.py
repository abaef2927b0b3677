"""TextCorpus: running text in plain files, or as `{"text": …}` rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ...errors import UserError
from ..examples import Document
from .jsonl import read_rows, read_text
from .loader import CorpusLoader, Parsed
from .messages import post_text
from .rows import Skipped, located

#: TinyStories marks the end of a story with this line; its blank lines only part paragraphs.
END_OF_TEXT = "<|endoftext|>"
BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")


class TextCorpus(CorpusLoader):
    """Documents of a .txt file, of every .txt file of a folder, or of a JSON Lines file with a column `text` or a post.

    In a .txt file blank lines part the documents (or lines `<|endoftext|>`, where there are any).
    `words` is the number of whitespace-separated words. The files of a folder are one group each,
    so a book never lies in both training and validation; in a single file every document is a group.
    """

    layout = "a UTF-8 .txt file, a folder of .txt files, or a .jsonl or .json file of rows with a column text or post"

    @classmethod
    def parse(cls, path: Path) -> Parsed:
        if path.is_dir():
            return _folder(path)
        if path.suffix.lower() in (".jsonl", ".json"):
            return _rows(path)
        texts = split_documents(read_text(path))
        return Parsed([_document(text, f"{path.name}#{n}") for n, text in enumerate(texts, start=1)])


def split_documents(text: str) -> list[str]:
    """The documents of a text: between `<|endoftext|>` marks if it has any, else between blank lines."""
    parts = text.split(END_OF_TEXT) if END_OF_TEXT in text else BLANK_LINES.split(text)
    return [part.strip() for part in parts if part.strip()]


def _document(text: str, group: str) -> Document:
    return Document(text, group=group, words=len(text.split()))


def _folder(folder: Path) -> Parsed:
    parsed = Parsed([])
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() == ".txt")
    if not files:
        raise UserError(f"{folder} holds no .txt file; put the text to learn from there, saved as UTF-8.")
    for file in files:
        if not file.read_bytes().strip():
            parsed.dropped["empty files"] += 1
            continue
        parsed.train += [_document(text, file.name) for text in split_documents(read_text(file))]
    return parsed


def _rows(path: Path) -> Parsed:
    parsed = Parsed([])
    for number, (line, row) in enumerate(read_rows(path), start=1):
        try:
            with located(f"{path}:{line}"):
                text = _text(row)
        except Skipped as reason:
            parsed.dropped[str(reason)] += 1
            continue
        if not isinstance(text, str):
            raise UserError(f'{path}:{line}: expected {{"text": "…"}}, found the columns {sorted(row)}.')
        if not text.strip():
            parsed.dropped["empty texts"] += 1
            continue
        group = row.get("group", row.get("id", number))
        parsed.train.append(_document(text.strip(), str(group)))
    return parsed


def _text(row: dict[str, Any]) -> Any:
    """The text of a row; of one that holds a post and its summary, the post. Raises Skipped where the post is lost."""
    if "post" in row:
        return post_text(row)
    return row.get("text", row.get("original_text"))


class StreamCorpus(CorpusLoader):
    """One text, read as it stands; its last tenth is held out, as is the custom for tiny Shakespeare."""

    layout = "a UTF-8 .txt file"

    @classmethod
    def parse(cls, path: Path) -> Parsed:
        text = read_text(path)
        cut = len(text) * 9 // 10
        return Parsed([_document(text[:cut], "first nine tenths")], [_document(text[cut:], "last tenth")])

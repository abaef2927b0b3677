"""TextCorpus: running text in plain files, or as `{"text": …}` rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..examples import Document
from .loader import CorpusLoader, split_by_group
from .messages import post_text
from .reading import Reading, Record, Row, Skipped
from .rows import Examples, parse_rows

#: TinyStories marks the end of a story with this line; its blank lines only part paragraphs.
END_OF_TEXT = "<|endoftext|>"
BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")
#: Of fewer files or documents than this, no whole one is held out: it could be half of all there is.
FEW = 10
SHORTEST_PART = 100  # characters of a document's end that are worth validating with


class TextCorpus(CorpusLoader):
    """Documents of .txt files, and of JSON Lines files or tables with a column `text` or a post.

    In a .txt file blank lines part the documents (or lines `<|endoftext|>`, where there are any).
    `words` is the number of whitespace-separated words. Each of ten or more .txt files is one group, so a book never
    lies in both training and validation; in fewer files every document is a group, and where these are few too, the
    end of each document is held out.
    """

    layout = "a .txt file, a folder of such files, or rows with a column text or post (.jsonl, .json, .csv), in UTF-8"

    @classmethod
    def load(cls, path: Path, reading: Reading) -> Examples:
        count: Counter[str] = Counter()
        files: dict[str, str] = {}  # of each document of a .txt file

        def read(record: Record) -> list[Document]:
            group = str(record.row.get("group", record.row.get("id", reading.rows)))
            if record.kind == ".txt":
                count[record.file] += 1
                group = f"{record.file}#{count[record.file]}"
                files[group] = record.file
            return [_document(_text(record.row), group)]

        train, valid = parse_rows(reading.records(path, txt=_documents, default=".txt"), read, reading)
        if len(count) >= FEW:
            train = [replace(document, group=files.get(document.group, document.group)) for document in train]
        return train, valid

    @staticmethod
    def split(examples: Sequence[Any], fraction: float, seed: int) -> tuple[list[Any], list[Any]]:
        alone = len({example.group for example in examples}) == len(examples)
        if fraction <= 0 or len(examples) >= FEW or not alone:
            return split_by_group(examples, fraction, seed)
        halves = [_cut(example, fraction) for example in examples]
        return [head for head, _ in halves], [tail for _, tail in halves if tail]


def split_documents(text: str) -> list[str]:
    """The documents of a text: between `<|endoftext|>` marks if it has any, else between blank lines."""
    parts = text.split(END_OF_TEXT) if END_OF_TEXT in text else BLANK_LINES.split(text)
    return [part.strip() for part in parts if part.strip()]


def _documents(text: str) -> Iterator[tuple[int | str, Row]]:
    for number, document in enumerate(split_documents(text), start=1):
        yield f"document {number}", {"text": document}


def _document(text: str, group: str) -> Document:
    return Document(text, group=group, words=len(text.split()))


def _text(row: Row) -> str:
    """The text of a row; of one that holds a post and its summary, the post. Raises Skipped where there is none."""
    text = post_text(row) if "post" in row else row.get("text", row.get("original_text"))
    if not isinstance(text, str):
        raise ValueError(f'expected {{"text": "…"}}, found the columns {sorted(map(str, row))}')
    if not text.strip():
        raise Skipped("empty texts")
    return text.strip()


def _cut(document: Document, fraction: float) -> tuple[Document, Document | None]:
    """A document without its end, and that end: about `fraction` of it, from the beginning of a line or word."""
    text = document.text
    at = round(len(text) * (1 - fraction))
    earliest = max(0, 2 * at - len(text))
    at = next((found for mark in "\n " if (found := text.rfind(mark, earliest, at)) > 0), at)
    if len(text) - at < SHORTEST_PART:
        return document, None
    return _document(text[:at].strip(), document.group), _document(text[at:].strip(), document.group)


class StreamCorpus(CorpusLoader):
    """One text, read as it stands; its last tenth is held out, as is the custom for tiny Shakespeare."""

    layout = "a UTF-8 .txt file"

    @classmethod
    def load(cls, path: Path, reading: Reading) -> Examples:
        text = reading.text(path)
        reading.rows = 1
        cut = len(text) * 9 // 10
        return [_document(text[:cut], "first nine tenths")], [_document(text[cut:], "last tenth")]

"""Random files for the readers: nearly right ones of every layout, then changed as files change on their way.

A file of noise is refused at its first byte. These are rows, tables, dialogues and scripts as people publish them, with
wrong values in some places, so that the readers are reached everywhere.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from minigpt.data.formats.labels import LABEL_COLUMNS, TEXT_COLUMNS
from minigpt.data.formats.messages import SHAPES
from minigpt.data.formats.preferences import PREFERENCES
from minigpt.data.formats.prompts import QUESTIONS
from minigpt.data.formats.ratings import ANSWERS, SCORES
from minigpt.data.formats.script import COLUMNS
from minigpt.data.formats.turns import LEARN_KEYS, ROLE_NAMES

LARGEST = 1 << 16  # bytes of a file
ODD_TEXTS = (
    "", " ", "The answer is 4.", "The answer is 3.", "你好", "Möwe 🦊", 'says "hm"', "a;b,c\td", "two\nlines",
    "old\rline",
    "\ud83d half", "\0", "null", "-1", "0", "1", "3,5", "nan", "true", "Human:", "Assistant: Human: x", "User: Hi",
    "\n\nHuman: Hi\n\nAssistant: Yes", "\n\nHuman: Hi\n\nAssistant: No", " = Title = ", " = = Part = = ",
    "__label__good film", "L1 +++$+++ u0 +++$+++ m0 +++$+++ A +++$+++ Hi", "['L1', 'L2']", "<|endoftext|>", "\u2028",
    "\ufeff", "x" * 3000, "{}", "[]", '{"a": 1}', "..", "\x1e", "\x85",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3.5, 10**30, 1e308, float("nan"), float("inf"), [], {}, [[]], [None], [1], ["a"],
    ["a", "b"], ["a", "a"], [{"text": "a"}, {"text": "b"}], [{"label": 3}], {"text": "a"}, {"a": {"b": []}},
)  # fmt: skip
QUESTION_COLUMNS = [name for name, _ in QUESTIONS]
#: Columns that are beside those of a layout, or in the wrong one.
OTHER_COLUMNS = sorted(
    {name for columns, _ in (*SHAPES, *PREFERENCES) for name in columns}
    | {*QUESTION_COLUMNS, *TEXT_COLUMNS, *LABEL_COLUMNS, *ANSWERS, *SCORES, *LEARN_KEYS}
    | {"split", "group", "id", "system", "history", "earlier", "choice", "context", "entities", "Comments", "meta"}
)
MESSAGES, COMPARISONS = ([sorted(columns) for columns, _ in shapes] for shapes in (SHAPES, PREFERENCES))
LABELS = [[text, label] for text in TEXT_COLUMNS for label in LABEL_COLUMNS]
#: The sets of columns that the rows of a layout have.
SETS: dict[str, list[list[str]]] = {
    "messages": MESSAGES,
    "messages-lenient": MESSAGES,
    "comparisons": [
        *([*columns, "prompt", "choice"] for columns in COMPARISONS),
        ["info", "summaries", "choice"],
        ["instruction", "output"],
        ["chosen", "rejected"],
        ["prompt", "completion", "label"],
    ],
    "votes": [["prompt", "answers", "vote"]],
    "ratings": [["prompt", answer, score] for answer in ANSWERS for score in (*SCORES, "label")],
    "labels": LABELS,
    "unlabelled": LABELS,
    "prompts": [[column] for column in QUESTION_COLUMNS],
    "text": [["text"], ["post"], ["text", "id"]],
    "movie": [["id", "speaker", "text", "reply-to", "conversation_id", "meta"]],
    "guide": [["id", "user", "text", "reply_to"]],
    "wiki": [["text"]],
}
ENDINGS = (".jsonl", ".jsonl", ".jsonl", ".json", ".ndjson", ".csv", ".csv", ".tsv", ".txt", "")


class Writer:
    """Writes values by chance; the larger `odd`, the more of them are wrong."""

    def __init__(self, layout: str, seed: int) -> None:
        self.layout, self.random = layout, Random(seed)
        self.odd = self.random.choice((0.0, 0.02, 0.2))

    def happens(self, chance: float) -> bool:
        return self.random.random() < chance

    def one_of(self, values: Sequence[Any]) -> Any:
        return self.random.choice(values)

    def text(self) -> str:
        return self.one_of(ODD_TEXTS) if self.happens(self.odd) else f"text {self.random.randrange(5)}"

    def message(self, role: str) -> Any:
        if self.happens(self.odd / 3):
            return self.one_of(ODD_VALUES)
        said: Any = self.one_of(ODD_VALUES) if self.happens(self.odd) else self.text()
        if self.happens(0.1):
            said = [{"type": self.one_of(("text", "text", "image_url", None)), "text": self.text()}]
        name, content = self.one_of((("role", "content"), ("from", "value"), ("role", "parts")))
        made = {name: self.one_of([*ROLE_NAMES, "tool", None]) if self.happens(self.odd) else role, content: said}
        if self.happens(self.odd):
            made[self.one_of([*LEARN_KEYS, "name", "tool_calls"])] = self.one_of(ODD_VALUES)
        return made

    def messages(self, last: str = "assistant") -> list[Any]:
        roles = ["user", "assistant"] * self.random.randrange(1, 3) + ["user"] * (last == "user")
        roles = roles[1:] if self.happens(self.odd) else roles
        return [self.message(role) for role in ["system"] * self.happens(0.1) + roles]

    def value(self, column: str) -> Any:
        if self.happens(self.odd):
            return self.one_of(ODD_VALUES)
        if column in ("messages", "conversations", "contents"):
            return self.messages()
        if column in ("chosen", "rejected", "completion") and self.happens(0.1):
            return [self.message("assistant")]
        if column == "prompt" and self.happens(0.1):
            return self.messages("user")
        if column in ("info", "meta"):
            return self.row(["post", "title", "id"])
        if column in ("answers", "ranked", "summaries", "abstract", "history") or (
            column == "output" and self.layout in ("comparisons", "votes")
        ):
            return [self.text(), self.one_of((self.text(), {"text": self.text()}))]
        if column == "annotations":
            return [{"text": self.text()}]
        if column in ("choice", *LEARN_KEYS):
            return self.random.randrange(2)
        if column in SCORES:
            return self.random.randrange(9) / 2
        if column == "vote":
            return self.one_of(("left", "right", "tie", "both_bad"))
        if column == "label" and self.layout in ("ratings", "comparisons"):
            return self.happens(0.5)
        if column in LABEL_COLUMNS:
            return self.one_of((self.text(), [self.text()], 0, 1))
        if column in ("reply-to", "reply_to"):
            return self.one_of((None, f"text {self.random.randrange(5)}"))
        return self.text()

    def columns(self) -> list[str]:
        others = self.random.sample(OTHER_COLUMNS, self.random.randrange(1, 4)) if self.happens(self.odd) else []
        return self.one_of(SETS.get(self.layout, [["text"]])) + others

    def row(self, columns: Sequence[str]) -> dict[str, Any]:
        return {column: self.value(column) for column in columns}

    def rows(self) -> list[Any]:
        """Rows of one shape, some of another among them."""
        columns = self.columns()
        made: list[Any] = []
        for _ in range(self.random.randrange(1, 8)):
            made.append(self.row(self.columns() if self.happens(self.odd / 4) else columns))
            if self.happens(self.odd / 4):
                made[-1] = self.one_of(ODD_VALUES)
        return made

    # -- files ----------------------------------------------------------------------------------------

    def as_json(self) -> str:
        made = self.rows()
        indent, ascii_only = self.one_of((None, None, 1)), self.happens(0.5)
        each = [json.dumps(one, ensure_ascii=ascii_only, indent=indent) for one in made]
        ways: dict[str, Callable[[], str]] = {
            "lines": lambda: "\n".join(each),
            "array": lambda: "[" + ",\n".join(each) + "]",
            "wrapped": lambda: json.dumps({self.one_of(("data", "rows", "train", "x")): made, "version": 1}),
            "commas": lambda: ",\n".join(each),
            "joined": lambda: "".join(each),
            "windows": lambda: "\r\n".join(each) + "\r\n",
            "numbered": lambda: json.dumps({str(i): one for i, one in enumerate(made)}),
            "columns": lambda: json.dumps({str(key): [one.get(key) for one in made] for key in made[0]}),
            "python": lambda: repr(made),
        }
        usual = ("lines", "array", "joined", "windows")
        way = self.one_of([*ways] if all(isinstance(one, dict) for one in made) and self.happens(0.3) else usual)
        return ways[way]()

    def as_table(self) -> str:
        separator = self.one_of(",;\t|") if self.happens(0.5) else ","
        columns = list(COLUMNS) if self.layout == "script" else self.columns()
        if self.happens(self.odd):
            self.random.shuffle(columns)
            columns = columns[: self.random.randrange(1, len(columns) + 1)]
        quoted = not self.happens(self.odd)

        def cell(column: str) -> str:
            if column in ("id", "episode_id", "number", "character_id", "location_id"):
                content = str(self.random.randrange(2))
            elif column == "speaking_line":
                content = self.one_of(("true", "true", "True", "false", ""))
            else:
                value = self.value(column)
                content = value if isinstance(value, str) else str(value)
            return '"' + content.replace('"', '""') + '"' if quoted else content

        lines = [separator.join(map(cell, columns)) for _ in range(self.random.randrange(1, 14))]
        header = separator.join(column.upper() if self.happens(0.1) else column for column in columns)
        first = [f"sep={separator}"] if self.happens(0.1) else []
        return self.one_of(("\n", "\r\n", "\r")).join([*first, header, *lines])

    def as_text(self) -> str:
        """Plain text, and what .txt files are for in some layouts."""
        begin = {"labels": ("__label__good ", "__label__bad "), "messages": ("User: ", "AI: ")}.get(self.layout, ("",))
        lines = [begin[i % len(begin)] + self.text() for i in range(2 * self.random.randrange(1, 6))]
        return "\n".join("" if self.happens(self.odd) else line for line in lines)

    def as_wiki(self) -> str:
        parts = (" = Title = \n ", " = = Part = = ", " Words , and more @-@ words . ", "", " = x", "= a =")
        return "\n \n".join(self.one_of(parts[: 6 if self.happens(self.odd) else 3]) for _ in range(6))

    def as_movie(self) -> tuple[str, str]:
        """The file of lines and that of conversations."""
        mark, end = self.one_of((" +++$+++ ", " +++$+++ ", "\t")), self.one_of(("\n", "\r\n"))
        lines = [mark.join((f"L{n}", f"u{n % 2}", f"m{n // 4}", "A", self.text())) for n in range(12)]
        talks = [
            mark.join(("u0", "u1", "m0", str([f"L{n}" for n in range(start, start + self.random.randrange(4))])))
            for start in range(0, 12, 4)
        ]
        odd = [self.text()] * self.happens(self.odd)
        return end.join(lines + odd), end.join(talks + odd)

    def content(self, ending: str) -> bytes:
        """What a file of this ending may hold; now and then what another one would."""
        kinds = {".csv": self.as_table, ".tsv": self.as_table, ".txt": self.as_text, ".md": self.as_text}
        write = kinds.get(ending, self.as_json)
        if self.layout in ("wiki", "script") and not self.happens(self.odd):
            write = self.as_wiki if self.layout == "wiki" else self.as_table
        elif self.happens(self.odd / 2):
            write = self.one_of((self.as_json, self.as_table, self.as_text, self.as_wiki))
        return write().encode("utf-8", "surrogatepass" if self.happens(self.odd / 2) else "replace")


# -- what happens to files ----------------------------------------------------------------------------


def zipped(members: Sequence[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def _with_piece(data: bytes, random: Random, piece: bytes) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + piece + data[at + random.randrange(3) :]


def _encoded(data: bytes, encoding: str) -> bytes:
    return data.decode("utf-8", "replace").encode(encoding, "replace")


PIECES = (
    b"\0", b"\xff", b'"', b"'", b"{", b"}", b"[", b"]", b",", b"\n", b"\r", b"\\", b"\\ud83d", b"\xef\xbb\xbf",
    b"9" * 5000,
    b"[" * 3000, b'{"a":' * 3000, b'"' * 99, b"\xe2\x80", b"\x1f\x8b", b"PK\x03\x04", b"e", b"-", b"1e999", b"NaN",
)  # fmt: skip
NAMES = ("a.jsonl", "b/a.csv", "../a.txt", "a", "é.jsonl", "__MACOSX/a.jsonl")
CHANGES: dict[str, Callable[[bytes, Random], bytes]] = {
    "cut off": lambda data, random: data[: random.randrange(len(data) + 1)],
    "the beginning lost": lambda data, random: data[random.randrange(len(data) + 1) :],
    "a piece put in": lambda data, random: _with_piece(data, random, random.choice(PIECES)),
    "a byte changed": lambda data, random: _with_piece(data, random, bytes([random.randrange(256)])),
    "joined to itself": lambda data, random: data + b"\n" * random.randrange(2) + data,
    "with a mark": lambda data, random: b"\xef\xbb\xbf" + data,
    "in UTF-16 or UTF-32": lambda data, random: _encoded(data, random.choice(("utf-16", "utf-16-le", "utf-32"))),
    "in Windows-1252": lambda data, random: _encoded(data, "cp1252"),
    "packed by gzip": lambda data, random: gzip.compress(data, 1),
    "packed by bzip2": lambda data, random: bz2.compress(data, 1),
    "in an archive": lambda data, random: zipped([(name, data) for name in random.sample(NAMES, 2)]),
    "zeros at its end": lambda data, random: data + b"\0" * random.randrange(2000),
    "very often": lambda data, random: data * random.randrange(50),
}


def change(data: bytes, changes: Sequence[str], random: Random) -> bytes:
    for name in changes:
        data = CHANGES[name](data, random)[:LARGEST]
    return data


def random_corpus(folder: Path, layout: str, seed: int, changes: Sequence[str]) -> Path:
    """Write what a reader of `layout` may be given, and return its path: a file, or a folder of several."""
    writer = Writer(layout, seed)
    random = writer.random
    if layout in ("movie", "guide") and writer.happens(0.7):
        both = [part.encode("utf-8", "replace") for part in writer.as_movie()]
        broken = random.randrange(2)
        both[broken] = change(both[broken], changes, random)
        for name, data in zip(("movie_lines.txt", "movie_conversations.txt"), both, strict=True):
            (folder / name).write_bytes(data)
        return folder
    names = {"wiki": "wiki.train.tokens", "script": "script_lines.csv", "movie": "utterances.jsonl"}
    name = names.get(layout, f"a{writer.one_of(ENDINGS)}")
    if "in an archive" in changes and writer.happens(0.8):
        name = "a.zip"
    elif writer.happens(0.1):
        name = writer.one_of(("train.jsonl", "a.jsonl.gz", "a.JSONL", "a.pos", "dev.csv"))
    (folder / name).write_bytes(change(writer.content(Path(name).suffix), changes, random))
    if writer.happens(0.15):
        (folder / "more").mkdir()
        other = writer.one_of(("test.jsonl", "a.md", "a.neg", "b.csv"))
        (folder / "more" / other).write_bytes(writer.content(Path(other).suffix))
        return folder
    return folder / name

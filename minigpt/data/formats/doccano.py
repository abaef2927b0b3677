"""doccano's rows: our texts and chats go out to be labelled or corrected there, and come back with nothing lost.

    minigpt corpora doccano chats.jsonl --format messages --out for_doccano.jsonl

doccano imports JSON Lines and exports them with a number for each text, the comments of its annotators, and every
column of the import that it had no use for. `LabelCorpus` and `MessagesCorpus` learn from what it exports.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ... import cli
from ...errors import UserError
from ...files import write_atomically
from ..examples import Conversation, Document, LabelledText, Prompt, Turn
from . import FORMATS
from .messages import DOCCANO_LABELS, DOCCANO_TEXTS, annotated
from .reading import Reading, Row


@dataclass(frozen=True)
class DoccanoRow:
    """One text of a doccano project, with its annotations.

    `label` holds the labels of a text classification, or the long texts of a sequence-to-sequence project; `metadata`
    the columns that doccano only carries along. Before doccano has seen a text, it has no `number` or one of ours.
    """

    text: str
    label: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    number: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, row: Row) -> DoccanoRow:
        """Raises ValueError with a sentence for a row of another kind; a metadata column can also have overwritten one
        of doccano's own in its export."""
        text_column = next((name for name in DOCCANO_TEXTS if name in row), None)
        label_column = next((name for name in DOCCANO_LABELS if name in row), "label")
        if text_column is None:
            raise ValueError(f"columns {sorted(map(str, row))} hold no text, so this is no row of doccano's")
        text, number, given = row[text_column], row.get("id"), row.get(label_column)
        if not isinstance(text, str):
            raise ValueError(f"{text_column} must be a string, found {type(text).__name__}")
        if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
            raise ValueError(f"id must be a whole number, found {number!r}")
        labels = _texts("label", annotated(given) if label_column == "annotations" else given)
        own = {"id", "Comments", text_column, label_column}
        metadata = {name: value for name, value in row.items() if name not in own}
        return cls(text, labels, _texts("Comments", row.get("Comments")), number, metadata)

    def as_row(self) -> dict[str, Any]:
        """The columns as doccano writes them."""
        row = {} if self.number is None else {"id": self.number}
        own = {"text": self.text, "label": list(self.label), "Comments": list(self.comments)}
        return {**row, **own, **self.metadata}


def _texts(column: str, value: Any) -> tuple[str, ...]:
    """A column of one text or several; none where it is missing or null."""
    values = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(text, str) for text in values):
        raise ValueError(f"{column} must be a string or a list of strings, found {value!r}")
    return tuple(values)


def chat_row(turns: Sequence[Turn], answers: Sequence[str], number: int | None = None, **metadata: Any) -> DoccanoRow:
    """What was asked as the text, with `answers` to be corrected. The turns before it are the column `earlier`; it is
    there even if empty, for doccano's export fills a column that some rows lack with nulls."""
    earlier = [{"role": turn.role, "content": turn.text} for turn in turns[:-1]]
    return DoccanoRow(turns[-1].text, tuple(answers), (), number, {"earlier": earlier, **metadata})


def to_doccano(example: Any, number: int) -> DoccanoRow:
    """An example of ours as a row. Raises UserError for kinds that doccano has no project for."""
    if isinstance(example, LabelledText):
        return DoccanoRow(example.text, (example.label,), (), number)
    if isinstance(example, Conversation):
        return chat_row(example.turns[:-1], [example.turns[-1].text], number, group=example.group)
    if isinstance(example, Prompt):
        return chat_row(example.turns, [], number, group=example.group)
    if isinstance(example, Document):
        return DoccanoRow(example.text, number=number, metadata={"group": example.group})
    raise UserError(f"doccano has no project for {type(example).__name__}s; export labelled texts, chats or prompts.")


def read_doccano(path: Path) -> list[DoccanoRow]:
    """The rows of an export. Raises UserError naming file and line."""
    reading, rows = Reading(), []
    for record in reading.records(path):
        with reading.row(record.where):
            rows.append(DoccanoRow.parse(record.row))
    return rows


def write_doccano(path: Path, rows: Iterable[DoccanoRow]) -> None:
    """Write JSON Lines for doccano to import."""
    write_atomically(path, "".join(json.dumps(row.as_row(), ensure_ascii=False) + "\n" for row in rows))


def main() -> None:
    parser = cli.Parser(prog="minigpt corpora doccano", description=__doc__)
    parser.add_argument("corpus", type=Path, help="file or folder with the texts, labels or chats")
    parser.add_argument("--format", choices=FORMATS, default="messages", help="how to read them (default messages)")
    parser.add_argument("--out", type=Path, required=True, help="file to write, in JSON Lines")
    cli.add_reading_flag(parser)
    arguments = parser.parse_args()
    corpus = FORMATS[arguments.format].read(arguments.corpus, valid_fraction=0.0, skip_bad_rows=arguments.skip_bad_rows)
    print(f"corpus:    {corpus.summary()}")
    rows = [to_doccano(example, i) for i, example in enumerate([*corpus.train, *corpus.valid], start=1)]
    write_doccano(arguments.out, rows)
    chats = "earlier" in rows[0].metadata
    print(f"written:   {len(rows):,} rows to {arguments.out}")
    print(f"next:      import it as JSONL into a {'sequence to sequence' if chats else 'text classification'} project")

"""LabelCorpus: texts with one label each, in the formats of doccano, fastText and the well-known sentiment corpora."""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import UserError
from ..examples import Document, LabelledText
from .jsonl import archived, read_rows, read_text
from .loader import CorpusLoader, Parsed
from .movie import decode
from .rows import Row, group_of, located, unseen

#: Columns of the text; the first two are doccano's, its labels are words (`cats` in its projects of intents).
TEXT_COLUMNS = ("text", "column_data", "sentence", "review")
LABEL_COLUMNS = ("label", "column_label", "cats")
#: SST-2 (`sentence`) and ChnSentiCorp (`review`) number their labels; a test file without answers says -1.
NUMBERED = {"sentence", "review"}
SENTIMENTS = {"0": ["negative"], "1": ["positive"], "-1": []}
POLARITIES = {".neg": "negative", ".pos": "positive"}
FASTTEXT = "__label__"


class Annotation(NamedTuple):
    """What one annotator made of one text: no label, one, or several."""

    text: str
    labels: list[str]


class LabelCorpus(CorpusLoader):
    """Labelled texts, by the file's ending:

    * .jsonl, .json, .csv: doccano's text classification (`text`, `label`), ChnSentiCorp (`label`, `review`),
    * .txt: fastText's lines `__label__positive text`,
    * .tsv: SST-2 (`sentence`, `label`),
    * .zip: a doccano project in which each annotator has a file; the label most of them chose counts,
    * .pos and .neg, or the folder of both: Pang and Lee's rt-polarity, a sentence a line.

    Beside a file with `train` in its name, one that has `dev` or `valid` there holds the publisher's held-out texts.
    Texts with several labels or none are dropped and counted. The group is the text, so that none of them,
    if it is there twice, is both learned and tested.
    """

    layout = "a .jsonl, .json, .csv, .tsv, .txt or .zip file of labelled texts, or the folder of a .pos and a .neg file"

    @classmethod
    def parse(cls, path: Path) -> Parsed:
        if path.is_dir() or path.suffix.lower() in POLARITIES:
            return _single_labels(_polarity(path))
        if path.suffix.lower() == ".zip":
            return _majority(read_annotators(path))
        parsed = _single_labels(_annotations(path))
        if held_out := _held_out_beside(path):
            valid = _single_labels(_annotations(held_out))
            parsed.dropped += valid.dropped
            parsed.valid = unseen(valid.train, parsed.train, parsed.dropped)
        return parsed


class UnlabelledCorpus(LabelCorpus):
    """The same texts without their labels, to pre-train on. The same ones are held out."""

    @classmethod
    def parse(cls, path: Path) -> Parsed:
        parsed = super().parse(path)
        valid = None if parsed.valid is None else _documents(parsed.valid)
        return Parsed(_documents(parsed.train), valid, parsed.dropped)


def _documents(examples: list[LabelledText]) -> list[Document]:
    return [Document(example.text, example.group, len(example.text.split())) for example in examples]


def _held_out_beside(path: Path) -> Path | None:
    """The validation file that belongs to a training file: SST-2 has train.tsv and dev.tsv."""
    beside = [path.with_name(path.name.replace("train", word)) for word in ("dev", "valid")]
    return next((file for file in beside if file != path and file.is_file()), None)


def _single_labels(annotations: Iterator[Annotation]) -> Parsed:
    parsed = Parsed([])
    for text, labels in annotations:
        if not text:
            parsed.dropped["empty texts"] += 1
        elif len(labels) == 1:
            parsed.train.append(LabelledText(text, labels[0], group_of(text)))
        else:
            parsed.dropped["texts with several labels" if labels else "texts without a label"] += 1
    return parsed


def _majority(annotators: dict[str, list[Annotation]]) -> Parsed:
    """One labelled text for all annotations of it, where more than half of those who labelled it agree."""
    parsed = Parsed([])
    votes: dict[str, list[str]] = {}
    undecided: set[str] = set()
    for text, labels in itertools.chain(*annotators.values()):
        votes.setdefault(text, []).extend(labels if len(labels) == 1 else [])
        if len(labels) > 1:
            parsed.dropped["annotations with several labels"] += 1
            undecided.add(text)
    for text, given in votes.items():
        winner, count = Counter(given).most_common(1)[0] if given else ("", 0)
        if 2 * count > len(given) and text:
            parsed.train.append(LabelledText(text, winner, group_of(text)))
        elif not text:
            parsed.dropped["empty texts"] += 1
        elif given:
            parsed.dropped["texts on which annotators disagree"] += 1
        elif text not in undecided:
            parsed.dropped["texts without a label"] += 1
    return parsed


# -- the formats --------------------------------------------------------------------------------------


def _annotations(path: Path) -> Iterator[Annotation]:
    """The annotations of one file. Raises UserError with file and line for rows without a text or label column."""
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise UserError(f"{path}: unknown ending {path.suffix!r}; LabelCorpus expects {LabelCorpus.layout}.")
    for line, row in read(path):
        with located(f"{path}:{line}"):
            annotation = to_annotation(row)
        yield annotation


def to_annotation(row: Row) -> Annotation:
    """The text and labels in one row. Raises ValueError with a sentence when it is no text classification."""
    text_column = next((name for name in TEXT_COLUMNS if name in row), None)
    label_column = next((name for name in LABEL_COLUMNS if name in row), None)
    if text_column is None or label_column is None:
        raise ValueError(
            f"columns {sorted(map(str, row))} are no labelled text (a text is in {', '.join(TEXT_COLUMNS)}, "
            f"its label in {', '.join(LABEL_COLUMNS)})"
        )
    text, label = row[text_column], row[label_column]
    if text is None:  # pandas, through which doccano's exports go, writes what is missing as null
        text = ""
    if not isinstance(text, str):
        raise ValueError(f"{text_column} must be a string, found {type(text).__name__}")
    if text_column in NUMBERED:
        if str(label) not in SENTIMENTS:
            raise ValueError(f"a {text_column} has the label 0 or 1, found {label!r}; call the column text for words")
        return Annotation(text.strip(), SENTIMENTS[str(label)])
    labels = label if isinstance(label, list) else [] if label is None else [label]
    if not all(isinstance(name, str) for name in labels):
        raise ValueError(f"{label_column} must be a string or a list of strings, found {label!r}")
    return Annotation(text.strip(), [name for name in dict.fromkeys(map(str.strip, labels)) if name])


def _csv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a comma-separated file; doccano writes several labels as `a#b`."""
    for line, row in _table(path, ",", csv.QUOTE_MINIMAL):
        for column in LABEL_COLUMNS:
            if "#" in row.get(column, ""):
                row[column] = row[column].split("#")
        yield line, row


def _tsv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a tab-separated file, in which quotes are nothing but quotes."""
    return _table(path, "\t", csv.QUOTE_NONE)


def _table(path: Path, delimiter: str, quoting: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows below the header, each with the line it starts on: a quoted text may hold line ends."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    header: list[str] = []
    start = 1
    try:
        for fields in reader:
            if not header:
                header = fields
            elif fields:
                if len(fields) != len(header):
                    raise UserError(
                        f"{path}:{start}: found {len(fields)} columns where the header has {len(header)}; mend the row "
                        "or delete it."
                    )
                yield start, dict(zip(header, fields, strict=True))
            start = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}:{start}: {error}; mend the quotes of this row or delete it.") from error


def _fasttext(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines `__label__a __label__b text`."""
    text = read_text(path)
    if FASTTEXT not in text:
        raise UserError(f"{path}:1: no line begins with {FASTTEXT}; write lines such as '{FASTTEXT}positive text'.")
    for line, content in enumerate(text.split("\n"), start=1):
        rest, labels = content.strip(), []
        while rest.startswith(FASTTEXT):
            label, _, rest = rest.removeprefix(FASTTEXT).partition(" ")
            labels.append(label)
        if content.strip():
            yield line, {"text": rest, "label": labels}


#: By the ending of a file: its rows, each with its line.
READERS: dict[str, Callable[[Path], Iterator[tuple[int, dict[str, Any]]]]] = {
    ".jsonl": read_rows,
    ".json": read_rows,
    ".csv": _csv,
    ".tsv": _tsv,
    ".txt": _fasttext,
}


def read_annotators(path: Path) -> dict[str, list[Annotation]]:
    """What each annotator of a doccano project made of its texts, by the name of the annotator's file in the ZIP.

    Raises UserError for anything but such an archive.
    """
    return {file.stem: list(_annotations(file)) for file in archived(path, READERS)}


def _polarity(path: Path) -> Iterator[Annotation]:
    """The lines of a .pos and a .neg file of the same name."""
    found = sorted(path.glob("*.pos")) if path.is_dir() else [path]
    if len(found) != 1:
        raise UserError(f"{path} holds {len(found)} .pos files; name one of them, or give {LabelCorpus.layout}.")
    for ending, label in POLARITIES.items():
        file = found[0].with_suffix(ending)
        if not file.is_file():
            raise UserError(f"{file} is missing; rt-polarity has a .pos and a .neg file of the same name.")
        for line in decode(file.read_bytes()).split("\n"):
            if line.strip():
                yield Annotation(line.strip(), [label])

"""LabelCorpus: texts with one label each, in the formats of doccano, fastText and the well-known sentiment corpora."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...errors import UserError
from ..examples import Document, LabelledText
from ..source import ending
from .loader import CorpusLoader
from .messages import annotated
from .movie import repaired
from .reading import Reading, Record, Row, Skipped
from .rows import Examples, group_of, parse_rows, unseen

#: Columns of the text and of its labels; the first are doccano's, `data` and `labels` those of its former exports.
TEXT_COLUMNS = ("text", "data", "column_data", "sentence", "review")
LABEL_COLUMNS = ("label", "labels", "column_label", "cats", "annotations")
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
    def load(cls, path: Path, reading: Reading) -> Examples:
        if path.suffix.lower() in POLARITIES or (path.is_dir() and next(path.glob("*.pos"), None)):
            return _polarity(path, reading), None
        if ending(path) == ".zip":
            return _majority(read_annotators(path, reading), reading.dropped), None
        train, valid = parse_rows(reading.records(path, txt=_fasttext), _labelled, reading)
        if valid is None and (beside := _held_out_beside(path)):
            held_out, _ = parse_rows(reading.records(beside, txt=_fasttext), _labelled, reading)
            valid = unseen(held_out, train, reading.dropped)
        return train, valid


class UnlabelledCorpus(LabelCorpus):
    """The same texts without their labels, to pre-train on. The same ones are held out."""

    @classmethod
    def load(cls, path: Path, reading: Reading) -> Examples:
        train, valid = super().load(path, reading)
        return _documents(train), None if valid is None else _documents(valid)


def _documents(examples: list[LabelledText]) -> list[Document]:
    return [Document(example.text, example.group, len(example.text.split())) for example in examples]


def _held_out_beside(path: Path) -> Path | None:
    """The validation file that belongs to a training file: SST-2 has train.tsv and dev.tsv."""
    beside = [path.with_name(path.name.replace("train", word)) for word in ("dev", "valid")]
    return next((file for file in beside if file != path and file.is_file()), None)


def _labelled(record: Record) -> list[LabelledText]:
    text, labels = _annotation(record)
    if not text:
        raise Skipped("empty texts")
    if len(labels) != 1:
        raise Skipped("texts with several labels" if labels else "texts without a label")
    return [LabelledText(text, labels[0], group_of(text))]


def _majority(annotators: dict[str, list[Annotation]], dropped: Counter[str]) -> list[LabelledText]:
    """One labelled text for all annotations of it, where more than half of those who labelled it agree."""
    examples: list[LabelledText] = []
    votes: dict[str, list[str]] = {}
    undecided: set[str] = set()
    for text, labels in itertools.chain(*annotators.values()):
        votes.setdefault(text, []).extend(labels if len(labels) == 1 else [])
        if len(labels) > 1:
            dropped["annotations with several labels"] += 1
            undecided.add(text)
    for text, given in votes.items():
        winner, count = Counter(given).most_common(1)[0] if given else ("", 0)
        if 2 * count > len(given) and text:
            examples.append(LabelledText(text, winner, group_of(text)))
        elif not text:
            dropped["empty texts"] += 1
        elif given:
            dropped["texts on which annotators disagree"] += 1
        elif text not in undecided:
            dropped["texts without a label"] += 1
    return examples


# -- the formats --------------------------------------------------------------------------------------


def _annotation(record: Record) -> Annotation:
    """What a row says. In a table, doccano writes several labels as `a#b`."""
    row = record.row
    if record.kind == ".csv":
        joined = {name for name in LABEL_COLUMNS if isinstance(row.get(name), str) and "#" in row[name]}
        row = row | {name: row[name].split("#") for name in joined}
    return to_annotation(row)


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
    if label_column == "annotations":
        label = annotated(label)
    labels = label if isinstance(label, list) else [] if label is None else [label]
    # Numbers name labels as well as words do; that they are a table's text must make no difference.
    labels = [str(name) if type(name) is int else name for name in labels]
    if not all(isinstance(name, str) for name in labels):
        raise ValueError(f"{label_column} must be a string or a list of strings, found {label!r}")
    return Annotation(text.strip(), [name for name in dict.fromkeys(map(str.strip, labels)) if name])


def _fasttext(text: str) -> Iterator[tuple[int | str, Row | ValueError]]:
    """The lines `__label__a __label__b text`."""
    if FASTTEXT not in text:
        yield 1, ValueError(f"no line begins with {FASTTEXT}; write lines such as '{FASTTEXT}positive text'")
        return
    for line, content in enumerate(text.split("\n"), start=1):
        rest, labels = content.strip(), []
        while rest.startswith(FASTTEXT):
            label, _, rest = rest.removeprefix(FASTTEXT).partition(" ")
            labels.append(label)
        if content.strip():
            yield line, {"text": rest, "label": labels}


def read_annotators(path: Path, reading: Reading) -> dict[str, list[Annotation]]:
    """What each annotator of a doccano project made of its texts, by the name of the annotator's file in the ZIP
    archive, or in the folder that was unpacked from it."""
    annotators: dict[str, list[Annotation]] = {}
    for record in reading.records(path, txt=_fasttext):
        with reading.row(record.where):
            annotators.setdefault(Path(record.file).stem, []).append(_annotation(record))
    return annotators


def _polarity(path: Path, reading: Reading) -> list[LabelledText]:
    """The lines of a .pos and a .neg file of the same name."""
    found = sorted(path.glob("*.pos")) if path.is_dir() else [path]
    if len(found) != 1:
        raise UserError(f"{path} holds {len(found)} .pos files; name one of them, or give {LabelCorpus.layout}.")
    examples = []
    for suffix, label in POLARITIES.items():
        file = found[0].with_suffix(suffix)
        if not file.is_file():
            raise UserError(f"{file} is missing; rt-polarity has a .pos and a .neg file of the same name.")
        for line in reading.text(file, repaired).split("\n"):
            if line.strip():
                reading.rows += 1
                examples.append(LabelledText(line.strip(), label, group_of(line.strip())))
    return examples

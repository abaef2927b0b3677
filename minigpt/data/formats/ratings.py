"""RatingCorpus: answers that people gave a score, on any scale."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..examples import RatedAnswer
from .loader import CorpusLoader
from .prompts import answer_text, prompt_of
from .reading import Reading, Row, Skipped
from .rows import Examples, group_of, parse_rows

#: Columns of the answer and of its score; the first that a row has counts.
ANSWERS = ("completion", "answer", "response", "summary", "sum_text", "output")
SCORES = ("score", "rating")


class RatingCorpus(CorpusLoader):
    """Rated answers of the rows of a file or folder: a prompt, a column of `ANSWERS`, and

    * a number in a column of `SCORES`, such as a mark from 1 to 5,
    * or `label`, true or false, which count as 1 and 0,
    * or, in `summary`, the marks of summarize_from_feedback: `axes.overall`, from 1 to 7.

    The group is the prompt; a column `split` is the publisher's own split.
    """

    layout = "rows of rated answers (.jsonl, .json, .csv, or a folder of such files)"

    @classmethod
    def load(cls, path: Path, reading: Reading) -> Examples:
        return parse_rows(reading.records(path), lambda record: [to_rated_answer(record.row)], reading)


def to_rated_answer(row: Row) -> RatedAnswer:
    """The rated answer in one row.

    Raises ValueError with a sentence when a part is missing or the score is no finite number,
    and Skipped when nobody gave a score, the answer is empty or the post is lost.
    """
    column = next((name for name in ANSWERS if name in row), None)
    if column is None:
        raise ValueError(f"columns {sorted(map(str, row))} hold no answer (known are {', '.join(ANSWERS)})")
    prompt = prompt_of(row)
    return RatedAnswer(prompt, answer_text(row[column]), _rating(row), group_of(prompt))


def _rating(row: Row) -> float:
    for column in SCORES:
        if column in row:
            return _number(column, row[column])
    if "label" in row:
        if not isinstance(row["label"], bool):
            raise ValueError(f"label must be true or false, found {row['label']!r}; numbers go into a column score")
        return float(row["label"])
    summary = row.get("summary")
    axes = summary.get("axes") if isinstance(summary, dict) else None
    if not isinstance(axes, dict) or "overall" not in axes:
        raise ValueError(f"no score (known are {', '.join(SCORES)}, label, and axes.overall of a summary)")
    return _number("overall", axes["overall"])


def _number(name: str, value: Any) -> float:
    if value is None:
        raise Skipped("answers without a score")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, found {value!r}")
    try:
        rating = float(value)
    except OverflowError:  # an integer of more than 308 digits
        rating = math.inf
    if not math.isfinite(rating):
        raise ValueError(f"{name} must be finite, found {rating}")
    return rating

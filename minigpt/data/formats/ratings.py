"""RatingCorpus: answers that people gave a score, on any scale."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..examples import RatedAnswer
from .loader import CorpusLoader, Parsed
from .prompts import answer_text, prompt_of
from .rows import Row, Skipped, group_of, located_rows, parse_rows

#: Columns of the answer and of its score; the first that a row has counts.
ANSWERS = ("completion", "answer", "response", "summary", "sum_text", "output")
SCORES = ("score", "rating")


class RatingCorpus(CorpusLoader):
    """Rated answers of a .jsonl or .json file, or of a folder of them: a prompt, a column of `ANSWERS`, and

    * a number in a column of `SCORES`, such as a mark from 1 to 5,
    * or `label`, true or false, which count as 1 and 0,
    * or, in `summary`, the marks of summarize_from_feedback: `axes.overall`, from 1 to 7.

    The group is the prompt; a column `split` is the publisher's own split.
    """

    layout = "a .jsonl or .json file of rated answers (or a folder of such files)"

    @classmethod
    def parse(cls, path: Path) -> Parsed:
        return parse_rows(located_rows(path), lambda row: [to_rated_answer(row)])


def to_rated_answer(row: Row) -> RatedAnswer:
    """The rated answer in one row.

    Raises ValueError with a sentence when a part is missing or the score is no finite number,
    and Skipped when nobody gave a score or the post is lost.
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

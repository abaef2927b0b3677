"""ComparisonCorpus: two answers to one prompt and which of them people prefer, in every shape they are published in.

`to_comparisons` knows the shapes of single rows; the class reads files of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from ..examples import Comparison, RatedAnswer
from .loader import CorpusLoader
from .prompts import EQUAL, answer_text, prompt_of, split_pair
from .ratings import to_rated_answer
from .reading import Reading, Record, Row, Skipped
from .rows import Examples, group_of, parse_rows

#: Votes of the chat page: which of the two answers is the better one.
VOTES = {"left": 0, "right": 1}
UNDECIDED = {"tie": "votes for a tie", "both_bad": "votes that both are bad"}


class ComparisonCorpus(CorpusLoader):
    """Comparisons of the rows of a file or folder; see `PREFERENCES` for the columns.

    Single verdicts (`prompt`, `completion`, `label` true or false) give a pair for each liked and each disliked
    answer to the same prompt. The group is the prompt, so none is both learned and tested. A column `split` with
    names such as train and valid1 is the publisher's own split.
    """

    layout = "rows of comparisons (.jsonl, .json, .csv, or a folder of such files)"

    @classmethod
    def load(cls, path: Path, reading: Reading) -> Examples:
        def read(record: Record) -> list[Comparison] | list[RatedAnswer]:
            is_verdict = {"completion", "label"} <= record.row.keys()
            return [to_rated_answer(record.row)] if is_verdict else to_comparisons(record.row, reading.dropped)

        train, valid = parse_rows(reading.records(path), read, reading)
        return _pair_verdicts(train, reading.dropped), None if valid is None else _pair_verdicts(valid, reading.dropped)


class VotesCorpus(ComparisonCorpus):
    """Votes of the chat page, as its training on votes writes them: all are to be learned from.

    The page keeps every fifth prompt to itself and measures with that. Of some forty votes, a few more to validate
    with could say nothing, and the training would stop by chance.
    """

    @classmethod
    def load(cls, path: Path, reading: Reading) -> Examples:
        train, valid = super().load(path, reading)
        return train, valid or []


class Preference(NamedTuple):
    """Answers in tiers, the best first; those within a tier are not compared. Only lists `may_repeat` an answer."""

    tiers: list[list[Any]]
    may_repeat: bool = False


def to_comparisons(row: Row, dropped: Counter[str] | None = None) -> list[Comparison]:
    """Every comparison in one row; the same pair gives an equal result in each shape.

    Answers that a list holds twice keep their best place and are counted in `dropped`, as are its empty ones.
    Raises ValueError with a sentence when the row has another shape or a text is missing, and Skipped when it is no
    mistake and yet prefers nothing: where an answer is empty, or compared with itself.
    """
    for columns, prefer in PREFERENCES:
        if columns <= row.keys():
            preference = prefer(row)
            break
    else:
        known = "; ".join(" + ".join(sorted(columns)) for columns, _ in PREFERENCES)
        raise ValueError(f"columns {sorted(map(str, row))} are no comparison (known are {known})")
    prompt = prompt_of(row)
    tiers, left_out = _distinct(preference)
    if dropped is not None:
        dropped += left_out
    comparisons = [
        Comparison(prompt, better, worse, group_of(prompt))
        for upper, lower in combinations(tiers, 2)
        for better in upper
        for worse in lower
    ]
    if not comparisons:
        raise Skipped("lists without two different answers")
    return comparisons


def _distinct(preference: Preference) -> tuple[list[list[str]], Counter[str]]:
    """The text of every answer, at its best place only, and how many of a list were left out for that or are empty.

    Raises Skipped where there are only two and one of them is either."""
    seen: set[str] = set()
    distinct: list[list[str]] = []
    left_out: Counter[str] = Counter()
    for tier in preference.tiers:
        distinct.append([])
        for answer in tier:
            try:
                text = answer_text(answer)
            except Skipped:
                if not preference.may_repeat:
                    raise
                left_out["empty answers of a list"] += 1
                continue
            if text not in seen:
                distinct[-1].append(text)
            elif preference.may_repeat:
                left_out["answers that a list repeats"] += 1
            else:
                raise Skipped(EQUAL)
            seen.add(text)
    return distinct, left_out


def _pair_verdicts(examples: Iterable[Comparison | RatedAnswer], dropped: Counter[str]) -> list[Comparison]:
    """The comparisons, and those between answers to one prompt that people rated differently on average."""
    rated: dict[str, list[RatedAnswer]] = {}
    comparisons: list[Comparison] = []
    for example in examples:
        if isinstance(example, Comparison):
            comparisons.append(example)
        else:
            rated.setdefault(example.group, []).append(example)
    for group, answers in rated.items():
        ratings: dict[str, list[float]] = {}
        for answer in answers:
            ratings.setdefault(answer.answer, []).append(answer.rating)
        mean = {text: sum(given) / len(given) for text, given in ratings.items()}
        if len(set(mean.values())) == 1:
            dropped["verdicts without a partner"] += len(answers)
        prompt = answers[0].prompt
        pairs = ((better, worse) for better in mean for worse in mean if mean[better] > mean[worse])
        comparisons += [Comparison(prompt, better, worse, group) for better, worse in pairs]
    return comparisons


# -- the shapes ---------------------------------------------------------------------------------------


def _chosen_rejected(row: Row) -> Preference:
    columns = [row["chosen"], row["rejected"]]
    if any(isinstance(answers, list) and answers and isinstance(answers[0], str) for answers in columns):
        tiers = [answers if isinstance(answers, list) else [answers] for answers in columns]
        return Preference(tiers, may_repeat=True)
    _, chosen, rejected = split_pair(row)
    return Preference([[chosen], [rejected]])


def _ranked(column: str) -> Callable[[Row], Preference]:
    """Answers in a list, the best first."""

    def prefer(row: Row) -> Preference:
        if not isinstance(row[column], list):
            raise ValueError(f"{column} must be a list of answers, the best first, found {type(row[column]).__name__}")
        return Preference([[answer] for answer in row[column]], may_repeat=True)

    return prefer


def _choice(answers: Callable[[Row], Any]) -> Callable[[Row], Preference]:
    """Two answers and the number of the better one."""

    def prefer(row: Row) -> Preference:
        choice = row.get("choice")
        if type(choice) is not int or choice not in (0, 1):  # true and 1.0 would pass for 1
            raise ValueError(f"choice must be 0 or 1, found {choice!r}")
        return _pair(answers(row), choice)

    return prefer


def _vote(row: Row) -> Preference:
    vote = str(row["vote"])
    if vote in UNDECIDED:
        raise Skipped(UNDECIDED[vote])
    if vote not in VOTES:
        raise ValueError(f"vote must be one of {', '.join([*VOTES, *UNDECIDED])}, found {row['vote']!r}")
    return _pair(row["answers"], VOTES[vote])


def _pair(answers: Any, better: int) -> Preference:
    if not isinstance(answers, list) or len(answers) != 2:
        found = f"{len(answers)} of them" if isinstance(answers, list) else type(answers).__name__
        raise ValueError(f"expected a list of two answers, found {found}")
    return Preference([[answers[better]], [answers[1 - better]]])


#: Columns that give a shape away, beside those of the prompt, and how to read it; the first match counts.
PREFERENCES: tuple[tuple[frozenset[str], Callable[[Row], Preference]], ...] = (
    (frozenset({"chosen", "rejected"}), _chosen_rejected),  # TRL, LLaMA-Factory, minimind
    (frozenset({"answers", "vote"}), _vote),  # the chat page of minigpt
    (frozenset({"ranked"}), _ranked("ranked")),
    (frozenset({"instruction", "output"}), _ranked("output")),  # LLaMA-Factory's ranked replies
    (frozenset({"summaries"}), _choice(lambda row: row["summaries"])),  # summarize_from_feedback
    (frozenset({"abstract"}), _choice(lambda row: row["abstract"])),
    (frozenset({"summarize_0", "summarize_1"}), _choice(lambda row: [row["summarize_0"], row["summarize_1"]])),
    (
        frozenset({"good_summarize", "bad_summarize"}),
        lambda row: Preference([[row["good_summarize"]], [row["bad_summarize"]]]),
    ),
)

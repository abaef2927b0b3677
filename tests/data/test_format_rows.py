"""The split of human feedback: the publisher's where there is one, and never a prompt on both sides."""

import json
from pathlib import Path
from typing import Any

import pytest

from minigpt.data.examples import Comparison
from minigpt.data.formats.preferences import ComparisonCorpus


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path


def texts(comparisons: list[Comparison]) -> list[tuple[str, str]]:
    return [(c.chosen, c.rejected) for c in comparisons]


def post(number: int, split: str | None, answers: str = "ab") -> dict[str, Any]:
    row = {"prompt": f"Question {number}?", "chosen": answers[0], "rejected": answers[1]}
    return row if split is None else row | {"split": split}


def test_no_prompt_is_on_both_sides(tmp_path: Path) -> None:
    rows = [post(number, None, answers) for number in range(30) for answers in ("ab", "cd", "ef")]
    corpus = ComparisonCorpus.read(write(tmp_path / "a.jsonl", rows), valid_fraction=0.2)
    prompts = [{c.prompt for c in side} for side in (corpus.train, corpus.valid)]
    assert not prompts[0] & prompts[1]
    assert (len(prompts[0]), len(prompts[1])) == (24, 6)
    assert corpus.summary().startswith("72 comparisons to train on, 18 to validate; dropped: nothing")


def test_the_publishers_split(tmp_path: Path) -> None:
    splits = {1: "train", 2: "valid1", 3: "valid2", 4: None, 5: "test", 6: "validation"}
    path = write(tmp_path / "a.jsonl", [post(number, split) for number, split in splits.items()])
    corpus = ComparisonCorpus.read(path)
    numbers = [[c.prompt[0].text[9] for c in side] for side in (corpus.train, corpus.valid)]
    assert numbers == [["1", "4"], ["2", "3", "5", "6"]]
    assert not corpus.dropped


@pytest.mark.parametrize("split", ["train", "valid1"])
def test_a_single_split_is_divided_here(tmp_path: Path, split: str) -> None:
    corpus = ComparisonCorpus.read(write(tmp_path / "a.jsonl", [post(number, split) for number in range(20)]))
    assert (len(corpus.train), len(corpus.valid)) == (19, 1)


def test_prompts_in_both_published_splits_leave_validation(tmp_path: Path) -> None:
    rows = [post(1, "train"), post(1, "valid1", "cd"), post(1, "valid2", "ef"), post(2, "valid1"), post(3, "train")]
    corpus = ComparisonCorpus.read(write(tmp_path / "a.jsonl", rows))
    assert [c.prompt[0].text for c in corpus.valid] == ["Question 2?"]
    assert [c.prompt[0].text for c in corpus.train] == ["Question 1?", "Question 3?"]
    assert corpus.dropped == {"validation examples whose prompt is also trained on": 2}


def test_verdicts_keep_their_split(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"Question {number}?", "completion": text, "label": text == "good", "split": split}
        for number, split in enumerate(["train", "valid1"])
        for text in ("good", "bad")
    ]
    corpus = ComparisonCorpus.read(write(tmp_path / "a.jsonl", rows))
    assert [texts(side) for side in (corpus.train, corpus.valid)] == [[("good", "bad")]] * 2
    assert corpus.valid[0].prompt[0].text == "Question 1?"

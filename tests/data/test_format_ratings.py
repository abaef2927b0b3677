"""RatingCorpus: scores of any scale, and what is no score."""

import json
from pathlib import Path
from typing import Any

import pytest

from minigpt.data.examples import Turn
from minigpt.data.formats import FORMATS
from minigpt.data.formats.ratings import RatingCorpus, to_rated_answer
from minigpt.errors import UserError

P, A = "Broken kettle\nIt whistles all night.", "A kettle keeps whistling."
INFO = {"id": "t3_4", "title": "Broken kettle", "post": "It whistles all night.", "site": None, "article": None}
AXES = {"overall": 4, "accuracy": 7, "coverage": 2, "coherence": 6}
MESSAGES = [{"role": "user", "content": P}]

ROWS: dict[str, dict[str, Any]] = {
    "completion and score": {"prompt": P, "completion": A, "score": 4},
    "answer and rating": {"prompt": P, "answer": f" {A}", "rating": 4.0},
    "response and score": {"prompt": MESSAGES, "response": {"role": "assistant", "content": A}, "score": 4},
    "messages": {"prompt": MESSAGES, "completion": [{"role": "assistant", "content": A}], "rating": 4},
    "summarize_from_feedback": {"info": INFO, "summary": {"text": f" {A}", "policy": "ref", "axes": AXES}},
    "alpaca": {"instruction": "Broken kettle", "input": "It whistles all night.", "output": A, "score": 4},
    "summary": {"original_text": P, "sum_text": A, "score": 4},
}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("shape", ROWS)
def test_the_same_rated_answer_in_every_shape(tmp_path: Path, shape: str) -> None:
    found = to_rated_answer(ROWS[shape])
    assert (found.prompt, found.answer, found.rating) == ((Turn("user", P),), A, 4.0)
    assert isinstance(found.rating, float)
    assert found == to_rated_answer(ROWS["completion and score"])
    assert RatingCorpus.parse(write(tmp_path / "a.jsonl", [ROWS[shape]])).train == [found]


@pytest.mark.parametrize("score", [-2, 0, 0.5, 5, 100])
def test_any_scale(score: float) -> None:
    assert to_rated_answer({"prompt": P, "answer": A, "score": score}).rating == score


@pytest.mark.parametrize(("liked", "rating"), [(True, 1.0), (False, 0.0)])
def test_verdicts_count_as_one_and_zero(liked: bool, rating: float) -> None:
    assert to_rated_answer({"prompt": P, "completion": A, "label": liked}).rating == rating


FAULTY: list[tuple[dict[str, Any], str]] = [
    *[
        (row, f"{name} must be a number, found {value!r}")
        for value in (True, False, "4", [4])
        for name, row in (
            ("score", {"prompt": P, "answer": A, "score": value}),
            ("rating", {"prompt": P, "answer": A, "rating": value}),
            ("overall", {"info": INFO, "summary": {"text": A, "axes": {"overall": value}}}),
        )
    ],
    ({"prompt": P, "answer": A, "score": float("nan")}, "score must be finite, found nan"),
    ({"prompt": P, "answer": A, "score": float("inf")}, "score must be finite, found inf"),
    ({"prompt": P, "answer": A, "score": float("-inf")}, "score must be finite, found -inf"),
    ({"prompt": P, "answer": A, "score": 10**400}, "score must be finite, found inf"),
    ({"prompt": P, "answer": A, "label": 1}, "label must be true or false, found 1; numbers go into a column score"),
    ({"prompt": P, "answer": A, "label": None}, "label must be true or false, found None"),
    ({"prompt": P, "answer": A}, "no score"),
    ({"info": INFO, "summary": {"text": A}}, "no score"),
    ({"info": INFO, "summary": {"text": A, "axes": {"accuracy": 3}}}, "no score"),
    ({"prompt": P, "score": 4}, r"columns \['prompt', 'score'\] hold no answer"),
    ({"answer": A, "score": 4}, "hold no prompt"),
    ({"prompt": P, "answer": None, "score": 4}, "must be a string, found NoneType"),
    ({"prompt": "", "answer": A, "score": 4}, "the user turn has empty content"),
    (
        {"prompt": MESSAGES, "completion": [{"role": "assistant", "content": A}, *MESSAGES], "score": 4},
        "an answer must be the assistant's",
    ),
    (
        {"prompt": P, "completion": [*MESSAGES, {"role": "assistant", "content": A}], "score": 4},
        "an answer must be a single message, found 2",
    ),
]


@pytest.mark.parametrize(("row", "reason"), FAULTY)
def test_faulty_rows_name_file_and_line_and_what_to_do(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    good = ROWS["completion and score"]
    path = write(tmp_path / "a.jsonl", [good, row, good])
    with pytest.raises(UserError) as caught:
        RatingCorpus.read(path)
    assert caught.match(rf"a\.jsonl:2: .*{reason.replace('[4]', '.4.')}.*; mend the row, delete it, or leave")


def test_a_number_that_json_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"prompt": "p", "answer": "a",\n "score": 1e999}]', encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.json:1: score must be finite, found inf"):
        RatingCorpus.read(path)


def test_answers_nobody_rated_are_counted(tmp_path: Path) -> None:
    rows = [
        ROWS["completion and score"],
        {"prompt": P, "answer": A, "score": None},
        {"info": INFO, "summary": {"text": A, "axes": AXES | {"overall": None}}},
        {"info": INFO | {"post": None}, "summary": {"text": A, "axes": AXES}},
    ]
    parsed = RatingCorpus.parse(write(tmp_path / "a.jsonl", rows))
    assert len(parsed.train) == 1
    assert parsed.dropped == {"answers without a score": 2, "rows with neither a post nor an article": 1}


def test_no_prompt_is_on_both_sides(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{n}", "answer": a, "score": s} for n in range(20) for s, a in enumerate("abc", start=1)]
    corpus = RatingCorpus.read(write(tmp_path / "a.jsonl", rows), valid_fraction=0.1)
    assert not {r.prompt for r in corpus.train} & {r.prompt for r in corpus.valid}
    assert corpus.summary().startswith("54 rated answers to train on, 6 to validate; dropped: nothing")


def test_the_publishers_split(tmp_path: Path) -> None:
    rows = [
        ROWS["summarize_from_feedback"] | {"info": INFO | {"post": split}, "split": split}
        for split in ("test", "train")
    ]
    corpus = RatingCorpus.read(write(tmp_path / "a.jsonl", rows))
    assert [[r.prompt[0].text for r in side] for side in (corpus.train, corpus.valid)] == [
        ["Broken kettle\ntrain"],
        ["Broken kettle\ntest"],
    ]


def test_the_format_has_a_name() -> None:
    assert FORMATS["ratings"] is RatingCorpus

"""PromptCorpus: what a row asks, whatever else it holds."""

import json
from pathlib import Path
from typing import Any

import pytest

from minigpt.data.examples import Turn
from minigpt.data.formats import FORMATS
from minigpt.data.formats.preferences import to_comparisons
from minigpt.data.formats.prompts import PromptCorpus, to_prompt
from minigpt.errors import UserError

Q, A, B = "Where is the ferry?\nIt is late.", "At the pier.", "No idea."
USER, ANSWER, OTHER = (
    {"role": role, "content": text} for role, text in [("user", Q), ("assistant", A), ("assistant", B)]
)
INFO = {"id": "t3_7", "title": "Where is the ferry?", "post": "It is late.", "article": None}

ROWS: dict[str, dict[str, Any]] = {
    "prompt": {"prompt": Q},
    "prompt of messages": {"prompt": [USER]},
    "original_text": {"original_text": Q},
    "original_text, misspelt": {"orignal_text": Q},
    "text": {"text": f"{Q}\n"},
    "question": {"question": Q, "answer": A},
    "query": {"query": Q},
    "input": {"input": Q},
    "comparison, question": {"question": Q, "chosen": "The answer is 1.", "rejected": "The answer is 2."},
    "openai": {"messages": [USER, ANSWER]},
    "openai, not answered": {"messages": [USER]},
    "sharegpt": {"conversations": [{"from": "human", "value": Q}, {"from": "gpt", "value": A}]},
    "alpaca": {"instruction": "Where is the ferry?", "input": "It is late.", "output": A},
    "prompt-completion": {"prompt": Q, "completion": A},
    "policy": {"original_text": Q, "sum_text": A},
    "post": {"info": INFO, "summary": {"text": A}},
    "doccano": {"id": 3, "text": Q, "label": ["question"]},
    "comparison": {"prompt": Q, "chosen": A, "rejected": B},
    "comparison, implicit prompt": {"chosen": [USER, ANSWER], "rejected": [USER, OTHER]},
    "comparison of summaries": {"info": INFO, "summaries": [{"text": A}, {"text": B}], "choice": 0},
    "comparison of abstracts": {"article": Q, "abstract": [{"text": A}, {"text": B}], "choice": 0},
    "sharegpt ranking": {
        "conversations": [{"from": "human", "value": Q}],
        "chosen": {"from": "gpt", "value": A},
        "rejected": {"from": "gpt", "value": B},
    },
    "undecided vote": {"prompt": [USER], "answers": [A, B], "vote": "tie"},
    "rating": {"prompt": Q, "answer": A, "score": 2},
}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("shape", ROWS)
def test_the_same_prompt_in_every_shape(shape: str) -> None:
    assert to_prompt(ROWS[shape]).turns == (Turn("user", Q),)
    assert to_prompt(ROWS[shape]) == to_prompt(ROWS["prompt"])


def test_prompts_are_those_of_the_comparisons() -> None:
    row = ROWS["comparison of summaries"]
    (comparison,) = to_comparisons(row)
    assert to_prompt(row).turns == comparison.prompt
    assert to_prompt(row).group == comparison.group


def test_history_and_system_turn_belong_to_the_prompt() -> None:
    turns = (Turn("system", "Be kind."), Turn("user", "Hi"), Turn("assistant", "Hello!"), Turn("user", Q))
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    for row in (
        {"prompt": messages},
        {"messages": [*messages, ANSWER]},
        {"system": "Be kind.", "messages": messages[1:]},
        {"system": "Be kind.", "history": [["Hi", "Hello!"]], "instruction": Q, "output": A},
    ):
        assert to_prompt(row).turns == turns


def test_lines_of_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\ufeffHow are you?\r\n\n  Where is the sea? \n", encoding="utf-8")
    prompts = PromptCorpus.parse(path).train
    assert [p.turns for p in prompts] == [(Turn("user", "How are you?"),), (Turn("user", "Where is the sea?"),)]
    assert prompts == PromptCorpus.from_lines(["How are you?", "Where is the sea?"])
    corpus = PromptCorpus(["How are you?", "Where is the sea?"])
    assert corpus.train + corpus.valid == prompts or corpus.valid + corpus.train == prompts


FAULTY: list[tuple[dict[str, Any], str]] = [
    ({"topic": Q}, r"columns \['topic'\] hold no prompt"),
    ({"prompt": " "}, "the user turn has empty content"),
    ({"prompt": None}, "expected a list of messages, found NoneType"),
    ({"text": 3}, "must be a string, found int"),
    ({"messages": []}, "hold no prompt"),
    ({"messages": [ANSWER]}, "the first turn is the assistant's"),
    ({"messages": [USER, USER]}, "two user turns in a row"),
    ({"prompt": [{"role": "system", "content": "Be kind."}]}, "must end with a turn of the user's"),
    ({"messages": [{"role": "system", "content": "Be kind."}, ANSWER]}, "the first turn is the assistant's"),
    ({"prompt": [{"role": "owl", "content": "hu"}]}, "unknown role 'owl'"),
]


@pytest.mark.parametrize(("row", "reason"), FAULTY)
def test_faulty_rows_name_file_and_line_and_what_to_do(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    path = write(tmp_path / "a.jsonl", [ROWS["prompt"], row])
    with pytest.raises(UserError, match=rf"a\.jsonl:2: .*{reason}.*; mend the row, delete it, or leave bad rows out"):
        PromptCorpus.read(path)


def test_an_empty_file(tmp_path: Path) -> None:
    for name in ("a.txt", "a.jsonl"):
        (tmp_path / name).write_text("\n", encoding="utf-8")
        with pytest.raises(UserError, match=rf"{name}: the file is empty; give a file"):
            PromptCorpus.read(tmp_path / name)


def test_lost_posts_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"info": INFO | {"post": None}}, {"info": INFO}])
    parsed = PromptCorpus.parse(path)
    assert [p.turns for p in parsed.train] == [(Turn("user", Q),)]
    assert parsed.dropped == {"rows with neither a post nor an article": 1}


def test_the_split_holds_no_prompt_twice(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{n % 20}"} for n in range(60)]
    corpus = PromptCorpus.read(write(tmp_path / "a.jsonl", rows), valid_fraction=0.1)
    assert not {p.turns for p in corpus.train} & {p.turns for p in corpus.valid}
    assert corpus.summary().startswith("54 prompts to train on, 6 to validate; dropped: nothing")
    rows = [{"prompt": "a", "split": "train"}, {"prompt": "a", "split": "valid1"}, {"prompt": "b", "split": "valid1"}]
    corpus = PromptCorpus.read(write(tmp_path / "a.jsonl", rows))
    assert [[p.turns[0].text for p in side] for side in (corpus.train, corpus.valid)] == [["a"], ["b"]]
    assert corpus.dropped.total() == 1


def test_the_format_has_a_name() -> None:
    assert FORMATS["prompts"] is PromptCorpus

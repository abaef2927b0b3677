"""MessagesCorpus: one conversation, many shapes; mistakes named by file and line."""

import json
from pathlib import Path
from typing import Any

import pytest

from minigpt.data.examples import Conversation, Turn
from minigpt.data.formats.messages import MessagesCorpus, Unlabelled, to_conversation
from minigpt.errors import UserError

Q, A = "Where is the key?", "Under the mat."
SINGLE = Conversation((Turn("user", Q), Turn("assistant", A)))
LONG = Conversation((Turn("system", "Be kind."), Turn("user", "Hi"), Turn("assistant", "Hello!"), *SINGLE.turns))
OPENAI = [{"role": "user", "content": Q}, {"role": "assistant", "content": A}]

SINGLE_ROWS: dict[str, dict[str, Any]] = {
    "openai": {"messages": OPENAI},
    "sharegpt": {"conversations": [{"from": "human", "value": Q}, {"from": "gpt", "value": A}]},
    "minimind": {"conversations": OPENAI},
    "prompt-completion": {"prompt": Q, "completion": A},
    "prompt-completion of messages": {"prompt": OPENAI[:1], "completion": OPENAI[1:]},
    "alpaca": {"instruction": Q, "input": "", "output": A},
    "alpaca without input": {"instruction": Q, "output": A},
    "summary": {"original_text": Q, "sum_text": A},
    "summary, misspelt": {"orignal_text": Q, "sum_text": A},
    "doccano": {"id": 1, "text": Q, "label": [A, "another"], "Comments": []},
    "doccano, plain": {"text": Q, "label": A},
    "doccano's import": {"column_data": Q, "column_label": [A]},
}
LONG_ROWS: dict[str, dict[str, Any]] = {
    "openai": {"messages": [{"role": turn.role, "content": turn.text} for turn in LONG.turns]},
    "sharegpt": {
        "system": "Be kind.",
        "conversations": [
            {"from": "human" if turn.role == "user" else "gpt", "value": turn.text} for turn in LONG.turns[1:]
        ],
    },
    "minimind": {"conversations": [{"role": turn.role, "content": turn.text} for turn in LONG.turns]},
    "alpaca": {
        "system": "Be kind.",
        "history": [["Hi", "Hello!"]],
        "instruction": Q,
        "input": "",
        "output": A,
    },
    "prompt-completion of messages": {
        "prompt": [{"role": turn.role, "content": turn.text} for turn in LONG.turns[:-1]],
        "completion": [{"role": "assistant", "content": A}],
    },
}


@pytest.mark.parametrize("shape", SINGLE_ROWS)
def test_the_same_conversation_in_every_shape(shape: str) -> None:
    assert to_conversation(SINGLE_ROWS[shape]) == SINGLE


@pytest.mark.parametrize("shape", LONG_ROWS)
def test_the_same_long_conversation_in_every_shape(shape: str) -> None:
    assert to_conversation(LONG_ROWS[shape]) == LONG


def test_files_of_every_shape_load_equal(tmp_path: Path) -> None:
    expected = [Conversation(SINGLE.turns, group="1")]
    for row in SINGLE_ROWS.values():
        for name, text in (
            ("a.jsonl", json.dumps(row) + "\r\n"),
            ("a.json", "\ufeff" + json.dumps([row], indent=1)),
        ):
            (tmp_path / name).write_text(text, encoding="utf-8", newline="")
            assert MessagesCorpus.parse(tmp_path / name).train == expected
    (tmp_path / "a.txt").write_text(f"User: {Q}\nAI: {A}\n", encoding="utf-8")
    assert MessagesCorpus.parse(tmp_path / "a.txt").train == expected


def test_alpaca_joins_instruction_and_input() -> None:
    row = {"instruction": "Add.", "input": "1 2", "output": "3"}
    assert to_conversation(row).turns[0].text == "Add.\n1 2"


def test_an_article_answers_its_title_and_summary() -> None:
    row = {"title": "Fog ", "summary": "It came at noon.", "body": "At noon a fog came up."}
    assert [turn.text for turn in to_conversation(row).turns] == ["Fog\nIt came at noon.", row["body"]]
    assert to_conversation(row | {"summary": ""}).turns[0].text == "Fog"
    with pytest.raises(ValueError, match="title and summary must be strings"):
        to_conversation(row | {"title": None})


def test_groups_come_from_the_row_or_from_who_asks_it_first(tmp_path: Path) -> None:
    row, other = SINGLE_ROWS["openai"], {"prompt": "Another?", "completion": A}
    path = tmp_path / "a.jsonl"
    rows = [row, row | {"id": 9}, row | {"group": "g", "id": 9}, other, SINGLE_ROWS["alpaca"], other]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert [c.group for c in MessagesCorpus.parse(path).train] == ["1", "9", "g", "4", "1", "4"]


def test_no_text_is_both_learned_and_measured(tmp_path: Path) -> None:
    rows = [{"original_text": f"text {n % 20}", "sum_text": f"summary {n}"} for n in range(60)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    corpus = MessagesCorpus.read(path, valid_fraction=0.1)
    learned, measured = ({c.turns[0].text for c in side} for side in (corpus.train, corpus.valid))
    assert len(measured) == 2 and len(learned) == 18 and not learned & measured


def test_text_dialogue_with_blank_lines_and_continued_turns(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("User: 你好\nAI：你好！\nSecond line.\n\n\nhuman: b\nassistant: c\n", encoding="utf-8")
    assert [c.turns for c in MessagesCorpus.parse(path).train] == [
        (Turn("user", "你好"), Turn("assistant", "你好！\nSecond line.")),
        (Turn("user", "b"), Turn("assistant", "c")),
    ]


def test_text_without_speakers(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\nOnce upon a time\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.txt:2: expected a line that begins with 'User:'"):
        MessagesCorpus.read(path)


def messages(*turns: tuple[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


FAULTY: list[tuple[dict[str, Any], str]] = [
    (messages(("user", "a"), ("narrator", "b")), "unknown role 'narrator'"),
    (messages(("user", "a"), ("assistant", " ")), "the assistant turn has empty content"),
    (messages(("user", ""), ("assistant", "b")), "the user turn has empty content"),
    (messages(("user", "a"), ("user", "b"), ("assistant", "c")), "two user turns in a row"),
    (messages(("user", "a"), ("assistant", "b"), ("assistant", "c")), "two assistant turns in a row"),
    (messages(("assistant", "a"), ("user", "b"), ("assistant", "c")), "the first turn is the assistant's"),
    (messages(("user", "a"), ("assistant", "b"), ("user", "c")), "the last turn is the user's"),
    (messages(("user", "a"), ("system", "s"), ("assistant", "b")), "a system turn may stand only once"),
    (messages(("user", "a")), "no assistant turn"),
    (messages(), "no assistant turn"),
    (messages(("user", "a"), ("assistant", None)), "must be a string, found NoneType"),
    (messages(("user", ["a"]), ("assistant", "b")), "must be a string, found list"),
    ({"messages": "hi"}, "expected a list of messages"),
    ({"messages": ["hi"]}, "a message needs role and content"),
    ({"instruction": "a", "output": ["b", "c"]}, "must be a string, found list"),
    ({"instruction": "a", "output": "b", "history": ["x"]}, "history must be a list of pairs"),
    ({"question": "a"}, r"columns \['question'\] are none of the known shapes"),
]


@pytest.mark.parametrize(("row", "reason"), FAULTY)
def test_faulty_rows_name_file_and_line_or_are_counted(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        to_conversation(row)
    path = tmp_path / "a.jsonl"
    good = json.dumps(SINGLE_ROWS["openai"])
    path.write_text(f"{good}\n{json.dumps(row)}\n{good}\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"a\.jsonl:2: .*{reason}"):
        MessagesCorpus.read(path)
    corpus = MessagesCorpus.read(path, lenient=True)
    assert len(corpus.train) + len(corpus.valid) == 2
    assert corpus.dropped.total() == 1
    with pytest.raises(UserError):  # lenient once is not lenient for ever
        MessagesCorpus.read(path)


@pytest.mark.parametrize("label", [[], [""], "", None])
def test_unlabelled_rows_are_counted_not_raised(tmp_path: Path, label: Any) -> None:
    with pytest.raises(Unlabelled):
        to_conversation({"text": Q, "label": label})
    path = tmp_path / "a.jsonl"
    rows = [{"text": Q, "label": [A]}, {"text": Q, "label": label}]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    parsed = MessagesCorpus.parse(path)
    assert len(parsed.train) == 1
    assert parsed.dropped == {"rows without a label": 1}


def test_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([SINGLE_ROWS["openai"]] * 2, indent=0)[:-60], encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.json:\d+: not valid JSON"):
        MessagesCorpus.read(path)

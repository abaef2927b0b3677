"""MessagesCorpus: one conversation, many shapes; mistakes named by file and line."""

import json
from pathlib import Path
from typing import Any

import pytest

from minigpt.data.examples import Conversation, Turn
from minigpt.data.formats import FORMATS
from minigpt.data.formats.messages import MessagesCorpus, Unlabelled, to_conversations
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
    "doccano's former exports": {"id": 1, "data": Q, "labels": [A], "meta": {}},
    "doccano's first exports": {"text": Q, "annotations": [{"text": A, "user": 1}], "annotation_approver": None},
    "content parts": {"messages": [m | {"content": [{"type": "text", "text": m["content"]}]} for m in OPENAI]},
    "anything but text left empty": {
        "messages": [m | {"name": "x", "tool_calls": None, "refusal": None} for m in OPENAI]
    },
    "an empty system message": {"messages": [{"role": "system", "content": " "}, *OPENAI]},
    "google": {"contents": [{"role": "user", "parts": [{"text": Q}]}, {"role": "model", "parts": [{"text": A}]}]},
    "dolly": {"instruction": Q, "context": "", "response": A, "category": "qa"},
    "question and answer": {"question": Q, "answer": A},
    "query and response": {"system_prompt": "", "query": Q, "response": A},
    "liked": {"prompt": Q, "completion": A, "label": True},
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
    "developer": {
        "messages": [
            {"role": "developer" if turn.role == "system" else turn.role, "content": turn.text} for turn in LONG.turns
        ]
    },
    "google": {
        "systemInstruction": {"role": "system", "parts": [{"text": "Be kind."}]},
        "contents": [
            {"role": "model" if turn.role == "assistant" else "user", "parts": [{"text": turn.text}]}
            for turn in LONG.turns[1:]
        ],
    },
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
    assert to_conversations(SINGLE_ROWS[shape]) == [SINGLE]


@pytest.mark.parametrize("shape", LONG_ROWS)
def test_the_same_long_conversation_in_every_shape(shape: str) -> None:
    assert to_conversations(LONG_ROWS[shape]) == [LONG]


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
    assert to_conversations(row)[0].turns[0].text == "Add.\n1 2"


def test_an_article_answers_its_title_and_summary() -> None:
    row = {"title": "Fog ", "summary": "It came at noon.", "body": "At noon a fog came up."}
    assert [turn.text for turn in to_conversations(row)[0].turns] == ["Fog\nIt came at noon.", row["body"]]
    assert to_conversations(row | {"summary": ""})[0].turns[0].text == "Fog"
    with pytest.raises(ValueError, match="title and summary must be strings"):
        to_conversations(row | {"title": None})


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
    (messages(("user", ""), ("assistant", "b")), "the user turn has empty content"),
    (messages(("user", "a"), ("user", "b"), ("assistant", "c")), "two user turns in a row"),
    (messages(("user", "a"), ("assistant", "b"), ("assistant", "c")), "two assistant turns in a row"),
    (messages(("user", "a"), ("system", "s"), ("assistant", "b")), "a system turn may stand only once"),
    (messages(("user", "a")), "no assistant turn"),
    (messages(), "no assistant turn"),
    (messages(("user", "a"), ("assistant", None)), "must be a string, found NoneType"),
    (messages(("user", ["a"]), ("assistant", "b")), "must be a string or a list of parts, found str"),
    ({"messages": "hi"}, "expected a list of messages"),
    ({"messages": ["hi"]}, "a message needs role and content"),
    ({"instruction": "a", "output": ["b", "c"]}, "must be a string or a list of parts"),
    ({"instruction": "a", "output": "b", "history": ["x"]}, "history must be a list of pairs"),
    (messages(("user", [{"type": "image_url", "image_url": "x"}]), ("assistant", "b")), "type 'image_url' is no text"),
    (messages(("user", [{"type": "text", "text": 3}]), ("assistant", "b")), "a part of the type 'text' is no text"),
    ({"messages": [OPENAI[0], {"role": "assistant", "content": "", "tool_calls": [{"id": 1}]}]}, "a turn calls a tool"),
    ({"messages": [OPENAI[0] | {"weight": 1}, OPENAI[1]]}, "a user turn is marked to be learned"),
    ({"messages": [OPENAI[0], OPENAI[1] | {"weight": 0.5}]}, "weight must be 0 or 1, true or false, found 0.5"),
    ({"instruction": "a", "output": "b", "history": 5}, "history must be a list of pairs"),
    ({"question": Q, "context": "The mat is red.", "answer": A}, "beside question there is a column context"),
    ({"text": Q, "annotations": [{"label": 1}]}, "the annotations hold numbers of labels"),
    ({"question": "a"}, r"columns \['question'\] are none of the known shapes"),
]


@pytest.mark.parametrize(("row", "reason"), FAULTY)
def test_faulty_rows_name_file_and_line_or_are_counted(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        to_conversations(row)
    path = tmp_path / "a.jsonl"
    good = json.dumps(SINGLE_ROWS["openai"])
    path.write_text(f"{good}\n{json.dumps(row)}\n{good}\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"a\.jsonl:2: .*{reason}"):
        MessagesCorpus.read(path)
    corpus = MessagesCorpus.read(path, skip_bad_rows=True)
    assert len(corpus.train) + len(corpus.valid) == 2
    assert corpus.dropped.total() == 1
    assert f"bad rows, the first 1: {path}:2: " in corpus.summary()
    with pytest.raises(UserError):  # lenient once is not lenient for ever
        MessagesCorpus.read(path)
    assert FORMATS["messages-lenient"].read(path).dropped == corpus.dropped, "the option's former name"


@pytest.mark.parametrize("label", [[], [""], "", None])
def test_unlabelled_rows_are_counted_not_raised(tmp_path: Path, label: Any) -> None:
    with pytest.raises(Unlabelled):
        to_conversations({"text": Q, "label": label})
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


@pytest.mark.parametrize("name", ["chatgpt", "bard", "bing", "model", "bot", "GPT", "Assistant"])
def test_other_names_of_the_assistant(name: str) -> None:
    row = {"conversations": [{"from": "prompter", "value": Q}, {"from": name, "value": A}]}
    assert to_conversations(row) == [SINGLE]


def test_text_parts_are_joined_by_line_ends() -> None:
    parts = [{"type": "text", "text": "Where is"}, {"type": "text", "text": "the key?"}]
    assert to_conversations(messages(("user", parts), ("assistant", A)))[0].turns[0].text == "Where is\nthe key?"


def test_an_empty_answer_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    empty = [messages(("user", "a"), ("assistant", " ")), {"instruction": "a", "output": ""}]
    path.write_text("\n".join(map(json.dumps, [SINGLE_ROWS["openai"], *empty])), encoding="utf-8")
    parsed = MessagesCorpus.parse(path)
    assert len(parsed.train) == 1 and parsed.dropped == {"rows with an empty answer": 2}


def marked(*marks: Any, key: str = "weight") -> dict[str, Any]:
    turns = [{"role": "assistant" if i % 2 else "user", "content": f"turn {i}"} for i in range(2 * len(marks))]
    return {"messages": [turn | ({key: marks[i // 2]} if i % 2 else {}) for i, turn in enumerate(turns)]}


@pytest.mark.parametrize("key", ["weight", "loss", "train"])
def test_only_turns_marked_to_be_learned_are_learned(tmp_path: Path, key: str) -> None:
    """OpenAI's weight, and what other trainers call it: each turn to be learned ends a conversation of its own."""
    found = to_conversations(marked(1, 0, True, None, key=key))
    assert [(talk.turns[-1].text, talk.last_only, len(talk.turns)) for talk in found] == [
        ("turn 1", True, 2), ("turn 5", True, 6), ("turn 7", True, 8),
    ]  # fmt: skip
    assert to_conversations(marked(1, True, None, key=key)) == [Conversation(found[1].turns)]
    path = tmp_path / "a.jsonl"
    rows = [marked(0, 1, key=key), marked(0, False, key=key), {"prompt": Q, "completion": A, "label": False}]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    parsed = MessagesCorpus.parse(path)
    assert [talk.turns[-1].text for talk in parsed.train] == ["turn 3"] and parsed.train[0].last_only
    assert parsed.dropped == {"conversations marked as not to be learned": 1, "answers that somebody disliked": 1}


LOOSE = {
    "begins with the assistant": messages(("assistant", "and so on"), ("user", Q), ("assistant", A)),
    "ends with the user": messages(("user", Q), ("assistant", A), ("user", "more")),
    "both, twice": messages(
        ("assistant", "x"), ("assistant", "y"), ("user", Q), ("assistant", A), ("user", "more"), ("user", "?")
    ),
}


@pytest.mark.parametrize("what", LOOSE)
def test_loose_turns_are_cut_off_where_bad_rows_are_skipped(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, [SINGLE_ROWS["openai"], LOOSE[what]])), encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.jsonl:2: (the (first|last) turn is the|two assistant turns)"):
        MessagesCorpus.read(path)
    corpus = MessagesCorpus.read(path, skip_bad_rows=True, valid_fraction=0.0)
    assert [talk.turns for talk in corpus.train] == [SINGLE.turns] * 2 and not corpus.dropped
    cut = len(LOOSE[what]["messages"]) - 2
    assert f"mended: {cut} first turns that answer nothing, or last ones that nobody answers" in corpus.summary()


def test_a_name_at_the_begin_of_a_line_is_no_speaker(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("User: Which car?\nAI: This one.\nModel: T\n", encoding="utf-8")
    assert MessagesCorpus.parse(path).train[0].turns[1].text == "This one.\nModel: T"

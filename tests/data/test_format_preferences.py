"""ComparisonCorpus: one preference, many shapes; mistakes named by file and line."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from minigpt.data.examples import Comparison, Turn
from minigpt.data.formats import FORMATS, MessagesCorpus
from minigpt.data.formats.messages import post_text, to_conversations
from minigpt.data.formats.preferences import ComparisonCorpus, to_comparisons
from minigpt.data.formats.reading import Skipped
from minigpt.errors import UserError

TITLE, POST = "Lost hat", "I left my red hat on the bus to the harbour."
P, A, B = f"{TITLE}\n{POST}", "Red hat left on a bus.", "Hats are fine."
INFO = {"id": "t3_9", "post": POST, "title": TITLE, "subreddit": "r/hats", "site": None, "article": None}
ARTICLE_INFO = {"id": "c1", "post": None, "title": None, "subreddit": None, "site": "news", "article": P}
USER, CHOSEN, REJECTED = (
    {"role": role, "content": text} for role, text in [("user", P), ("assistant", A), ("assistant", B)]
)
GPT_A, GPT_B = ({"from": "gpt", "value": text} for text in (A, B))
SUMMARIES = [{"text": f" {A}", "policy": "ref", "note": None}, {"text": B, "policy": "sup", "note": None}]

ROWS: dict[str, dict[str, Any]] = {
    "TRL, explicit prompt": {"prompt": P, "chosen": A, "rejected": B},
    "TRL, spaced completions": {"prompt": P, "chosen": f" {A}", "rejected": f" {B}"},
    "TRL, explicit prompt of messages": {"prompt": [USER], "chosen": [CHOSEN], "rejected": [REJECTED]},
    "TRL, implicit prompt": {"chosen": [USER, CHOSEN], "rejected": [USER, REJECTED]},
    "TRL, implicit prompt of texts": {"chosen": f"{P} {A}", "rejected": f"{P} {B}"},
    "prompt given twice": {"prompt": P, "chosen": [USER, CHOSEN], "rejected": [USER, REJECTED]},
    "hh-rlhf": {
        "chosen": f"\n\nHuman: {P}\n\nAssistant: {A}",
        "rejected": f"\n\nHuman: {P}\n\nAssistant: {B}",
    },
    "hh-rlhf without blank lines": {"chosen": f"Human: {P}\nAssistant: {A}", "rejected": f"Human: {P}\nAssistant: {B}"},
    "question": {"system": "", "question": P, "chosen": A, "rejected": B},
    "query": {"query": P, "chosen": A, "rejected": B, "source": "forum"},
    "input": {"input": P, "chosen": A, "rejected": B},
    "content parts": {
        "prompt": [USER | {"content": [{"type": "text", "text": P}]}],
        "chosen": [CHOSEN | {"content": [{"type": "text", "text": A}]}],
        "rejected": [REJECTED],
    },
    "alpaca ranking": {"instruction": TITLE, "input": POST, "chosen": A, "rejected": B},
    "alpaca ranking, list": {"instruction": TITLE, "input": POST, "output": [A, B], "history": []},
    "sharegpt ranking": {"conversations": [{"from": "human", "value": P}], "chosen": GPT_A, "rejected": GPT_B},
    "summarize_from_feedback": {"info": INFO, "summaries": SUMMARIES, "choice": 0, "worker": "w", "split": "train"},
    "summarize_from_feedback, news": {"info": ARTICLE_INFO, "summaries": SUMMARIES[::-1], "choice": 1},
    "abstract": {"article": P, "abstract": [{"text": A}, {"text": B}], "choice": 0},
    "summarize_0 and _1": {"original_text": P, "summarize_0": B, "summarize_1": A, "choice": 1},
    "summarize_0 and _1, misspelt": {"orignal_text": P, "summarize_0": A, "summarize_1": B, "choice": 0},
    "good and bad": {"original_text": P, "good_summarize": A, "bad_summarize": B},
    "good and bad, misspelt": {"orignal_text": P, "good_summarize": A, "bad_summarize": B},
    "ranked": {"prompt": P, "ranked": [A, B]},
    "lists": {"prompt": [USER], "chosen": [A], "rejected": [B]},
    "list and text": {"prompt": P, "chosen": [A], "rejected": B},
    "vote left": {"prompt": [USER], "answers": [A, B], "vote": "left"},
    "vote right": {"prompt": [USER], "answers": [B, A], "vote": "right"},
}
#: The same with a history and a system turn.
TALK = (Turn("system", "Be brief."), Turn("user", "Hi"), Turn("assistant", "Hello!"), Turn("user", P))
TALK_MESSAGES = [{"role": turn.role, "content": turn.text} for turn in TALK]
SHAREGPT_TALK = [{"from": who, "value": t.text} for who, t in zip(["human", "gpt", "human"], TALK[1:], strict=True)]
LONG_ROWS: dict[str, dict[str, Any]] = {
    "explicit": {"prompt": TALK_MESSAGES, "chosen": [CHOSEN], "rejected": [REJECTED]},
    "explicit, the answers go on": {
        "prompt": TALK_MESSAGES[:2],
        "chosen": [*TALK_MESSAGES[2:], CHOSEN],
        "rejected": [*TALK_MESSAGES[2:], REJECTED],
    },
    "implicit": {"chosen": [*TALK_MESSAGES, CHOSEN], "rejected": [*TALK_MESSAGES, REJECTED]},
    "last question given twice": {
        "prompt": P,
        "chosen": [*TALK_MESSAGES, CHOSEN],
        "rejected": [*TALK_MESSAGES, REJECTED],
    },
    "alpaca": {
        "system": "Be brief.",
        "history": [["Hi", "Hello!"]],
        "instruction": P,
        "input": "",
        "chosen": A,
        "rejected": B,
    },
    "sharegpt": {"system": "Be brief.", "conversations": SHAREGPT_TALK, "chosen": GPT_A, "rejected": GPT_B},
    "vote": {"prompt": TALK_MESSAGES, "answers": [A, B], "vote": "left"},
}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path


def texts(comparisons: list[Comparison]) -> list[tuple[str, str]]:
    return [(c.chosen, c.rejected) for c in comparisons]


@pytest.mark.parametrize("shape", ROWS)
def test_the_same_comparison_in_every_shape(shape: str) -> None:
    (found,) = to_comparisons(ROWS[shape])
    assert (found.prompt, found.chosen, found.rejected) == ((Turn("user", P),), A, B)
    assert found.group
    assert [found] == to_comparisons(ROWS["TRL, explicit prompt"])


@pytest.mark.parametrize("shape", LONG_ROWS)
def test_the_same_comparison_after_a_history(shape: str) -> None:
    (found,) = to_comparisons(LONG_ROWS[shape])
    assert (found.prompt, found.chosen, found.rejected) == (TALK, A, B)


@pytest.mark.parametrize(
    ("chosen", "rejected", "parts"),
    [
        ("The sky is blue.", "The sky is black.", ("The sky is", "blue.", "black.")),
        ("Where?\nHere.", "Where?\nHereabouts.", ("Where?", "Here.", "Hereabouts.")),
        ("天空是蓝色", "天空是绿色", ("天空是", "蓝色", "绿色")),
    ],
)
def test_a_shared_beginning_ends_between_words(chosen: str, rejected: str, parts: tuple[str, str, str]) -> None:
    (found,) = to_comparisons({"chosen": chosen, "rejected": rejected})
    assert (found.prompt[0].text, found.chosen, found.rejected) == parts


def test_files_of_every_shape_load_equal(tmp_path: Path) -> None:
    expected = to_comparisons(ROWS["TRL, explicit prompt"])
    for row in ROWS.values():
        (tmp_path / "a.json").write_text(json.dumps([row], indent=1), encoding="utf-8")
        assert ComparisonCorpus.parse(write(tmp_path / "a.jsonl", [row])).train == expected
        assert ComparisonCorpus.parse(tmp_path / "a.json").train == expected
    folder = tmp_path / "batches"
    folder.mkdir()
    write(folder / "batch1.json", list(ROWS.values())[:2])
    write(folder / "batch2.jsonl", list(ROWS.values())[2:])
    (folder / "README.txt").write_text("not rows", encoding="utf-8")
    assert ComparisonCorpus.parse(folder).train == expected * len(ROWS)


def test_a_folder_without_rows(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no file that ends in \.jsonl or"):
        ComparisonCorpus.read(tmp_path)


CHOICE_SHAPES: list[Callable[[str, str, int], dict[str, Any]]] = [
    lambda a, b, choice: {"info": INFO, "summaries": [{"text": a}, {"text": b}], "choice": choice},
    lambda a, b, choice: {"article": P, "abstract": [{"text": a}, {"text": b}], "choice": choice},
    lambda a, b, choice: {"original_text": P, "summarize_0": a, "summarize_1": b, "choice": choice},
    lambda a, b, choice: {"prompt": P, "answers": [a, b], "vote": ["left", "right"][choice]},
]


@pytest.mark.parametrize(("shape", "choice"), list(product(CHOICE_SHAPES, (0, 1))))
def test_swapping_the_texts_and_the_choice_changes_nothing(shape: Callable[..., dict[str, Any]], choice: int) -> None:
    (found,) = to_comparisons(shape(A, B, choice))
    assert found.chosen == (A, B)[choice]
    assert [found] == to_comparisons(shape(B, A, 1 - choice))


def test_a_ranking_gives_every_ordered_pair() -> None:
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    assert texts(to_comparisons({"prompt": P, "ranked": ["a", "b", "c"]})) == pairs
    assert texts(to_comparisons({"instruction": P, "input": "", "output": ["a", "b", "c"]})) == pairs
    assert texts(to_comparisons({"prompt": P, "ranked": [{"text": "a"}, {"role": "assistant", "content": "b"}]})) == [
        ("a", "b")
    ]
    lists = {"prompt": P, "chosen": ["a", "b"], "rejected": ["c", "d"]}
    assert texts(to_comparisons(lists)) == [("a", "c"), ("a", "d"), ("b", "c"), ("b", "d")]


def test_answers_that_a_ranking_repeats_are_counted(tmp_path: Path) -> None:
    rows = [
        {"prompt": "one", "ranked": ["a", "b", "b ", "a"]},
        {"prompt": "two", "ranked": ["same", "same"]},
        {"prompt": "three", "ranked": []},
        {"prompt": "four", "chosen": ["a", "b"], "rejected": ["b", "c"]},
    ]
    parsed = ComparisonCorpus.parse(write(tmp_path / "a.jsonl", rows))
    assert texts(parsed.train) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert parsed.dropped == {"answers that a list repeats": 2 + 1 + 1, "lists without two different answers": 2}


def test_ties_are_counted(tmp_path: Path) -> None:
    rows = [{"prompt": [USER], "answers": [A, B], "vote": vote} for vote in ("left", "tie", "both_bad", "tie")]
    parsed = ComparisonCorpus.parse(write(tmp_path / "a.jsonl", rows))
    assert texts(parsed.train) == [(A, B)]
    assert parsed.dropped == {"votes for a tie": 2, "votes that both are bad": 1}


def test_verdicts_are_paired_by_prompt(tmp_path: Path) -> None:
    verdicts = [
        ("one", "good", True),
        ("two", "alone", True),
        ("one", "bad", False),
        ("three", "alone", False),
        ("one", "fine", True),
        ("three", "alone too", False),
    ]
    rows: list[dict[str, Any]] = [{"prompt": p, "completion": text, "label": liked} for p, text, liked in verdicts]
    rows[2] = {"prompt": [{"role": "user", "content": "one"}], "completion": [{"role": "assistant", "content": "bad"}]}
    rows[2]["label"] = False
    parsed = ComparisonCorpus.parse(write(tmp_path / "a.jsonl", [*rows, ROWS["ranked"]]))
    assert texts(parsed.train) == [(A, B), ("good", "bad"), ("fine", "bad")]
    assert parsed.train[1:] == to_comparisons({"prompt": "one", "chosen": ["good", "fine"], "rejected": ["bad"]})
    assert parsed.dropped == {"verdicts without a partner": 3}


def test_a_liked_answer_that_somebody_else_disliked_lies_in_between(tmp_path: Path) -> None:
    verdicts = [("torn", True), ("torn", False), ("good", True), ("good", True), ("bad", False)]
    rows = [{"prompt": P, "completion": text, "label": liked} for text, liked in verdicts]
    parsed = ComparisonCorpus.parse(write(tmp_path / "a.jsonl", rows))
    assert sorted(texts(parsed.train)) == [("good", "bad"), ("good", "torn"), ("torn", "bad")]
    assert ComparisonCorpus.parse(write(tmp_path / "a.jsonl", rows[:2])).dropped == {"verdicts without a partner": 2}


FAULTY: list[tuple[dict[str, Any], str]] = [
    *[
        (ROWS["abstract"] | {"choice": choice}, f"choice must be 0 or 1, found {choice!r}")
        for choice in (2, -1, True, False, 1.0, "1", None)
    ],
    ({"info": INFO, "summaries": SUMMARIES}, "choice must be 0 or 1, found None"),
    ({"prompt": P, "chosen": A, "rejected": None}, "must be a string, found NoneType"),
    ({"original_text": P, "good_summarize": 3, "bad_summarize": A}, "must be a string, found int"),
    ({"original_text": "", "good_summarize": A, "bad_summarize": B}, "the user turn has empty content"),
    ({"original_text": None, "good_summarize": A, "bad_summarize": B}, "must be a string, found NoneType"),
    ({"info": INFO, "summaries": [{"policy": "ref"}, SUMMARIES[1]], "choice": 0}, "a message needs role and content"),
    ({"info": INFO, "summaries": SUMMARIES[:1], "choice": 0}, "expected a list of two answers, found 1 of them"),
    ({"info": INFO, "summaries": "ab", "choice": 0}, "expected a list of two answers, found str"),
    ({"info": "t3_9", "summaries": SUMMARIES, "choice": 0}, "info must be an object"),
    ({"info": {"post": ["x"]}, "summaries": SUMMARIES, "choice": 0}, "title, post and article must be strings"),
    ({"prompt": P, "answers": [A, B], "vote": "up"}, "vote must be one of left, right, tie, both_bad, found 'up'"),
    ({"prompt": P, "answers": [A, B], "vote": ["left"]}, "vote must be one of"),
    ({"prompt": P, "ranked": A}, "ranked must be a list of answers"),
    ({"instruction": P, "output": A}, "output must be a list of answers"),
    ({"prompt": P, "completion": A, "label": 1}, "label must be true or false, found 1"),
    ({"prompt": [USER, CHOSEN], "chosen": A, "rejected": B}, "the prompt must end with a turn of the user's"),
    ({"prompt": [USER], "chosen": USER, "rejected": B}, "an answer must be the assistant's, found the role 'user'"),
    ({"prompt": P, "ranked": [{"role": "user", "content": A}, B]}, "an answer must be the assistant's"),
    ({"chosen": [USER, CHOSEN], "rejected": [{**USER, "content": "?"}, REJECTED]}, "must hold the same prompt"),
    ({"chosen": A, "rejected": B}, "begin differently, so there is no prompt"),
    ({"topic": P, "chosen": "It is 1.", "rejected": "It is 2."}, r"column holds the prompt; if one of .'topic'"),
    ({"prompt": P, "context": "Hats", "chosen": A, "rejected": B}, "beside prompt there is a column context"),
    ({"chosen": [A], "rejected": [B]}, "hold no prompt"),
    ({"ranked": [A, B]}, "hold no prompt"),
    ({"prompt": [], "chosen": A, "rejected": B}, "hold no prompt"),
    ({"prompt": P, "chosen": A}, r"columns \['chosen', 'prompt'\] are no comparison"),
]


@pytest.mark.parametrize(("row", "reason"), FAULTY)
def test_faulty_rows_name_file_and_line_and_what_to_do(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    path = write(tmp_path / "a.jsonl", [ROWS["ranked"], row, ROWS["ranked"]])
    with pytest.raises(UserError, match=rf"a\.jsonl:2: .*{reason}.*; mend the row, delete it, or leave"):
        ComparisonCorpus.read(path)


def test_broken_files(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(" \n", encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.jsonl: the file is empty; give a file"):
        ComparisonCorpus.read(path)
    path.write_text(json.dumps(ROWS["ranked"]) + '\n{"prompt": "cut o', encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.jsonl:2: not valid JSON"):
        ComparisonCorpus.read(path)
    with pytest.raises(UserError, match=r"does not exist; ComparisonCorpus expects"):
        ComparisonCorpus.read(tmp_path / "b.jsonl")


def test_the_words_of_a_post() -> None:
    assert post_text(INFO) == P
    assert post_text(ARTICLE_INFO) == P
    assert post_text(INFO | {"article": "news"}) == P
    assert post_text(INFO | {"title": None}) == POST
    assert post_text(INFO | {"post": " ", "article": "news"}) == "news"
    for info in (INFO | {"post": None}, {}):
        with pytest.raises(Skipped):
            post_text(info)


def test_rows_without_post_and_article_are_counted(tmp_path: Path) -> None:
    lost = {"info": INFO | {"post": None}, "summaries": SUMMARIES, "choice": 0}
    judged = {"info": INFO | {"post": ""}, "completion": A, "label": True}
    path = write(tmp_path / "a.jsonl", [ROWS["ranked"], lost, judged])
    parsed = ComparisonCorpus.parse(path)
    assert len(parsed.train) == 1
    assert parsed.dropped == {"rows with neither a post nor an article": 2}


def test_the_policy_reads_the_words_that_are_judged(tmp_path: Path) -> None:
    (judged,) = to_comparisons(ROWS["summarize_from_feedback"])
    policy: list[dict[str, Any]] = [
        {"info": INFO, "summary": {"text": f" {A}", "policy": "ref", "axes": {"overall": 7}}},
        {"id": "t3_9", "subreddit": "hats", "title": TITLE, "post": POST, "summary": A},
        {"original_text": P, "sum_text": A},
    ]
    for row in policy:
        assert to_conversations(row)[0].turns == (*judged.prompt, Turn("assistant", A))
    lost = {"info": INFO | {"post": None}, "summary": {"text": A}}
    parsed = MessagesCorpus.parse(write(tmp_path / "a.jsonl", [*policy, lost]))
    assert [c.group for c in parsed.train] == ["t3_9", "t3_9", "3"]
    assert parsed.dropped == {"rows with neither a post nor an article": 1}


def test_the_format_has_a_name() -> None:
    assert FORMATS["comparisons"] is ComparisonCorpus


def test_of_the_pages_votes_all_are_learned_from(tmp_path: Path) -> None:
    votes = [{"prompt": f"Question {i}?", "answers": ["Yes.", "No."], "vote": vote}
             for i, vote in enumerate(["left", "right", "tie", "both_bad"] * 10)]  # fmt: skip
    path = write(tmp_path / "votes.jsonl", votes)
    corpus = FORMATS["votes"].read(path)
    assert len(corpus.train) == 20 and corpus.valid == []
    assert sum(corpus.dropped.values()) == 20
    assert len(FORMATS["comparisons"].read(path).valid) == 1, "other comparisons are partly held out"


@pytest.mark.parametrize("column", ["question", "query", "input", "prompt", "text"])
def test_a_prompt_in_a_column_is_never_guessed_from_the_answers(column: str) -> None:
    """Both answers begin with the same words, which once became the prompt."""
    row = {"system": "", column: "What is 3 + 1?", "chosen": "The answer is 4.", "rejected": "The answer is 3."}
    (found,) = to_comparisons(row)
    assert (found.prompt[0].text, found.chosen, found.rejected) == (row[column], row["chosen"], row["rejected"])
    assert len({c.group for n in "12" for c in to_comparisons(row | {column: n})}) == 2


def test_a_play_in_an_answer_is_an_answer() -> None:
    """Anthropic's turns begin after a blank line; what begins with a name in the next line is a quotation."""
    asked, play = "\n\nHuman: Write a play.\n\nAssistant:", "Sure:\nHuman: Open the door.\nRobot: No."
    (found,) = to_comparisons({"chosen": f"{asked} {play}", "rejected": f"{asked} I cannot."})
    assert found.prompt == (Turn("user", "Write a play."),) and (found.chosen, found.rejected) == (play, "I cannot.")


NEITHER_BETTER: list[tuple[dict[str, Any], str]] = [
    *[
        (row, "comparisons of two equal answers")
        for row in (
            {"prompt": P, "chosen": A, "rejected": f" {A}\n"},
            {"chosen": [USER, CHOSEN], "rejected": [USER, CHOSEN]},
            {"chosen": f"\n\nHuman: {P}\n\nAssistant: {A}", "rejected": f"\n\nHuman: {P}\n\nAssistant: {A}"},
            {"chosen": f"{P} {A}", "rejected": f"{P} {A}"},
            {"info": INFO, "summaries": [SUMMARIES[0]] * 2, "choice": 0},
            {"original_text": P, "good_summarize": A, "bad_summarize": A},
            {"prompt": P, "answers": [A, A], "vote": "right"},
        )
    ],
    *[
        (row, "rows with an empty answer")
        for row in (
            {"prompt": P, "chosen": A, "rejected": " "},
            {"chosen": f"\n\nHuman: {P}\n\nAssistant: {A}", "rejected": f"\n\nHuman: {P}\n\nAssistant:"},
            {"info": INFO, "summaries": [{"text": ""}, SUMMARIES[1]], "choice": 1},
            {"chosen": [USER, CHOSEN], "rejected": [USER, {"role": "assistant", "content": ""}]},
            {"prompt": P, "completion": "", "label": True},
            {"prompt": P, "chosen": "", "rejected": ""},
        )
    ],
]


@pytest.mark.parametrize(("row", "reason"), NEITHER_BETTER)
def test_rows_in_which_neither_answer_is_better_are_counted(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    parsed = ComparisonCorpus.parse(write(tmp_path / "a.jsonl", [ROWS["ranked"], row, ROWS["ranked"]]))
    assert len(parsed.train) == 2 and parsed.dropped == {reason: 1}


def test_an_empty_answer_of_a_list_takes_no_other_with_it(tmp_path: Path) -> None:
    parsed = ComparisonCorpus.parse(write(tmp_path / "a.jsonl", [{"prompt": P, "ranked": [A, "", B]}]))
    assert texts(parsed.train) == [(A, B)] and parsed.dropped == {"empty answers of a list": 1}


def test_conversations_that_part_early_are_bad_rows(tmp_path: Path) -> None:
    talks = [f"\n\nHuman: A joke?\n\nAssistant: {a}\n\nHuman: Why?\n\nAssistant: {b}" for a, b in ("xy", "uv")]
    twice = ["\n\nHuman: Hi.\n\nHuman: Hello?\n\nAssistant: " + answer for answer in ("Yes.", "No.")]
    rows = [dict(zip(("chosen", "rejected"), pair, strict=True)) for pair in (talks, twice)]
    path = write(tmp_path / "a.jsonl", [ROWS["hh-rlhf"], *rows])
    with pytest.raises(UserError, match=r"a\.jsonl:2: chosen and rejected must hold the same prompt"):
        ComparisonCorpus.read(path)
    corpus = ComparisonCorpus.read(path, skip_bad_rows=True)
    assert corpus.dropped == {"bad rows": 2} and "a.jsonl:3: two user turns in a row" in corpus.summary()

"""doccano: rows that go out and come back the same, projects of several annotators, and how far these agree."""

import json
import math
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from minigpt.data import agreement
from minigpt.data.agreement import agreements, cohens_kappa, disagreements, report
from minigpt.data.examples import Conversation, Document, LabelledText, Prompt, RatedAnswer, Turn
from minigpt.data.formats import LabelCorpus, MessagesCorpus, PromptCorpus, doccano
from minigpt.data.formats.doccano import DoccanoRow, read_doccano, to_doccano, write_doccano
from minigpt.errors import UserError

TALK = (
    Turn("system", "You are a guide."),
    Turn("user", "Where is the zoo?"),
    Turn("assistant", "On Elm Street."),
    Turn("user", "When does it open?\n(I am in a hurry.)"),
)
EXPORTED: list[dict[str, Any]] = [
    {"id": 7, "text": "Great price.", "label": ["positive"], "Comments": ["sure?", "sure."]},
    {"id": 8, "text": "早安。", "label": ["positive", "short"], "Comments": [], "source": "shop", "page": 3},
    {"id": 9, "text": "Terrible service.", "label": [], "Comments": ["later"], "source": None, "page": None},
]


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def rows_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def archive(path: Path, files: Mapping[str, Sequence[tuple[str | None, list[str]]]]) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for name, annotations in files.items():
            lines = [
                json.dumps({"id": i, "text": t, "label": n, "Comments": []}) for i, (t, n) in enumerate(annotations)
            ]
            packed.writestr(f"{name}.jsonl", "".join(line + "\n" for line in lines))
    return path


# Out and in again.


def test_an_export_read_and_written_again_is_the_same_comments_included(tmp_path: Path) -> None:
    rows = read_doccano(write_rows(tmp_path / "theirs.jsonl", EXPORTED))
    write_doccano(tmp_path / "ours.jsonl", rows)
    assert rows_in(tmp_path / "ours.jsonl") == EXPORTED
    assert rows[0].comments == ("sure?", "sure.") and rows[1].metadata == {"source": "shop", "page": 3}


@pytest.mark.parametrize("rows", [
    [{"text": "Hello!", "label": ["こんにちは！"]}],  # the shapes of its published examples
    [{"text": "Great price.", "label": "positive"}],
    [{"text": "Great price.", "label": None}, {"text": "New."}],
])  # fmt: skip
def test_rows_without_comments_or_a_number_get_what_they_lack(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    for row, read in zip(rows, read_doccano(write_rows(tmp_path / "a.jsonl", rows)), strict=True):
        assert read.as_row()["text"] == row["text"] and read.as_row()["Comments"] == []
        assert list(read.label) == ([row["label"]] if isinstance(row.get("label"), str) else row.get("label") or [])


def through_doccano(tmp_path: Path, examples: list[Any]) -> Path:
    """The examples as doccano would export them, once its annotators have left comments."""
    exported = [to_doccano(example, i).as_row() for i, example in enumerate(examples)]
    return write_rows(tmp_path / "exported.jsonl", [row | {"Comments": ["seen"]} for row in exported])


def test_labelled_texts_come_back_equal(tmp_path: Path) -> None:
    labels = LabelCorpus.parse(
        write_rows(tmp_path / "a.jsonl", [{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(9)])
    )
    assert LabelCorpus.parse(through_doccano(tmp_path, labels.train)).train == labels.train


def test_chats_come_back_with_their_earlier_turns(tmp_path: Path) -> None:
    chats = [
        Conversation((*TALK, Turn("assistant", "At nine.")), "first"),
        Conversation((TALK[1], TALK[2]), "second"),
    ]
    path = through_doccano(tmp_path, chats)
    assert MessagesCorpus.parse(path).train == chats
    assert [row["text"] for row in rows_in(path)] == [TALK[3].text, TALK[1].text]
    assert len({frozenset(row) for row in rows_in(path)}) == 1, "doccano fills columns that some rows lack with nulls"


def test_an_exported_archive_is_read_as_it_is(tmp_path: Path) -> None:
    """doccano exports a ZIP even where all annotators share one file."""
    files = {"anna": [("q 1", ["by anna"]), ("q 2", [])], "bea": [("q 1", ["by bea"])]}
    chats = MessagesCorpus.parse(archive(tmp_path / "all.zip", files))
    assert [chat.turns[-1].text for chat in chats.train] == ["by anna", "by bea"]
    assert len({chat.group for chat in chats.train}) == 1, "two answers to one text are never parted"
    assert [row.text for row in read_doccano(tmp_path / "all.zip")] == ["q 1", "q 2", "q 1"]


def test_a_corrected_answer_is_learned_and_not_the_former_one(tmp_path: Path) -> None:
    row = to_doccano(Conversation((*TALK, Turn("assistant", "At nine."))), 1).as_row()
    (chat,) = MessagesCorpus.parse(write_rows(tmp_path / "a.jsonl", [row | {"label": ["At ten."]}])).train
    assert chat.turns == (*TALK, Turn("assistant", "At ten."))


def test_prompts_wait_for_an_answer_until_somebody_writes_one(tmp_path: Path) -> None:
    path = through_doccano(tmp_path, [Prompt(TALK, "g")])
    assert [prompt.turns for prompt in PromptCorpus.parse(path).train] == [TALK]
    assert MessagesCorpus.parse(path).dropped == {"rows without a label": 1}


def test_running_text_goes_out_without_a_label() -> None:
    assert to_doccano(Document("Once.", "tale"), 3).as_row() == {
        "id": 3, "text": "Once.", "label": [], "Comments": [], "group": "tale",
    }  # fmt: skip


@pytest.mark.parametrize("row", [{"data": "x", "label": ["a"]}, {"text": "x", "labels": ["a"]},
                                 {"text": "x", "annotations": [{"label": "a", "user": 2}]}])  # fmt: skip
def test_former_exports_become_rows_of_today(row: dict[str, Any]) -> None:
    assert DoccanoRow.parse(row).as_row() == {"text": "x", "label": ["a"], "Comments": []}


def test_a_project_of_former_columns_has_its_agreement(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for name, label in (("anna", "a"), ("bea", "b")):
            packed.writestr(f"{name}.jsonl", json.dumps({"id": 1, "data": "t1", "label": [label]}))
    assert "anna and bea: 1 texts, 0.0% alike" in report(tmp_path / "a.zip")


def test_what_doccano_has_no_project_for_stays_here() -> None:
    with pytest.raises(UserError, match="no project for RatedAnswers"):
        to_doccano(RatedAnswer((), "x", 1.0), 1)


@pytest.mark.parametrize(("row", "reason"), [
    ({"body": "x"}, r"columns \['body'\] hold no text"),
    ({"text": None, "label": []}, "text must be a string"),
    ({"text": "x", "label": [[0, 1, "NAME"]]}, "label must be a string or a list of strings"),
    ({"text": "x", "label": [], "Comments": [{"text": "hm"}]}, "Comments must be a string or a list of strings"),
    ({"text": "x", "label": [], "id": "seven"}, "id must be a whole number, found 'seven'"),
])  # fmt: skip
def test_a_row_of_another_kind_is_named(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=rf"a\.jsonl:2: {reason}.*; mend the row, delete it, or leave bad rows out"):
        read_doccano(write_rows(tmp_path / "a.jsonl", [EXPORTED[0], row]))


def test_the_command_writes_what_a_project_imports(tmp_path: Path, monkeypatch, capsys) -> None:
    chats = write_rows(tmp_path / "chats.jsonl", [{"prompt": f"q {i}", "completion": f"a {i}"} for i in range(30)])
    out = tmp_path / "out.jsonl"
    monkeypatch.setattr(sys, "argv", ["doccano", str(chats), "--out", str(out)])
    doccano.main()
    assert [(row["id"], row["text"], row["label"]) for row in rows_in(out)] == [
        (i + 1, f"q {i}", [f"a {i}"]) for i in range(30)
    ]
    assert "sequence to sequence" in capsys.readouterr().out


# Annotators.


def test_kappa_on_a_table_counted_by_hand() -> None:
    """Both say a 20 times and b 15 times; apart they are 5 and 10 times: observed 0.7, expected 0.5."""
    first = ["a"] * 25 + ["b"] * 25
    second = ["a"] * 20 + ["b"] * 5 + ["a"] * 10 + ["b"] * 15
    assert cohens_kappa(first, second) == pytest.approx(0.4)
    assert cohens_kappa(second, first) == pytest.approx(0.4)


def test_kappa_is_one_for_equals_and_zero_for_strangers_and_negative_for_opponents() -> None:
    assert cohens_kappa(["a", "b", "c"], ["a", "b", "c"]) == 1
    assert cohens_kappa(["a", "a", "b", "b"], ["a", "b", "a", "b"]) == pytest.approx(0)
    assert cohens_kappa(["a", "b"], ["b", "a"]) == pytest.approx(-1)


def test_kappa_is_undefined_where_there_is_nothing_to_agree_on() -> None:
    assert math.isnan(cohens_kappa([], [])) and math.isnan(cohens_kappa(["a", "a"], ["a", "a"]))


ANNOTATORS: dict[str, list[tuple[str | None, list[str]]]] = {
    "anna": [("t1", ["a"]), ("t2", ["a"]), ("t3", ["b"]), ("t4", ["b"]), ("t5", ["a", "b"]), (None, ["a"])],
    "bea": [("t1", ["a"]), ("t2", ["b"]), ("t3", ["b"]), ("t4", []), ("t5", ["a"])],
    "carl": [("t3", ["a"])],
    "unknown": [("t6", [])],
}


def test_only_texts_with_one_label_of_both_count() -> None:
    labels = {"anna": {"t1": "a", "t2": "a", "t3": "b"}, "bea": {"t1": "a", "t2": "b", "t3": "b"}, "carl": {"t3": "a"}}
    by_pair = {(pair.first, pair.second): pair for pair in agreements(labels)}
    assert by_pair["anna", "bea"].texts == 3 and by_pair["anna", "bea"].same == pytest.approx(2 / 3)
    assert by_pair["anna", "bea"].kappa == pytest.approx((2 / 3 - 4 / 9) / (1 - 4 / 9))
    assert by_pair["anna", "carl"].texts == 1 and by_pair["anna", "carl"].same == 0
    assert disagreements(labels) == {"t2": {"anna": "a", "bea": "b"}, "t3": {"anna": "b", "bea": "b", "carl": "a"}}


def test_the_report_of_a_project(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["agreement", str(archive(tmp_path / "a.zip", ANNOTATORS)), "--show", "1"])
    agreement.main()
    printed = capsys.readouterr().out
    assert "anna: 4 texts labelled, 1 empty, 1 with several labels" in printed
    assert "bea: 4 texts labelled, 1 without a label" in printed
    assert "unknown: 0 texts labelled, 1 without a label" in printed and "and unknown:" not in printed
    assert "anna and bea: 3 texts, 66.7% alike, kappa +0.400" in printed
    assert "2 texts on which they disagree, the first 1:" in printed
    assert "anna: a, bea: b" in printed and "carl: a" not in printed


def test_the_same_project_as_a_corpus(tmp_path: Path) -> None:
    parsed = LabelCorpus.parse(archive(tmp_path / "a.zip", ANNOTATORS))
    assert parsed.train == [LabelledText(e.text, e.label, e.group) for e in parsed.train]
    assert {example.text: example.label for example in parsed.train} == {"t1": "a", "t3": "b", "t4": "b", "t5": "a"}
    assert parsed.dropped == {
        "annotations with several labels": 1, "texts on which annotators disagree": 1, "texts without a label": 1,
        "empty texts": 1,
    }  # fmt: skip


def test_one_annotator_cannot_disagree(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fewer than two annotators"):
        report(archive(tmp_path / "a.zip", {name: ANNOTATORS[name] for name in ("anna", "unknown")}))
    with pytest.raises(UserError, match="does not exist"):
        report(tmp_path / "missing.zip")


def test_two_annotations_of_one_text_in_a_row() -> None:
    row = DoccanoRow.parse({"text": "x", "label": ["a", "b"]})
    assert row.label == ("a", "b") and row.number is None and "id" not in row.as_row()

"""LabelCorpus: one labelled text, many formats; nothing is dropped in silence."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from minigpt.data.examples import LabelledText
from minigpt.data.formats import FORMATS
from minigpt.data.formats.labels import LabelCorpus
from minigpt.errors import UserError

SAD, GLAD = "The soup was cold, and so was the cook.", 'A "lovely" harbour.'
BOTH = [(SAD, "negative"), (GLAD, "positive")]

FILES: dict[str, str] = {
    "doccano.jsonl": "".join(
        json.dumps({"id": n, "text": text, "label": [label], "Comments": ["why?"]}) + "\n"
        for n, (text, label) in enumerate(BOTH)
    ),
    "plain.jsonl": "".join(json.dumps({"text": f" {text}", "label": label}) + "\r\n" for text, label in BOTH),
    "doccano.json": json.dumps([{"text": text, "label": [label]} for text, label in BOTH], indent=1),
    "import.json": json.dumps([{"column_data": text, "column_label": [label]} for text, label in BOTH]),
    "doccano.csv": f'id,text,label,Comments\n1,"{SAD}",negative,\n2,"A ""lovely"" harbour.",positive,why?\n',
    "intents.jsonl": "".join(
        json.dumps({"text": text, "entities": [[0, 1, "X"]], "cats": [label]}) + "\n" for text, label in BOTH
    ),
    "import.csv": f'column_data,column_label\n"{SAD}","negative"\n"A ""lovely"" harbour.","positive"\n',
    "former.jsonl": "".join(
        json.dumps({"id": n, "data": text, "label": [label]}) + "\n" for n, (text, label) in enumerate(BOTH)
    ),
    "older.jsonl": "".join(
        json.dumps({"text": text, "meta": {}, "annotation_approver": None, "labels": [label]}) + "\n"
        for text, label in BOTH
    ),
    "first.jsonl": "".join(
        json.dumps({"text": text, "annotations": [{"label": label, "user": 1}]}) + "\n" for text, label in BOTH
    ),
    "fasttext.txt": f"__label__negative {SAD}\n\n__label__positive {GLAD}\n",
    "sst2.tsv": f"sentence\tlabel\n{SAD} \t0\n{GLAD} \t1\n",
    "sst2.jsonl": "".join(json.dumps({"idx": 0, "sentence": t, "label": n}) + "\n" for n, (t, _) in enumerate(BOTH)),
    "ChnSentiCorp.csv": f'label,review\n0,"{SAD}"\n1,"A ""lovely"" harbour."\n',
}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def jsonl(*rows: tuple[str | None, Any]) -> str:
    return "\n".join(json.dumps({"text": text, "label": label}) for text, label in rows) + "\n"


def pairs(examples: list[LabelledText]) -> list[tuple[str, str]]:
    return [(example.text, example.label) for example in examples]


@pytest.mark.parametrize("name", FILES)
def test_the_same_labelled_texts_in_every_format(tmp_path: Path, name: str) -> None:
    parsed = LabelCorpus.parse(write(tmp_path / name, FILES[name]))
    assert pairs(parsed.train) == BOTH
    assert parsed.train == LabelCorpus.parse(write(tmp_path / "a.jsonl", FILES["plain.jsonl"])).train
    assert not parsed.dropped


UNUSABLE: dict[str, tuple[str, dict[str, int]]] = {
    "a.jsonl": (
        jsonl((SAD, "negative"), ("x", []), ("x", None), ("x", ""), ("x", [" "]), ("x", ["a", "b"]), (None, ["a"])),
        {"texts without a label": 4, "texts with several labels": 1, "empty texts": 1},
    ),
    "a.csv": (
        f'text,label\n"{SAD}",negative\nx,positive#negative\nx,\n,negative\n\n',
        {"texts without a label": 1, "texts with several labels": 1, "empty texts": 1},
    ),
    "a.txt": (
        f"__label__negative {SAD}\n__label__a __label__b x\nno label\n__label__a\n",
        {"texts without a label": 1, "texts with several labels": 1, "empty texts": 1},
    ),
    "a.tsv": (
        f"sentence\tlabel\n{SAD}\t0\nhidden\t-1\n\t1\n",
        {"texts without a label": 1, "empty texts": 1},
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_rows_without_one_text_and_one_label_are_counted(tmp_path: Path, name: str) -> None:
    content, dropped = UNUSABLE[name]
    parsed = LabelCorpus.parse(write(tmp_path / name, content))
    assert pairs(parsed.train) == BOTH[:1]
    assert parsed.dropped == dropped


def test_the_same_label_twice_is_one_label(tmp_path: Path) -> None:
    assert pairs(LabelCorpus.parse(write(tmp_path / "a.jsonl", jsonl((SAD, ["a", "a "])))).train) == [(SAD, "a")]


def test_a_hash_joins_labels_in_tables_only(tmp_path: Path) -> None:
    assert pairs(LabelCorpus.parse(write(tmp_path / "a.jsonl", jsonl((SAD, "C#")))).train) == [(SAD, "C#")]


FAULTY: dict[str, tuple[str, str]] = {
    "columns.jsonl": (jsonl((SAD, "a")) + '{"words": "x"}\n', r"columns\.jsonl:2: columns \['words'\] are no labelled"),
    "spans.jsonl": (jsonl((SAD, "a"), ("x", [[0, 1, "NAME"]])), r"spans\.jsonl:2: label must be a string or a list"),
    "number.jsonl": (jsonl((SAD, 1.5)), r"number\.jsonl:1: label must be a string or a list of strings, found 1.5"),
    "text.jsonl": (jsonl((SAD, "a")) + '{"text": 7, "label": "a"}\n', r"text\.jsonl:2: text must be a string"),
    "word.csv": (f'label,review\n"1","{SAD}"\ngood,x\n', r"word\.csv:3: a review has the label 0 or 1, found 'good'"),
    "annotations.jsonl": (
        '{"text": "x", "annotations": [{"label": 1, "user": 1}]}\n',
        r"annotations\.jsonl:1: the annotations hold numbers of labels .*; export .* as JSONL with text labels",
    ),
    "true.jsonl": ('{"sentence": "x", "label": true}\n', r"true\.jsonl:1: a sentence has the label 0 or 1, found True"),
    "five.tsv": ("sentence\tlabel\nx\t5\n", r"five\.tsv:2: a sentence has the label 0 or 1, found '5'"),
    "header.csv": (f'"{SAD}",negative\nx,positive\n', r"header\.csv:2: columns .* are no labelled text"),
    "wide.csv": ('text,label\n"two\nlines",a\nx,b,c\n', r"wide\.csv:4: found 3 columns where the header has 2"),
    "narrow.tsv": ("sentence\tlabel\nx\n", r"narrow\.tsv:2: found 1 columns where the header has 2"),
    "quotes.csv": ('text,label\nx,a\n"never closed,b\n', r"quotes\.csv:3: .*marks are not closed; mend the row"),
    "plain.txt": ("Just a text.\n", r"plain\.txt:1: no line begins with __label__; write lines such as"),
    "empty.csv": ("\n", r"empty\.csv: the file is empty; give a file"),
    "cut.jsonl": (jsonl((SAD, "a")) + '{"text": "x', r"cut\.jsonl:2: not valid JSON"),
    "a.log": ("x", r"a\.log: its ending does not say what it holds; known are \.jsonl"),
    "a.zip": ("no archive", r"a\.zip is not a readable ZIP archive"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_faults_name_file_and_line(tmp_path: Path, name: str) -> None:
    content, reason = FAULTY[name]
    with pytest.raises(UserError, match=reason):
        LabelCorpus.read(write(tmp_path / name, content))


@pytest.mark.parametrize("name", ["spans.jsonl", "wide.csv", "five.tsv", "columns.jsonl"])
def test_faults_say_what_to_do(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"; mend the row, delete it, or leave bad rows out with --skip-bad-rows\.$"):
        LabelCorpus.read(write(tmp_path / name, FAULTY[name][0]))


def test_quotes_mean_nothing_in_a_tsv(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", 'sentence\tlabel\n"never closed\t0\nsays "who"\t1\n')
    assert pairs(LabelCorpus.parse(path).train) == [('"never closed', "negative"), ('says "who"', "positive")]


def test_a_text_of_two_lines_in_a_csv(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'text,label\r\n"one\r\ntwo",a\r\n')
    assert pairs(LabelCorpus.parse(path).train) == [("one\ntwo", "a")]


def archive(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


def test_most_annotators_decide(tmp_path: Path) -> None:
    votes = {
        "agreed": ["a", "a", "a"],
        "most": ["a", "b", "b"],
        "three ways": ["a", "b", "c"],
        "even": ["a", [], "b"],
        "one of them": [[], "a", None],
        "nobody": [[], [], ""],
        "torn": [["a", "b"], [], []],
        "most but one torn": [["a", "b"], ["b"], ["b"]],
    }
    files = {
        f"{name}.jsonl": jsonl(*[(text, given[i]) for text, given in votes.items()])
        for i, name in enumerate(["anna", "bea", "carl"])
    }
    files["__MACOSX/._anna.jsonl"] = "\x00"
    parsed = LabelCorpus.parse(archive(tmp_path / "a.zip", files))
    assert dict(pairs(parsed.train)) == {"agreed": "a", "most": "b", "one of them": "a", "most but one torn": "b"}
    assert len(parsed.train) == 4
    assert parsed.dropped == {
        "texts on which annotators disagree": 2,
        "texts without a label": 1,
        "annotations with several labels": 2,
    }


def test_a_project_of_one_annotator_equals_its_file(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"all.jsonl": FILES["doccano.jsonl"]})
    assert pairs(LabelCorpus.parse(path).train) == BOTH


def test_faults_in_an_archive(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"anna.jsonl": jsonl((SAD, "a")), "bea.jsonl": jsonl((SAD, "a"), ("x", 3.5))})
    with pytest.raises(UserError, match=r"a\.zip.bea\.jsonl:2: label must be a string"):
        LabelCorpus.read(path)
    with pytest.raises(UserError, match=r"b\.zip holds no file that ends in \.jsonl or"):
        LabelCorpus.read(archive(tmp_path / "b.zip", {"README": "x"}))


@pytest.fixture
def polarity(tmp_path: Path) -> Path:
    (tmp_path / "films.neg").write_bytes("a clich\xe9 . \nnothing \x97 at all .\n".encode("latin-1"))
    (tmp_path / "films.pos").write_bytes("caf\u00e9 bliss . \n\n".encode())
    return tmp_path


def test_polarity_files_by_folder_or_by_either_name(polarity: Path) -> None:
    expected = [
        ("a clich\xe9 .", "negative"),
        ("nothing — at all .", "negative"),  # byte 0x97 is a dash in Windows-1252
        ("caf\xe9 bliss .", "positive"),
    ]
    for path in (polarity, polarity / "films.neg", polarity / "films.pos"):
        assert sorted(pairs(LabelCorpus.parse(path).train)) == sorted(expected)


def test_polarity_files_come_in_pairs(polarity: Path) -> None:
    (polarity / "films.neg").unlink()
    with pytest.raises(UserError, match=r"films\.neg is missing"):
        LabelCorpus.read(polarity / "films.pos")
    (polarity / "films.pos").unlink()
    with pytest.raises(UserError, match=r"holds no file that ends in"):
        LabelCorpus.read(polarity)


def test_no_text_is_on_both_sides(tmp_path: Path) -> None:
    rows = [(f"text {n % 30}", "ab"[n % 2]) for n in range(90)]
    corpus = LabelCorpus.read(write(tmp_path / "a.jsonl", jsonl(*rows)), valid_fraction=0.1)
    assert not {example.text for example in corpus.train} & {example.text for example in corpus.valid}
    assert corpus.summary().startswith("81 labelled texts to train on, 9 to validate; dropped: nothing")


def test_the_format_has_a_name() -> None:
    assert FORMATS["labels"] is LabelCorpus


def test_the_publishers_validation_file_is_held_out(tmp_path: Path) -> None:
    """A text that is in both files is only trained on, and counted."""
    train = write(tmp_path / "sst2.train.tsv", "sentence\tlabel\ngood fun\t1\na bore \t0\n")
    write(tmp_path / "sst2.dev.tsv", "sentence\tlabel\na bore\t0\ngood , clean fun\t1\n\t1\n")
    parsed = LabelCorpus.parse(train)
    assert pairs(parsed.train) == [("good fun", "positive"), ("a bore", "negative")]
    assert pairs(parsed.valid or []) == [("good , clean fun", "positive")]
    assert parsed.dropped == {"empty texts": 1, "validation examples whose prompt is also trained on": 1}


def test_the_texts_without_their_labels_are_held_out_alike(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", jsonl(*[(f"text {i}", "a") for i in range(60)]))
    labelled, bare = FORMATS["labels"].read(path), FORMATS["unlabelled"].read(path)
    assert [text.text for text in bare.train] == [text.text for text in labelled.train]
    assert [text.text for text in bare.valid] == [text.text for text in labelled.valid] != []

"""Rows of every kind of file: faulty ones among good ones, half characters, tables of any spreadsheet, folders."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from minigpt.alignment.score_answers import read_examples
from minigpt.data.formats import FORMATS
from minigpt.data.formats.doccano import main as doccano
from minigpt.data.formats.reading import Reading
from minigpt.errors import UserError

#: A good row of each format that is made of rows, and one that is faulty in all of them.
ROWS: dict[str, dict[str, Any]] = {
    "messages": {"messages": [{"role": "user", "content": "Hi {}"}, {"role": "assistant", "content": "Hello"}]},
    "comparisons": {"prompt": "Hi {}", "chosen": "Hello", "rejected": "Go away"},
    "ratings": {"prompt": "Hi {}", "answer": "Hello", "score": 3},
    "labels": {"text": "film {}", "label": "positive"},
    "unlabelled": {"text": "film {}", "label": "positive"},
    "prompts": {"prompt": "Hi {}"},
    "text": {"text": "Hi {}"},
    "votes": {"prompt": "Hi {}", "answers": ["Yes", "No"], "vote": "left"},
}
FAULTY = {"nothing": "known"}


def row_of(layout: str, number: int | str) -> dict[str, Any]:
    return json.loads(json.dumps(ROWS[layout]).replace("{}", str(number)))


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def everything(corpus: Any) -> str:
    return repr([*corpus.train, *corpus.valid])


# Faulty rows.


@pytest.mark.parametrize("layout", ROWS)
def test_faulty_rows_stop_the_reading_or_are_skipped_and_counted(tmp_path: Path, layout: str) -> None:
    good = [row_of(layout, n) for n in range(12)]
    path = tmp_path / "a.jsonl"
    broken = ["[1]", '{"cut": "o', json.dumps(FAULTY), json.dumps(FAULTY)]
    path.write_text(lines(*good[:6]) + "\n".join(broken) + "\n" + lines(*good[6:]), encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.jsonl:7: expected an object .*--skip-bad-rows\.$"):
        FORMATS[layout].read(path)
    corpus = FORMATS[layout].read(path, skip_bad_rows=True)
    assert len(corpus.train) + len(corpus.valid) == 12 and corpus.dropped["bad rows"] == 4
    told = corpus.summary()
    assert all(f"{path}:{line}: " in told for line in (7, 8, 9)) and f"{path}:10" not in told
    assert "dropped: 4 bad rows; bad rows, the first 3: " in told and "read: 16 rows of 1 file" in told


@pytest.mark.parametrize("layout", ROWS)
def test_nothing_but_faulty_rows_names_the_file_and_the_places(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(lines(FAULTY, FAULTY), encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.jsonl: .* no example to learn from .*2 bad rows.*a\.jsonl:1: "):
        FORMATS[layout].read(path, skip_bad_rows=True)


@pytest.mark.parametrize(
    ("content", "kept", "bad"),
    [
        ('[\n{"a": 1},\n{"a": },\n{"a": 3}\n]', [1, 3], ["3"]),
        ('[\n  {"a": 1},\n  {\n    "a": [{"x": 1}, }\n  },\n  {\n    "a": 3\n  }\n]', [1, 3], ["4"]),
        ('{\n  "a": 1\n}\n{\n  "a": \n}\n{\n  "a": 3\n}\n', [1, 3], ["6"]),
        ('{"a": 1}\n{"a": 2\n{"a": 3}\n', [1, 3], ["3"]),
        ('[{"a": 1}, 5, {"a": 3}]', [1, 3], ["1, row 2"]),
        ('[{"a": 1}, {"a": nothing}, {"a": 3}]', [1], ["1, row 2", "1, row 3"]),
        ('{"a": 1}\n{"a": "cut o', [1], ["2"]),
        ('[\n{"a": 1},\n{"a": "cut o', [1], ["3"]),
        ('[\n{"a": 1},\n{"a": 2}\n', [1, 2], ["4"]),
        ('{"a": 1}\nsome words\n{"a": 3}', [1, 3], ["2"]),
        ('{"a": 1}\n{"a": ' + "9" * 5000 + '}\n{"a": 3}', [1, 3], ["2"]),
        ('{"a": 1}\n{"a": ' + "[" * 100_000 + '\n{"a": 3}', [1, 3], ["2"]),
        ('{"a": 1}\n' + '{"a": [\n' * 1100, [1], ["2", "3", "4"]),
    ],
)
def test_broken_json_takes_no_other_with_it(tmp_path: Path, content: str, kept: list[int], bad: list[str]) -> None:
    path = tmp_path / "a.json"
    path.write_text(content, encoding="utf-8")
    reading = Reading(skip_bad_rows=True)
    assert [record.row["a"] for record in reading.records(path)] == kept
    assert [fault.split(": ")[0] for fault in reading.faults] == [f"{path}:{place}" for place in bad]
    with pytest.raises(UserError, match=rf"a\.json:{bad[0]}: "):
        list(Reading().records(path))


@pytest.mark.parametrize(
    "layout",
    ["jq", "concatenated", "commas", "joined with marks", "crlf", "trailing comma", "wrapped", "arrays", "one"],
)
def test_json_as_it_comes(tmp_path: Path, layout: str) -> None:
    rows: list[dict[str, Any]] = [{"a": n, "b": {"c": [{"d": "}{"}]}} for n in range(4)]
    each = [json.dumps(row) for row in rows]
    content = {
        "jq": "\n".join(json.dumps(row, indent=2) for row in rows),
        "concatenated": "".join(each),
        "commas": ",\n".join(each),
        "joined with marks": "\ufeff" + "\n".join(each[:2]) + "\n\ufeff" + "\n".join(each[2:]),
        "crlf": "\r\n".join(each),
        "trailing comma": "[" + ",\n".join(each) + ",\n]\n",
        "wrapped": json.dumps({"version": 1, "data": rows}),
        "arrays": f"[{each[0]}, {each[1]}]\n[{each[2]}, {each[3]}]",
        "one": " ".join(each),
    }[layout]
    for name, pack in (("a.jsonl", bytes), ("a.json", bytes), ("a.ndjson.gz", gzip.compress)):
        (tmp_path / name).write_bytes(pack(content.encode("utf-8")))
        assert [record.row for record in Reading().records(tmp_path / name)] == rows


def test_a_single_conversation_is_no_wrapper(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    row = row_of("messages", 1) | {"data": "aside"}
    path.write_text(json.dumps(row, indent=1), encoding="utf-8")
    assert [record.row for record in Reading().records(path)] == [row]


# Half characters.


@pytest.mark.parametrize("layout", ROWS)
def test_half_a_character_is_replaced_and_counted_in_every_format(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "a.jsonl"
    rows = [row_of(layout, n) for n in range(20)]
    rows[3] = row_of(layout, "3\\ud83d and \\u0000") | {"\udc4d": 1}
    rows[4] = row_of(layout, "4 🦊")
    path.write_text(lines(*rows), encoding="utf-8")
    corpus = FORMATS[layout].read(path)
    assert "3\ufffd and \ufffd" in everything(corpus) and "4 🦊" in everything(corpus)
    everything(corpus).encode("utf-8")
    assert "mended: 3 characters that no text holds (now U+FFFD)" in corpus.summary()


def test_half_a_character_in_what_doccano_and_score_read(tmp_path: Path, monkeypatch, capsys) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "Hi", "completion": "Hello \\ud83d"}\n', encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["doccano", str(path), "--out", str(tmp_path / "out.jsonl")])
    doccano()
    assert "Hello \ufffd" in (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    assert [answer for _, _, answer in read_examples(path)] == ["Hello \ufffd"]
    path.write_text('{"prompt": "Hi", "completion": ""}\n{"prompt": "Hi", "answer": "Yes"}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.jsonl:1: there is no answer to score"):
        read_examples(path)
    assert [answer for _, _, answer in read_examples(path, skip_bad_rows=True)] == ["Yes"]
    assert "1 bad rows" in capsys.readouterr().err


# Tables.

HEADERS = ["text{}label", "Text{}LABEL", ' "text" {} "label" ']
CELLS = [("plain", "positive"), ("film 1, quite long; really\ttrue", "negative"), ('says "hm"\nand goes', "positive")]


def table(separator: str, header: str, line_end: str = "\r\n") -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if any(c in text for c in f'{separator}"\n') else text

    rows = [separator.join(map(cell, row)) for row in CELLS]
    return line_end.join([header.format(separator), *rows, ""])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_as_spreadsheets_write_them(tmp_path: Path, separator: str, header: str, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(table(separator, header).encode(encoding))
    assert [(text.text, text.label) for text in FORMATS["labels"].parse(path).train] == CELLS


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_first_line_that_names_the_separator(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"sep={separator}\r\n" + table(separator, HEADERS[0]), encoding="utf-8", newline="")
    assert [(text.text, text.label) for text in FORMATS["labels"].parse(path).train] == CELLS


def test_a_tsv_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(table(";", HEADERS[0]), encoding="utf-8", newline="")
    assert [(text.text, text.label) for text in FORMATS["labels"].parse(path).train] == CELLS


def test_empty_columns_and_rows_of_a_spreadsheet_are_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text;label;;\nfilm;positive;;\n;;;\n\n", encoding="utf-8")
    reading = Reading()
    assert [record.row for record in reading.records(path)] == [{"text": "film", "label": "positive"}]


def test_broken_rows_of_a_table_take_no_other_with_them(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,label\none,a\n"never closed,b\ntwo,a\nthree,a,b\n"four\nlines",a\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.csv:3: .*its quotation marks are not closed"):
        FORMATS["labels"].read(path)
    corpus = FORMATS["labels"].read(path, skip_bad_rows=True)
    assert {text.text for text in [*corpus.train, *corpus.valid]} == {"one", "two", "four\nlines"}
    assert f"{path}:3: " in corpus.summary() and f"{path}:5: found 3 columns where the header has 2" in corpus.summary()


def test_a_column_that_is_there_twice_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,Text,label\na,b,c\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.csv:1: the header has the column 'text' twice"):
        FORMATS["labels"].read(tmp_path / "a.csv")


@pytest.mark.parametrize("layout", ["comparisons", "ratings", "labels", "prompts", "text"])
def test_every_format_of_rows_reads_tables(tmp_path: Path, layout: str) -> None:
    rows = [row_of(layout, n) for n in range(3)]
    (tmp_path / "a.jsonl").write_text(lines(*rows), encoding="utf-8")
    cells = "\n".join(";".join(str(cell) for cell in row.values()) for row in rows)
    (tmp_path / "a.csv").write_text(f"{';'.join(rows[0]).upper()}\n{cells}\n", encoding="utf-8")
    found = [FORMATS[layout].parse(tmp_path / name).train for name in ("a.jsonl", "a.csv")]
    assert found[0] == found[1] and len(found[0]) == 3


def test_numbers_are_labels_in_any_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines({"text": "x", "label": 0}, {"text": "y", "label": [1]}), encoding="utf-8")
    (tmp_path / "a.csv").write_text("text,label\nx,0\ny,1\n", encoding="utf-8")
    found = [FORMATS["labels"].parse(tmp_path / name).train for name in ("a.jsonl", "a.csv")]
    assert found[0] == found[1] and [text.label for text in found[0]] == ["0", "1"]


# Folders.


@pytest.mark.parametrize("layout", ROWS)
def test_folders_are_read_below_and_what_is_left_out_is_told(tmp_path: Path, layout: str) -> None:
    deep = tmp_path / "2024" / "may"
    deep.mkdir(parents=True)
    (tmp_path / "top.jsonl").write_text(lines(row_of(layout, 1)), encoding="utf-8")
    (deep / "more.json").write_text(json.dumps([row_of(layout, 2)]), encoding="utf-8")
    (deep / "packed.jsonl.gz").write_bytes(gzip.compress(lines(row_of(layout, 3)).encode()))
    (deep / "blank.jsonl").write_text("\n", encoding="utf-8")
    (deep / "notes.md").write_text("not read", encoding="utf-8")
    corpus = FORMATS[layout].read(tmp_path, valid_fraction=0.0)
    assert len(corpus.train) == 3
    assert corpus.summary().endswith("read: 3 rows of 3 files; files not read: 1 .md, 1 empty")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in (tmp_path / "top.jsonl", deep / "more.json", deep / "packed.jsonl.gz"):
            archive.write(file, file.relative_to(tmp_path).as_posix())
    assert len(FORMATS[layout].read(tmp_path / "all.zip", valid_fraction=0.0).train) == 3


@pytest.mark.parametrize("layout", ["messages", "comparisons", "labels", "prompts", "text"])
def test_a_published_split_is_kept_by_column_and_by_file_name(tmp_path: Path, layout: str) -> None:
    rows = [row_of(layout, n) for n in range(6)]
    for name, some in (("train-0.jsonl", rows[:3]), ("sub/test.jsonl", rows[3:5]), ("validation.jsonl", rows[5:])):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(lines(*some), encoding="utf-8")
    (tmp_path / "one").mkdir()
    splits = ["train"] * 3 + ["test", "test", "valid1"]
    marked = [row | {"split": split} for row, split in zip(rows, splits, strict=True)]
    (tmp_path / "one" / "rows.jsonl").write_text(lines(*marked), encoding="utf-8")
    by_column = FORMATS[layout].read(tmp_path / "one")
    assert (len(by_column.train), len(by_column.valid)) == (3, 3)
    (tmp_path / "one" / "rows.jsonl").unlink()
    by_name = FORMATS[layout].read(tmp_path)
    assert (len(by_name.train), len(by_name.valid)) == (3, 3)
    for corpus in (by_column, by_name):
        assert [any(f"Hi {n}" in repr(e) or f"film {n}" in repr(e) for e in corpus.train) for n in range(6)] == (
            [True] * 3 + [False] * 3
        )

"""TextCorpus and the JSON reader under it."""

import ast
import json
from pathlib import Path

import pytest

import minigpt.errors
from minigpt.data.formats.reading import Reading
from minigpt.data.formats.text import TextCorpus, split_documents
from minigpt.data.source import read_text
from minigpt.errors import UserError


def read_rows(path: Path) -> list[tuple[int, dict]]:
    """The rows of a JSON file with their lines."""
    return [(int(where.rpartition(":")[2]), row) for where, row, *_ in Reading().records(path)]


def test_blank_lines_part_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffOne two\nthree.\r\n\r\n \r\nFour.\n".encode())
    documents = TextCorpus.parse(path).train
    assert [(d.text, d.words, d.group) for d in documents] == [
        ("One two\nthree.", 3, "a.txt#1"),
        ("Four.", 1, "a.txt#2"),
    ]


def test_end_of_text_marks_win_over_blank_lines() -> None:
    assert split_documents("a\n\nb\n<|endoftext|>\nc\n<|endoftext|>\n") == ["a\n\nb", "c"]


def test_each_file_of_a_folder_is_one_group(tmp_path: Path) -> None:
    for name in "abcdefghij":
        (tmp_path / f"{name}.txt").write_text("x\n\ny\n", encoding="utf-8")
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    (tmp_path / "notes.md").write_text("not read", encoding="utf-8")
    corpus = TextCorpus.read(tmp_path, valid_fraction=0.3)
    assert {d.group for d in corpus.train + corpus.valid} == {f"{name}.txt" for name in "abcdefghij"}
    assert not {d.group for d in corpus.train} & {d.group for d in corpus.valid}
    assert len(corpus.train) == 14 and len(corpus.valid) == 6
    assert corpus.summary().endswith("read: 20 rows of 10 files; files not read: 1 .md, 1 empty")


def test_folder_without_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no file that ends in .* or \.txt"):
        TextCorpus.read(tmp_path)


def test_rows_with_a_text_column(tmp_path: Path) -> None:
    rows = [{"text": "One two."}, {"text": " "}, {"text": "Three.", "id": 7}, {"text": "Four.", "group": "g"}]
    lines, array = tmp_path / "a.jsonl", tmp_path / "a.json"
    lines.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    array.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    for path in (lines, array):
        parsed = TextCorpus.parse(path)
        assert [(d.text, d.group) for d in parsed.train] == [
            ("One two.", "1"),
            ("Three.", "7"),
            ("Four.", "g"),
        ]
        assert parsed.dropped == {"empty texts": 1}


def test_wrong_column_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n{"txt": "b"}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.jsonl:2: .*found the columns \['txt'\]"):
        TextCorpus.read(path)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_wrong_encoding_names_line_and_byte(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(mark + b"fine\nfine\ncaf\xe9 au lait\n")
    with pytest.raises(UserError, match=r"a\.txt:3: byte 0xe9 is not UTF-8; save the file as UTF-8"):
        TextCorpus.read(path)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n \n", encoding="utf-8")
    with pytest.raises(UserError, match="the file is empty"):
        read_rows(path)


def test_rows_know_the_line_they_start_on(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf\r\n[\r\n{"a": 1},\r\n\r\n{"a":\r\n 2},{"a": 3}\r\n]\r\n')
    assert read_rows(path) == [(3, {"a": 1}), (5, {"a": 2}), (6, {"a": 3})]
    path.write_bytes(b'{"a": 1}\r\n\r\n{"a": 2}\r\n')
    assert read_rows(path) == [(1, {"a": 1}), (3, {"a": 2})]


def test_unicode_line_separators_are_no_row_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": "x\u2028y\x85z"}\n', encoding="utf-8")
    assert read_rows(path) == [(1, {"a": "x\u2028y\x85z"})]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('{"a": 1}\n{"a": "cut o', 2),
        ('[\n{"a": 1},\n{"a": "cut o', 3),
        ('[\n{"a": 1},\n', 3),
        ('[\n{"a": 1}\n', 3),
        ('[\n{"a": 1}\n{"a": 2}]', 3),
        ('[\n{"a": 1}]\nrest', 3),
        ('{"a": 1}\n[1]', 2),
        ("[\n{}, 5]", 2),
    ],
)
def test_broken_json_names_file_and_line(tmp_path: Path, content: str, line: int) -> None:
    path = tmp_path / "a.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=rf"a\.json:{line}(, row 2)?: "):
        read_rows(path)


def test_read_text_keeps_single_newlines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\r\nb\n")
    assert read_text(path) == "a\nb\n"


def test_defect_13_no_nltk() -> None:
    package = Path(minigpt.errors.__file__).parent
    imported = set()
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).split(".")[0])
    assert "json" in imported  # the search itself works
    assert not imported & {"nltk", "torchtext"}


PLAY = "\n\n".join(f"SPEAKER {n}:\nA line of the play, and it is number {n}." for n in range(200))


def test_of_few_files_none_is_held_out_whole(tmp_path: Path) -> None:
    """Two files once put all of one of them into validation."""
    (tmp_path / "a.txt").write_text(PLAY, encoding="utf-8")
    (tmp_path / "b.txt").write_text("A short tale.\n", encoding="utf-8")
    corpus = TextCorpus.read(tmp_path)
    assert 8 <= len(corpus.valid) <= 12 and len(corpus.train) + len(corpus.valid) == 201
    assert {d.group.partition("#")[0] for d in corpus.train} == {"a.txt", "b.txt"}


@pytest.mark.parametrize("mark", ["\n", " ", ""])
def test_the_end_of_few_documents_is_held_out(tmp_path: Path, mark: str) -> None:
    text = (("A line of words\n" if mark == "\n" else f"lighthouse{mark}") * 1000).strip()
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    corpus = TextCorpus.read(tmp_path / "a.txt")
    (head,), (tail,) = corpus.train, corpus.valid
    assert len(tail.text) == pytest.approx(0.05 * len(text), rel=0.3)
    assert head.text + mark + tail.text == text and head.words == len(head.text.split())
    assert not TextCorpus.read(tmp_path / "a.txt", valid_fraction=0.0).valid
    (tmp_path / "a.txt").write_text("Too short to hold anything out.", encoding="utf-8")
    assert not TextCorpus.read(tmp_path / "a.txt").valid

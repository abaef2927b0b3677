"""Files as text: packed, in any declared encoding, and named for what they are where they hold none."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
import zipfile
from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest

from minigpt.characters import sound
from minigpt.data.formats import FORMATS
from minigpt.data.formats.text import TextCorpus
from minigpt.data.source import ending, files_in, read_text, read_toml
from minigpt.errors import UserError

ENGLISH = "The keeper went home.\nIt was late; Möwe 🦊 was out.\n"


def packed(**members: bytes) -> bytes:
    """A ZIP archive; `xl_workbook_xml` is the member xl/workbook.xml."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("a.txt")
        info.size = 3
        archive.addfile(info, BytesIO(b"abc"))
    return buffer.getvalue()


# Encodings.


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_what_says_its_encoding_is_read(tmp_path: Path, encoding: str, line_end: str, pack) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(pack(ENGLISH.replace("\n", line_end).encode(encoding)))
    assert read_text(path) == ENGLISH


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_both_orders_of_utf16(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(mark + ENGLISH.encode("utf-16-le" if mark[0] == 255 else "utf-16-be"))
    assert read_text(path) == ENGLISH
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"a\.txt:\d: byte 0x\w\w is not UTF-16; save the file as UTF-8"):
        read_text(path)


@pytest.mark.parametrize("text", [ENGLISH, "Сторож шёл домой. Было поздно, а маяк горел.\n" * 5, "ab"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_named(tmp_path: Path, text: str, encoding: str) -> None:
    """It would be read as UTF-8 in which every other character is NUL."""
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(UserError, match=r"looks like UTF-16 without .*; save the file as UTF-8|is not UTF-8; save"):
        read_text(path)


def test_a_nul_now_and_then_is_replaced_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a log line\0with padding\n\n" * 40 + "and more text. " * 40, encoding="utf-8")
    corpus = TextCorpus.read(path)
    assert "\0" not in corpus.train[0].text and "\ufffd" in corpus.train[0].text
    assert "mended: 40 characters that no text holds" in corpus.summary()


def test_marks_between_joined_files_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("one\n".encode("utf-8-sig") * 2)
    assert read_text(path) == "one\none\n"


def test_sound_text_is_left_alone() -> None:
    assert sound(ENGLISH) == (ENGLISH, 0)
    assert sound("half \ud83d, NUL \0, other half \udc4d") == ("half \ufffd, NUL \ufffd, other half \ufffd", 3)


# What is no text.

OTHERS: dict[str, tuple[bytes, str]] = {
    "train-00000-of-00001.parquet": (
        b"PAR1\x15\x04",
        r"is a Parquet file; convert it with python -c \"import pandas; pandas\.read_parquet\('.*'\)"
        r"\.to_json\('.*\.rows\.jsonl', orient='records', lines=True\)\"",
    ),
    "table.xlsx": (packed(**{"xl/workbook.xml": b"x"}), "is an Excel workbook; save it as CSV UTF-8"),
    "letter.docx": (packed(**{"word/document.xml": b"x"}), "is a Word document; save it as plain text"),
    "letter.odt": (packed(**{"content.xml": b"x"}), "is an OpenDocument file"),
    "things": (packed(**{"a.txt": b"x"}), "is a ZIP archive; unpack it first, or let its name end in"),
    "old.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1", "is an Office file"),
    "paper.pdf": (b"%PDF-1.7\n", "is a PDF"),
    "letter.rtf": (b"{\\rtf1 Hello}", "is a Rich Text file"),
    "a.txt.bz2": (bz2.compress(b"text"), r"is a bzip2 file; unpack it first \(bunzip2\)"),
    "a.txt.xz": (lzma.compress(b"text"), r"is an xz file; unpack it first \(xz -d\)"),
    "a.jsonl.zst": (b"\x28\xb5\x2f\xfd\x04", r"is a Zstandard file; unpack it first \(zstd -d\)"),
    "a.tar.gz": (tarred(), r"is a tar archive; unpack it first \(tar -xf\)"),
    "votes.sqlite": (b"SQLite format 3\0", "is an SQLite database"),
    "data.arrow": (b"ARROW1\0\0", "is an Arrow file"),
    "photo.png": (b"\x89PNG\r\n", "is a picture"),
    "pointer.txt": (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer .* git lfs pull"),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("layout", ["text", "messages", "comparisons", "labels", "wiki", "script", "stream"])
def test_what_is_no_text_is_named_whatever_it_is_called(tmp_path: Path, name: str, layout: str) -> None:
    content, sentence = OTHERS[name]
    for called in (name, "a.jsonl" if layout != "script" else "script_lines.csv"):
        (tmp_path / called).write_bytes(content)
        with pytest.raises(UserError, match=sentence):
            FORMATS[layout].read(tmp_path / called)


@pytest.mark.parametrize("name", ["train-00000-of-00001.parquet", "table.xlsx"])
def test_a_folder_of_what_is_no_text_is_named_too(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(OTHERS[name][0])
    for layout in ("text", "messages", "labels"):
        with pytest.raises(UserError, match=OTHERS[name][1]):
            FORMATS[layout].read(tmp_path)


@pytest.mark.parametrize("cut", [1, 5, 10, 15, -9, -1])
def test_a_torn_gzip_is_a_sentence(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(ENGLISH.encode())[:cut] or b"\x1f\x8b")
    with pytest.raises(UserError, match=r"a\.txt\.gz"):
        read_text(path)


def test_nothing_unpacks_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minigpt.data.source.ALWAYS", 10_000)
    bomb = gzip.compress(b"a" * 1_000_000)
    (tmp_path / "a.txt.gz").write_bytes(bomb)
    (tmp_path / "a.zip").write_bytes(zipped(("a.jsonl", b"a" * 1_000_000)))
    (tmp_path / "b.zip").write_bytes(zipped(("a.jsonl.gz", bomb)))
    for name in ("a.txt.gz", "a.zip", "b.zip"):
        with pytest.raises(UserError, match="would unpack to more than 200 times its size"):
            FORMATS["labels"].read(tmp_path / name)


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("layout", FORMATS)
def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path, layout: str) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes here")
    os.mkfifo(tmp_path / "pipe.jsonl")
    for path in (tmp_path / "pipe.jsonl", tmp_path / ("x" * 5000), tmp_path / "nothing"):
        with pytest.raises(UserError, match=r"neither a file nor a folder|cannot be read|does not exist"):
            FORMATS[layout].read(path)


# Which files.


def test_endings_are_those_of_what_is_packed() -> None:
    assert [ending(Path(name)) for name in ("A.JSONL.GZ", "a.txt", "a.b/c", "b.gz")] == [".jsonl", ".txt", "", ""]


def test_folders_and_archives_are_read_to_the_bottom_and_the_rest_is_counted(tmp_path: Path) -> None:
    names = ["b.txt", "a/deep/er.txt", "a/c.TXT.gz", "notes.md", "a/Makefile", ".hidden.txt", ".git/config.txt"]
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    for name in names:
        (tmp_path / name).write_text("x", encoding="utf-8")
    (tmp_path / "z.zip").write_bytes(zipped(*((f"f/{name}", b"x") for name in [*names[:5], "__MACOSX/b.txt"])))
    others = {".md": 1, "without an ending": 1}
    for path, left in ((tmp_path, others | {".zip": 1}), (tmp_path / "z.zip", others)):
        unread: Counter[str] = Counter()
        found = [str(file) for file in files_in(path, (".txt",), unread)]
        assert [name.replace("\\", "/").rpartition("/")[2] for name in found] == ["c.TXT.gz", "er.txt", "b.txt"]
        assert unread == left


def test_a_folder_without_anything_to_read_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "day0.md").write_text("text", encoding="utf-8")
    with pytest.raises(UserError, match=r"holds no file that ends in .*\.txt \(not read: 1 \.md\)"):
        TextCorpus.read(tmp_path)


# TOML.


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_toml_as_notepad_saves_it(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes('title = "Möwe"\r\n'.encode(encoding))
    assert read_toml(path) == {"title": "Möwe"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('a = 1\nb = "C:\\Users\\mia"', r"a\.toml:2: not valid TOML \(.*\); in paths write / or put them between"),
        ("a = 1\nb =", r"a\.toml:\d: not valid TOML \(.*\)\.$"),
        ("a = " + "[" * 100_000, r"a\.toml:1: not valid TOML"),
        ("a = " + "9" * 5000, r"a\.toml:1: not valid TOML"),
        ("", "the file is empty"),
    ],
)
def test_broken_toml_names_the_line(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=sentence):
        read_toml(path)

"""One file as text: unpacked, decoded as it says itself, and named for what it is where it is no text.

Every reader of the project opens the files that users bring through here, so that none of them guesses an encoding,
waits for a pipe, unpacks without end or trains on a spreadsheet's bytes.
"""

from __future__ import annotations

import codecs
import gzip
import io
import lzma
import os
import re
import tomllib
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ..errors import UserError

#: Byte order marks; UTF-32's begins as UTF-16's does, so it comes first.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
#: How files that hold no plain text begin, what they are, and what to do with them.
SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"PAR1", "a Parquet file", "{parquet}"),
    (b"ARROW1", "an Arrow file", "save the data set as JSON Lines (to_json)"),
    (b"%PDF-", "a PDF", "save its text as a .txt file in UTF-8"),
    (b"{\\rtf", "a Rich Text file", "save it as plain text in UTF-8 (.txt)"),
    (b"\xd0\xcf\x11\xe0", "an Office file (.doc, .xls)", "save it as plain text or CSV, in UTF-8"),
    (b"SQLite format 3\0", "an SQLite database", "export its table as CSV or JSON Lines"),
    (b"BZh", "a bzip2 file", "unpack it first (bunzip2)"),
    (b"\xfd7zXZ\0", "an xz file", "unpack it first (xz -d)"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", "unpack it first (zstd -d)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it first"),
    (b"\x89PNG", "a picture", "give a file that holds text"),
    (b"\xff\xd8\xff", "a picture", "give a file that holds text"),
    (b"version https://git-lfs", "a Git LFS pointer and not the file itself", "fetch that with git lfs pull"),
)
#: Office files are ZIP archives with these members.
OFFICE = {
    "xl/workbook.xml": ("an Excel workbook", "save it as CSV UTF-8 (.csv)"),
    "word/document.xml": ("a Word document", "save it as plain text in UTF-8 (.txt)"),
    "content.xml": ("an OpenDocument file", "save it as plain text or CSV, in UTF-8"),
}
HEAD = 512  # bytes that tell what a file is; a tar archive says so at byte 257
#: What a packed file may grow to: text shrinks to a tenth, hardly ever to a 200th. Small ones may always.
LARGEST_RATIO, ALWAYS = 200, 64 << 20


class EmptyFile(UserError):
    """There is no text in a file: a mistake where it is the only one."""


@dataclass(frozen=True)
class Member:
    """A file in a ZIP archive, read where it is."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo

    @property
    def name(self) -> str:
        return PurePosixPath(self.info.filename).name

    def open(self, mode: str = "rb") -> IO[bytes]:
        return self.archive.open(self.info)

    def __str__(self) -> str:
        return f"{self.archive.filename}/{self.info.filename}"


File = Path | Member


def ending(file: File) -> str:
    """What a name ends with, in small letters and without `.gz`: `.jsonl` for `Train.JSONL.gz`."""
    return PurePosixPath(file.name.lower().removesuffix(".gz")).suffix


@contextmanager
def readable(file: File | str) -> Iterator[None]:
    """Turn whatever goes wrong when a file is opened, read or unpacked into a sentence."""
    try:
        yield
    except (OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError) as e:
        name, reason = str(file), getattr(e, "strerror", None) or str(e) or "it ends too early"
        name = name if len(name) < 300 else f"{name[:300]}…"
        raise UserError(f"{name} cannot be read ({reason}); is it a whole file, and yours to read?") from e


def check_exists(path: Path, expected: str) -> None:
    """Raises UserError where there is nothing, or neither a file nor a folder: a pipe would be waited for."""
    with readable(path):
        if not path.exists():
            raise UserError(f"{path} does not exist; {expected}.")
        if not (path.is_file() or path.is_dir()):
            raise UserError(f"{path} is neither a file nor a folder; {expected}.")


# -- which files --------------------------------------------------------------------------------------


def files_in(path: Path, endings: Sequence[str], unread: Counter[str]) -> list[File]:
    """The files with these endings, however deep in a folder or ZIP archive; any other path stands for itself.

    Files with other endings are counted in `unread`. What systems hide (names with a dot in front) is no corpus.
    Raises UserError where there is nothing to read.
    """
    if ending(path) == ".zip":
        found = members(path)
    elif path.is_dir():
        found = list(_walk(path, unread))
    else:
        return [path]
    chosen = [file for file in found if ending(file) in endings]
    others = [file for file in found if ending(file) not in endings]
    unread.update(ending(file) or "without an ending" for file in others)
    if not chosen:
        for file in others[:1]:
            with readable(file), file.open("rb") as opened:
                _refuse(file, opened.read(HEAD), opened)
        left = f" (not read: {told(unread)})" if unread else ""
        raise UserError(f"{path} holds no file that ends in {' or '.join(endings)}{left}; put the data there.")
    return chosen


def _walk(folder: Path, unread: Counter[str]) -> Iterator[Path]:
    def lost(error: OSError) -> None:
        unread["unreadable folder"] += 1

    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=lost):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place) / name for name in names if not name.startswith(".")]
    for path in sorted(found, key=lambda path: path.relative_to(folder).as_posix()):
        if path.is_file():  # neither a pipe nor a link that leads nowhere
            yield path
        else:
            unread["no regular file"] += 1


def members(path: Path) -> list[File]:
    """The files in a ZIP archive such as doccano exports, by name. Raises UserError for one that cannot be read, that
    wants a password, or that would unpack to far more than text does."""
    try:
        archive = zipfile.ZipFile(path)
        # macOS adds files of its own when it packs a folder anew; empty ones are of annotators who were given nothing.
        found = [info for info in archive.infolist() if "__MACOSX" not in info.filename and info.file_size]
        packed = path.stat().st_size
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise UserError(f"{path} is not a readable ZIP archive ({error}); export it again.") from error
    found = [info for info in found if not PurePosixPath(info.filename).name.startswith(".")]
    if any(info.flag_bits & 1 for info in found):
        raise UserError(f"{path} wants a password; unpack it first.")
    _check_size(path, sum(info.file_size for info in found), packed)
    return [Member(archive, info) for info in sorted(found, key=lambda info: info.filename)]


def _check_size(file: File, size: int, packed: int) -> None:
    if size > max(ALWAYS, LARGEST_RATIO * packed):
        raise UserError(f"{file} would unpack to more than {LARGEST_RATIO} times its size; unpack it and look inside.")


def told(counts: Counter[str]) -> str:
    """`2 .md, 1 .pdf`, or nothing."""
    return ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()) if count)


# -- what they hold -----------------------------------------------------------------------------------


def read_bytes(file: File) -> bytes:
    """All of a file, unpacked if it is gzip's. Raises UserError for what cannot be read and for what is no text."""
    with readable(file):
        if isinstance(file, Path):
            check_exists(file, "name a file that holds text")
            if file.is_dir():
                raise UserError(f"{file} is a folder; name a file in it.")
        with file.open("rb") as opened:
            raw = opened.read(HEAD)
            _refuse(file, raw, opened)
            raw += opened.read()
        if raw.startswith(GZIP):
            limit = max(ALWAYS, LARGEST_RATIO * len(raw))
            with gzip.open(io.BytesIO(raw)) as unpacked:
                data = unpacked.read(limit + 1)
            _check_size(file, len(data), len(raw))
            _refuse(file, data[:HEAD], io.BytesIO(data))
            return data
        return raw


def _refuse(file: File, head: bytes, opened: IO[bytes]) -> None:
    """Raises UserError if a file that begins so holds no plain text; leaves `opened` behind its head."""
    if head.startswith(ZIP):
        opened.seek(0)
        with zipfile.ZipFile(opened) as archive:
            names = set(archive.namelist())
        plain = ("a ZIP archive", "unpack it first, or let its name end in .zip")
        what, advice = next((office for name, office in OFFICE.items() if name in names), plain)
    elif head[257:262] == b"ustar":
        what, advice = "a tar archive", "unpack it first (tar -xf)"
    else:
        found = next((found for found in SIGNATURES if head.startswith(found[0])), None)
        if found is None:
            return
        _, what, advice = found
    rows = f"{str(file).removesuffix('.jsonl').removesuffix('.parquet')}.rows.jsonl"
    parquet = (
        f'convert it with python -c "import pandas; pandas.read_parquet({str(file)!r}).to_json({rows!r}, '
        "orient='records', lines=True)\" (after pip install pandas pyarrow)"
    )
    raise UserError(f"{file} is {what}; {advice.format(parquet=parquet)}.")


def read_text(file: File, otherwise: Callable[[bytes], str] | None = None) -> str:
    """The whole file, without byte order marks, with line ends turned into a single newline.

    It is UTF-8 unless a mark says UTF-16 or UTF-32; `otherwise` decodes what is neither. Raises UserError with file and
    line when the bytes are no such text, or when there is no text at all.
    """
    raw = read_bytes(file)
    encoding = next((name for mark, name in MARKS if raw.startswith(mark)), "utf-8-sig")
    try:
        if encoding == "utf-8-sig" and _alternates(raw):
            raise UserError(f"{file}:1: this looks like UTF-16 without a byte order mark; save the file as UTF-8.")
        text = raw.decode(encoding, "strict" if encoding == "utf-8-sig" else "surrogatepass")
    except UnicodeDecodeError as error:
        if otherwise is None:
            # `utf-8-sig` counts from after the mark, so the position is looked up in what it was given.
            line = error.object.count(b"\n", 0, error.start) + 1
            byte, name = error.object[error.start], encoding.removesuffix("-sig").upper()
            raise UserError(f"{file}:{line}: byte 0x{byte:02x} is not {name}; save the file as UTF-8.") from error
        text = otherwise(raw)
    # Not splitlines(): U+2028 or U+0085 inside a sentence is text, not the end of a row.
    text = text.replace("\r\n", "\n")
    if "\n" not in text:
        text = text.replace("\r", "\n")  # as old Macs and their spreadsheets end lines
    text = text.replace("\n\ufeff", "\n")  # files that were joined keep their marks
    if not text.strip():
        raise EmptyFile(f"{file}: the file is empty; give a file that holds some text.")
    return text


def _alternates(raw: bytes) -> bool:
    """Whether every other byte is often zero and the bytes between hardly ever: so UTF-16 writes Latin letters, and in
    texts of other scripts the spaces and line ends."""
    count = raw.count(0)
    return 20 * count >= len(raw) and 20 * max(raw[::2].count(0), raw[1::2].count(0)) >= 19 * count > 0


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file that people edit. Raises UserError naming file and line for a mistake in it."""
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        place = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        number = int(place[1]) if place else text.count("\n") + 1
        line = [*text.split("\n"), ""][number - 1]
        reason = str(error)[: place.start()] if place else str(error) or "it is nested too deeply"
        hint = "; in paths write / or put them between '...'" if "\\" in line else ""
        where = f", column {place[2]}" if place else ""
        raise UserError(f"{path}:{number}: not valid TOML ({reason}{where}){hint}.") from None

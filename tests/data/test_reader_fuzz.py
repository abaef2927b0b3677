"""Ten thousand files that nobody foresaw: every reader ends in examples or in a sentence, soon and in little memory."""

from __future__ import annotations

import faulthandler
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from helpers.random_files import CHANGES, random_corpus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minigpt.characters import NO_TEXT
from minigpt.data.formats import FORMATS
from minigpt.data.formats.loader import CorpusLoader
from minigpt.data.formats.reading import BAD_ROWS, SHOWN
from minigpt.errors import UserError

FILES = 10_000
#: A format that takes so many seconds (usually four) hangs: the process ends and shows where.
PATIENCE = 300
MOST_MEMORY = 300 << 20  # bytes that reading files of at most 64 kB may add
PLACE = re.compile(r":\d+(, row \d+( of \w+)?)?: |:document \d+: ")
#: Formats in which each row gives one example or is counted.
ONE_EACH = ("prompts", "ratings")


def peak() -> int:
    """The most memory that this process ever had, in bytes; 0 where that is not known."""
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@pytest.fixture(autouse=True)
def nothing_hangs() -> Iterator[None]:
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def read(layout: str, path: Path, skip_bad_rows: bool) -> CorpusLoader | UserError:
    """What became of a file. Whatever is raised but UserError fails the test."""
    try:
        corpus = FORMATS[layout].read(path, skip_bad_rows=skip_bad_rows)
    except UserError as error:
        return error
    assert not any(NO_TEXT.search(text) for text in (corpus.summary(), *texts([*corpus.train, *corpus.valid])))
    return corpus


def texts(value: Any) -> Iterator[str]:
    """All texts in examples."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)
    elif is_dataclass(value):
        yield from texts([getattr(value, field.name) for field in fields(value)])


def check(layout: str, path: Path, folder: Path) -> None:
    strict, lenient = (read(layout, path, skip) for skip in (False, True))
    for error in (strict, lenient):
        if isinstance(error, UserError):
            sentence = str(error)
            assert str(folder) in sentence and sentence.endswith((".", "?")) and "\n" not in sentence, sentence
            sentence.encode("utf-8")
    if isinstance(lenient, CorpusLoader):
        reading = lenient.reading
        bad = reading.dropped[BAD_ROWS]
        assert len(reading.faults) == min(bad, SHOWN) and all(PLACE.search(fault) for fault in reading.faults)
        assert reading.files and reading.rows >= bad
        if layout in ONE_EACH:
            assert len(lenient.train) + len(lenient.valid) + reading.dropped.total() == reading.rows
        if not lenient.lenient:
            assert isinstance(strict, UserError) == (bad > 0) or reading.mended, "bad rows are errors, and only they"
            if isinstance(strict, UserError):
                assert PLACE.search(str(strict)), strict
    if isinstance(strict, CorpusLoader):
        assert isinstance(lenient, CorpusLoader)
        assert (strict.train, strict.valid) == (lenient.train, lenient.valid)


@pytest.mark.slow
@pytest.mark.parametrize("layout", FORMATS)
def test_whatever_a_file_holds_it_is_read_or_refused_in_a_sentence(layout: str) -> None:
    @settings(
        max_examples=-(-FILES // len(FORMATS)),
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from(sorted(CHANGES)), max_size=3))
    def one_file(seed: int, changes: list[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            check(layout, random_corpus(Path(folder), layout, seed, changes), Path(folder))

    before = peak()
    one_file()
    assert peak() - before < MOST_MEMORY


@pytest.mark.parametrize(
    "piece", ["= ", " = a = \n", '{"a":[\n', '"', '"x,y\n', "a,", "[", "{", "\\ud83d", "- ", "User:"]
)
@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".txt"])
def test_a_long_file_of_the_same_is_read_as_soon(tmp_path: Path, piece: str, ending: str) -> None:
    """What looks back or ahead at every step would take minutes or hours for these."""
    path = tmp_path / f"a{ending}"
    path.write_text("text,label\n" * (ending == ".csv") + piece * (100_000 // len(piece)), encoding="utf-8")
    before = peak()
    for layout in ("messages", "text", "labels", *(["wiki", "movie", "stream"] if ending == ".txt" else [])):
        read(layout, path, skip_bad_rows=True)
    assert peak() - before < MOST_MEMORY

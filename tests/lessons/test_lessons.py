"""Every lesson there is: it runs and prints what it says, a mistake in any block shows, its translation is fresh.

Whoever adds a lesson adds no test: all of these find it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers import docs

from lessons.fences import FIGURES, HERE, Lesson, LessonError, blank, lesson_paths
from lessons.notebook import notebook
from lessons.run import run, with_fences
from lessons.stale import path_table, read_index, stale_figures, stale_sections, translation_of

LESSONS = lesson_paths()
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
each_text = pytest.mark.parametrize(
    "path", [*LESSONS, *lesson_paths(HERE / "zh")], ids=lambda path: path.relative_to(HERE).with_suffix("").as_posix()
)


@each_lesson
def test_a_lesson_runs_and_prints_what_it_says(path, tmp_path):
    """All fences: each block ran, each output was compared, and the rest says why it does not run."""
    lesson = Lesson(path)
    problems, contents = run(lesson, tmp_path)
    assert not problems, "\n\n".join(problems)
    assert len(contents) == len(lesson.fences) == int(str(lesson.front["fences"]))
    assert {picture.stem for picture in tmp_path.glob("*.png")} == set(lesson.figures())


@each_lesson
def test_a_mistake_planted_in_any_block_is_noticed(path, tmp_path):
    """Each block in turn is replaced by one that fails, each output by one that nothing prints."""
    lesson = Lesson(path)
    wrong = {
        "python": 'assert False, "planted"\n',
        "bash": "python run_sft.py --no-such-flag\n",
        "output": "planted: never printed\n",
    }
    planted = with_fences(lesson.text, [wrong.get(fence.kind, fence.content) for fence in lesson.fences])
    problems, _ = run(Lesson(path, planted), tmp_path)
    assert len(problems) == sum(fence.kind != "skipped" for fence in lesson.fences) > 0
    assert all(re.search(r"planted|no-such-flag", problem) for problem in problems)


@each_lesson
def test_the_pictures_are_there_and_drawn_by_todays_blocks(path):
    lesson = Lesson(path)
    assert stale_figures(lesson) == []
    shown = {Path(target).stem for _, target in PICTURE.findall(lesson.text)}
    assert set(lesson.figures()) == shown and shown, "each picture is shown in the text, and there is at least one"
    assert all(name.startswith(f"{lesson.number}-") for name in shown)


def test_no_picture_is_left_over():
    drawn = {name for path in LESSONS for name in Lesson(path).figures()}
    assert {picture.stem for picture in FIGURES.glob("*.png")} == set(read_index()) == drawn


@each_text
def test_pictures_have_a_text_for_those_who_cannot_see_them(path):
    for text, target in PICTURE.findall(Lesson(path).text):
        assert len(text) > 15, f"{path.name}: {target} needs a text that says what it shows"


@each_lesson
def test_the_translation_is_complete_and_fresh(path):
    english, chinese = Lesson(path), Lesson(translation_of(path))
    assert [(f.info, f.content) for f in english.fences] == [(f.info, f.content) for f in chinese.fences]
    assert stale_sections(english, chinese) == []
    assert [Path(t).name for _, t in PICTURE.findall(english.text)] == [
        Path(t).name for _, t in PICTURE.findall(chinese.text)
    ]
    assert english.front["minutes"] == chinese.front["minutes"]
    assert len(english.front["goals"]) == len(chinese.front["goals"])
    written = re.findall(r"[\u4e00-\u9fff]", blank(chinese.text))
    assert len(written) > 0.15 * len(blank(english.text).split()) * 5, "most of it is not translated"


@each_lesson
def test_code_is_quoted_as_it_stands_in_the_other_language(path):
    """Both texts point at the same places of the source, the same commands and the same functions to write."""
    english, chinese = (set(docs.code_spans(blank(Lesson(p).text))) for p in (path, translation_of(path)))
    places = {span for span in english if re.search(r"\.py(:|$)|^test_", span)}
    assert places <= chinese, f"the Chinese lesson lacks {places - chinese}"


@each_lesson
def test_a_lesson_points_at_the_source(path):
    assert docs.references(Lesson(path).text), f"{path.name} names no `file.py:symbol` to open"


@each_text
def test_the_notebook_holds_all_of_the_lesson(path):
    lesson = Lesson(path)
    made = notebook(lesson)
    code = [cell["source"] for cell in made["cells"] if cell["cell_type"] == "code"][1:]
    assert [text.removeprefix("!") for text in code] == [
        fence.content.rstrip("\n") for fence in lesson.fences if fence.kind in ("python", "bash")
    ]
    outputs = [out["text"] for cell in made["cells"] for out in cell.get("outputs", [])]
    assert outputs == [fence.content for fence in lesson.fences if fence.kind == "output"]
    prose = "".join(cell["source"] for cell in made["cells"] if cell["cell_type"] == "markdown")
    for heading in re.findall(r"^#+ .+$", blank(lesson.text), re.MULTILINE):
        assert heading in prose
    assert len({cell["id"] for cell in made["cells"]}) == len(made["cells"])


def test_the_learning_path_lists_the_lessons_there_are():
    readme = docs.read("lessons/README.md")
    assert path_table() in readme, "python tests/helpers/docs.py writes today's table"
    assert all(f"]({path.name})" in readme for path in LESSONS)


def test_no_number_is_given_twice():
    numbers = [path.name[:2] for path in LESSONS]
    assert len(set(numbers)) == len(numbers) > 0


def test_a_lesson_takes_no_longer_than_told():
    for path in LESSONS:
        assert 5 <= int(str(Lesson(path).front["minutes"])) <= 45


def test_the_exercises_of_every_lesson_are_complete():
    for folder, ending in (("exercises", "py"), ("solutions", "py"), ("wrong", "py"), ("checks", "py"),
                           ("hints", "json"), ("quiz", "json"), ("zh", "md")):  # fmt: skip
        found = {path.name[:2] for path in (HERE / folder).glob(f"*.{ending}")}
        assert found == {path.name[:2] for path in LESSONS}, folder


def test_a_file_that_is_no_lesson_is_refused(tmp_path):
    with pytest.raises(LessonError, match="no front matter"):
        Lesson(tmp_path / "00_a.md", "# A lesson\n")

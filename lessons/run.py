"""Run a lesson: its blocks in order, in one namespace, offline, seeded, on one thread, in a temporary folder.

python -m lessons.run 01                            headings and output as it goes; pictures land in lessons/answers
python -m lessons.run 01 --from "What it costs"     what comes before runs too, but quietly
python -m lessons.run 01 --update                   for authors: write output, pictures and counts into the lesson
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from .execute import differs, execute, trimmed, workplace
from .fences import FENCE, FIGURES, HERE, ROOT, Lesson, LessonError, find
from .stale import INDEX, read_index, translation_of


def run(lesson: Lesson, figures: Path, *, echo: bool = False, start: str = "") -> tuple[list[str], list[str]]:
    """(what is wrong, the contents of all fences as they should read). Goes on after a failure. `executed` blocks and
    compared outputs, with those declared as not run, are all there are: `Lesson` has counted them."""
    problems: list[str] = []
    contents: list[str] = []
    printed, heading, quiet = "", "", bool(start)
    with workplace(figures) as figure:
        names: dict[str, Any] = {"__name__": "__main__", "figure": figure}
        for fence in lesson.fences:
            quiet = quiet and start.lower() not in fence.heading.lower()
            if echo and not quiet and fence.heading != heading:
                heading = fence.heading
                print(f"\n== {heading}")
            content = fence.content
            try:
                if fence.kind in ("python", "bash"):
                    printed = ""
                    printed = execute(fence, lesson.path, names, echo and not quiet)
                elif fence.kind == "output" and differs(fence.content, printed, fence.tolerance):
                    content = trimmed(printed) + "\n"
                    raise LessonError(f"{lesson.path.name}, line {fence.line} ({fence.heading}): the lesson says\n"
                                      f"{fence.content}\nbut the block printed\n{content}")  # fmt: skip
            except LessonError as error:
                problems.append(str(error))
            contents.append(content)
    return problems, contents


def with_fences(text: str, contents: list[str]) -> str:
    """The text with the contents of its fences replaced, in order."""
    fresh = iter(contents)
    return FENCE.sub(lambda match: match[0].replace(f"\n{match[2]}```", f"\n{next(fresh)}```", 1), text)


def count_fences(path: Path) -> None:
    """Write how many fences there are into the front matter."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"^fences:.*$", f"fences: {len(FENCE.findall(text))}", text, count=1, flags=re.MULTILINE)
    path.write_text(text, encoding="utf-8", newline="\n")


def update(lesson: Lesson, contents: list[str]) -> None:
    """Write the outputs into the lesson, all fences into its translation, and note which block drew which picture."""
    lesson.path.write_text(with_fences(lesson.text, contents), encoding="utf-8", newline="\n")
    zh = translation_of(lesson.path)
    if zh.is_file():
        fresh = FENCE.finditer(lesson.path.read_text(encoding="utf-8"))
        text = FENCE.sub(lambda old: next(fresh, old)[0], zh.read_text(encoding="utf-8"))
        zh.write_text(text, encoding="utf-8", newline="\n")
    kept = {name: mark for name, mark in read_index().items() if not name.startswith(lesson.number)}
    index = dict(sorted({**kept, **lesson.figures()}.items()))
    INDEX.write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8", newline="\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="lessons.run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("lesson", help="its number: 00, 01 ...")
    parser.add_argument("--from", dest="start", default="", metavar="HEADING", help="show only what comes from here on")
    parser.add_argument("--update", action="store_true", help="write output and pictures into the lesson")
    arguments = parser.parse_args()
    try:
        path = find(arguments.lesson)
        if arguments.update:
            for file in (path, translation_of(path)):
                count_fences(file) if file.is_file() else None
        lesson = Lesson(path)
    except LessonError as error:
        print(error, file=sys.stderr)
        return 2
    figures = FIGURES if arguments.update else HERE / "answers" / "figures"
    try:
        problems, contents = run(lesson, figures, echo=True, start=arguments.start)
    except KeyboardInterrupt:
        return 130
    if arguments.update:
        update(lesson, contents)
        problems = [problem for problem in problems if "but the block printed" not in problem]
    print("", *problems, sep="\n\n", file=sys.stderr) if problems else None
    print(f"\n{len(lesson.fences)} fences, {len(problems)} problems; pictures in {figures.relative_to(ROOT)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

"""What is derived from a lesson and may be older than it: translated sections, and pictures.

python -m lessons.stale             name what is old; exit code 1 if anything is
python -m lessons.stale --accept    the translations were brought up to date: stamp them with today's English
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from .fences import FIGURES, HERE, Lesson, LessonError, blank, digest, lesson_paths

INDEX = FIGURES / "index.json"
#: Ends each section of a translation: the hash of the English section that it renders.
STAMP = re.compile(r"\n*<!-- en: ([0-9a-f]{6}) -->\s*$")


def read_index() -> dict[str, str]:
    return dict(json.loads(INDEX.read_text(encoding="utf-8"))) if INDEX.is_file() else {}


def section_hash(section: str) -> str:
    """What a translation is stamped with. Code does not count (it is equal anyway), nor do front matter and spaces."""
    return digest(" ".join(blank(section).split()), 6)


def translation_of(path: Path) -> Path:
    return path.parent / "zh" / path.name


def stale_sections(english: Lesson, translated: Lesson) -> list[str]:
    """The sections of a translation that do not render today's English, each as a sentence."""
    pairs = list(zip(english.sections(), translated.sections(), strict=False))
    if len(english.sections()) != len(translated.sections()):
        return [f"{translated.name} has {len(translated.sections())} sections, the English {len(english.sections())}."]
    found = []
    for original, rendered in pairs:
        stamp, wanted = STAMP.search(rendered), section_hash(original)
        title = heading_of(original)
        if stamp is None:
            found.append(f"{translated.name}: the section of {title!r} ends with no <!-- en: {wanted} -->.")
        elif stamp[1] != wanted:
            found.append(f"{translated.name}: {title!r} was translated from an older text ({stamp[1]}, not {wanted}).")
    return found


def heading_of(section: str) -> str:
    match = re.search(r"^#+ (.+)$", blank(section), re.MULTILINE)
    return match[1] if match else "the beginning"


def stale_figures(lesson: Lesson) -> list[str]:
    """The pictures that are missing, or were drawn by another block than today's."""
    index = read_index()
    return [
        f"figures/{name}.png is missing or older than the block in {lesson.name} that draws it; "
        f"python -m lessons.run {lesson.number} --update draws it."
        for name, mark in lesson.figures().items()
        if index.get(name) != mark or not (FIGURES / f"{name}.png").is_file()
    ]


def accept(english: Lesson, translated: Lesson) -> None:
    """Stamp every section of a translation anew."""
    text = "".join(
        f"{STAMP.sub('', rendered).rstrip()}\n\n<!-- en: {section_hash(original)} -->\n\n"
        for original, rendered in zip(english.sections(), translated.sections(), strict=True)
    )
    translated.path.write_text(text.rstrip() + "\n", encoding="utf-8", newline="\n")


def path_table() -> str:
    """The learning path in README.md, from the front matter of the lessons."""
    rows = ["| lesson | 中文 | minutes | what you will see |", "|---|---|---|---|"]
    for path in lesson_paths():
        front, zh = Lesson(path).front, translation_of(path)
        english = f"[{path.name[:2]} {front['title']}]({path.name})"
        chinese = f"[{Lesson(zh).front['title']}](zh/{path.name})" if zh.is_file() else ""
        rows.append(f"| {english} | {chinese} | {front['minutes']} | {front['see']} |")
    return "\n".join(rows) + "\n"


def with_path_table(readme: str) -> str:
    """lessons/README.md with today's table between its marks."""
    between = re.compile(r"(<!-- path -->\n).*?(<!-- end of path -->)", re.DOTALL)
    return between.sub(lambda match: match[1] + path_table() + match[2], readme)


def main() -> int:
    parser = argparse.ArgumentParser(prog="lessons.stale", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--accept", action="store_true", help="stamp the translations with today's English")
    arguments = parser.parse_args()
    problems = []
    try:
        for path in lesson_paths(HERE):
            english = Lesson(path)
            problems += stale_figures(english)
            if not translation_of(path).is_file():
                continue
            if arguments.accept:
                accept(english, Lesson(translation_of(path)))
            problems += stale_sections(english, Lesson(translation_of(path)))
    except (LessonError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(*problems or ["nothing is old"], sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

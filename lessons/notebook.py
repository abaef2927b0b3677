"""Make a notebook of a lesson: the same text and code, with the outputs that the lesson shows.

python -m lessons.notebook 01          writes lessons/answers/01_text_to_numbers.ipynb (--zh: the Chinese one)
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .fences import FENCE, HERE, OUTPUT, ROOT, Lesson, LessonError, find

SETUP = '''import os, random, sys
import torch

root = {root!r}    # the folder of the project
os.chdir(root)
sys.path.insert(0, root)
random.seed(0)
torch.manual_seed(0)
torch.set_num_threads(1)


def figure(name):
    """The notebook shows the picture drawn last by itself."""
'''


def cell(kind: str, source: str, number: int) -> dict[str, Any]:
    made: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": source.rstrip("\n")}
    return made | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def notebook(lesson: Lesson) -> dict[str, Any]:
    """The lesson in Jupyter's format, version 4.5. What is declared as not run stays text."""
    cells = [cell("code", SETUP.format(root=str(ROOT)), 0)]
    position = lesson.text.index("\n---\n") + 5
    pieces = iter(lesson.fences)
    for match in FENCE.finditer(lesson.text):
        fence = next(pieces)
        add_text(cells, lesson.text[position : match.start()])
        position = match.end()
        if fence.kind == "python":
            cells.append(cell("code", fence.content, len(cells)))
        elif fence.kind == "bash":
            lines = ["!" + line for line in fence.content.splitlines()]
            cells.append(cell("code", "\n".join(lines), len(cells)))
        elif OUTPUT.fullmatch(fence.info) and cells[-1]["cell_type"] == "code":
            cells[-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": fence.content}]
        else:
            add_text(cells, match[0])
    add_text(cells, lesson.text[position:])
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}


def add_text(cells: list[dict[str, Any]], text: str) -> None:
    """A Markdown cell. Links are relative to the lesson's folder, one above the notebook's."""
    if text.strip():
        moved = text.replace("](../", "](../../").replace("](figures/", "](../figures/")
        cells.append(cell("markdown", moved.strip("\n"), len(cells)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="lessons.notebook", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("lesson", help="its number: 00, 01 ...")
    parser.add_argument("--zh", action="store_true", help="the Chinese lesson")
    parser.add_argument("--out", type=Path, default=HERE / "answers", help="folder to write to")
    arguments = parser.parse_args()
    try:
        path = find(arguments.lesson, HERE / "zh" if arguments.zh else HERE)
        made = notebook(Lesson(path))
    except LessonError as error:
        print(error, file=sys.stderr)
        return 2
    arguments.out.mkdir(parents=True, exist_ok=True)
    target = arguments.out / path.with_suffix(".zh.ipynb" if arguments.zh else ".ipynb").name
    target.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n")
    print(f"{target}: {len(made['cells'])} cells")
    return 0


if __name__ == "__main__":
    sys.exit(main())

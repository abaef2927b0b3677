"""A lesson as a file: its front matter, its sections and its fences."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
FIGURES = HERE / "figures"
NEEDED = ("title", "goals", "minutes", "see", "fences")
#: A fence at the left margin. The info string says what to do with it.
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
#: Whatever might be a fence: each such line has to belong to one of the above, or a block would be left out unseen.
ANY_FENCE_LINE = re.compile(r"^\s*(?:>\s*)*(?:```|~~~)", re.MULTILINE)
OUTPUT = re.compile(r"text output(?: ~(?P<tolerance>[\d.e-]+))?")
SKIPPED = re.compile(r"\w+ no-run: \S.*")
COMMAND = re.compile(r"python (run_\w+\.py|-m minigpt)\b")
FIGURE = re.compile(r"""\bfigure\(["']([\w-]+)["']""")


class LessonError(Exception):
    """Something is wrong with a lesson, or with an answer to it: one sentence that says where and what."""


@dataclass(frozen=True)
class Fence:
    """A fenced block. `line` is that of its first line of content, counted from 1; `heading` is the section's."""

    info: str
    content: str
    line: int
    heading: str

    @property
    def kind(self) -> str:
        """"python", "bash", "output" or "skipped"."""
        return "output" if OUTPUT.fullmatch(self.info) else "skipped" if SKIPPED.fullmatch(self.info) else self.info

    @property
    def tolerance(self) -> float:
        """How much the numbers of an output may differ."""
        match = OUTPUT.fullmatch(self.info)
        return float(match["tolerance"] or 0) if match else 0.0


@dataclass
class Lesson:
    """A lesson's file, read and checked for form. Raises LessonError naming file and line."""

    path: Path
    text: str = ""
    front: dict[str, str | list[str]] = field(default_factory=dict)
    fences: list[Fence] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.text = self.text or self.path.read_text(encoding="utf-8")
        self.front = self._front_matter()
        headings = [(match.start(), match[1]) for match in re.finditer(r"^#+ (.+)$", blank(self.text), re.MULTILINE)]
        for match in FENCE.finditer(self.text):
            heading = next((name for start, name in reversed(headings) if start < match.start()), "")
            line = self.text.count("\n", 0, match.start(2)) + 1
            self.fences.append(Fence(match[1].strip(), match[2], line, heading))
        self._check()

    @property
    def number(self) -> str:
        return self.path.name[:2]

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix() if self.path.is_relative_to(ROOT) else self.path.name

    def figures(self) -> dict[str, str]:
        """The pictures that the blocks draw, each with the hash of its block."""
        drawing = [fence for fence in self.fences if fence.kind == "python"]
        return {name: digest(fence.content, 16) for fence in drawing for name in FIGURE.findall(fence.content)}

    def sections(self) -> list[str]:
        """The text above the first `##` heading, then each section."""
        starts = [match.start() for match in re.finditer(r"^## ", blank(self.text), re.MULTILINE)]
        return [self.text[a:b] for a, b in zip([0, *starts], [*starts, len(self.text)], strict=True)]

    def _front_matter(self) -> dict[str, str | list[str]]:
        """`key: value`, or a key and lines of `  - item`."""
        match = re.match(r"---\n(.*?)\n---\n", self.text, re.DOTALL)
        if not match:
            raise LessonError(f"{self.name} has no front matter; begin it with --- and end that with ---.")
        front: dict[str, str | list[str]] = {}
        for line in match[1].splitlines():
            if item := re.match(r"\s+- (.+)", line):
                before = front[next(reversed(front))]
                front[next(reversed(front))] = [*(before if isinstance(before, list) else []), item[1]]
            else:
                key, _, value = line.partition(":")
                front[key] = value.strip()
        if missing := [key for key in NEEDED if not front.get(key)]:
            raise LessonError(f"{self.name} lacks {', '.join(missing)} in its front matter.")
        return front

    def _check(self) -> None:
        previous = ""
        for fence in self.fences:
            where = f"{self.name}, line {fence.line - 1}"
            if fence.kind not in ("python", "bash", "output", "skipped"):
                raise LessonError(f"{where}: a fence is `python`, `bash`, `text output` or `LANGUAGE no-run: reason`.")
            if fence.kind == "output" and previous not in ("python", "bash"):
                raise LessonError(f"{where}: this output follows no block that could have printed it.")
            for command in commands(fence.content) if fence.kind == "bash" else []:
                if not COMMAND.match(command):
                    raise LessonError(f"{where}: {command!r} is not `python run_*.py ...` or `python -m minigpt ...`.")
            previous = fence.kind
        lines, count = len(ANY_FENCE_LINE.findall(self.text)), len(self.fences)
        if lines != 2 * count:
            raise LessonError(f"{self.name} has {lines} lines that open or close a fence, but {count} fences; write"
                              " each at the left margin, with three backticks.")  # fmt: skip
        if self.front["fences"] != str(count):
            raise LessonError(f"{self.name} has {count} fences, and its front matter says {self.front['fences']}.")


def blank(text: str) -> str:
    """The text with what stands in its fences, and its front matter, replaced by spaces: a comment is no heading."""

    def spaces(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    return FENCE.sub(spaces, re.sub(r"\A---\n.*?\n---\n", spaces, text, flags=re.DOTALL))


def commands(bash: str) -> list[str]:
    joined = bash.replace("\\\n", " ").splitlines()
    return [line.strip() for line in joined if line.strip() and not line.startswith("#")]


def digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def lesson_paths(folder: Path = HERE) -> list[Path]:
    """The lessons there are, in order."""
    return sorted(folder.glob("[0-9][0-9]_*.md"))


def find(number: str, folder: Path = HERE) -> Path:
    for path in lesson_paths(folder):
        if path.name.startswith(f"{int(number):02d}_" if number.isdigit() else number):
            return path
    raise LessonError(f"there is no lesson {number}; there are {', '.join(p.name[:2] for p in lesson_paths(folder))}.")

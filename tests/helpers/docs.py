"""Reading the project's Markdown: fences, code spans, headings, links, the file tree; and the commands in them.

python tests/helpers/docs.py      write today's line counts and learning path into README.md and lessons/README.md
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # for the lessons, which are no part of the installed package

from lessons.stale import with_path_table  # noqa: E402

#: Where a path in the text may start.
STARTS = (ROOT, ROOT / "minigpt", ROOT / "minigpt/web/static/js", ROOT / "tests")
COUNTED = {".py", ".js", ".css", ".html"}  # what a line count counts
FENCE = re.compile(r"^```(\w*)(?: [^\n`]*)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Every Markdown file of the project."""
    folders = ("", "docs/", "corpora/", "trained_models/", "lessons/", "lessons/zh/", "benchmarks/")
    return sorted(path for folder in folders for path in ROOT.glob(f"{folder}*.md"))


def read(page: str | Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def fences(text: str) -> list[tuple[str, str]]:
    """(language, content) of each fenced block."""
    return [(match[1], match[2]) for match in FENCE.finditer(text)]


def without_fences(text: str) -> str:
    return FENCE.sub("", text)


def code_spans(text: str) -> list[str]:
    """What stands between single backticks outside fenced blocks."""
    return [match[2] for match in re.finditer(r"(`+)(.+?)\1", without_fences(text))]


def links(text: str) -> list[str]:
    """The targets of links and pictures outside code."""
    prose = re.sub(r"(`+).+?\1", "", without_fences(text))
    return [match[1] for match in re.finditer(r"\]\(([^()\s]+(?:\([^()]*\))?)\)", prose)]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings."""
    found: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#+ (.+)$", without_fences(text), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        names.add(f"{slug}-{found[slug]}" if slug in found else slug)
        found[slug] = found.get(slug, 0) + 1
    return names


# Names in the source.


def resolve(path: str) -> Path | None:
    """The file that the text calls by this path."""
    return next((start / path for start in STARTS if (start / path).is_file()), None)


def symbols(path: Path) -> set[str]:
    """The names that a file defines at its top level, and `Class.member`. JavaScript: whatever is declared."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".js":
        declared = re.findall(r"(?:function\*?|class|const|let) (\w+)", text)
        return {*declared, *re.findall(r"^ +(?:async )?(\w+)\(.*\{$", text, re.MULTILINE)}
    found: set[str] = set()
    for node in ast.parse(text).body:
        for name, inside in _names(node):
            found.add(name)
            found |= {f"{name}.{member}" for child in inside for member, _ in _names(child)}
    return found


def _names(node: ast.AST) -> Iterator[tuple[str, list[ast.stmt]]]:
    if isinstance(node, ast.ClassDef):
        yield node.name, node.body
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name, []
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name):
                yield target.id, []


def references(text: str) -> list[tuple[str, str]]:
    """(file, symbol) of each code span such as `alignment/formulas.py:whiten`."""
    return [
        (match[1], match[2])
        for span in code_spans(text)
        if (match := re.fullmatch(r"([\w./-]+\.(?:py|js)):([A-Za-z_][\w.]*)", span))
    ]


def defined_tests() -> set[str]:
    """The names of all tests."""
    return {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in symbols(path)
        if name.startswith("test_")
    }  # fmt: skip


# Commands.


class Command(NamedTuple):
    """A command line of this project. `program` is a script's path, or "minigpt"; `words` are its arguments."""

    program: str
    words: list[str]


def commands(shell: str) -> list[Command]:
    """The project's own commands in a shell text, one or several (&&) to a line; others are left out."""
    found = []
    for line in shell.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|;|\|", line.removeprefix("$ ")):
            command = parse_command(part)
            if command is not None:
                found.append(command)
    return found


def parse_command(text: str) -> Command | None:
    match = re.search(
        r"(?:^|\s|bin/)(?:python3? +(?:-m +(minigpt)|((?:benchmarks/|tests/helpers/)?\w+\.py))|(minigpt))(?= |$)(.*)",
        text.strip(),
    )
    if match is None:
        return None
    return Command(match[1] or match[2] or match[3], shlex.split(match[4], comments=True))


class _Parsed(BaseException):
    """The parser of a command, caught at the moment when it was to read the command line."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def parser_of(command: Command) -> tuple[argparse.ArgumentParser, list[str]] | str:
    """The parser that a command's `main` builds, and the words that it gets to read; or what is wrong.

    A script without a `main` passes its words on, or takes none: there is nothing to check them against.
    """
    script = ROOT / command.program

    def catch(self: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        raise _Parsed(self)

    if command.program != "minigpt" and not script.is_file():
        return f"there is no {command.program}"
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", catch),
        mock.patch.object(sys, "argv", [str(script), *command.words]),
        mock.patch.object(sys, "path", [str(script.parent), *sys.path]),
    ):
        try:
            if command.program == "minigpt":
                from minigpt.__main__ import main
            elif "\ndef main(" not in script.read_text(encoding="utf-8"):
                return argparse.ArgumentParser(), []
            else:
                main = runpy.run_path(str(script), run_name="documented")["main"]
            main()
        except _Parsed as parsed:
            return parsed.parser, sys.argv[1:]
        except Exception as error:  # a UserError: no such subcommand
            return str(error)
    return "it parsed nothing"


def mistake_in(command: Command) -> str | None:
    """What the command's own parser has against it; None if it would run."""
    found = parser_of(command)
    if isinstance(found, str):
        return found
    parser, words = found
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            parser.parse_args(words)
    except SystemExit as end:
        return None if end.code in (0, None) else said.getvalue().strip()
    return None


def unknown_flags(command: Command) -> list[str]:
    """The flags of a command, perhaps only the beginning of one, that its --help does not list."""
    found = parser_of(command)
    if isinstance(found, str):
        return [found]
    parser, words = found
    known = set(parser._option_string_actions)
    for word in words:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction) and word in action.choices:
                parser = action.choices[word]
                known |= set(parser._option_string_actions)
                break
    return [word for word in words if word.startswith("--") and word.split("=")[0] not in known]


# Line counts.

#: A line of the README's tree: indentation, name or glob, count, what it is.
ENTRY = re.compile(r"^( *)(\S+)( +)([\d,]+)(  +\S.*)$")


def tree(text: str) -> str:
    """The README's file tree: the fence that begins with the scripts."""
    return next(content for _, content in fences(text) if content.startswith("run_"))


def entries(tree: str) -> list[tuple[str, int | None]]:
    """(path or glob, stated lines) of every entry of a tree; None where no count stands."""
    above: list[tuple[int, str]] = []
    found = []
    for line in tree.splitlines():
        indent, name = len(line) - len(line.lstrip()), line.split()[0]
        above = [(depth, folder) for depth, folder in above if depth < indent]
        path = "".join(folder for _, folder in above) + name
        if name.endswith("/"):
            above.append((indent, name))
        counted = ENTRY.match(line)
        found.append((path, int(counted[4].replace(",", "")) if counted else None))
    return found


def count_lines(pattern: str) -> int:
    """Lines of source in a file, in the files of a glob, or in all files below a folder."""
    paths = ROOT.glob(pattern + "**/*" if pattern.endswith("/") else pattern)
    return sum(
        len(path.read_text(encoding="utf-8").splitlines())
        for path in paths
        if path.is_file() and path.suffix in COUNTED
    )  # fmt: skip


#: A row of the reading order: link to a file, its lines.
ROW = re.compile(r"^(\| \[`[^`]+`\]\(\.\./([^)]+)\) \| )([\d,]+)( \|.*)$", re.MULTILINE)
TEACHING = re.compile(r"(The )(\d+)( files that teach are )([\d,]+)( lines)")


def teaching_files(lessons: str) -> dict[str, int]:
    """The files of the reading order, and the lines that it says they have."""
    return {match[2]: int(match[3].replace(",", "")) for match in ROW.finditer(lessons)}


def with_true_counts(readme: str, lessons: str) -> tuple[str, str]:
    """Both pages with the counts of today, and the learning path of the lessons that there are."""
    lessons = with_path_table(lessons)
    lessons = ROW.sub(lambda row: f"{row[1]}{count_lines(row[2]):,}{row[4]}", lessons)
    files = teaching_files(lessons)
    total = sum(files.values())
    old = tree(readme)
    paths = iter(entries(old))
    lines = []
    for line in old.splitlines():
        path, stated = next(paths)
        if stated is not None and (entry := ENTRY.match(line)):
            width = len(entry[3]) + len(entry[4])
            line = f"{entry[1]}{entry[2]}{count_lines(path):>{width},}{entry[5]}"
        lines.append(line)
    readme = readme.replace(old, "\n".join(lines) + "\n")

    def teaching(match: re.Match[str]) -> str:
        return f"{match[1]}{len(files)}{match[3]}{total:,}{match[5]}"

    return TEACHING.sub(teaching, readme), TEACHING.sub(teaching, lessons)


if __name__ == "__main__":
    names = ("README.md", "lessons/README.md")
    for name, text in zip(names, with_true_counts(*map(read, names)), strict=True):
        (ROOT / name).write_text(text, encoding="utf-8", newline="\n")

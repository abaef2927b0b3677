"""The documentation is true: links, commands, references to the source, tests named, line counts, the dialogue."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest
from helpers import docs
from helpers.docs import ROOT, Command, read

from minigpt.__main__ import COMMANDS, SCRIPTS
from minigpt.recipe import load_recipe

PAGES = [path.relative_to(ROOT).as_posix() for path in docs.pages()]
#: History: what these pages say was true on its day. Their links still have to work.
HISTORY = ("CHANGELOG.md", "benchmarks/LOG.md")
PRESENT = [page for page in PAGES if page not in HISTORY]
SHELL = ("", "bash", "sh", "console")
TOLERANCE = 0.1  # a line count may be off by this share before it has to be refreshed
REFRESH = "; python tests/helpers/docs.py writes today's counts"
MOST_TEACHING, LONGEST_TEACHING = 2500, 300  # lines that the files that teach may have: together, and each


@pytest.mark.parametrize("page", PAGES)
def test_every_link_and_picture_resolves(page):
    for target in docs.links(read(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / unquote(path) if path else ROOT / page
        assert file.exists(), f"{page} links to {target}, which does not exist"
        if anchor:
            assert anchor in docs.anchors(file.read_text(encoding="utf-8")), f"{page}: {target} names no heading"


@pytest.mark.parametrize("page", PRESENT)
def test_every_reference_to_the_source_resolves(page):
    for path, symbol in docs.references(read(page)):
        file = docs.resolve(path)
        assert file is not None, f"{page} refers to {path}, which does not exist"
        if symbol not in docs.symbols(file):
            elsewhere = [
                p.relative_to(ROOT).as_posix() for p in (ROOT / "minigpt").rglob("*.py") if symbol in docs.symbols(p)
            ]
            raise AssertionError(
                f"{page}: {path} defines no {symbol}" + (f"; it is in {elsewhere}" if elsewhere else "")
            )


@pytest.mark.parametrize("page", PRESENT)
def test_every_file_that_is_named_exists(page):
    for span in docs.code_spans(read(page)):
        if re.fullmatch(r"(minigpt|tests|docs|benchmarks|lessons(?!/answers))/[\w./-]+\.\w+", span):
            assert (ROOT / span).exists(), f"{page} names {span}, which does not exist"


# Commands.


def shell_commands() -> list[tuple[str, Command]]:
    return [
        (page, command)
        for page in PRESENT
        for language, content in docs.fences(read(page))
        if language in SHELL
        for command in docs.commands(content)
    ]


def test_every_command_in_a_fence_is_accepted_by_its_own_parser():
    """Subcommand, flags, their values and what else is needed: all that can be said without running it."""
    found = shell_commands()
    assert len(found) > 40
    for page, command in found:
        mistake = docs.mistake_in(command)
        assert mistake is None, f"{page}: {command.program} {' '.join(command.words)}: {mistake}"


def test_commands_in_running_text_name_existing_subcommands_and_flags():
    checked = 0
    for page in [*PRESENT, "CHANGELOG.md"]:
        for span in docs.code_spans(read(page)):
            command = docs.parse_command(span) if span.startswith(("minigpt ", "python ")) else None
            if span.startswith("run_") and ".py " in span:
                command = docs.parse_command(f"python {span}")
            if command is None or not command.words or command.words[0] == "...":
                continue
            checked += 1
            if command.program == "minigpt" and not begins_a_command(command.words):
                raise AssertionError(f"{page}: there is no {span}")
            if any(word.startswith("--") for word in command.words):
                assert not (unknown := docs.unknown_flags(command)), f"{page}: {span}: {unknown}"
    assert checked > 10


def begins_a_command(words: list[str]) -> bool:
    return any(
        words[: len(parts)] == parts[: len(words)] for parts in (name.split() for name in [*COMMANDS, *SCRIPTS])
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("minigpt evaluate knowlege", "knowledge"),
        ("python run_ppo.py --recipie tinytown", "--recipe"),
        ("python run_chat.py --mode chatty", "chatty"),
        ("minigpt models show", "RECIPE/STAGE"),
        ("python run_everything.py", "run_everything.py"),
        (".venv/bin/minigpt corpora collect ad pages", "ad"),
    ],
)
def test_a_wrong_command_would_be_noticed(line, part):
    (command,) = docs.commands(line)
    assert part in (docs.mistake_in(command) or "")


def test_every_make_target_exists():
    targets = set(re.findall(r"^([\w-]+):", read("Makefile"), re.MULTILINE))
    for page in PRESENT:
        text = read(page)
        lines = [line for language, content in docs.fences(text) if language in SHELL for line in content.splitlines()]
        for line in [*lines, *docs.code_spans(text)]:
            if match := re.match(r"make ([\w-]+)", line):
                assert match[1] in targets, f"{page}: there is no make {match[1]}"


def test_pages_with_bare_commands_say_how_to_activate_the_environment():
    """Lessons leave that to their first one, which links to the README."""
    for page in {page for page, _ in shell_commands() if not re.match(r"lessons/(zh/)?\d\d_", page)}:
        assert "source .venv/bin/activate" in read(page), page
        assert r".venv\Scripts\activate" in read(page), page


def test_a_recipe_in_the_docs_loads(tmp_path):
    found = 0
    for page in PRESENT:
        for language, content in docs.fences(read(page)):
            if language == "toml":
                found += 1
                (tmp_path / "documented.toml").write_text(content, encoding="utf-8")
                assert load_recipe(str(tmp_path / "documented.toml")).stages == {
                    stage: values for stage, values in tomllib.loads(content).items() if isinstance(values, dict)
                }
    assert found


def test_the_readmes_python_runs(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    (code,) = [content for language, content in docs.fences(read("README.md")) if language == "python"]
    exec(compile(code, "README.md", "exec"), {})
    assert "Forest Road" in capsys.readouterr().out


@pytest.mark.slow
def test_the_dialogue_is_what_the_shipped_models_say():
    """Commands and replies as printed in the README."""
    (talk,) = [content for _, content in docs.fences(read("README.md")) if content.startswith("$ ")]
    lines = talk.splitlines()
    assert len(lines) == 4
    for told, reply in zip(lines[::2], lines[1::2], strict=True):
        (command,) = docs.commands(told)
        done = subprocess.run(
            [sys.executable, command.program, *command.words],
            cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=120,
        )  # fmt: skip
        assert (done.returncode, done.stdout.strip()) == (0, reply), done.stderr


# The README.


def test_the_readme_is_short():
    assert len(read("README.md").splitlines()) < 150


def test_the_tree_shows_every_room_and_existing_files_only():
    paths = [path for path, _ in docs.entries(docs.tree(read("README.md")))]
    for path in paths:
        assert list(ROOT.glob(path.rstrip("/"))), f"the README's tree shows {path}, which does not exist"
    rooms = {f"minigpt/{path.parent.name}/" for path in (ROOT / "minigpt").glob("*/__init__.py")}
    assert rooms | {"minigpt/recipes/"} <= set(paths)


@pytest.mark.parametrize(
    ("path", "stated"), [entry for entry in docs.entries(docs.tree(read("README.md"))) if entry[1] is not None]
)
def test_the_line_counts_of_the_tree_are_true(path, stated):
    counted = docs.count_lines(path)
    assert abs(counted - stated) <= TOLERANCE * counted, f"{path} has {counted:,} lines, not {stated:,}{REFRESH}"


def test_the_files_that_teach_are_as_many_and_as_long_as_told():
    files = docs.teaching_files(read("lessons/README.md"))
    for path, stated in files.items():
        counted = docs.count_lines(path)
        assert abs(counted - stated) <= TOLERANCE * counted, f"{path} has {counted} lines, not {stated}{REFRESH}"
    total = sum(map(docs.count_lines, files))
    assert total < MOST_TEACHING and max(map(docs.count_lines, files)) < LONGEST_TEACHING
    for page in ("README.md", "lessons/README.md"):
        (told,) = docs.TEACHING.finditer(read(page))
        assert int(told[2]) == len(files), page
        assert abs(int(told[4].replace(",", "")) - total) <= TOLERANCE * total, f"{page}: {total:,} lines{REFRESH}"


def test_refreshing_true_counts_changes_nothing():
    """And wrong ones become right, without anything else being touched."""
    readme, lessons = docs.with_true_counts(read("README.md"), read("lessons/README.md"))
    assert docs.with_true_counts(readme, lessons) == (readme, lessons)
    wrong = docs.TEACHING.sub(r"\g<1>3\g<3>1\g<5>", readme)
    assert wrong != readme and docs.with_true_counts(wrong, lessons) == (readme, lessons)
    digits = re.compile(r"[\d,]+")
    assert digits.sub("", readme) == digits.sub("", read("README.md"))


# The lists of details and defects.


@pytest.mark.parametrize("page", PRESENT)
def test_every_test_that_is_named_exists(page):
    known = docs.defined_tests()
    for span in docs.code_spans(read(page)):
        if re.fullmatch(r"test_\w+", span):
            assert span in known, f"{page} names {span}, which does not exist"


@pytest.mark.parametrize(
    ("heading", "kind", "count"), [("The 26 details", "ppo", 26), ("Fifteen defects", "defect", 15)]
)
def test_each_detail_and_each_defect_has_its_row_and_its_test(heading, kind, count):
    section = next(part for part in read("docs/ppo-details.md").split("\n## ") if part.startswith(heading))
    rows = re.findall(r"^\| (\d+) \|.*`(test_\w+)` \|$", section, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, count + 1))
    assert all(name.startswith(f"test_{kind}_{int(number):02d}_") for number, name in rows)


def test_every_recipe_is_described():
    described = read("docs/recipes.md")
    for path in (ROOT / "minigpt/recipes").glob("*.toml"):
        assert f"`{path.stem}`" in described, path.stem


def test_anchors_are_those_that_github_makes():
    text = "# One, two\n## 2026-11-21 · A: b's `c`?\n## One, two\n"
    assert docs.anchors(text) == {"one-two", "2026-11-21--a-bs-c", "one-two-1"}


def test_symbols_of_a_file_are_found(tmp_path: Path):
    (tmp_path / "a.py").write_text("LIMIT = 3\nclass A:\n    size: int = 1\n    def run(self): ...\ndef b(): ...\n")
    assert docs.symbols(tmp_path / "a.py") == {"LIMIT", "A", "A.size", "A.run", "b"}

"""What must not be in the files: loading that runs code, and keys."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UNSAFE = (
    r"\b(import|from)\s+(c?pickle|joblib|dill|marshal|shelve)\b|read_pickle|allow_pickle|torch\.load"
    r"|(?<![\w.])(eval|exec)\("
)


def test_defect_10_no_unsafe_loading_anywhere_in_the_source():
    for folder in ("", "minigpt/**/", "benchmarks/**/", "lessons/**/", "corpora/**/"):
        for path in ROOT.glob(f"{folder}*.py"):
            if path != ROOT / "lessons/execute.py":  # it runs the code of the lessons, and nothing that anybody sent
                assert not re.search(UNSAFE, path.read_text(encoding="utf-8")), path


SECRETS = (
    r"\bAKIA[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY|\bhf_[A-Za-z0-9]{30,}|\bsk-[A-Za-z0-9_-]{20,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}|aws_secret_access_key\s*="
)


def test_no_comprehension_takes_the_name_of_something_the_module_defines():
    """Python 3.12 runs comprehensions inside their function. Where one of them has a variable of a global's name, some
    of its releases then take the global itself, used in another comprehension, for that variable: UnboundLocalError."""
    clashes = []
    for path in ROOT.rglob("*.py"):
        if any(part.startswith(".") or part == "answers" for part in path.relative_to(ROOT).parts):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        known = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                known |= {alias.asname or alias.name for alias in node.names}
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            made = [part for node in ast.walk(function) for part in getattr(node, "generators", ())]
            names = {inner.id for part in made for inner in ast.walk(part.target) if isinstance(inner, ast.Name)}
            clashes += [f"{path.relative_to(ROOT)}: {function.name}: {name}" for name in names & known]
    assert clashes == []


@pytest.mark.parametrize("told", ["AKIA" + "A1" * 8, "-----BEGIN RSA " + "PRIVATE KEY-----", "sk" + "-" + "a1" * 12])
def test_a_key_would_be_recognised(told):
    assert re.search(SECRETS, f"key = '{told}'", re.IGNORECASE)


def test_no_key_of_any_cloud_is_in_the_files():
    """One of the systems that this project follows had its cloud's keys in the source."""
    texts = {".py", ".md", ".toml", ".txt", ".html", ".js", ".css", ".json", ".yml", ""}
    for path in ROOT.rglob("*"):
        own = path.relative_to(ROOT).parts
        made = own[0].startswith(".") and own[0] not in (".ci", ".github")  # by git and by tools
        if made or own[0] == "trained_models" or not path.is_file():
            continue
        if path.suffix in texts and path.stat().st_size < 2_000_000:
            assert not re.search(SECRETS, path.read_text(encoding="utf-8", errors="replace")), path

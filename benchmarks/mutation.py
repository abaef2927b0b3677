"""Would a test notice? Makes one small change to the files that teach, runs their tests, and lists what survives.

    python benchmarks/mutation.py                            30 changes, drawn at random from all of those files
    python benchmarks/mutation.py --count 100 --seed 1
    python benchmarks/mutation.py model/sampling.py          all of them from one file

A change is one that people make by mistake: a sign, a bound, a constant, a comparison, a mean for a sum. It is made in
a copy of the project. Tests that import the changed file run first, then the others of its room, until one fails; slow
tests do not run. Changes in `equivalent.toml` alter nothing that anybody could see, and are left out.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from helpers.docs import read, teaching_files  # noqa: E402

EQUIVALENT = Path(__file__).with_name("equivalent.toml")
LEFT_OUT = (".git", ".venv", ".*_cache", "__pycache__", "build", "node_modules")
COMPARED = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
            ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In}  # fmt: skip
COMPUTED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
            ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd}  # fmt: skip
RENAMED = {"mean": "sum", "sum": "mean", "min": "max", "max": "min", "argmax": "argmin", "any": "all", "all": "any"}


class Mutation(NamedTuple):
    """One change: what stands at these bytes of a file, and what is put there."""

    path: str
    line: int
    start: int
    end: int
    before: str
    after: str

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.before}  ->  {self.after}"


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """The node with each of the small changes that suit it."""
    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            if type(operator) in COMPARED:
                other = copy.deepcopy(node)
                other.ops[i] = COMPARED[type(operator)]()
                yield other
    elif isinstance(node, ast.BinOp) and type(node.op) in COMPUTED:
        yield ast.BinOp(node.left, COMPUTED[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield ast.Constant(node.value * 2 or 1.0)
    elif isinstance(node, ast.Attribute) and node.attr in RENAMED:
        yield ast.Attribute(node.value, RENAMED[node.attr], node.ctx)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RENAMED:
        yield ast.Call(ast.Name(RENAMED[node.func.id]), node.args, node.keywords)


def reached(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it, without annotations, decorators and formatted text: no behaviour is in them."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list") or isinstance(node, ast.JoinedStr):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from reached(child)


def mutations(path: str, source: bytes) -> list[Mutation]:
    """Every single change of a file, in the order of its lines."""
    begins = [0]
    for line in source.splitlines(keepends=True):
        begins.append(begins[-1] + len(line))
    found = []
    for node in reached(ast.parse(source)):
        for other in changed(node):
            start = begins[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
            end = begins[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
            before, after = source[start:end].decode(), ast.unparse(other)
            if isinstance(other, ast.BinOp | ast.BoolOp | ast.Compare):
                after = f"({after})"
            found.append(Mutation(path, node.lineno, start, end, before, after))  # type: ignore[attr-defined]
    return sorted(found, key=lambda mutation: (mutation.start, mutation.end))


def tests_of(path: str) -> list[str]:
    """The test files that import a file, and the folder of its room."""
    module, room = Path(path).stem, Path(path).parts[0]
    dotted = ("minigpt", *Path(path).with_suffix("").parts)
    named = (".".join(dotted), f"from {'.'.join(dotted[:-1])} import {module}")
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    importing = [file for file in files if any(name in file.read_text(encoding="utf-8") for name in named)]
    own = sorted(importing, key=lambda file: (module not in file.stem, file.parent.name != room))
    return [file.relative_to(ROOT).as_posix() for file in own] + [f"tests/{room}"]


def survives(folder: Path, tests: list[str], seconds: float | None = None) -> bool:
    """Whether the tests pass. Those that do not end in time have noticed too."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow and not browser"]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run([*command, *tests], cwd=folder, env=environment, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="files below minigpt/ (default: those that teach, see lessons/)")
    parser.add_argument("--count", type=int, help="changes to draw (default 30, or all of the named files)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="only list the changes that would be made")
    arguments = parser.parse_args()
    teaching = (name.removeprefix("minigpt/") for name in teaching_files(read("lessons/README.md")))
    paths = arguments.files or sorted(teaching)
    rows = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("same", [])
    known = {(row["file"], row["before"], row["after"]) for row in rows}
    sources = {path: (ROOT / "minigpt" / path).read_bytes() for path in paths}
    every = [m for path, source in sources.items() for m in mutations(path, source)]
    every = [m for m in every if (m.path, m.before, m.after) not in known]
    count = arguments.count or (len(every) if arguments.files else 30)
    drawn = random.Random(arguments.seed).sample(every, min(count, len(every)))
    if arguments.list:
        print(*drawn, sep="\n")
        return
    survivors = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "project")
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
        seconds: dict[str, float] = {}
        for number, mutation in enumerate(drawn, start=1):
            tests = tests_of(mutation.path)
            if mutation.path not in seconds:
                began = time.monotonic()
                if not survives(folder, tests):
                    raise SystemExit(f"The tests of {mutation.path} fail without any change.")
                seconds[mutation.path] = 60 + 5 * (time.monotonic() - began)
            file = folder / "minigpt" / mutation.path
            file.write_bytes(mutation.applied(sources[mutation.path]))
            survived = survives(folder, tests, seconds[mutation.path])
            file.write_bytes(sources[mutation.path])
            survivors += [mutation] * survived
            print(f"{number}/{len(drawn)} {'SURVIVED' if survived else 'noticed '} {mutation}", flush=True)
    print(f"\n{len(drawn) - len(survivors)} of {len(drawn)} changes noticed. Survivors:", *survivors, sep="\n")


if __name__ == "__main__":
    main()

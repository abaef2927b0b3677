"""Running a lesson's blocks, and comparing what they print with what the lesson says they print."""

from __future__ import annotations

import contextlib
import io
import math
import os
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from .fences import ROOT, Fence, LessonError, commands

NUMBER = re.compile(r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")
#: The same after re.escape.
ESCAPED_NUMBER = re.compile(NUMBER.pattern.replace("[-+]", r"(?:\\[-+])").replace(r"\.", r"\\\."))


def differs(expected: str, got: str, tolerance: float = 0.0) -> bool:
    """Whether an output is another than the one told. `...` stands for anything. With a tolerance, numbers may differ
    by that much or by that share, and spaces do not count."""
    if not tolerance:
        pattern = ".*?".join(map(re.escape, trimmed(expected).split("...")))
        return re.fullmatch(pattern, trimmed(got), re.DOTALL) is None
    spaced = [" ".join(text.split()) for text in (expected, got)]
    pattern = re.escape(spaced[0]).replace(r"\.\.\.", ".*?")
    pattern = ESCAPED_NUMBER.sub(lambda _: f"({NUMBER.pattern})", pattern)
    found = re.fullmatch(pattern, spaced[1], re.DOTALL)
    wanted = NUMBER.findall(spaced[0])
    return found is None or not all(
        math.isclose(float(a.replace(",", "")), float(b.replace(",", "")), rel_tol=tolerance, abs_tol=tolerance)
        for a, b in zip(wanted, found.groups(), strict=True)
    )


def trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def execute(fence: Fence, path: Path, names: dict[str, Any], echo: bool) -> str:
    """Run one block; returns what it printed. Raises LessonError with the line of the lesson at which it failed."""
    written = io.StringIO()
    where = f"{path.name}, line {fence.line} ({fence.heading})"
    if fence.kind == "bash":
        for command in commands(fence.content):
            words = shlex.split(command)[1:]
            words[0] = str(ROOT / words[0]) if words[0].endswith(".py") else words[0]
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
            done = subprocess.run([sys.executable, *words], capture_output=True, encoding="utf-8", env=environment)
            written.write(done.stdout)
            if done.returncode:
                raise LessonError(f"{where}: {command} ended with {done.returncode}: {done.stderr[-2000:]}")
    else:
        try:
            with contextlib.redirect_stdout(written):
                exec(compile("\n" * (fence.line - 1) + fence.content, str(path), "exec"), names)
        except Exception as error:
            at = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
            where = f"{path.name}, line {at[-1] if at else getattr(error, 'lineno', fence.line)} ({fence.heading})"
            raise LessonError(f"{where}: {type(error).__name__}: {error}") from error
    if echo and written.getvalue():
        print(written.getvalue().rstrip("\n"))
    return written.getvalue()


@contextlib.contextmanager
def workplace(figures: Path) -> Iterator[Callable[..., Path]]:
    """A temporary working folder with the shipped models, and `figure` for the lesson; no network, fixed seeds."""
    import matplotlib
    import torch

    matplotlib.use("Agg")
    from matplotlib import pyplot

    def figure(name: str) -> Path:
        """Save the picture drawn last as figures/NAME.png, and begin a new one."""
        figures.mkdir(parents=True, exist_ok=True)
        pyplot.gcf().savefig(figures / f"{name}.png", dpi=110, bbox_inches="tight", metadata={"Software": None})
        pyplot.close("all")
        return figures / f"{name}.png"

    def refuse(*_: object) -> None:
        raise OSError("a lesson needs no network")

    before, threads, state = Path.cwd(), torch.get_num_threads(), random.getstate()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, torch.random.fork_rng(), \
            mock.patch.object(socket.socket, "connect", refuse):  # fmt: skip
        shutil.copytree(ROOT / "trained_models/shipped", Path(folder) / "trained_models/shipped")
        random.seed(0)
        torch.manual_seed(0)
        torch.set_num_threads(1)
        os.chdir(folder)
        try:
            yield figure
        finally:
            os.chdir(before)
            torch.set_num_threads(threads)
            random.setstate(state)
            pyplot.close("all")

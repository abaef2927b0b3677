"""A chat page's server for a benchmark: the real one, in a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


@contextlib.contextmanager
def serving(*flags: str) -> Iterator[str]:
    """Start `run_chat.py` with these flags on a free port; gives its address, and ends it with the block."""
    command = [sys.executable, "run_chat.py", "--no-browser", "--port", "0", *flags]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8")
    assert server.stdout is not None
    try:
        address = next((line.split()[1] for line in server.stdout if line.startswith("page:")), None)
        if address is None:
            raise SystemExit("the server did not start; try python run_chat.py by hand")
        yield address
    finally:
        server.terminate()
        server.wait()

"""A command run in a child process: its lines as it prints them, and its end, by itself or because it is cancelled."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

PATIENCE = 5.0  # seconds that a cancelled command has to leave by itself
CANNOT_START = 127  # the exit code that a shell gives for a program that it does not find


def run(
    words: Sequence[str],
    cwd: Path,
    env: dict[str, str],
    cancelled: threading.Event,
    on_line: Callable[[str], None],
    on_tick: Callable[[], None],
) -> int:
    """Run a command to its end, or until `cancelled` is set; returns its exit code. `on_line` gets what it prints, line
    by line, and `on_tick` is called every tenth of a second, from another thread, and once more at the end."""
    own_group: dict[str, Any] = {"start_new_session": True}
    if os.name == "nt":
        own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined,unused-ignore]
    try:
        process = subprocess.Popen(
            words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            **own_group,
        )  # fmt: skip
    except OSError:
        on_line(f"{words[0]} cannot be started")
        return CANNOT_START
    with process:
        watch = threading.Thread(target=_watch, args=(process, cancelled, on_tick))
        watch.start()
        for line in _lines(process):
            if line.strip():
                on_line(line.rstrip())
        status = process.wait()
    watch.join()
    on_tick()
    return status


def _watch(process: subprocess.Popen[bytes], cancelled: threading.Event, on_tick: Callable[[], None]) -> None:
    while process.poll() is None:
        on_tick()
        if cancelled.wait(0.1):
            _signal(process, signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
            return


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal the command and all that it started; it may just have left by itself."""
    with contextlib.suppress(OSError):
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, number)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """The lines of a command's output as they come. What a carriage return ends is a progress bar, to be drawn over: it
    is left out."""
    assert process.stdout is not None
    held = b""
    while chunk := os.read(process.stdout.fileno(), 65536):
        *lines, held = re.split(rb"(?<=\n)|(?<=\r)(?=[^\n])", held + chunk)
        for line in lines:
            if line.endswith(b"\n"):
                yield line.decode("utf-8", "replace").rstrip("\r\n")
        held = held[-65536:]
    if held:
        yield held.decode("utf-8", "replace")

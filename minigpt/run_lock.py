"""The lock on a run's folder: two runs that wrote into one folder would leave a mixture of both.

The lock is a file beside the folder that names the process which writes there. It goes when that process ends. Where it
was killed, the next run sees that the process is no more and takes the lock over. No system call for locks is used:
they differ between systems, and on network drives some of them do nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .errors import UserError
from .files import friendly_disk_errors, to_json

PATIENCE, TICK = 2.0, 0.05  # seconds: for a lock that is just being written or taken over, and between two looks at it


class RunLock:
    """Holds `folder` for this process from `acquire` to `release`, or to the end of the process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        place = folder.resolve()
        # Beside the folder: that is renamed when a new run takes its place.
        self.path = place.parent / f".{place.name}.lock"
        self._content = b""

    def acquire(self) -> None:
        """Raises UserError, naming the process and since when, if another one writes into the folder."""
        own = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "process": process_mark(os.getpid()),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "key": secrets.token_hex(8),  # no two locks are alike
        }
        self._content = to_json(own).encode("utf-8")
        with friendly_disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._take(self.path, time.monotonic() + PATIENCE)
        weakref.finalize(self, _remove, self.path, self._content, os.getpid())

    def release(self) -> None:
        _remove(self.path, self._content, os.getpid())

    def _take(self, path: Path, deadline: float) -> None:
        """Make `path` this process's lock. One that a dead process left is replaced by whoever holds the lock on its
        replacement, which is named after what it says: of two that find it at the same time, only one can."""
        while not _create(path, self._content):
            found = _read(path)
            holder = _parsed(found)
            if holder is not None and is_alive(holder):
                raise self._refusal(holder)
            if holder is None and time.monotonic() < deadline:  # gone already, or not yet written to its end
                time.sleep(TICK)
                continue
            if found is None:
                raise UserError(f"{path} cannot be read; delete it if nothing is writing into {self.folder}.")
            claim = path.with_name(f"{path.name}.{hashlib.sha256(found).hexdigest()[:16]}")
            self._take(claim, deadline)
            if _read(path) == found:
                os.replace(claim, path)
                return
            claim.unlink()  # somebody was faster

    def _refusal(self, holder: dict[str, Any]) -> UserError:
        since, host = datetime.fromisoformat(holder["since"]).astimezone(), holder["host"]
        here = host == socket.gethostname()
        return UserError(
            f"{self.folder} is being written by another run (process {holder['pid']}{'' if here else f' on {host}'},"
            f" since {since:%Y-%m-%d %H:%M:%S}); wait until it ends, stop it, or choose another --out"
            + ("." if here else f"; if it is no more, delete {self.path}.")
        )


def is_alive(holder: dict[str, Any]) -> bool:
    """Whether the process that a lock names still runs. On another machine nobody can tell, so it counts as running."""
    return bool(holder["host"] != socket.gethostname() or process_mark(holder["pid"]) == holder["process"])


def process_mark(pid: int) -> str | None:
    """What tells a running process from all others that ever had or will have its number, also before or after a
    restart of the machine: when it began. None if there is no such process."""
    if sys.platform == "win32":
        return _windows_mark(pid)
    with contextlib.suppress(OSError, IndexError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # The second field is the program's name in brackets, and may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if fields[0] in "ZX" else f"{boot} {fields[19]}"
    if Path("/proc/self/stat").exists():
        return None
    shown = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False,
        env=os.environ | {"LC_ALL": "C"},
    )  # fmt: skip
    state, _, began = shown.stdout.strip().partition(" ")
    return None if not began or state.startswith("Z") else began.strip()


def _windows_mark(pid: int) -> str | None:
    kernel: Any = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined,unused-ignore]
    kernel.OpenProcess.restype = ctypes.c_void_p
    query_limited_information, still_active = 0x1000, 259
    handle = kernel.OpenProcess(query_limited_information, False, pid)
    if not handle:
        return None
    handle = ctypes.c_void_p(handle)
    try:
        status, times = ctypes.c_ulong(), [ctypes.c_uint64() for _ in range(4)]  # created, ended, kernel, user
        kernel.GetExitCodeProcess(handle, ctypes.byref(status))
        kernel.GetProcessTimes(handle, *map(ctypes.byref, times))
        return str(times[0].value) if status.value == still_active else None
    finally:
        kernel.CloseHandle(handle)


def _create(path: Path, content: bytes) -> bool:
    """Write a new file; False if there is one."""
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    except PermissionError:
        if not path.exists():  # Windows says so of a file that is just being deleted, too
            raise
        return False
    with os.fdopen(file, "wb") as opened:
        opened.write(content)
    return True


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _parsed(content: bytes | None) -> dict[str, Any] | None:
    """What a lock says; None for one that is not there or not written to its end."""
    try:
        holder = json.loads(content or b"")
        datetime.fromisoformat(holder["since"])
        return holder if isinstance(holder["pid"], int) and {"host", "process"} <= holder.keys() else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _remove(path: Path, content: bytes, pid: int) -> None:
    """Remove a lock if it is still the one with this content, and this is the process that took it, not its fork."""
    if os.getpid() == pid and content and _read(path) == content:
        with contextlib.suppress(OSError):
            path.unlink()

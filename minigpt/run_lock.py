"""The lock on a run's folder: two runs that wrote into one folder would leave a mixture of both."""

from __future__ import annotations

import contextlib
import json
import os
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import UserError
from .files import friendly_disk_errors, to_json


class RunLock:
    """Holds `folder` for this process from `acquire` to `release`, or to the end of the process: the operating system
    takes the lock back however that comes about, so nothing is left to tidy up after a kill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        place = folder.resolve()
        # Beside the folder: that is renamed when a new run takes its place.
        self._lock = FileLock(place.parent / f".{place.name}.lock", timeout=0)
        self._holder = place.parent / f".{place.name}.lock.json"  # who holds it; the lock itself says nothing

    def acquire(self) -> None:
        """Raises UserError, naming the process and since when, if another one writes into the folder."""
        with friendly_disk_errors(self._holder):
            self._holder.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                raise UserError(
                    f"{self.folder} is being written by another run{self._who()}; wait until it ends, stop it, or"
                    " choose another --out."
                ) from None
            now = datetime.now().astimezone().isoformat(timespec="seconds")
            self._holder.write_text(to_json({"process": os.getpid(), "since": now}), encoding="utf-8")

    def release(self) -> None:
        if self._lock.is_locked:
            self._holder.unlink(missing_ok=True)
            self._lock.release()

    def _who(self) -> str:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            holder = json.loads(self._holder.read_text(encoding="utf-8"))
            since = datetime.fromisoformat(holder["since"])
            return f" (process {holder['process']}, since {since:%Y-%m-%d %H:%M:%S})"
        return ""

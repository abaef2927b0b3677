"""Writing files so that a crash, a full disk or a Ctrl-C never leaves half of one."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import UserError


@contextmanager
def friendly_disk_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says of a write to `path` into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"no space left to write {path}; free some and run again. What was there before is intact."
            ) from None
        if isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
            raise UserError(f"{path} cannot be written: a file or folder of that name is in the way.") from None
        raise UserError(f"{path} cannot be written ({error.strerror or error}); choose another folder.") from None


def write_together(files: dict[Path, bytes | str]) -> None:
    """Write several files that belong together: all under temporary names first, then renamed in order.

    What takes time or can fail happens before the first rename.
    """
    pending = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in files}
    try:
        for path, content in files.items():
            with friendly_disk_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                with pending[path].open("wb") as file:
                    file.write(content.encode("utf-8") if isinstance(content, str) else content)
                    file.flush()
                    os.fsync(file.fileno())
        for path, temporary in pending.items():
            with friendly_disk_errors(path):
                os.replace(temporary, path)
    finally:
        for temporary in pending.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write one file: afterwards it is complete, or untouched if anything went wrong."""
    write_together({path: content})


def to_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def read_json(path: Path) -> Any:
    """Raises UserError if the file is missing or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist.") from None
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and thousands of brackets
        raise UserError(f"{path} is not valid JSON ({error}); the file is damaged, save the model again.") from None

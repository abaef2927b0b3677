"""Writing files so that a crash, a full disk or a Ctrl-C never leaves half of one."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import UserError

LARGEST_JSON, DEEPEST_JSON = 256 << 20, 100  # bytes of a file, and lists in lists
SURROGATE = re.compile("[\ud800-\udfff]")


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
    """What a JSON file of ours says. Raises UserError if there is no such file, if it is not JSON, or if it holds what
    no program wrote on purpose: lists in lists without end, or half a character."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise UserError(f"{path} is not a file.")
        with path.open("rb") as file:
            raw = file.read(LARGEST_JSON + 1)
        if len(raw) > LARGEST_JSON:
            raise UserError(f"{path} is larger than {LARGEST_JSON >> 20} MB; that is no file of a model.")
        value = json.loads(raw.decode("utf-8-sig"))
        _check_nesting(value)
        return value
    except FileNotFoundError:
        raise UserError(f"{path} does not exist.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}).") from None
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and thousands of brackets
        raise UserError(f"{path} is not valid JSON ({error}); the file is damaged, save the model again.") from None


def _check_nesting(value: Any) -> None:
    """Raises ValueError for values nested too deeply, and for texts that cannot be written down."""
    level, depth = [value], 0
    while level:
        if depth > DEEPEST_JSON:
            raise ValueError(f"it is nested more than {DEEPEST_JSON} levels deep")
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                if SURROGATE.search(item):
                    raise ValueError("a text holds half a character, a lone surrogate")
            elif isinstance(item, dict):
                below += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                below += item
        level, depth = below, depth + 1

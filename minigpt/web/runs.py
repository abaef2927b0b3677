"""Training runs on disk: curves from metrics.jsonl, samples over time, and the card. Reads only."""

from __future__ import annotations

import json
import math
import os
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..model.checkpoint import CARD, read_card
from ..registry import model_names
from ..training.run_state import METRICS, SAMPLES
from .errors import ApiError
from .model_cache import NAME

Row = dict[str, Any]
LIVE_SECONDS = 60
TOTAL = "total_steps"
TAIL = 1 << 16  # bytes at the end of a log, more than its longest line
LARGEST = 64 << 20  # bytes of a log that are read: a file that is larger than any run writes is not one


@dataclass(frozen=True)
class Progress:
    """How far a run is: steps done, steps in all, and seconds to go at the pace so far (None before the first step)."""

    step: int
    steps: int
    eta: float | None

    @property
    def percent(self) -> float:
        return round(100 * self.step / self.steps, 1)


def progress_of(folder: Path) -> Progress | None:
    """How far the run in a folder is, by the last line of its log; None as long as it has not said."""
    try:
        with (folder / METRICS).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            lines = file.read().split(b"\n")
    except OSError:
        return None
    for line in reversed(lines):
        try:
            row = json.loads(line)
            step, steps, seconds = row["step"], row[TOTAL], row["seconds"]
            return Progress(step, steps, round(seconds / step * (steps - step), 1) if step else None)
        except (ValueError, KeyError, TypeError, ZeroDivisionError):
            continue
    return None


class Runs:
    """The runs below a models' folder, RECIPE/STAGE, finished or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _folders(self) -> dict[str, Path]:
        root = self.folder.resolve()
        found = {}
        for name in model_names(self.folder):
            if re.fullmatch(f"{NAME}/{NAME}", name) and (self.folder / name).resolve() == root / name:
                found[name] = self.folder / name
        return found

    def list(self) -> list[Row]:
        """Each run in a few words."""
        return [self._about(name, folder) for name, folder in self._folders().items()]

    def _about(self, name: str, folder: Path) -> Row:
        card = public_card(folder)
        logs = [path for path in (folder / METRICS, folder / CARD) if path.is_file()]
        updated = max((path.stat().st_mtime for path in logs), default=0.0)
        return {
            "name": name,
            "stage": str(card.get("stage") or name.split("/")[1]),
            "recipe": str(card.get("recipe") or name.split("/")[0]),
            "finished": bool(card.get("finished")),
            "live": not card.get("finished") and time.time() - updated < LIVE_SECONDS,
            "steps": card.get("steps"),
            "minutes": card.get("minutes"),
            "metrics": card.get("metrics"),
            "samples": sum(1 for _ in _read(folder / SAMPLES)),
            "updated": datetime.fromtimestamp(updated, UTC).isoformat(timespec="seconds"),
        }

    def show(self, name: str, points: int) -> Row:
        """One run: its card, its curves thinned to about `points` rows, its samples. Raises ApiError 404."""
        folder = self._folders().get(name)
        if folder is None:
            raise ApiError(404, "not_found", "There is no run of that name.")
        rows = thin([flatten(row) for row in _read(folder / METRICS)], points)
        columns = {name: None for row in rows for name, value in row.items() if value is not None}
        columns.pop(TOTAL, None)  # the same in every row
        card = public_card(folder)
        about = {key: value for key, value in self._about(name, folder).items() if key != "samples"}
        samples = list(_read(folder / SAMPLES))
        return {**about, "card": card, "columns": list(columns), "rows": rows, "samples": samples}


def public_card(folder: Path) -> Row:
    """A folder's card without its hashes and questions; empty if it has none, or a broken one."""
    try:
        card = read_card(folder)
    except (UserError, OSError):
        return {}
    hidden = ("sha256", "made_from", "parent", "questions", "recipe_file")
    return {key: value for key, value in card.items() if key not in hidden} if isinstance(card, dict) else {}


def _read(path: Path) -> list[Row]:
    """The lines of a log that is perhaps being written; a last line that is cut short is left out."""
    try:
        if path.stat().st_size > LARGEST:
            return []
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    rows = []
    for line in text.split("\n"):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def flatten(row: Row, prefix: str = "") -> Row:
    """Numbers only, nested ones under dotted names; NaN and infinities become None, which JSON can hold."""
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            flat[f"{prefix}{name}"] = value if math.isfinite(value) else None
    return flat


def thin(rows: list[Row], points: int) -> list[Row]:
    """About `points` of the rows; the first, the last, and those that others are not like (validations) stay."""
    if len(rows) <= points:
        return rows
    kinds: dict[frozenset[str], int] = {}
    for row in rows:
        kinds[frozenset(row)] = kinds.get(frozenset(row), 0) + 1
    stride = math.ceil(len(rows) / points)
    return [
        row
        for i, row in enumerate(rows)
        if i % stride == 0 or i == len(rows) - 1 or kinds[frozenset(row)] <= points // 4
    ]
